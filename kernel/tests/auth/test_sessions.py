"""Sessions of browsers: opened, found, ended, and used by our own pages only."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bkjs.auth.sessions import COOKIE, SECURE_COOKIE, hashed
from bkjs.errors import BkError
from bkjs.web.endpoints import login

DAY = 86_400_000
PASSWORD = "correct horse"
ENDPOINTS = {endpoint.path: endpoint for endpoint in login.routes.endpoints}


async def open_session(auth: Any, **options: Any) -> dict[str, str]:
    """The cookies of a browser that signed in."""
    req = auth.signed("u", "k", **options)
    assert await auth.status(req) == 200
    await auth.auth.open_session(req)
    return auth.cookies(req)


async def test_a_session_stands_for_the_account(auth: Any):
    cookies = await open_session(auth)
    req = auth.request(cookies=cookies)
    assert await auth.status(req) == 200
    assert (req.source, req.account["login"]) == ("s", "u")
    assert req.session.login == "u"


async def test_a_signature_goes_before_the_cookie(auth: Any):
    cookies = await open_session(auth)
    req = auth.signed("u", "bad", headers={"cookie": f"{COOKIE}={cookies[COOKIE]}"})
    assert await auth.status(req) == 401
    assert auth.cookies(req) == {}
    assert await auth.status(auth.request(cookies=cookies)) == 200


async def test_the_cookie(auth: Any):
    req = auth.signed("u", "k")
    await auth.auth.authenticate(req)
    await auth.auth.open_session(req)
    [(_, header)] = req.response_headers
    name, *attributes = header.decode().split("; ")
    assert name.startswith(f"{COOKIE}=")
    assert set(attributes) == {"Path=/", "Max-Age=1209600", "HttpOnly", "SameSite=Lax"}
    token = name.partition("=")[2]
    assert len(token) >= 43
    assert await auth.app.db.get("bk_session", {"id": token}) is None
    assert await auth.app.db.get("bk_session", {"id": hashed(token)})


async def test_over_tls_the_cookie_is_bound_to_host_and_tls(auth: Any):
    req = auth.signed("u", "k", scheme="https")
    await auth.auth.authenticate(req)
    await auth.auth.open_session(req)
    header = req.response_headers[0][1].decode()
    assert header.startswith(f"{SECURE_COOKIE}=")
    assert "; Secure" in header
    token = auth.cookies(req)[SECURE_COOKIE]
    assert await auth.status(auth.request(scheme="https", cookies={COOKIE: token})) == 417
    secure = {SECURE_COOKIE: token}
    assert await auth.status(auth.request(scheme="https", cookies=secure)) == 200


async def test_a_new_login_gets_a_new_id_and_the_old_one_ends(auth: Any):
    first = await open_session(auth)
    again = await open_session(auth, headers={"cookie": f"{COOKIE}={first[COOKIE]}"})
    assert again[COOKIE] != first[COOKIE]
    assert await auth.status(auth.request(cookies=first)) == 417
    assert await auth.status(auth.request(cookies=again)) == 200


async def test_an_id_that_the_server_did_not_make_is_nothing(auth: Any):
    req = auth.request(cookies={COOKIE: "chosen"})
    assert await auth.status(req) == 417
    assert auth.cookies(req) == {COOKIE: ""}
    assert await auth.app.db.get("bk_session", {"id": hashed("chosen")}) is None


async def test_absolute_and_idle_lifetime(auth: Any):
    idle = await open_session(auth)
    used = await open_session(auth, sign={"expires": auth.now + 1000})
    for _ in range(2):
        auth.now += 6 * DAY
        assert await auth.status(auth.request(cookies=used)) == 200
    assert await auth.status(auth.request(cookies=idle)) == 417
    auth.now += 3 * DAY
    assert await auth.status(auth.request(cookies=used)) == 417


async def test_last_use_is_written_at_most_once_a_minute(auth: Any):
    cookies = await open_session(auth)
    key = {"id": hashed(cookies[COOKIE])}
    auth.now += 50_000
    await auth.status(auth.request(cookies=cookies))
    assert (await auth.app.db.get("bk_session", key))["atime"] == auth.now - 50_000
    auth.now += 50_000
    await auth.status(auth.request(cookies=cookies))
    assert (await auth.app.db.get("bk_session", key))["atime"] == auth.now


CHANGES = {
    "secret": lambda auth: auth.auth.accounts.set_secret("u", {"secret": "another-one-of-u"}),
    "password": lambda auth: auth.auth.accounts.set_secret("u", {"password": PASSWORD}),
    "type": lambda auth: auth.auth.accounts.update("u", {"type": "admin"}, admin=True),
    "second factor": lambda auth: auth.auth.accounts.update("u", {"auth_secret": "x"}, admin=True),
    "by another module": lambda auth: auth.app.db.update("bk_auth", {"login": "u", "type": "x"}),
    "delete": lambda auth: auth.auth.accounts.delete("u"),
    "rename": lambda auth: auth.auth.accounts.rename("u", "v"),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_changes_of_the_account_end_all_its_sessions_at_once(auth: Any, change: str):
    browsers = [await open_session(auth), await open_session(auth)]
    for cookies in browsers:
        assert await auth.status(auth.request(cookies=cookies)) == 200
    await CHANGES[change](auth)
    for cookies in browsers:
        assert await auth.status(auth.request(cookies=cookies)) in (401, 417)


async def test_a_new_account_with_the_login_of_a_deleted_one_gets_no_old_session(auth: Any):
    cookies = await open_session(auth)
    row = await auth.app.db.get("bk_auth", {"login": "u"})
    await auth.app.db.del_("bk_auth", {"login": "u"})
    await auth.app.db.add("bk_auth", row | {"id": "other"})
    assert await auth.status(auth.request(cookies=cookies)) == 401


async def test_who_changes_the_secret_gets_a_new_session(auth: Any):
    mine, other = await open_session(auth), await open_session(auth)
    req = auth.request(cookies=mine)
    assert await auth.status(req) == 200
    await auth.auth.accounts.set_secret("u", {"password": PASSWORD}, req=req)
    await auth.auth.keep_session(req)
    fresh = auth.cookies(req)
    assert fresh[COOKIE] not in ("", mine[COOKIE])
    assert await auth.status(auth.request(cookies=fresh)) == 200
    for ended in (mine, other):
        assert await auth.status(auth.request(cookies=ended)) in (401, 417)


async def test_no_session_is_given_to_callers_without_one(auth: Any):
    req = auth.signed("u", "k")
    assert await auth.status(req) == 200
    await auth.auth.keep_session(req)
    assert auth.cookies(req) == {}


async def test_other_changes_keep_sessions(auth: Any):
    cookies = await open_session(auth)
    await auth.auth.accounts.update("u", {"name": "Other"})
    req = auth.request(cookies=cookies)
    assert await auth.status(req) == 200
    assert req.account["name"] == "Other"


# -- requests of other sites -----------------------------------------------------------------------


OURS = "http://h.com:8000"
EVIL = "http://evil.com"
LINK = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


@pytest.mark.parametrize(
    ("headers", "reads", "writes"),
    [
        ({}, True, True),  # no browser
        ({"sec-fetch-site": "same-origin"}, True, True),
        ({"sec-fetch-site": "none"}, True, False),  # typed, or a link in a mail
        ({"sec-fetch-site": "same-origin", "sec-purpose": "prefetch"}, True, False),
        ({"sec-fetch-site": "same-origin", "sec-purpose": "prefetch;prerender"}, True, False),
        ({"purpose": "prefetch"}, True, False),
        ({"sec-fetch-site": "same-site"}, False, False),
        ({"sec-fetch-site": "cross-site"}, False, False),
        ({"sec-fetch-site": "cross-site", **LINK}, False, False),
        ({"sec-fetch-site": "unheard-of"}, False, False),
        ({"sec-fetch-site": "cross-site", "origin": OURS}, False, False),
        ({"sec-fetch-site": "cross-site", "referer": f"{OURS}/"}, False, False),
        ({"origin": OURS}, True, True),
        ({"origin": "http://H.com:8000"}, True, True),
        ({"origin": "https://h.com:8000"}, False, False),
        ({"origin": "http://h.com"}, False, False),
        ({"origin": EVIL}, False, False),
        ({"origin": "http://h.com:8000.evil.com"}, False, False),
        ({"origin": "null"}, False, False),
        ({"origin": "http://["}, False, False),
        ({"referer": f"{OURS}/page?a=1"}, True, True),  # browsers without Sec-Fetch-Site
        ({"referer": f"{EVIL}/page"}, False, False),
        ({"referer": f"{EVIL}/{OURS}/"}, False, False),
        ({"referer": "http://h.com:8000@evil.com/"}, False, False),
        ({"referer": "about:blank"}, False, False),
        ({"referer": "http://["}, False, False),
        ({"origin": EVIL, "referer": f"{OURS}/"}, False, False),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_cookie_counts_for_requests_of_our_own_pages(
    auth: Any, headers: dict[str, str], reads: bool, writes: bool, method: str
):
    cookies = await open_session(auth)
    for allowed, writing in ((reads, False), (writes, True), (reads, "quiet")):
        req = auth.request(method=method, cookies=cookies, headers=headers, writes=writing)
        assert await auth.status(req) == (200 if allowed else 417)
        assert bool(req.account) == allowed
        assert auth.cookies(req) == {}  # the session goes on


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {"sec-fetch-site": "cross-site", **LINK}, 200),
        ("GET", {"referer": f"{EVIL}/page"}, 200),
        ("HEAD", {"referer": f"{EVIL}/page"}, 200),
        ("GET", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, 417),  # an image
        ("GET", {"sec-fetch-site": "cross-site", **LINK, "sec-fetch-dest": "iframe"}, 417),
        ("GET", {"origin": EVIL}, 417),
        ("POST", {"origin": EVIL, "sec-fetch-site": "cross-site", **LINK}, 417),
        ("POST", {"referer": f"{EVIL}/page"}, 417),
    ],
)
async def test_a_link_to_a_page_that_others_may_link_to_brings_the_session(
    auth: Any, method: str, headers: dict[str, str], status: int
):
    cookies = await open_session(auth)
    page = SimpleNamespace(writes=False, public=False, navigable=True, tables=(), reply=None)
    req = auth.request(method=method, cookies=cookies, headers=headers, endpoint=page)
    assert await auth.status(req) == status


@pytest.mark.parametrize(
    ("configured", "status"), [("http://a.com", 200), ("http://b.com", 417), ("*", 417)]
)
@pytest.mark.parametrize("header", [{"origin": "http://a.com"}, {"referer": "http://a.com/x"}])
async def test_configured_origins_count_as_our_own(
    auth: Any, configured: str, status: int, header: dict[str, str]
):
    auth.api.cors_origin = [configured]
    cookies = await open_session(auth)
    for writes in (False, True):
        headers = header | {"sec-fetch-site": "same-site"}
        req = auth.request(cookies=cookies, headers=headers, writes=writes)
        assert await auth.status(req) == status


@pytest.mark.parametrize("header", [{"origin": "http://evil.com"}, {"origin": "null"},
                                    {"sec-fetch-site": "cross-site"}])  # fmt: skip
async def test_another_site_cannot_sign_its_visitors_in(auth: Any, header: dict[str, str]):
    await auth.auth.accounts.add({"login": "m", "name": "M", "password": PASSWORD})
    req = plain(auth, "/login?login=m&password=correct%20horse&_session=1", headers=header)
    with pytest.raises(BkError) as refused:
        await call(req)
    assert (refused.value.status, refused.value.code) == (403, "CSRF")
    assert auth.cookies(req) == {}


LOGIN = "/login?login=m&password=correct%20horse&_session=1"


@pytest.mark.parametrize("target", ["/auth?_session=1", "/auth?_session=1&_accesstoken=1", LOGIN])
@pytest.mark.parametrize("header", [{"sec-fetch-site": "none"}, {"origin": EVIL}])
async def test_nothing_has_happened_when_a_session_is_refused(
    auth: Any, target: str, header: dict[str, str], caplog: Any
):
    await auth.auth.accounts.add({"login": "m", "name": "M", "password": PASSWORD})
    caplog.set_level("DEBUG", "bkjs.audit")
    caplog.clear()
    path, hashes = target.partition("?")[0], auth.hashes
    req = auth.signed("u", "k", target, headers=header, endpoint=ENDPOINTS[path])
    if path == "/auth":
        assert await auth.status(req) == 200
    with pytest.raises(BkError) as refused:
        await call(req)
    assert (refused.value.status, refused.value.code) == (403, "CSRF")
    assert (caplog.text, auth.hashes, auth.cookies(req)) == ("", hashes, {})
    assert await auth.app.db.select("bk_session", {}) == []
    assert await auth.auth.first_use(req)  # as if it had not been sent


async def test_a_plugin_that_knows_cookies_is_guarded_too(auth: Any):
    def from_cookie(req: Any) -> Any:
        req.source = "s"
        return {"login": "jwt", "id": "5"}

    auth.hooks.authenticate = from_cookie
    assert await auth.status(auth.request(writes=True)) == 200
    for writes in (False, True):
        foreign = auth.request(writes=writes, headers={"origin": EVIL})
        assert await auth.status(foreign) == 417
        assert (foreign.account, foreign.source) == ({}, "")


@pytest.mark.parametrize(
    ("method", "status"), [("GET", 200), ("HEAD", 200), ("POST", 417), ("DELETE", 417)]
)
async def test_routes_of_fastapi_write_by_their_method(auth: Any, method: str, status: int):
    cookies = await open_session(auth)
    for headers, expected in (({"sec-fetch-site": "none"}, status), ({"origin": EVIL}, 417)):
        req = auth.request(method=method, cookies=cookies, headers=headers)
        req.endpoint = None
        assert await auth.status(req) == expected


async def test_signed_writes_may_come_from_anywhere(auth: Any):
    req = auth.signed("u", "k", writes=True, headers={"origin": "http://evil.com"})
    assert await auth.status(req) == 200


# -- /auth, /login, /logout ------------------------------------------------------------------------


async def call(req: Any) -> Any:
    return await ENDPOINTS[req.path].fn(req)


def plain(auth: Any, target: str, **options: Any) -> Any:
    path = target.partition("?")[0]
    return auth.request(target, endpoint=ENDPOINTS[path], **options)


async def test_auth_gives_the_account_with_what_is_asked_for(auth: Any):
    target = "/auth?_session=1&_accesstoken=1"
    req = auth.signed("u", "k", target, endpoint=ENDPOINTS["/auth"])
    assert await auth.status(req) == 200
    reply = await call(req)
    assert reply["login"] == "u"
    token = reply["bk-access-token"]
    assert await auth.status(auth.request(headers={"bk-access-token": token})) == 200
    assert await auth.status(auth.request(cookies=auth.cookies(req))) == 200


async def test_auth_without_controls_changes_nothing(auth: Any):
    req = auth.signed("u", "k", "/auth", endpoint=ENDPOINTS["/auth"])
    await auth.status(req)
    assert "bk-access-token" not in await call(req)
    assert auth.cookies(req) == {}


@pytest.mark.parametrize("control", ["_session", "_accesstoken"])
async def test_a_replayed_signature_opens_no_session(auth: Any, control: str):
    req = auth.signed("u", "k", f"/auth?{control}=1", endpoint=ENDPOINTS["/auth"])
    await auth.status(req)
    await call(req)
    assert await auth.status(req) == 200
    with pytest.raises(BkError) as refused:
        await call(req)
    assert refused.value.code == "REPLAYED"


async def test_session_control_that_is_false_ends_the_session(auth: Any):
    cookies = await open_session(auth)
    req = plain(auth, "/auth?_session=0", cookies=cookies)
    assert await auth.status(req) == 200
    await call(req)
    assert auth.cookies(req) == {COOKIE: ""}
    assert await auth.status(auth.request(cookies=cookies)) == 417


async def test_login_opens_a_session(auth: Any):
    await auth.auth.accounts.add({"login": "m", "name": "M", "password": PASSWORD})
    req = plain(auth, "/login?login=m&password=correct%20horse&_session=1")
    reply = await call(req)
    assert (reply["login"], reply["name"]) == ("m", "M")
    assert not {"secret", "password", "salt", "token_secret"} & reply.keys()
    assert await auth.status(auth.request(cookies=auth.cookies(req))) == 200


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("login=m", 417),
        ("password=x", 417),
        ("login=&password=", 417),
        ("login[]=m&password=x", 417),
        ("login=m&password[a]=x", 417),
        ("login=m&password=wrong", 401),
        ("login=nobody&password=wrong", 401),
    ],
)
async def test_login_refusals(auth: Any, query: str, status: int):
    await auth.auth.accounts.add({"login": "m", "name": "M", "password": PASSWORD})
    with pytest.raises(BkError) as refused:
        await call(plain(auth, f"/login?{query}"))
    assert refused.value.status == status


async def test_logout_ends_the_session_everywhere(auth: Any):
    cookies = await open_session(auth)
    req = plain(auth, "/logout", cookies=cookies)
    assert await call(req) == {}
    assert auth.cookies(req) == {COOKIE: ""}
    assert await auth.status(auth.request(cookies=cookies)) == 417


async def test_logout_without_credentials(auth: Any):
    with pytest.raises(BkError, match="No login provided") as refused:
        await call(plain(auth, "/logout"))
    assert refused.value.status == 417


async def test_logging_out_of_a_session_that_is_over_is_no_error(auth: Any):
    cookies = await open_session(auth)
    await auth.auth.sessions.end_all("u")
    req = plain(auth, "/logout", cookies=cookies)
    assert await call(req) == {}
    assert auth.cookies(req) == {COOKIE: ""}


@pytest.mark.parametrize("signature", ["nonsense", "4||u|bad|1700000030000||"])
async def test_a_bad_signature_ends_no_session(auth: Any, signature: str):
    cookies = await open_session(auth)
    headers = {"bk-signature": signature, "sec-fetch-site": "cross-site"}
    with pytest.raises(BkError):
        await call(plain(auth, "/logout", cookies=cookies, headers=headers))
    assert await auth.status(auth.request(cookies=cookies)) == 200


async def test_another_site_cannot_log_anyone_out(auth: Any):
    cookies = await open_session(auth)
    headers = {"sec-fetch-site": "cross-site"}
    req = plain(auth, "/logout", cookies=cookies, headers=headers)
    with pytest.raises(BkError) as refused:
        await call(req)
    assert (refused.value.status, auth.cookies(req)) == (417, {})
    assert await auth.status(auth.request(cookies=cookies)) == 200


async def test_no_sessions_when_they_are_switched_off(auth: Any):
    cookies = await open_session(auth)
    auth.api.no_session = True
    assert await auth.status(auth.request(cookies=cookies)) == 417
    assert await open_session(auth) == {}


async def test_rows_of_sessions_that_are_over_are_removed(auth: Any):
    cookies = await open_session(auth)
    auth.now += 15 * DAY
    await open_session(auth)
    assert await auth.app.db.get("bk_session", {"id": hashed(cookies[COOKIE])}) is None


def test_what_they_declare():
    assert {p for p, e in ENDPOINTS.items() if e.public} == {"/login", "/logout"}
    assert {p for p, e in ENDPOINTS.items() if e.writes} == {"/login", "/logout"}
