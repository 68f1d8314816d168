"""First stage: a table, a verb and untrusted input become typed keys, records and conditions.

What can be worked out from the definition alone is, once for each table and verb, in `Codec`;
the functions below then do no more than look-ups. Properties that are not described are dropped.
"""

from __future__ import annotations

import copy
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from bkjs.core.errors import BadRequest
from bkjs.lib import ids
from bkjs.lib.convert import MISSING, is_empty, to_number, to_value
from bkjs.lib.geo import geo_hash
from bkjs.lib.wire import to_text

from . import conditions
from .contract import ALL, UPDATE_OPS, Change, Column, Group, Row, Shape, Table
from .convert import (
    DROP,
    Convert,
    decoder,
    encoder,
    modifier,
    number,
    querier,
    row_reader,
    separator,
    writer,
)

Options = Mapping[str, Any]
Input = Any
"""A mapping, or anything of which `dict()` makes one."""

NO_OPTIONS: Final[Options] = {}
_GROUP: Final = re.compile(r"\$(or|and)")
_PARTIAL: Final = frozenset({"lt", "le", "gt", "ge", "begins_with"})
_FILTERS: Final = ("skip_columns", "allow_columns", "skip_null", "no_columns")


class Call(NamedTuple):
    """What generated values depend on."""

    now: Callable[[], float] = time.time
    account: Mapping[str, Any] | None = None


Generate = Callable[[Row, Call], None]


class Join(NamedTuple):
    """A column made of others, joined by a separator."""

    column: str
    parts: tuple[str, ...]
    by: str
    strict: bool
    all: bool
    ifempty: bool
    case: Callable[[str], str] | None


@dataclass(slots=True)
class RecordPlan:
    """How a record of one table is made for one verb."""

    accept: dict[str, Convert | None] = field(default_factory=dict)
    defaults: tuple[tuple[str, Any], ...] = ()
    generate: tuple[Generate, ...] = ()
    joins: tuple[Join, ...] = ()
    required: tuple[tuple[str, bool], ...] = ()
    """Columns that must not be empty, and whether that holds when they are absent too."""


@dataclass(slots=True)
class QueryPlan:
    """How conditions of one table are read for one verb."""

    accept: dict[str, Convert | None] = field(default_factory=dict)
    ops: dict[str, str] = field(default_factory=dict)
    joins: tuple[Join, ...] = ()


