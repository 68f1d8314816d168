"""Endpoints, declared once: where they answer, what they accept, what they may do.

routes = Routes()

@routes.endpoint("/todo/add", params=TodoAdd, writes=True, table="todo")
async def add(req, params): ...
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from bkjs.web.endpoint import METHODS, Endpoint
from bkjs.web.input.params import validator

from .verbs import handler

if TYPE_CHECKING:
    from pydantic import BaseModel

F = TypeVar("F", bound=Callable[..., Any])

_NAME = re.compile(r"\{([A-Za-z][A-Za-z0-9_]*)(:path)?\}")


class Routes:
    """A module's endpoints, in the order of their declaration."""

    def __init__(self) -> None:
        self.endpoints: list[Endpoint] = []

    def endpoint(
        self,
        path: str,
        *,
        methods: Sequence[str] | str | None = None,
        params: type[BaseModel] | None = None,
        accepts: type[BaseModel] | None = None,
        writes: bool = False,
        table: str = "",
        tables: Sequence[str] = (),
        public: bool = False,
        summary: str = "",
        limit: int | None = None,
        timeout: float | None = None,
        raw_body: bool = False,
        reply: Any = None,
    ) -> Callable[[F], F]:
        """Declare `async def f(req)` or `async def f(req, params)`, plain `def` too, an endpoint.

        Args:
            path: exact, or with `{name}` for one part and `{name:path}` for all the rest; what is
                found there joins the parameters and is in `req.path_args`.
            methods: which methods it answers, any by default.
            params: a `Params` class; without one the function reads `req.query`.
            accepts: what such a function reads, for the documentation only: nothing checks it.
            writes: it changes something: replays and foreign origins are refused, and it goes on to
                its end when its client leaves.
            table: whose columns decide what strangers see of the reply; `tables` for several.
            public: needs no account.
            limit: bytes that a body may have here, instead of the setting for all.
            timeout: seconds that it may take, 0 for no limit, instead of the setting for all.
            raw_body: it reads bodies of other types than JSON and forms itself, from `req.receive`;
                otherwise they are refused (415).
            reply: type of the reply, for the documentation.
        """
        names = tuple(found[1] for found in _NAME.finditer(path))
        _check(path, names)
        chosen = (methods,) if isinstance(methods, str) else methods

        def declare(fn: F) -> F:
            first_line = (inspect.getdoc(fn) or "").partition("\n")[0]
            self.endpoints.append(
                Endpoint(
                    path=path,
                    fn=fn,
                    methods=tuple(m.upper() for m in chosen or METHODS),
                    params=params,
                    accepts=accepts or params,
                    writes=writes,
                    tables=tuple(filter(None, (table, *tables))),
                    public=public,
                    summary=summary or first_line,
                    limit=limit,
                    timeout=timeout,
                    raw_body=raw_body,
                    reply=reply,
                    any_method=not chosen,
                    path_names=names,
                    validate=validator(params) if params else None,
                )
            )
            return fn

        return declare

    def verb(
        self,
        path: str,
        table: str,
        *,
        params: type[BaseModel] | None = None,
        owner: str = "",
        public: bool = False,
        summary: str = "",
    ) -> None:
        """Declare an endpoint that does to the table what its path ends in, a verb of the database.

        Verbs are get, select, add, put, update, incr and del; `select` gives a page. Those that
        write need a model of what they take; one with `extra="allow"` lets all columns through.

        With `owner`, a column that holds the id of an account, each account has its own rows only:
        those of others are as if they were not there.
        """
        fn, writes = handler(path, table, params, owner=owner, public=public)
        summary = summary or f"{path.rpartition('/')[2]} {table}"
        declare = self.endpoint(
            path, params=params, writes=writes, table=table, public=public, summary=summary
        )
        declare(fn)


def _check(path: str, names: tuple[str, ...]) -> None:
    plain = _NAME.sub("x", path)
    if not path.startswith("/") or "{" in plain or "}" in plain or "//" in path:
        raise ValueError(f"invalid path of an endpoint: {path!r}")
    if len(set(names)) < len(names):
        raise ValueError(f"a name appears twice in the path of an endpoint: {path!r}")
    if ":path}" in path and not path.endswith(":path}"):
        raise ValueError(f"only the last part of a path may be {{name:path}}: {path!r}")
