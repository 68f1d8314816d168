"""Read, write, import and export rows of the database"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from stat import S_ISREG
from typing import IO, Any, TextIO, TypeVar

import orjson

from bkjs import hookimpl
from bkjs.app import App
from bkjs.db.tables.drift import orphans
from bkjs.errors import AlreadyExists, BadRequest, UsageError
from bkjs.lib.convert import str_split, to_bool
from bkjs.lib.json import stored_json
from bkjs.lib.text import near

from .command import Action, Call, Command, Option

PAUSE = 5.0
"""Seconds between two lines that tell how far something is."""
BAR = 30
"""Characters of the bar that shows how far an import is."""
Options = Mapping[str, str]
T = TypeVar("T")


@hookimpl
def commands() -> Mapping[str, Callable[[list[str]], int]]:
    """`bkjs db`."""
    return {"db": COMMAND}


def _in_app(action: Callable[[App, Options, list[str]], Awaitable[int]]) -> Callable[[Call], int]:
    """The action with databases open."""

    def run(call: Call) -> int:
        with _ended_as_by_ctrl_c():
            return asyncio.run(_run(action, call.options, call.words, call.rest))

    return run


@contextmanager
def _ended_as_by_ctrl_c() -> Iterator[None]:
    """SIGTERM, and SIGHUP of a terminal that is closed, do what Ctrl-C does: files that are half
    written are removed, and what was stored is told. Who has chosen otherwise (nohup) keeps it."""
    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                before[number] = signal.signal(
                    number, lambda number, frame: signal.raise_signal(signal.SIGINT)
                )
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


async def _run(
    action: Callable[..., Any], options: Options, words: Sequence[str], rest: Sequence[str]
) -> int:
    async with App(role="shell", argv=rest) as app:
        pool = options.get("pool")
        if pool and not app.db.exists_pool(pool):  # a request would fall back to the default pool
            hint = near(pool, app.db.pools.by_name) or f"; db-{pool}-pool=URL makes one"
            raise BadRequest(f"no pool {pool!r} is configured{hint}")
        return int(await action(app, options, list(words)))


# -- rows ----------------------------------------------------------------------------------------


async def tables(app: App, options: Options, words: list[str]) -> int:
    """Print the names of all tables, and on standard error of those that nobody describes."""
    pool = app.db.pool(options.get("pool"))
    names = app.db.get_pool_tables(pool.name)
    if pool.can.columns:
        await app.db.cache_columns(pool.name)
        if left := orphans(app.db.schema.tables, pool.real):
            print(f"bkjs: no installed module describes {', '.join(left)}", file=sys.stderr)
    if "json" in options:
        print(stored_json(names))
    else:
        print("\n".join(names))
    return 0


async def select(app: App, options: Options, words: list[str]) -> int:
    """Print the rows that match."""
    query, given = _query(app, options, words, controls=CONTROLS)
    given |= {name: value for name, value in options.items() if name in CONTROLS}
    controls = {name: CONTROLS[name](value) for name, value in given.items()}
    rows = await app.db.select(options["table"], query, pool=options.get("pool"), **controls)
    _print(rows, "json" in options)
    if rows.next_token:
        print(f"bkjs: more rows follow; add _start {rows.next_token}", file=sys.stderr)
    return 0


async def get(app: App, options: Options, words: list[str]) -> int:
    """Print one row; 1 when there is none."""
    query, _ = _query(app, options, words)
    row = await app.db.get(options["table"], query, pool=options.get("pool"))
    if row is None:
        print("bkjs: no such row", file=sys.stderr)
        return 1
    _print([row], "json" in options)
    return 0


async def put(app: App, options: Options, words: list[str]) -> int:
    """Insert or replace a row."""
    obj, _ = _query(app, options, words)
    written = await app.db.put(options["table"], obj, pool=options.get("pool"), info_obj=True)
    _print([written.obj or {}], "json" in options)
    return 0


async def delete(app: App, options: Options, words: list[str]) -> int:
    """Delete a row; 1 when there is none."""
    query, _ = _query(app, options, words)
    written = await app.db.del_(options["table"], query, pool=options.get("pool"))
    if not written.affected:
        print("bkjs: no such row", file=sys.stderr)
    return 0 if written.affected else 1


def _query(
    app: App, options: Options, words: Sequence[str], controls: Collection[str] = ()
) -> tuple[dict[str, Any], dict[str, str]]:
    """Pairs of names and values, and the controls among them apart; JSON for nested columns."""
    if len(words) % 2:
        raise UsageError(f"{words[-1]}: names and values come in pairs")
    table = app.db.schema.tables.get(options["table"].lower())
    columns = table.columns if table else {}
    query: dict[str, Any] = {}
    given: dict[str, str] = {}
    for name, value in zip(words[::2], words[1::2], strict=True):
        if name[1:] in controls and name[0] == "_":
            given[name[1:]] = value
            continue
        if columns and name not in columns:
            hint = near(name, columns)
            raise BadRequest(f"{options['table']} has no column {name!r}{hint}")
        if name in columns and columns[name].kind == "json":
            try:
                query[name] = orjson.loads(value)
            except orjson.JSONDecodeError as err:
                raise BadRequest(f"{name}: not JSON: {err}") from err
        else:
            query[name] = value
    return query, given


def _print(rows: Sequence[Mapping[str, Any]], as_list: bool) -> None:
    """One JSON object per line, or one JSON list."""
    if as_list:
        print(stored_json(list(rows), indent=True))
    else:
        for row in rows:
            print(stored_json(row))


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise UsageError(f"{text}: must be a whole number")
    return int(text)


def _operators(text: str) -> dict[str, str]:
    words = str_split(text)
    if len(words) % 2:
        raise UsageError(f"{text}: columns and operators come in pairs")
    return dict(zip(words[::2], words[1::2], strict=True))


CONTROLS: Mapping[str, Callable[[str], Any]] = {
    "sort": str,
    "desc": to_bool,
    "select": str,
    "count": _whole,
    "start": str,
    "ops": _operators,
}
"""Controls of `select` and how they are read."""


# -- files -----------------------------------------------------------------------------------------


async def import_(app: App, options: Options, words: list[str]) -> int:
    """Store the rows of a file; 1 when any of them could not be."""
    from bkjs.db.many.files import import_rows, read_csv, read_jsonl

    table = app.db.schema.table(options["table"])
    wrong: list[int] = []

    def bad(number: int, reason: str) -> None:
        wrong.append(number)
        print(f"{_clear()}bkjs: line {number}: {reason}", file=sys.stderr)

    done, as_csv = 0, _format(options, words) == "csv"

    def count(rows: int) -> None:
        nonlocal done
        done = rows
        progress(rows)

    with (
        _input(words) as file,
        _progress("imported", _share(file)) as progress,
        _interrupted_reading() as reading,
    ):
        lines = reading(read_csv(file, table) if as_csv else read_jsonl(file))
        try:
            await import_rows(
                app.db, table.name, lines, pool=options.get("pool"), bad=bad, progress=count
            )
        finally:  # also when it is interrupted or the database fails
            note = f", {len(wrong)} refused" if wrong else ""
            print(f"{_clear()}{done} rows imported into {table.name}{note}", file=sys.stderr)
    return 1 if wrong else 0


async def export(app: App, options: Options, words: list[str]) -> int:
    """Write all rows of a table to a file."""
    from bkjs.db.many.files import csv_writer, export_rows, jsonl_writer

    table = app.db.schema.table(options["table"])
    as_csv = _format(options, words) == "csv"
    with _output(words) as file, _progress("exported") as progress:
        row = csv_writer(file, table) if as_csv else jsonl_writer(file)
        done = await export_rows(
            app.db, table.name, row, pool=options.get("pool"), progress=progress
        )
    print(f"{done} rows exported from {table.name}", file=sys.stderr)
    return 0


async def backup(app: App, options: Options, words: list[str]) -> int:
    """Copy the whole database into a new file or folder."""
    _no_stream(words[0])
    with _telling() as progress:
        await app.db.backup(words[0], pool=options.get("pool"), progress=progress)
    print(f"the database is copied to {words[0]}", file=sys.stderr)
    return 0


async def restore(app: App, options: Options, words: list[str]) -> int:
    """Make the database what a backup holds."""
    _no_stream(words[0])
    pool, overwrite = options.get("pool"), "overwrite" in options
    await app.db.create_tables(pool=pool)
    try:
        with _telling() as progress:
            await app.db.restore(words[0], pool=pool, overwrite=overwrite, progress=progress)
    except AlreadyExists as error:
        raise AlreadyExists(f"{error.message}; -overwrite deletes what is there") from error
    await app.db.create_tables(pool=pool)  # a copy of a whole file lacks what is newer
    print(f"the database is what {words[0]} holds", file=sys.stderr)
    return 0


def _no_stream(path: str) -> None:
    """Refuse `-`: a backup is a file of the database or a folder of several, no stream."""
    if path == "-":
        raise UsageError("-: a backup is a file or a folder, it cannot go through a stream")


@contextmanager
def _telling() -> Iterator[Callable[[str], None]]:
    """Shows how far something is: in one line on a terminal, else in a line every few seconds."""
    live, shown = sys.stderr.isatty(), time.monotonic()

    def tell(text: str) -> None:
        nonlocal shown
        if live:
            print(f"{_clear()}{text}", end="", file=sys.stderr, flush=True)
        elif time.monotonic() - shown >= PAUSE:
            shown = time.monotonic()
            print(text, file=sys.stderr)

    try:
        yield tell
    finally:
        print(_clear(), end="", file=sys.stderr, flush=True)


def _format(options: Options, words: Sequence[str]) -> str:
    """What the option says, else what the file's name ends in."""
    return options.get("format") or ("csv" if words and words[0].endswith(".csv") else "jsonl")


