"""The page about the database names everything that there is, and its tables are true."""

import ast
import asyncio
import inspect
import os
import re
import types
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from bkjs import errors, hookimpl
from bkjs.db import operators
from bkjs.db.contract import NATIVE_OPERATORS, OPERATORS, UPDATE_OPS
from bkjs.db.database import Database
from bkjs.db.request import options
from bkjs.db.tables.properties import KINDS, PROPERTIES
from bkjs.db.transaction import DbTransaction
from bkjs.db.verbs import Verbs
from bkjs.testing.app import make_app

PAGE = Path(__file__).with_name("database.md").read_text(encoding="utf-8")
CELL = re.compile(r"(?<!\\)\|")
CODE = re.compile(r"`([^`]+)`")
ENGINES = ("memory", "sqlite", "pgsql")
VALUES = {"Decimal": Decimal, "date": date, "datetime": datetime, "UTC": UTC}


def table(head: str) -> list[list[str]]:
    """The rows below the table with this heading, cell by cell."""
    start = PAGE.index(f"\n| {head} |\n")
    lines = PAGE[start + 1 :].partition("\n\n")[0].splitlines()[2:]
    rows = [CELL.split(line.strip()[1:-1]) for line in lines]
    return [[cell.strip().replace("\\|", "|") for cell in row] for row in rows]


def named(rows: list[list[str]]) -> list[str]:
    """What stands as code in their first cells."""
    return [name for row in rows if not row[0].startswith("**") for name in CODE.findall(row[0])]


def value(cell: str) -> object:
    return eval(cell.strip("`"), VALUES)


@pytest.fixture(params=ENGINES)
async def make(request):
    """`await make(tables)`: a database of this engine."""
    apps = []
    argv = []
    if request.param == "pgsql":
        url = os.environ.get("BKJS_TEST_PGSQL")
        if not url:
            pytest.skip("PostgreSQL: BKJS_TEST_PGSQL is not set")
        argv = ["-db-pgsql-pool", url]

    async def make(tables):
        module = types.SimpleNamespace(name="page", tables=hookimpl(lambda: tables))
        apps.append(make_app([module], *argv, pool=request.param))
        db = (await apps[-1].__aenter__()).db
        for name in tables:
            await db.drop(name)
            await db.create(name)
        return db

    yield make
    for app in apps:
        await app.__aexit__(None, None, None)


# -- operators -----------------------------------------------------------------------------------

OPERATOR_ROWS = table("operator | also written | query | finds")
PEOPLE = ast.literal_eval(re.search(r"^PEOPLE = (\[.*?^\])", PAGE, re.S | re.M)[1])


def test_every_operator_and_each_of_its_other_names_is_there():
    assert set(named(OPERATOR_ROWS)) == OPERATORS | NATIVE_OPERATORS
    aliases = {
        alias: CODE.findall(row[0])[0] for row in OPERATOR_ROWS for alias in CODE.findall(row[1])
    }
    assert aliases == {name: of for name, of in operators.ALIASES.items() if name}


async def test_each_operator_finds_what_the_page_says(make):
    db = await make(
        {
            "doc_people": {
                "name": {"primary": 1},
                "age": {"type": "int"},
                "city": {},
                "tags": {"type": "list"},
            }
        }
    )
    for person in PEOPLE:
        await db.add("doc_people", person)
    native = db.pool().driver.can.operators
    for first, also, query, finds in OPERATOR_ROWS:
        (asked,) = value(query).items()
        for name in (CODE.findall(first)[0], *CODE.findall(also)):
            wanted = finds.removeprefix("PostgreSQL only: ")
            if wanted != finds and (name not in native or db.pool().type == "sqlite"):
                with pytest.raises(errors.BkError):
                    await db.select("doc_people", dict([asked]), ops={asked[0]: name})
                continue
            rows = await db.select("doc_people", dict([asked]), ops={asked[0]: name}, sort="name")
            assert ", ".join(row["name"] for row in rows) == wanted, name


# -- what an update does -------------------------------------------------------------------------


def test_every_update_operation_is_there():
    assert set(named(table("operation | before | given | after"))) == UPDATE_OPS


async def test_each_update_operation_does_what_the_page_says(make):
    columns = {"id": {"primary": 1}, "list": {"type": "list"}, "int": {"type": "int"}, "str": {}}
    db = await make({"doc_changed": columns})
    for operation, before, given, after in table("operation | before | given | after"):
        column = type(value(before)).__name__
        await db.put("doc_changed", {"id": "1", column: value(before)})
        change, ops = {"id": "1", column: value(given)}, {column: operation.strip("`")}
        written = await db.update("doc_changed", change, update_ops=ops)
        row = await db.get("doc_changed", {"id": "1"})
        assert (written.affected, row.get(column)) == (1, value(after)), operation


# -- types and properties ------------------------------------------------------------------------

TYPE_ROWS = table("type | holds | given | read")


def test_every_type_is_there_once():
    names = named(TYPE_ROWS)
    assert sorted(names) == sorted(KINDS - {""})


