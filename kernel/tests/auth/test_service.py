"""Who is calling: signatures, tokens and passwords, and what a stranger learns."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from bkjs.auth import acl, signature
from bkjs.auth.accounts import Hidden, is_admin
from bkjs.auth.passwords import legacy_hash
from bkjs.auth.secretbox import PREFIX, SecretError
from bkjs.errors import AlreadyExists, BadRequest, BkError, NotFound
from bkjs.web.server.limits import Limited

DAY = 86_400_000
PASSWORD = "correct horse"
LONG = "long enough to keep"


async def stored(auth: Any, login: str = "u") -> dict[str, Any]:
    row = await auth.app.db.get("bk_auth", {"login": login})
    assert row is not None
    return row


async def edit(auth: Any, login: str = "u", **columns: Any) -> None:
    """Change a row behind the service's back, as another module would."""
    await auth.app.db.update("bk_auth", {"login": login, **columns})


# -- signatures ------------------------------------------------------------------------------------


async def test_a_signed_request_is_its_account_without_secrets(auth: Any):
    req = auth.signed("u", "k")
    assert await auth.auth.authenticate(req) == {"status": 200, "message": "Ok"}
    assert req.account["login"] == "u"
    assert req.source == "h"
    assert req.signature.login == "u"
    assert not {"secret", "token_secret", "password", "salt", "expires"} & req.account.keys()


async def test_each_request_has_an_account_of_its_own(auth: Any):
    first, second = auth.signed("u", "k"), auth.signed("u", "k")
    await auth.auth.authenticate(first)
    first.account["name"] = "changed"
    await auth.auth.authenticate(second)
    assert second.account["name"] == "U"


async def test_signature_in_the_query(auth: Any):
    url = signature.sign_url("u", "k", "/x?a=1", host="h.com", now=auth.now)
    req = auth.request(url)
    assert await auth.status(req) == 200
    assert req.source == "q"
    assert req.query == {"a": "1"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 417),
        ({"bk-signature": "nonsense"}, 417),
        ({"bk-signature": "6||u|d|1700000030000||"}, 401),
        ({"bk-signature": "2||u|d|1700000030000||"}, 416),
        ({"bk-signature": "3||u|d|1700000030000||"}, 416),
        ({"bk-access-token": "not-a-token"}, 417),
        ({"host": ""}, 415),
    ],
)
async def test_refusals(auth: Any, headers: dict[str, str], status: int):
    assert await auth.status(auth.request(headers=headers)) == status


async def test_expired_says_the_time_on_both_sides(auth: Any):
    req = auth.request("/auth", headers={"bk-signature": f"4||u|d|{auth.now - 1000}||"})
    status = await auth.auth.authenticate(req)
    assert status["status"] == 406
    assert status["code"] == "EXPIRED"
    assert status["message"] == (
        "Expired request [auth...uth], check your clock, the server time is"
        " 11/14/2023 22:13:20 GMT, your clock is 11/14/2023 22:13:19 GMT"
    )


async def test_signature_age_forgives_slow_clocks(auth: Any):
    req = auth.signed("u", "k", sign={"expires": auth.now + 1})
    req.mtime += 500
    assert await auth.status(req) == 406
    auth.api.signature_age = 1000
    assert await auth.status(req) == 200


async def test_an_expiry_far_ahead_is_refused(auth: Any):
    year = auth.now + 365 * DAY
    status = await auth.auth.authenticate(auth.signed("u", "k", sign={"expires": year}))
    assert (status["status"], status["code"]) == (406, "EXPIRED")
    week = auth.now + 7 * DAY
    assert await auth.status(auth.signed("u", "k", sign={"expires": week})) == 200


async def test_sha1_counts_only_with_compat(auth: Any):
    assert await auth.status(auth.signed("u", "k", sign={"version": 1})) == 401
    auth.api.compat = ["v1"]
    assert await auth.status(auth.signed("u", "k", sign={"version": 1})) == 200


