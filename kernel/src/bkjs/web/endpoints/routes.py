"""Endpoints, declared once: where they answer, what they accept, what they may do.

routes = Routes()

@routes.endpoint("/todo/add", params=TodoAdd, writes=True, table="todo")
async def add(req, params): ...
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from bkjs.db.contract import EMPTY
from bkjs.lib.places import called_at
from bkjs.lib.signatures import expect, kind_of, positional
from bkjs.lib.text import near
from bkjs.web.endpoint import HARMLESS, METHODS, Endpoint
from bkjs.web.input.params import validator
from bkjs.web.output.declared import Nested, Tables, nested_names, reply_check, table_names

from . import batch
from .verbs import handler, known

if TYPE_CHECKING:
    from pydantic import BaseModel

F = TypeVar("F", bound=Callable[..., Any])

_ANSWERS = {"Response", "Stream", "Sendable", "None", "NoneType", "NoReturn"}
_NAME = re.compile(r"\{([A-Za-z][A-Za-z0-9_]*)(:path)?\}")


class Routes:
    """A module's endpoints, in the order of their declaration."""

    def __init__(self) -> None:
        self.endpoints: list[Endpoint] = []
        self._verbs: dict[str, Endpoint] = {}

    def endpoint(
        self,
        path: str,
        *,
        methods: Sequence[str] | str | None = None,
        params: type[BaseModel] | None = None,
        accepts: type[BaseModel] | None = None,
        writes: bool | Literal["quiet"] = False,
        table: Tables = "",
        tables: Nested = EMPTY,
        owner: str = "",
        public: bool = False,
        navigable: bool = False,
        summary: str = "",
        limit: int | None = None,
        timeout: float | None = None,
        raw_body: bool = False,
        list_name: str = "",
        reply: Any = None,
    ) -> Callable[[F], F]:
        """Declare `async def f(req)` or `async def f(req, params)`, plain `def` too, an endpoint.

        Args:
            path: exact, or with `{name}` for one part and `{name:path}` for all the rest; what is
                found there joins the parameters and is in `req.path_args`.
            methods: which methods it answers, any by default.
            params: a `Params` class; without one the function reads `req.query`.
            accepts: what such a function reads, for the documentation only: nothing checks it.
            writes: it changes something. Without it the database refuses to write, and with it a
                request that was already sent is refused, HEAD and OPTIONS do not reach it, and
                neither a link nor a page of another site acts with the session of who follows it;
                it goes on to its end when its client leaves.
                `"quiet"` lets it note something in passing, as the time of a visit, also when its
                client leaves meanwhile; all else is as for endpoints that read.
            table: whose columns the rows of the reply have, which decide what strangers see;
                several for rows that are made of several.
            tables: the table, or several, of rows that lie deeper, by the key under which they lie,
                at every depth: `{"author": "author"}`. `dict` in its place says: plain values, no
                rows. Rows under any other key do not leave.
            owner: a column of `table` that holds the id of an account, which sees the private
                columns of such a row, too; without it the row with the id of the account itself.
            public: needs no account.
            navigable: a page that other sites may link to: whoever follows such a link comes with
                the session. Everywhere else that counts for requests of our own pages only.
            limit: bytes that a body may have here, instead of the setting for all.
            timeout: seconds that it may take, 0 for no limit, instead of the setting for all.
            raw_body: it reads bodies of other types than JSON and forms itself, from `req.receive`;
                otherwise they are refused (415).
            list_name: the parameter that a JSON body becomes which is a list; without one such a
                body is refused.
            reply: type of the reply: for the documentation, and without `table` what leaves. Only
                the fields of a model do; of `dict` everything, so that rows are no such reply.

        Every endpoint says what it replies: with `table`, with `reply`, or with the annotation
        `-> Response` when it makes its answer itself. Raises ValueError when it does not, and
        TypeError for a function that cannot be called like that.
        """
        expect("the path of an endpoint", path, str, "text")
        for name, value, kinds, wanted in (
            ("owner", owner, str, "the name of a column"),
            ("summary", summary, str, "text"),
            ("list_name", list_name, str, "the name of a parameter"),
            ("limit", limit, (int, type(None)), "a number of bytes"),
            ("timeout", timeout, (int, float, type(None)), "a number of seconds"),
            ("methods", methods, (str, list, tuple, set, frozenset, type(None)), "names"),
        ):
            expect(f"{path}: {name}=", value, kinds, wanted)
        _check_model(f"{path}: params=", params)
        _check_model(f"{path}: accepts=", accepts)
        rows_of, nested = table_names(table), nested_names(tables)
        if nested and not rows_of and reply is not dict:
            raise ValueError(f"{path}: tables= needs table=, or reply=dict if only those are rows")
        if owner and not rows_of:
            raise ValueError(f"{path}: owner= is a column of the table that table= names")
        if public and (owner or navigable):
            raise ValueError(
                f"{path}: on a public path nobody is known, so {'owner' if owner else 'navigable'}="
                f" does nothing; leave public= out, and let api-allow-anonymous={path} admit"
                " those who have no account"
            )
        check = None if rows_of else reply_check(path, reply)
        names = tuple(found[1] for found in _NAME.finditer(path))
        _check(path, names)
        chosen = (methods,) if isinstance(methods, str) else methods
        answered = tuple(str(m).upper() for m in chosen or METHODS)
        for name in answered:
            if name not in METHODS:
                raise ValueError(f"{path}: no method {name!r}{near(name, METHODS)}")
        if writes not in (True, False, "quiet"):
            raise ValueError(f"{path}: writes is {writes!r}, it can be True, False or 'quiet'")
        if writes is True:
            if navigable:
                raise ValueError(f"{path}: a page that others may link to must not write")
            if chosen and (wrong := set(answered) & set(HARMLESS)):
                raise ValueError(f"{path}: nothing is written by {', '.join(sorted(wrong))}")
            answered = tuple(m for m in answered if m not in HARMLESS)

        place = called_at()

        def declare(fn: F) -> F:
            _check_function(path, fn, params)
            if not rows_of and reply is None and not _makes_response(fn):
                raise ValueError(
                    f"{path}: nothing says whose columns its reply has; give table=, or reply=dict"
                    " for plain values, or annotate it -> Response if it answers with one"
                )
            first_line = (inspect.getdoc(fn) or "").partition("\n")[0]
            self.endpoints.append(
                Endpoint(
                    path=path,
                    fn=fn,
                    methods=answered,
                    params=params,
                    accepts=accepts or params,
                    writes=writes,
                    tables=rows_of,
                    nested=nested,
                    owner=owner or "id",
                    check_reply=check,
                    public=public,
                    navigable=navigable,
                    summary=summary or first_line,
                    limit=limit,
                    timeout=timeout,
                    raw_body=raw_body,
                    list_name=list_name,
                    reply=reply,
                    any_method=not chosen,
                    path_names=names,
                    validate=validator(params) if params else None,
                    place=place,
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
        tables: Nested = EMPTY,
        owner: str = "",
        shared: bool = False,
        public: bool = False,
        etag: bool = False,
        summary: str = "",
    ) -> None:
        """Declare an endpoint that does to the table what its path ends in, a verb of the database.

        Verbs are get, select, add, put, update, incr and del; `select` gives a page. Those that
        write need a model of what they take; one with `extra="allow"` lets all columns through.

        With `owner`, a column that holds the id of an account, each account has its own rows only,
        with their private columns; those of others are as if they were not there. Verbs that change
        rows which are there need it, or the word that the rows belong to all: `shared=True`.

        With `etag` a `get` sends the tag of the row, by which `If-None-Match` saves the answer
        (304). Verbs that write know `If-Match` with such a tag or `*` (412), and put knows
        `If-None-Match: *`.
        """
        expect("the path of a verb", path, str, "text")
        expect(f"{path}: the table", table, str, "its name")
        _check_model(f"{path}: params=", params)
        fn, writes = handler(
            path, table, params, owner=owner, shared=shared, public=public, etag=etag
        )
        verb = path.rpartition("/")[2]
        summary = summary or f"{verb} {table}"
        declare = self.endpoint(
            path, params=params, writes=writes, table=table, tables=tables, owner=owner,
            public=public, summary=summary,
        )  # fmt: skip
        declare(fn)
        admits = known if owner else None
        self.endpoints[-1] = replace(self.endpoints[-1], verb=verb, admits=admits)
        self._verbs[path] = self.endpoints[-1]

    def batch(
        self,
        path: str,
        *verbs: str,
        atomic: bool = False,
        items: int = 100,
        public: bool = False,
        limit: int | None = None,
        timeout: float | None = None,
        summary: str = "",
    ) -> None:
        """Declare an endpoint that does several of these verbs, the paths of which are declared.

        Its body is a JSON list of at most so many `items`, `{"path": "/todo/add", "data": {…}}`;
        `op` and `table` may stand for the path, `if_match` for that header. Each is answered as if
        it had come alone, with the access rules, parameters and owner of its path, in their order:
        `[{"status": 200, "data": {…}}, {"status": 404, "message": "…"}]`.

        With `atomic` they are done in one transaction, or none of them is: then the answer is the
        error of the one that failed, with its number in `item`. A database without transactions
        refuses such a batch (501), and so do tables in several databases.
        """
        chosen = []
        for verb in verbs:
            expect(f"{path}: each verb", verb, str, "its path")
            endpoint = self._verbs.get(verb)
            if endpoint is None:
                raise ValueError(f"{path}: no verb {verb!r} is declared{near(verb, self._verbs)}")
            if verb.endswith("/select") or endpoint.path_names:
                what = "gives pages" if verb.endswith("/select") else "has a name in its path"
                raise ValueError(f"{path}: {verb} {what}, it cannot be part of a batch")
            if public and not endpoint.public:
                raise ValueError(f"{path}: on a public path nobody is known, but {verb} is not")
            chosen.append(endpoint)
        if not chosen:
            raise ValueError(f"{path}: name the verbs that it may do")
        declare = self.endpoint(
            path, methods="POST", params=batch.items_model(items), writes=True, public=public,
            limit=limit, timeout=timeout, list_name=batch.LIST, reply=list[dict[str, Any]],
            summary=summary or "several of " + ", ".join(verbs),
        )  # fmt: skip
        declare(batch.handler(path, chosen, atomic=atomic))


def _makes_response(fn: Callable[..., Any]) -> bool:
    """Whether a function says that it makes its answer itself, or none."""
    kind = getattr(fn, "__annotations__", {}).get("return", "")
    text = kind if isinstance(kind, str) else getattr(kind, "__name__", str(kind))
    return {part.strip().rpartition(".")[2] for part in text.split("|")} <= _ANSWERS


def _check_model(what: str, model: object) -> None:
    from pydantic import BaseModel

    if model is not None and not (isinstance(model, type) and issubclass(model, BaseModel)):
        wanted = "a class, as in `class Size(Params): n: int`"
        raise TypeError(f"{what} wants {wanted}, not {kind_of(model)}")


def _check_function(path: str, fn: Callable[..., Any], params: type[BaseModel] | None) -> None:
    if inspect.isasyncgenfunction(fn) or inspect.isgeneratorfunction(fn):
        raise TypeError(f"{path}: the function is a generator; return stream(req, generator)")
    if not callable(fn):
        raise TypeError(f"{path}: a function is wanted, not {kind_of(fn)}")
    names, least, most = positional(fn)
    takes = f"the function takes ({', '.join(names)})"
    if params is None:
        if least > 1:
            raise TypeError(f"{path}: {takes}; without params= it gets the request only")
        if not most:
            raise TypeError(f"{path}: {takes}; it gets the request: (req)")
        return
    if not least <= 2 <= most:
        raise TypeError(f"{path}: {takes}; with params= it gets two: (req, params)")
    kind = getattr(fn, "__annotations__", {}).get(names[0]) if names else None
    if names[1:2] in (["req"], ["request"]) or kind in (params, params.__name__):
        raise TypeError(f"{path}: {takes}; it gets the request first: (req, params)")


def _check(path: str, names: tuple[str, ...]) -> None:
    plain = _NAME.sub("x", path)
    if not path.startswith("/") or "{" in plain or "}" in plain or "//" in path:
        raise ValueError(f"invalid path of an endpoint: {path!r}")
    if len(set(names)) < len(names):
        raise ValueError(f"a name appears twice in the path of an endpoint: {path!r}")
    if ":path}" in path and not path.endswith(":path}"):
        raise ValueError(f"only the last part of a path may be {{name:path}}: {path!r}")
