"""What leaves the server: results cleaned and encoded, status objects, failures."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from http.client import responses
from inspect import isawaitable
from typing import Any
from urllib.parse import quote

from bkjs.auth.accounts import AUTH_TABLE, Account
from bkjs.core.asgi import Header
from bkjs.db.contract import Written
from bkjs.errors import GENERIC, BadRequest, BkError
from bkjs.lib.json import wire_json
from bkjs.lib.places import at, place_of, said
from bkjs.readonly import ReadOnly
from bkjs.web.input.params import refusal
from bkjs.web.request import Request
from bkjs.web.response import NEXT_TOKEN, NO_STORE, Response, Sendable

from .columns import Undeclared, clean
from .formats import FORMATS

log = logging.getLogger(__name__)

_NAMES = ("code", "field")  # for programs, not to be translated
_URL_SAFE = "%/:=&?~#+!$,;'@()*[]"


def finish(req: Request, value: Any) -> Response | Sendable:
    """The reply for what a handler returned: columns cleaned, in the format that was asked for.

    Raises TypeError for a value that is no reply, and Undeclared for rows of which nothing says
    whose columns they have: an endpoint declares `table`, `tables` and `reply`, or sets
    `req.cleanup`.
    """
    if not isinstance(value, (dict, list)):
        if isinstance(value, Response) or (hasattr(value, "send") and hasattr(value, "status")):
            return value  # type: ignore[no-any-return]
        value = _value(req, value)
    if value:
        value = _cleaned(req, value)
    wanted = FORMATS.get(str(req.controls.get("format"))) if "_format" in req.query else None
    headers = _no_store(req)
    if wanted:
        encode, type = wanted
        body = encode(value, req.controls.get("separator", ""))
        return Response(body, 200, type, (*_next(value), *headers))
    return Response(wire_json(value), headers=headers)


def _cleaned(req: Request, value: Any) -> Any:
    tables, endpoint = req.cleanup, req.endpoint
    assert endpoint
    if isinstance(value, Account):
        names = {AUTH_TABLE: None} | dict.fromkeys(tables.split(",") if tables else ())
        return clean(req, value, ",".join(names))
    if tables or endpoint.nested:
        return clean(req, value, tables, endpoint.nested, owner=endpoint.owner)
    return endpoint.check_reply(value) if endpoint.check_reply else value


def _next(value: Any) -> tuple[Header, ...]:
    """The token of the next page for formats that have no place for it."""
    token = value.get("next_token") if isinstance(value, Mapping) else None
    return ((NEXT_TOKEN, quote(str(token), safe=_URL_SAFE).encode()),) if token else ()


def check_format(req: Request) -> None:
    """Raises BadRequest for a `_format` that nothing writes."""
    name = req.query.get("_format")
    if name and (not isinstance(name, str) or name not in FORMATS):
        known = ", ".join(FORMATS)
        raise BadRequest(f"_format: {str(name)[:32]!r} is none of {known}", field="_format")


def _value(req: Request, value: Any) -> Any:
    if isinstance(value, Written):
        return value.row or value.obj or {}
    if value is None:
        req.note = req.note or "nothing was returned, [] is sent"
        return []
    if hasattr(value, "model_dump"):
        return value.model_dump()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple):
        return list(value)
    if isawaitable(value):
        raise TypeError(f"{req.path}: an endpoint returned a coroutine; is an await missing?")
    raise TypeError(
        f"{req.path}: an endpoint returned {type(value).__name__};"
        " return a dict, a list, rows, or a Response"
    )


def _no_store(req: Request) -> tuple[Header, ...]:
    if not req.response_headers:
        return NO_STORE
    given = {name for name, _ in req.response_headers}
    if given.isdisjoint(dict(NO_STORE)):
        return NO_STORE
    return tuple(header for header in NO_STORE if header[0] not in given)


def status_reply(req: Request, obj: Mapping[str, Any]) -> Response:
    """A status object as reply: JSON with its texts translated; 301 and 302 redirect to `url`.

    With `type` the message itself is the body, of that content type.
    """
    code = obj.get("status") or 200
    if code in (301, 302) and obj.get("url"):
        where = quote(str(obj["url"]), safe=_URL_SAFE).encode("ascii")
        return Response(b"", code, "text/plain", ((b"location", where), *_no_store(req)))
    if req.plan is not None and req.plan.send_statuses:
        obj = dict(obj)
        for change in req.plan.send_statuses:
            change(req, obj)
        code = obj.get("status") or 200
    if obj.get("type"):
        body = _translated(req, str(obj.get("message") or "")).encode()
        return Response(body, code, str(obj["type"]), _no_store(req))
    if code >= 400 and not req.note:
        req.note = str(obj.get("message") or "")
    texts = {
        n: _translated(req, v) if isinstance(v, str) and v and n not in _NAMES else v
        for n, v in obj.items()
    }
    if isinstance(errors := obj.get("errors"), list):
        texts["errors"] = [_translated_error(req, error) for error in errors]
    return Response(wire_json({"status": code} | texts), code, headers=_no_store(req))


def _translated_error(req: Request, error: Any) -> Any:
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        return error | {"message": _translated(req, error["message"])}
    return error


def _translated(req: Request, phrase: str) -> str:
    try:
        return req.t(phrase)
    except BkError:  # the query that may name the language is what is wrong
        return phrase


def failure(req: Request, exc: BaseException) -> Response:
    """The reply for an exception: its own words for ours and those of FastAPI, a general text for
    all others.

    Failures of the server are logged, with the id of the request, at a limited rate; others at the
    level info, with the place in the handler.
    """
    if (known := _known(req, exc)) is not None:
        return known
    if isinstance(exc, Undeclared) and developing(req):
        exc.private = False
    if isinstance(exc, BkError):
        reply = status_reply(req, exc.reply())
        if exc.retry_after:
            reply.headers = (*reply.headers, (b"retry-after", b"%d" % exc.retry_after))
    else:
        code = getattr(exc, "status", 500)
        code = code if isinstance(code, int) and 400 <= code < 600 else 500
        text = req.settings.error_message or GENERIC
        if isinstance(exc, ReadOnly) and developing(req):
            text = str(exc)
        reply = status_reply(req, {"status": code, "message": text})
    if reply.status >= 500 or not isinstance(exc, BkError):
        req.note = ""  # the log says more than a note could
        _report(req, exc, reply.status)
    elif developing(req) or log.isEnabledFor(logging.INFO):
        req.note = f"{exc}{at(place_of(exc))}"
        where = req.id, req.method, req.raw_path  # the path may be what is wrong
        log.info("request %s: %s %s: %d: %s", *where, reply.status, req.note)
    return reply


def developing(req: Request) -> bool:
    """Whether answers may tell what is wrong with the program."""
    mode: str = req.app.config.core.run_mode
    return mode == "development"


def _known(req: Request, error: BaseException) -> Response | None:
    """The answer for an error that FastAPI has a meaning for, None for others."""
    if "starlette.exceptions" not in sys.modules or isinstance(error, BkError):
        return None  # nobody can have raised one
    from fastapi.exceptions import RequestValidationError
    from starlette.exceptions import HTTPException

    if isinstance(error, RequestValidationError):
        refused = refusal(error.errors(), skip=1)
        refused.status = 422
        return failure(req, refused)
    if not isinstance(error, HTTPException):
        return None
    given = (error.headers or {}).items()
    own = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in given]
    if error.status_code in (204, 304):
        return Response(b"", error.status_code, headers=own)
    obj: dict[str, Any] = {"status": error.status_code, "message": error.detail}
    if not isinstance(error.detail, str):
        obj |= {"message": responses.get(error.status_code, "Refused"), "detail": error.detail}
    reply = status_reply(req, obj)
    reply.headers = (*reply.headers, *own)
    return reply


def _report(req: Request, exc: BaseException, code: int) -> None:
    ignored = req.settings.errlog_limiter_ignore
    if (ignored and ignored.search(str(exc))) or not req.settings.errors.consume(1):
        return
    trace = None if isinstance(exc, BkError) else exc
    log.error(
        "request %s: %s %s: %d: %s%s", req.id, req.method, req.path, code,
        said(exc), at(place_of(exc)), exc_info=trace,
    )  # fmt: skip