class Codec:
    """A described table as one pool stores it."""

    def __init__(
        self,
        table: Table,
        shape: Shape = Shape(),  # noqa: B008 - frozen
        *,
        pool: str = "",
        loose: bool = False,
        allow: Sequence[tuple[re.Pattern[str], str]] = (),
    ) -> None:
        """`loose` says that the database can store undescribed columns, `allow` which of them
        are accepted from anyone: a pattern of the name and the type."""
        self.table = table
        self.shape = shape
        self.pool = pool
        self.loose = loose
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
            if (decode := decoder(column, shape))
        )
        self.readers: dict[tuple[str, ...] | None, Callable[[Row], Row] | None] = {}
        self._records: dict[str, RecordPlan] = {}
        self._queries: dict[str, QueryPlan] = {}
        self._key: Callable[[Mapping[str, Any]], tuple[Any, ...] | None] | None = None

    def _excluded(self, column: Column) -> bool:
        only, never = column.props.get("allow_pools"), column.props.get("skip_pools")
        return bool(only and self.pool not in only) or bool(never and self.pool in never)

    def record_plan(self, verb: str) -> RecordPlan:
        plan = self._records.get(verb)
        if plan is None:
            plan = self._records[verb] = _record_plan(self, verb)
        return plan

    def query_plan(self, verb: str) -> QueryPlan:
        plan = self._queries.get(verb)
        if plan is None:
            plan = self._queries[verb] = _query_plan(self, verb)
        return plan

    def reader(self, columns: tuple[str, ...] | None) -> Callable[[Row], Row] | None:
        """Converts a stored row with these columns in place; None when nothing is to be done."""
        try:
            return self.readers[columns]
        except KeyError:
            read = self.readers[columns] = row_reader(self.table, self.shape, columns)
            return read

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

    def key(self, query: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """The primary key's values out of a query; None when one is missing or empty."""
        if self._key is None:
            self._key = _key_function(self)
        return self._key(query)


def as_dict(obj: Input, what: str = "object") -> Mapping[str, Any]:
    """The input as a mapping; raises BadRequest when it is none."""
    if isinstance(obj, Mapping):
        return obj
    if obj is None:
        return {}
    try:
        return dict(obj)
    except (TypeError, ValueError) as err:
        raise BadRequest(f"invalid {what}") from err


# -- records -----------------------------------------------------------------------------------


def record(
    codec: Codec,
    verb: str,
    obj: Mapping[str, Any],
    options: Options = NO_OPTIONS,
    call: Call = Call(),  # noqa: B008 - a tuple
) -> Row:
    """The typed record that an add, put, update or incr writes.

    Raises BadRequest for a value that no column of that type holds and for an empty column that
    must not be empty.
    """
    plan = codec.record_plan(verb)
    accept = plan.accept
    skip = _skipper(codec, options) if options and any(o in options for o in _FILTERS) else None
    row: Row = {}
    for name, value in obj.items():
        if name in accept:
            if value is MISSING or (skip and skip(name, value)):
                continue
            write = accept[name]
            if write:
                value = write(value)
                if value is DROP:
                    continue
            row[name] = value
        elif name not in codec.table.columns and codec.loose and value is not MISSING:
            extra = _undescribed(codec, name, value, options)
            if extra is not DROP:
                row[name] = extra
    for name, value in plan.defaults:
        if name not in row:
            row[name] = copy.deepcopy(value) if isinstance(value, (dict, list)) else value
    for generate in plan.generate:
        generate(row, call)
    if plan.joins:
        _join_columns(plan.joins, obj, row, options)
    if skip:
        row = {n: v for n, v in row.items() if n not in accept or not skip(n, v)}
    for name, absent in plan.required:
        if (name in row or absent) and is_empty(row.get(name)):
            raise BadRequest(f"{name} cannot be empty", field=name)
    return row


def _skipper(codec: Codec, options: Options) -> Callable[[str, Any], bool]:
    allowed, skipped = options.get("allow_columns"), options.get("skip_columns") or ()
    no_null = options.get("skip_null")

    def skip(name: str, value: Any) -> bool:
        return (
            name in skipped
            or bool(allowed is not None and name not in allowed)
            or bool(no_null and value is None)
        )

    return skip


def _undescribed(codec: Codec, name: str, value: Any, options: Options) -> Any:
    """A property without a column, where the database takes it and it is allowed."""
    if not isinstance(name, str) or not name or name[0] in "_$":
        return DROP
    if options.get("no_columns"):
        return value
    for pattern, kind in codec.allow:
        if pattern.search(name):
            return to_value(value, kind) if kind and value is not None else value
    return DROP


def changes(row: Row, table: Table, update_ops: Mapping[str, str]) -> list[Change]:
    """What an update does to each column that is not part of the key."""
    keys = table.keys
    if not update_ops:
        return [Change(name, "set", value) for name, value in row.items() if name not in keys]
    found = []
    for name, value in row.items():
        if name in keys:
            continue
        op = str(update_ops.get(name) or "set").lower()
        if op not in UPDATE_OPS:
            raise BadRequest(f"{name}: unknown update operation {op[:32]!r}", field=name)
        if op == "incr":
            value = number(value)
            value = 0 if value is None else value
        elif op == "remove":
            value = None
        found.append(Change(name, op, value))
    return found


def counters(codec: Codec, obj: Mapping[str, Any], update_ops: Options) -> dict[str, str]:
    """The update operations of an incr: without an explicit one every counter given counts."""
    ops = {str(k): str(v) for k, v in update_ops.items()}
    if "incr" not in ops.values():
        for name in obj:
            column = codec.table.columns.get(name)
            if column is not None and column.type == "counter":
                ops[name] = "incr"
    return ops


def _record_plan(codec: Codec, verb: str) -> RecordPlan:
    inserting = verb in ("add", "put")
    plan = RecordPlan()
    defaults: list[tuple[str, Any]] = []
    generate: list[Generate] = []
    required: list[tuple[str, bool]] = []
    for name, column in codec.columns.items():
        props = column.props
        if props.get("hidden") or props.get("writeonly" if inserting else "readonly"):
            continue
        write = writer(column, codec.shape)
        if not inserting and props.get("notempty"):
            write = _not_empty(write)
        plan.accept[name] = write
        if inserting:
            if "value" in props:
                change = modifier(column)
                first = write(props["value"]) if write and not change else props["value"]
                defaults.append((name, change(first) if change else first))
            elif column.type == "counter":
                defaults.append((name, 0))
            if props.get("fail_ifempty"):
                required.append((name, True))
            elif props.get("notempty"):
                if codec.shape.nulls or codec.shape.empty_value is None:
                    required.append((name, True))
                else:
                    generate.append(_fill_empty(name, codec.shape.empty_value))
        maker = _generator(codec, column, inserting)
        if maker:
            generate.append(maker)
    plan.defaults, plan.generate = tuple(defaults), tuple(generate)
    plan.required = tuple(required)
    plan.joins = _joins(codec, verb, plan.accept)
    return plan


def _not_empty(write: Convert | None) -> Convert:
    """An update leaves such a column alone rather than emptying it."""

    def convert(value: Any) -> Any:
        if write:
            value = write(value)
        return DROP if value is DROP or is_empty(value) else value

    return convert


def _fill_empty(name: str, stored: Any) -> Generate:
    def fill(row: Row, call: Call) -> None:
        if name in row and is_empty(row[name]):
            row[name] = stored

    return fill


def _generator(codec: Codec, column: Column, inserting: bool) -> Generate | None:
    name, props = column.name, column.props
    match column.type:
        case "now" | "clock":
            return _now(column, keep=not inserting and name in codec.table.keys)
        case "uuid" | "tuuid" if inserting:
            prefix = str(props.get("prefix") or "")
            if column.type == "uuid":
                return _identifier(name, prefix, ids.is_uuid, ids.uuid)
            return _identifier(name, prefix, _is_tuuid, ids.tuuid)
        case "uid" | "uname":
            return _account(name, "id" if column.type == "uid" else "name")
        case "geohash" | "geopoint":
            return _geo(column)
    return None


def _now(column: Column, keep: bool) -> Generate:
    name, props = column.name, column.props
    clock, epoch = column.type == "clock", bool(props.get("epoch"))
    fraction = bool(props.get("clock"))

    def fill(row: Row, call: Call) -> None:
        if keep and row.get(name):
            return
        now = call.now()
        if clock:
            row[name] = int(now * 1_000_000)
        elif epoch:
            row[name] = round(now)
        else:
            row[name] = round(now * 1000, 3) if fraction else int(now * 1000)

    return fill


def _identifier(
    name: str, prefix: str, valid: Callable[[Any, str], bool], new: Callable[[str], str]
) -> Generate:
    def fill(row: Row, call: Call) -> None:
        if not valid(row.get(name), prefix):
            row[name] = new(prefix)

    return fill


def _is_tuuid(value: Any, prefix: str) -> bool:
    return ids.is_tuuid(value) and value.startswith(prefix)


def _account(name: str, attribute: str) -> Generate:
    def fill(row: Row, call: Call) -> None:
        if call.account is not None and call.account.get(attribute) is not None:
            row[name] = to_text(call.account[attribute])

    return fill


def _geo(column: Column) -> Generate:
    name, props = column.name, column.props
    lat, lon = str(props.get("lat") or "latitude"), str(props.get("lon") or "longitude")
    distance = float(props.get("minDistance") or 0)

    def fill(row: Row, call: Call) -> None:
        if row.get(name) or row.get(lat) is None or row.get(lon) is None:
            return
        latitude, longitude = to_number(row[lat], float=True), to_number(row[lon], float=True)
        if column.type == "geopoint":
            row[name] = f"{to_text(latitude)},{to_text(longitude)}"
        else:
            row[name] = geo_hash(latitude, longitude, min_distance=distance or 0.01).geohash

    return fill


# -- joined columns ----------------------------------------------------------------------------


def _joins(codec: Codec, verb: str, accept: Mapping[str, Any]) -> tuple[Join, ...]:
    found = []
    for name in accept:
        props = codec.columns[name].props
        parts = props.get("join")
        if not isinstance(parts, (list, tuple)) or not parts:
            continue
        ops, only = props.get("join_ops"), props.get("join_pools")
        never = props.get("nojoin_pools")
        if (
            (ops and verb not in ops)
            or (only and codec.pool not in only)
            or (never and codec.pool in never)
        ):
            continue
        found.append(
            Join(
                name,
                tuple(parts),
                separator(codec.columns[name], "|"),
                bool(props.get("join_strict")),
                bool(props.get("join_all")),
                bool(props.get("join_ifempty")),
                _join_case(props),
            )
        )
    return tuple(found)


def _join_case(props: Mapping[str, Any]) -> Callable[[str], str] | None:
    if props.get("join_lower"):
        return str.lower
    if props.get("join_upper"):
        return str.upper
    return str.title if props.get("join_cap") else None


def _join_columns(
    joins: Sequence[Join],
    given: Mapping[str, Any],
    row: Row,
    options: Options,
    ops: Mapping[str, str] = NO_OPTIONS,
) -> None:
    """Set every joined column of which the parts are there.

    A second round serves columns that are made of other joined ones.
    """
    if options.get("no_join_columns"):
        return
    skip = options.get("skip_join") or ()
    todo = [join for join in joins if join.column not in skip]
    for _ in range(2):
        todo = [join for join in todo if not _join_column(join, given, row, options, ops)]
        if not todo:
            return


def _join_column(
    join: Join, given: Mapping[str, Any], row: Row, options: Options, ops: Mapping[str, str]
) -> bool:
    current = row.get(join.column)
    if current and (join.ifempty or (isinstance(current, str) and join.by in current)):
        return True
    values = [_part(given, row, part) for part in join.parts]
    if not all(values):
        if join.strict or options.get("join_strict"):
            return False
        if ops.get(join.column) in _PARTIAL:
            if not all(values[:-1]):
                return False
        elif not join.all:
            return False
    if any(values):
        text = join.by.join(values)
        row[join.column] = join.case(text) if join.case else text
    return not join.all or all(values)


def _part(given: Mapping[str, Any], row: Row, name: str) -> str:
    value = given.get(name) or row.get(name)
    return to_text(value) if value else ""


# -- conditions --------------------------------------------------------------------------------


def query(
    codec: Codec, verb: str, obj: Mapping[str, Any], options: Options = NO_OPTIONS
) -> tuple[Row, dict[str, str]]:
    """The usable properties of a query, in the types of their columns, and their operators.

    Groups (`$or…`, `$and…`) hold such properties again. Raises BadRequest for an unknown operator.
    """
    plan = codec.query_plan(verb)
    ops = {**plan.ops, **(options.get("ops") or {})}
    aliases = options.get("aliases") or NO_OPTIONS
    only = options.get("keys")
    values = _query_values(codec, plan, obj, ops, aliases, options, only)
    if plan.joins:
        canonical = {name: str(op).lower() for name, op in ops.items()}
        _join_columns(plan.joins, obj, values, options, canonical)
    return values, ops


def _query_values(
    codec: Codec,
    plan: QueryPlan,
    obj: Mapping[str, Any],
    ops: dict[str, str],
    aliases: Mapping[str, str],
    options: Options,
    only: Sequence[str] | None = None,
) -> Row:
    skip = _skipper(codec, options) if options and any(o in options for o in _FILTERS) else None
    values: Row = {}
    for name, value in obj.items():
        if not isinstance(name, str) or value is MISSING:
            continue
        if name[:1] == "$":
            if _GROUP.match(name) and isinstance(value, Mapping):
                values[name] = _query_values(codec, plan, value, ops, aliases, options)
            continue
        column = aliases.get(name, name)
        if (only and name not in only) or (skip and skip(name, value)):
            continue
        if column in plan.accept:
            op = ops.get(name)
            if op is not None:
                op = ops[name] = conditions.operator(op, name, options.get("ops_map"))
            elif isinstance(value, (list, tuple, set, frozenset)):
                op = "in"
            described = codec.columns[column]
            values[name] = conditions.operand(described, op or "eq", value, plan.accept[column])
        elif codec.loose and column not in codec.table.columns:
            extra = _undescribed(codec, column, value, options)
            if extra is not DROP:
                if ops.get(name) is not None:
                    ops[name] = conditions.operator(ops[name], name, options.get("ops_map"))
                values[name] = extra
    return values


def where(
    values: Mapping[str, Any],
    ops: Mapping[str, str],
    *,
    aliases: Mapping[str, str] = NO_OPTIONS,
    join: Literal["AND", "OR"] = "AND",
    keep_empty: bool = False,
) -> Group:
    """Prepared properties as conditions."""
    groups = []
    for name, value in values.items():
        if name[0] == "$":
            inner: Literal["AND", "OR"] = "OR" if name.startswith("$or") else "AND"
            groups.append(where(value, ops, aliases=aliases, join=inner, keep_empty=keep_empty))
        else:
            column = aliases.get(name, name)
            groups.append(conditions.condition(column, ops.get(name), value, keep_empty=keep_empty))
    return conditions.join_groups("OR" if str(join).upper() == "OR" else "AND", groups)


def select_where(codec: Codec, verb: str, obj: Mapping[str, Any], options: Options) -> Group:
    """The conditions of a query; `ALL` when it has none that can be used."""
    if not obj:
        return ALL
    values, ops = query(codec, verb, obj, options)
    return where(
        values,
        ops,
        aliases=options.get("aliases") or NO_OPTIONS,
        join=options.get("join") or "AND",
    )


def expected(codec: Codec, options: Options) -> Group | None:
    """The conditions that a write expects, None without any.

    Unlike in a query nothing is dropped: an unknown column is refused, "" is a value.
    """
    given = options.get("expected")
    if given is None:
        return None
    aliases = options.get("aliases") or NO_OPTIONS
    given = as_dict(given, "expected")
    # filters and joins of the record do not concern what is expected
    kept = {k: options[k] for k in ("ops", "ops_map", "aliases", "no_columns") if k in options}
    values, ops = query(codec, "expected", given, kept)
    _refuse_dropped(codec.table, given, values)
    return where(
        values,
        ops,
        aliases=aliases,
        join=options.get("expected_join") or "AND",
        keep_empty=True,
    )


def _refuse_dropped(table: Table, given: Mapping[str, Any], kept: Mapping[str, Any]) -> None:
    for name, value in given.items():
        if name not in kept:
            raise BadRequest(f"expected: {table.name} has no column {str(name)[:64]!r}")
        if isinstance(value, Mapping) and name[:1] == "$":
            _refuse_dropped(table, value, kept[name])


def _query_plan(codec: Codec, verb: str) -> QueryPlan:
    plan = QueryPlan()
    for name, column in codec.columns.items():
        op = (column.props.get("ops") or NO_OPTIONS).get(verb)
        if op:
            plan.ops[name] = conditions.operator(op, name)
        if not column.props.get("hidden"):
            plan.accept[name] = querier(column, codec.shape)
    if verb != "expected":
        plan.joins = _joins(codec, verb, plan.accept)
    return plan


# -- keys --------------------------------------------------------------------------------------


def _key_function(codec: Codec) -> Callable[[Mapping[str, Any]], tuple[Any, ...] | None]:
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


def _single_key(
    name: str, convert: Convert | None
) -> Callable[[Mapping[str, Any]], tuple[Any, ...] | None]:
    def key(query: Mapping[str, Any]) -> tuple[Any, ...] | None:
        value = query.get(name)
        if convert:
            value = convert(value)
        if value is None or value == "" or value is MISSING:
            return None
        return (value,)

    return key


def _joined_key(
    codec: Codec, plan: QueryPlan, keys: tuple[str, ...]
) -> Callable[[Mapping[str, Any]], tuple[Any, ...] | None]:
    def key(query: Mapping[str, Any]) -> tuple[Any, ...] | None:
        values = _query_values(codec, plan, query, {}, NO_OPTIONS, NO_OPTIONS)
        _join_columns(plan.joins, query, values, NO_OPTIONS)
        found = tuple(values.get(name) for name in keys)
        return None if any(v is None or v == "" for v in found) else found

    return key


def key_row(codec: Codec, values: tuple[Any, ...]) -> Row:
    return dict(zip(codec.table.keys, values, strict=True))
