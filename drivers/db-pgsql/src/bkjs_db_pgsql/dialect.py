"""How PostgreSQL writes SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bkjs.db.contract import Column
from bkjs_sql import Dialect, Kind, kind

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


class PgsqlDialect(Dialect):
    """SQL of PostgreSQL: text compares by code point, lists are bound as arrays."""

    arrays = True
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
        # in the collation "C" only ASCII letters have two cases
        "ilike": '{c} COLLATE "default" ILIKE {p}',
        "ilike%": '{c} COLLATE "default" ILIKE {p}',
        "regexp": "{c} ~ {p}",
        "iregexp": '{c} COLLATE "default" ~* {p}',
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

    def search(self, name: str, column: Column, params: Sequence[str], *, plain: bool) -> str:
        """A `tsvector` column, or a text that is made one, against `to_tsquery`.

        Words of `plain` texts need no operators between them; see "Full Text Search" in the
        manual of PostgreSQL.
        """
        lang = self.language(column)
        document = name if kind(column) == "search" else f"to_tsvector({lang}, {name})"
        function = "plainto_tsquery" if plain else "to_tsquery"
        query = " || ".join(f"{function}({lang}, {param})" for param in params)
        return f"{document} @@ ({query})"

    def language(self, column: Column) -> str:
        """The configuration that takes a column's text apart."""
        return self.literal(str(column.props.get("lang") or "english"))

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
        arrays = ", ".join(f"{p}::{ARRAYS[of]}" for p, of in zip(params, kinds, strict=True))
        return f"({', '.join(names)}) IN (SELECT * FROM unnest({arrays}))"
