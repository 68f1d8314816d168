"""Conditions: the values are taken out first, so that the text is made from the structure alone.

`outline` turns a group into a hashable structure without values and appends the values to a list;
`condition` writes that structure. No value can reach the text, and equal structures share it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from bkjs.db.conditions.order import beyond
from bkjs.db.contract import Group, Order, Table
from bkjs.lib.wildcards import fold

from .dialect import Check, Dialect

Outline: TypeAlias = tuple[Any, ...]
"""`(join, items)` of a group; `(column, operator, number of values)` of a condition, with several
columns of one that compares rows."""

PLAIN_SEARCH = "@@ any"
"""The operator `@@` with plain texts, of which any has to be found, instead of a query."""
_SLOT = re.compile(r"\{([cop])\}")


class Draft:
    """A statement being written: hands out placeholders and remembers whose values they take."""

    def __init__(self, dialect: Dialect, table: Table) -> None:
        self.dialect = dialect
        self.table = table
        self.names: list[str] = []
        """The column that each placeholder takes a value of, in order."""
        self.checks: list[tuple[int, Check]] = []
        """What looks at values before they are bound, by the number of the placeholder from 0."""

    def column(self, name: str) -> str:
        """A name as an identifier; raises BadRequest for what none can be."""
        return self.dialect.quote(name)

    def param(self, column: str, *, many: bool = False, stored: bool = False) -> str:
        """The next placeholder, which takes a value of this column; see `Dialect.bound`."""
        check = self.dialect.check(self.table, column, stored=stored)
        if check is not None:
            self.checks.append((len(self.names), check))
        self.names.append(column)
        param = self.dialect.param(len(self.names))
        return self.dialect.bound(param, self.table, column, many=many)

    def selected(self, names: Iterable[str]) -> str:
        """Columns as they are read, with commas between them."""
        return ", ".join(self.dialect.selected(self.column(n), self.table, n) for n in names)

    def columns(self, names: Iterable[str]) -> str:
        """Names as identifiers with commas between them."""
        return ", ".join(map(self.column, names))


def outline(group: Group, dialect: Dialect, values: list[Any]) -> Outline:
    """The structure of a group; its values are appended in the order of the placeholders."""
    items: list[Outline] = []
    for item in group.items:
        if isinstance(item, Group):
            items.append(outline(item, dialect, values))
            continue
        column, op, value = item
        if op == "@@" and (not isinstance(value, str) or dialect.plain(value)):
            op = PLAIN_SEARCH
            value = dialect.searched([value] if isinstance(value, str) else value)
        taken = _values(op.removeprefix("not "), value, dialect)
        values.extend(taken)
        items.append((column, op, len(taken)))
    return (group.join, tuple(items))


def nullable(table: Table, name: str) -> bool:
    """Whether a column may hold null."""
    return name not in table.keys and not table.columns[name].props.get("notnull")


def behind(
    structure: Outline,
    table: Table,
    sort: Sequence[Order],
    after: Sequence[Any],
    dialect: Dialect,
    values: list[Any],
) -> Outline:
    """The structure of what comes after a row with these sort values, too; they are appended.

    Rows are compared as such where all columns go one way and no null is in the way: an index on
    the first of them is entered at the right place, one on all of them at the very row.
    """
    down = sort[0].desc
    if (
        len(sort) > 1
        and None not in after
        and all(desc == down and not (down and nullable(table, name)) for name, desc in sort)
    ):
        columns = tuple([order.column for order in sort])
        rest: Outline = ("AND", ((columns, "lt" if down else "gt", len(columns)),))
        values.extend(after)
    else:
        rest = outline(beyond(sort, after, lambda name: nullable(table, name)), dialect, values)
    parts: list[Outline] = []
    for group in (structure, rest):
        parts += group[1] if group[0] == "AND" else [group]
    return ("AND", tuple(parts))


def condition(draft: Draft, structure: Outline) -> str:
    """The text of a group, empty when it matches every row."""
    join, items = structure
    if not items:
        return "" if join == "AND" else "1 = 0"
    parts = []
    for item in items:
        if len(item) == 3:
            parts.append(_test(draft, *item))
        else:
            parts.append(f"({condition(draft, item) or '1 = 1'})")
    return f" {join} ".join(parts)


def where(draft: Draft, structure: Outline) -> str:
    """` WHERE …`, or nothing."""
    text = condition(draft, structure)
    return f" WHERE {text}" if text else ""


def by_key(table: Table, more: Outline | None = None) -> Outline:
    """The structure of a test for one key, whose values come first, and for what else must hold."""
    tests: list[Outline] = [(name, "eq", 1) for name in table.keys]
    if more is not None:
        tests.append(more)
    return ("AND", tuple(tests))


def after_prefix(prefix: str) -> str | None:
    """The least text, by code point, after all that begin with `prefix`, if there is one."""
    for end in range(len(prefix), 0, -1):
        code = ord(prefix[end - 1])
        if code < 0x10FFFF:
            step = 0xE000 if code == 0xD7FF else code + 1  # no surrogates: they are no text
            return prefix[: end - 1] + chr(step)
    return None


def escape_like(text: str) -> str:
    """A LIKE pattern that matches this text itself."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def padded(values: list[Any], width: int = 1) -> list[Any]:
    """Values repeated up to a power of two, so that long lists have few different texts."""
    count = len(values) // width
    if count < 2:
        return values
    return values + values[-width:] * ((1 << (count - 1).bit_length()) - count)


