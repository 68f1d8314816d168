"""Bad input over real sockets: each gets a clear 4xx, no traceback, and the server goes on."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bkjs.testing.client import Client, Reply
from bkjs.testing.process import Server, run

pytestmark = pytest.mark.process
PLUGINS = Path(__file__).with_name("plugins")
PARAMETERS = [
    "-modules-path", str(PLUGINS), "-allow-modules", "^(bk_accounts|city|probe)$",
    "-api-allow-path", "^/probe/", "-log", "debug",
]  # fmt: skip
TRACES = ("Traceback", 'File "', ".py", "site-packages", "sqlite3.", "asyncpg.", "pydantic")
SECRETS = {
    "signing secret": "planted-signing-secret",
    "password": "planted-Passw0rd-of-eve",
    "session secret": "planted-session-secret-0123456789abcdef",
    "token secret": "planted-access-token-secret-0123456789",
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    secrets = ["-api-session-secret", SECRETS["session secret"]]
    secrets += ["-api-access-token-secret", SECRETS["token secret"]]
    with Server(*PARAMETERS, *secrets, "-db-create-tables") as made:
        person = ["-login", "ann", "-secret", SECRETS["signing secret"], "-name", "Ann"]
        done = run(made.home, "user", "add", *person, *PARAMETERS)
        assert done.returncode == 0, done.stderr
        yield made
        with made.client() as client:
            assert client.get("/ping").status == 200
        assert made.exit_code is None, "something of the above took the server down"


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with server.client() as made:
        yield made


@pytest.fixture
def ann(server: Server) -> Iterator[Client]:
    with server.client("ann", SECRETS["signing secret"]) as made:
        yield made


def refused(reply: Reply, *statuses: int, says: str = "") -> None:
    """A JSON error with one of the statuses that names what is wrong and shows no inside."""
    assert reply.status in statuses, (reply.status, reply.body[:500])
    for trace in TRACES:
        assert trace not in reply.text
    if reply.type == "application/json":
        body = reply.json()
        assert body["status"] == reply.status
        assert body["message"]
        assert says in reply.text, reply.text


# -- parameters ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"{bad", b"", b"[1,2]", b'"text"', b"nul", b'{"name": 1', b'{"name": NaN}',
        b'{"name": Infinity}', b'\xff\xfe{"a":1}', b'{"name": "\xff"}', b'{"name": "\\ud800"}',
        b'{"number": 1e400}', b"[" * 10_000 + b"]" * 10_000, b'{"a":' * 5000 + b"1" + b"}" * 5000,
    ],
    ids=lambda body: repr(body[:16]),
)  # fmt: skip
def test_malformed_json_is_a_400(client: Client, body: bytes):
    reply = client.post("/probe/typed", body, headers={"content-type": "application/json"})
    if body == b"":
        assert reply.status in (200, 400)
    else:
        refused(reply, 400)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"number": "many"}, "number"),
        ({"number": 1.5}, "number"),
        ({"number": [1]}, "number"),
        ({"number": {"$gt": 1}}, "number"),
        ({"ratio": "x"}, "ratio"),
        ({"flag": "perhaps"}, "flag"),
        ({"name": ["a"]}, "name"),
        ({"name": {"$ne": ""}}, "name"),
    ],
)
def test_a_wrong_type_is_a_400_that_names_the_field(client: Client, body: dict, field: str):
    refused(client.post("/probe/typed", body), 400, says=field)


def test_a_list_in_the_query_where_text_is_expected_names_the_field(client: Client):
    refused(client.get("/probe/typed?name[]=a&name[]=b"), 400, says="name")
    refused(client.get("/probe/typed?name[$ne]=a"), 400, says="name")


def test_a_very_long_number_is_refused_at_once(client: Client):
    begun = time.monotonic()
    body = b'{"number": ' + b"9" * 100_000 + b"}"
    reply = client.post("/probe/typed", body, headers={"content-type": "application/json"})
    refused(reply, 400)
    assert time.monotonic() - begun < 1


def test_unknown_commands_and_paths(client: Client, ann: Client):
    refused(ann.get("/account/zzz"), 400, says="Invalid command")
    refused(ann.get("/nosuch/path"), 404)
    refused(client.get("/nosuch/path"), 417)


def test_an_unknown_operator_column_or_sort_key_is_named(ann: Client):
    refused(ann.get("/city/select?name=x&_ops=name,almost"), 400, says="almost")
    refused(ann.get("/city/select?name=x&_sort=colour"), 400, says="colour")
    refused(ann.get("/city/select?name=x&_sort=name;drop"), 400, says="name;drop")


def test_a_wrong_type_for_a_key_names_the_column(ann: Client):
    refused(ann.get("/city/get?geonameid=abc"), 400, says="geonameid")
    refused(ann.get("/city/get?geonameid="), 400, says="geonameid")
    refused(ann.get("/city/get"), 400, says="geonameid")
    refused(ann.get("/city/get?geonameid=99999999999999999999"), 400, says="geonameid")


def test_too_many_fields(client: Client):
    many = "&".join(f"f{number}=1" for number in range(3000))
    refused(client.post("/probe/typed", many), 400, 413)
    body = {f"f{number}": number for number in range(20_000)}
    refused(client.post("/probe/typed", body), 400, 413)


# -- sizes, encodings, framing ---------------------------------------------------------------------


def test_oversize_url_and_headers(client: Client):
    assert client.get("/probe/typed?name=" + "x" * 20_000).status in (400, 414, 431)
    assert client.get("/probe/typed", headers={"x-long": "x" * 40_000}).status in (400, 431)
    many = {f"x-{number}": "1" for number in range(300)}
    assert client.get("/probe/typed", headers=many).status in (400, 431)


def test_an_oversize_body_is_refused_before_it_is_read(client: Client):
    head = {"content-type": "application/json", "content-length": str(30 * 2**20)}
    refused(client.post("/probe/typed", b"", headers=head), 413)


def test_an_oversize_json_body_and_an_endless_chunked_one(client: Client):
    big = b'{"name": "' + b"x" * (3 * 2**20) + b'"}'
    refused(client.post("/probe/typed", big, headers={"content-type": "application/json"}), 413)
    head = f"POST /probe/typed HTTP/1.1\r\nhost: {client.host}\r\ntransfer-encoding: chunked\r\n"
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    raw = (head + "content-type: application/json\r\n\r\n").encode()
    refused(client.exchange([raw, *[chunk] * 400], method="POST"), 413)


@pytest.mark.parametrize(
    "target",
    ["/probe/%ff", "/probe/%00", "/%2e%2e%2fetc/passwd", "/..;/etc/passwd", "/\\..\\etc",
     "/js/../../etc/passwd", "/js/%2e%2e/%2e%2e/etc/passwd.js", "/%c0%ae%c0%ae/x.js"],
)  # fmt: skip
def test_a_path_without_a_normal_form_opens_nothing(client: Client, ann: Client, target: str):
    for one in (client, ann):
        reply = one.get(target)
        assert reply.status in (400, 401, 404, 417), reply.status
        assert "root:" not in reply.text


@pytest.mark.parametrize("query", ["name=%ff", "name=%c0%af", "name=%ED%A0%80"])
def test_bad_utf_8_in_a_query_is_a_400_or_replaced_never_a_500(client: Client, query: str):
    reply = client.get(f"/probe/typed?{query}")
    assert reply.status in (200, 400)


RAW = {
    "both lengths": b"POST /probe/typed HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n"
    b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"POST /probe/typed HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n"
    b"content-length: 5\r\n\r\nabcde",
    "folded header": b"GET /ping HTTP/1.1\r\nhost: a\r\nx-a: b\r\n c\r\n\r\n",
    "no colon": b"GET /ping HTTP/1.1\r\nhost: a\r\nnonsense\r\n\r\n",
    "bad line": b"HELLO\r\n\r\n",
    "tls hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "bad length": b"POST /probe/typed HTTP/1.1\r\nhost: a\r\ncontent-length: -5\r\n\r\n",
    "bad chunk": b"POST /probe/typed HTTP/1.1\r\nhost: a\r\n"
    b"transfer-encoding: chunked\r\n\r\nzz\r\n",
    "space in a name": b"GET /ping HTTP/1.1\r\nhost: a\r\nx a: b\r\n\r\n",
}


@pytest.mark.parametrize("raw", RAW.values(), ids=RAW)
def test_a_request_that_is_no_http_is_a_400_and_the_end(server: Server, raw: bytes):
    with server.client(timeout=10) as client:
        reply = client.exchange([raw])
        refused(reply, 400)
        with pytest.raises((EOFError, OSError)):
            _again(client)


def _again(client: Client) -> None:
    """Use the same connection once more, which must have been closed."""
    connection = client._socket
    if connection is None:
        raise EOFError("the reply said so")
    connection.sendall(b"GET /ping HTTP/1.1\r\nhost: a\r\n\r\n")
    if not connection.recv(100):
        raise EOFError("closed")


def test_trace_and_unknown_methods_are_refused(client: Client):
    for method in ("TRACE", "CONNECT"):
        assert client.request(method, "/probe/typed").status in (400, 405)


def test_a_host_header_with_a_query_in_it_decides_nothing(client: Client):
    for host in ("a/?x=", "a?b", "a#b", "user@a"):
        reply = client.get("/city/select?countrycode=AD", headers={"host": host})
        assert reply.status in (400, 417)


def test_an_exception_shows_nothing_of_itself(client: Client, server: Server):
    reply = client.get("/probe/fail")
    refused(reply, 500)
    assert "planted" not in reply.text
    assert "planted-in-an-exception" in server.output


def test_a_reply_of_no_declared_table_does_not_leave(client: Client):
    assert "a reply of no declared table" not in client.get("/probe/undeclared").text


# -- slow and vanishing clients --------------------------------------------------------------------


@pytest.fixture(scope="module")
def impatient() -> Iterator[Server]:
    """A server with short deadlines."""
    deadlines = ["-api-header-timeout", "400", "-api-body-timeout", "800"]
    with Server(*PARAMETERS, *deadlines, "-db-create-tables") as made:
        yield made


def _until_closed(connection: socket.socket, trickle: bytes) -> float:
    """Send one byte after the other until the server has had enough; the seconds it took."""
    begun = time.monotonic()
    connection.settimeout(0.1)
    for byte in trickle:
        try:
            connection.sendall(bytes([byte]))
            if not connection.recv(4096):
                break
        except TimeoutError:
            continue
        except OSError:
            break
        if time.monotonic() - begun > 10:
            break
    return time.monotonic() - begun


@pytest.mark.parametrize(
    "start",
    [b"GET /ping HTTP/1.1\r\nx-slow: ",
     b"POST /probe/typed HTTP/1.1\r\nhost: a\r\ncontent-length: 500\r\n\r\n"],
    ids=["header", "body"],
)  # fmt: skip
def test_a_client_that_sends_a_byte_at_a_time_is_dropped(impatient: Server, start: bytes):
    with impatient.client().connect() as connection:
        connection.sendall(start)
        assert _until_closed(connection, b"a" * 100) < 5
    with impatient.client() as client:
        assert client.get("/ping").status == 200


def test_a_connection_that_says_nothing_is_dropped(impatient: Server):
    with impatient.client().connect() as connection:
        connection.settimeout(5)
        while connection.recv(4096):
            pass  # it may be told why


def test_clients_that_vanish_in_the_middle_harm_nobody(client: Client):
    for start in (
        b"GET /pi",
        b"POST /probe/typed HTTP/1.1\r\nhost: a\r\ncontent-length: 50\r\n\r\nab",
        b"GET /city/select HTTP/1.1\r\nhost: a\r\n\r\n",
    ):
        for _ in range(20):
            with client.connect() as connection:
                connection.sendall(start)
    assert client.get("/ping").status == 200


# -- nothing secret in the log ---------------------------------------------------------------------


def test_planted_secrets_are_in_no_log_and_no_reply(server: Server, client: Client, ann: Client):
    password = SECRETS["password"]
    replies = [
        client.post("/account/add", {"login": "eve", "name": "Eve", "password": password}),
        client.get(f"/login?login=eve&password={password}"),
        client.post("/login", {"login": "eve", "password": password, "_session": 1}),
        client.post("/login", f"login=eve&password={password}&_accesstoken=1"),
        client.get(f"/login?login=eve&password=wrong-{password}"),
        ann.get("/auth?_accesstoken=1&_session=1"),
        ann.get("/account/get"),
        ann.get("/nosuch?secret=" + SECRETS["signing secret"]),
        client.post("/account/add", '{"login": "x", "password": "' + password,
                    headers={"content-type": "application/json"}),
    ]  # fmt: skip
    assert [reply.status for reply in replies[:4]] == [200] * 4
    token = replies[3].json()["bk-access-token"]
    client.get(f"/account/get?bk-access-token={token}")
    client.get("/account/get", headers={"bk-access-token": token})
    cookie = "; ".join(f"{name}={value}" for name, value in replies[2].cookies.items())
    client.get("/account/get", headers={"cookie": cookie})
    client.get(f"/account/put/secret?password={password}2", headers={"cookie": cookie})

    logs = {"output": server.output}
    logs |= {str(p): p.read_text(errors="replace") for p in server.home.rglob("*.log")}
    planted = SECRETS | {"access token": token, "cookie": cookie.partition("=")[2]}
    for what, secret in planted.items():
        for name, text in logs.items():
            assert secret not in text, f"{what} in {name}"
    for reply in replies:
        for what, secret in SECRETS.items():
            assert secret not in reply.text, f"{what} in a reply"


def test_nothing_of_a_signature_is_in_the_log(server: Server, ann: Client):
    _, headers = ann.compose("GET", "/auth", headers=None, body=None)
    digest = headers["bk-signature"].split("|")[3]
    assert ann.get("/auth", headers=headers).status == 200
    from urllib.parse import quote

    target = f"/auth?bk-signature={quote(headers['bk-signature'], safe='')}"
    assert ann.get(target).status == 200
    assert digest not in server.output
    assert quote(digest, safe="") not in server.output


def test_configuration_is_printed_with_its_secrets_masked(server: Server):
    shown = run(server.home, "config", "list", "-api-session-secret", SECRETS["session secret"])
    assert shown.returncode == 0, shown.stderr
    assert "session-secret" in shown.stdout
    assert SECRETS["session secret"] not in shown.stdout + shown.stderr
    assert json.dumps(SECRETS["session secret"]) not in shown.stdout
