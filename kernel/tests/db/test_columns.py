"""Column properties and values that the recorded cases leave out."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from bkjs.db.contract import Order, Shape
from bkjs.db.database import Database
from bkjs.db.pools.memory import MemoryDriver
from bkjs.db.request import paging
from bkjs.db.request.paging import Position
from bkjs.db.tables.described import build
from bkjs.errors import BadRequest

KEY = b"k" * 32


def make(columns, *, lenient=False, **shape):
    class Driver(MemoryDriver):
        pass

    Driver.shape = Shape(**{"json": True, "lists": True, "dates": True, **shape})
    db = Database(lenient=lenient)
    db.add_pool("memory", Driver("memory", "", {}), default=True)
    db.now = lambda: 1_520_000_000.123456
    db.describe_tables({"t": {"id": {"primary": 1}, **columns}})
    return db


async def stored(columns, obj, *, verb="put", **options):
    db = make(columns, **options)
    await getattr(db, verb)("t", {"id": "1", **obj})
    row = await db.get("t", {"id": "1"})
    return {name: value for name, value in row.items() if name != "id" and value is not None}


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ({"type": "now"}, 1_520_000_000_123),
        ({"type": "now", "clock": 1}, 1_520_000_000_123.456),
        ({"type": "now", "epoch": 1}, 1_520_000_000),
        ({"type": "clock"}, 1_520_000_000_123_456),
    ],
)
async def test_times(column, expected):
    assert await stored({"c": column}, {}) == {"c": expected}


async def test_identifiers_are_kept_only_when_they_look_right():
    column = {"type": "tuuid", "prefix": "x_"}
    row = await stored({"c": column}, {"c": "wrong"}, lenient=True)
    assert row["c"].startswith("x_")
    with pytest.raises(BadRequest, match=r"^c: an identifier is expected, such as x_[0-9a-f]{30}$"):
        await stored({"c": column}, {"c": "wrong"})
    assert await stored({"c": {"type": "tuuid", "prefix": "x_"}}, {"c": row["c"]}) == row


async def test_geohash_of_a_place():
    columns = {
        "h": {"type": "geohash", "lat": "y", "lon": "x"},
        "y": {"type": "real"},
        "x": {"type": "real"},
    }
    row = await stored(columns, {"y": 34.05, "x": -118.25})
    assert len(row["h"]) == 8
    assert "h" not in await stored(columns, {"y": 34.05})
    assert (await stored(columns, {"y": 1, "x": 2, "h": "given"}))["h"] == "given"


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("int", "12abc", 12),
        ("int", "true", 1),
        ("int", 1.9, 1),
        ("int", True, 1),
        ("int", "9007199254740993", 9007199254740993),
        ("real", "1e3", 1000),
        ("real", "oops", 0),
        ("bool", "no", False),
        ("bool", 0, False),
        ("mtime", "2018-03-02T14:13:20Z", 1520000000000),
        ("mtime", "oops", 0),
        ("mtime", "", None),
        ("timestamp", "2018-03-02", datetime(2018, 3, 2, tzinfo=UTC)),
        ("timestamp", "", None),
        ("datetime", datetime(2018, 3, 2, tzinfo=UTC), "2018-03-02T00:00:00.000000Z"),
        ("datetime", "any text", "any text"),
        ("email", "Bob <Bob@Example.com>", "bob@example.com"),
        ("text", 5.0, "5"),
        ("text", ["a", "b"], "a,b"),
    ],
)
async def test_conversion_as_the_reference_does_it(kind, value, expected):
    wanted = {} if expected is None else {"c": expected}
    assert await stored({"c": {"type": kind}}, {"c": value}, lenient=True) == wanted


async def test_what_json_cannot_hold_is_refused():
    with pytest.raises(BadRequest, match="c: not a JSON value"):
        await stored({"c": {"type": "json"}}, {"c": [2**70]})


async def test_defaults_are_of_each_row_its_own():
    db = make({"doc": {"type": "json", "value": {"a": [1]}}})
    written = await db.add("t", {"id": "1"}, info_obj=True)
    written.obj["doc"]["a"].append(2)
    await db.add("t", {"id": "2"})
    assert (await db.get("t", {"id": "2"}))["doc"] == {"a": [1]}


async def test_a_choice_may_be_taken_back():
    db = make({"c": {"values": "a,b"}})
    await db.put("t", {"id": "1", "c": "a"})
    for given, kept in (("x", "a"), ("b", "b"), (None, None)):
        await db.update("t", {"id": "1", "c": given})
        assert (await db.get("t", {"id": "1"})).get("c") == kept


async def test_list_items_must_not_hold_the_separator_where_lists_are_text():
    columns = {"c": {"type": "list"}, "s": {"list": 1, "separator": ";"}}
    assert await stored(columns, {"c": ["a", "b"], "s": ["x,y"]}, lists=False) == {
        "c": ["a", "b"],
        "s": ["x,y"],
    }
    for item in ("a,b", "a|b"):  # both are read as separators
        with pytest.raises(BadRequest, match="c: an item contains the separator"):
            await stored(columns, {"c": [item]}, lists=False)


@pytest.mark.parametrize("lists", [True, False])
async def test_contains_asks_for_a_whole_item_of_a_list(lists):
    db = make({"c": {"type": "list"}}, lists=lists)
    await db.put("t", {"id": "1", "c": ["ab", "c"]})
    ops = {"ops": {"c": "contains"}}
    assert len(await db.select("t", {"c": "ab"}, **ops)) == 1
    assert len(await db.select("t", {"c": "a"}, **ops)) == 0
    assert len(await db.select("t", {"c": ["ab", "c"]}, **ops)) == 1
    assert len(await db.select("t", {"c": ["ab", "x"]}, **ops)) == 0


async def test_stored_text_that_is_no_json_reads_as_null():
    db = make({"c": {"type": "json"}}, json=False)
    await db.put("t", {"id": "1", "c": {"a": 1}})
    db.pool().driver.tables["t"]["1",]["c"] = "{broken"
    assert (await db.get("t", {"id": "1"}))["c"] is None


async def test_noresult_columns_stay_inside():
    db = make({"c": {"noresult": 1}})
    await db.put("t", {"id": "1", "c": "x"})
    assert await db.get("t", {"id": "1"}) == {"id": "1"}
    assert await db.select("t", {"c": "x"}) == [{"id": "1"}]


async def test_unjoin_converts_and_leaves_short_values():
    columns = {"c": {"unjoin": ["n", "rest"], "datatype": "int"}, "n": {}}
    db = make(columns)
    await db.put("t", {"id": "1", "c": "5|6"})
    await db.put("t", {"id": "2", "c": "plain"})
    await db.put("t", {"id": "3", "c": None})
    rows = await db.select("t", sort="id")
    assert rows[0] == {"id": "1", "n": 5, "rest": 6}
    assert rows[1]["c"] == "plain"


async def test_joined_columns_of_joined_columns_and_case():
    columns = {
        "outer": {"join": ["inner", "a"]},
        "inner": {"join": ["a", "b"], "join_upper": 1},
        "titled": {"join": ["a", "b"], "join_cap": 1, "separator": " "},
        "a": {},
        "b": {},
    }
    row = await stored(columns, {"a": "x", "b": "y"})
    assert row == {"a": "x", "b": "y", "inner": "X|Y", "outer": "X|Y|x", "titled": "X Y"}
    db = make(columns)
    await db.put("t", {"id": "1", "a": "x", "b": "y"}, no_join_columns=True)
    assert "inner" not in await db.get("t", {"id": "1"})
    await db.put("t", {"id": "1", "a": "x"}, join_strict=True)
    assert "inner" not in await db.get("t", {"id": "1"})


async def test_columns_of_other_pools_are_not_stored():
    columns = {"only": {"allow_pools": ["pgsql"]}, "never": {"skip_pools": ["memory"]}, "c": {}}
    assert await stored(columns, {"only": 1, "never": 2, "c": 3}) == {"c": "3"}


async def test_empty_value_stands_for_an_empty_column():
    columns = {"c": {"notempty": 1}}
    assert await stored(columns, {"c": " "}, nulls=False, empty_value="-") == {"c": "-"}
    with pytest.raises(BadRequest, match="c cannot be empty"):
        await stored(columns, {"c": ""}, nulls=False)


async def test_mutable_defaults_are_not_shared():
    db = make(
        {"c": {"type": "json", "value": {"list": [1]}}, "d": {"type": "json", "dflt": {"x": 1}}}
    )
    await db.put("t", {"id": "1"})
    row = await db.get("t", {"id": "1"})
    row["d"]["x"] = 2
    assert (await db.get("t", {"id": "1"}))["d"] == {"x": 1}
    assert db.get_column("t", "c")["value"] == {"list": [1]}


async def test_sort_by_an_index_and_its_columns():
    db = make({"a": {"index": 1}, "b": {"type": "int", "index": 2}})
    for key, a, b in (("1", "x", 2), ("2", "x", 1), ("3", "a", 9)):
        await db.put("t", {"id": key, "a": a, "b": b})
    rows = await db.select("t", sort="a_b", desc=True)
    assert [row["id"] for row in rows] == ["1", "2", "3"]
    with pytest.raises(BadRequest, match="unknown sort column 'a_nosuch'"):
        await db.select("t", sort="a_nosuch")


@pytest.mark.parametrize("key", ["abc", "5x", 5.5, True, [5]])
async def test_a_key_that_is_no_number_is_no_other_one(key):
    db = make({"id": {"type": "int", "primary": 1}, "c": {}}, lenient=True, strict=True)
    await db.put("t", {"id": 0, "c": "zero"})
    await db.put("t", {"id": 5, "c": "five"})
    for call in (db.get, db.del_, db.put):
        with pytest.raises(BadRequest, match="id: not a"):
            await call("t", {"id": key})
    assert len(await db.select("t")) == 2


async def test_a_row_without_a_time_is_older_than_any():
    db = make({"name": {}, "mtime": {"type": "bigint"}})
    await db.put("t", {"id": "1", "name": "a"})
    newer = {"id": "1", "name": "b", "mtime": 6}
    assert (await db.replace("t", newer, check_mtime="mtime")).affected == 1
    assert (await db.replace("t", newer, check_mtime="mtime")).affected == 0


async def test_what_is_expected_of_a_replaced_row_counts_beside_its_time():
    db = make({"name": {}, "mtime": {"type": "bigint"}})
    await db.put("t", {"id": "1", "name": "a", "mtime": 5})
    newer = {"id": "1", "name": "b", "mtime": 6}
    for name, done in (("x", 0), ("a", 1)):
        written = await db.replace("t", newer, check_mtime="mtime", expected={"name": name})
        assert written.affected == done


async def test_replace_by_time_and_by_chosen_columns():
    db = make({"name": {}, "mtime": {"type": "bigint"}, "doc": {"type": "json"}})
    with pytest.raises(BadRequest, match="check_mtime"):
        await db.replace("t", {"id": "1"}, check_mtime="nosuch")
    assert (await db.replace("t", {"id": "1", "name": "a"}, put_only=True)).affected == 0
    assert (await db.replace("t", {"id": "1", "name": "a", "mtime": 5, "doc": {"x": 1}})).affected
    assert (await db.replace("t", {"id": "1", "mtime": 5}, check_mtime="mtime")).affected == 0
    assert (await db.replace("t", {"id": "1", "mtime": 6}, check_mtime="mtime")).affected == 1
    same = {"id": "1", "name": "a", "doc": {"x": 1}, "mtime": 99}
    assert (await db.replace("t", same, check_data=["name", "doc"])).affected == 0
    assert (await db.replace("t", {**same, "name": None}, check_data=True)).affected == 1


async def test_join_by_other_columns_and_with_new_names():
    db = make({"code": {}, "name": {}, "n": {"type": "int"}})
    await db.put("t", {"id": "1", "code": "a", "name": "first", "n": 2})
    rows = await db.join(
        "t",
        [{"c": "a", "name": "mine", "n": 3}, {"c": "b"}],
        keys=["code"],
        keys_map={"code": "c"},
        columns_map={"name": "title"},
        incr=["n"],
        override=True,
        select="name,n",
    )
    assert rows[0]["title"] == "first"
    assert rows[0]["n"] == 5
    assert rows[1] == {"c": "b"}


def test_tokens_hold_every_kind_of_sort_value():
    values = (None, True, 1, 1.5, "é", b"\xff", Decimal("1.10"), UUID(int=5))
    moment = (datetime(2018, 3, 2, 1, 2, 3, 4, UTC),)
    table = build("t", {"id": {"primary": 1}})
    mark = paging.fingerprint(table, paging.Group(), (Order("id"),))
    token = paging.seal(KEY, mark, Position("after", values + moment))
    assert paging.position(KEY, mark, token) == Position("after", values + moment)
    with pytest.raises(TypeError, match="cannot page by"):
        paging.seal(KEY, mark, Position("after", (object(),)))


@pytest.mark.parametrize("start", [-1, 1.5, [1], {"a": 1}, "é", "AAAA", "x" * 100])
def test_other_starts_are_refused(start):
    with pytest.raises(BadRequest, match="start: invalid token"):
        paging.position(KEY, "mark", start)


def test_numbers_and_nothing_are_starts():
    assert paging.position(KEY, "m", "12") == Position("offset", 12)
    assert paging.position(KEY, "m", 0) is None
    assert paging.position(KEY, "m", "") is None


def test_a_database_without_pools_has_none():
    assert Database().pool().name == "none"


@pytest.mark.parametrize("verb", ["put", "add", "update"])
async def test_an_object_is_no_text(verb):
    with pytest.raises(BadRequest, match=r"^c: must be text$"):
        await stored({"c": {}}, {"c": {"a": 1}}, verb=verb)
    assert await stored({"c": {"type": "json"}}, {"c": {"a": 1}}) == {"c": {"a": 1}}


@pytest.mark.parametrize(
    ("props", "kind"),
    [
        ({}, "text"),
        ({"type": "varchar"}, "text"),
        ({"type": "BigInt"}, "int"),
        ({"type": "mtime"}, "int"),
        ({"type": "now", "clock": 1}, "real"),
        ({"type": "timestamp"}, "date"),
        ({"type": "int", "list": 1}, "list"),
        ({"type": "obj", "list": 1}, "json"),
        ({"type": "buffer"}, "bytes"),
    ],
)
def test_kinds_of_columns(props, kind):
    assert build("t", {"c": props}).columns["c"].kind == kind


async def test_types_are_written_in_any_case():
    columns = {"c": {"type": "INT"}, "o": {"type": "Obj"}}
    assert await stored(columns, {"c": "7", "o": 5}, lenient=True) == {"c": 7}
    with pytest.raises(BadRequest, match="o: an object is expected"):
        await stored(columns, {"o": 5})


async def test_a_time_with_a_fraction_is_found_by_it():
    db = make({"c": {"type": "now", "clock": 1}})
    await db.put("t", {"id": "1"})
    assert await db.select("t", {"c": 1_520_000_000_123.456}) != []
    assert await db.select("t", {"c": 1_520_000_000_123}) == []


async def test_every_type_of_text_has_a_longest_length():
    assert await stored({"c": {"type": "text64", "maxlength": 2}}, {"c": "abc"}) == {"c": "ab"}


async def test_parts_of_a_joined_column_hold_no_nul():
    with pytest.raises(BadRequest, match=r"^c: text without NUL"):
        await stored({"c": {"join": ["x", "y"]}}, {"x": "a\0", "y": "b"})
