"""First stage: a table, a verb and untrusted input become typed keys, records and conditions.

What can be worked out from the definition alone is in `Codec`, once for each table and verb; the
functions below then do no more than look-ups. Properties that are not described are dropped.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import chain, islice
from typing import Any, Final, Literal

from bkjs.db.conditions.build import condition, join_groups, operand
from bkjs.db.contract import ALL, UPDATE_OPS, Absent, Change, Group, Row, Table
from bkjs.db.operators import NULLS, operator
from bkjs.db.tables.codec import STORED, Codec, QueryPlan
from bkjs.db.tables.generate import Call
from bkjs.db.tables.joined import Join, fill_joins
from bkjs.db.tables.objects import check_text, nested
from bkjs.db.tables.types import NUMBERS, make_column, type_of
from bkjs.db.tables.values import DROP
from bkjs.errors import MOST_ERRORS, BadRequest
from bkjs.lib.convert import is_empty, to_value
from bkjs.lib.given import Given
from bkjs.lib.numbers import MISSING
from bkjs.lib.text import near

Options = Mapping[str, Any]
Input = Any
"""A mapping, or anything of which `dict()` makes one."""

NO_OPTIONS: Final[Options] = {}
CONDITIONS: Final = 200
"""Conditions and groups of one query."""
ALL_VALUES: Final = 10_000
"""Values of all of them together: the engines with a limit allow some 32,000 and 65,000."""
WORDS: Final = 1000
"""Words of all its full-text searches: engines look for each in every row that has the others."""
_WORD: Final = re.compile(r"[^\W_]+|\S")
"""What an engine may take for a word: also each mark by itself."""
_GROUP: Final = re.compile(r"\$(or|and)")
_FILTERS: Final = ("skip_columns", "allow_columns", "skip_null")


def as_dict(obj: Input, what: str = "object") -> Mapping[str, Any]:
    """The input as a mapping; raises BadRequest when it is none."""
    if isinstance(obj, Mapping):
        return obj
    if obj is None:
        return {}
    try:
        found = dict(obj)
    except (TypeError, ValueError) as err:
        raise BadRequest(
            f"invalid {what}: {{column: value}} is wanted, not {type(obj).__name__}"
        ) from err
    # a model of pydantic that takes what it does not name
    return Given(found) if getattr(obj, "model_extra", None) else found


# -- records -----------------------------------------------------------------------------------


def record(
    codec: Codec,
    verb: str,
    obj: Mapping[str, Any],
    options: Options = NO_OPTIONS,
    call: Call = Call(),  # noqa: B008 - a tuple
) -> Row:
    """The typed record that an add, put, update or incr writes.

    Raises BadRequest for values that no column of their type holds and for empty columns that must
    not be empty; it names all of them.
    """
    plan = codec.record_plan(verb)
    accept = plan.accept
    skip = _skipper(options) if options else None
    row: Row = {}
    wrong: list[BadRequest] = []
    for name, value in obj.items():
        if name in accept:
            if value is MISSING or (skip and skip(name, value)):
                continue
            write = accept[name]
            if write:
                try:
                    value = write(value)
                except BadRequest as error:
                    wrong.append(error)
                    continue
                if value is DROP:
                    continue
            row[name] = value
        elif name not in codec.table.columns and value is not MISSING:
            extra = _undescribed(codec, name, value, options) if codec.loose else DROP
            if extra is not DROP:
                row[name] = extra
            elif type(obj) is not Given and not (skip and skip(name, value)):
                codec.undescribed(name)
    if wrong:
        raise _refusal(wrong, "value_error")
    for name, value in plan.defaults:
        if name not in row:
            row[name] = copy.deepcopy(value) if isinstance(value, (dict, list)) else value
    for make in plan.makers:
        make(row, call)
    if plan.joins:
        todo = plan.joins if verb not in STORED else [j for j in plan.joins if j.column not in obj]
        fill_joins(todo, obj, row, options, NO_OPTIONS)
        for name, check in plan.joined:
            check(row.get(name))
    if skip:
        row = {n: v for n, v in row.items() if n not in accept or not skip(n, v)}
    empty = [name for name in plan.required if is_empty(row.get(name))]
    if empty:
        wrong = [BadRequest(f"{name} cannot be empty", field=name) for name in empty]
        raise _refusal(wrong, "missing")
    return row


def _refusal(wrong: Sequence[BadRequest], code: str) -> BadRequest:
    """The first of some errors about columns, with all of them in `errors`."""
    wrong[0].extra["errors"] = [
        {"field": field, "message": one.message.removeprefix(field).lstrip(": "), "code": code}
        for one in wrong[:MOST_ERRORS]
        if (field := one.extra.get("field", ""))
    ]
    return wrong[0]


def _skipper(options: Options) -> Callable[[str, Any], bool] | None:
    if not any(name in options for name in _FILTERS):
        return None
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
        return nested(check_text("name of a property", name), value)
    for pattern, kind in codec.allow:
        if pattern.search(name):
            check_text("name of a property", name)
            if codec.lenient:
                return to_value(value, kind) if kind and value is not None else value
            write = codec.writer(make_column(name, {"type": kind or "json"}))
            return write(value) if write else value
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
            hint = near(op[:32], UPDATE_OPS)
            raise BadRequest(f"{name}: unknown update operation {op[:32]!r}{hint}", field=name)
        if op == "incr":
            if name in table.columns and table.columns[name].kind not in NUMBERS:
                raise BadRequest(f"{name}: not a column of numbers", field=name)
            value = 0 if value is None else value
            if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
                raise BadRequest(f"{name}: a number is expected", field=name)
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
            if column is not None and type_of(column).counter:
                ops[name] = "incr"
    return ops


# -- conditions --------------------------------------------------------------------------------


def query(
    codec: Codec, verb: str, obj: Mapping[str, Any], options: Options = NO_OPTIONS
) -> tuple[Row, dict[str, str]]:
    """The usable properties of a query, in the types of their columns, and their operators.

    Groups (`$or…`, `$and…`) hold such properties again. Raises BadRequest for an unknown operator.
    """
    plan = codec.query_plan(verb)
    given = options.get("ops") or NO_OPTIONS
    ops = {**plan.ops, **given}
    aliases = options.get("aliases") or NO_OPTIONS
    only = options.get("keys")
    own = type(obj) is not Given
    values = _query_values(codec, plan, obj, ops, aliases, options, only, own=own)
    if given:
        check_names(codec, (aliases.get(name, name) for name in given), obj, options)
        if verb in ("select", "search"):
            values |= _valueless(plan, obj, ops, given, aliases, only)
    _check_size(values, ops)
    if plan.joins:
        canonical = {name: str(op).lower() for name, op in ops.items()}
        fill_joins(_searched(plan, obj), obj, values, options, canonical)
    return values, ops


def _searched(plan: QueryPlan, obj: Mapping[str, Any]) -> Sequence[Join]:
    """The joined columns that a query looks into, for a client only those of which a part that it
    gives is no column itself: it may not be allowed to search by them."""
    if type(obj) is not Given:
        return plan.joins
    names = [name for name in obj if name not in plan.accept]
    return [join for join in plan.joins if any(part in names for part in join.parts)]


def _check_size(values: Mapping[str, Any], ops: Mapping[str, str]) -> None:
    """Refuse what makes a statement of any length; the groups in it were nested by a client."""
    conditions = numbers = words = 0
    todo = [values]
    while todo:
        for name, value in todo.pop().items():
            conditions += 1
            if name[0] == "$":
                todo.append(value)
            elif isinstance(value, (list, tuple)):
                numbers += len(value)
            if ops.get(name) == "@@":
                words += _words(value, WORDS - words)
            if conditions > CONDITIONS:
                raise BadRequest(f"{name}: more than {CONDITIONS} conditions", field=name)
            if numbers > ALL_VALUES:
                raise BadRequest(f"{name}: more than {ALL_VALUES} values in all", field=name)
            if words > WORDS:
                raise BadRequest(f"{name}: more than {WORDS} words to search for", field=name)


def check_search(value: Any) -> None:
    """Raises BadRequest for a search of a database's own kind with too many words in it."""
    words, todo = 0, [value]
    while todo:
        item = todo.pop()
        if isinstance(item, Mapping):
            todo += item.values()
        elif isinstance(item, (list, tuple)):
            todo += item
        words += _words(item, WORDS - words) if isinstance(item, str) else 1
        if words > WORDS:
            raise BadRequest(f"more than {WORDS} words to search for", field="q")


