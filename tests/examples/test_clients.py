"""The clients under `examples/clients` sign what the server accepts; they import nothing of it."""

from __future__ import annotations

import json
import os
import runpy
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bkjs.auth.signature import FORM, create_signature
from bkjs.auth.signature import checksum as checksum_of
from bkjs.testing.process import Server
from tests.clean import ROOT

CLIENTS = ROOT / "examples" / "clients"
PYTHON = runpy.run_path(str(CLIENTS / "client.py"))
COMMANDS = {
    "python": ([sys.executable, "-I", "client.py"], ()),
    "javascript": (["node", "client.mjs"], ("node",)),
    "shell": (["sh", "client.sh"], ("sh", "curl", "openssl")),
}
LOGIN, SECRET = "änna+1", "a secret: with 'quotes' \"and\" $igns"


@pytest.fixture(scope="module")
def server():
    app = ("-app", str(ROOT / "examples" / "todo" / "todo.py"), "-db-create-tables")
    with Server(*app) as server, server.client() as stranger:
        reply = stranger.post("/account/add", {"login": LOGIN, "secret": SECRET, "name": "Ann"})
        assert reply.status == 200, reply.text
        yield server


@pytest.fixture(params=COMMANDS)
def run(request, server):
    """`run(method, target, *rest)`: the exit code and the body of the reply."""
    argv, programs = COMMANDS[request.param]
    for program in programs:
        if not shutil.which(program):
            pytest.skip(f"{program} is not here")

    def run(method: str, target: str, *rest: str, secret: str = SECRET) -> tuple[int, object]:
        done = subprocess.run(
            [*argv, method, f"http://127.0.0.1:{server.port}{target}", *rest],
            cwd=CLIENTS,
            env={"PATH": os.environ["PATH"], "BK_LOGIN": LOGIN, "BK_SECRET": secret},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert done.stdout, done.stderr.decode()
        return done.returncode, json.loads(done.stdout)

    return run


@pytest.fixture
def name():
    return f"Öl & Bier+{secrets.token_hex(4)}"


def found(run, name: str) -> object:
    code, page = run("GET", f"/todo/select?_count=5&name={quote(name)}&&_sort=name")
    assert code == 0, page
    return [row["descr"] for row in page["data"]]


def test_query_in_any_order_with_escapes(run, name):
    assert run("GET", f"/todo/add?z=1&name={quote(name)}&descr=a%2Bb&Z=1&a")[0] == 0
    assert found(run, name) == ["a+b"]


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_json(run, name, method):
    body = json.dumps({"name": name, "descr": "Grüße\n%"}, ensure_ascii=False)
    code, added = run(method, "/todo/add", body)
    assert (code, added["descr"]) == (0, "Grüße\n%")


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("more", ["", "; charset=UTF-8"])
def test_form(run, name, method, more):
    code, added = run(method, "/todo/add", f"name={quote(name)}&descr=b&a=%C3%A4", f"{FORM}{more}")
    assert (code, added["name"], added["descr"]) == (0, name, "b")


def test_no_body(run, name):
    assert run("POST", f"/todo/add?name={quote(name)}&descr=n")[0] == 0
    assert found(run, name) == ["n"]


def test_the_same_write_twice_in_a_row(run, name):
    for _ in range(2):
        assert run("POST", "/todo/add", json.dumps({"name": name, "descr": "2"}))[0] == 0
    assert found(run, name) == ["2", "2"]


def test_the_path_is_signed_as_it_is_sent(run):
    code, reply = run("GET", "/nothing%20here/%C3%A4?a=b")
    assert (code != 0, reply["status"]) == (True, 404)  # signed in, but there is no such thing


def test_a_wrong_secret_is_told_and_is_an_exit_code(run):
    code, reply = run("GET", "/auth", secret="another one")
    assert code != 0
    assert reply == {"status": 401, "message": "Not authenticated"}


def test_no_two_signatures_are_equal():
    made = [PYTHON["signature"](LOGIN, SECRET, "GET", "http://h.com/", expires=1) for _ in "ab"]
    assert made[0] != made[1]
    if not shutil.which("node"):
        pytest.skip("node is not here")
    script = (
        'import { signature } from "./client.mjs";'
        'const make = () => signature("a", "b", "GET", "http://h.com/", "", "", { expires: 1 });'
        "process.exit(await make() === await make() ? 1 : 0)"
    )
    subprocess.run(["node", "--input-type=module", "-e", script], cwd=CLIENTS, check=True)


def test_an_account_by_its_signature(run):
    assert run("GET", "/auth")[1]["login"] == LOGIN


# -- the algorithm in Python and the server's own agree on more than a server is asked for

TEXT = st.text(st.characters(codec="ascii", exclude_characters="#|", min_codepoint=33), max_size=12)


@settings(deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    host=st.sampled_from(["h.com", "H.Example.org:8080", "127.0.0.1:80", "[::1]:8000"]),
    path=TEXT.map(lambda text: "/" + text.replace("?", "")),
    query=st.lists(TEXT, max_size=5).map("&".join),
    body=st.lists(st.sampled_from(["a=1", "A=1", "bk-signature=x", "", "ä=%20"])).map("&".join),
    kind=st.sampled_from(["application/json", FORM, f"{FORM}; Charset=UTF-8", "Text/Plain"]),
    secret=st.text(min_size=1, max_size=90),
)
def test_python_signs_as_the_server_does(method, host, path, query, body, kind, secret):
    kind = kind if body else ""
    uri = f"{path}?{query}" if query else path
    url = f"http://{host}{uri.replace('//', '/x/')}"
    uri = url.removeprefix(f"http://{host}")
    form = method == "POST" and kind.startswith(FORM)
    here = PYTHON["signature"](
        "änna", secret, method, url, body.encode(), kind, expires=1_800_000_000_000, tag="t"
    )
    there = create_signature(
        "änna", secret, method, host, uri, type=kind, tag="t",
        query=body if form else None, expires=1_800_000_000_000, now=1_700_000_000_000,
        checksum=checksum_of(body.encode()) if body and not form else "",
    )  # fmt: skip
    assert here == there["bk-signature"]


def test_frames_of_a_websocket_are_signed_as_the_page_says(server, name):
    connect = pytest.importorskip("websockets.sync.client").connect
    here = f"127.0.0.1:{server.port}"

    def link(method: str, target: str, body: bytes = b"") -> str:
        kind = "application/json" if body else ""
        url = f"http://{here}{target}"
        signed = PYTHON["signature"](LOGIN, SECRET, method, url, body, kind)
        return f"{target}{'&' if '?' in target else '?'}bk-signature={quote(signed, safe='')}"

    with connect(f"ws://{here}/") as socket:
        socket.send(link("GET", "/todo/select?_count=1&name=x"))
        assert json.loads(socket.recv(10)) == {"count": 0, "data": []}
        query = json.dumps({"name": name, "descr": "ä"})
        path = link("POST", "/todo/add", query.encode())
        socket.send(f'{{"id": 1, "path": {json.dumps(path)}, "method": "POST", "query": {query}}}')
        answer = json.loads(socket.recv(10))
        assert (answer["id"], answer["status"], answer["data"]["descr"]) == (1, 200, "ä")
        other = json.dumps({"name": name, "descr": "b"})
        path = link("POST", "/todo/add", query.encode())
        socket.send(f'{{"id": 2, "path": {json.dumps(path)}, "method": "POST", "query": {other}}}')
        assert json.loads(socket.recv(10))["data"]["code"] == "CHECKSUM"


def test_a_signed_link_needs_no_header(server):
    url = f"http://127.0.0.1:{server.port}/auth?b=1"
    signed = PYTHON["signature"](LOGIN, SECRET, "GET", url)
    with server.client() as stranger:
        reply = stranger.get(f"/auth?b=1&bk-signature={quote(signed, safe='')}")
        assert reply.json()["login"] == LOGIN


def test_clients_import_nothing_of_bkjs():
    for path in CLIENTS.iterdir():
        if path.suffix in (".py", ".mjs", ".sh"):
            assert "bkjs" not in path.read_text(), path.name
    assert {Path(argv[-1]).name for argv, _ in COMMANDS.values()} == {
        path.name for path in CLIENTS.iterdir() if path.suffix in (".py", ".mjs", ".sh")
    }
