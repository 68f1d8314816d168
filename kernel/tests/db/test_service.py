"""The database of an application: pools out of the configuration, tables of all plugins."""

import asyncio
import json

import pytest

from bkjs import hookimpl
from bkjs.db.pools.memory import MemoryDriver
from bkjs.db.setup import open as opening
from bkjs.db.setup.stored import DbConfig, query
from bkjs.errors import AlreadyExists, BadRequest, StartError
from bkjs.lib.given import Given
from bkjs.testing.app import make_app
from bkjs.testing.db import only
from bkjs.testing.vectors import vectors


class Notes:
    """A module with a table."""

    name = "bk_notes"

    @hookimpl
    def tables(self):
        return {"note": {"id": {"primary": 1}, "text": {}}, "BK_config": {"extra": {}}}


async def test_app_has_a_database_with_the_tables_of_its_modules():
    async with make_app([Notes()]) as app:
        await app.db.put("note", {"id": "1", "text": "hello"})
        assert await app.db.get("note", {"id": "1"}) == {"id": "1", "text": "hello"}
        assert "extra" in app.db.get_columns("bk_config")
        assert app.db.get_pools() == [{"name": "memory", "type": "memory"}]


async def test_pools_route_their_tables():
    argv = ("-db-memory2-pool", "x", "-db-memory2-pool-tables", "note,other")
    async with make_app([Notes()], *argv) as app:
        await app.db.put("note", {"id": "1"})
        assert app.db.pools.find("note").name == "memory2"
        assert await app.db.get("note", {"id": "1"}, pool="memory") is None
        with pytest.raises(BadRequest, match="no pool 'memory3'; did you mean"):
            await app.db.put("note", {"id": "2"}, pool="memory3")
        assert app.db.pool("memory2").type == "memory"


async def test_in_production_the_pool_of_the_table_is_used_for_an_unknown_one(caplog):
    async with make_app([Notes()], "-run-mode", "production") as app:
        for _ in range(2):
            await app.db.put("note", {"id": "1"}, pool="nosuch")
        assert caplog.text.count("no pool 'nosuch'; memory is used") == 1


async def test_settings_reach_the_driver(monkeypatch):
    monkeypatch.setattr(MemoryDriver, "accepts", {"max_size": "", "journal_mode": ""})
    argv = (
        "-db-memory-pool=somewhere",
        "-db-memory-pool-max=7",
        "-db-memory-pool-max-queue=9",
        "-db-memory-pool-connect",
        '{"ssl": true}',
        "-db-memory-pool-options-max-size",
        "5",
        "-db-memory-pool-options-journal_mode",
        "OFF",
        "-db-name",
        "shop",
    )
    async with make_app([], *argv) as app:
        driver = app.db.pool("memory").driver
        options = dict(driver.options)
        assert driver.url == "somewhere"
        assert options.pop("dir").endswith("var")
        assert options == {
            "max": 7,
            "max_queue": 9,
            "connect": {"ssl": True},
            "max_size": 5,
            "journal_mode": "OFF",
            "database": "shop",
        }


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("sqlite-pool-options-journal-mod", "db-sqlite-pool-options-journal_mod: .*journal_mode"),
        ("sqlite1-pool-options-x", "db-sqlite1-pool-options-x: .*busy_timeout, cache_size, "),
        ("memory-pool-options-sync", "db-memory-pool-options-sync: the driver has none such"),
    ],
)
async def test_an_option_that_the_driver_has_not_stops_the_start(option, said):
    pool = option.partition("-")[0]
    with pytest.raises(StartError, match=said):
        async with make_app([], f"-db-{pool}-pool", "x", f"-db-{option}", "1"):
            pass


async def test_disabled_pool_is_not_opened():
    async with make_app([], "-db-memory3-pool", "x", "-db-memory3-pool-disabled") as app:
        assert not app.db.exists_pool("memory3")


async def test_unknown_driver_stops_the_start_and_says_what_to_install():
    with pytest.raises(StartError, match="pip install bkjs-db-nosuchdb"):
        async with make_app([], "-db-nosuchdb-pool", "x"):
            pass


async def test_without_databases_everything_is_empty():
    async with make_app([Notes()], "-no-db") as app:
        assert await app.db.select("note") == []
        assert (await app.db.put("note", {"id": "1"})).affected == 0


async def test_undescribed_columns_may_be_allowed():
    argv = ("-db-allow-column-note-^tag_", "int")
    async with make_app([Notes()], *argv) as app:
        await app.db.put("note", Given({"id": "1", "tag_a": "5", "other": 1, "_tag_b": 2}))
        assert await app.db.get("note", {"id": "1"}) == {"id": "1", "tag_a": 5}


