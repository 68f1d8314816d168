"""What the access log writes, what it keeps to itself, and when."""

from __future__ import annotations

import os
import re
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from bkjs.log import NOTICE
from bkjs.testing.web import scope_of
from bkjs.web import Field, Params
from bkjs.web.endpoints.routes import Routes
from bkjs.web.server.accesslog import CHUNK, LONGEST_URL, redact

from ...harness import add_account

routes = Routes()


@routes.endpoint("/open", public=True, reply=dict)
async def opened(req: Any) -> Any:
    return {"a": 1}


async def test_who_develops_may_have_a_file_too(
    site: Any, lines: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    caplog.set_level(NOTICE, "bkjs.access")
    monkeypatch.setattr("bkjs.web.websettings.on_terminal", lambda: True)
    read, argv = lines
    async with site(routes, *argv) as s:
        await add_account(s.app, "an na")
        await s.ask("/open?secret=hidden")
        await s.ask("/nothing/here", login="an na")
        first, second = read(s)
        assert "GET /open?secret=***" in first
        assert "GET /nothing/here" in second
    shown = [r.getMessage() for r in caplog.records if r.name == "bkjs.access"]
    assert re.fullmatch(r"GET /open 200 \d+ ms", shown[0])
    assert re.fullmatch(r"GET /nothing/here 404 \d+ ms an%20na( \| .*)?", shown[1])
    async with site(routes) as s:
        caplog.clear()
        await s.ask("/open")
    assert [r.levelno for r in caplog.records if r.name == "bkjs.access"] == [NOTICE]


vain = Routes()


class Size(Params):
    n: int = 0
    alias: int = Field(0, alias="as")


vain.verb("/book/select", "book", public=True)


@vain.endpoint("/sized", public=True, params=Size, reply=dict)
async def sized(req: Any, size: Size) -> Any:
    return {"n": size.n}


@vain.endpoint("/silent", public=True, reply=dict)
async def silent(req: Any) -> Any:
    pass


@pytest.mark.parametrize("at_terminal", [True, False])
@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("/book/select?isbn=1", ""),
        ("/book/select?isnb=1", "ignored, book has no such column: isnb"),
        ("/sized?n=1&as=1&_count=1", ""),
        ("/sized?m=1&n=1", "ignored, no parameter has this name: m"),
        ("/silent", "nothing was returned, [] is sent"),
    ],
)
async def test_what_a_request_names_in_vain_is_told_in_development(
    site: Any, at_terminal: bool, target: str, told: str, monkeypatch: pytest.MonkeyPatch,
    caplog: Any,
) -> None:  # fmt: skip
    monkeypatch.setattr("bkjs.web.websettings.on_terminal", lambda: at_terminal)
    tables = {"book": {"id": {"primary": 1, "pub": 1}, "isbn": {"pub": 1}}}
    for mode in ("development", "production"):
        argv = ("-log", "info", "-run-mode", mode)
        async with site(vain, *argv, tables=lambda: tables) as s:
            caplog.clear()
            assert (await s.ask(target)).status == 200
            s.web.access_log.flush()
        noted = [r.getMessage() for r in caplog.records if "ignored" in r.getMessage()]
        noted += [r.getMessage() for r in caplog.records if "nothing" in r.getMessage()]
        if at_terminal or mode == "development":
            assert len(noted) == bool(told)
            assert told in "".join(noted)
        else:
            assert noted == []


async def test_others_may_not_read_the_file(site: Any, tmp_path: Path) -> None:
    """Whatever the umask is: it has addresses and what was asked for."""
    file = tmp_path / "new" / "access.log"
    before = os.umask(0)
    try:
        async with site(routes, "-api-access-log-file", str(file)) as s:
            await s.ask("/open")
            s.web.access_log.flush()
            assert stat.S_IMODE(file.stat().st_mode) == 0o640
    finally:
        os.umask(before)


@pytest.fixture
def lines(tmp_path: Path) -> Any:
    """Reads the lines written so far; and the parameters that make a site write them."""

    file = tmp_path / "access.log"

    def read(s: Any) -> list[str]:
        s.web.access_log.flush()
        return file.read_text().splitlines()

    return read, ("-api-access-log-file", str(file))