async def test_login_is_normalised_but_an_exact_old_one_goes_first(auth: Any):
    assert await auth.status(auth.signed("U", "k")) == 200
    assert await auth.status(auth.signed("Ｕ", "k")) == 200
    await auth.app.db.add("bk_auth", {"login": "Old", "id": "7", "secret": "s7"})
    req = auth.signed("Old", "s7")
    assert await auth.status(req) == 200
    assert req.account["id"] == "7"
    assert await auth.status(auth.signed("old", "s7")) == 401


async def test_a_second_secret_is_part_of_the_key(auth: Any):
    await auth.auth.accounts.update("u", {"auth_secret": "2fa"}, admin=True)
    assert await auth.status(auth.signed("u", "k")) == 401
    assert await auth.status(auth.signed("u", "k:2fa")) == 200


# -- what a stranger learns ------------------------------------------------------------------------


async def wrong(auth: Any, kind: str) -> Any:
    if kind == "expired":
        await edit(auth, expires=auth.now - 1)
    login = "nobody" if kind == "unknown" else "u"
    return auth.signed(login, "k" if kind == "expired" else "bad")


@pytest.mark.parametrize("kind", ["unknown", "wrong", "expired"])
async def test_one_answer_for_everything_that_is_wrong(auth: Any, kind: str):
    status = await auth.auth.authenticate(await wrong(auth, kind))
    assert status == {"status": 401, "message": "Not authenticated"}


@pytest.mark.parametrize(
    ("kind", "code", "message"),
    [
        ("unknown", 404, "No account record found"),
        ("wrong", 401, "Not authenticated"),
        ("expired", 412, "This account has expired"),
    ],
)
async def test_compat_tells_what_is_wrong(auth: Any, kind: str, code: int, message: str):
    auth.api.compat = ["2018"]
    status = await auth.auth.authenticate(await wrong(auth, kind))
    assert status == {"status": code, "message": message}


@pytest.mark.parametrize("kind", ["unknown", "wrong", "expired"])
async def test_the_digest_is_computed_whatever_is_wrong(
    auth: Any, kind: str, monkeypatch: pytest.MonkeyPatch
):
    req = await wrong(auth, kind)
    calls = []
    compute = signature.compute
    monkeypatch.setattr(signature, "compute", lambda *a: calls.append(a) or compute(*a))
    await auth.auth.authenticate(req)
    assert len(calls) == 1


@pytest.mark.parametrize("column", ["secret", "auth_secret", "token_secret"])
async def test_a_secret_that_cannot_be_read_fails_where_it_is_needed(auth: Any, column: str):
    pytest.importorskip("cryptography")
    accounts = auth.auth.accounts
    await edit(auth, **{column: f"{PREFIX}bG9zdCwgYW5kIGxvbmcgZW5vdWdoIHRvIGJlIG9uZQ=="})
    if column != "token_secret":  # what every signature needs is read with the account
        with pytest.raises(SecretError, match=column):
            await auth.status(auth.signed("u", "k"))
    else:
        assert await auth.status(auth.signed("u", "k")) == 200
    before = await stored(auth)
    for fails in (
        lambda: accounts.rename("u", "n"),
        lambda: accounts.set_secret("u", {"token_secret": "1"}),
        lambda: accounts.update("u", {"name": "N"}),
        lambda: token_of(auth),
    ):
        with pytest.raises(SecretError, match=column):
            await fails()
    assert await stored(auth) == before
    await accounts.reset("u", {"secret": LONG})
    assert await auth.status(auth.signed("u", LONG)) == 200


async def test_a_hidden_column_is_opened_when_it_is_asked_for():
    asked = []
    row = {"login": "u", "secret": "s", "token_secret": "t", "salt": "", "expires": 5}
    hidden = Hidden(row, lambda name, text: asked.append(name) or f"{text}!")
    assert asked == ["secret"]
    assert (hidden.get("secret"), hidden["expires"], hidden.get("salt", 1)) == ("s!", 5, 1)
    assert len(hidden) == 3
    assert "token_secret" in hidden
    assert asked == ["secret", "token_secret"]
    assert {**hidden} == {"secret": "s!", "expires": 5, "token_secret": "t!"}
    assert hidden.get("token_secret") == hidden["token_secret"] == "t!"
    assert asked == ["secret", "token_secret"]
    assert "t!" not in repr(hidden)


