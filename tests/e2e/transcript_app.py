"""The test routes that the transcripts name; loaded with `-app`."""

from __future__ import annotations

from typing import Any

import orjson

from bkjs import hookimpl
from bkjs.errors import BkError
from bkjs.web import Request, Response, Routes
from bkjs.web.input.controls import request_options

routes = Routes()

LIST = {
    "count": 2,
    "data": [
        {"id": 1, "name": "a<b>", "l": [1, 2]},
        {"id": 2, "name": 'c,"d"', "o": {"x": 1}},
    ],
    "next_token": "abc",
}


def _options(req: Request) -> dict[str, Any]:
    return request_options(req) | req.controls


def _plain(value: Any) -> Response:
    """A reply as it is, without cleaning of columns."""
    return Response(orjson.dumps(value))


@routes.endpoint("/public/echo", public=True)
async def public_echo(req: Request) -> Response:
    posted = req.query.items() if req.method == "POST" else ()
    body = {name: value for name, value in posted if name not in req.url_query}
    value: dict[str, Any] = {"query": req.query, "body": body, "options": _options(req)}
    value |= {"account": req.account, "method": req.method}
    return _plain(value | ({"files": list(req.files)} if req.files else {}))


@routes.endpoint("/echo")
async def echo(req: Request) -> Response:
    return _plain({"query": req.query, "options": _options(req), "account": req.account})


class Undeclared(Exception):
    status = 418


@routes.endpoint("/public/err", public=True, reply=dict)
async def public_err(req: Request) -> Any:
    text = req.query.get("t", "")
    match req.query.get("e"):
        case "obj":
            raise BkError("conflict", status=409, code="X")
        case "err":
            raise RuntimeError("secret detail")
        case "nerr":
            raise Undeclared("visible?")
        case "msgerr":
            raise BkError("shown", status=413)
        case "str":
            raise BkError("string message")
        case "num":
            raise BkError(text, status=402)
    return {"status": 200, "message": text}


@routes.endpoint("/public/list", public=True, reply=dict)
async def public_list(req: Request) -> dict[str, Any]:
    return LIST


@hookimpl
def configure_web(app: Any, web: Any) -> None:
    web.add(routes)