def _words(value: Any, most: int) -> int:
    """How many words a full-text search has at most, one more for any number above `most`."""
    texts = value if isinstance(value, (list, tuple)) else [value]
    found = chain.from_iterable(_WORD.finditer(text) for text in texts if isinstance(text, str))
    return sum(1 for _ in islice(found, most + 1))


def _query_values(
    codec: Codec,
    plan: QueryPlan,
    obj: Mapping[str, Any],
    ops: dict[str, str],
    aliases: Mapping[str, str],
    options: Options,
    only: Sequence[str] | None = None,
    *,
    own: bool,
) -> Row:
    skip = _skipper(options) if options else None
    values: Row = {}
    for name, value in obj.items():
        if not isinstance(name, str) or value is MISSING:
            continue
        if name[:1] == "$":
            if _GROUP.match(name):
                if not isinstance(value, Mapping):
                    raise BadRequest(f"{name}: a group is an object of conditions", field=name)
                own_group = own and type(value) is not Given
                values[name] = _query_values(
                    codec, plan, value, ops, aliases, options, own=own_group
                )
            elif own:
                codec.undescribed(name)
            continue
        column = aliases.get(name, name)
        if (only and name not in only) or (skip and skip(name, value)):
            continue
        if column in plan.accept:
            op = ops.get(name)
            if op is not None:
                op = ops[name] = operator(op, name, options.get("ops_map"))
            elif isinstance(value, (list, tuple, set, frozenset)):
                op = "in"
            described = codec.columns[column]
            values[name] = operand(described, op or "eq", value, plan.accept[column])
        elif column not in codec.table.columns:
            extra = _undescribed(codec, column, value, options) if codec.loose else DROP
            if extra is not DROP:
                if ops.get(name) is not None:
                    ops[name] = operator(ops[name], name, options.get("ops_map"))
                values[name] = extra
            elif own:
                codec.undescribed(column)
        elif own:
            codec.unsearched(column)
    return values