async def test_what_limits_an_account_is_seen_at_once(auth: Any):
    assert await auth.status(auth.signed("u", "k")) == 200
    for columns, code in (
        ({"expires": auth.now - 1}, 401),
        ({"expires": 0, "acl_deny": "^/x"}, 403),
        ({"acl_deny": "", "acl_allow": "^/y"}, 403),
        ({"acl_allow": ""}, 200),
    ):
        await edit(auth, **columns)
        assert await auth.status(auth.signed("u", "k")) == code
    await edit(auth, query_deny="^b$")
    req = auth.signed("u", "k", "/x?a=1&b=2")
    assert await auth.status(req) == 200
    assert req.query == {"a": "1"}


async def test_a_fingerprint_changes_with_the_account_and_with_the_secret_of_sessions(auth: Any):
    accounts = auth.auth.accounts
    found = await accounts.find("u")
    first = accounts.fingerprint(found)
    assert first == accounts.fingerprint(found)
    assert len({first, accounts.fingerprint(found, token=True)}) == 2
    copied = found.copy()
    assert accounts.fingerprint(copied) == first
    copied["type"] = "admin"
    assert accounts.fingerprint(copied) != first
    auth.api.session_secret = "another"
    second = accounts.fingerprint(found)
    assert second != first
    assert second == accounts.fingerprint(found.copy())
    auth.api.session_secret = ""
    assert accounts.fingerprint(found) == first
    await edit(auth, type="admin")
    assert accounts.fingerprint(await accounts.find("u")) != first


# -- bodies, replays, account rules ----------------------------------------------------------------


async def test_checksum_of_the_body_is_checked(auth: Any):
    json_type = {"content_type": "application/json", "method": "POST"}
    assert await auth.status(auth.signed("u", "k", body=b'{"a":1}', **json_type)) == 200
    changed = auth.signed("u", "k", body=b'{"a":1}', **json_type)
    changed.body = b'{"a":2}'
    assert await auth.status(changed) == 400
    stripped = auth.signed("u", "k", body=b'{"a":1}', **json_type)
    stripped.body = None
    assert await auth.status(stripped) == 400


async def test_checksum_can_be_required(auth: Any):
    def unsummed() -> Any:
        header = signature.create_signature(
            "u", "k", "POST", "h.com", "/x", type="application/json", now=auth.now
        )
        headers = header | {"content-type": "application/json"}
        return auth.request("/x", method="POST", body=b"{}", headers=headers)

    assert await auth.status(unsummed()) == 200
    auth.api.require_body_checksum = True
    assert await auth.status(unsummed()) == 400


async def test_a_form_is_signed_by_its_text_and_the_url_does_not_count(auth: Any):
    form = {"method": "POST", "body": b"a=1&b=2", "content_type": signature.FORM}
    req = auth.signed("u", "k", "/x?evil=1", **form)
    assert await auth.status(req) == 200
    assert req.query == {"a": "1", "b": "2"}
    fastapi = auth.signed("u", "k", "/x?evil=1", **form)
    fastapi.endpoint = None
    assert await auth.status(fastapi) == 400
    changed = auth.signed("u", "k", "/x", **form)
    changed.body = b"a=1&b=3"
    assert await auth.status(changed) == 401


@pytest.mark.parametrize("version", [1, 4])
async def test_a_signed_write_works_once_and_a_read_again_and_again(auth: Any, version: int):
    auth.api.compat = ["v1"]
    sign = {"version": version}
    write = auth.signed("u", "k", writes=True, sign=sign)
    read = auth.signed("u", "k", "/y", sign=sign)
    assert [await auth.status(write) for _ in range(2)] == [200, 406]
    assert [await auth.status(read) for _ in range(2)] == [200, 200]
    replayed = await auth.auth.authenticate(write)
    assert replayed["code"] == "REPLAYED"


async def test_a_forgiven_signature_is_still_used_only_once(auth: Any):
    auth.api.signature_age = 10_000
    req = auth.signed("u", "k", writes=True, sign={"expires": auth.now + 1})
    req.mtime += 5000
    assert [await auth.status(req) for _ in range(2)] == [200, 406]