@pytest.mark.parametrize(
    ("query", "written"),
    [
        ("a=1&b=2", "a=1&b=2"),
        ("bk-signature=4|x&a=1", "bk-signature=***&a=1"),
        ("a=1&bk-access-token=T", "a=1&bk-access-token=***"),
        ("password=P&Secret=S", "password=***&Secret=***"),
        ("token_secret=T&auth_secret=A", "token_secret=***&auth_secret=***"),
        ("user[password]=P", "user[password]=***"),
        ("p%61ssword=P", "p%61ssword=***"),
        ("password==P&x", "password=***&x"),
        ("password=&secret", "password=&secret"),
        ("q=my password", "q=my password"),
        ("sig=1&x=2", "sig=***&x=2"),
        ("pass=P&user_pass=P&pwd=P&newPwd=P", "pass=***&user_pass=***&pwd=***&newPwd=***"),
        ("auth=A&auth_code=A&pin=1", "auth=***&auth_code=***&pin=***"),
        ("access_key=K&accessKey=K", "access_key=***&accessKey=***"),
        ("otp=1&jwt=J&user[pin]=1&pw=x", "otp=***&jwt=***&user[pin]=***&pw=***"),
        ("code=C&sid=S&apikey=K&api_key=K", "code=***&sid=***&apikey=***&api_key=***"),
        ("sig=S&hmac=H&mfa=1&c%6fde=C", "sig=***&hmac=***&mfa=***&c%6fde=***"),
        ("PHPSESSID=S&session_id=S&a.sid=S", "PHPSESSID=***&session_id=***&a.sid=***"),
        ("authCode=C&verification_code=C", "authCode=***&verification_code=***"),
        ("code_verifier=V&SAMLResponse=R", "code_verifier=***&SAMLResponse=***"),
        ("AWSAccessKeyId=K&client_key=K", "AWSAccessKeyId=***&client_key=***"),
        ("_session=1&country_code=us&zipcode=1", "_session=1&country_code=us&zipcode=1"),
        ("side=a&design=1&codec=v&session=s", "side=a&design=1&codec=v&session=s"),
        ("author=a&pinned=1&spin=2&key=7", "author=a&pinned=1&spin=2&key=7"),
        ("passenger=p&compassion=2", "passenger=p&compassion=2"),
    ],
)  # fmt: skip
def test_values_of_secrets_are_left_out(query: str, written: str) -> None:
    assert redact(query, ("sig", "token")) == written


@pytest.mark.parametrize("query", ["password" * 1000, "verif" * 1600, "session" * 1100,
                                   "a=1&" + "secret" * 1300 + "&", "a&" * 4000])  # fmt: skip
def test_no_query_takes_long(query: str) -> None:
    started = time.process_time()
    redact(query)
    assert time.process_time() - started < 0.02


async def test_a_line_has_the_columns_of_the_protocol(site: Any, lines: Any) -> None:
    async with site(routes, *lines[1]) as s:
        await add_account(s.app, "u")
        await s.ask("/open?a=1", headers={"bk-app": "Shop/1.2"}, ip="10.1.2.3")
        account = (await s.ask("/auth", login="u", headers={"user-agent": "curl 8"})).json()
        open_, auth = lines[0](s)

    before, _, after = open_.partition(" GMT] ")
    assert before.startswith("10.1.2.3 - [")
    length = len(b'{"a":1}')
    head, _, tail = after.partition(" ms - ")
    assert head.rpartition(" ")[0] == f"GET /open?a=1 HTTP/1.1 200 {length} -"
    assert tail == "Shop/1.2 -"
    assert auth.endswith(f" ms - curl%208 {account['id']}")


async def test_each_line_has_its_own_time(site: Any, lines: Any) -> None:
    async with site(routes, *lines[1]) as s:
        for second in (1_700_000_000, 1_700_000_001, 1_700_000_001):
            req = s.web.handle.request(scope_of("/open", "GET", {"host": "h"}, ip="1.1.1.1"), None)
            req.mtime = second * 1000
            s.web.access_log.add(req, 200, 0, 0)
        times = [line.partition("[")[2].partition(" GMT")[0][-2:] for line in lines[0](s)]
    assert times == ["20", "21", "21"]


