"""What keeps a server from starting is said in one clear line, and the exit code is not zero."""

import json
import re
import socket
import sqlite3
import subprocess
from contextlib import closing

import pytest

from play import Stage
from servers.database import execute
from servers.hearth import Hearth, binary, hearth
from servers.process import free_port, wait_until
from servers.small_disk import SmallDisk, on_small_disk, setup_command

pytestmark = pytest.mark.needs("command line")


def run_to_failure(server: Hearth) -> subprocess.CompletedProcess:
    return hearth("run", "--home", server.home, check=False)


def assert_one_clear_line(done: subprocess.CompletedProcess, *words: str) -> None:
    lines = done.stderr.strip().splitlines()
    assert done.returncode not in (0, 101), done.stderr
    assert lines and "panicked" not in done.stderr, done.stderr
    missing = [word for word in words if word.lower() not in lines[-1].lower()]
    assert not missing, f"{missing} not in: {lines[-1]}"


def edit(server: Hearth, pattern: str, replacement: str) -> None:
    """Changes `hearth.toml`."""
    file = server.home / "hearth.toml"
    text, count = re.subn(pattern, replacement, file.read_text(), count=1, flags=re.M)
    assert count, f"no {pattern} in hearth.toml"
    file.write_text(text)


@pytest.fixture
def idle(private_server) -> Hearth:
    """Set up, not running."""
    return private_server(start=False)


def test_an_unknown_key_gets_a_hint(idle):
    edit(idle, r"^\[ports\]", "[ports]\nc2z = 5222")
    assert_one_clear_line(run_to_failure(idle), "hearth.toml", "c2z", "c2s")


def test_broken_toml_names_its_line(idle):
    edit(idle, r"^\[ports\]", "[ports")
    assert_one_clear_line(run_to_failure(idle), "hearth.toml")


def test_a_port_in_use_is_named(idle):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        edit(idle, r"^c2s = .*", f"c2s = {port}")
        edit(idle, r"^addresses = .*", 'addresses = ["127.0.0.1"]')
        assert_one_clear_line(run_to_failure(idle), str(port), "in use")


def test_an_unreachable_database_is_named(idle):
    url = f"postgres://hearth:secret@127.0.0.1:{free_port()}/hearth"
    edit(idle, r"^url = .*", f'url = "{url}"')
    done = run_to_failure(idle)
    assert_one_clear_line(done, "127.0.0.1")
    assert "secret" not in done.stderr


def test_setup_names_an_unreachable_database(tmp_path):
    port = free_port()
    done = Hearth(tmp_path / "home").setup(f"postgres://hearth:secret@127.0.0.1:{port}/hearth")
    assert_one_clear_line(done, str(port))


def test_setup_refuses_the_database_of_another_domain(private_server, postgres, tmp_path):
    private_server(database=postgres, start=False)
    home = tmp_path / "second"
    done = Hearth(home).setup(postgres, domain="other.example")
    assert_one_clear_line(done, "localhost", "other.example")
    assert not (home / "hearth.toml").exists()


def test_setup_names_an_unknown_property(tmp_path):
    done = Hearth(tmp_path / "home").setup(properties={"archive.enabeld": "true"})
    assert_one_clear_line(done, "archive.enabeld", "archive.enabled")


def test_setup_names_a_bad_value(tmp_path):
    done = Hearth(tmp_path / "home").setup(properties={"archive.enabled": "perhaps"})
    assert_one_clear_line(done, "archive.enabled", "perhaps")


def test_a_newer_schema_is_left_alone(private_server, database):
    server = private_server(database=database, start=False)
    execute(database, server.home / "hearth.db", "UPDATE schema_version SET min_reader = 1000000")
    assert_one_clear_line(run_to_failure(server), "newer")


def test_a_corrupt_database_file_is_named(idle):
    (idle.home / "hearth.db").write_bytes(b"this is no database " * 1000)
    for leftover in ("hearth.db-wal", "hearth.db-shm"):
        (idle.home / leftover).unlink(missing_ok=True)
    assert_one_clear_line(run_to_failure(idle), "hearth.db")


def test_an_unreadable_certificate_is_named(idle):
    idle.start()
    idle.stop()
    for file in (idle.home / "certs").iterdir():
        file.write_text("this is no certificate")
    assert_one_clear_line(run_to_failure(idle), "certs")


def test_a_certificate_that_cannot_be_read_is_named(idle):
    idle.start()
    idle.stop()
    for file in (idle.home / "certs").iterdir():
        file.unlink()
        file.mkdir()
    assert_one_clear_line(run_to_failure(idle), "certs")


def test_a_second_process_on_one_home_is_refused(idle):
    idle.start()
    assert_one_clear_line(run_to_failure(idle), "in use", str(idle.process.pid))
    assert idle.is_alive()


def test_setup_on_a_full_disk_says_so(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    command = on_small_disk(home, "16k", setup_command(home))
    assert_one_clear_line(subprocess.run(command, capture_output=True, text=True, timeout=60), "full")


def test_a_disk_that_gets_full_costs_nothing_that_was_acknowledged(tmp_path):
    """What cannot be stored is not acknowledged; once there is room again, it is."""
    home = tmp_path / "home"
    home.mkdir()
    server = SmallDisk(home)
    server.start()
    stage = Stage(server)
    romeo, user = stage.login(stage.user("romeo")), stage.user("juliet")
    romeo.enable_sm()
    filler = server.fill()
    body = "x" * 100_000
    romeo.message(user, f"one {body}")
    romeo.message(user, f"two {body}")
    wait_until(lambda: "the disk of the database is full" in server.log(), "the log tells the reason")
    assert romeo.acknowledged() < 2
    filler.unlink()
    wait_until(lambda: romeo.acknowledged() == 2, "both are acknowledged")
    juliet = stage.online(user)
    for word in ("one", "two"):
        juliet.expect_message(f"{word} {body}")
    stage.close()
    server.stop()


def test_a_failed_setup_leaves_nothing(tmp_path):
    home = tmp_path / "home"
    Hearth(home).setup(f"postgres://hearth:secret@127.0.0.1:{free_port()}/hearth")
    assert not (home / "hearth.toml").exists()


def test_an_unknown_subcommand_is_a_usage_error():
    assert_one_clear_line(hearth("rnu", check=False), "rnu")


def test_ports_are_those_that_accept(idle):
    idle.start()
    ports = json.loads((idle.home / "run" / "ports.json").read_text())
    for port in ports.values():
        socket.create_connection(("127.0.0.1", port), 10).close()


def test_a_stop_is_orderly(idle):
    process = idle.start().process
    idle.stop()
    assert process.returncode == 0, idle.log()[-2000:]


def test_a_stop_leaves_the_database_in_one_file(idle):
    """Whoever copies `hearth.db` then has everything."""
    idle.start()
    idle.create_user("juliet", "secret-of-juliet")
    idle.stop()
    log = idle.home / "hearth.db-wal"
    assert not log.exists() or log.stat().st_size == 0
    with closing(sqlite3.connect(idle.home / "hearth.db")) as database:
        assert database.execute("SELECT count(*) FROM account WHERE username = 'juliet'").fetchone() == (1,)


def test_the_version_is_told():
    done = subprocess.run([binary(), "--version"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and done.stdout.startswith("hearth ")