async def test_of_a_hundred_replays_at_once_one_works(auth: Any):
    req = auth.signed("u", "k", writes=True)
    header = {"bk-signature": req.headers["bk-signature"]}
    copies = [auth.request("/x", headers=header, writes=True) for _ in range(100)]
    found = await asyncio.gather(*map(auth.status, copies))
    assert sorted(found) == [200] + [406] * 99


async def test_a_refused_request_does_not_use_up_its_signature(auth: Any):
    req = auth.signed("u", "k", writes=True)
    digest = req.headers["bk-signature"].split("|")[3]
    forged = auth.request(
        "/other", writes=True, headers={"bk-signature": req.headers["bk-signature"]}
    )
    assert digest
    assert await auth.status(forged) == 401
    assert await auth.status(req) == 200


@pytest.mark.parametrize(
    ("rules", "code", "message"),
    [
        ({"acl_deny": "^/x"}, 403, "Access denied"),
        ({"acl_deny": "secret=1"}, 403, "Access denied"),
        ({"acl_allow": "^/y"}, 403, "Not permitted"),
        ({"acl_allow": "^/x"}, 200, "Ok"),
        ({"acl_deny": "("}, 403, "Access denied"),
        ({"acl_allow": "("}, 403, "Not permitted"),
        ({"acl_deny": "a" * 300}, 403, "Access denied"),
    ],
)
async def test_rules_of_the_account(auth: Any, rules: dict[str, str], code: int, message: str):
    await auth.auth.accounts.update("u", rules, admin=True)
    status = await auth.auth.authenticate(auth.signed("u", "k", "/x?secret=1"))
    assert (status["status"], status["message"]) == (code, message)


@pytest.mark.parametrize(
    "path",
    ["/note/select", "/note//select", "/note/%73elect", "/note%2fselect"],
)
async def test_no_spelling_of_a_path_passes_the_rules_of_an_account(auth: Any, path: str):
    await auth.auth.accounts.update("u", {"acl_deny": "^/note/select"}, admin=True)
    assert await auth.status(auth.signed("u", "k", path)) == 403
    await auth.auth.accounts.update("u", {"acl_deny": "", "acl_allow": "^/note/get"}, admin=True)
    assert await auth.status(auth.signed("u", "k", path)) == 403


async def test_rules_are_refused_without_the_package_that_matches_them(
    auth: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    acl.safe_pattern.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "re2", None)
    await auth.auth.accounts.update("u", {"acl_allow": "^/"}, admin=True)
    with caplog.at_level(logging.ERROR):
        assert await auth.status(auth.signed("u", "k")) == 403
    assert "pip install bkjs[auth]" in caplog.text
    acl.safe_pattern.cache_clear()


async def test_denied_parameters_are_taken_away(auth: Any):
    await auth.auth.accounts.update("u", {"query_deny": "^(role|x)$"}, admin=True)
    req = auth.signed("u", "k", "/x?ROLE=1&x=2&name=3")
    assert await auth.status(req) == 200
    assert req.query == {"name": "3"}


async def test_a_plugin_may_answer_who_is_calling(auth: Any):
    auth.hooks.authenticate = lambda req: {"login": "jwt", "id": "5", "secret": "s"}
    req = auth.request()
    assert await auth.status(req) == 200
    assert req.account == {"login": "jwt", "id": "5"}
    auth.hooks.authenticate = lambda req: None
    assert await auth.status(auth.request()) == 417


# -- passwords -------------------------------------------------------------------------------------


@pytest.fixture
async def member(auth: Any) -> Any:
    await auth.auth.accounts.add({"login": "m", "name": "M", "password": PASSWORD})
    auth.hashes = 0
    return auth


