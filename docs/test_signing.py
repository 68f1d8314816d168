"""The page about signatures: its examples are what the code gives, its refusals are real."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import bkjs_accounts
from bkjs import hookimpl
from bkjs.auth import signature
from bkjs.auth.used import MANY
from bkjs.testing.app import make_app
from bkjs.testing.web import HOST, call
from bkjs.web import Routes

PAGE = Path(__file__).with_name("signing.md").read_text(encoding="utf-8")
SECRET = "the secret of anna"
LOGIN = {"login": "anna", "secret": SECRET}
HTTP = re.compile(r"```http\n(\S+) (\S+) HTTP/1.1\n(.*?)\n(?:\n(.*?)\n)?```", re.S)
TEXT = re.compile(r"```text\n(4\\n\n.*?)```", re.S)
HEADER = re.compile(r"```text\n(\S{44})\nbk-signature: (\S+)\n```")


def test_worked_examples_are_what_the_server_calculates():
    requests, texts, signed = HTTP.findall(PAGE), TEXT.findall(PAGE), HEADER.findall(PAGE)
    assert len(requests) == len(texts) == len(signed) == 3
    for (method, uri, head, body), text, (digest, header) in zip(
        requests, texts, signed, strict=True
    ):
        headers = dict(line.split(": ") for line in head.splitlines())
        kind = headers.get("Content-Type", "")
        sig = signature.parse(header)
        form = body if kind == signature.FORM else None
        target = signature.Target.of(method, headers["Host"], uri, query=form, type=kind)
        assert signature.string_to_sign(sig, target) == text.replace("\n", "").replace("\\n", "\n")
        assert signature.compute(sig, target, SECRET) == sig.digest == digest
        assert sig.checksum == ("" if form or not body else signature.checksum(body.encode()))


def test_the_digest_calculated_in_a_shell_is_that_of_the_page():
    if not shutil.which("openssl"):
        pytest.skip("openssl is not here")
    (script,) = re.findall(r"```sh\n(.*?)```", PAGE, re.S)
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == HEADER.search(PAGE)[1]


# -- refusals ------------------------------------------------------------------------------------

routes = Routes()


@routes.endpoint("/read", reply=dict)
async def read(req):
    return {"login": req.account["login"]}


@routes.endpoint("/write", writes=True, reply=dict)
async def write(req):
    return {}


@hookimpl
def configure_web(web):
    web.add(routes)


async def change(app, **columns):
    await app.auth.accounts.update("anna", columns, admin=True)


class Module:
    name = "signed"
    configure_web = staticmethod(configure_web)


@pytest.fixture
async def app(request):
    async with make_app([bkjs_accounts, Module()], *getattr(request, "param", ())) as app:
        await bkjs_accounts.service.add(app, PASSWORD | {"name": "Anna"})
        await change(app, secret=SECRET, type="guest")  # a password has brought another secret
        yield app


def rows() -> list[tuple[int, str, str]]:
    """Status, code and beginning of the message of each row of the table."""
    table = PAGE[PAGE.index("| status | code |") :].partition("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    assert all(len(row) == 5 and row[3] and row[4] for row in cells)
    return [(int(status), code, message) for status, code, message, *_ in cells]


def signed(target="/read", method="GET", **options):
    return signature.sign("anna", SECRET, method, f"http://{HOST}{target}", **options)


DAY = {"expires": 86_400_000}
"""For what is signed long before it is sent."""


def version(number):
    return {"bk-signature": signed(**DAY)["bk-signature"].replace("4", str(number), 1)}


LATE = {"expires": 1}
FAR = {"expires": 8 * 86_400_000}
JSON = {"content-type": "application/json"}
ELSEWHERE = {"sec-fetch-site": "cross-site", "origin": "https://other.example"}
PASSWORD = {"login": "anna", "password": "correct horse"}

CASES = [
    (417, "", "No login provided", (), "/read", {}, None),
    (417, "", "No login provided", (), "/read", {"headers": {"bk-signature": "4|t|anna"}}, None),
    (401, "", "Not authenticated", (), "/read", {"login": "anna", "secret": "x"}, None),
    (401, "", "Not authenticated", (), "/read", {"login": "nobody", "secret": "x"}, None),
    (401, "ADMIN", "Restricted access", ("-api-allow-admin", "^/read"), "/read", LOGIN, None),
    (401, "DENY", "Access denied", ("-api-deny-account-guest", "^/read"), "/read", LOGIN, None),
    (401, "ALLOW", "Access is not allowed", ("-api-allow-account-staff", "^/read"), "/read",
     LOGIN, None),
    (406, "EXPIRED", "The signature must expire within", (), "/read",
     {"headers": signed(**FAR)}, None),
    (416, "", "Invalid request", (), "/read", {"headers": version(3)}, None),
    (400, "CHECKSUM", "The checksum of the body", ("-api-require-body-checksum",), "/read",
     {"headers": JSON | signed(method="POST", content_type="application/json", **DAY)}, {"a": 1}),
    (403, "CSRF", "Access denied", (), "/login?_session=1", {"headers": ELSEWHERE}, PASSWORD),
    (403, "", "Access denied", ("-api-deny", "^/read"), "/read", LOGIN, None),
    (405, "", "Method not allowed", (), "/write", {"method": "HEAD"} | LOGIN, None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "code", "message", "app", "target", "options", "body"), CASES, indirect=["app"]
)
async def test_refusal(status, code, message, app, target, options, body):
    reply = await call(app, target, body, **options)
    assert reply.status == status
    if options.get("method") != "HEAD":
        told = reply.json()
        assert (told.get("code", ""), told["message"][: len(message)]) == (code, message)
    assert (status, code, message) in rows()


async def test_refusal_of_what_has_expired_names_both_clocks(app):
    headers = signature.create_signature("anna", SECRET, "GET", HOST, "/read", expires=2, now=1)
    told = (await call(app, "/read", headers=headers)).json()
    assert (told["status"], told["code"]) == (406, "EXPIRED")
    assert told["message"].startswith("Expired request")
    assert "the server time is" in told["message"]
    assert (406, "EXPIRED", "Expired request") in rows()


async def test_refusal_of_what_was_sent_before(app):
    headers = signed("/write", "POST")
    assert (await call(app, "/write", method="POST", headers=headers)).status == 200
    told = (await call(app, "/write", method="POST", headers=headers)).json()
    assert (told["status"], told["code"]) == (406, "REPLAYED")
    assert told["message"].startswith("This request was already sent")


@pytest.mark.parametrize("app", [("-api-disable-session", "^/read")], indirect=True)
async def test_a_session_and_where_it_does_not_count(app):
    reply = await call(app, "/login", PASSWORD | {"_session": 1})
    cookie = reply.headers["set-cookie"].partition(";")[0]
    assert cookie.startswith("bk-session=")
    assert (await call(app, "/auth", headers={"cookie": cookie})).json()["login"] == "anna"
    told = (await call(app, "/read", headers={"cookie": cookie})).json()
    assert (told["status"], told["code"], told["message"]) == (401, "DISABLED", "Not authorized")
    assert (await call(app, "/auth", headers={"cookie": cookie} | ELSEWHERE)).status == 417


async def test_access_token_is_good_until_the_secrets_change(app):
    token = (await call(app, "/login", PASSWORD | {"_accesstoken": 1})).json()
    assert token["bk-access-token-age"] == 7 * 86_400_000
    headers = {"bk-access-token": token["bk-access-token"]}
    assert (await call(app, "/read", headers=headers)).json() == {"login": "anna"}
    assert (await call(app, f"/read?bk-access-token={token['bk-access-token']}")).status == 200
    assert (await call(app, "/auth?_accesstoken=1", **LOGIN)).json()["bk-access-token"]
    await change(app, secret="another one of anna")
    assert (await call(app, "/read", headers=headers)).status == 401
    assert (await call(app, "/read", headers={"bk-access-token": "x"})).status == 417


async def test_a_link_is_signed_without_its_signature(app):
    link = signature.sign_url("anna", SECRET, f"http://{HOST}/read?b=1&a=2")
    assert (await call(app, link.removeprefix(f"http://{HOST}"))).status == 200


async def test_second_secret_is_part_of_the_key(app):
    await change(app, auth_secret="more")
    assert (await call(app, "/read", **LOGIN)).status == 401
    assert (await call(app, "/read", login="anna", secret=f"{SECRET}:more")).status == 200


async def test_rules_of_an_account(app):
    for rule, message in (("acl_deny", "Access denied"), ("acl_allow", "Not permitted")):
        pattern = "^/rea.$" if rule == "acl_deny" else "^/other"
        await change(app, **{"acl_deny": "", "acl_allow": "", rule: pattern})
        told = (await call(app, "/read", **LOGIN)).json()
        assert (told["status"], told["code"], told["message"]) == (403, "ACL", message)
        assert (403, "ACL", message) in rows()


def test_every_row_of_the_table_is_provoked_here():
    others = {
        (406, "EXPIRED", "Expired request"),
        (406, "REPLAYED", "This request was already sent"),
        (401, "DISABLED", "Not authorized"),
        (403, "ACL", "Access denied"),
        (403, "ACL", "Not permitted"),
        (429, "", ""),
        (503, "Unavailable", "Too many signed requests are remembered"),
    }
    assert set(rows()) == others | {case[:3] for case in CASES}
    assert MANY.startswith("Too many signed requests are remembered")
