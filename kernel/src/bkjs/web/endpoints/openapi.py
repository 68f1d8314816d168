"""The OpenAPI document of what one kind of caller may call.

FastAPI makes it from routes that exist only for it, for the sake of their models; what it cannot
know is added here: columns, controls, replies by table, errors, and how one signs in.
"""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, NamedTuple

from fastapi import Query
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from bkjs.app import App
from bkjs.lib.json import wire_json
from bkjs.web.endpoint import Endpoint
from bkjs.web.output.columns import COLUMNS

from . import schemas
from .schemas import Level, Schema, Tables

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
SAFE = ("GET", "DELETE")
"""Methods whose parameters are in the URL."""
ERROR_NAME = "bkjs.Error"  # with a dot, which no model has in its name
ERROR: Final[Schema] = {
    "type": "object",
    "description": "What every error looks like; some have further fields.",
    "properties": {
        "status": {"type": "integer", "description": "the HTTP status"},
        "message": {"type": "string", "description": "for people, in the language of the caller"},
        "code": {"type": "string", "description": "for programs, where one status has causes"},
        "field": {"type": "string", "description": "the parameter or column that is wrong"},
        "errors": {
            "type": "array",
            "description": "every parameter or column that is wrong",
            "items": {
                "type": "object",
                "properties": {name: {"type": "string"} for name in ("field", "message", "code")},
            },
        },
    },
    "required": ["status", "message"],
}
ERRORS: Final[Mapping[str, str]] = {
    "400": "A parameter is wrong, which `field` names",
    "401": "Who signs is not known, or may not call this",
    "403": "Not allowed; with the code `CSRF` a session cookie came from another site",
    "404": "There is no such row",
    "406": "The signature or token has expired (`EXPIRED`), or was used already (`REPLAYED`)",
    "409": "Something with this key is there, or another transaction got in the way",
    "417": "No credentials came with the request",
    "429": "Too many requests; `Retry-After` says how many seconds to wait",
    "503": "A database cannot be reached now; `Retry-After` says when to try again",
}
_SIGNED: Final = ("401", "403", "406", "417")
_WORDS: Final = re.compile(r"[^A-Za-z0-9]+")
_ANSWERS_NOTHING: Final = "NoReturn"

ABOUT: Final = """\
Parameters are sent in the URL, as a form or as a JSON object, whichever suits: they are the same. \
Names that begin with `_` are controls, which say how to answer. Errors are JSON with `status`, \
`message`, perhaps `code` and `field`.

A request says who calls by a signature, by the session of a browser, or by an access token."""
SIGNATURE: Final = """\
`4||LOGIN|DIGEST|EXPIRES|CHECKSUM|`, for one request. DIGEST is the base64 of an HMAC-SHA256, \
with the secret of the account as key, over these ten lines, each with a line feed after it:

```
4
(nothing)
LOGIN
the method, such as POST
the host in lower case, without port
the path as it is sent
the items of the query as they are sent, but sorted
EXPIRES
the content type in lower case
CHECKSUM
```

EXPIRES is a time in milliseconds, usually a minute ahead. CHECKSUM is the base64 of the SHA-1 of \
the body, nothing without one. The text of a form takes the place of the query and has no \
checksum. In a URL the signature is the parameter {name}. Where something is written, it counts \
once."""
SESSION: Final = (
    "`/login` with `login`, `password` and `_session=1` sets it, `/logout` ends it. It counts for"
    " requests of pages of this server only, unless `api-cors-origin` names others."
)
TOKEN: Final = (
    "`/login` with `login`, `password` and `_accesstoken=1` gives one, for {days:g} days."
    " It may also be the parameter {name} of the URL."
)


class Credentials(NamedTuple):
    """What credentials are called."""

    signature: str
    token: str
    token_age: int
    """In ms."""
    session: str
    """The name of the cookie, which differs with TLS; "" where there are no sessions."""


class View(NamedTuple):
    """What one kind of caller gets: the same for all who may call the same."""

    level: Level
    endpoints: tuple[tuple[Endpoint, bool], ...]
    """What he may call, and whether that needs no account."""
    routes: frozenset[tuple[str, bool]]
    """The same for paths of FastAPI."""
    credentials: Credentials


def paths_of(routes: Sequence[BaseRoute]) -> tuple[str, ...]:
    """The paths that FastAPI's own routes answer."""
    return tuple(get_openapi(title="", version="", routes=routes).get("paths", ()))