@pytest.mark.parametrize(
    ("scheme", "ip", "headers", "compat", "status"),
    [
        ("https", "9.9.9.9", {}, (), 200),
        ("http", "127.0.0.1", {}, (), 200),
        ("http", "9.9.9.9", {}, (), 401),
        ("http", "127.0.0.1", {"x-forwarded-for": "9.9.9.9"}, (), 401),
        ("http", "9.9.9.9", {}, ("v5",), 200),
    ],
)
async def test_a_password_is_only_accepted_where_nobody_listens(
    member: Any, scheme: str, ip: str, headers: Any, compat: Any, status: int
):
    member.api.compat = compat
    sign = {"version": 5}
    req = member.signed("m", PASSWORD, sign=sign, scheme=scheme, ip=ip, headers=headers)
    assert await member.status(req) == status


async def test_login_gives_the_account(member: Any):
    req = member.request("/login")
    account = await member.auth.login(req, "M", PASSWORD)
    assert account["login"] == "m"
    assert req.account is account
    assert "password" not in account


async def fails(auth: Any, login: str, password: str) -> BkError:
    with pytest.raises(BkError) as refused:
        await auth.auth.login(auth.request("/login"), login, password)
    return refused.value


@pytest.mark.parametrize("kind", ["unknown", "wrong", "expired", "without password", "legacy"])
async def test_failed_logins_are_all_the_same_and_cost_one_hash(member: Any, kind: str):
    login, password = "m", PASSWORD
    match kind:
        case "unknown":
            login = "nobody"
        case "wrong":
            password = "battery staple"
        case "expired":
            await edit(member, "m", expires=member.now - 1)
        case "without password":
            login, password = "u", "k"
        case "legacy":
            await edit(member, "m", salt="S", password=legacy_hash("S", "other"))
    error = await fails(member, login, password)
    assert error.reply() == {"status": 401, "message": "Not authenticated"}
    assert member.hashes == 1


async def test_an_old_password_hash_is_replaced_at_login(member: Any):
    await edit(member, "m", salt="S", password=legacy_hash("S", PASSWORD))
    await member.auth.login(member.request("/login"), "m", PASSWORD)
    row = await stored(member, "m")
    assert row["password"].startswith("$argon2id$")
    assert not row["salt"]
    await member.auth.login(member.request("/login"), "m", PASSWORD)


async def test_guessing_is_throttled(member: Any):
    for _ in range(10):
        await fails(member, "m", "wrong password")
    hashes = member.hashes
    error = await fails(member, "m", PASSWORD)
    assert isinstance(error, Limited)
    assert member.hashes == hashes
    await member.auth.login(member.request("/login", ip="8.8.8.8"), "m", PASSWORD)


async def test_guessing_in_parallel_gains_nothing(member: Any):
    await asyncio.gather(*(fails(member, "m", f"guess number {n}") for n in range(100)))
    assert member.hashes < 20
    assert not member.auth.throttle._gates


async def test_many_right_logins_at_once_all_succeed(member: Any):
    requests = [member.request("/login") for _ in range(100)]
    found = await asyncio.gather(*(member.auth.login(r, "m", PASSWORD) for r in requests))
    assert [account["login"] for account in found] == ["m"] * 100


async def test_others_do_not_lock_out_whoever_has_a_session(member: Any):
    first = member.request("/login")
    await member.auth.login(first, "m", PASSWORD)
    await member.auth.open_session(first)
    cookies = member.cookies(first)
    for _ in range(15):
        await fails(member, "m", "wrong password")
    assert isinstance(await fails(member, "m", PASSWORD), Limited)
    await member.auth.login(member.request("/login", cookies=cookies), "m", PASSWORD)
    await member.auth.accounts.add({"login": "other", "name": "O", "password": PASSWORD})
    for _ in range(15):
        await fails(member, "other", "wrong password")
    with pytest.raises(Limited):
        await member.auth.login(member.request("/login", cookies=cookies), "other", PASSWORD)


# -- access tokens ---------------------------------------------------------------------------------


async def token_of(auth: Any) -> str:
    req = auth.signed("u", "k")
    await auth.auth.authenticate(req)
    fields = await auth.auth.access_token(req)
    assert fields["bk-access-token-age"] == 7 * DAY
    return fields["bk-access-token"]


def with_token(auth: Any, token: str, **options: Any) -> Any:
    return auth.request(headers={"bk-access-token": token}, **options)


