"""JSON schemas of what a caller may send to an endpoint and get from it, by its tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple

from bkjs.auth.accounts import AUTH_TABLE
from bkjs.db.contract import NATIVE_OPERATORS, OPERATORS, Column, Table
from bkjs.db.tables.types import type_of
from bkjs.lib.convert import str_split
from bkjs.lib.mask import is_secret_sent
from bkjs.web.endpoint import Endpoint
from bkjs.web.input.controls import CONTROLS
from bkjs.web.output.columns import ColumnRules
from bkjs.web.output.formats import FORMATS

Schema = dict[str, Any]
Level = Literal["stranger", "account", "admin"]
"""What kind of caller decides on the columns that he sees."""

_KINDS: Final[Mapping[str, Schema]] = {
    "text": {"type": "string"},
    "search": {"type": "string"},
    "int": {"type": "integer"},
    "real": {"type": "number"},
    "decimal": {"type": "number"},
    "bool": {"type": "boolean"},
    "date": {"type": "string", "format": "date-time"},
    "day": {"type": "string", "format": "date"},
    "bytes": {"type": "string", "contentEncoding": "base64"},
    "list": {"type": "array", "items": {}},
    "json": {},
}
_TYPES: Final[Mapping[str, Schema]] = {
    "email": {"format": "email"},
    "url": {"format": "uri"},
    "uuid": {"format": "uuid"},
    "obj": {"type": "object"},
    "object": {"type": "object"},
    "array": {"type": "array", "items": {}},
    **{name: {"description": "milliseconds since 1970"} for name in ("now", "clock", "mtime")},
}
_OPERATORS: Final = ", ".join(sorted(OPERATORS | NATIVE_OPERATORS))
_MOST: Final = CONTROLS["count"]["max"]

PAGE_CONTROLS: Final[Mapping[str, Schema]] = {
    "_sort": {"type": "string", "description": "The column that rows are sorted by"},
    "_desc": {"type": "boolean", "description": "Sort in descending order"},
    "_count": {
        "type": "integer", "minimum": 0, "maximum": _MOST, "default": CONTROLS["count"]["dflt"],
        "description": f"Rows of a page, at most {_MOST}",
    },
    "_start": {
        "type": "string",
        "description": "Where the page begins: `next_token` of the page before",
    },
    "_select": {"type": "string", "description": "Only these columns, separated by commas"},
    "_ops": {
        "type": "string",
        "description": "Operators of the conditions, by column: `name,begins_with,age,gt`. Without"
        f" one a column has to be equal. There are: {_OPERATORS}",
    },
    "_total": {
        "type": "boolean", "description": "Only the number of matching rows, as `{\"count\": 9}`",
    },
}  # fmt: skip
"""Controls of an endpoint that gives a page."""
FORMAT: Final[Schema] = {
    "type": "string",
    "enum": list(FORMATS),
    "description": "Rows in another format; `next_token` is then a header",
}


class Field(NamedTuple):
    """A parameter that is added to those of an endpoint's model."""

    name: str
    schema: Schema
    required: bool = False


