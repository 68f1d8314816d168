"""Replays the recorded database cases (`db-conformance`) against any driver.

@pytest.mark.parametrize("case", replay.cases())
async def test_recorded_case(case, driver):
    await replay.run_case(database(driver), case)
"""

from __future__ import annotations

import asyncio
import inspect
import re
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import pytest

from bkjs.db.contract import Capabilities, Row, Written
from bkjs.db.database import Database
from bkjs.db.request.hooks import Hooks, RowRequest
from bkjs.db.results import Rows
from bkjs.errors import BkError, Unsupported
from bkjs.testing.vectors import Case, known, vectors

KIND: Final = "db-conformance"
NO_CACHE: Final = frozenset({"cache"})


def cases() -> list[Any]:
    """Every recorded case as a `pytest.param`."""
    return vectors(KIND)


def missing(case: Case, can: Capabilities) -> tuple[list[str], list[str]]:
    """What a case needs that is neither there nor can be emulated: strictly, and where the full
    answer is good too."""
    strict: list[str] = []
    optional: list[str] = []
    flags, tags = case.file["capabilities"], case.file["tags"]
    for item in case.get("requires", ()):
        names = item.removesuffix("?").split("|")
        known(names, [*flags, *tags], "requirement")
        if names[0] in flags and not any(getattr(can, name) for name in names):
            (optional if item.endswith("?") else strict).append(item)
    return strict, optional


def exempt(case: Case, lacks: Collection[str] = NO_CACHE) -> list[str]:
    """The tags of `requires` for which a driver that lacks them need not pass the case."""
    return [tag for tag in case.get("requires", ()) if tag in lacks]


async def run_case(db: Database, case: Case, *, lacks: Collection[str] = NO_CACHE) -> None:
    """Run one case on empty tables and assert what it expects.

    Where a required capability is missing the case must be refused with Unsupported.
    """
    strict, optional = missing(case, db.pool().can)
    lacking = exempt(case, lacks)
    if lacking:
        pytest.skip(f"{case['id']} needs {', '.join(lacking)}")
    run = _Run(db, case)
    await run.set_up()
    try:
        refused = await run.steps(may_refuse=bool(strict or optional))
    finally:
        await run.tear_down()
    assert refused or not strict, f"{run.name}: answered without {', '.join(strict)}"


class _Refused(Exception):
    """The kernel refused a step with Unsupported."""