async def test_an_access_token_stands_for_the_account(auth: Any):
    token = await token_of(auth)
    req = with_token(auth, token)
    assert await auth.status(req) == 200
    assert (req.source, req.account["login"]) == ("t", "u")
    assert await auth.status(auth.request(f"/x?bk-access-token={token}")) == 200


async def test_a_token_expires_and_cannot_be_changed(auth: Any):
    token = await token_of(auth)
    assert await auth.status(with_token(auth, f"x{token}")) == 417
    auth.now += 7 * DAY + 1
    assert await auth.status(with_token(auth, token)) == 406


@pytest.mark.parametrize(
    "change", [{"token_secret": "1"}, {"secret": LONG}, {"password": PASSWORD}]
)
async def test_new_secrets_end_tokens(auth: Any, change: dict[str, str]):
    token = await token_of(auth)
    await auth.auth.accounts.set_secret("u", change)
    assert await auth.status(with_token(auth, token)) == 401


async def test_tokens_of_2018_are_read_in_compatible_mode_only(auth: Any):
    pytest.importorskip("cryptography")
    from bkjs.helpers.crypto import encrypt

    await auth.auth.accounts.update("u", {"token_secret": "1"})
    account = await auth.auth.accounts.fetch("u")
    key = signature.signing_key(3, account.secrets)
    made = signature.create_signature(
        "u", key, "GET", "h.com", "/", version=3, expires=60_000, now=auth.now
    )
    old = encrypt("tok-sec", made["bk-signature"], legacy=True, enc="hex")
    auth.api.access_token_secret = "tok-sec"
    assert await auth.status(with_token(auth, old)) == 417
    auth.api.compat = ["tokens"]
    assert await auth.status(with_token(auth, old)) == 200
    auth.now += 60_001
    assert await auth.status(with_token(auth, old)) == 406


# -- login records ---------------------------------------------------------------------------------


async def test_secrets_are_encrypted_at_rest_and_given_once(auth: Any):
    made = await auth.auth.accounts.add({"login": "n", "name": "N", "password": PASSWORD})
    row = await stored(auth, "n")
    assert made["secret"] not in json.dumps(row, default=str)
    assert row["secret"].startswith("enc1:")
    assert row["token_secret"].startswith("enc1:")
    assert "password" not in made
    assert await auth.auth.accounts.secret_of("n") == made["secret"]
    given = await auth.auth.accounts.add({"login": "o", "name": "O", "secret": LONG})
    assert "secret" not in given
    assert await auth.auth.accounts.secret_of("o") == LONG


async def test_secrets_written_by_others_are_encrypted_too(auth: Any):
    await edit(auth, secret="plain")
    assert (await stored(auth))["secret"].startswith("enc1:")
    assert await auth.status(auth.signed("u", "plain")) == 200


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"login": "n", "secret": "s"}, "name is required"),
        ({"name": "N", "secret": "s"}, "login is required"),
        ({"name": "N", "login": " ", "secret": "s"}, "login is required"),
        ({"name": "N", "login": "n"}, "secret is required"),
        ({"name": "N", "login": "n", "secret": ""}, "secret is required"),
        ({"name": "N", "login": "a|b", "secret": "s"}, "not allowed"),
        ({"name": "N", "login": {"$ne": 1}, "secret": "s"}, "login: must be text"),
        ({"name": "N", "login": "n", "secret": ["s"]}, "secret: must be text"),
        ({"name": "N", "login": "n" * 257, "secret": "s"}, "longer than 256"),
        ({"name": "N", "login": "n", "password": "short"}, "at least 8"),
        ({"name": "N", "login": "n", "password": "password123"}, "too common"),
    ],
)
async def test_what_an_account_needs(auth: Any, query: dict[str, Any], message: str):
    with pytest.raises(BadRequest, match=message):
        await auth.auth.accounts.add(query)


