"""The OpenAPI document of all endpoints, made by FastAPI from routes that exist only for it."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any

from fastapi import Query
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from bkjs.app import App
from bkjs.lib.json import wire_json
from bkjs.web.endpoint import Endpoint

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
SIGNED: list[dict[str, list[str]]] = [{"signature": []}]
ERROR_NAME = "bkjs.Error"  # with a dot, which no model has in its name
ERROR = {
    "type": "object",
    "properties": {
        "status": {"type": "integer"},
        "message": {"type": "string"},
        "code": {"type": "string"},
        "field": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {name: {"type": "string"} for name in ("field", "message", "code")},
            },
        },
    },
    "required": ["status", "message"],
}
WRONG = {
    "description": "Wrong parameters",
    "content": {JSON: {"schema": {"$ref": f"#/components/schemas/{ERROR_NAME}"}}},
}
_WORDS = re.compile(r"[^A-Za-z0-9]+")


def build(app: App, endpoints: Iterable[Endpoint], others: Sequence[BaseRoute]) -> bytes:
    """The document of endpoints, and of FastAPI's own routes, as JSON.

    It takes a while; call it in a thread and keep the result.
    """
    name = getattr(app, "name", "") or "bkjs"
    version = getattr(app, "app_version", "") or app.version
    ours = list(_routes(endpoints))
    document = get_openapi(title=name, version=version, routes=[*others, *ours])
    answered = {
        (route.path_format, method.lower()) for route in ours for method in route.methods or ()
    }
    for path, methods in document.get("paths", {}).items():
        for method, operation in methods.items():
            if (path, method) in answered:
                _finish(operation, set(re.findall(r"\{(\w+)", path)))
            else:  # FastAPI answers: all is as it says, behind our access rules, in our shape
                operation.setdefault("security", SIGNED)
                if "422" in (responses := operation.get("responses", {})):
                    responses["422"] = WRONG
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    if b"schemas/HTTPValidationError" not in wire_json(document):
        schemas.pop("HTTPValidationError", None)
        schemas.pop("ValidationError", None)
    schemas[ERROR_NAME] = ERROR
    components["securitySchemes"] = {
        "signature": {
            "type": "apiKey",
            "in": "header",
            "name": app.config.api.signature_header_name,
        }
    }
    return wire_json(document)


def _routes(endpoints: Iterable[Endpoint]) -> Iterator[APIRoute]:
    names: Counter[str] = Counter()
    for endpoint in endpoints:
        for method in documented(endpoint):
            words = _WORDS.sub("_", endpoint.path).strip("_") or "root"
            name = f"{words}_{method.lower()}"
            names[name] += 1
            yield _route(endpoint, method, name if names[name] == 1 else f"{name}__{names[name]}")


def documented(endpoint: Endpoint) -> tuple[str, ...]:
    """The methods to describe: of an endpoint for any method those that clients use."""
    if endpoint.any_method:
        return ("GET", "POST")
    return tuple(m for m in endpoint.methods if m not in ("HEAD", "OPTIONS"))


def _route(endpoint: Endpoint, method: str, name: str) -> APIRoute:
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter(n, keyword, annotation=str) for n in endpoint.path_names]
    model: Any = endpoint.accepts
    if model:
        if method in ("GET", "DELETE"):
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
        openapi_extra=None if endpoint.public else {"security": SIGNED},
    )


def _finish(operation: dict[str, Any], path_names: set[str]) -> None:
    """Say what differs from FastAPI: forms are as good as JSON, wrong parameters are a 400."""
    content = operation.get("requestBody", {}).get("content", {})
    if JSON in content:
        content[FORM] = content[JSON]
    seen: set[tuple[str, str]] = set()
    kept = []
    for parameter in operation.get("parameters", ()):
        key = (parameter["name"], parameter["in"])
        twice = parameter["in"] == "query" and parameter["name"] in path_names
        if not twice and key not in seen:
            seen.add(key)
            kept.append(parameter)
    if "parameters" in operation:
        operation["parameters"] = kept
    responses = operation.get("responses", {})
    if responses.pop("422", None) or kept or content:
        responses["400"] = WRONG
