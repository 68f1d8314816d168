"""The OpenAPI document of all endpoints, made by FastAPI from routes that exist only for it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import orjson
from fastapi import Query
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

if TYPE_CHECKING:
    from bkjs.web.routes import Endpoint
    from bkjs.web.service import Web

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
ERROR = {
    "type": "object",
    "properties": {
        "status": {"type": "integer"},
        "message": {"type": "string"},
        "code": {"type": "string"},
    },
    "required": ["status", "message"],
}
_WORDS = re.compile(r"[^A-Za-z0-9]+")


def build(web: Web) -> bytes:
    """The document as JSON. It takes a while; call it in a thread and keep the result."""
    name = getattr(web.app, "name", "") or "bkjs"
    version = getattr(web.app, "app_version", "") or web.app.version
    own = list(web.fastapi.routes) if web.fastapi else []
    document = get_openapi(title=name, version=version, routes=[*own, *_routes(web)])
    for path, methods in document.get("paths", {}).items():
        for operation in methods.values():
            _finish(operation, set(re.findall(r"\{(\w+)", path)))
    components = document.setdefault("components", {})
    components.setdefault("schemas", {})["Error"] = ERROR
    components["securitySchemes"] = {
        "signature": {
            "type": "apiKey",
            "in": "header",
            "name": web.app.config.api.signature_header_name,
        }
    }
    return orjson.dumps(document)


def _routes(web: Web) -> Iterator[APIRoute]:
    for endpoint in web.endpoints:
        for method in documented(endpoint):
            yield _route(endpoint, method)


def documented(endpoint: Endpoint) -> tuple[str, ...]:
    """The methods to describe: of an endpoint for any method those that clients use."""
    if endpoint.any_method:
        return ("GET", "POST")
    return tuple(m for m in endpoint.methods if m not in ("HEAD", "OPTIONS"))


def _route(endpoint: Endpoint, method: str) -> APIRoute:
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter(n, keyword, annotation=str) for n in endpoint.path_names]
    model: Any = endpoint.params
    if model:
        if method in ("GET", "DELETE"):
            model = Annotated[model, Query()]
        parameters.append(inspect.Parameter("params_", keyword, annotation=model))

    async def stub(**values: Any) -> None: ...

    stub.__name__ = endpoint.fn.__name__
    stub.__doc__ = endpoint.fn.__doc__
    stub.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    words = _WORDS.sub("_", endpoint.path).strip("_") or "root"
    return APIRoute(
        endpoint.path,
        stub,
        methods=[method],
        operation_id=f"{words}_{method.lower()}",
        tags=[endpoint.tag],
        summary=endpoint.summary or None,
        response_model=endpoint.reply,
        openapi_extra=None if endpoint.public else {"security": [{"signature": []}]},
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
        error = {"schema": {"$ref": "#/components/schemas/Error"}}
        responses["400"] = {"description": "Wrong parameters", "content": {JSON: error}}
