"""The parameters of an endpoint as a pydantic model: checked and converted."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from bkjs.errors import BadRequest
from bkjs.lib.convert import str_split

_INT64 = 2**63


class Params(BaseModel):
    """The parameters of an endpoint: they are converted, checked and documented.

    Unknown parameters are dropped. An empty value counts as absent unless the field is text, and a
    list also comes as text with commas.
    """

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


def validator(model: type[BaseModel]) -> Callable[[Mapping[str, Any]], BaseModel]:
    """Turns parameters into the model; raises BadRequest that names the first wrong field."""
    model.model_rebuild()
    check = TypeAdapter(model).validator.validate_python
    names = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
    not_text = frozenset(name for name, kind in names.items() if not _takes_empty(kind))
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
            wrong = error.errors(include_url=False, include_input=False, include_context=False)
            raise refusal(wrong[0]) from None
        for name in whole:
            if isinstance(number := getattr(found, name), int) and not -_INT64 <= number < _INT64:
                raise BadRequest(f"{name}: Out of range", field=name)
        return found

    return validate


def refusal(first: Mapping[str, Any], *, skip: int = 0) -> BadRequest:
    """What the client gets for parameters that do not fit: the first of them and what is wrong.

    `skip` parts of its place tell where parameters were looked for.
    """
    where = ".".join(str(part) for part in first["loc"][skip:])
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


def _takes_empty(annotation: Any) -> bool:
    """Whether an empty text is a value of the type: text is, a choice of texts mostly not."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _takes_empty(typing.get_args(annotation)[0])
    if origin is typing.Union or origin is types.UnionType:
        return any(map(_takes_empty, typing.get_args(annotation)))
    if origin is typing.Literal:
        return "" in typing.get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return any(member.value == "" for member in annotation)
    return annotation is Any or (isinstance(annotation, type) and issubclass(annotation, str))
