"""What leaves the server."""

from __future__ import annotations

import json
import logging
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest
from pydantic import BaseModel

from bkjs.db.contract import Written
from bkjs.db.results import Rows
from bkjs.errors import GENERIC, AlreadyExists, BadRequest, BkError, DriverError, Limited
from bkjs.lib.json import wire_json
from bkjs.testing.vectors import vectors
from bkjs.web.endpoint import Endpoint
from bkjs.web.endpoints.routes import Routes
from bkjs.web.output.formats import to_csv, to_lines, to_xml
from bkjs.web.output.replies import Undeclared, failure, finish, status_reply
from bkjs.web.response import Response

TABLE = {
    "id": {"primary": 1, "pub": 1},
    "name": {"pub": 1},
    "email": {},
    "secret": {"secure": 1},
}
ROW = {"id": "1", "name": "n", "email": "e", "secret": "s"}
LIST = {
    "count": 2,
    "data": [
        {"id": 1, "name": "a<b>", "l": [1, 2]},
        {"id": 2, "name": 'c,"d"', "o": {"x": 1}},
    ],
    "next_token": "abc",
}


@pytest.fixture
def req(auth: Any) -> Any:
    auth.app.db.describe_tables({"bk_x": TABLE})
    return auth.request("/x/get", endpoint=declared(table="bk_x"))


def declared(**options: Any) -> Endpoint:
    """An endpoint with this declaration."""
    routes = Routes()

    @routes.endpoint("/x/get", **options)
    def answer(req: Any) -> Response:
        raise AssertionError

    return routes.endpoints[0]


def sent(reply: Any) -> Any:
    assert isinstance(reply, Response)
    return json.loads(reply.body)


# -- results ---------------------------------------------------------------------------------------


def test_rows_are_cleaned(req: Any):
    assert sent(finish(req, ROW)) == {"id": "1", "name": "n"}
    req.account = {"id": "1"}
    assert sent(finish(req, [ROW])) == [{"id": "1", "name": "n", "email": "e"}]


def test_what_handlers_may_return(req: Any):
    assert sent(finish(req, None)) == []
    assert sent(finish(req, {})) == {}
    assert sent(finish(req, Written(affected=1, obj=ROW))) == {"id": "1", "name": "n"}
    assert sent(finish(req, Written(affected=1, row={"id": "2"}, obj=ROW))) == {"id": "2"}
    assert sent(finish(req, Written())) == {}
    done = Response(b"x")
    assert finish(req, done) is done


@pytest.mark.parametrize("value", ["text", b"bytes", 5, True, object(), (n for n in range(2))])
def test_anything_else_is_refused(req: Any, value: Any):
    with pytest.raises(TypeError, match="/x/get: an endpoint returned"):
        finish(req, value)


async def test_a_forgotten_await_is_named(req: Any):
    async def rows() -> list[Any]:
        return []

    value = rows()
    with pytest.raises(TypeError, match=r"/x/get: .* is an await missing"):
        finish(req, value)
    await value


def test_rows_of_no_declared_table_do_not_leave(auth: Any, req: Any):
    other = auth.request("/x/get", endpoint=declared())
    with pytest.raises(Undeclared, match="table=, or reply=") as refused:
        finish(other, [ROW])
    assert refused.value.reply() == {"status": 500, "message": GENERIC}
    assert sent(finish(other, [])) == []
    other.cleanup = "bk_x"
    assert sent(finish(other, ROW)) == {"id": "1", "name": "n"}
    other.cleanup = "bk_zzz"
    with pytest.raises(Undeclared, match="no known table"):
        finish(other, ROW)


class Greeting(BaseModel):
    hello: str


def test_a_declared_type_names_what_leaves(auth: Any):
    req = auth.request("/zzz", endpoint=declared(reply=Greeting))
    assert sent(finish(req, {"hello": "you", "secret": "s"})) == {"hello": "you"}
    assert sent(finish(req, Greeting(hello="me"))) == {"hello": "me"}
    req = auth.request("/zzz", endpoint=declared(reply=list[Greeting]))
    assert sent(finish(req, Rows([{"hello": "you", "secret": "s"}]))) == [{"hello": "you"}]
    req = auth.request("/zzz", endpoint=declared(reply=dict))
    assert sent(finish(req, {"any": {"thing": [1]}})) == {"any": {"thing": [1]}}