async def test_names_of_credentials_are_those_that_are_configured(site: Any, lines: Any) -> None:
    renamed = ("-api-signature-header-name", "x-sig", "-api-access-log-fields", "h:x-sig")
    async with site(routes, *lines[1], *renamed) as s:
        await s.ask("/open?x-sig=SIG", headers={"x-sig": "SIG"})
        (line,) = lines[0](s)
    assert "SIG" not in line
    assert line.endswith(" ***")


async def test_further_columns_hold_words_never_whole_requests(site: Any, lines: Any) -> None:
    names = "q:a,q:o,method,host,raw_query,query,headers,scope,account,a:secret,none"
    async with site(routes, *lines[1], "-api-access-log-fields", names) as s:
        await s.ask("/open?a=1&o[password]=P&password=P", headers={"cookie": "C"})
        (line,) = lines[0](s)
    expected = "1 - GET h.com a=1&o[password]=***&password=*** - - - - *** -"
    assert line.endswith(f" - {expected}")


async def test_no_column_is_longer_than_a_line_may_be(site: Any, lines: Any) -> None:
    read, argv = lines
    argv += ("-api-access-log-fields", "h:x-one,q:name,q:text")
    async with site(routes, *argv) as s:
        one = {"x-one": "h" * 15_000, "user-agent": "a" * 15_000}
        body = b'{"name":"%s","text":"\\u202e"}' % (b"n" * 900_000)
        await s.ask(
            "/open?q=" + "q" * 8000, body, headers=one | {"content-type": "application/json"}
        )
        await s.ask("/" + "\u202e" * 2700, headers=one)
        await s.ask("/short", headers={"user-agent": "x" * 1024})
        found = read(s)
    assert len(found) == 3
    assert max(map(len, found)) < 8192 + 4 * 1024 + 500
    assert found[0].endswith("~ %E2%80%AE")
    assert all(line.isascii() for line in found)
    assert "~" not in found[2]


async def test_the_length_of_a_file_is_noted(site: Any, lines: Any, tmp_path: Path) -> None:
    (tmp_path / "a.js").write_bytes(b"12345")
    async with site(routes, *lines[1], "-web-path", str(tmp_path)) as s:
        await s.ask("/a.js")
        await s.ask("/a.js", headers={"range": "bytes=1-2"})
        await s.ask("/a.js", headers={"if-none-match": "*"})
        results = [line.partition("HTTP/1.1 ")[2].split()[:2] for line in lines[0](s)]
    assert results == [["200", "5"], ["206", "2"], ["304", "-"]]


async def test_lines_are_written_together(site: Any, lines: Any, monkeypatch: Any) -> None:
    import os

    writes: list[bytes] = []
    write = os.write

    def counted(file: int, data: bytes) -> int:
        writes.append(data)
        return write(file, data)

    monkeypatch.setattr(os, "write", counted)
    async with site(routes, *lines[1]) as s:
        for _ in range(10):
            await s.ask("/open")
        assert not writes
        s.web.access_log.flush()
        assert [data.count(b"\n") for data in writes] == [10]
        s.web.access_log.flush()
        assert len(writes) == 1
        await s.ask("/open")
        for _ in range(CHUNK // LONGEST_URL):
            await s.ask("/open?" + "x" * CHUNK)
        assert len(writes) == 2, "many lines do not wait"
        await s.ask("/open")
    assert len(writes) == 3, "what is left is written at the end"


async def test_a_log_that_cannot_be_written_fails_no_request(
    site: Any, tmp_path: Path, caplog: Any
) -> None:
    (tmp_path / "file").touch()
    async with site(routes, "-api-access-log-file", str(tmp_path / "file" / "access.log")) as s:
        for _ in range(3):
            assert (await s.ask("/open")).status == 200
            s.web.access_log.flush()
        assert caplog.text.count("its lines are lost") == 1
        (tmp_path / "file").unlink()
        await s.ask("/open")
        s.web.access_log.flush()
        await s.ask("/open")
        s.web.access_log.flush()
        assert caplog.text.count("lines were lost") == caplog.text.count("3 lines") == 1
    assert "GET /open" in (tmp_path / "file" / "access.log").read_text()


async def test_it_can_be_switched_off(site: Any, lines: Any, tmp_path: Path) -> None:
    async with site(routes, *lines[1], "-api-no-access-log") as s:
        await s.ask("/open")
        s.web.access_log.flush()
    assert not (tmp_path / "access.log").exists()