async def test_paging_tokens_survive_a_restart(tmp_path):
    tokens = []
    for _ in range(2):
        async with make_app([Notes()], home=str(tmp_path)) as app:
            for n in range(3):
                await app.db.put("note", {"id": str(n)})
            start = tokens[-1] if tokens else None
            page = await app.db.select("note", count=1, start=start, sort="id")
            tokens.append(page.next_token)
    assert page == [{"id": "1"}]


async def test_status_counts_requests():
    async with make_app([Notes()]) as app:
        await app.db.get("note", {"id": "1"})
        status = await app.hooks.notify("status", app=app)
        assert status["db"]["memory"]["count"] >= 1
        assert status["db"]["memory"]["errors"] == 0


async def test_pool_is_closed_with_the_application():
    async with make_app([]) as app:
        assert app.db.exists_pool("memory")
    assert not app.db.exists_pool("memory")


# -- configuration in the database -------------------------------------------------------------


@pytest.mark.parametrize("case", vectors("config-db"))
def test_recorded_query(case):
    options = case["options"] or {}
    wanted = case["select"]["query"]
    found, more = query(wanted["type"], name=options.get("name", ""))
    assert found == wanted
    assert more["ops"] == case["select"]["opts"]["ops"]


async def stored_config(app, *rows):
    app.config.db.config = "memory"
    for row in rows:
        await app.db.put("bk_config", row)
    return DbConfig(app, app.db)


async def test_configuration_is_read_from_the_database():
    async with make_app([]) as app:
        config = await stored_config(
            app,
            {"name": "db-jscache2-max", "type": "development", "value": "7"},
            {"name": "db-jscache2-max", "type": "development-web", "value": "8"},
            {"name": "db-cache-ttl", "type": "production", "value": "9"},
            {"name": "db-config-interval", "type": "development", "value": "5", "status": "off"},
        )
        await config.load()
        assert app.config.db.jscache2_max == 8
        assert app.config.db.cache_ttl["default"] == 0
        assert app.config.db.config_interval == 1440


async def test_wrong_configuration_in_the_database_changes_nothing(caplog):
    async with make_app([]) as app:
        config = await stored_config(
            app,
            {"name": "db-jscache2-max", "type": "development", "value": "7"},
            {"name": "db-nosuch", "type": "development", "value": "1"},
        )
        await config.load()
        assert app.config.db.jscache2_max == 1000
        assert "db-nosuch" in caplog.text


async def test_records_with_a_ttl_are_read_again():
    async with make_app([]) as app:
        record = {"name": "db-jscache2-max", "type": "development", "value": "7", "ttl": 30}
        config = await stored_config(app, record)
        app.db.now = lambda: 1000.0
        await config.load()
        await app.db.put("bk_config", {**record, "value": "9"})
        await config.refresh()
        assert app.config.db.jscache2_max == 7
        app.db.now = lambda: 1031.0
        await config.refresh()
        assert app.config.db.jscache2_max == 9
        await app.db.del_("bk_config", record)
        app.db.now = lambda: 1062.0
        await config.refresh()
        assert app.config.db.jscache2_max == 1000


async def test_configuration_is_read_again_together_with_the_files():
    async with make_app([]) as app:
        record = {"name": "db-jscache2-max", "type": "development", "value": "7"}
        config = await stored_config(app, record)
        load, again = config.load, asyncio.Event()
        await load()

        async def noted():
            await load()
            again.set()

        config.load = noted
        keeping = asyncio.create_task(config.run())
        await app.db.put("bk_config", {**record, "value": "9"})
        app.reload()
        await asyncio.wait_for(again.wait(), 5)
        keeping.cancel()
        assert app.config.db.jscache2_max == 9


async def test_configuration_may_be_for_one_network():
    async with make_app([]) as app:
        row = {"name": "db-jscache2-max", "type": "development-10.7", "value": "7"}
        config = await stored_config(app, row)
        config.network = "10.7"
        await config.load()
        assert app.config.db.jscache2_max == 7


async def test_driver_plugin_must_give_a_driver():
    async with make_app([]) as app:
        app.plugins.driver = lambda kind, scheme: dict
        with pytest.raises(StartError, match="subclass of DbDriver"):
            opening.make_driver(app, "odd", {})


@pytest.mark.parametrize(("mode", "refused"), [("development", True), ("production", False)])
async def test_misspelled_columns_are_errors_while_a_program_is_developed(mode, refused, caplog):
    async with make_app([Notes()], "-run-mode", mode) as app:
        if refused:
            with pytest.raises(BadRequest, match="note has no column 'txet'"):
                await app.db.put("note", {"id": "1", "txet": "x"})
        else:
            await app.db.put("note", {"id": "1", "txet": "x"})
            await app.db.put("note", {"id": "2", "txet": "x"})
            assert caplog.text.count("note has no column 'txet'") == 1


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"id": {"primry": 1}}, "column id: unknown property 'primry'; did you mean 'primary'?"),
        ({"id": {"type": "jsno"}}, "column id: unknown type 'jsno'; did you mean 'json'?"),
        ({"id": {"zzz": 1}}, "column id: unknown property 'zzz'; own ones begin with x_"),
    ],
)
async def test_a_description_that_is_not_understood_names_its_plugin(columns, said):
    class Wrong:
        name = "bk_wrong"

        @hookimpl
        def tables(self):
            return {"wrong": columns}

    with pytest.raises(StartError, match="bk_wrong") as error:
        async with make_app([Wrong()]):
            pass
    assert f"failed in tables: table wrong: {said}" in str(error.value)
    given = json.dumps({"wrong": columns})
    with pytest.raises(StartError, match="db-describe-tables: table wrong: column id: unknown"):
        async with make_app([], "-db-describe-tables", given):
            pass


