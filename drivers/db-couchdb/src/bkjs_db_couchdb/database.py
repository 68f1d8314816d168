"""Rows as documents of one CouchDB database, each with its revision."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

from bkjs.db.contract import (
    ABSENT,
    ALL,
    Capabilities,
    Group,
    Order,
    Page,
    Plan,
    Request,
    Row,
    Shape,
    Table,
    Written,
)
from bkjs.db.keys import by_key
from bkjs.errors import AlreadyExists, BkError, Conflict, DriverError, StartError, Unavailable
from bkjs_db_couchdb.documents import Span, document, id_of, id_of_key, row_of, spans, table_span
from bkjs_http import Answer, HttpDriver, segment

PAGE = 1000
"""Documents that are read or written in one request, at most."""
TRIES = 100
"""How often a write begins again because somebody else wrote the same row."""

NO_DATABASE = ("no_db_file", "Database does not exist.")
"""What CouchDB says of one that is not there."""


class CouchDbDriver(HttpDriver):
    """The URL names the database: `http://user:password@host:5984/shop`; it is made if need be.

    Keys say where to look and in which order, all other conditions are the kernel's: Mango compares
    and sorts text by rules of a language.
    """

    can = Capabilities(
        add=True, versions=True, behind=True, many=PAGE, bulk=500,
        bulk_verbs=frozenset({"add", "put", "delete"}),
    )  # fmt: skip
    shape = Shape(lists=True, binary=False)
    default_url = "http://127.0.0.1:5984"
    headers: ClassVar[Mapping[str, str]] = {"Accept": "application/json"}

    def __init__(self, name: str, url: str, options: Mapping[str, Any]) -> None:
        scheme, _, rest = (self.default_url if url in ("", "default") else url).partition("://")
        server, slash, database = rest.rstrip("/").rpartition("/")
        if not slash:
            server, database = database, quote(str(options.get("database") or "backend"), safe="")
        super().__init__(name, f"{scheme}://{server}", options)
        self._database = database

    async def open(self) -> None:
        """Ask the server, and make the database if it is not there."""
        await super().open()
        try:
            found = await self.pool.request("GET", f"/{self._database}", expect=(404,))
            if found.status == 404:
                await self.pool.request("PUT", f"/{self._database}", safe=True, expect=(412,))
        except DriverError as exc:
            await self.close()
            raise StartError(
                f"{self.name}: cannot use the database {self._database} and cannot make it: {exc}"
            ) from exc

    async def get(self, req: Request) -> Row | None:
        """The row of a document."""
        found = await self._document(id_of_key(req))
        return None if found is None else req.pick(row_of(req.table, found))

    async def versioned(self, req: Request) -> tuple[Row, str] | None:
        """The row and its revision."""
        found = await self._document(id_of_key(req))
        return None if found is None else (row_of(req.table, found), found["_rev"])

    async def put(self, req: Request) -> Written:
        """Store the document where its revision is the one expected, or whatever it is."""
        if req.expected is ABSENT or req.version is not None:
            return Written(int(await self._store(req, req.version)))
        for _ in range(TRIES):
            stored = await self._document(id_of_key(req))
            if await self._store(req, None if stored is None else stored["_rev"]):
                return Written(1)
        raise self._busy()

    async def add(self, req: Request) -> Written:
        """Store a document that is not there."""
        if not await self._store(req, None):
            raise AlreadyExists()
        return Written(1)

    async def delete(self, req: Request) -> Written:
        """Delete the document where its revision is the one expected, or whatever it is."""
        path = f"/{segment(id_of_key(req))}"
        for _ in range(TRIES):
            rev = req.version
            if rev is None:
                stored = await self._document(id_of_key(req))
                if stored is None:
                    return Written(0)
                rev = stored["_rev"]
            answer = await self._ask("DELETE", f"{path}?rev={quote(rev)}", expect=(404, 409))
            if answer.status not in (404, 409):
                return Written(1)
            if req.version is not None:
                return Written(0)
        raise self._busy()

    def plan(self, table: Table, where: Group, sort: tuple[Order, ...]) -> Plan:
        """The conditions that are a range of keys, and the order of keys either way."""
        found = by_key(table, where)
        taken = [item for item in where.items if item not in found.rest.items]
        native = Group("AND", tuple(taken)) if where.join == "AND" else ALL
        return Plan(native, ordered=found.descending(sort) is not None)

    async def select(self, req: Request) -> Page:
        """Documents in the order of their ids; one more than wanted says whether more follow."""
        found = by_key(req.table, req.where)
        reverse = bool(found.descending(req.sort))
        count = PAGE if req.count is None else req.count
        documents: list[dict[str, Any]] = []
        for span in spans(req.table, found, reverse, req.resume):
            documents += await self._range(span, count + 1 - len(documents), reverse)
            if len(documents) > count:
                break
        rows = [req.pick(row_of(req.table, item)) for item in documents[:count]]
        return Page(rows, documents[count - 1]["_id"] if len(documents) > count else None)

    def behind(self, req: Request, row: Row) -> str:
        """The id of the row."""
        return id_of(req.table, row)

    async def many(self, req: Request) -> list[Row]:
        """The rows of these keys."""
        ids = list({id_of(req.table, key): None for key in req.keys})
        found = await self._all_docs(keys=ids, documents=True)
        return [req.pick(row_of(req.table, item["doc"])) for item in found if item.get("doc")]

    async def bulk(self, reqs: Sequence[Request]) -> list[BkError | None]:
        """Write documents together; what is there twice one after the other."""
        errors: list[BkError | None] = [None] * len(reqs)
        for numbers in _apart(reqs):
            try:
                await self._write([reqs[number] for number in numbers], numbers, errors)
            except BkError as exc:  # some may be stored
                for number in range(numbers[0], len(reqs)):
                    errors[number] = errors[number] or exc
                break
        return errors

    async def drop(self, table: str) -> None:
        """Delete the documents of the table."""
        while found := await self._range(table_span(table), PAGE, False):
            gone = [{"_id": row["_id"], "_rev": row["_rev"], "_deleted": True} for row in found]
            await self._bulk_docs(gone)

    async def _document(self, id: str) -> dict[str, Any] | None:
        answer = await self._ask("GET", f"/{segment(id)}", expect=(404,))
        found: dict[str, Any] | None = None if answer.status == 404 else answer.json()
        return found

    async def _range(self, span: Span, count: int, reverse: bool) -> list[dict[str, Any]]:
        """So many documents of a range of ids, or all that are in it."""
        found: list[dict[str, Any]] = []
        while True:
            # one more: the bound itself may be one that does not count
            asked = min(count - len(found), PAGE) + 1
            first, last = (span.end, span.start) if reverse else (span.start, span.end)
            rows = await self._all_docs(
                {"startkey": first, "endkey": last, "descending": reverse, "limit": asked},
                documents=True,
            )
            found += [row["doc"] for row in rows if row["id"] in span]
            if len(rows) < asked or len(found) >= count:
                return found[:count]
            span = span.behind(rows[-1]["id"], reverse)

    async def _all_docs(
        self, query: Mapping[str, Any] | None = None, *, keys: Sequence[str] | None = None,
        documents: bool = False,
    ) -> list[dict[str, Any]]:  # fmt: skip
        items = {name: json.dumps(value) for name, value in (query or {}).items()}
        if documents:
            items["include_docs"] = "true"
        path = f"/_all_docs?{urlencode(items)}"
        if keys is None:
            answer = await self._ask("GET", path)
        else:
            answer = await self._ask("POST", path, json={"keys": keys}, safe=True)
        rows: list[dict[str, Any]] = answer.json()["rows"]
        return rows

    async def _bulk_docs(self, documents: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        answer = await self._ask("POST", "/_bulk_docs", json={"docs": documents})
        return {item["id"]: item for item in answer.json()}

    async def _write(
        self, reqs: list[Request], numbers: list[int], errors: list[BkError | None]
    ) -> None:
        """Write requests for different rows; what fails goes to `errors`."""
        left = {id_of_key(req): (req, number) for req, number in zip(reqs, numbers, strict=True)}
        for _ in range(TRIES):
            known = [id for id, (req, _) in left.items() if req.verb != "add"]
            found = await self._all_docs(keys=known) if known else []
            revs = {
                row["id"]: row["value"]["rev"]
                for row in found
                if "error" not in row and not row["value"].get("deleted")
            }
            documents: list[dict[str, Any]] = []
            for id, (req, _) in list(left.items()):
                if req.verb == "delete" and id not in revs:
                    del left[id]
                    continue
                rev = {"_rev": revs[id]} if id in revs else {}
                body = {"_deleted": True} if req.verb == "delete" else document(req.values)
                documents.append({"_id": id, **rev, **body})
            for id, item in (await self._bulk_docs(documents) if documents else {}).items():
                req, number = left[id]
                if item.get("error") == "conflict" and req.verb != "add":
                    continue  # somebody else was first: once more
                if "error" in item:
                    errors[number] = (
                        AlreadyExists()
                        if item["error"] == "conflict"
                        else DriverError(f"{self.name}: {item['error']}: {item.get('reason')}")
                    )
                del left[id]
            if not left:
                return
        for _, number in left.values():
            errors[number] = self._busy()

    async def _store(self, req: Request, rev: str | None) -> bool:
        """Whether it was stored: the document has this revision, or None where there is none."""
        path = f"/{segment(id_of_key(req))}" + ("" if rev is None else f"?rev={quote(rev)}")
        answer = await self._ask("PUT", path, json=document(req.values), expect=(409,))
        return answer.status != 409

    def _busy(self) -> Conflict:
        return Conflict(f"{self.name}: others write this row all the time, try again")

    async def _ask(
        self, method: str, path: str, *, expect: Collection[int] = (), json: Any = None,
        safe: bool | None = None,
    ) -> Answer:  # fmt: skip
        """The answer to a request below the database, as of the pool."""
        answer = await self.pool.request(
            method, f"/{self._database}{path}", json=json, safe=safe, expect={404, *expect}
        )
        if answer.status == 404:
            if answer.json().get("reason") in NO_DATABASE:
                raise Unavailable(
                    f"{self.name}: there is no database {self._database} any more; "
                    "restore it, or restart to begin with an empty one"
                )
            if 404 not in expect:
                raise self.pool.failure(answer)
        return answer


def _apart(reqs: Sequence[Request]) -> Iterable[list[int]]:
    """The numbers of neighbours that are about different rows."""
    numbers: list[int] = []
    ids: set[str] = set()
    for number, req in enumerate(reqs):
        id = id_of_key(req)
        if id in ids:
            yield numbers
            numbers, ids = [], set()
        numbers.append(number)
        ids.add(id)
    if numbers:
        yield numbers
