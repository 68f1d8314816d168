"""A described table as one pool stores it: what can be worked out from the definition alone."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from bkjs.db.contract import Column, Row, Shape, Table
from bkjs.db.operators import operator
from bkjs.errors import BadRequest
from bkjs.lib.bounded import Bounded
from bkjs.lib.convert import is_empty
from bkjs.lib.numbers import MISSING
from bkjs.lib.text import near

from .columns import chain, decoder, encoder, modifier, querier, restorer, writer
from .generate import Generate, fill_empty, when_absent
from .joined import Join, fill_joins, find_joins
from .objects import check_key
from .rows import row_reader
from .types import type_of
from .values import DROP, Convert

log = logging.getLogger(__name__)

MOST_TOLD = 100
"""Names of one table that are warned of: a program may take them from somewhere else."""
IMPORT: Final = "import"
"""The verb that writes records as they were stored: nothing that is given is changed."""
WAYS: Final = 2000
"""Shapes of queries that are remembered; clients choose them, out of described names."""
RESTORE: Final = "restore"
"""The same for those of a backup: they were stored, whatever the rules for new ones are by now."""
STORED: Final = (IMPORT, RESTORE)
KEY_BYTES: Final = 2048
"""Of all columns of a key together; one of them has half of that at most. Engines allow some more,
and a token of the next page has to hold a key."""

KeyFunction = Callable[[Mapping[str, Any]], tuple[Any, ...] | None]


@dataclass(slots=True)
class RecordPlan:
    """How a record of one table is made for one verb."""

    accept: dict[str, Convert | None] = field(default_factory=dict)
    defaults: tuple[tuple[str, Any], ...] = ()
    makers: tuple[Generate, ...] = ()
    joins: tuple[Join, ...] = ()
    joined: tuple[tuple[str, Convert], ...] = ()
    """Columns of the key that are joined, and what checks them."""
    required: tuple[str, ...] = ()
    """Columns that must not be empty."""


@dataclass(slots=True)
class QueryPlan:
    """How conditions of one table are read for one verb."""

    accept: dict[str, Convert | None] = field(default_factory=dict)
    ops: dict[str, str] = field(default_factory=dict)
    joins: tuple[Join, ...] = ()


def parts(table: Table) -> frozenset[str]:
    """What columns are made of and become, without being columns: joined parts, coordinates."""
    found: set[str] = {"latitude", "longitude"}
    for column in table.columns.values():
        for prop in ("join", "unjoin", "lat", "lon"):
            names = column.props.get(prop)
            found.update(
                [names] if isinstance(names, str) else names if names and names != 1 else ()
            )
    return frozenset(found)


class Codec:
    """A described table as one pool stores it."""

    def __init__(
        self,
        table: Table,
        shape: Shape = Shape(),  # noqa: B008 - frozen
        *,
        pool: str = "",
        loose: bool = False,
        strict: bool = False,
        hints: bool = False,
        lenient: bool = False,
        allow: Sequence[tuple[re.Pattern[str], str]] = (),
    ) -> None:
        """`loose` says that the database can store undescribed columns, `allow` which of them
        are accepted from anyone: a pattern of the name and the type. `strict`: the program may not
        name others. `hints`: errors name the nearest column, which not every client may know.
        `lenient` takes values as the reference does (`api-compat=values`)."""
        self.table = table
        self.shape = shape
        self.pool = pool
        self.loose = loose
        self.strict = strict
        self.hints = hints
        self._told: set[str] = set()
        self.lenient = lenient
        self.allow = allow if loose else ()
        self.columns = {n: c for n, c in table.columns.items() if not self._excluded(c)}
        self.encoders = tuple(
            (name, encode)
            for name, column in table.columns.items()
            if (encode := encoder(column, shape))
        )
        self.decoders = tuple(
            (name, decode)
            for name, column in table.columns.items()
            if (decode := decoder(column, shape, lenient=lenient))
        )
        self.readers: dict[tuple[str, ...] | None, Callable[[Row], Row] | None] = {}
        self.ways: Bounded[Any, Any] = Bounded(WAYS)
        """How the driver serves shapes of queries; see `request.plan.split`."""
        self._records: dict[str, RecordPlan] = {}
        self._queries: dict[str, QueryPlan] = {}

    def _excluded(self, column: Column) -> bool:
        only, never = column.props.get("allow_pools"), column.props.get("skip_pools")
        return bool(only and self.pool not in only) or bool(never and self.pool in never)

    @cached_property
    def parts(self) -> frozenset[str]:
        return parts(self.table)

    def undescribed(self, name: object) -> None:
        """The program, not a client, names something that is no column here.

        Raises BadRequest that names it and the nearest column, or warns of it once.
        """
        if not isinstance(name, str) or name[:1] == "_" or name in self.parts:
            return
        if name in self.table.columns or any(pattern.search(name) for pattern, _ in self.allow):
            return
        text = name[:64]
        self._mistaken(
            text, f"{self.table.name} has no column {text!r}{near(text, self.table.columns)}"
        )

    def unsearched(self, name: str) -> None:
        """The program, not a client, has a condition on a column that has none: it is hidden.

        Raises BadRequest that names it, or warns of it once, as for what is no column.
        """
        if name in self.columns:
            self._mistaken(
                name, f"{self.table.name}.{name} is hidden: conditions do not look at such a column"
            )

    def _mistaken(self, text: str, message: str) -> None:
        if self.strict:
            raise BadRequest(message, field=text)
        if text not in self._told and len(self._told) < MOST_TOLD:
            self._told.add(text)
            log.warning("%s; it is dropped", message)

    def record_plan(self, verb: str) -> RecordPlan:
        """How a verb makes records of the table; kept."""
        plan = self._records.get(verb)
        if plan is None:
            plan = self._records[verb] = _record_plan(self, verb)
        return plan

    def query_plan(self, verb: str) -> QueryPlan:
        """How a verb reads conditions for the table; kept."""
        plan = self._queries.get(verb)
        if plan is None:
            plan = self._queries[verb] = _query_plan(self, verb)
        return plan

    def reader(self, columns: tuple[str, ...] | None) -> Callable[[Row], Row] | None:
        """Converts a stored row with these columns in place; None when nothing is to be done."""
        try:
            return self.readers[columns]
        except KeyError:
            read = self.readers[columns] = row_reader(
                self.table, self.shape, columns, lenient=self.lenient
            )
            return read

    def writer(self, column: Column) -> Convert | None:
        """What becomes of a value that is written."""
        return writer(column, self.shape, lenient=self.lenient)

    def maker(self, column: Column, inserting: bool) -> Generate | None:
        """How a column makes its own value; None where it does not."""
        make = type_of(column).make
        key = column.name in self.table.keys
        return make(column, inserting, key, self.lenient) if make else None

    def encode(self, row: Row) -> Row:
        """A typed record as it is stored."""
        if self.encoders:
            row = dict(row)
            for name, encode in self.encoders:
                if name in row:
                    row[name] = encode(row[name])
        if not self.shape.nulls and None in row.values():
            row = {name: value for name, value in row.items() if value is not None}
        return row

    def decode(self, row: Row) -> Row:
        """The opposite of `encode`: a stored record with typed values, nothing else changed."""
        if self.decoders:
            row = dict(row)
            for name, decode in self.decoders:
                if row.get(name) is not None:
                    row[name] = decode(row[name])
        return row

    @cached_property
    def key(self) -> KeyFunction:
        """The primary key's values out of a query; None when one is missing or empty."""
        return _key_function(self)


