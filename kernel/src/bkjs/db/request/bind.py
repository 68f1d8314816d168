"""Plain writes as one function made for the names that are given: conversion and nothing else.

What such a function does not handle it leaves to the general way, so that there is one place
where errors and the rarer rules are written down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from bkjs.db.tables.codec import STORED, Codec
from bkjs.db.tables.generate import Call
from bkjs.db.tables.types import type_of
from bkjs.db.tables.values import DROP
from bkjs.errors import BadRequest
from bkjs.lib.convert import is_empty
from bkjs.lib.numbers import MISSING

Values = Callable[[Mapping[str, Any], Callable[[], float]], list[Any] | None]
"""From a given record and a clock to the stored values; None asks for the general way."""


class Bound(NamedTuple):
    """A write of a record with certain properties."""

    columns: tuple[str, ...]
    """What is stored; an update has its keys last, a put all that the table has."""
    values: Values
    record: tuple[tuple[str, int], ...]
    """The properties of the record and the numbers of their columns."""


def bound(codec: Codec, verb: str, names: tuple[Any, ...]) -> Bound | None:
    """How a record with these properties is written; None when it is not that simple."""
    table, shape, plan = codec.table, codec.shape, codec.record_plan(verb)
    inserting, stored = verb != "update", verb in STORED
    whole = stored or verb == "put"
    given = [name for name in names if name in plan.accept]
    defaults = {n: v for n, v in plan.defaults if n not in given} if inserting else {}
    makers = {
        name: maker
        for name in plan.accept
        if not (stored and name in given)
        and type_of(codec.columns[name]).made_of != "account"  # which only an option brings
        and (maker := codec.maker(codec.columns[name], inserting))
    }
    columns = own = tuple(dict.fromkeys((*given, *defaults, *makers)))
    if (
        plan.joins
        or codec.loose
        or not shape.nulls
        or not table.keys
        or not {*table.keys, *plan.required} <= set(columns)
        or (not inserting and set(columns) <= set(table.keys))
        or any(isinstance(value, (dict, list)) for value in defaults.values())
        or any(type_of(codec.columns[name]).made_of for name in makers)
        or (inserting and any(column.props.get("auto") for column in table.columns.values()))
    ):
        return None
    var = {name: f"v{number}" for number, name in enumerate(columns)}
    known: dict[str, Any] = {
        "MISSING": MISSING, "DROP": DROP, "is_empty": is_empty, "Call": Call,
        "BadRequest": BadRequest,
    }  # fmt: skip
    lines = [f"{var[name]} = given[{name!r}]" for name in given]
    lines += [_unless(f"{var[name]} is MISSING" for name in given)] if given else []
    for name in given:
        if plan.accept[name]:
            known[f"write_{var[name]}"] = plan.accept[name]
            lines.append(f"{var[name]} = write_{var[name]}({var[name]})")
            lines.append(_unless([f"{var[name]} is DROP"]))
    for name, value in defaults.items():
        known[f"default_{var[name]}"] = value
        lines.append(f"{var[name]} = default_{var[name]}")
    if makers:
        record = ", ".join(f"{name!r}: {var[name]}" for name in (*given, *defaults))
        lines += [f"record = {{{record}}}", "call = Call(now)"]
        for name, maker in makers.items():
            known[f"make_{var[name]}"] = maker
            lines += [f"make_{var[name]}(record, call)", f"{var[name]} = record[{name!r}]"]
    lines += [_unless([f"is_empty({var[name]})"]) for name in plan.required]
    lines += [_unless([f"{var[name]} is None or {var[name]} == ''"]) for name in table.keys]
    for name, encode in codec.encoders:
        if name in var:
            known[f"encode_{var[name]}"] = encode
            test = "" if inserting else f"if {var[name]} is not None: "
            lines.append(f"{test}{var[name]} = encode_{var[name]}({var[name]})")
    if whole:  # of a record that is replaced nothing stays
        for name in table.columns.keys() - var.keys():
            var[name] = f"v{len(var)}"
            lines.append(f"{var[name]} = None")
        columns = tuple(table.columns)
    elif not inserting:
        columns = (*(name for name in columns if name not in table.keys), *table.keys)
    lines.append(f"return [{', '.join(var[name] for name in columns)}]")
    places = tuple((name, columns.index(name)) for name in own)
    return Bound(columns, _function(lines, known), places)


def _unless(tests: Any) -> str:
    return f"if {' or '.join(tests)}: return None"


def _function(lines: list[str], known: dict[str, Any]) -> Values:
    """Its source holds nothing but the templates above and quoted names of columns."""
    body = "\n  ".join(lines)  # of a wrong value the general way finds the others
    source = f"def values(given, now):\n try:\n  {body}\n except BadRequest: return None"
    exec(source, known)
    made: Values = known["values"]
    return made