class _Run:
    def __init__(self, db: Database, case: Case) -> None:
        self.db = db
        self.case = case
        self.name = f"{case['id']} {case['title']}"
        self.saved: dict[str, Any] = {}
        self.tokens: dict[str, Any] = {}

    async def set_up(self) -> None:
        table = self.case["schema"]
        self.db.hooks = Hooks()
        for pool in self.db.pools.opened():  # values are converted as the reference does
            pool.lenient = True
        self.db.schema.definitions.pop(table, None)
        self.db.describe_tables({table: self.case.file["schemas"][table]})
        await self.db.drop(table)
        await self.db.create(table)
        for name, rows in (self.case.get("given") or {}).items():
            for row in rows:
                await self.db.put(name, row)

    async def tear_down(self) -> None:
        self.db.hooks = Hooks()
        self.db.forget()
        await self.db.drop(self.case["schema"])

    async def steps(self, *, may_refuse: bool) -> bool:
        """Run all steps; True when one was refused as it should be."""
        try:
            for number, step in enumerate(self.case["steps"], 1):
                await self.step(step, f"{self.name}, step {number} ({step['op']})", may_refuse)
        except _Refused:
            return True
        return False

    async def step(self, step: Mapping[str, Any], where: str, may_refuse: bool) -> None:
        if step["op"] == "repeat":
            await self.repeat(step, where, may_refuse)
            return
        if "if_token" in step and self.tokens.get(step["if_token"]) is None:
            return
        expect = self.resolve(step.get("preferred", step.get("expect", {})))
        known(expect, (*CHECKS, "error", "ordered"), f"expectation in {where}:")
        result: Any = None
        error: BkError | None = None
        try:
            result = await self.call(step)
        except BkError as err:
            error = err
        if may_refuse and _is_refusal(result, error):
            raise _Refused
        self.remember(step, result)
        if "error" in expect:
            assert error is not None or expect["error"] == "$optional", f"{where}: no error"
            _check_error(error, expect["error"], where)
            return
        if error is not None:
            raise AssertionError(f"{where}: {error!r}") from error
        for key, wanted in expect.items():
            if key != "ordered":
                CHECKS[key](result, wanted, expect, where)

    async def repeat(self, step: Mapping[str, Any], where: str, may_refuse: bool) -> None:
        known(step, ("op", "times", "step", "parallel"), f"key in {where}:")
        runs = [self.step(step["step"], where, may_refuse) for _ in range(step["times"])]
        if step.get("parallel"):
            await asyncio.gather(*runs)
        else:
            for run in runs:
                await run

    def remember(self, step: Mapping[str, Any], result: Any) -> None:
        if "save_token" in step:
            self.tokens[step["save_token"]] = None if result is None else result.next_token
        if "save" in step:
            self.saved[step["save"]] = result[0] if isinstance(result, list) else result

    async def call(self, step: Mapping[str, Any]) -> Any:
        op, table = step["op"], step.get("table", "")
        if op not in STEPS:
            raise AssertionError(f"{self.name}: unknown step {op!r}")
        fields = STEPS[op]
        known(step, (*fields, *_OF_ALL_STEPS), f"key of {op} in {self.name}:")
        options = self.resolve(step.get("options") or {})
        match op:
            case "scan":
                return await self.scan(table, self.resolve(step["query"]), dict(options))
            case "walk":
                return await self.walk(table, self.resolve(step["query"]), dict(options))
            case "hook":
                return self.db.set_process_row(step["when"], table, HOOKS[step["hook"]])
            case "sleep":
                return await asyncio.sleep(step["ms"] / 1000)
        method = getattr(self.db, {"del": "del_", "describe": "describe_tables"}.get(op, op))
        found = method(*(self.resolve(step[name]) for name in fields if name in step), **options)
        return await found if inspect.isawaitable(found) else found

    async def scan(self, table: str, query: Any, options: dict[str, Any]) -> Any:
        fail_after = options.pop("fail_after", 0)
        rows: list[Row] = []
        sizes: list[int] = []

        def on_row(found: Any) -> None:
            if options.get("batch"):
                sizes.append(len(found))
            rows.extend(found if options.get("batch") else [found])
            if fail_after and len(rows) >= fail_after:
                raise BkError("stop")

        await self.db.scan(table, query, on_row, **options)
        return Rows(rows, info={"batches": sizes})

    async def walk(self, table: str, query: Any, options: dict[str, Any]) -> Rows:
        rows: list[Row] = []
        while True:
            page = await self.db.select(table, query, **options)
            rows += page
            assert len(rows) < 10_000, f"{self.name}: the pages never end"
            if page.next_token is None:
                return Rows(rows)
            options["start"] = page.next_token

    def resolve(self, value: Any) -> Any:
        """`$token:NAME` and `$saved:NAME.path` replaced by what earlier steps saved."""
        if isinstance(value, dict):
            return {key: self.resolve(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.resolve(item) for item in value]
        if isinstance(value, str) and value.startswith("$token:"):
            return self.tokens[value[7:]]
        if isinstance(value, str) and value.startswith("$saved:"):
            name, *path = value[7:].split(".")
            found = self.saved[name]
            for part in path:
                found = found[part]
            return found
        return value


STEPS: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(("get", "select", "list", "search", "del_all"), ("table", "query")),
    **dict.fromkeys(("add", "put", "update", "incr", "replace", "del"), ("table", "obj")),
    "update_all": ("table", "query", "obj"),
    **dict.fromkeys(("batch", "bulk"), ("list",)),
    "join": ("table", "rows"),
    **dict.fromkeys(("scan", "walk"), ("table", "query")),
    "hook": ("when", "table", "hook"),
    "sleep": ("ms",),
    "describe": ("tables",),
    **dict.fromkeys(("create", "upgrade", "drop", "migrate"), ("table",)),
    **dict.fromkeys(
        ("get_columns", "get_keys", "get_indexes", "get_index_columns", "exists_table"), ("table",)
    ),
    "get_column": ("table", "name"),
    "get_search_keys": ("table", "keys"),
    "get_index_for_keys": ("table", "query"),
    "get_filtered_columns": ("table", "filter"),
    "get_query_for_keys": ("keys", "obj"),
    "get_search_query": ("table", "obj"),
    "get_selected_columns": ("table",),
}
"""The steps of cases, with the fields that are their arguments, in that order."""

_OF_ALL_STEPS: Final = ("op", "options", "expect", "preferred", "if_token", "save", "save_token")


def _is_refusal(result: Any, error: BkError | None) -> bool:
    if isinstance(error, Unsupported):
        return True
    return isinstance(result, list) and any(
        isinstance(item, tuple) and isinstance(item[0], Unsupported) for item in result
    )


def _check_error(error: BkError | None, expect: Any, where: str) -> None:
    if error is None or not isinstance(expect, dict):
        return
    known(expect, ("status", "code", "message"), f"property of an error in {where}:")
    for name, wanted in expect.items():
        assert getattr(error, name) == wanted, f"{where}: {error!r}"


# -- expectations ------------------------------------------------------------------------------

Check = Callable[[Any, Any, Mapping[str, Any], str], None]