def _record_plan(codec: Codec, verb: str) -> RecordPlan:
    inserting = verb in ("add", "put", *STORED)
    plan = RecordPlan()
    makers: list[Generate] = []
    for name, column in codec.columns.items():
        props = column.props
        if verb in STORED:
            plan.accept[name] = restorer(column, codec.shape, as_it_is=verb == RESTORE)
        elif props.get("hidden") or props.get("writeonly" if inserting else "readonly"):
            continue
        elif not inserting and props.get("notempty"):
            plan.accept[name] = _not_empty(codec.writer(column))
        else:
            plan.accept[name] = codec.writer(column)
        if inserting:
            _insert_rules(codec, column, plan, makers)
        maker = codec.maker(column, inserting)
        if maker:
            makers.append(when_absent(name, maker) if verb in STORED else maker)
    if verb == RESTORE:
        plan.required = ()
    plan.makers = tuple(makers)
    plan.joins = find_joins((codec.columns[n] for n in plan.accept), verb, codec.pool)
    keys = codec.table.keys
    longest = KEY_BYTES // max(2, len(keys))
    if codec.shape.longest_key is not None:
        longest = min(longest, codec.shape.longest_key)
    checks = {name: _key_check(name, longest) for name in keys}
    for name in checks.keys() & plan.accept.keys():
        plan.accept[name] = chain([plan.accept[name], checks[name]])
    plan.joined = tuple((j.column, checks[j.column]) for j in plan.joins if j.column in checks)
    return plan