async def test_an_account_leaves_as_its_table_says_whatever_the_endpoint(auth: Any):
    req = auth.signed("u", "k", "/zzz/get")
    await auth.auth.authenticate(req)
    own = sent(finish(req, req.account))
    assert own["login"] == "u"
    await auth.auth.accounts.add({"login": "other", "name": "O", "secret": "the-secret-of-other"})
    for cleanup in ("", "bk_zzz", "bk_auth"):
        req.cleanup = cleanup
        assert sent(finish(req, await auth.auth.accounts.fetch("other"))) == {}


def test_private_answers_are_not_kept(req: Any):
    headers = dict(finish(req, []).headers)
    assert headers[b"cache-control"] == b"max-age=0, no-cache, no-store"
    assert headers[b"pragma"] == b"no-cache"
    req.response_headers.append((b"cache-control", b"public"))
    assert b"cache-control" not in dict(finish(req, []).headers)


@pytest.mark.parametrize(
    ("format", "type"),
    [
        ("xml", "application/xml"),
        ("csv", "text/csv; charset=utf-8"),
        ("json", "text/plain; charset=utf-8"),
    ],
)
def test_other_formats_are_cleaned_too(auth: Any, req: Any, format: str, type: str):
    req = auth.request(f"/x/get?_format={format}", endpoint=req.endpoint)
    reply = finish(req, [ROW])
    assert reply.content_type == type
    assert b"n" in reply.body
    assert b"email" not in reply.body
    page = finish(req, {"count": 1, "data": [ROW], "next_token": "a\r\nb=."})
    assert dict(page.headers)[b"bk-next-token"] == b"a%0D%0Ab=."
    assert b"bk-next-token" not in dict(reply.headers)


# -- formats ---------------------------------------------------------------------------------------

FORMATTED = {
    "/public/list?_format=xml": lambda: to_xml(LIST),
    "/public/list?_format=csv": lambda: to_csv(LIST),
    "/public/list?_format=csv&_separator=;": lambda: to_csv(LIST, ";"),
    "/public/list?_format=json": lambda: to_lines(LIST),
}


@pytest.mark.parametrize(
    "case", [p for p in vectors("api-http") if p.values[0].get("path") in FORMATTED]
)
def test_formats(case: dict[str, Any]):
    expected = case.get("preferred", case)["response"]
    text = FORMATTED[case["path"]]().decode().replace("\r\n", "\n")
    assert text == expected.replace("\r\n", "\n")


def test_empty_lists():
    assert to_csv([]) == b""
    assert to_lines({"count": 0, "data": []}) == b""
    assert to_xml([]) == b"<data>\n</data>"


def test_csv_keeps_columns_when_rows_lack_some():
    assert to_csv([{"a": 1, "b": 2}, {"b": 3}]) == b"a,b\r\n1,2\r\n,3\r\n"


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-x", "@sum", "\tx", "\rx"])
def test_csv_has_no_formulas(text: str):
    line = to_csv([{"a": text}]).split(b"\r\n", 1)[1]
    assert line.lstrip(b'"').startswith(b"'")


def test_csv_numbers_stay_numbers():
    assert to_csv([{"a": -1, "b": "-1.5"}]) == b"a,b\r\n-1,-1.5\r\n"


def test_csv_quotes_and_odd_separators():
    assert to_csv([{"a": 'x "y"\nz'}]) == b'a\r\n"x ""y""\nz"\r\n'
    assert to_csv([{"a": 1, "b": 2}], '"') == b"a,b\r\n1,2\r\n"
    assert to_csv([{"a": 1, "b": 2}], "\n") == b"a,b\r\n1,2\r\n"


def test_xml_is_well_formed_whatever_is_in_it():
    from xml.etree import ElementTree

    row = {"1 <a>": "\x00&<>\"'", "": None, "ok": [1, {"x": "]]>"}], "b": True, "n": "\ud800"}
    tree = ElementTree.fromstring(to_xml([row]))
    assert [cell.text for cell in tree[0]] == ["&<>\"'", None, '[1,{"x":"]]>"}]', "true", None]


def test_json_values():
    value = {
        "t": datetime(2018, 3, 24, 14, tzinfo=UTC), "d": date(2018, 3, 24), "i": Decimal("5"),
        "f": Decimal("1.5"), "x": Decimal("NaN"), "b": b"\x00\xff", "n": float("nan"),
        "s": {1}, "u": "ü",
    }  # fmt: skip
    assert orjson.loads(wire_json(value)) == {
        "t": "2018-03-24T14:00:00.000Z", "d": "2018-03-24", "i": 5, "f": 1.5, "x": None,
        "b": "AP8=", "n": None, "s": [1], "u": "ü",
    }  # fmt: skip