def build(app: App, view: View, others: Sequence[BaseRoute]) -> bytes:
    """The document for a kind of caller, with those of FastAPI's own routes, as JSON.

    It takes a while; call it in a thread and keep the result.
    """
    names: Counter[str] = Counter()
    ours = [
        (endpoint, open, route)
        for endpoint, open in view.endpoints
        for route in _routes(endpoint, names)
    ]
    document = get_openapi(
        title=app.name,
        version=app.app_version or app.version,
        description=ABOUT,
        routes=[*others, *(route for _, _, route in ours)],
    )
    paths: Schema = document.setdefault("paths", {})
    components = document.setdefault("components", {})
    models: Schema = components.setdefault("schemas", {})
    schemes = _schemes(view.credentials)
    components["securitySchemes"] = components.get("securitySchemes", {}) | schemes
    secured: list[dict[str, list[str]]] = [{name: []} for name in schemes]
    rows = _Rows(Tables(app[COLUMNS], view.level), models)
    answered: dict[tuple[str, str], int] = {}
    for endpoint, open, route in ours:
        for method in route.methods or ():
            operation = paths[route.path_format][method.lower()]
            answered[route.path_format, method.lower()] = len(answered)
            _finish(operation, endpoint, method, models, rows)
            _respond(operation, () if open else secured)
    foreign = dict(view.routes)
    for path, methods in list(paths.items()):
        for method, operation in list(methods.items()):
            if (path, method) in answered:
                continue
            if path not in foreign:
                del methods[method]
                continue
            # FastAPI answers: all is as it says, behind our access rules, in our shape
            responses = operation.setdefault("responses", {})
            if "422" in responses:
                responses["422"] = _failure("400")
            _respond(operation, () if foreign[path] else operation.get("security") or secured)
        # the usual method first, which FastAPI does not keep so
        ordered = sorted(methods, key=lambda method: answered.get((path, method), 0))
        paths[path] = {method: methods[method] for method in ordered}
        if not methods:
            del paths[path]
    models[ERROR_NAME] = ERROR
    components["responses"] = {
        code: {
            "description": about,
            "content": {JSON: {"schema": {"$ref": f"#/components/schemas/{ERROR_NAME}"}}},
        }
        for code, about in ERRORS.items()
    }
    components["parameters"] = {
        name: {"name": name, "in": "query", "schema": {"$ref": _control(name)},
               "description": schema["description"]}
        for name, schema in _CONTROLS.items()
    }  # fmt: skip
    models |= {f"bkjs.{name}": schema for name, schema in _CONTROLS.items()}
    for kind in ("parameters", "schemas", "responses"):
        _prune(document, kind)
    return wire_json(document)


_CONTROLS: Final = {**schemas.PAGE_CONTROLS, "_format": schemas.FORMAT}


def _control(name: str) -> str:
    return f"#/components/schemas/bkjs.{name}"


def _schemes(names: Credentials) -> Schema:
    """How a request may say who calls."""
    about = SIGNATURE.format(name=f"`{names.signature}`")
    days = round(names.token_age / 86_400_000, 2)
    found = {"signature": ("header", names.signature, about)}
    if names.session:
        found["session"] = ("cookie", names.session, SESSION)
    found["token"] = ("header", names.token, TOKEN.format(days=days, name=f"`{names.token}`"))
    return {
        scheme: {"type": "apiKey", "in": place, "name": name, "description": text}
        for scheme, (place, name, text) in found.items()
    }


def _routes(endpoint: Endpoint, names: Counter[str]) -> Iterator[APIRoute]:
    for method in documented(endpoint):
        words = _WORDS.sub("_", endpoint.path).strip("_") or "root"
        name = f"{words}_{method.lower()}"
        names[name] += 1
        yield _route(endpoint, method, name if names[name] == 1 else f"{name}__{names[name]}")


def documented(endpoint: Endpoint) -> tuple[str, ...]:
    """The methods to describe, the usual one first; of any method those that clients use.

    None for an endpoint that only refuses.
    """
    if getattr(endpoint.fn, "__annotations__", {}).get("return") == _ANSWERS_NOTHING:
        return ()
    if endpoint.any_method:
        return ("POST", "GET") if endpoint.writes is True else ("GET", "POST")
    return tuple(m for m in endpoint.methods if m not in ("HEAD", "OPTIONS"))


def _route(endpoint: Endpoint, method: str, name: str) -> APIRoute:
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter(n, keyword, annotation=str) for n in endpoint.path_names]
    model: Any = endpoint.accepts
    if model:
        if method in SAFE:
            model = Annotated[model, Query()]
        parameters.append(inspect.Parameter("params_", keyword, annotation=model))

    async def stub(**values: Any) -> None: ...

    stub.__name__ = endpoint.fn.__name__
    stub.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    about = (inspect.getdoc(endpoint.fn) or "").removeprefix(endpoint.summary).strip()
    return APIRoute(
        endpoint.path,
        stub,
        methods=[method],
        operation_id=name,
        tags=[endpoint.tag],
        summary=endpoint.summary or None,
        description=about or None,
        response_model=endpoint.reply,
    )


class _Rows:
    """The schemas of rows among those of the document, each once."""

    def __init__(self, tables: Tables, models: Schema) -> None:
        self.tables = tables
        self._models = models
        self._names: dict[tuple[Any, ...], str] = {}

    def ref(self, endpoint: Endpoint) -> Schema:
        """A reference to the schema of the rows that this endpoint replies."""
        key = (endpoint.tables, endpoint.owner, *sorted(endpoint.nested.items()))
        name = self._names.get(key)
        if name is None:
            base = name = "row." + _WORDS.sub("_", "_".join(endpoint.tables))
            number = 1
            while name in self._models:
                number += 1
                name = f"{base}.{number}"
            self._names[key] = name
            self._models[name] = self.tables.row(endpoint.tables, endpoint.owner, endpoint.nested)
        return {"$ref": f"#/components/schemas/{name}"}


