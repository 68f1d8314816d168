"""`bkjs db`: rows in and out of the database."""

import asyncio
import errno
import gc
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from bkjs import hookimpl
from bkjs.commands import db as command
from bkjs.db.many.batch import write_all
from bkjs.db.many.files import LARGE, export_rows, import_rows, read_jsonl
from bkjs.db.pools.memory import MemoryDriver
from bkjs.errors import AlreadyExists, BadRequest, Unavailable, UsageError
from bkjs.testing import process
from bkjs.testing.app import make_app
from bkjs.testing.db.opened import database

ALL_KINDS = {
    "thing": {
        "id": {"primary": 1},
        "n": {"type": "int", "multiplier": 10},
        "r": {"type": "real"},
        "b": {"type": "bool"},
        "at": {"type": "timestamp"},
        "doc": {"type": "json"},
        "words": {"type": "list"},
        "status": {"value": "ok"},
        "mtime": {"type": "now"},
        "secret": {"hidden": 1},
        "text": {},
    }
}
ROWS = [
    {"id": "1", "n": 5, "r": 0.1, "b": True, "at": "2018-03-02T14:13:20.123456Z"},
    {"id": "2", "doc": {"a": [1, None]}, "words": ["x", "y z"], "status": None, "text": ""},
    {"id": "3", "text": '\\ a,b\n"q"', "doc": "5", "mtime": 5, "secret": "s", "b": False},
    {"id": "4", "text": "null", "n": 2**60, "r": -0.5, "words": []},
]


class Module:
    name = "bk_thing"

    @hookimpl
    def tables(self):
        return ALL_KINDS


@pytest.fixture
def shell(monkeypatch, tmp_path):
    """Runs the command in an application with the test's module and a database that stays."""
    stores = {}
    monkeypatch.setattr(MemoryDriver, "__init__", memory_that_stays(stores))

    class TestApp(command.App):
        def __init__(self, *, role, argv):
            argv = ["-home", str(tmp_path / "home"), "-log", "error", "-db-pool", "memory", *argv]
            super().__init__(role=role, argv=argv, modules=[Module()])

    monkeypatch.setattr(command, "App", TestApp)
    return lambda *words: command.COMMAND(["db", *words])


def memory_that_stays(stores):
    def init(self, name, url, options):
        self.name, self.url, self.options = name, url, options
        self.tables, self.uniques = stores.setdefault(name, {}), self.can.uniques

    return init


