"""Uploads of plugins, good and bad: each refusal names its reason, and what ran goes on running."""

import json
import os
import subprocess
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from play import Stage, ns
from servers.hearth import binary, hearth
from servers.process import wait_until

MARK = b"HEARTH-TRIAL-WSH"


def built(name: str) -> Path:
    return Path(binary()).parent / f"lib{name}.so"


def trial(mode: str = "healthy", version: str = "1.0.0", id_: str = "trial") -> bytes:
    """The trial plugin, with a wish of its own written into it."""
    file = built("trial_plugin").read_bytes()
    wish = f"{mode};{version};{id_};".encode().ljust(64)
    at = file.index(MARK)
    assert file.count(MARK) == 1 and len(wish) == 64
    return file[: at + 16] + wish + file[at + 80 :]


class Refused(Exception):
    pass


def upload(server, file: bytes, accept: bool = True, name: str = "plugin.so"):
    """`POST /plugins`; the answer, or `Refused` with the reason."""
    boundary = "e6f1c0a9"
    fields = f'--{boundary}\r\nContent-Disposition: form-data; name="accept_unsigned"\r\n\r\n'
    fields += f"{str(accept).lower()}\r\n--{boundary}\r\n"
    fields += f'Content-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    body = fields.encode() + file + f"\r\n--{boundary}--\r\n".encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port('console')}/api/v1/plugins",
        method="POST",
        data=body,
        headers={
            "Authorization": f"Bearer {server.token()}",
            "Content-Type": f"multipart/form-data; boundary={boundary}",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        raise Refused(json.loads(error.read())["detail"]) from error


def run(server, command: str, arguments: object = None, id_: str = "trial"):
    return server.api("POST", f"/plugins/{id_}/commands/{command}", arguments or {})


@pytest.fixture
def server(private_server):
    """A server on which the trial plugin runs."""
    server = private_server({"plugins.max_faults": "3"})
    assert upload(server, trial())["state"] == "running"
    yield server
    assert server.is_alive(), server.log()[-3000:]
    assert run(server, "version") == "1.0.0", "what ran before runs on"


def other_machine() -> bytes:
    file = bytearray(trial())
    file[18:20] = (243).to_bytes(2, "little")
    return bytes(file)


def library() -> bytes:
    found = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True).stdout
    line = next(line for line in found.splitlines() if "libm.so.6" in line and "x86-64" in line)
    return Path(line.split(" => ")[1]).read_bytes()


