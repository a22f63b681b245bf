# shellcheck shell=bash
# Shared by the scripts that start and stop a server for a measurement. Each of them is called as
#   SCRIPT start DIR    installs the server if it is missing, starts it with everything it owns
#                       under DIR, and waits until it accepts connections; writes DIR/pid and
#                       DIR/ports.json ({"c2s": PORT, "c2s_tls": PORT})
#   SCRIPT stop DIR     ends that process
set -euo pipefail

install_package() { # NAME COMMAND
    command -v "$2" >/dev/null && return
    echo "installing the Debian package $1" >&2
    # The package's own service must not start: it would take the standard ports.
    local policy=/usr/sbin/policy-rc.d made=
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy" && made=1
    fi
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$1" >&2
    [ -z "$made" ] || rm "$policy"
}

free_ports() { # COUNT: that many free ports, one line
    python3 - "$1" <<'PYTHON'
import socket, sys
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(one.getsockname()[1] for one in held))
PYTHON
}

self_signed() { # DIR: key.pem, cert.pem and both in one as both.pem; ECDSA P-256 as Hearth's own
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
        -subj /CN=localhost -addext subjectAltName=DNS:localhost \
        -keyout "$1/key.pem" -out "$1/cert.pem" 2>/dev/null
    cat "$1/key.pem" "$1/cert.pem" >"$1/both.pem"
}

wait_for_port() { # PORT PID LOG
    for _ in $(seq 600); do
        (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
        kill -0 "$2" 2>/dev/null || break
        sleep 0.1
    done
    echo "the server did not come up; see $3" >&2
    exit 1
}

stop_process() { # DIR
    local pid
    pid=$(cat "$1/pid")
    kill "$pid" 2>/dev/null || true
    for _ in $(seq 100); do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.1
    done
    kill -9 "$pid" 2>/dev/null || true
}

main() { # start|stop DIR
    mkdir -p "$2"
    local dir
    dir=$(cd "$2" && pwd)
    case $1 in
    start) ulimit -n "$(ulimit -Hn)" && start "$dir" ;;
    stop) stop_process "$dir" ;;
    *) echo "usage: ${0##*/} start|stop DIR" >&2 && exit 2 ;;
    esac
}
