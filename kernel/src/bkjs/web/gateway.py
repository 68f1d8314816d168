"""The way of a request through the Web service, step by step; every answer leaves through here.

The order of the steps is part of the wire protocol: overload, limits by address and path, cross
origin rules, redirects, body, access rules, signature, authorization, limit by account, handler.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Container, Iterable, Sequence
from time import perf_counter
from types import CoroutineType
from typing import Any

from bkjs.app import App
from bkjs.auth.longlived import LongLived
from bkjs.auth.status import OK, Status
from bkjs.config.derived import Derived
from bkjs.core.asgi import Header, Receive, Scope, Send
from bkjs.errors import BkError, Denied, Disconnected, NotFound, Unavailable
from bkjs.lib.bounded import Bounded
from bkjs.lib.text import near
from bkjs.readonly import READ_ONLY

from .deadlines import Deadlines
from .endpoint import METHODS
from .input import body, multipart
from .output.fallback import FastAPIReply
from .output.outgoing import Outgoing
from .output.replies import check_format, developing, failure, finish, status_reply
from .output.static import Static
from .part import Part
from .plan import Plan
from .request import Request
from .response import BODILESS, NO_STORE, Response, Sendable
from .routing import redirects
from .routing.cors import cors_headers, is_preflight
from .routing.plans import Plans
from .routing.router import Router, method_not_allowed
from .server.accesslog import AccessLog
from .server.limits import Limits
from .server.overload import Overload
from .server.traffic import Traffic
from .websettings import WebSettings
from .websocket import serve

log = logging.getLogger(__name__)

CSP = b"content-security-policy"
HSTS: Header = (b"strict-transport-security", b"max-age=31536000")
_METHODS = frozenset(METHODS)
_OTHER_METHOD = b"x-http-method-override", b"x-http-method", b"x-method-override"
_OF_THE_SERVER = frozenset({b"connection", b"content-length", b"transfer-encoding"})
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")
_VALUE = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*")
_CLOSED: Response = Response(b"", 499)
_STATUS = ("status", "message", "code")

WriteWhole = Callable[[Any, int, bytes, bytes], bool]
"""Gets `send`, a status, lines of headers and a body; False when it has written nothing."""


class Gateway:
    """The ASGI application."""

    def __init__(
        self,
        app: App,
        settings: Derived[WebSettings],
        *,
        router: Router,
        plans: Plans,
        static: Static,
        limits: Limits,
        overload: Overload,
        deadlines: Deadlines,
        traffic: Traffic,
        access_log: AccessLog,
        long_lived: LongLived,
    ) -> None:
        self.app = app
        self._settings = settings
        self._auth = app.auth
        self._router, self._plans, self._static = router, plans, static
        self._limits, self._overload, self._deadlines = limits, overload, deadlines
        self._traffic, self._access_log, self._long_lived = traffic, access_log, long_lived
        self.write_whole: WriteWhole = lambda send, status, headers, body: False
        """A shorter way out for most answers, if the server has one."""
        self.is_gone: Callable[[Any], bool] = lambda send: False
        """Whether the client behind a `send` has left, if the server can tell."""
        self.hang_up: Callable[[Any], None] = lambda send: None
        """End the connection behind a `send`: what was sent is not the whole answer."""
        name, version = getattr(app, "name", ""), getattr(app, "app_version", "")
        own = f"{name}/{version}".strip("/")
        server = f"bkjs/{app.version} {own}".strip().encode("latin-1", "replace")
        self._base: tuple[Header, ...] = (
            (b"server", server),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"same-origin"),
        )
        self._framed: Header = (CSP, b"frame-ancestors 'none'")
        self._plain = (*self._base, self._framed)
        self._first_lines = _joined(self._plain) or b""
        self._lines_of: Bounded[tuple[Any, ...], tuple[bytes, bytes]] = Bounded(256)
        """By what they depend on: all lines of an answer, and those behind `response_headers`."""

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer a request, or serve a WebSocket until it ends; other scopes are ignored."""
        if scope["type"] == "http":
            return self.serve(Request(self.app, self._settings(), scope, receive), send)
        return self._connect(scope, receive, send)

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            held, deadlines = self._long_lived, self._deadlines
            await serve(self.request, self.serve, held, deadlines, scope, receive, send)

    def request(self, scope: Scope, receive: Receive) -> Request:
        """A request that `serve` can answer."""
        return Request(self.app, self._settings(), scope, receive)

    async def serve(self, req: Request, send: Send) -> None:
        """Answer one request, count it and note it."""
        traffic = self._traffic
        started = perf_counter()
        traffic.running += 1
        if traffic.running > traffic.most_running:
            traffic.most_running = traffic.running
        status = 500
        length = 0
        try:
            reply = await self.answer(req)
            status = reply.status
            if reply.__class__ is Response:
                length = len(reply.body)
            await self.send(req, reply, send)
            status = reply.status
            length = length or getattr(reply, "length", 0)
        except asyncio.CancelledError:  # while it was sent
            if self._deadlines.ended(asyncio.current_task()) is None:
                raise
            self.hang_up(send)
        finally:
            traffic.running -= 1
            elapsed = perf_counter() - started
            traffic.done(req.endpoint, status, elapsed)
            self._access_log.add(req, status, length, elapsed)
            if (req.plan and req.plan.cleanups) or req.method not in ("GET", "HEAD"):
                await self._clean_up(req)

    async def answer(self, req: Request) -> Response | Sendable:
        """The reply; whatever fails becomes one."""
        try:
            return await self._run(req)
        except Disconnected:
            return _CLOSED
        except asyncio.CancelledError:
            reason = self._deadlines.ended(req.task or asyncio.current_task())
            if reason is None:
                raise
            return _CLOSED if isinstance(reason, Disconnected) else failure(req, reason)
        except BkError as error:
            reply = failure(req, error)
            if error.status == 405 and "allow" in error.extra:
                reply.headers = (*reply.headers, (b"allow", error.extra["allow"].encode()))
            return reply
        except Exception as error:
            return failure(req, error)
        finally:
            if req.task is not None:
                self._deadlines.end(req.task)

    async def _run(self, req: Request) -> Response | Sendable:
        settings, method = req.settings, req.method
        self._check_load(settings.max_request_queue)
        plan = req.plan = self._plans.find(req)
        if READ_ONLY.get() is not plan.read_only:  # for the rest of the task that serves it
            READ_ONLY.set(plan.read_only)
        req.path, req.raw_path, req.cleanup = plan.path, plan.raw_path, plan.cleanup
        sent = req.raw_headers
        one, two, three = _OTHER_METHOD  # that some servers would take for the method
        if method not in _METHODS or one in sent or two in sent or three in sent:
            raise BkError("Method not allowed", status=405, allow=", ".join(METHODS))
        if settings.hosts:
            redirects.check_host(req)
        if plan.methods is not None:
            req.is_api = True
            req.endpoint = plan.endpoint
            if plan.path_args:
                req.path_args = dict(plan.path_args)
        limits = self._limits
        limited = settings.rlimits_rate or limits.registered
        if limited:
            await limits.check_request(req, "ip", "path")
        if settings.cors_origin:
            req.response_headers += cors_headers(req)
        if method == "OPTIONS" and is_preflight(req):
            return Response(b"", 204)
        if plan.redirects and (redirect := redirects.check(req)):
            return status_reply(req, redirect)
        if method not in ("GET", "HEAD"):
            await body.read(req)
            if req.endpoint is not None:
                body.merge(req)
            elif plan.routed:
                body.check(req)
        if not plan.at_once:
            req.task = asyncio.current_task()
            if req.task is not None:
                self._deadlines.begin(req.task, plan.seconds)
        if not plan.open:
            refused = await self._authorize(req, plan, limited)
            if refused:
                if not (plan.methods or plan.routed) and developing(req):
                    refused = self._no_such(req, refused)
                return status_reply(req, refused)
        if limited or req.account.get("rlimits_rate"):
            await limits.check_request(req, "id")
        if req.endpoint is None:
            return await self._fallback(req, plan)
        return await self._call(req, plan)

    def _check_load(self, most: int) -> None:
        traffic = self._traffic
        reason = self._overload.reason
        if not reason:
            if not most or traffic.running <= most:
                return
            reason = "full"
        traffic.count(reason)
        raise _Busy("Server is unavailable")

    async def admit(self, part: Part) -> None:
        """Find what answers a part of a request, and raise what it is refused with.

        It has the access rules, limits and registrations of its path; its caller is known.
        """
        plan = part.plan = self._plans.find(part)
        part.path, part.raw_path, part.cleanup = plan.path, plan.raw_path, plan.cleanup
        part.endpoint, part.is_api = plan.endpoint, True
        limited = part.settings.rlimits_rate or self._limits.registered
        if limited:
            await self._limits.check_request(part, "ip", "path")
        known = self._auth.known(part)
        refused = None if plan.open else await self._authorize(part, plan, (), known)
        if refused:
            more = {name: value for name, value in refused.items() if name not in _STATUS}
            code, message = refused.get("code"), str(refused.get("message") or "")
            raise BkError(message, status=refused["status"], code=code, **more)
        if limited or part.account.get("rlimits_rate"):
            await self._limits.check_request(part, "id")

    async def call(self, part: Part) -> Response | Sendable:
        """The answer of a part that was admitted."""
        assert part.plan
        return await self._call(part, part.plan)

    async def end(self, part: Part) -> None:
        """After the answer: registered clean-ups of its path."""
        await self._clean_up(part)

    async def _authorize(
        self, req: Request, plan: Plan, limited: Container[str], known: Status | None = None
    ) -> Status | None:
        """What to answer instead when this caller may not do that; `known` of one who is known."""
        auth = self._auth
        status = auth.access(req) if plan.by_address else plan.access
        for check in plan.checks:
            answer = await _settle(check(req))
            if answer:
                status = answer
                break
        if status is None and req.settings.no_signature:
            status = OK
        if status is None:
            if "login" in limited:
                await self._limits.check_login(req)
            status = known or await auth.authenticate(req)
            if plan.by_account or plan.rules is not auth.rules():
                status = auth.authorization(req, status)
            if status is OK and self.app.hooks.implements("authorize"):
                allowed = await self.app.hooks.first("authorize", app=self.app, req=req)
                if allowed is False:
                    raise Denied("Access denied")
        for process in plan.pre_processes:
            answer = process(req, status)
            if answer is None:
                continue
            answer = await _settle(answer)
            if isinstance(answer, dict) and isinstance(answer.get("status"), int):
                status = answer
        return None if status["status"] == 200 else status

    def _no_such(self, req: Request, refused: Status) -> Status:
        """The refusal of a path that nothing answers, in development: with that as the reason."""
        if refused["status"] not in (401, 417) or self._static.find(req):
            return refused
        hint = near(req.path, [endpoint.path for endpoint in self._router.endpoints])
        return refused | {"message": f"{refused['message']}; there is no endpoint {req.path}{hint}"}

    async def _call(self, req: Request, plan: Plan) -> Response | Sendable:
        """Call the handler; what it returns goes through the post-process registrations."""
        endpoint = req.endpoint
        assert endpoint
        if req.method not in ("GET", "HEAD") and body.is_multipart(req):
            await self._read_multipart(req, plan)
        if "_format" in req.query:
            check_format(req)
        if req.task is not None and not endpoint.writes:
            self._deadlines.reads(req.task)
        if endpoint.validate:
            given = {**req.query, **req.path_args} if endpoint.path_names else req.query
            if req.settings.notes and (names := endpoint.ignored(given)):
                req.note = f"ignored, no parameter has this name: {', '.join(names)}"
            value = endpoint.fn(req, endpoint.validate(given))
        else:
            if endpoint.path_names:
                req.query = req.query | req.path_args
            value = endpoint.fn(req)
        if value.__class__ is CoroutineType or hasattr(value, "__await__"):
            value = await value
        if value.__class__ is Response:
            return value
        if plan.post_processes:
            for process in plan.post_processes:
                try:
                    answer = await _settle(process(req, value))
                except Exception:
                    log.exception("request %s: post-process of %s failed", req.id, req.path)
                    continue
                if answer is not None:
                    value = answer
                    break
        return finish(req, value)

    async def _read_multipart(self, req: Request, plan: Plan) -> None:
        """Read a form with files: what that takes is the client's time, not the handler's."""
        if req.task is not None:
            self._deadlines.end(req.task)
        await multipart.read(req)
        self._auth.restrict_query(req)
        if req.task is not None:
            self._deadlines.begin(req.task, plan.seconds)

    async def _fallback(self, req: Request, plan: Plan) -> Response | Sendable:
        """What no endpoint answers: FastAPI's routes, then files, then nothing."""
        if plan.methods is not None:
            raise method_not_allowed(plan.methods)
        fastapi = self._router.fastapi
        if fastapi is not None and plan.routed:
            if req.method in ("GET", "HEAD") and _announces_body(req):
                await body.read(req)
                body.check(req)
            return FastAPIReply(fastapi, self._deadlines)
        found = None
        if req.protocol == "http" and not req.settings.no_static:
            found = self._static.find(req)
        if found is not None:
            return found
        if "text/html" in req.header("accept"):
            return Response(_NOT_FOUND_PAGE, 404, "text/html; charset=utf-8")
        raise NotFound("Not found")

    async def send(self, req: Request, reply: Response | Sendable, send: Send) -> None:
        """Send a reply with the headers that every one has."""
        if reply is _CLOSED:
            return
        if not isinstance(reply, Response):
            other = await self._let_send(req, reply, send)
            if other is not None:
                reply.status = other.status
                await self.send(req, other, send)
            return
        lines = self._lines(req, reply)
        if lines is not None and self.write_whole(send, reply.status, lines, reply.body):
            return
        headers = [*self.headers(req, reply.headers), *reply.headers, *_type(reply)]
        if reply.status not in BODILESS:
            headers.append((b"content-length", b"%d" % len(reply.body)))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    async def _let_send(self, req: Request, reply: Sendable, send: Send) -> Any:
        """Let a reply send itself; what is to be sent instead if it could not even begin."""
        out = Outgoing(req, send, self.is_gone, self._deadlines, self._long_lived, self._traffic)
        try:
            return await reply.send(req, out, self.headers(req, reply.headers))
        except Disconnected:
            return _CLOSED
        except asyncio.CancelledError:
            failed = self._deadlines.ended(out.task)
            if failed is None:
                raise
            if isinstance(failed, Disconnected):
                return _CLOSED
            if not out.started:
                return failure(req, failed)
        except Exception as error:
            answer = failure(req, error)
            if not out.started:
                return answer
        finally:
            out.close()
        self.hang_up(send)  # so that nobody takes what came for the whole of it
        return None

    def headers(self, req: Request, own: Sequence[Header] = ()) -> list[Header]:
        """The headers of every answer to this request, except those that it has of its own."""
        framed = not any(name == CSP for name, _ in own)
        first = self._plain if framed else self._base
        return [*first, *req.response_headers, *_shared(_keeps_out(req, own), _is_secure(req))]

    def _lines(self, req: Request, reply: Response) -> bytes | None:
        """The headers of an answer as `write_whole` takes them; None where the server must look."""
        own, more = reply.headers, req.response_headers
        if own and own is not NO_STORE:
            return _joined([*self.headers(req, own), *own, *_type(reply)])
        keeps_out = own is not NO_STORE and _keeps_out(req, own)
        secure = _is_secure(req)
        kind = reply.status not in BODILESS and reply.content_type
        kept = self._lines_of.get((own is NO_STORE, keeps_out, secure, kind))
        if kept is None:
            last = _joined([*_shared(keeps_out, secure), *own, *_type(reply)])
            if last is None:
                return None
            kept = self._first_lines + last, last
            self._lines_of[own is NO_STORE, keeps_out, secure, kind] = kept
        if not more:
            return kept[0]
        between = _joined(more)
        return None if between is None else self._first_lines + between + kept[1]

    async def _clean_up(self, req: Request) -> None:
        """After the answer: registered clean-ups, uploaded files."""
        for clean in req.plan.cleanups if req.plan else ():
            try:
                await _settle(clean(req))
            except Exception:
                log.exception("request %s: clean-up of %s failed", req.id, req.path)
        for upload in req.uploads:  # those that are still where they were stored
            upload.path.unlink(missing_ok=True)


