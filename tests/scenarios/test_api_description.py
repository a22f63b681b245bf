"""`/api/v1` does what its OpenAPI document says: requests that the document allows and forbids, made up by
schemathesis, and every operation without a right token."""

import http.client
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

# All but three. Data that fits the document may still be refused by a rule that a schema cannot say
# (`positive_data_acceptance`), and whoever may call the API may call all of it
# (`object_level_authorization`). `ignored_auth` does not expect that wrong tokens lock an address out:
# that is tried below.
LEFT_OUT = ["positive_data_acceptance", "object_level_authorization", "ignored_auth"]


def test_the_document_is_true(private_server, tmp_path):
    server = private_server()
    address = f"http://127.0.0.1:{server.port('console')}/api/v1/openapi.json"
    # Not one that the API can revoke.
    token = (server.home / "run" / "admin-token").read_text().strip()
    done = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"), "run", address,
            "--header", f"Authorization: Bearer {token}",
            "--exclude-checks", ",".join(LEFT_OUT),
            "--phases", "examples,coverage,fuzzing",
            "--max-examples", "10",
            # The same requests each time: what they find is found again.
            "--seed", "1",
            "--request-timeout", "60",
            "--continue-on-failure", "--no-shrink", "--no-color",
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=1200, check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
    tested = re.search(r"Tested: (\d+)", done.stdout)
    # Schemathesis leaves out the one that serves the document.
    expected = [path for _, path, _ in operations(server) if path != "/openapi.json"]
    assert int(tested[1]) == len(expected), done.stdout[-3000:]


def operations(server) -> list[tuple[str, str, dict]]:
    """Method, path and description of each operation."""
    paths = json.loads(ask(server, "GET", "/openapi.json")[2])["paths"]
    return [
        (method.upper(), path, operation)
        for path, methods in paths.items()
        for method, operation in methods.items()
        if method != "parameters"
    ]


def ask(server, method: str, path: str, token: str | None = None, source: str = "127.0.0.1"):
    """Status, headers and text of the answer to `source`, an address of this machine."""
    port = server.port("console")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30, source_address=(source, 0))
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    connection.request(method, f"/api/v1{path}", headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, answer.headers, text


@pytest.mark.parametrize("token", [None, "", "wrong"])
def test_nothing_is_open_but_the_document(private_server, token):
    server = private_server()
    for method, path, operation in operations(server):
        status, headers, text = ask(server, method, re.sub(r"\{\w+\}", "x", path), token)
        if operation.get("security") == []:
            assert (method, path, status) == ("GET", "/openapi.json", 200)
            continue
        assert status in ((401, 429) if token == "wrong" else (401,)), (method, path)
        assert headers["Content-Type"] == "application/problem+json", (method, path)
        assert json.loads(text)["status"] == status


def test_wrong_tokens_lock_one_address_out(private_server):
    server = private_server()
    statuses = [ask(server, "GET", "/users", f"wrong-{n}", "127.0.0.2")[0] for n in range(12)]
    assert statuses == [401] * 11 + [429]
    status, headers, _ = ask(server, "GET", "/users", server.token(), "127.0.0.2")
    assert status == 429 and int(headers["Retry-After"]) > 0
    assert ask(server, "GET", "/users", server.token(), "127.0.0.3")[0] == 200
    local = (server.home / "run" / "admin-token").read_text().strip()
    assert ask(server, "GET", "/users", local, "127.0.0.2")[0] == 200


@pytest.mark.parametrize("path", ["/users//admin", "/users/%61dmin", "/users/..%2f", "/v2", "/users/a;b"])
def test_what_the_api_does_not_reach_is_a_problem_too(server, path):
    status, headers, text = ask(server, "GET", path, server.token())
    assert status in (400, 404)
    assert headers["Content-Type"] == "application/problem+json"
    assert json.loads(text)["status"] == status


@pytest.mark.parametrize(
    ("path", "field"),
    [("/users?limit=1&limit=2", None), ("/users?format=xml", "format"), ("/users?show=", "show"),
     ("/backups?limit=0", "limit"), ("/logs?wait=26", "wait"), ("/audit?to=", "to")],
)
def test_a_parameter_that_means_nothing_is_refused(server, path, field):
    status, _, text = ask(server, "GET", path, server.token())
    assert status == 400 and json.loads(text).get("field") == field, text