def _values(op: str, value: Any, dialect: Dialect) -> Sequence[Any]:
    match op:
        case "null":
            return ()
        case "between":
            return tuple(value)
        case "in":
            present = [item for item in value if item is not None]
            return (present,) if dialect.arrays else padded(present)
        case "begins_with":
            end = after_prefix(value)
            return (value,) if end is None else (value, end)
        case "ilike%":
            return (escape_like(fold(value)) + "%",)
        case "like" | "ilike":
            if (len(value) - len(value.rstrip("\\"))) % 2:
                value = value[:-1]  # an escape with nothing to escape, which some refuse
            return (fold(value) if op == "ilike" else value,)
        case "contains" | "@@ any" if isinstance(value, (list, tuple)):
            return tuple(value)
    return (value,)


def _test(draft: Draft, column: str | tuple[str, ...], op: str, count: int) -> str:
    dialect = draft.dialect
    if isinstance(column, tuple):
        kinds = [(draft.column(name), dialect.kind(draft.table, name)) for name in column]
        fields = [dialect.by_code_point(dialect.value(name, of), of) for name, of in kinds]
        given = ", ".join(map(draft.param, column))
        return f"({', '.join(fields)}) {'<' if op == 'lt' else '>'} ({given})"
    name = dialect.value(draft.column(column), dialect.kind(draft.table, column))
    if op == "not null":
        return f"{name} IS NOT NULL"
    positive = op.removeprefix("not ")
    if positive == "in" and not dialect.arrays:
        given = ", ".join(draft.param(column) for _ in range(count))
        text = f"{name} IN ({given})" if count else "1 = 0"
    elif positive == "begins_with":
        template = "{o} >= {p} AND {o} < {p}" if count == 2 else "{o} >= {p}"
        text = _fill(draft, template, column, name)
    elif positive in ("@@", PLAIN_SEARCH):
        params = [draft.param(column) for _ in range(count)]
        described = draft.table.columns[column]
        if op == PLAIN_SEARCH:
            return dialect.search(name, draft.table, described, params)
        return dialect.search_query(name, described, params[0])
    elif positive == "contains":
        each = [_fill(draft, dialect.operators[positive], column, name) for _ in range(count)]
        text = " AND ".join(each) or f"{name} IS NOT NULL"
    else:
        text = _fill(draft, dialect.operators[positive], column, name, many=positive == "in")
    if positive != op:
        return f"NOT ({text})"
    return f"({text})" if " AND " in text else text


def _fill(draft: Draft, template: str, column: str, name: str, *, many: bool = False) -> str:
    def part(found: re.Match[str]) -> str:
        match found[1]:
            case "p":
                return draft.param(column, many=many)
            case "o":
                return draft.dialect.by_code_point(name, draft.dialect.kind(draft.table, column))
        return name

    return _SLOT.sub(part, template)