async def test_properties_of_an_application_and_of_a_driver_are_its_own():
    columns = {"id": {"primary": 1, "x_label": "Id", "mongodb": {"sparse": 1}, "type": "String"}}
    async with make_app([], "-db-describe-tables", json.dumps({"own": columns})) as app:
        assert app.db.get_column("own", "id")["x_label"] == "Id"


@pytest.mark.parametrize("pool", ["memory", "sqlite"])
async def test_a_condition_on_a_hidden_column_is_told(pool, caplog):
    columns = {"id": {"primary": 1}, "name": {}, "pin": {"hidden": 1}}
    described = "-db-describe-tables", json.dumps({"safe": columns})
    query = {"name": "a", "pin": "1"}
    async with make_app([], *described, pool=pool) as app:
        await app.db.put("safe", {"id": "1", "name": "a", "pin": "of a record it is dropped"})
        for call in (
            lambda: app.db.select("safe", query),
            lambda: app.db.select("safe", {"$or": query}),
            lambda: app.db.select("safe", query, total=True),
            lambda: app.db.update("safe", {"id": "1", "name": "b"}, expected={"pin": "1"}),
            lambda: app.db.update_all("safe", query, {"name": "b"}),
            lambda: app.db.del_all("safe", query),
        ):
            with pytest.raises(BadRequest, match=r"safe\.pin is hidden"):
                await call()
        assert len(await app.db.select("safe", Given(query))) == 1  # of a client it is dropped
    async with make_app([], *described, "-run-mode", "production", pool=pool) as app:
        await app.db.put("safe", {"id": "1", "name": "a"})
        assert len(await app.db.select("safe", query)) == 1
        assert caplog.text.count("safe.pin is hidden") == 1


@pytest.mark.parametrize(("mode", "hinted"), [("test", True), ("production", False)])
async def test_no_error_tells_a_client_the_names_of_tables_and_columns(mode, hinted):
    """A name in a call may be one that a client chose: the nearest right one is for developers."""
    async with make_app([Notes()], "-run-mode", mode) as app:
        calls = [
            (lambda: app.db.select("note", sort="txet"), "unknown sort column 'txet'", "text"),
            (lambda: app.db.select("ntoe"), "unknown table 'ntoe'", "note"),
            (
                lambda: app.db.update("note", {"id": "1", "text": "x"}, expected={"txet": "x"}),
                "expected: note has no column 'txet'",
                "text",
            ),
        ]
        for call, said, nearest in calls:
            with pytest.raises(BadRequest) as caught:
                await call()
            assert said in str(caught.value)
            assert (f"did you mean {nearest!r}" in str(caught.value)) is hinted


class People:
    """A module with a unique column."""

    name = "bk_people"

    @hookimpl
    def tables(self):
        return {"person": {"id": {"primary": 1}, "mail": {"unique": 1}}}


def on(monkeypatch, driver):
    """The driver takes the place of the memory driver."""
    monkeypatch.setattr(opening, "OWN", {**opening.OWN, "memory": driver})


async def test_unique_columns_that_nobody_can_keep_stop_the_start(monkeypatch):
    on(monkeypatch, only(MemoryDriver))
    text = "table person: driver 'memory' cannot keep unique columns: mail"
    with pytest.raises(StartError, match=text):
        async with make_app([People()]):
            pass
    async with make_app([People()], "-db-memory-pool-options-emulate", "lossy"):
        pass  # the operator says that they need not be kept
    on(monkeypatch, only(MemoryDriver, conditional=True))
    async with make_app([People()]) as app:
        await app.db.add("person", {"id": "a", "mail": "a@b"})
        with pytest.raises(AlreadyExists, match="the same mail"):
            await app.db.add("person", {"id": "b", "mail": "a@b"})


async def test_a_table_that_a_database_cannot_hold_stops_the_start(monkeypatch):
    class OneKey(MemoryDriver):
        def check(self, table):
            if len(table.keys) > 1:
                raise StartError(f"table {table.name}: more than one key column")

    on(monkeypatch, OneKey)
    with pytest.raises(StartError, match="table bk_config: more than one key column"):
        async with make_app([]):
            pass