class _Busy(Unavailable):
    retry_after = 1


_NOT_FOUND_PAGE = (
    b"<!DOCTYPE html><html lang=en><meta charset=utf-8><title>Not found</title>"
    b"<h1>Not found</h1><p>There is nothing at this address.</p></html>"
)


def _type(reply: Response) -> tuple[Header, ...]:
    if reply.status in BODILESS:
        return ()
    return ((b"content-type", reply.content_type.encode("latin-1")),)


def _keeps_out(req: Request, own: Sequence[Header]) -> bool:
    """Whether no cache that others share may keep the answer: what an account got is not theirs."""
    if not req.account:
        return False
    return not any(name == NO_STORE[0][0] for name, _ in (*own, *req.response_headers))


def _is_secure(req: Request) -> bool:
    return req.scope["scheme"] == "https" or bool(req.settings.trusted_proxies and req.secure)


def _shared(keeps_out: bool, secure: bool) -> tuple[Header, ...]:
    return (*NO_STORE[:keeps_out], *((HSTS,) if secure else ()))


def _joined(headers: Iterable[Header]) -> bytes | None:
    """Headers as lines; None for one that the server refuses, or goes by itself."""
    lines = []
    for name, value in headers:
        name = name.lower()
        if name in _OF_THE_SERVER or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            return None
        lines.append(b"%b: %b\r\n" % (name, value))
    return b"".join(lines)


def _announces_body(req: Request) -> bool:
    return b"content-length" in req.raw_headers or b"transfer-encoding" in req.raw_headers


async def _settle(value: Any) -> Any:
    return await value if hasattr(value, "__await__") else value
