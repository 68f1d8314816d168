"""The parameters of an endpoint as a pydantic model: checked and converted."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from bkjs.errors import MOST_ERRORS, BadRequest
from bkjs.lib.convert import str_split

_INT64 = 2**63
_MOST_ITEMS = 20_000
"""Items of a list that comes as text: each may be wrong, and is described then."""
_LONGEST = 200
"""Characters of the name of a wrong field: of some models clients choose it."""


class Params(BaseModel):
    """The parameters of an endpoint: they are converted, checked and documented.

    Unknown parameters are dropped. An empty value counts as absent unless the field is text, and a
    list also comes as text with commas.
    """

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


def validator(model: type[BaseModel]) -> Callable[[Mapping[str, Any]], BaseModel]:
    """Turns parameters into the model; raises BadRequest that names all wrong fields."""
    model.model_rebuild()
    check = TypeAdapter(model).validator.validate_python
    names = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
    not_text = frozenset(name for name, kind in names.items() if not _takes_empty(kind))
    lists = tuple(name for name, kind in names.items() if list in _kinds(kind))
    fields = model.model_fields.items()
    whole = {n: field.alias or n for n, field in fields if int in _kinds(field.annotation)}

    def validate(query: Mapping[str, Any]) -> BaseModel:
        if "" in query.values():
            query = {n: v for n, v in query.items() if v != "" or n not in not_text}
        for name in lists:
            if isinstance(text := query.get(name), str):
                if text.count(",") >= _MOST_ITEMS:
                    raise BadRequest(f"{name}: more than {_MOST_ITEMS} items", field=name)
                query = {**query, name: str_split(text)}
        try:
            found: BaseModel = check(query)
        except ValidationError as error:
            wrong: list[Any] = error.errors(
                include_url=False, include_input=False, include_context=False
            )
            said = {one["loc"][:1] for one in wrong}
            wrong += (_beyond(n) for n in whole.values() if (n,) not in said and _long(query, n))
            raise refusal(wrong) from None
        beyond = [_beyond(name) for name in whole if _is_beyond(getattr(found, name))]
        if beyond:
            raise refusal(beyond)
        return found

    return validate


def _is_beyond(number: object) -> bool:
    return isinstance(number, int) and not -_INT64 <= number < _INT64


def _long(query: Mapping[str, Any], name: str) -> bool:
    """Whether a parameter would be a number beyond 64 bits if all others were right."""
    given = query.get(name)
    try:
        return _is_beyond(int(given) if isinstance(given, str) else given)
    except ValueError:
        return False


def _beyond(name: str) -> Mapping[str, Any]:
    return {"loc": (name,), "type": "out_of_range", "msg": "Out of range"}


def refusal(wrong: Sequence[Mapping[str, Any]], *, skip: int = 0) -> BadRequest:
    """What the client gets for parameters that do not fit, from the errors of pydantic.

    It names the first and has all of them in `errors`, with the code of pydantic. `skip` parts of
    their places tell where parameters were looked for.
    """
    errors = [_wrong(one, skip) for one in wrong[:MOST_ERRORS]]
    field, message = errors[0]["field"], errors[0]["message"]
    if errors[0]["code"] == "missing":
        message = f"{field} {message}"
    elif field:
        message = f"{field}: {message}"
    return BadRequest(message, field=field, errors=errors)


def _wrong(one: Mapping[str, Any], skip: int) -> dict[str, str]:
    code = str(one["type"])
    message = "is required" if code == "missing" else one["msg"].removeprefix("Value error, ")
    field = ".".join(map(str, one["loc"][skip:]))[:_LONGEST]
    return {"field": field, "message": message, "code": code}


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