class Tables:
    """The columns of tables as one kind of caller sees them."""

    def __init__(self, rules: ColumnRules, level: Level) -> None:
        self.rules = rules
        self.level = level

    def _columns(self, tables: Iterable[str]) -> dict[str, Column]:
        found = (self.rules.describe(name.strip()) for name in tables)
        return {n: column for table in found if table for n, column in table.columns.items()}

    def _seen(self, tables: Iterable[str], owner: str) -> tuple[frozenset[str], frozenset[str]]:
        """The columns that this caller sees in any row, and those only in rows that are his."""
        tables = tuple(tables)
        seen = self.rules.get(",".join(tables), admin=self.level == "admin")
        if seen is None:
            return frozenset(), frozenset()
        # without an owner the rows of an account are those of accounts: their ids are its own
        columns = self._columns(tables)
        accounts = AUTH_TABLE in tables or "login" in columns
        if self.level == "stranger" or (owner == "id" and not accounts):
            return seen.public, frozenset()
        return seen.public, seen.own if owner == "id" else seen.own - seen.kept

    def row(self, tables: Iterable[str], owner: str, nested: Mapping[str, str]) -> Schema:
        """A row of some tables, with the rows that lie in it."""
        public, own = self._seen(tables, owner)
        properties: Schema = {}
        for name, column in self._columns(tables).items():
            if name in public:
                properties[name] = described(column)
            elif name in own:
                properties[name] = described(column, "only in rows of the caller")
        for key, names in nested.items():
            below = self.row(names.split(","), "id", {}) if names else {}
            properties[key] = {"anyOf": [below, {"type": "array", "items": below}]} if names else {}
        return {"type": "object", "properties": properties}

    def fields(self, endpoint: Endpoint) -> Iterator[Field]:
        """What the verb of an endpoint reads besides the fields of its model."""
        verb, model = endpoint.verb, endpoint.params
        if not verb:
            return
        columns = self._columns(endpoint.tables)
        keys = self._keys(endpoint.tables)
        public, own = self._seen(endpoint.tables, endpoint.owner)
        if verb == "get" and model is None:
            yield from (Field(n, given(columns[n]), True) for n in keys if n in columns)
        elif verb == "select":
            if model is None:
                # an owner that is declared sees only rows of his own, the others all rows
                readable = public | own if endpoint.owner != "id" else public
                yield from (Field(n, given(c)) for n, c in columns.items() if n in readable)
            yield from (Field(name, schema) for name, schema in PAGE_CONTROLS.items())
        elif model is not None and model.model_config.get("extra") == "allow":
            for name, column in columns.items():
                made = type_of(column).make is not None
                if name == endpoint.owner != "id" or column.props.get("readonly"):
                    continue
                if verb in ("update", "incr", "del") and name in keys:
                    yield Field(name, given(column), True)
                elif name in public | own and not made and verb != "del":
                    yield Field(name, given(column))
        if verb in ("get", "select"):
            yield Field("_format", FORMAT)

    def _keys(self, tables: Iterable[str]) -> tuple[str, ...]:
        table: Table | None = self.rules.describe(next(iter(tables), ""))
        return table.keys if table else ()


def described(column: Column, note: str = "") -> Schema:
    """The schema of the values of a column."""
    schema = {**_KINDS[column.kind], **_TYPES.get(column.type, {})}
    if column.kind == "list":
        schema = dict(_KINDS["list"])
    props = column.props
    if props.get("values"):
        schema["enum"] = str_split(props["values"])
    if isinstance(props.get("maxlength"), int) and schema.get("type") == "string":
        schema["maxLength"] = props["maxlength"]
    if note:
        about = schema.get("description")
        schema["description"] = f"{about}; {note}" if about else note
    return schema


def given(column: Column) -> Schema:
    """The schema of a value that a client sends for a column."""
    schema = described(column)
    if schema.get("type") == "array":
        schema = {"type": "string", "description": "separated by commas"}
    return hide(column.name, schema)


def hide(name: str, schema: Schema) -> Schema:
    """The schema of a parameter: that of a secret has the format of passwords."""
    if schema.get("type") == "string" and "enum" not in schema and is_secret_sent(name):
        return schema | {"format": "password"}
    return schema


def reply(endpoint: Endpoint, row: Schema) -> Schema | None:
    """What an endpoint answers with, when its rows are these; None when nobody knows."""
    page = {
        "type": "object",
        "properties": {
            "count": {"type": "integer", "description": "the number of rows of this page"},
            "data": {"type": "array", "items": row},
            "next_token": {"type": "string", "description": "`_start` of the next page, if any"},
        },
        "required": ["count"],
    }
    if endpoint.verb == "select":
        return page
    if endpoint.verb in ("get", "add", "put"):
        return row
    if endpoint.verb:
        return {"type": "object", "description": "nothing when it is done"}
    if endpoint.reply is not None or not endpoint.tables:
        return None
    # what the function is annotated to return says which of the shapes of a reply it has
    returned = getattr(endpoint.fn, "__annotations__", {}).get("return", "")
    name = returned if isinstance(returned, str) else getattr(returned, "__name__", "")
    rows = {"type": "array", "items": row}
    if name.startswith(("list", "Rows")):
        return rows
    if name.startswith("Written"):
        return row
    return {"anyOf": [row, page] if name.startswith("dict") else [row, rows, page]}
