"""How PostgreSQL writes SQL."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Context, Decimal
from typing import Any

from bkjs.db.contract import Column, Table
from bkjs.db.tables.objects import refused
from bkjs_sql import Check, Dialect, Kind, kind

ARRAYS: Mapping[Kind, str] = {
    "text": "text[]",
    "int": "bigint[]",
    "real": "double precision[]",
    "decimal": "numeric[]",
    "bool": "boolean[]",
    "json": "text[]",
    "bytes": "bytea[]",
    "search": "text[]",
}
"""The type of an array of keys, which `unnest` has to be told."""


UNICODE = '"und-x-icu"'
"""The collation that knows all letters."""
CASELESS = frozenset({"ilike", "ilike%", "iregexp"})
"""Operators that need it."""
_FOLDED = f"replace(lower({{c}} COLLATE {UNICODE}), 'ς', 'σ')"
_TEXTS = ("text", "character", "citext", "name")
_MODIFIER = re.compile(r"\([-0-9, ]+\)")
_NUMERIC = re.compile(r"numeric\(([0-9]+),(-?[0-9]+)\)")
_FRACTION = re.compile(r"timestamp\(([0-6])\)")
_LENGTH = re.compile(r"character varying\(([0-9]+)\)")
_QUERY = re.compile(r"[&|!()<>:*'\\]")
_BITS = {"smallint": 15, "integer": 31, "bigint": 63}
_DIGITS = {"real": 6, "double precision": 15}
"""Digits of a decimal that are the same when it is read again."""
_EXACT = Context(prec=1000)
_NO_TEXT = frozenset(
    {"smallint", "integer", "bigint", "numeric", "real", "double precision", "boolean", "json",
     "jsonb", "bytea", "tsvector"}
)  # fmt: skip
_OWN: Mapping[Kind, frozenset[str]] = {
    "text": frozenset({"text", "character varying"}),
    "int": frozenset(_BITS),
    "real": frozenset({"real", "double precision"}),
    "decimal": frozenset({"numeric"}),
    "bool": frozenset({"boolean"}),
}
"""Types whose values are equal when ours are: in `citext` and `character` others are, too."""
_MICROSECONDS = """'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'"""


def exact(column: Column, real: str) -> Check | None:
    """What refuses values that a column of this type rounds or cuts; None where there are none.

    A `real` is an approximation in every type.
    """
    name = column.name
    if column.kind in ("int", "real", "decimal") and (found := _NUMERIC.fullmatch(real)):
        return _decimal(name, int(found[2]), 10 ** int(found[1]))
    if column.kind == "decimal" and real in _BITS:
        return _decimal(name, 0, 2 ** _BITS[real])
    if column.kind == "decimal" and real in _DIGITS:
        return _digits(name, _DIGITS[real])
    if column.kind == "date" and (found := _FRACTION.match(real)):
        return _fraction(name, int(found[1]))
    if column.kind == "text" and (found := _LENGTH.fullmatch(real)):
        return _length(name, int(found[1]))
    return None


def _decimal(name: str, scale: int, limit: int) -> Check:
    def check(value: Any) -> None:
        moved = Decimal(repr(value) if isinstance(value, float) else value).scaleb(scale, _EXACT)
        if moved != moved.to_integral_value():
            raise refused(name, "more digits than the column holds")
        if not -limit <= moved < limit:
            raise refused(name, "number out of range")

    return check


def _digits(name: str, most: int) -> Check:
    def check(value: Any) -> None:
        if len(_EXACT.create_decimal(value).normalize(_EXACT).as_tuple().digits) > most:
            raise refused(name, "more digits than the column holds")

    return check


def _fraction(name: str, digits: int) -> Check:
    def check(value: Any) -> None:
        if value[20 + digits : 26].strip("0"):
            raise refused(name, "more digits than the column holds")

    return check


def _length(name: str, most: int) -> Check:
    def check(value: Any) -> None:
        if len(value) > most:  # the server cuts blanks without a word
            raise refused(name, f"longer than {most} characters")

    return check


def fits(column: Column, stored: str) -> bool | None:
    """Whether a column of this type holds all values that are described, where they go to the
    server as text; None for others."""
    real = _MODIFIER.sub("", stored.lower())
    plain = real.startswith(_TEXTS) and not real.endswith("[]")
    match column.kind:
        case "date":
            return plain or real.startswith("timestamp")
        case "day":
            return plain or real == "date"
        case "list":
            return plain or real.endswith("[]")
        case "text":
            return plain or not (real in _NO_TEXT or real.endswith("[]"))
    return None


def _in_our_years(moment: str, form: str) -> str:
    """A moment as we write it, or as PostgreSQL does where Python has none, as infinity."""
    known = f"{moment} >= '0001-01-01' AND {moment} < '10000-01-01'"
    return f'CASE WHEN {known} THEN to_char({moment}, {form}) ELSE {moment}::text END AS " "'


class PgsqlDialect(Dialect):
    """SQL of PostgreSQL: text compares by code point, lists are bound as arrays.

    Values of types that are none of ours (a timestamp, a uuid, an enumeration …) go to the server
    as text that is cast to the type, and come back as the text that the kernel makes of them; they
    sort as their type does, so that its indexes serve.
    """

    arrays = True
    reads: Mapping[Kind, str] = {"decimal": "None if {v} is None else Decimal({v})"}

    def __init__(self) -> None:
        self.real: Mapping[tuple[str, str], str] = {}
        """The types of the columns that there are, by table and column."""

    types: Mapping[Kind, str] = {
        **Dialect.types,
        "text": 'text COLLATE "C"',
        # not jsonb: a value is read as it was written, and its text compares as on other engines
        "json": "json",
        "bytes": "bytea",
        "search": "tsvector",
    }
    operators: Mapping[str, str] = {
        **Dialect.operators,
        "in": "{c} = ANY({p})",
        "contains": "strpos({c}, {p}) > 0",
        "like": "{c} LIKE {p}",
        # `fold`: in other collations it depends on the server which letters have two cases
        "ilike": f"{_FOLDED} LIKE {{p}}",
        "ilike%": f"{_FOLDED} LIKE {{p}}",
        "regexp": "{c} ~ {p}",
        "iregexp": f"{{c}} COLLATE {UNICODE} ~* {{p}}",
        "similar to": "{c} SIMILAR TO {p}",
    }

    def param(self, number: int) -> str:
        """`$1`, `$2` …"""
        return f"${number}"

    def type(self, column: Column) -> str:
        """The declared type of a column; the property `len` makes it a `varchar`."""
        if column.props.get("len") and kind(column) == "text":
            return f'varchar({int(column.props["len"])}) COLLATE "C"'
        return super().type(column)

    def foreign(self, table: Table, name: str) -> str:
        """The type of a column where it is none that we would give it, else ""."""
        real, column = self.real.get((table.name, name)), table.columns.get(name)
        if real is None or column is None:
            return ""
        real = _MODIFIER.sub("", real)
        match column.kind:
            case "list" if real.endswith("[]"):
                return real
            case "decimal" if real != "numeric":
                return real
            case "text" | "date" | "day" if not real.startswith(_TEXTS):
                return real
        return ""

    def kind(self, table: Table, name: str) -> Kind:
        """The kind of a column as the database really has it."""
        if not self.foreign(table, name):
            return super().kind(table, name)
        return "other"

    def bound(self, param: str, table: Table, name: str, *, many: bool = False) -> str:
        """A placeholder, cast to the type of a column that is none of ours."""
        real = self.foreign(table, name)
        if not real:
            return param
        column = table.columns[name]
        if column.kind == "list":
            by = self.literal(str(column.props.get("separator") or ","))
            return f"string_to_array({param}::text, {by})::{real}"
        sent = "numeric" if column.kind == "decimal" else "text"
        return f"{param}::{sent}[]::{real}[]" if many else f"{param}::{sent}::{real}"

    def check(self, table: Table, name: str, *, stored: bool) -> Check | None:
        """What refuses a value that would be rounded or cut where it is stored, or where it is cast
        to be compared."""
        real, column = self.real.get((table.name, name)), table.columns.get(name)
        if real is None or column is None:
            return None
        if not stored and (column.kind != "decimal" or real.startswith("numeric")):
            return None
        return exact(column, real)

    def selected(self, name: str, table: Table, column: str) -> str:
        """A column in the list of what is read; decimals with all of their digits."""
        real, of = self.foreign(table, column), table.columns[column].kind
        if real.startswith("timestamp") and of != "day":
            moment = f"({name} AT TIME ZONE 'UTC')" if real.endswith("with time zone") else name
            return _in_our_years(moment, _MICROSECONDS)
        if real.startswith(("timestamp", "date")):
            return _in_our_years(name, _MICROSECONDS if of == "date" else "'YYYY-MM-DD'")
        if real == "inet":
            return f"abbrev({name})"  # as a text it would say /32
        if not (real or of == "decimal"):
            return name
        # ORDER BY would take a result that has the name of the column
        return f'{name}::text{"[]" if of == "list" else ""} AS " "'

    def value(self, name: str, of: Kind) -> str:
        """A column in a comparison, cast where its own type compares otherwise or not at all."""
        if of == "json":
            return f"{name}::text"  # json has no comparison
        # in somebody else's numeric column values compare as they are read
        return f"{name}::double precision" if of == "real" else name

    def by_code_point(self, name: str, of: Kind) -> str:
        """A value in the collation `C`."""
        # said again, for tables that somebody else made
        return f'{name} COLLATE "C"' if of in ("text", "json") else name

    def plain(self, text: str) -> bool:
        """Whether a text has none of the operators of `to_tsquery`: only words."""
        return not _QUERY.search(text)

    def search(self, name: str, table: Table, column: Column, params: Sequence[str]) -> str:
        """All words of any of the texts, as `plainto_tsquery` takes them apart."""
        query = " || ".join(f"plainto_tsquery({self.language(column)}, {p})" for p in params)
        return f"{self._document(name, column)} @@ ({query})"

    def search_query(self, name: str, column: Column, param: str) -> str:
        """What `to_tsquery` makes of a query; see "Full Text Search" in the manual."""
        return f"{self._document(name, column)} @@ to_tsquery({self.language(column)}, {param})"

    def _document(self, name: str, column: Column) -> str:
        """A `tsvector` column, or a text that is made one."""
        made = f"to_tsvector({self.language(column)}, {name})"
        return name if kind(column) == "search" else made

    def language(self, column: Column) -> str:
        """The configuration that takes a column's text apart."""
        return self.literal(str(column.props.get("lang") or "english"))

    def measurable(self, table: Table, column: str) -> Kind | None:
        """The kind of a column in a type whose values compare as ours do."""
        of, real = super().measurable(table, column), self.real.get((table.name, column))
        if of is None or real is None:
            return of
        return of if _MODIFIER.sub("", real) in _OWN[of] else None

    def shown(self, value: str, of: Kind) -> str:
        """Decimals with all of their digits."""
        return f"({value})::text" if of == "decimal" else value

    def measure(self, op: str, name: str, of: Kind) -> str | None:
        """A figure. Sums of int and decimal are exact, those of real depend on the order."""
        if op == "sum":
            return f"SUM({name})::text" if of in ("int", "decimal") else None
        return super().measure(op, name, of)

    def index_method(self, kinds: Sequence[Kind]) -> str:
        """GIN for columns of the type `search`."""
        return " USING gin" if kinds == ["search"] else ""

    def order(self, name: str, of: Kind, *, desc: bool, nullable: bool) -> str:
        """One term of ORDER BY; where the server sorts nulls last it is told otherwise."""
        term = super().order(self.value(name, of), of, desc=desc, nullable=nullable)
        if not nullable:
            return term
        return term + (" NULLS LAST" if desc else " NULLS FIRST")

    def index_term(self, name: str, of: Kind, *, nullable: bool) -> str:
        """One column of an index in the order that `order` asks for; JSON is indexed as text."""
        term = f"({self.by_code_point(self.value(name, of), of)})" if of == "json" else name
        return term + (" NULLS FIRST" if nullable and of != "search" else "")

    def key_in(self, names: Sequence[str], kinds: Sequence[Kind], params: Sequence[str]) -> str:
        """Whether the key columns are in one array for each of them."""
        if len(names) == 1:
            return f"{names[0]} = ANY({params[0]})"
        return f"({', '.join(names)}) IN ({self.unnested(params, kinds)})"

    def unnested(self, params: Sequence[str], kinds: Sequence[Kind]) -> str:
        """The rows of some arrays, which `unnest` has to be told the types of."""
        arrays = ", ".join(
            f"{p}::{ARRAYS[of]}" if of in ARRAYS else p for p, of in zip(params, kinds, strict=True)
        )
        return f"SELECT * FROM unnest({arrays})"