def _finish(
    operation: Schema, endpoint: Endpoint, method: str, models: Schema, rows: _Rows
) -> None:
    """Say what FastAPI does not know: forms are as good as JSON, verbs read columns, rows leave."""
    path_names = set(endpoint.path_names)
    seen: set[tuple[str, str]] = set()
    kept = []
    for parameter in operation.get("parameters", ()):
        key = (parameter["name"], parameter["in"])
        twice = parameter["in"] == "query" and parameter["name"] in path_names
        if not twice and key not in seen:
            seen.add(key)
            parameter["schema"] = _hidden(parameter["name"], parameter["schema"])
            kept.append(parameter)
    fields = [f for f in rows.tables.fields(endpoint) if f.name not in path_names]
    if method in SAFE:
        kept += [_parameter(field) for field in fields if (field.name, "query") not in seen]
    else:
        _add_to_body(operation, fields, models)
    operation.pop("parameters", None)
    if kept:
        operation["parameters"] = kept
    if endpoint.tables:
        schema = schemas.reply(endpoint, rows.ref(endpoint))
        if schema:
            operation["responses"]["200"]["content"] = {JSON: {"schema": schema}}
    elif endpoint.reply is None:  # a Response of any kind
        operation["responses"]["200"].pop("content", None)
    if kept or "requestBody" in operation:
        operation["responses"]["400"] = _failure("400")
    if endpoint.verb in ("get", "update", "incr", "del"):
        operation["responses"]["404"] = _failure("404")
    if endpoint.writes is True:
        operation["responses"]["409"] = _failure("409")


def _parameter(field: schemas.Field) -> Schema:
    if field.name in _CONTROLS:
        return {"$ref": f"#/components/parameters/{field.name}"}
    found: Schema = {"name": field.name, "in": "query", "schema": field.schema}
    if field.required:
        found["required"] = True
    if "description" in field.schema:
        found["description"] = field.schema["description"]
    return found


def _add_to_body(operation: Schema, fields: Sequence[schemas.Field], models: Schema) -> None:
    body = operation.get("requestBody", {})
    schema = body.get("content", {}).get(JSON, {}).get("schema")
    if schema is None and not fields:
        return
    model = _followed(schema or {}, models)
    for name, property in model.get("properties", {}).items():
        model["properties"][name] = _hidden(name, property)
    known = model.get("properties", {})
    more = [field for field in fields if field.name not in known]
    if more:
        added: Schema = {
            "type": "object",
            "properties": {
                f.name: {"$ref": _control(f.name)} if f.name in _CONTROLS else f.schema
                for f in more
            },
        }
        if required := [field.name for field in more if field.required]:
            added["required"] = required
            body["required"] = True
        schema = {"allOf": [schema, added]} if schema else added
    body["content"] = {JSON: {"schema": schema}, FORM: {"schema": schema}}
    operation["requestBody"] = body


def _followed(schema: Schema, models: Schema) -> Schema:
    if "$ref" in schema:
        found: Schema = models[schema["$ref"].rpartition("/")[2]]
        return found
    return schema


def _hidden(name: str, schema: Schema) -> Schema:
    if "anyOf" in schema:
        return schema | {"anyOf": [schemas.hide(name, item) for item in schema["anyOf"]]}
    return schemas.hide(name, schema)


def _respond(operation: Schema, security: Sequence[Mapping[str, Sequence[str]]]) -> None:
    responses = operation["responses"]
    if "400" in responses:
        responses.pop("422", None)
    if security:
        operation["security"] = list(security)
        responses |= {code: _failure(code) for code in _SIGNED}
    for code in ("429", "503"):
        responses.setdefault(code, _failure(code))
    operation["responses"] = dict(sorted(responses.items()))


def _failure(code: str) -> Schema:
    return {"$ref": f"#/components/responses/{code}"}


def _references(node: Any) -> Iterable[str]:
    if isinstance(node, dict):
        if isinstance(ref := node.get("$ref"), str):
            yield ref
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _prune(document: Schema, kind: str) -> None:
    """Take away what nothing refers to, such as the models of routes that are not shown."""
    components, prefix = document["components"], f"#/components/{kind}/"
    waiting: list[Any] = [document["paths"], *(v for k, v in components.items() if k != kind)]
    used: set[str] = set()
    while waiting:
        for ref in _references(waiting.pop()):
            name = ref.removeprefix(prefix)
            if ref.startswith(prefix) and name not in used:
                used.add(name)
                waiting.append(components[kind].get(name))
    components[kind] = {n: item for n, item in components[kind].items() if n in used}