@contextmanager
def _input(words: Sequence[str]) -> Iterator[TextIO]:
    """The named file, or standard input for `-` or nothing.

    A line that is not UTF-8 comes through with surrogates: a bad row, not the end of all.
    """
    code, errors = "utf-8-sig", "surrogateescape"
    if not words or words[0] == "-":
        if isinstance(sys.stdin, TextIOWrapper):
            sys.stdin.reconfigure(encoding=code, errors=errors, newline="")
        yield sys.stdin
        return
    with _blamed(words[0]), Path(words[0]).open(encoding=code, errors=errors, newline="") as file:
        yield file


@contextmanager
def _interrupted_reading() -> Iterator[Callable[[Iterator[T]], Iterator[T]]]:
    """Gives a function through which to read. Ctrl-C ends reading, at once or when it goes on: what
    is done with what was read is done to its end, and a further Ctrl-C changes nothing.

    asyncio lets a second one stop the loop wherever it is, and then nobody knows what was stored.
    """
    reads = stopped = False

    def stop(number: int, frame: object) -> None:
        nonlocal stopped
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        stopped = True
        if reads:
            raise KeyboardInterrupt

    def reading(items: Iterator[T]) -> Iterator[T]:
        nonlocal reads
        while True:
            reads = True
            try:
                if stopped:
                    raise KeyboardInterrupt
                item = next(items, None)
            finally:
                reads = False
            if item is None:
                return
            yield item

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield reading
    finally:
        if not stopped:
            signal.signal(signal.SIGINT, before)