def _rows_of(result: Any) -> list[Row]:
    if isinstance(result, Written):
        return [] if result.row is None else [result.row]
    if result is None:
        return []
    return list(result) if isinstance(result, list) else [result]


def _check_rows(result: Any, wanted: Any, expect: Mapping[str, Any], where: str) -> None:
    found = _rows_of(result)
    assert len(found) == len(wanted), f"{where}: {found!r} instead of {wanted!r}"
    if expect.get("ordered"):
        matches = all(same_row(a, b) for a, b in zip(found, wanted, strict=True))
    else:
        left = list(found)
        matches = True
        for row in wanted:
            hit = next((r for r in left if same_row(r, row)), None)
            matches = matches and hit is not None
            left = [r for r in left if r is not hit]
    assert matches, f"{where}: {found!r} instead of {wanted!r}"


def _check_row(result: Any, wanted: Any, expect: Mapping[str, Any], where: str) -> None:
    if wanted is None:
        assert result is None, f"{where}: {result!r} instead of nothing"
    else:
        assert isinstance(result, dict), f"{where}: no row"
        assert same_row(result, wanted), f"{where}: {result!r} instead of {wanted!r}"


def _check_subset(result: Any, wanted: Any, expect: Mapping[str, Any], where: str) -> None:
    assert isinstance(result, dict), f"{where}: no row"
    for name, value in wanted.items():
        assert same_value(result.get(name), value), f"{where}: {name} is {result.get(name)!r}"


def _equal(get: Callable[[Any], Any]) -> Check:
    def check(result: Any, wanted: Any, expect: Mapping[str, Any], where: str) -> None:
        assert get(result) == wanted, f"{where}: {get(result)!r} instead of {wanted!r}"

    return check


def _check_token(result: Any, wanted: Any, expect: Mapping[str, Any], where: str) -> None:
    assert (result.next_token is not None) == (wanted == "set"), f"{where}: {result.next_token!r}"


def _check_object(result: Any, wanted: Any, expect: Mapping[str, Any], where: str) -> None:
    assert result.obj is not None, f"{where}: no object"
    assert same_row(result.obj, wanted), f"{where}: {result.obj!r} instead of {wanted!r}"


CHECKS: dict[str, Check] = {
    "rows": _check_rows,
    "value_rows": _check_rows,
    "row": _check_row,
    "subset": _check_subset,
    "token": _check_token,
    "info_obj": _check_object,
    "affected": _equal(lambda result: result.affected),
    "value": _equal(lambda result: result),
    "total": _equal(lambda result: result[0]["count"]),
    "row_count": _equal(len),
    "cached": _equal(lambda result: bool(result.info.get("cached"))),
    "batches": _equal(lambda result: result.info["batches"]),
    "value_errors": _equal(lambda result: sum(error is not None for error, _ in result)),
}


def same_row(found: Row, wanted: Row) -> bool:
    """Whether a row is the expected one; a missing column and null are alike."""
    return all(same_value(found.get(n), wanted.get(n)) for n in {*found, *wanted})


def same_value(found: Any, wanted: Any) -> bool:
    """Whether a value is the expected one, which may be a mark such as `$now`."""
    if isinstance(wanted, str) and wanted[:1] == "$":
        if wanted == "$any":
            return found is not None
        if wanted == "$now":
            return isinstance(found, (int, float)) and abs(found - time.time() * 1000) < 60_000
        if wanted.startswith("$uuid:"):
            pattern = re.escape(wanted[6:]) + "[0-9a-f]{32}"
            return re.fullmatch(pattern, str(found)) is not None
        if wanted == "$tuuid":
            return re.fullmatch("[0-9a-f]{30}", str(found)) is not None
    if isinstance(wanted, dict) and isinstance(found, dict):
        return same_row(found, wanted)
    if isinstance(wanted, bool) or isinstance(found, bool):
        return found is wanted
    return bool(found == wanted)


# -- hooks that the cases name -----------------------------------------------------------------


def _add_twice_num(req: RowRequest, row: Row, options: Mapping[str, Any]) -> None:
    if isinstance(row.get("num"), (int, float)):
        row["twice"] = row["num"] * 2


def _drop_tag_x(req: RowRequest, row: Row, options: Mapping[str, Any]) -> bool:
    return row.get("tag") == "x"


def _name_upper(req: RowRequest, row: Row, options: Mapping[str, Any]) -> None:
    if row.get("name"):
        row["name"] = row["name"].upper()


def _add_seen(req: RowRequest, row: Row, options: Mapping[str, Any]) -> None:
    row["seen"] = 1


HOOKS = {
    "add_twice_num": _add_twice_num,
    "drop_tag_x": _drop_tag_x,
    "name_upper": _name_upper,
    "add_seen": _add_seen,
}
