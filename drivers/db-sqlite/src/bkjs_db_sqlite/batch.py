"""What the writer's thread does with what it is given."""

from __future__ import annotations

import asyncio
import math
import sqlite3
import time
from collections.abc import Callable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Literal

from bkjs.errors import Unavailable
from bkjs_sql import Statement

STEPS = 100_000
"""Steps of the engine, a few milliseconds, between looks at the clock."""

Action = Callable[[sqlite3.Connection], Any]
"""Something that takes more than one statement; what it returns is the outcome."""
Write = tuple[Statement, Sequence[Any]]
"""A statement and its values."""


def write_all(writes: Sequence[Write], connection: sqlite3.Connection) -> None:
    """Run all of them; raises what the client raises for the first that fails."""
    for statement, group in groupby(writes, itemgetter(0)):
        rows = [values for _, values in group]
        if not statement.columns:
            connection.executemany(statement.text, rows)
            continue
        for values in rows:
            connection.execute(statement.text, values).fetchall()


class Job:
    """Something to do in the writer, and who waits for it.

    A `text` with its `values`, or an `action`. `mode` says whether it is a write by itself or a
    step of a transaction, `since` when it was asked for (seconds of the event loop's clock); who
    is `patient` has no limit of time.
    """

    __slots__ = ("action", "future", "mode", "patient", "since", "text", "values")

    def __init__(
        self,
        future: asyncio.Future[Any],
        since: float,
        mode: Literal["write", "begin", "inside", "end"],
        text: str,
        values: Sequence[Any] = (),
        action: Action | None = None,
    ) -> None:
        self.future = future
        self.since = since
        self.mode = mode
        self.text = text
        self.values = values
        self.action = action
        self.patient = False

    def run(self, connection: sqlite3.Connection) -> Any:
        """What the action returns, or the number of rows that the statement changed and those it
        returned. Raises what the client raises.
        """
        if self.action is not None:
            return self.action(connection)
        cursor = connection.execute(self.text, self.values)
        if cursor.description is None:
            return cursor.rowcount, ()
        rows = cursor.fetchall()
        return len(rows), rows


class Runner:
    """Runs jobs on the connection that writes; none takes longer than `limit` seconds (0: any)."""

    def __init__(
        self, connection: sqlite3.Connection, check: Callable[[], None], limit: float
    ) -> None:
        self._connection = connection
        self._check = check
        self._limit = limit or math.inf
        self._deadline = math.inf
        connection.set_progress_handler(self._late, STEPS)

    def run(self, batch: list[Job]) -> list[Any]:
        """What each job gives, or its exception."""
        try:
            return self._group(batch) if batch[0].mode == "write" else [self._step(batch[0])]
        except Exception as exc:  # even the way back failed
            return [exc] * len(batch)

    def _group(self, batch: list[Job]) -> list[Any]:
        """Run all in one transaction; one that fails leaves no trace and stops no other."""
        connection = self._connection
        outcomes: list[Any] = [None] * len(batch)
        todo = list(range(len(batch)))
        while todo:
            try:
                self._check()
                connection.execute("BEGIN IMMEDIATE")
                lost = None
                for i in todo:
                    outcomes[i] = self._one(batch[i])
                    if not connection.in_transaction:
                        lost = i  # the engine gave up the whole transaction: again without it
                        break
                if lost is not None:
                    todo.remove(lost)
                    continue
                self._deadline = math.inf
                connection.execute("COMMIT")
            except Exception as exc:
                self._roll_back()
                for i in todo:
                    outcomes[i] = exc
            break
        return outcomes

    def _step(self, job: Job) -> Any:
        """One step of a transaction."""
        if job.text == "ROLLBACK" and job.mode == "end":
            return self._roll_back()
        try:
            if job.mode == "begin":
                self._check()
            elif not self._connection.in_transaction:
                raise Unavailable("the transaction was rolled back by an earlier error")
            outcome = self._one(job)
        except Exception as exc:
            outcome = exc
        if job.mode == "end" and isinstance(outcome, Exception):
            self._roll_back()
        return outcome

    def _one(self, job: Job) -> Any:
        """What a job gives, or its exception. A single statement undoes itself when it fails."""
        self._deadline = math.inf if job.patient else time.monotonic() + self._limit
        connection = self._connection
        if job.action is None:
            try:
                return job.run(connection)
            except Exception as exc:
                return exc
        connection.execute("SAVEPOINT job")
        try:
            outcome = job.run(connection)
        except Exception as exc:
            outcome = exc
            if connection.in_transaction:
                connection.execute("ROLLBACK TO job")
        if connection.in_transaction:
            connection.execute("RELEASE job")
        return outcome

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _late(self) -> bool:
        return time.monotonic() > self._deadline