def test_json_beyond_what_the_fast_encoder_takes():
    value = {"big": 2**80, 5: float("inf"), "half": "\ud800", "t": datetime(2018, 1, 1, tzinfo=UTC)}
    assert json.loads(wire_json(value)) == {
        "big": 2**80, "5": None, "half": "\ud800", "t": "2018-01-01T00:00:00.000Z",
    }  # fmt: skip
    with pytest.raises(TypeError, match="cannot hold a object"):
        wire_json({"x": object()})


# -- status objects and failures -------------------------------------------------------------------


def test_status(req: Any):
    reply = status_reply(req, {"status": 409, "message": "conflict", "code": "X"})
    assert reply.status == 409
    assert sent(reply) == {"status": 409, "message": "conflict", "code": "X"}
    assert sent(status_reply(req, {"message": "m"})) == {"status": 200, "message": "m"}
    raw = status_reply(req, {"status": 400, "message": "<no>", "type": "text/plain"})
    assert (raw.body, raw.content_type) == (b"<no>", "text/plain")


def test_status_texts_are_translated(auth: Any, req: Any):
    req.settings.translate = lambda locale, phrase, *args: f"¡{phrase}!"
    assert sent(status_reply(req, {"status": 400, "message": "no"}))["message"] == "¡no!"
    errors = [{"field": "a", "message": "no", "code": "c"}, "other"]
    reply = sent(failure(req, BadRequest("no", field="a", errors=errors)))
    assert reply["message"] == "¡no!"
    assert reply["errors"] == [{"field": "a", "message": "¡no!", "code": "c"}, "other"]


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("/new?a=1&b=%20", b"/new?a=1&b=%20"),
        ("/x\r\nset-cookie: a=b", b"/x%0D%0Aset-cookie:%20a=b"),
        ("/ü", b"/%C3%BC"),
    ],
)
def test_redirects_cannot_split_the_reply(req: Any, url: str, location: bytes):
    reply = status_reply(req, {"status": 302, "url": url})
    assert reply.status == 302
    assert dict(reply.headers)[b"location"] == location


def test_failures_that_clients_may_read(req: Any):
    reply = failure(req, AlreadyExists("login already exists", field="login"))
    assert reply.status == 409
    assert sent(reply) == {
        "status": 409, "message": "login already exists", "code": "AlreadyExists",
        "field": "login",
    }  # fmt: skip


def test_unexpected_failures_show_nothing_and_are_logged(
    req: Any, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.ERROR):
        reply = failure(req, ValueError("secret detail"))
    assert sent(reply) == {"status": 500, "message": GENERIC}
    assert req.id in caplog.text
    assert "secret detail" in caplog.text
    req.settings.error_message = "Sorry"
    assert sent(failure(req, KeyError("x"))) == {"status": 500, "message": "Sorry"}


def test_a_failure_is_answered_although_the_query_cannot_be_read(auth: Any):
    req = auth.request("/x?name=%ff")
    with pytest.raises(BadRequest) as refused:
        _ = req.query
    assert failure(req, refused.value).status == 400


def test_an_exception_may_bring_a_status_but_not_its_text(req: Any):
    error = RuntimeError("visible?")
    error.status = 418  # type: ignore[attr-defined]
    assert sent(failure(req, error)) == {"status": 418, "message": GENERIC}
    error.status = "x"  # type: ignore[attr-defined]
    assert failure(req, error).status == 500


def test_texts_of_databases_stay_in_the_log(req: Any, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.ERROR):
        reply = failure(req, DriverError("syntax error at SELECT"))
    assert sent(reply)["message"] == GENERIC
    assert "SELECT" in caplog.text


def test_retry_after(req: Any):
    reply = failure(req, Limited(2500))
    assert (reply.status, dict(reply.headers)[b"retry-after"]) == (429, b"3")


def test_a_storm_of_failures_does_not_fill_the_log(auth: Any, caplog: pytest.LogCaptureFixture):
    auth.api.errlog_limiter_max = 3
    req = auth.request("/x/get")
    with caplog.at_level(logging.ERROR):
        for _ in range(10):
            failure(req, BkError("x"))
    assert len(caplog.records) == 3