@pytest.mark.parametrize("make", ENGINES, indirect=True)
async def test_each_type_takes_and_gives_what_the_page_says(make):
    shown = [row for row in TYPE_ROWS if row[2]]
    kinds = {name: row for row in shown for name in ("", *CODE.findall(row[0]))}
    numbered = dict(enumerate(kinds))
    columns = {f"c{n}": {"type": kind} for n, kind in numbered.items() if kind != "array"}
    db = await make({"doc_types": {"id": {"primary": 1}, **columns}})
    for n, kind in numbered.items():
        if kind != "array":
            await db.put("doc_types", {"id": kind or "-", f"c{n}": value(kinds[kind][2])})
            row = await db.get("doc_types", {"id": kind or "-"})
            assert row[f"c{n}"] == value(kinds[kind][3]), kind
            assert type(row[f"c{n}"]) is type(value(kinds[kind][3])), kind


def test_every_property_is_there_once():
    names = named(table("property | value | meaning"))
    assert sorted(names) == sorted(PROPERTIES)


# -- transactions --------------------------------------------------------------------------------

SAFETY = {
    row[0]: dict(zip(ENGINES, row[1:], strict=True))
    for row in table("| memory | SQLite | PostgreSQL")
}


async def meet(first, second) -> list[bool]:
    """Run `first`, and `second` while that waits in its middle; which of them met a Conflict."""
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        reached.set()
        await go_on.wait()

    async def conflicts(work) -> bool:
        try:
            await work
        except errors.Conflict:
            return True
        return False

    one = asyncio.create_task(conflicts(first(wait)))
    await reached.wait()
    two = asyncio.create_task(conflicts(second(None)))
    await asyncio.wait([two], timeout=0.3)  # where writers wait it does not end yet
    go_on.set()
    return [await one, await two]


async def test_two_that_change_the_same_row(make):
    db = await make({"doc_sum": {"id": {"primary": 1}, "n": {"type": "int"}}})
    await db.put("doc_sum", {"id": "1", "n": 0})

    async def add(wait):
        async with db.transaction() as tx:
            row = await tx.get("doc_sum", {"id": "1"})
            if wait:
                await wait()
            await tx.update("doc_sum", {"id": "1", "n": row["n"] + 1})

    told = SAFETY["two change the same row"][engine(db)]
    assert await meet(add, add) == [told.endswith("gets `Conflict`"), False]
    assert (await db.get("doc_sum", {"id": "1"}))["n"] == (1 if "Conflict" in told else 2)


async def test_a_rule_over_several_rows(make):
    db = await make({"doc_duty": {"id": {"primary": 1}, "here": {"type": "int"}}})
    for name in ("a", "b"):
        await db.put("doc_duty", {"id": name, "here": 1})

    def leave(name):
        async def leave(wait):
            async with db.transaction() as tx:
                here = await tx.select("doc_duty", {"here": 1})
                if wait:
                    await wait()
                if len(here) > 1:
                    await tx.update("doc_duty", {"id": name, "here": 0})

        return leave

    assert await meet(leave("a"), leave("b")) == [False, False]
    left = await db.select("doc_duty", {"here": 1})
    assert bool(left) is (SAFETY["a rule over several rows"][engine(db)] == "holds")


async def test_unique(make):
    db = await make({"doc_unique": {"id": {"primary": 1}, "mail": {"unique": 1}}})
    await db.put("doc_unique", {"id": "1", "mail": "x"})
    if SAFETY["`unique`"][engine(db)] == "kept":
        with pytest.raises(errors.AlreadyExists):
            await db.put("doc_unique", {"id": "2", "mail": "x"})
    else:
        await db.put("doc_unique", {"id": "2", "mail": "x"})


def engine(db) -> str:
    return db.pool().type


# -- verbs and options ---------------------------------------------------------------------------


INSIDE = {"find", "write", "run_write", "cache_columns", "refresh_columns", "close"}
"""What verbs and services are made of."""


def test_every_verb_is_named():
    for cls in (Verbs, Database):
        for name, member in vars(cls).items():
            if inspect.iscoroutinefunction(member) and not name.startswith("_"):
                if name in (
                    "find",
                    "write",
                    "run_write",
                    "cache_columns",
                    "refresh_columns",
                    "close",
                ):
                    continue  # what verbs and services are made of
                assert re.search(rf"[`.]{name}[`(]", PAGE), name


async def test_verbs_of_a_transaction_are_those_that_the_page_lists():
    listed = PAGE.partition("`tx` has the verbs over one table:")[2].partition(".\n")[0]
    own = {n for n, f in vars(Verbs).items() if inspect.iscoroutinefunction(f) and n[0] != "_"}
    assert set(CODE.findall(listed.partition(". Inside")[0])) == own - {
        "find",
        "write",
        "run_write",
    }
    assert not hasattr(DbTransaction, "scan")


def test_every_option_is_there_below_the_verbs_that_take_it():
    places: dict[str, set[str]] = {}
    classes: list[str] = []
    for row in table("option | meaning"):
        if row[0].startswith("**"):
            classes = re.findall(r"`(\w+Options)`", row[0])
        else:
            for name in CODE.findall(row[0]):
                places.setdefault(name, set()).update(classes)
    known = {n: c for n, c in vars(options).items() if n.endswith("Options")}
    for option in set().union(*(cls.__annotations__ for cls in known.values())):
        first = next(n for n, cls in known.items() if option in cls.__annotations__)
        assert first in places.get(option, ()), (first, option)
    assert all(any(n in c.__annotations__ for c in known.values()) for n in places)


def test_every_error_of_the_page_has_its_status():
    for cell, status, _ in table("error | status | when"):
        cls = getattr(errors, cell.strip("`"), None)
        if cls is not None:
            assert str(cls.status) == status, cell
