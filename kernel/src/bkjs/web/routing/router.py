"""Finding the endpoint of a path: one look-up for exact paths, a walk over the parts for others.

The cost depends on the number of parts of the path, never on the number of endpoints.
"""

from __future__ import annotations

from collections.abc import Sequence

from bkjs.errors import BkError, StartError

from .routes import Endpoint

Methods = dict[str, Endpoint]


class _Node:
    """One part of parameter paths: what may follow it."""

    __slots__ = ("here", "name", "parts", "rest")

    def __init__(self) -> None:
        self.parts: dict[str, _Node] = {}
        self.name: _Node | None = None
        self.rest: Methods = {}
        self.here: Methods = {}


class Router:
    """The index of all endpoints."""

    def __init__(self) -> None:
        self.exact: dict[str, Methods] = {}
        self._root = _Node()

    def add(self, endpoint: Endpoint) -> None:
        """Raises StartError when another endpoint answers the same methods of the same path."""
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
        if "GET" in methods:
            methods.setdefault("HEAD", methods["GET"])

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
    return f"{endpoint.fn.__module__}.{endpoint.fn.__qualname__}"
