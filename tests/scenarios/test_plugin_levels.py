"""Plugins that were built with another `hearth-plugin-api`: those of released levels still load, those
of another major version are refused by name."""

import fcntl
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from play import Stage
from test_plugins import Refused, upload

ROOT = Path(__file__).parents[2]
API = ROOT / "plugin-api"
EXAMPLES = ["echo-component", "hello-plugin"]
LEVELS = sorted(file.stem for file in (API / "abi").glob("level-*.txt"))


def of_revision(folder: Path, revision: str) -> None:
    """The interface and the examples as they were then."""
    paths = ["Cargo.toml", "Cargo.lock", "plugin-api", *(f"examples/{name}" for name in EXAMPLES)]
    archive = subprocess.run(["git", "-C", ROOT, "archive", revision, *paths], check=True, capture_output=True)
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)


def of_version(folder: Path, version: str) -> None:
    """The same as they are now, under another version."""
    for name in ("Cargo.toml", "Cargo.lock"):
        shutil.copy(ROOT / name, folder)
    for name in ("plugin-api", *(f"examples/{name}" for name in EXAMPLES)):
        shutil.copytree(ROOT / name, folder / name)
    current = re.search(r'^version = "(.*)"$', (API / "Cargo.toml").read_text(), re.MULTILINE).group(1)
    for file in (folder / "Cargo.toml", folder / "plugin-api" / "Cargo.toml"):
        file.write_text(file.read_text().replace(f'version = "{current}"', f'version = "{version}"', 1))
    assert f'path = "plugin-api", version = "{version}"' in (folder / "Cargo.toml").read_text()


def build(folder: Path, example: str) -> bytes:
    """The library of an example. What all have in common is compiled once and kept."""
    manifest = folder / "Cargo.toml"
    members = ", ".join(f'"{member}"' for member in ["plugin-api", *(f"examples/{e}" for e in EXAMPLES)])
    text = re.sub(r"^members = .*$", f"members = [{members}]", manifest.read_text(), flags=re.MULTILINE)
    manifest.write_text(re.sub(r"^default-members = .*$", "", text, flags=re.MULTILINE))
    target = ROOT / "target" / "levels"
    target.mkdir(parents=True, exist_ok=True)
    command = ["cargo", "build", "--package", example, "--target-dir", target]
    with (target / "lock").open("w") as lock:
        # Versions share the name of the library.
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return (target / "debug" / f"lib{example.replace('-', '_')}.so").read_bytes()


@pytest.mark.parametrize("level", LEVELS)
def test_a_plugin_of_each_recorded_level_still_loads_and_works(private_server, tmp_path, level):
    revision = (API / "abi" / f"{level}.revision").read_text().strip()
    of_revision(tmp_path, revision)
    server = private_server()
    plugin = upload(server, build(tmp_path, "echo-component"))
    assert (plugin["state"], plugin["api_level"]) == ("running", int(level.removeprefix("level-")))
    stage = Stage(server)
    romeo = stage.enter("romeo")
    romeo.message("romeo@echo.localhost", "hello")
    romeo.expect_message("hello", from_="romeo@echo.localhost")
    counted = romeo.request("get", "<count xmlns='urn:example:echo:count'/>", "echo.localhost")
    assert "".join(counted.itertext()) == "1", "its table works"
    stage.close()


@pytest.mark.parametrize("version", ["0.9.0", "2.0.0"])
def test_another_major_version_is_refused_with_both(private_server, tmp_path, version):
    of_version(tmp_path, version)
    server = private_server()
    with pytest.raises(Refused) as refused:
        upload(server, build(tmp_path, "hello-plugin"))
    assert version in str(refused.value) and "1." in str(refused.value), refused.value
    assert server.api("GET", "/plugins")["items"] == []
