"""Whatever is sent, the answer is no failure of the server and shows nothing of its inside."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from bkjs.testing.app import make_app
from bkjs.web.endpoints.routes import Routes
from bkjs.web.input.params import Params

from ..harness import Site, module

TABLES = {"thing": {"id": {"primary": 1}, "name": {"pub": 1}, "size": {"type": "int", "pub": 1}}}
routes = Routes()


class Thing(Params):
    id: str
    name: str = ""
    size: int = 0


for path, params in (("get", Thing), ("select", None), ("put", Thing), ("update", Thing)):
    routes.verb(f"/thing/{path}", "thing", params=params, public=True)

PATHS = ["/", "/ping", "/auth", "/login", "/logout", "/docs", "/openapi.json", "/x.png", "/a/b",
         "/thing/get", "/thing/select", "/thing/put", "/thing/update"]  # fmt: skip
METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "BREW"]
NAMES = ["id", "name", "size", "login", "password", "_count", "_start", "_token", "_page", "_ops",
         "_select", "_sort", "_desc", "_total", "_format", "_tm", "_latlon", "_session", "$or",
         "bk-signature", "bk-access-token", "id[]", "a[b][c]", "__class__", "nothing"]  # fmt: skip
VALUES = ["", "1", "-1", "1e400", "9" * 40, "null", "true", "name,regexp", "name,in,size,gt", "(a+",
          "size", "4||u|x|9999999999999||", "5||u|p|1||", "eyJhIjoxfQ==", "csv", "2020-01-01",
          "%00", "%ff", "%zz", "a%5Bb%5D"]  # fmt: skip
HEADERS = ["accept", "accept-language", "cookie", "range", "if-none-match", "if-modified-since",
           "content-type", "content-encoding", "origin", "sec-fetch-site", "user-agent", "bk-app",
           "bk-signature", "bk-access-token", "bk-tz", "bk-lang", "x-forwarded-for"]  # fmt: skip
KINDS = ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a",
         "application/json; charset=x", "text/plain"]  # fmt: skip

text = st.sampled_from(VALUES) | st.text(max_size=20)
target = st.sampled_from(PATHS) | st.sampled_from(PATHS).flatmap(
    lambda path: st.sampled_from(["/", "/..", "//", ";x", "%2f", "%00", "%ff", "\\", ".png"]).map(
        lambda end: path + end
    )
)
query = st.lists(st.tuples(st.sampled_from(NAMES), text), max_size=5).map(
    lambda pairs: "&".join(f"{name}={value}" for name, value in pairs)
)
values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers(-(2**63), 2**63 - 1) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
document = st.dictionaries(st.sampled_from(NAMES), values, max_size=5).map(
    lambda value: orjson.dumps(value, default=str)
)
part = b'--a\r\nContent-Disposition: form-data; name="id"\r\n\r\nx\r\n--a--\r\n'
body = document | query.map(str.encode) | st.binary(max_size=60) | st.just(part)
headers = st.dictionaries(
    st.sampled_from(HEADERS), st.sampled_from(VALUES + KINDS) | st.text(max_size=20), max_size=4
)


def test_no_request_breaks_the_server() -> None:
    with asyncio.Runner() as runner:
        context = make_app([module(routes, tables=lambda: TABLES)])
        site = Site(runner.run(context.__aenter__()))

        @settings(max_examples=300, deadline=None)
        @given(st.sampled_from(METHODS), target, query, headers, body, st.sampled_from(KINDS))
        def check(
            method: str, path: str, query: str, headers: dict[str, str], body: Any, kind: str
        ) -> None:
            sent = {"content-type": kind} | headers
            content = b"" if method in ("GET", "HEAD") else body
            asked = site.ask(f"{path}?{query}", content, method=method, headers=sent)
            reply = runner.run(asked)
            assert reply.status < 500
            assert b"Traceback" not in reply.body

        try:
            check()
        finally:
            runner.run(context.__aexit__(None, None, None))
