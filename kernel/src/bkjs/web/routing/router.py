"""What answers a path: one look-up for exact paths, a walk over the parts for others.

The cost depends on the number of parts of the path, never on the number of endpoints. What no
endpoint answers may be one of FastAPI's routes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from bkjs.errors import BkError, StartError
from bkjs.lib.places import at, defined_at
from bkjs.web.endpoint import Endpoint, Methods, is_marked_navigable
from bkjs.web.input.body import bound_json

if TYPE_CHECKING:
    from fastapi import APIRouter, FastAPI

_NAMED = re.compile(r"\{[^{}]*\}")


class _Node:
    """One part of parameter paths: what may follow it."""

    __slots__ = ("here", "name", "parts", "rest")

    def __init__(self) -> None:
        self.parts: dict[str, _Node] = {}
        self.name: _Node | None = None
        self.rest: Methods = {}
        self.here: Methods = {}


class Router:
    """The index of all endpoints and routes."""

    def __init__(self) -> None:
        self.endpoints: list[Endpoint] = []
        """In the order of their declaration."""
        self.fastapi: FastAPI | None = None
        """Serves the routers of `include`; made with the first of them."""
        self.exact: dict[str, Methods] = {}
        self._root = _Node()

    def add(self, endpoint: Endpoint) -> None:
        """Raises StartError when another endpoint answers the same methods of the same path."""
        if is_marked_navigable(endpoint.fn) and not endpoint.navigable:
            raise StartError(f"{endpoint.path}: web.navigable is for FastAPI; say navigable=True")
        methods = self._methods(endpoint)
        for method in endpoint.methods:
            other = methods.get(method)
            if other is None or (other.any_method and not endpoint.any_method):
                methods[method] = endpoint
            elif other.any_method or not endpoint.any_method:
                raise StartError(
                    f"two endpoints for {method} {endpoint.path}:"
                    f" {_name(other)} and {_name(endpoint)}"
                )
        if "GET" in methods and methods["GET"].writes is not True:
            methods.setdefault("HEAD", methods["GET"])
        self.endpoints.append(endpoint)

    def include(self, router: APIRouter, **options: Any) -> None:
        """Have the routes of a FastAPI router, too."""
        if self.fastapi is None:
            from fastapi import FastAPI
            from fastapi.exceptions import RequestValidationError
            from starlette.exceptions import HTTPException
            from starlette.requests import Request

            bound_json(Request)
            kinds: tuple[type[Exception], ...] = (HTTPException, RequestValidationError, Exception)
            self.fastapi = FastAPI(
                openapi_url=None,
                docs_url=None,
                redoc_url=None,
                exception_handlers=dict.fromkeys(kinds, _let_through),
            )
        self.fastapi.include_router(router, **options)
        self.check_routes()

    def routed(self) -> list[str]:
        """The paths of FastAPI's own routes."""
        return [path for path, _ in _flat(self.fastapi.routes)] if self.fastapi else []

    def check_routes(self) -> None:
        """Raises StartError for a route of FastAPI that is never reached: a WebSocket, or one whose
        path an endpoint answers.
        """
        if self.fastapi is None:
            return
        from fastapi.routing import APIRoute
        from starlette.routing import WebSocketRoute

        for path, route in _flat(self.fastapi.routes):
            if isinstance(route, WebSocketRoute):
                raise StartError(
                    f"{path}: a WebSocket of FastAPI is never reached, since every path answers"
                    " WebSockets, whose frames are requests; make it an endpoint or a GET"
                )
            if isinstance(route, APIRoute) and (found := self.find(_NAMED.sub("x", path))):
                other = next(iter(found[0].values()))
                raise StartError(
                    f"{path}: a route of FastAPI{at(defined_at(route.endpoint))} that is never"
                    f" reached: {other} has its path, and answers all methods of it"
                )

    def _methods(self, endpoint: Endpoint) -> Methods:
        if not endpoint.path_names:
            return self.exact.setdefault(endpoint.path, {})
        node = self._root
        for part in endpoint.path[1:].split("/"):
            if part.endswith(":path}"):
                return node.rest
            if part.startswith("{"):
                node.name = node = node.name or _Node()
            else:
                node = node.parts.setdefault(part, _Node())
        return node.here

    def find(self, path: str) -> tuple[Methods, Sequence[str]] | None:
        """What answers the path, by method, and the values of the names in it."""
        methods = self.exact.get(path)
        if methods is not None:
            return methods, ()
        return _walk(self._root, path[1:].split("/"), 0)

    def is_api(self, path: str, method: str = "GET") -> bool:
        """Whether an endpoint or a route of FastAPI answers this path."""
        return self.find(path) is not None or self.is_routed(path, method)

    def is_routed(self, path: str, method: str) -> bool:
        """Whether a route of FastAPI answers this path, with whatever method."""
        if self.fastapi is None:
            return False
        return any(route.matches(_scope(path, method))[0].value for route in self.fastapi.routes)

    def is_navigable(self, path: str, method: str) -> bool:
        """Whether the route of FastAPI that answers is marked as a page to link to."""
        if self.fastapi is None:
            return False
        from fastapi.routing import iter_route_contexts
        from starlette.routing import Match

        for route in iter_route_contexts(self.fastapi.routes):
            if route.matches(_scope(path, method))[0] is Match.FULL:
                return is_marked_navigable(route.endpoint)
        return False


def _scope(path: str, method: str) -> dict[str, Any]:
    return {"type": "http", "method": method, "path": path, "root_path": "", "headers": []}


def _flat(routes: Iterable[Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Routes with their whole paths, those of routers in routers, too."""
    for route in routes:
        router = getattr(route, "original_router", route)  # of FastAPI that includes as it answers
        if (below := getattr(router, "routes", None)) is None:
            yield prefix + getattr(route, "path", ""), route
            continue
        context = getattr(route, "include_context", route)
        own = getattr(context, "prefix", "") or getattr(route, "path", "")
        yield from _flat(below, prefix + own)


async def _let_through(request: Any, error: Exception) -> Any:
    """Errors are answered where all are."""
    raise error


def _walk(node: _Node, parts: list[str], at: int) -> tuple[Methods, list[str]] | None:
    if at == len(parts):
        return (node.here, []) if node.here else None
    part = parts[at]
    if part:
        if (child := node.parts.get(part)) and (found := _walk(child, parts, at + 1)):
            return found
        if node.name and (found := _walk(node.name, parts, at + 1)):
            found[1].insert(0, part)
            return found
    if node.rest:
        return node.rest, ["/".join(parts[at:])]
    return None


def method_not_allowed(methods: Methods) -> BkError:
    """The refusal of a path that answers other methods only."""
    return BkError("Method not allowed", status=405, allow=", ".join(sorted(methods)))


def _name(endpoint: Endpoint) -> str:
    return f"{endpoint.fn.__module__}.{endpoint.fn.__qualname__}{at(endpoint.place)}"