@contextmanager
def _output(words: Sequence[str]) -> Iterator[IO[str]]:
    """The named file, which is there whole, for its owner only, or stays as it was; or standard
    output."""
    if not words or words[0] == "-":
        with _blamed("standard output"):
            yield sys.stdout
            sys.stdout.flush()
        return
    path = Path(words[0]).resolve()
    plain = path.is_file() or not path.exists()  # else it is a device or a pipe
    with _blamed(words[0]):
        if not plain:
            with path.open("w", encoding="utf-8", newline="") as file:
                yield file
            return
        descriptor, part = tempfile.mkstemp(".part", ".export-", path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
                yield file
            os.replace(part, path)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise


@contextmanager
def _blamed(name: str) -> Iterator[None]:
    """Errors of the system name the file."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as err:
        raise BadRequest(f"{name}: {err.strerror}") from err


@contextmanager
def _progress(
    what: str, share: Callable[[], float] = lambda: 0.0
) -> Iterator[Callable[[int], None]]:
    """Counts rows: in a line with a bar on a terminal, else in a line for every 10,000."""
    shown = 0

    def live(rows: int) -> None:
        done = round(share() * BAR)
        bar = f" [{'#' * done:<{BAR}}]" if done else ""
        print(f"{_clear()}{what} {rows} rows{bar}", end="", file=sys.stderr, flush=True)

    def line(rows: int) -> None:
        nonlocal shown
        if rows - shown >= 10_000:
            shown = rows
            print(f"{what} {rows} rows", file=sys.stderr)

    try:
        yield live if sys.stderr.isatty() else line
    finally:
        print(_clear(), end="", file=sys.stderr, flush=True)


def _clear() -> str:
    """What takes the bar away, so that other text may stand in its line."""
    return "\r\x1b[K" if sys.stderr.isatty() else ""


def _share(file: TextIO) -> Callable[[], float]:
    """How much of a file has been read, from 0 to 1; always 0 for a pipe."""
    status = os.fstat(file.fileno())
    if not S_ISREG(status.st_mode) or not status.st_size:
        return lambda: 0.0
    return lambda: file.buffer.tell() / status.st_size


_TABLE = Option("table", "the table", "T", required=True)
_JSON = Option("json", "print one JSON list, not an object a line")
_FORMAT = Option("format", "by default what the name of FILE says", values=("jsonl", "csv"))
_PAGE = (
    Option("count", "no more rows than these", "N"),
    Option("sort", "by these columns, a,-b for b descending", "COLUMNS"),
    Option("desc", "from the last to the first"),
    Option("select", "only these columns, with commas", "COLUMNS"),
    Option("ops", "operators of conditions: COLUMN,OPERATOR with commas", "OPS"),
    Option("start", "the page that this token is of", "TOKEN"),
)

COMMAND = Command(
    {
        "tables": Action(_in_app(tables), "Print the names of all tables.", options=(_JSON,)),
        "select": Action(
            _in_app(select),
            "Print the rows that match; controls such as _count N may stand among the conditions.",
            "[NAME VALUE ...]",
            (_TABLE, *_PAGE, _JSON),
        ),
        "get": Action(
            _in_app(get), "Print one row; 1 when there is none.", "NAME VALUE ...", (_TABLE, _JSON)
        ),
        "put": Action(_in_app(put), "Insert or replace a row.", "NAME VALUE ...", (_TABLE, _JSON)),
        "del": Action(
            _in_app(delete), "Delete a row; 1 when there is none.", "NAME VALUE ...", (_TABLE,)
        ),
        "import": Action(
            _in_app(import_),
            "Store the rows of a file, or of standard input; 1 when any of them could not be.",
            "[FILE]",
            (_TABLE, _FORMAT),
        ),
        "export": Action(
            _in_app(export),
            "Write all rows of a table to a file, or to standard output.",
            "[FILE]",
            (_TABLE, _FORMAT),
        ),
        "backup": Action(
            _in_app(backup),
            "Copy the whole database, as it is at this moment, while it is in use: SQLite into a"
            " new file, other databases into a new folder.",
            "FILE|DIR",
        ),
        "restore": Action(
            _in_app(restore),
            "Make the database what a backup holds, all of it or nothing.",
            "FILE|DIR",
            (Option("overwrite", "delete the rows that are there; without it there may be none"),),
        ),
    },
    options=(Option("pool", "another pool than that of the table", "POOL"),),
    notes="The FILE of import and export may be - for the standard streams.",
    parameters=("core", "db"),
)
