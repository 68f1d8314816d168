"""Tables at the start: what is made, what is said to differ, and reading columns again."""

import asyncio
from dataclasses import replace

import pytest

from bkjs import hookimpl
from bkjs.db.pools.memory import MemoryDriver
from bkjs.db.setup import open as opening
from bkjs.db.tables.described import build
from bkjs.db.tables.drift import differences
from bkjs.testing.app import make_app

NONE_ASKED = ("-db-create-tables", "0")


class Notes:
    name = "bk_notes"

    @hookimpl
    def tables(self):
        return {"note": {"id": {"primary": 1}, "size": {"type": "int"}}}


class Own(MemoryDriver):
    """A database of one's own with real tables."""

    can = replace(MemoryDriver.can, columns=True)
    own_tables = True
    real = ()

    async def create(self, table):
        return self.tables.setdefault(table.name, {}) == {}

    async def describe(self):
        made = {name: {"id": {"type": "text", "primary": 1}} for name in self.tables}
        return {**made, **dict(self.real)}

    def fits(self, column, stored):
        return column.type in ("", stored)


@pytest.fixture(autouse=True)
def own(monkeypatch):
    monkeypatch.setitem(opening.OWN, "memory", Own)
    return Own


def tables(app):
    return set(app.db.pool().driver.tables)


@pytest.mark.parametrize(
    ("role", "argv", "made"),
    [
        ("web", (), True),
        ("shell", (), False),
        ("web", ("-db-memory-pool-create-tables", "0"), False),
        ("shell", ("-db-memory-pool-create-tables",), True),
    ],
)
async def test_server_makes_the_tables_of_its_own_database(role, argv, made):
    async with make_app([Notes()], *NONE_ASKED, *argv, role=role) as app:
        assert ("note" in tables(app)) is made


async def test_shared_database_gets_tables_only_when_asked(monkeypatch):
    monkeypatch.setattr(Own, "own_tables", False)
    async with make_app([Notes()], *NONE_ASKED) as app:
        assert tables(app) == set()


async def test_what_is_not_as_described_is_named_at_the_start(monkeypatch, caplog):
    monkeypatch.setattr(Own, "own_tables", False)
    monkeypatch.setattr(Own, "real", {"note": {"size": {"type": "text"}}})
    async with make_app([Notes()], *NONE_ASKED):
        pass
    assert "pool memory: no table bk_auth, bk_config, bk_property" in caplog.text
    assert "pool memory: table note has no column id; start once with" in caplog.text
    assert "table note: the key is none, described as id" in caplog.text
    assert "table note: column size is 'text', described as 'int'" in caplog.text


async def test_commands_say_nothing_of_it(caplog):
    async with make_app([Notes()], *NONE_ASKED, role="shell"):
        pass
    assert caplog.text == ""


def test_nothing_differs_where_all_is_there():
    table = build("note", {"id": {"primary": 1}, "Size": {"type": "int"}})
    real = {"note": {"id": {"type": "text", "primary": 1}, "size": {"type": "INT"}, "more": {}}}
    assert list(differences([table], real, lambda column, stored: bool(stored))) == []


async def test_columns_are_read_again_for_pools_that_ask_for_it():
    seen = []

    async def sleep(seconds):
        seen.append(seconds)
        if len(seen) == 3:
            raise asyncio.CancelledError

    argv = ("-db-memory-pool-cache-columns", "-db-memory2-pool", "-db-cache-columns-interval", "2")
    async with make_app([Notes()], *NONE_ASKED, *argv) as app:
        app.db.set_process_columns(lambda pool: seen.append(pool.name))
        with pytest.raises(asyncio.CancelledError):
            await opening.refresh_columns(app, app.db, sleep=sleep)
    first, pool, second = seen
    assert pool == "memory"
    assert 120 <= first < 153
    assert 120 <= second < 153


async def test_columns_are_never_read_again_with_an_interval_of_0():
    rounds = []

    async def sleep(seconds):
        rounds.append(seconds)
        if len(rounds) == 2:
            raise asyncio.CancelledError

    argv = ("-db-memory-pool-cache-columns", "-db-cache-columns-interval", "0")
    async with make_app([Notes()], *argv) as app:
        app.db.set_process_columns(lambda pool: rounds.append(pool.name))
        with pytest.raises(asyncio.CancelledError):
            await opening.refresh_columns(app, app.db, sleep=sleep)
    assert len(rounds) == 2


async def test_tables_that_nobody_describes_any_more_are_named(caplog, monkeypatch):
    left = {"old_thing": {"id": {"type": "text", "primary": 1}}, "Gone": {}}
    monkeypatch.setattr(Own, "real", left)
    monkeypatch.setitem(opening.OWN, "memory", Own)
    async with make_app([Notes()], "-log", "info"):
        pass
    said = "pool memory: no module that is loaded describes table gone, old_thing"
    assert caplog.text.count(said) == 1