def _key_check(name: str, longest: int) -> Convert:
    return lambda value: check_key(name, value, longest)


def _insert_rules(codec: Codec, column: Column, plan: RecordPlan, makers: list[Generate]) -> None:
    """Defaults of a column, and whether it may be empty."""
    name, props, shape = column.name, column.props, codec.shape
    if "value" in props:
        write, change = codec.writer(column), modifier(column)
        first = write(props["value"]) if write and not change else props["value"]
        plan.defaults += ((name, change(first) if change else first),)
    elif type_of(column).counter:
        plan.defaults += ((name, 0),)
    if props.get("fail_ifempty"):
        plan.required += (name,)
    elif props.get("notempty"):
        if shape.nulls or shape.empty_value is None:
            plan.required += (name,)
        else:
            makers.append(fill_empty(name, shape.empty_value))


def _not_empty(write: Convert | None) -> Convert:
    """An update leaves such a column alone rather than emptying it."""

    def convert(value: Any) -> Any:
        if write:
            value = write(value)
        return DROP if value is DROP or is_empty(value) else value

    return convert


def _query_plan(codec: Codec, verb: str) -> QueryPlan:
    plan = QueryPlan()
    for name, column in codec.columns.items():
        op = (column.props.get("ops") or {}).get(verb)
        if op:
            plan.ops[name] = operator(op, name)
        if not column.props.get("hidden"):
            plan.accept[name] = querier(column, codec.shape, lenient=codec.lenient)
    if verb != "expected":
        plan.joins = find_joins((codec.columns[n] for n in plan.accept), verb, codec.pool)
    return plan


def _key_function(codec: Codec) -> KeyFunction:
    """A function that takes the key out of a query as fast as the table allows."""
    plan = codec.query_plan("get")
    keys = codec.table.keys
    if not keys or any(name not in plan.accept for name in keys):
        return lambda query: None
    joined = {join.column for join in plan.joins} & set(keys)
    if joined:
        return _joined_key(codec, plan, keys)
    converts = tuple(plan.accept[name] for name in keys)
    if len(keys) == 1:
        return _single_key(keys[0], converts[0])

    def key(query: Mapping[str, Any]) -> tuple[Any, ...] | None:
        values = []
        for name, convert in zip(keys, converts, strict=True):
            value = query.get(name)
            if convert:
                value = convert(value)
            if value is None or value == "" or value is MISSING:
                return None
            values.append(value)
        return tuple(values)

    return key


def _single_key(name: str, convert: Convert | None) -> KeyFunction:
    def key(query: Mapping[str, Any]) -> tuple[Any, ...] | None:
        value = query.get(name)
        if convert:
            value = convert(value)
        if value is None or value == "" or value is MISSING:
            return None
        return (value,)

    return key


def _joined_key(codec: Codec, plan: QueryPlan, keys: tuple[str, ...]) -> KeyFunction:
    parts = [part for join in plan.joins if join.column in keys for part in join.parts]
    wanted = [(n, plan.accept[n]) for n in dict.fromkeys((*keys, *parts)) if n in plan.accept]

    def key(query: Mapping[str, Any]) -> tuple[Any, ...] | None:
        values: Row = {}
        for name, convert in wanted:
            value = query.get(name)
            if value is not None and value is not MISSING:
                values[name] = convert(value) if convert else value
        fill_joins(plan.joins, query, values, {}, {})
        found = tuple(values.get(name) for name in keys)
        return None if any(v is None or v == "" for v in found) else found

    return key