def write_lines(path, *lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_export_and_import_give_back_the_same_rows(shell, tmp_path, capsys, kind):
    source = write_lines(tmp_path / "in.jsonl", *map(json.dumps, ROWS))
    first, second = str(tmp_path / f"a.{kind}"), str(tmp_path / f"b.{kind}")
    assert shell("import", "-table", "thing", source) == 0
    assert shell("export", "-table", "thing", first) == 0
    assert shell("del", "-table", "thing", "id", "1") == 0
    assert shell("put", "-table", "thing", "id", "2", "text", "changed") == 0
    assert shell("import", "-table", "thing", first) == 0
    assert shell("export", "-table", "thing", second) == 0
    assert (tmp_path / f"a.{kind}").read_text() == (tmp_path / f"b.{kind}").read_text()
    capsys.readouterr()
    assert shell("get", "-table", "thing", "id", "3") == 0
    row = json.loads(capsys.readouterr().out)
    assert {name: row[name] for name in ROWS[2]} == ROWS[2]


def test_import_makes_only_what_is_not_given(shell, tmp_path, capsys):
    source = write_lines(tmp_path / "in.jsonl", '{"id":"1"}', '{"id":"2","status":null,"mtime":7}')
    assert shell("import", "-table", "thing", source) == 0
    capsys.readouterr()
    shell("select", "-table", "thing", "_sort", "id", "-json")
    first, second = json.loads(capsys.readouterr().out)
    assert (first["status"], first["mtime"] > 1e12) == ("ok", True)
    assert (second["status"], second["mtime"]) == (None, 7)


def test_bad_rows_are_named_and_the_others_stored(shell, tmp_path, capsys):
    lines = ['{"id":"1"}', "oops", "", '{"n":1}', '{"id":"2","colour":1}', "[1]", '{"id":"3"}']
    assert shell("import", "-table", "thing", write_lines(tmp_path / "x.jsonl", *lines)) == 1
    err = capsys.readouterr().err
    for text in ("line 2: not JSON", "line 4: id is required", "line 5: thing has no column"):
        assert text in err
    assert "line 6: not a JSON object" in err
    assert "2 rows imported into thing, 4 refused" in err


def test_bad_csv_lines_are_named(shell, tmp_path, capsys):
    source = write_lines(tmp_path / "x.csv", "id,n,doc", "1,2", "2,x,{", "3,4,")
    assert shell("import", "-table", "thing", source) == 1
    err = capsys.readouterr().err
    assert "line 2: 2 fields instead of 3" in err
    assert "line 3: doc: not JSON" in err
    assert "1 rows imported" in err


@pytest.mark.parametrize(
    ("name", "content", "wanted"),
    [
        ("mark.jsonl", b'\xef\xbb\xbf{"id":"1","text":"x"}\n', "1 rows imported into thing"),
        ("mark.csv", b"\xef\xbb\xbfid,text\r\n1,x\r\n", "1 rows imported into thing"),
        ("bytes.jsonl", b'{"id":"1"}\n{"id":"\xff"}\n', "line 2: not JSON"),
        ("bytes.csv", b'id,text\n1,"x\ny"\n2,\xff\n3,y\n', "line 4: text: not UTF-8"),
        ("marks.csv", b'id;text\n1;"x;y"\n2;,|\n', "2 rows imported into thing"),
        ("tabs.csv", b"id\ttext\n1\tx\n", "1 rows imported into thing"),
        ("open.csv", b'id,text\n1,x\n2,"y\n3,z\n', "line 3: not CSV"),
        ("large.csv", b"id,text\n1," + b"x" * 200_000 + b"\n", "1 rows imported into thing"),
    ],
)
def test_files_of_other_programs_are_understood(shell, tmp_path, capsys, name, content, wanted):
    source = tmp_path / name
    source.write_bytes(content)
    shell("import", "-table", "thing", str(source))
    assert wanted in capsys.readouterr().err
    assert shell("get", "-table", "thing", "id", "1") == 0


def test_nested_values_have_no_place_in_plain_columns(shell, tmp_path, capsys):
    lines = ['{"id":"1","text":{"a":1}}', '{"id":"2","text":["x"]}', '{"id":"3","words":["x"]}']
    assert shell("import", "-table", "thing", write_lines(tmp_path / "x.jsonl", *lines)) == 1
    err = capsys.readouterr().err
    assert "line 1: text: must be text" in err
    assert "line 2: text: must be text" in err
    assert "1 rows imported into thing, 2 refused" in err


def test_terminal_sees_a_bar(shell, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    lines = [f'{{"id":"{n}"}}' for n in range(1200)]
    assert shell("import", "-table", "thing", write_lines(tmp_path / "x.jsonl", *lines)) == 0
    shown = capsys.readouterr().err.split("\r\x1b[K")
    assert "imported 1200 rows [" + "#" * command.BAR + "]" in shown
    assert "1200 rows imported into thing\n" in shown


def test_column_that_is_named_twice_is_refused(shell, tmp_path):
    source = write_lines(tmp_path / "x.csv", "id,text,text", "1,a,b")
    with pytest.raises(BadRequest, match="names a column twice"):
        shell("import", "-table", "thing", source)


@pytest.mark.parametrize("interrupted", [False, True])
def test_import_that_is_stopped_says_how_far_it_came(
    shell, tmp_path, capsys, monkeypatch, interruptible, interrupted
):
    """A failure at once; Ctrl-C when the batch that is being written is whole."""
    put = MemoryDriver.put
    calls = []

    async def stop_late(driver, req):
        calls.append(req)
        if len(calls) == 701 and interrupted:
            signal.raise_signal(signal.SIGINT)
        if len(calls) > 700 and not interrupted:
            raise Unavailable("disk is full")
        return await put(driver, req)

    monkeypatch.setattr(MemoryDriver, "put", stop_late)
    source = write_lines(tmp_path / "x.jsonl", *(f'{{"id":"{n}"}}' for n in range(1500)))
    with pytest.raises(KeyboardInterrupt if interrupted else Unavailable):
        shell("import", "-table", "thing", source)
    stored = 1000 if interrupted else 700
    assert capsys.readouterr().err.splitlines()[-1] == f"{stored} rows imported into thing"
    assert shell("select", "-table", "thing", "_select", "id") == 0
    assert len(capsys.readouterr().out.splitlines()) == stored


@pytest.fixture
def interruptible():
    """What Ctrl-C does is as before after the test."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("again", ["at once", "in a task", "at the end"])
def test_an_import_that_is_stopped_twice_is_stopped_once(
    shell, tmp_path, capsys, monkeypatch, interruptible, again
):
    """Wherever the second Ctrl-C comes, the last line says what is stored."""
    put = MemoryDriver.put
    tasks = []

    async def interrupt():
        signal.raise_signal(signal.SIGINT)

    async def stop(driver, req):
        if req.key["id"] == "700":
            signal.raise_signal(signal.SIGINT)
            if again == "at once":
                signal.raise_signal(signal.SIGINT)
            elif again == "in a task":
                tasks.append(asyncio.ensure_future(interrupt()))
        return await put(driver, req)

    async def close(driver):
        if again == "at the end":
            await asyncio.ensure_future(interrupt())

    monkeypatch.setattr(MemoryDriver, "put", stop)
    monkeypatch.setattr(MemoryDriver, "close", close)
    source = write_lines(tmp_path / "x.jsonl", *(f'{{"id":"{n}"}}' for n in range(1500)))
    with pytest.raises(KeyboardInterrupt):
        shell("import", "-table", "thing", source)
    tasks.clear()
    gc.collect()
    assert capsys.readouterr().err.splitlines()[-1] == "1000 rows imported into thing"


@pytest.mark.process
def test_an_import_that_waits_for_lines_is_stopped_by_one_interruption(tmp_path):
    described = json.dumps({"thing": {"id": {"primary": 1}}})
    argv = process.command("db", "import", "-table", "thing", "-home", str(tmp_path))
    argv += ["-db-describe-tables", described, "-db-create-tables", "-db-pool", "sqlite"]

    def stored():
        with closing(sqlite3.connect(tmp_path / "var" / "backend.db")) as file:
            return file.execute("SELECT count(*) FROM thing").fetchone()[0]

    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as importing:
        importing.stdin.write("".join(f'{{"id":"{n}"}}\n' for n in range(1000)))
        importing.stdin.flush()
        give_up = time.monotonic() + process.DEADLINE
        while time.monotonic() < give_up:
            with suppress(sqlite3.OperationalError):
                if stored() == 1000:
                    break
            time.sleep(0.02)
        importing.send_signal(signal.SIGINT)
        assert importing.wait(process.DEADLINE) == 130
        assert importing.stderr.read().splitlines()[-1] == "1000 rows imported into thing"


async def test_what_is_large_is_stored_at_once_and_the_rest_together(monkeypatch):
    sizes = []

    async def spy(target, requests, now):
        sizes.append(len(requests))
        return await write_all(target, requests, now)

    monkeypatch.setattr("bkjs.db.many.files.write_all", spy)
    db = database(MemoryDriver("memory", "", {}))
    db.describe_tables(ALL_KINDS)
    lines = [(n, {"id": str(n), "text": "x" * (LARGE if n == 3 else 1)}) for n in range(9)]
    told = []
    done = await import_rows(
        db, "thing", lines, pool=None, bad=lambda *what: told.append(what), progress=told.append
    )
    assert (done, sizes, told) == (9, [4, 5], [4, 9])


def test_export_that_fails_leaves_the_old_file(shell, tmp_path, monkeypatch):
    assert shell("put", "-table", "thing", "id", "1") == 0
    target = tmp_path / "out.jsonl"
    target.write_text("old")

    def full(file):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("bkjs.db.many.files.jsonl_writer", full)
    with pytest.raises(BadRequest, match=r"out\.jsonl: No space left"):
        shell("export", "-table", "thing", str(target))
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.glob("out*")] == ["out.jsonl"]


def test_export_is_for_its_owner_and_leaves_other_files_alone(shell, tmp_path):
    """Rows may hold hashes of passwords; a link that somebody planted is not followed."""
    assert shell("put", "-table", "thing", "id", "1") == 0
    folder = tmp_path / "out"
    folder.mkdir()
    mine = tmp_path / "mine"
    mine.write_text("kept")
    (folder / "a.jsonl.part").symlink_to(mine)
    assert shell("export", "-table", "thing", str(folder / "a.jsonl")) == 0
    assert mine.read_text() == "kept"
    assert '"1"' in (folder / "a.jsonl").read_text()
    assert (folder / "a.jsonl").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in folder.iterdir()) == ["a.jsonl", "a.jsonl.part"]


def test_select_put_get_and_del(shell, capsys):
    assert shell("put", "-table", "thing", "id", "1", "n", "2", "doc", '{"a":1}') == 0
    assert shell("put", "-table", "thing", "id", "2") == 0
    capsys.readouterr()
    assert shell("select", "-table", "thing", "id", "1") == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["n"], row["doc"]) == (20, {"a": 1})
    assert shell("select", "-table", "thing", "_count", "1", "_sort", "id", "_desc", "1") == 0
    output = capsys.readouterr()
    assert json.loads(output.out)["id"] == "2"
    assert "_start" in output.err
    assert shell("select", "-table", "thing", "n", "10", "_ops", "n,gt", "_select", "id,n") == 0
    assert json.loads(capsys.readouterr().out) == {"id": "1", "n": 20}
    assert shell("del", "-table", "thing", "id", "2") == 0
    assert shell("del", "-table", "thing", "id", "2") == 1
    assert shell("get", "-table", "thing", "id", "2") == 1


def test_controls_are_options_too_and_both_together(shell, capsys):
    for number in "123":
        shell("put", "-table", "thing", "id", number)
    capsys.readouterr()
    words = ("-table", "thing", "-sort", "id", "-desc", "-select", "id", "_count", "2", "-json")
    assert shell("select", *words) == 0
    output = capsys.readouterr()
    assert json.loads(output.out) == [{"id": "3"}, {"id": "2"}]
    token = output.err.strip().rpartition("_start ")[2]
    assert shell("select", *words, "_start", token) == 0
    output = capsys.readouterr()
    assert (json.loads(output.out), output.err) == ([{"id": "1"}], "")


@pytest.mark.parametrize("verb", ["tables", "select", "put", "export", "backup", "restore"])
def test_a_pool_that_is_not_configured_is_refused(shell, verb, tmp_path):
    table = () if verb in ("tables", "backup", "restore") else ("-table", "thing")
    words = {"put": ("id", "1"), "select": (), "tables": ()}.get(verb, (str(tmp_path / "x"),))
    with pytest.raises(
        BadRequest, match="no pool 'nosuch' is configured; db-nosuch-pool=URL makes"
    ):
        shell(verb, *table, "-pool", "nosuch", *words)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.jsonl", "csv"])
def test_the_end_of_the_name_says_the_format(shell, tmp_path, name):
    shell("put", "-table", "thing", "id", "1")
    assert shell("export", "-table", "thing", str(tmp_path / name)) == 0
    first = (tmp_path / name).read_text().splitlines()[0]
    assert first.startswith("id,n,r" if name.endswith(".csv") else '{"id":"1"')
    assert shell("import", "-table", "thing", str(tmp_path / name)) == 0


def test_a_link_stays_and_a_pipe_is_written(shell, tmp_path):
    """What is no plain file is not replaced by one."""
    shell("put", "-table", "thing", "id", "1")
    target, link, pipe = tmp_path / "deep" / "t.jsonl", tmp_path / "link", tmp_path / "pipe"
    target.parent.mkdir()
    link.symlink_to(target)
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE)
    for file in (link, pipe, Path("/dev/null")):
        assert shell("export", "-table", "thing", str(file)) == 0
    assert link.is_symlink()
    assert target.read_text() == reader.communicate(timeout=10)[0].decode() != ""
    assert pipe.is_fifo()
    assert not Path("/dev/null").is_file()
    assert sorted(path.name for path in tmp_path.rglob("*") if ".part" in path.name) == []


def test_no_row_is_told_and_the_exit_code(shell, capsys):
    for verb in ("get", "del"):
        assert shell(verb, "-table", "thing", "id", "no") == 1
        output = capsys.readouterr()
        assert (output.out, output.err) == ("", "bkjs: no such row\n")


@pytest.mark.parametrize("words", [("n", "abc"), ("at", "tomorrow"), ("b", "maybe"), ("r", "1,5")])
def test_put_refuses_what_is_no_value(shell, capsys, words):
    with pytest.raises(BadRequest, match=f"^{words[0]}: .* expected"):
        shell("put", "-table", "thing", "id", "1", *words)
    assert shell("get", "-table", "thing", "id", "1") == 1


def test_put_as_the_reference_does_it(shell, capsys):
    assert shell("put", "-table", "thing", "id", "1", "r", "abc", "-api-compat", "values") == 0
    assert json.loads(capsys.readouterr().out)["r"] == 0


def test_tables_are_listed(shell, capsys):
    assert shell("tables") == 0
    assert "thing" in capsys.readouterr().out.split()


def test_wrong_usage_says_how(shell, capsys):
    with pytest.raises(UsageError, match=r"there are tables, select, .*: see `bkjs help db`"):
        shell()
    with pytest.raises(UsageError, match="db select needs -table T"):
        shell("select")
    with pytest.raises(BadRequest, match="no column 'colour'"):
        shell("select", "-table", "thing", "colour", "red")
    with pytest.raises(BadRequest, match="pairs"):
        shell("select", "-table", "thing", "id")
    with pytest.raises(BadRequest, match="whole number"):
        shell("select", "-table", "thing", "_count", "x")
    with pytest.raises(BadRequest, match="pairs"):
        shell("select", "-table", "thing", "n", "1", "_ops", "n")
    with pytest.raises(BadRequest, match="no column '_limit'"):
        shell("select", "-table", "thing", "_limit", "1")
    for words in (("tables", "x"), ("import", "-table", "thing", "a", "x"), ("export", "-table",
                  "thing", "a", "x")):  # fmt: skip
        with pytest.raises(BadRequest, match="'x' is one word too many"):
            shell(*words)
    with pytest.raises(BadRequest, match="unknown table 'nosuch'"):
        shell("export", "-table", "nosuch")
    with pytest.raises(BadRequest, match="No such file"):
        shell("import", "-table", "thing", "/nosuch/file")


def test_many_rows_are_written_in_batches():
    async def run():
        db = database(MemoryDriver("memory", "", {}))
        db.describe_tables(ALL_KINDS)
        lines = io.StringIO("".join(f'{{"id":"{n:05}"}}\n' for n in range(1201)))
        seen = []
        done = await import_rows(
            db, "thing", read_jsonl(lines), pool=None, bad=print, progress=seen.append
        )
        assert done == 1201
        assert seen == [500, 1000, 1201]
        rows, pages = [], []

        def write(row):
            rows.append(row)
            return 10 if len(rows) <= 1201 else LARGE // 7

        for _ in range(2):
            await export_rows(db, "thing", write, pool=None, progress=pages.append)
        assert [row["id"] for row in rows] == [f"{n:05}" for n in range(1201)] * 2
        assert pages[:4] == [50, 550, 1050, 1201]
        assert pages[4:7] == [50, 57, 64], "large rows are read a few at a time"

    asyncio.run(run())


async def test_command_is_known_to_the_application():
    async with make_app([Module()]) as app:
        assert app.db.get_keys("thing") == ["id"]
        assert command.commands() == {"db": command.COMMAND}


async def test_cancelled_import_reports_what_is_stored():
    """The batch that is being written is written whole, and counts."""

    class Slow(MemoryDriver):
        can = replace(MemoryDriver.can, bulk=100)

        async def bulk(self, reqs):
            outcomes = []
            for req in reqs:
                await asyncio.sleep(0)
                await self.put(req)
                outcomes.append(None)
            return outcomes

    db = database(Slow("memory", "", {}))
    db.describe_tables({"t": {"id": {"primary": 1}}})
    counts = []
    lines = ((n, {"id": str(n)}) for n in range(2000))
    task = asyncio.ensure_future(
        import_rows(db, "t", lines, pool=None, bad=print, progress=counts.append)
    )
    for _ in range(700):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    stored = await db.select("t")
    assert counts == [500, 1000]
    assert {row["id"] for row in stored} == {str(n) for n in range(1000)}


async def test_import_that_fails_has_counted_what_was_stored():
    class Breaks(MemoryDriver):
        can = replace(MemoryDriver.can, bulk=100)

        async def bulk(self, reqs):
            await self.put(reqs[0])
            return [None, *[Unavailable("the disk is full")] * (len(reqs) - 1)]

    db = database(Breaks("memory", "", {}))
    db.describe_tables({"t": {"id": {"primary": 1}}})
    counts = []
    lines = [(n, {"id": str(n)}) for n in range(3)]
    with pytest.raises(Unavailable):
        await import_rows(db, "t", lines, pool=None, bad=print, progress=counts.append)
    assert counts == [1]


async def test_what_a_batch_reports_of_hosts_is_for_the_log():
    class Gone(MemoryDriver):
        can = replace(MemoryDriver.can, bulk=100)

        async def bulk(self, reqs):
            return [Unavailable("no connection to 10.0.0.5:5432/prod") for _ in reqs]

    db = database(Gone("memory", "", {}))
    db.describe_tables({"t": {"id": {"primary": 1}}})
    [(error, _)] = await db.bulk([{"op": "add", "table": "t", "obj": {"id": "1"}}])
    assert error.private
    assert "10.0.0.5" not in str(error.reply())
    assert db.pool().stats()["errors"] == 1


def test_backup_is_a_file_that_holds_the_rows(tmp_path, capsys):
    """Also of a table that nobody describes any more, which `tables` names."""
    home, copy = str(tmp_path / "home"), tmp_path / "copy.db"

    def run(*words):
        return command.COMMAND(["db", *words, "-home", home, "-log", "error", "-db-pool", "sqlite"])

    described = json.dumps({"kept": {"id": {"primary": 1}}})
    also = ("-db-describe-tables", described, "-db-create-tables")
    assert run("put", "-table", "kept", "id", "1", *also) == 0
    assert run("backup", str(copy)) == 0
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT id FROM kept").fetchall() == [("1",)]
    with pytest.raises(BadRequest, match="is there already"):
        run("backup", str(copy))
    with pytest.raises(BadRequest, match="db backup needs FILE"):
        run("backup")
    run("put", "-table", "kept", "id", "2", *also)
    with pytest.raises(
        AlreadyExists, match="table kept has rows; -overwrite deletes what is there"
    ):
        run("restore", str(copy), *also)
    assert run("restore", str(copy), "-overwrite", *also) == 0
    capsys.readouterr()
    assert run("select", "-table", "kept", *also) == 0
    assert capsys.readouterr().out == '{"id":"1"}\n'
    assert run("tables") == 0
    said = capsys.readouterr()
    assert "bk_config" in said.out
    assert said.err == "bkjs: no installed module describes kept\n"
    newer = json.dumps({"kept": {"id": {"primary": 1}, "more": {}}, "new": {"id": {"primary": 1}}})
    also = ("-db-describe-tables", newer)
    assert run("put", "-table", "new", "id", "1", *also, "-db-create-tables") == 0
    assert run("restore", str(copy), "-overwrite", *also) == 0
    assert run("put", "-table", "kept", "id", "2", "more", "x", *also) == 0
    assert run("put", "-table", "new", "id", "1", *also) == 0


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("select", "-table", "thng"), "unknown table 'thng'; did you mean 'thing'?"),
        (("get", "id", "1", "-table", "thng"), "unknown table 'thng'; did you mean 'thing'?"),
        (("export", "-table", "thng"), "unknown table 'thng'; did you mean 'thing'?"),
        (("select", "statu", "1", "-table", "thing"), "no column 'statu'; did you mean 'status'?"),
        (("select", "-sort", "statu", "-table", "thing"), "'statu'; did you mean 'status'?"),
        (("select", "-table", "thing", "-pool", "memry"), "'memry' .*; did you mean 'memory'?"),
    ],
)
def test_a_command_names_what_is_nearest_in_production_too(shell, words, text):
    with pytest.raises(BadRequest, match=text.replace("?", r"\?")):
        shell(*words, "-run-mode", "production")


@pytest.mark.parametrize("action", ["backup", "restore"])
def test_a_backup_goes_through_no_stream(shell, action, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="a backup is a file or a folder"):
        shell(action, "-")
    assert not Path("-").exists()