FEW, UNSEEN = "6 different characters at least", "control and invisible characters"
GUESSABLE = [
    ("y" * 16, FEW),
    ("abcde" * 9, FEW),
    ("a b c d e " * 3, FEW),
    ("\u200b" * 16, UNSEEN),
    ("a" + "\u200b\u200c\u200d\u2060\ufeff" * 6, UNSEEN),
    ("\u3164\u115f\u1160\uffa0\u2800\u034f" * 3, UNSEEN),
    ("".join(map(chr, range(0xFE00, 0xFE10))), UNSEEN),
    ("long enough to keep\n", UNSEEN),
    ("long enough\0to keep", UNSEEN),
    ("long enough\xa0to keep", UNSEEN),
    ("long enough \u202e to keep", UNSEEN),
    ("long enough \ud800 to keep", UNSEEN),
]


async def test_a_new_secret_cannot_be_guessed_from_a_signed_url(auth: Any):
    accounts = auth.auth.accounts
    new = {"login": "n", "name": "N"}
    for secret in ("y", " " * 16, "x" * 15, " " + "x" * 15):
        for set_it in (
            accounts.add(new | {"secret": secret}),
            accounts.add(new | {"secret": secret, "password": PASSWORD}),
            accounts.update("u", {"secret": secret}),
            accounts.set_secret("u", {"secret": secret}),
        ):
            with pytest.raises(BadRequest, match=r"^secret: 16 characters at least") as refused:
                await set_it
            assert refused.value.extra == {"field": "secret"}
    for secret, wrong in GUESSABLE:
        for set_it in (
            accounts.add(new | {"secret": secret}),
            accounts.set_secret("u", {"secret": secret}),
        ):
            with pytest.raises(BadRequest, match=f"^secret: {wrong}") as refused:
                await set_it
            assert refused.value.extra == {"field": "secret"}
    assert await auth.status(auth.signed("u", "k")) == 200  # an old one goes on
    for secret in (
        "0123456789abcdef",
        "correct horse battery",
        "Schlüssel für Ärzte",
        "абвгде" * 3,
    ):
        await accounts.set_secret("u", {"secret": secret})
        assert await auth.status(auth.signed("u", secret)) == 200


@pytest.mark.parametrize("name", ["secrets", "2018"])
async def test_compat_allows_short_secrets(auth: Any, name: str):
    auth.api.compat = [name]
    for secret in ("y", "y" * 16, "\u200b" * 16):
        await auth.auth.accounts.set_secret("u", {"secret": secret})
        assert await auth.status(auth.signed("u", secret)) == 200


async def test_a_taken_login_in_any_spelling_is_refused(auth: Any):
    for login in ("u", "U", " Ｕ "):
        with pytest.raises(AlreadyExists, match="login already exists"):
            await auth.auth.accounts.add({"login": login, "name": "N", "secret": LONG})


SERVER_OWNED = {
    "id": "1", "type": "admin", "flags": ["x"], "auth_secret": "a", "salt": "s", "expires": 1,
    "acl_allow": ".", "acl_deny": "x", "query_deny": "x", "rlimits_max": 9, "rlimits_rate": 9,
    "ctime": 1, "mtime": 1, "__class__": "x", "_types": "admin", "secrets": "x",
}  # fmt: skip


async def test_nobody_makes_himself_what_only_administrators_make(auth: Any):
    await auth.auth.accounts.add(SERVER_OWNED | {"login": "n", "name": "N", "secret": LONG})
    before = await stored(auth, "n")
    await auth.auth.accounts.update("n", SERVER_OWNED | {"login": "other", "name": "Other"})
    after = await stored(auth, "n")
    for row in (before, after):
        for name, value in SERVER_OWNED.items():
            assert row.get(name) != value, name
    assert after["name"] == "Other"
    assert await auth.auth.accounts.fetch("other") is None


async def test_an_administrator_may(auth: Any):
    await auth.auth.accounts.update("u", {"type": "user,admin", "id": "1"}, admin=True)
    account = await auth.auth.accounts.fetch("u")
    assert is_admin(account)
    assert account["id"] != "1"


async def test_set_secret_takes_secrets_only(auth: Any):
    await auth.auth.accounts.set_secret("u", {"secret": LONG, "name": "x", "type": "admin"})
    row = await stored(auth)
    assert row["name"] == "U"
    assert not row.get("type")
    assert await auth.status(auth.signed("u", LONG)) == 200
    assert await auth.status(auth.signed("u", "k")) == 401
    with pytest.raises(BadRequest, match="secret or token_secret is required"):
        await auth.auth.accounts.set_secret("u", {"name": "x", "secret": ""})


