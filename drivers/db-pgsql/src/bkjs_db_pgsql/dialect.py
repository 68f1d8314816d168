"""How PostgreSQL writes SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bkjs.db.contract import Column
from bkjs_sql import Dialect, Kind, kind

ARRAYS: Mapping[Kind, str] = {
    "text": "text[]",
    "int": "bigint[]",
    "real": "double precision[]",
    "bool": "boolean[]",
    "json": "text[]",
    "bytes": "bytea[]",
    "search": "text[]",
}


class PgsqlDialect(Dialect):
    arrays = True
    types: Mapping[Kind, str] = {
        "text": 'text COLLATE "C"',
        "int": "bigint",
        "real": "double precision",
        "bool": "boolean",
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
        return f"${number}"

    def type(self, column: Column) -> str:
        if column.props.get("len") and kind(column) == "text":
            return f'varchar({int(column.props["len"])}) COLLATE "C"'
        return super().type(column)

    def value(self, name: str, of: Kind) -> str:
        if of == "json":
            return f"{name}::text"  # json has no comparison
        # in somebody else's numeric column values compare as they are read
        return f"{name}::double precision" if of == "real" else name

    def by_code_point(self, name: str, of: Kind) -> str:
        # said again, for tables that somebody else made
        return f'{name} COLLATE "C"' if of in ("text", "json") else name

    def search(self, name: str, column: Column, params: Sequence[str], *, plain: bool) -> str:
        lang = self.language(column)
        document = name if kind(column) == "search" else f"to_tsvector({lang}, {name})"
        function = "plainto_tsquery" if plain else "to_tsquery"
        query = " || ".join(f"{function}({lang}, {param})" for param in params)
        return f"{document} @@ ({query})"

    def language(self, column: Column) -> str:
        """The configuration that takes a column's text apart."""
        return self.literal(str(column.props.get("lang") or "english"))

    def index_method(self, kinds: Sequence[Kind]) -> str:
        return " USING gin" if kinds == ["search"] else ""

    def order(self, name: str, of: Kind, *, desc: bool, nullable: bool) -> str:
        term = super().order(self.value(name, of), of, desc=desc, nullable=nullable)
        if not nullable:
            return term
        return term + (" NULLS LAST" if desc else " NULLS FIRST")

    def index_term(self, name: str, of: Kind, *, nullable: bool) -> str:
        term = f"({self.by_code_point(self.value(name, of), of)})" if of == "json" else name
        return term + (" NULLS FIRST" if nullable and of != "search" else "")

    def key_in(self, names: Sequence[str], kinds: Sequence[Kind], params: Sequence[str]) -> str:
        if len(names) == 1:
            return f"{names[0]} = ANY({params[0]})"
        arrays = ", ".join(f"{p}::{ARRAYS[of]}" for p, of in zip(params, kinds, strict=True))
        return f"({', '.join(names)}) IN (SELECT * FROM unnest({arrays}))"