BAD = {
    "text": (lambda: b"I am a plugin, honestly.\n", "not a shared library"),
    "empty": (lambda: b"", "empty"),
    "truncated": (lambda: trial()[:-300_000], "truncated"),
    "beginning only": (lambda: trial()[:5000], "truncated"),
    "other machine": (other_machine, "was built for"),
    "no plugin": (library, "root module"),
    "aborts": (lambda: trial("abort", "2.0.0"), "it aborted"),
    "ends the process": (lambda: trial("exit", "2.0.0"), "no manifest"),
    "hangs": (lambda: trial("loop", "2.0.0"), "hangs"),
    "needs a newer server": (lambda: trial("newer", "2.0.0"), "99.0.0"),
    "asks for the impossible": (lambda: trial("greedy", "2.0.0"), "capability `fly`"),
    "path as version": (lambda: trial("healthy", "../../x"), "version"),
    "path as id": (lambda: trial("healthy", "1.0.0", "../x"), "id"),
    "panics when made": (lambda: trial("panic-create", "2.0.0"), "on purpose"),
    "panics at start": (lambda: trial("panic-start", "2.0.0"), "on purpose"),
    "does not want to start": (lambda: trial("error-start", "2.0.0"), "does not want to"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_refused_with_its_reason(server, case):
    make, reason = BAD[case]
    with pytest.raises(Refused) as refused:
        upload(server, make())
    assert reason in str(refused.value)
    assert reason in server.log()
    assert [p["version"] for p in server.api("GET", "/plugins")["items"]] == ["1.0.0"]


def test_a_file_name_is_never_a_path(server):
    upload(server, trial("healthy", "1.0.0", "other"), name="../../../../etc/cron.d/x")
    files = [file.name for file in (server.home / "plugins").iterdir() if file.suffix == ".so"]
    assert sorted(name.rsplit("-", 1)[0] for name in files) == ["other-1.0.0", "trial-1.0.0"]


def test_a_file_over_the_limit_is_refused(server):
    server.api("PUT", "/properties/plugins.max_size", {"value": "1"})
    with pytest.raises(Refused, match="plugins.max_size"):
        upload(server, trial() + bytes(2 << 20))
    assert list((server.home / "plugins" / ".incoming").iterdir()) == []


def test_two_uploads_at_once_leave_one_of_them_running(server):
    with ThreadPoolExecutor() as pool:
        both = list(pool.map(lambda v: upload(server, trial("healthy", v)), ["1.0.1", "1.0.2"]))
    assert {plugin["version"] for plugin in both} <= {"1.0.1", "1.0.2"}
    (plugin,) = server.api("GET", "/plugins")["items"]
    assert run(server, "version") == plugin["version"]
    upload(server, trial())


def test_an_unsigned_file_needs_consent(server):
    file = trial("healthy", "1.0.0", "other")
    with pytest.raises(Refused, match="unsigned"):
        upload(server, file, accept=False)
    upload(server, file)
    server.api("DELETE", "/plugins/other")
    assert upload(server, file, accept=False)["state"] == "running", "it was accepted once"


def test_a_signed_file_needs_no_consent(server, tmp_path):
    file, key = tmp_path / "other.so", tmp_path / "key.pem"
    file.write_bytes(trial("healthy", "1.0.0", "other"))
    public = hearth("plugin", "keygen", key).stdout.strip()
    hearth("plugin", "sign", file, "--key", key)
    server.api("PUT", "/properties/plugins.require_signature", {"value": "true"})
    with pytest.raises(Refused, match="only signed"):
        upload(server, file.read_bytes())
    server.api("POST", "/plugin-keys", {"name": "me", "key": public})
    assert upload(server, file.read_bytes(), accept=False)["signature"] == "signed by me"
    forged = bytearray(file.read_bytes())
    forged[-500] ^= 1
    with pytest.raises(Refused, match="changed after it was signed"):
        upload(server, bytes(forged))


def test_a_new_version_takes_over_without_a_restart(server):
    run(server, "remember", {"value": "before"})
    run(server, "count", {"name": "x"})
    assert upload(server, trial("healthy", "1.1.0"), name="another name.so")["version"] == "1.1.0"
    assert run(server, "version") == "1.1.0"
    assert run(server, "remember", {"value": "after"}) == "before"
    assert run(server, "count", {"name": "x"}) == 2
    upload(server, trial())


def test_disable_enable_reload_and_remove(server):
    assert server.api("POST", "/plugins/trial/disable")["state"] == "disabled"
    with pytest.raises(AssertionError, match="enable it first"):
        run(server, "version")
    assert server.api("POST", "/plugins/trial/enable")["state"] == "running"
    assert server.api("POST", "/plugins/trial/reload")["state"] == "running"
    assert run(server, "count", {"name": "x"}) == 1
    server.api("DELETE", "/plugins/trial?data=keep")
    upload(server, trial())
    assert run(server, "count", {"name": "x"}) == 2
    server.api("DELETE", "/plugins/trial?data=drop")
    upload(server, trial())
    assert run(server, "count", {"name": "x"}) == 1


def test_panics_are_answered_and_too_many_disable_the_plugin(server):
    for _ in range(3):
        with pytest.raises(AssertionError, match="on purpose"):
            run(server, "panic")
    wait_until(lambda: server.api("GET", "/plugins/trial")["state"] == "faulty", "it is disabled")
    assert "faults: 3;" in server.api("GET", "/plugins/trial")["report"]
    assert server.api("POST", "/plugins/trial/enable")["state"] == "running"


def test_a_plugin_that_kills_the_server_is_quarantined(private_server):
    server = private_server()
    upload(server, trial("healthy", "1.0.0", "good"))
    with pytest.raises(OSError):
        upload(server, trial("abort-start"))
    wait_until(lambda: not server.is_alive(), "the end of the server")
    server.start()
    states = {p["id"]: p["state"] for p in server.api("GET", "/plugins")["items"]}
    assert states == {"good": "running", "trial": "quarantined"}
    assert "the server ended" in server.api("GET", "/plugins/trial")["report"]
    server.api("DELETE", "/plugins/trial")
    assert upload(server, trial())["state"] == "running"


def test_settings_survive_and_are_listed(server):
    assert run(server, "echo", {"a": 1})["greeting"] == "hello"
    server.api("PUT", "/properties/plugin.trial.greeting", {"value": "good morning"})
    assert run(server, "echo")["greeting"] == "good morning"
    server.api("POST", "/plugins/trial/reload")
    assert run(server, "echo")["greeting"] == "good morning"
    server.api("DELETE", "/properties/plugin.trial.greeting")


def test_an_endpoint_answers_below_its_own_path(server):
    url = f"http://127.0.0.1:{server.port('http')}/plugins/trial/echo"
    with urllib.request.urlopen(url, data=b"hello", timeout=30) as answer:
        assert (answer.status, answer.read()) == (200, b"hello")


def test_an_iq_handler_answers(server):
    stage = Stage(server)
    romeo = stage.enter("romeo")
    answer = romeo.request("get", "<query xmlns='urn:trial'/>", "localhost")
    assert answer.get("type") == "result"
    server.api("POST", "/plugins/trial/disable")
    answer = romeo.request("get", "<query xmlns='urn:trial'/>", "localhost")
    assert ns.condition(answer) == "service-unavailable"
    server.api("POST", "/plugins/trial/enable")
    stage.close()


def test_a_step_rejects_rewrites_and_fails_open(server):
    stage = Stage(server)
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    romeo.message(juliet.bare, "forbidden")
    romeo.expect(lambda s: ns.condition(s) == "policy-violation", "the refusal")
    romeo.message(juliet.bare, "loud")
    juliet.expect_message("quiet", from_=romeo)
    romeo.message(juliet.bare, "panic")
    juliet.expect_message("panic", from_=romeo)
    romeo.message(juliet.bare, "hello")
    juliet.expect_message("hello", from_=romeo)
    stage.close()


def test_the_command_line_does_what_the_api_does(server, tmp_path):
    file = tmp_path / "other.so"
    file.write_bytes(trial("healthy", "1.0.0", "other"))
    manifest = json.loads(hearth("plugin", "inspect", file, "--json").stdout)
    assert (manifest["id"], manifest["signer"]) == ("other", None)
    home = ("--home", server.home)
    hearth("plugin", "install", "--accept-unsigned", file, *home)
    answer = hearth("plugin", "run", "other", "echo", '{"a": 1}', "--json", *home).stdout
    assert json.loads(answer)["arguments"] == {"a": 1}
    hearth("plugin", "disable", "other", *home)
    listed = json.loads(hearth("plugin", "list", "--json", *home).stdout)
    assert {p["id"]: p["state"] for p in listed} == {"other": "disabled", "trial": "running"}
    hearth("plugin", "remove", "other", *home)


def test_acts_are_in_the_audit_log(server):
    acts = server.api("GET", "/audit")["items"]
    (installed,) = [act for act in acts if act["action"] == "plugin.install"]
    assert "sha256:" in installed["target"]


@pytest.mark.skipif(os.getuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_is_told(server):
    folder = server.home / "plugins" / ".incoming"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=True)
    try:
        with pytest.raises(Refused, match="no space is left"):
            upload(server, trial("healthy", "2.0.0"))
    finally:
        subprocess.run(["umount", folder], check=True)
