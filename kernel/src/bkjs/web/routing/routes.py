"""Endpoints, declared once: where they answer, what they accept, what they may do.

routes = Routes()

@routes.endpoint("/todo/add", params=TodoAdd, writes=True, table="todo")
async def add(req, params): ...
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from bkjs.errors import BadRequest
from bkjs.lib.convert import str_split

F = TypeVar("F", bound=Callable[..., Any])

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_INT64 = 2**63
_NAME = re.compile(r"\{([A-Za-z][A-Za-z0-9_]*)(:path)?\}")


class Params(BaseModel):
    """The parameters of an endpoint: they are converted, checked and documented.

    Unknown parameters are dropped. An empty value counts as absent unless the field is text, and a
    list also comes as text with commas.
    """

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


@dataclass(frozen=True, slots=True, eq=False)
class Endpoint:
    """A declared endpoint; see `Routes.endpoint` for what the fields mean."""

    path: str
    fn: Callable[..., Any]
    methods: tuple[str, ...] = METHODS
    params: type[BaseModel] | None = None
    accepts: type[BaseModel] | None = None
    writes: bool = False
    tables: tuple[str, ...] = ()
    public: bool = False
    summary: str = ""
    limit: int | None = None
    timeout: float | None = None
    reply: Any = None
    any_method: bool = False
    path_names: tuple[str, ...] = ()
    validate: Callable[[Mapping[str, Any]], Any] | None = field(default=None, repr=False)

    @property
    def tag(self) -> str:
        """What it is grouped under: the first part of the path."""
        return self.path[1:].partition("/")[0] or "/"


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
        reply: Any = None,
    ) -> Callable[[F], F]:
        """Declare `async def f(req)` or `async def f(req, params)`, plain `def` too, an endpoint.

        Args:
            path: exact, or with `{name}` for one part and `{name:path}` for all the rest; what is
                found there joins the parameters and is in `req.path_args`.
            methods: which methods it answers, any by default.
            params: a `Params` class; without one the function reads `req.query`.
            accepts: what such a function reads, for the documentation only: nothing checks it.
            writes: it changes something: replays and foreign origins are refused.
            table: whose columns decide what strangers see of the reply; `tables` for several.
            public: needs no account.
            limit: bytes that a body may have here, instead of the setting for all.
            timeout: seconds that it may take, 0 for no limit, instead of the setting for all.
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
        from bkjs.web.endpoints.verbs import handler

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


def validator(model: type[BaseModel]) -> Callable[[Mapping[str, Any]], BaseModel]:
    """Turns parameters into the model; raises BadRequest that names the first wrong field."""
    model.model_rebuild()
    check = TypeAdapter(model).validator.validate_python
    names = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
    not_text = frozenset(name for name, kind in names.items() if not _is_text(kind))
    lists = tuple(name for name, kind in names.items() if list in _kinds(kind))
    fields = model.model_fields.items()
    whole = tuple(name for name, field in fields if int in _kinds(field.annotation))

    def validate(query: Mapping[str, Any]) -> BaseModel:
        if "" in query.values():
            query = {n: v for n, v in query.items() if v != "" or n not in not_text}
        for name in lists:
            if isinstance(text := query.get(name), str):
                query = {**query, name: str_split(text)}
        try:
            found: BaseModel = check(query)
        except ValidationError as error:
            raise refusal(error) from None
        for name in whole:
            if isinstance(number := getattr(found, name), int) and not -_INT64 <= number < _INT64:
                raise BadRequest(f"{name}: Out of range", field=name)
        return found

    return validate


def refusal(error: ValidationError) -> BadRequest:
    """What the client gets for parameters that do not fit: the first of them and what is wrong."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return BadRequest(f"{where} is required", field=where)
    message = first["msg"].removeprefix("Value error, ")
    return BadRequest(f"{where}: {message}" if where else message, field=where)


def _kinds(annotation: Any) -> set[Any]:
    """The types that an annotation names, without `Annotated`, `Optional` and item types."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _kinds(typing.get_args(annotation)[0])
    if origin is typing.Union or origin is types.UnionType:
        return set().union(*(_kinds(part) for part in typing.get_args(annotation)))
    if origin is typing.Literal:
        return {type(value) for value in typing.get_args(annotation)}
    return {origin or annotation}


def _is_text(annotation: Any) -> bool:
    kinds = _kinds(annotation)
    return Any in kinds or any(isinstance(k, type) and issubclass(k, str) for k in kinds)