async def test_update_without_anything_to_change_writes_nothing(auth: Any):
    assert await auth.auth.accounts.update("nobody", {"zzz": 1, "name": ""}) == {}
    with pytest.raises(NotFound):
        await auth.auth.accounts.update("nobody", {"name": "x"})
    with pytest.raises(NotFound):
        await auth.auth.accounts.set_secret("nobody", {"secret": LONG})


async def test_delete_ends_the_account_at_once(auth: Any):
    assert await auth.status(auth.signed("u", "k")) == 200
    await auth.auth.accounts.delete("u")
    assert await auth.status(auth.signed("u", "k")) == 401
    await auth.auth.accounts.delete("u")


async def test_rename_keeps_the_account_under_another_login(auth: Any):
    before = await stored(auth)
    assert await auth.auth.accounts.rename("u", "New") == "new"
    assert (await stored(auth, "new"))["id"] == before["id"]
    assert await auth.status(auth.signed("new", "k")) == 200
    assert await auth.auth.accounts.fetch("u") is None
    await auth.auth.accounts.add({"login": "taken", "name": "T", "secret": LONG})
    with pytest.raises(AlreadyExists):
        await auth.auth.accounts.rename("new", "taken")
    with pytest.raises(NotFound):
        await auth.auth.accounts.rename("nobody", "x")


# -- what is remembered ----------------------------------------------------------------------------


async def test_reads_are_remembered_until_a_write_by_anyone(auth: Any):
    calls = []
    get = auth.app.db.get

    async def counted(table: str, query: Any, **options: Any) -> Any:
        calls.append(query)
        return await get(table, query, **options)

    auth.app.db.get = counted
    for _ in range(3):
        assert await auth.status(auth.signed("u", "k")) == 200
    assert len(calls) == 1
    await edit(auth, secret="k2")
    assert await auth.status(auth.signed("u", "k")) == 401
    assert len(calls) == 2


async def test_a_refused_sign_up_empties_no_cache(auth: Any, monkeypatch: pytest.MonkeyPatch):
    accounts = auth.auth.accounts
    await accounts.add({"login": "taken", "name": "N", "secret": LONG})
    changes: list[int] = []
    monkeypatch.setattr(auth.auth.epoch, "change", lambda: changes.append(1))
    for query in ({"login": "U"}, {"login": "n", "secret": "y"}, {"login": "a|b"}, {"name": ""}):
        with pytest.raises((AlreadyExists, BadRequest)):
            await accounts.add({"login": "n", "name": "N", "secret": LONG} | query)
    with pytest.raises(AlreadyExists):
        await accounts.rename("u", "taken")
    for change in (accounts.update, accounts.set_secret):
        with pytest.raises(NotFound):
            await change("nobody", {"secret": LONG})
    assert changes == []
    await accounts.add({"login": "n", "name": "N", "secret": LONG})
    assert changes


async def test_unknown_logins_are_remembered_until_they_are_made(auth: Any):
    calls = []
    get = auth.app.db.get

    async def counted(table: str, query: Any, **options: Any) -> Any:
        calls.append(query)
        return await get(table, query, **options)

    auth.app.db.get = counted
    for _ in range(3):
        assert await auth.status(auth.signed("later", LONG)) == 401
    assert len(calls) == 1
    await auth.auth.accounts.add({"login": "later", "name": "L", "secret": LONG})
    assert await auth.status(auth.signed("later", LONG)) == 200


async def test_another_process_of_the_host_sees_a_change_at_once(auth: Any, tmp_path: Any):
    from bkjs.auth.service import AuthService

    other = AuthService(auth.app, auth.app.db, auth.app.home / "var")
    assert await other.authenticate(auth.signed("u", "k")) == {"status": 200, "message": "Ok"}
    await auth.auth.accounts.set_secret("u", {"secret": LONG})
    assert (await other.authenticate(auth.signed("u", "k")))["status"] == 401
    other.close()