def check_names(
    codec: Codec, names: Iterable[str], obj: Mapping[str, Any], options: Options
) -> None:
    """Names of columns in options are the program's unless they came with a client's query."""
    if options.get("strict") is not False and type(obj) is not Given:
        for name in names:
            if name not in codec.table.columns and not options.get("no_columns"):
                codec.undescribed(name)


def check_key(codec: Codec, obj: Mapping[str, Any]) -> None:
    """Raises BadRequest, in development, for a program's own object without a column of the key."""
    if codec.strict and type(obj) is not Given:
        for name in codec.table.keys:
            if name not in obj and not codec.table.columns[name].props.get("join"):
                raise BadRequest(f"{codec.table.name}: {name} is missing, a column of its key")


def _valueless(
    plan: QueryPlan,
    obj: Mapping[str, Any],
    ops: dict[str, str],
    given: Mapping[str, str],
    aliases: Mapping[str, str],
    only: Sequence[str] | None,
) -> Row:
    """Conditions on nothing but an operator: `null` and `not null` need no value."""
    found: Row = {}
    for name, op in given.items():
        wanted = aliases.get(name, name) in plan.accept and (not only or name in only)
        alone = str(op).strip().lower().replace("_", " ") in NULLS
        if wanted and alone and not is_given(obj, name):
            ops[name] = operator(op, name)
            found[name] = None
    return found


def is_given(obj: Mapping[str, Any], name: str) -> bool:
    """Whether a query or a group in it has a value for a name."""
    return name in obj or any(
        isinstance(value, Mapping) and key[:1] == "$" and is_given(value, name)
        for key, value in obj.items()
        if isinstance(key, str)
    )


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
            groups.append(condition(column, ops.get(name), value, keep_empty=keep_empty))
    return join_groups("OR" if str(join).upper() == "OR" else "AND", groups)


def select_where(codec: Codec, verb: str, obj: Mapping[str, Any], options: Options) -> Group:
    """The conditions of a query; `ALL` when it has none that can be used."""
    if not obj and not options.get("ops"):
        return ALL
    values, ops = query(codec, verb, obj, options)
    return where(
        values,
        ops,
        aliases=options.get("aliases") or NO_OPTIONS,
        join=options.get("join") or "AND",
    )


def expected(codec: Codec, options: Options) -> Group | Absent | None:
    """The conditions that a write expects, None without any.

    Unlike in a query nothing is dropped: an unknown column is refused, "" is a value.
    """
    given = options.get("expected")
    if given is None or isinstance(given, (Group, Absent)):
        return given
    aliases = options.get("aliases") or NO_OPTIONS
    given = Given(as_dict(given, "expected"))  # what is undescribed in it is refused below
    # filters and joins of the record do not concern what is expected
    kept = {k: options[k] for k in ("ops", "ops_map", "aliases", "no_columns") if k in options}
    values, ops = query(codec, "expected", given, kept)
    _refuse_dropped(codec, given, values)
    return where(
        values,
        ops,
        aliases=aliases,
        join=options.get("expected_join") or "AND",
        keep_empty=True,
    )


def _refuse_dropped(codec: Codec, given: Mapping[str, Any], kept: Mapping[str, Any]) -> None:
    table = codec.table
    for name, value in given.items():
        if name not in kept:
            text = str(name)[:64]
            if codec.strict and text in codec.columns:
                raise BadRequest(f"expected: {table.name}.{text} is hidden")
            hint = near(text, table.columns) if codec.hints else ""
            raise BadRequest(f"expected: {table.name} has no column {text!r}{hint}")
        if isinstance(value, Mapping) and name[:1] == "$":
            _refuse_dropped(codec, value, kept[name])


def key_row(codec: Codec, values: tuple[Any, ...]) -> Row:
    """The values of a primary key by its columns."""
    return dict(zip(codec.table.keys, values, strict=True))
