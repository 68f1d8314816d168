"""A fake of Riak KV's HTTP interface, in memory, one node: `riak.py PORT`.

Written from Riak's HTTP documentation and never compared with a Riak: who passes against it has the
paths, headers, statuses and bodies of that text right, no more.

Objects (vector clocks, siblings as 300, conditional requests, metadata), secondary indexes with
pages, bucket properties, lists of keys and buckets, data types in the bucket types `counters`,
`sets` and `maps`, counters of old. The type `siblings` has allow_mult=true; other types do not
exist. No MapReduce, search, links or strong consistency.
"""

import base64
import email.utils
import hashlib
import itertools
import json
import re
import secrets
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit

TYPES = {
    "default": {"allow_mult": False},
    "siblings": {"allow_mult": True},
    "counters": {"allow_mult": True, "datatype": "counter"},
    "sets": {"allow_mult": True, "datatype": "set"},
    "maps": {"allow_mult": True, "datatype": "map"},
}
PROPS = {
    "n_val": 3,
    "last_write_wins": False,
    "r": "quorum",
    "w": "quorum",
    "dw": "quorum",
    "rw": "quorum",
    "pr": 0,
    "pw": 0,
    "basic_quorum": False,
    "notfound_ok": True,
    "precommit": [],
    "postcommit": [],
}
EMPTY = {"counter": 0, "set": [], "map": {}, "register": "", "flag": False}

lock = threading.Lock()
objects: dict = {}  # (type, bucket) -> key -> [sibling]
values: dict = {}  # (type, bucket) -> key -> value of a data type
properties: dict = {}  # (type, bucket) -> changed properties
dots = itertools.count(1)


class Answer(Exception):
    def __init__(self, status, body="", headers=(), kind="text/plain"):
        self.status, self.headers, self.kind = status, dict(headers), kind
        if not isinstance(body, str | bytes):
            body, self.kind = json.dumps(body), "application/json"
        self.body = body.encode() if isinstance(body, str) else body


def clock(siblings):
    return base64.b64encode(b"fake" + str(max(s["dot"] for s in siblings)).encode()).decode()


def seen(text):
    """The last event that the vector clock of a request knows."""
    try:
        return int(base64.b64decode(text)[4:]) if text else 0
    except ValueError:
        raise Answer(400, "Bad vector clock\n") from None


def apply(kind, value, op):
    """The value of a data type after an operation in its JSON form."""
    bad = Answer(400, "Couldn't parse operation\n")
    if kind == "counter":
        if isinstance(op, dict):
            op = op.get("increment", -op["decrement"] if "decrement" in op else None)
        if isinstance(op, bool) or not isinstance(op, int):
            raise bad
        return value + op
    if kind == "register":
        op = op.get("assign") if isinstance(op, dict) else op
        if not isinstance(op, str):
            raise bad
        return op
    if kind == "flag":
        if op not in ("enable", "disable"):
            raise bad
        return op == "enable"
    if not isinstance(op, dict):
        raise bad
    if kind == "set":
        add = [op["add"]] if "add" in op else op.get("add_all", [])
        remove = [op["remove"]] if "remove" in op else op.get("remove_all", [])
        if not all(isinstance(item, str) for item in add + remove) or not (add or remove):
            raise bad
        return sorted((set(value) | set(add)) - set(remove))
    value = dict(value)
    for name in [op["remove"]] if isinstance(op.get("remove"), str) else op.get("remove", []):
        value.pop(name, None)
    for name, change in op.get("update", {}).items():
        field = name.rpartition("_")[2]
        if field not in EMPTY:
            raise bad
        value[name] = apply(field, value.get(name, EMPTY[field]), change)
    return value


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "MochiWeb/1.1 WebMachine/1.10 (fake)"

    def log_message(self, *args):
        pass

    def handle_method(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        self.query = {
            name: value[-1] for name, value in parse_qs(url.query, keep_blank_values=True).items()
        }
        parts = [unquote(part) for part in url.path.split("/")[1:]]
        try:
            with lock:
                self.route(self.command, parts, body)
            raise Answer(
                404, "<html><HEAD><TITLE>404 Not Found</TITLE></HEAD></html>", kind="text/html"
            )
        except Answer as answer:
            status = answer.status
            self.send_response(status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if status not in (204, 304):
                if "Content-Type" not in answer.headers:
                    self.send_header("Content-Type", answer.kind)
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if status not in (204, 304) and self.command != "HEAD":
                self.wfile.write(answer.body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_method

    def route(self, method, parts, body):
        kind = "default"
        if parts[0] == "ping":
            raise Answer(200, "OK")
        if parts[0] == "stats":
            raise Answer(200, {"riak_kv_version": "fake", "nodename": "fake@127.0.0.1"})
        if parts[0] == "types" and len(parts) > 2:
            kind, parts = parts[1], parts[2:]
            if kind not in TYPES:
                raise Answer(404, f"Unknown bucket type: {kind}\n")
        if parts == ["buckets"] and method == "GET":
            raise Answer(
                200,
                {
                    "buckets": sorted(
                        b for t, b in {*objects, *values} if t == kind and self.query.get("buckets")
                    )
                },
            )
        if parts[0] != "buckets" or len(parts) < 3:
            return
        where, what, rest = (kind, parts[1]), parts[2], parts[3:]
        self.prefix = (
            "" if kind == "default" else f"/types/{quote(kind, safe='')}"
        ) + f"/buckets/{quote(parts[1], safe='')}"
        if what == "props":
            self.props(method, where, body)
        elif (what == "index" and len(rest) in (2, 3)) or (
            what == "index" and rest[:1] == ["$bucket"]
        ):
            self.index(where, *rest)
        elif what == "datatypes":
            self.datatype(method, where, rest, body)
        elif what == "counters" and len(rest) == 1:
            self.counter(method, where, rest[0], body)
        elif what == "keys" and not rest and method == "GET":
            raise Answer(
                200,
                {
                    "keys": sorted(objects.get(where, {}))
                    if self.query.get("keys") in ("true", "stream")
                    else []
                },
            )
        elif what == "keys" and len(rest) <= 1 and "datatype" not in TYPES[kind]:
            self.object(method, where, rest[0] if rest else None, body)

    def all_props(self, where):
        return {"name": where[1], **PROPS, **TYPES[where[0]], **properties.get(where, {})}

    def props(self, method, where, body):
        if method == "DELETE":
            properties.pop(where, None)
            raise Answer(204)
        if method == "PUT":
            try:
                properties.setdefault(where, {}).update(json.loads(body)["props"])
            except (ValueError, KeyError, TypeError):
                raise Answer(400, "Bad properties\n") from None
            raise Answer(204)
        raise Answer(200, {"props": self.all_props(where)})

    # -- objects

    def object(self, method, where, key, body):
        new = key is None
        if new and method != "POST":
            return
        key = key if key is not None else secrets.token_urlsafe(20)
        if key == "" and not new:
            return
        siblings = objects.get(where, {}).get(key, [])
        if method in ("GET", "HEAD"):
            self.show(siblings)
        known = self.headers.get("X-Riak-Vclock")
        if method == "DELETE":
            if not siblings:
                raise Answer(404, "not found\n")
            left = [s for s in siblings if known and s["dot"] > seen(known)]
            self.keep(where, key, left)
            raise Answer(204)
        self.check_write(siblings)
        kind = self.headers.get("Content-Type")
        if not kind:
            raise Answer(400, "Missing Content-Type request header\n")
        kept = {
            name: value
            for name, value in self.headers.items()
            if re.match("(?i)x-riak-(meta|index)-", name)
        }
        sibling = {
            "dot": next(dots),
            "body": body,
            "kind": kind,
            "headers": kept,
            "terms": terms(kept),
            "time": email.utils.formatdate(usegmt=True),
            "vtag": base64.b64encode(hashlib.md5(body + secrets.token_bytes(8)).digest())
            .decode()
            .rstrip("=")
            .replace("/", "a")
            .replace("+", "b"),
        }
        props = self.all_props(where)
        mult = props["allow_mult"] and not props["last_write_wins"]
        siblings = [s for s in siblings if mult and s["dot"] > seen(known)] + [sibling]
        self.keep(where, key, siblings)
        place = {"Location": f"{self.prefix}/keys/{quote(key, safe='')}"} if new else {}
        if self.query.get("returnbody") == "true":
            self.show(siblings, place, 201 if new else 200)
        raise Answer(201 if new else 204, headers=place)

    def keep(self, where, key, siblings):
        if siblings:
            objects.setdefault(where, {})[key] = siblings
        else:
            objects[where].pop(key, None)

    def check_write(self, siblings):
        match, none = self.headers.get("If-Match"), self.headers.get("If-None-Match")
        tags = [f'"{s["vtag"]}"' for s in siblings]
        if (
            (none == "*" and siblings)
            or (none and none in tags)
            or (match and match != "*" and match not in tags)
            or (match and not siblings)
        ):
            raise Answer(412)

    def show(self, siblings, headers=(), status=200):
        headers = dict(headers)
        if not siblings:
            raise Answer(404, "not found\n")
        headers |= {"X-Riak-Vclock": clock(siblings), "Vary": "Accept, Accept-Encoding"}
        if "vtag" in self.query:
            siblings = [s for s in siblings if s["vtag"] == self.query["vtag"]]
            if not siblings:
                raise Answer(404, "not found\n")
        if len(siblings) > 1:
            if "multipart/mixed" in self.headers.get("Accept", ""):
                bound, parts = secrets.token_hex(12), []
                for s in siblings:
                    lines = {
                        "Content-Type": s["kind"],
                        "Etag": s["vtag"],
                        "Last-Modified": s["time"],
                        **s["headers"],
                    }
                    parts.append(
                        f"\r\n--{bound}\r\n".encode()
                        + "".join(f"{n}: {v}\r\n" for n, v in lines.items()).encode()
                        + b"\r\n"
                        + s["body"]
                    )
                raise Answer(
                    300,
                    b"".join(parts) + f"\r\n--{bound}--\r\n".encode(),
                    headers,
                    f"multipart/mixed; boundary={bound}",
                )
            raise Answer(300, "Siblings:\n" + "".join(s["vtag"] + "\n" for s in siblings), headers)
        s = siblings[0]
        tag = f'"{s["vtag"]}"'
        if (
            status == 200
            and self.command in ("GET", "HEAD")
            and self.headers.get("If-None-Match") == tag
        ):
            raise Answer(304, headers=headers | {"ETag": tag})
        raise Answer(
            status,
            s["body"],
            headers
            | s["headers"]
            | {
                "Content-Type": s["kind"],
                "ETag": tag,
                "Last-Modified": s["time"],
                "Link": f'<{self.prefix}>; rel="up"',
            },
        )

    # -- secondary indexes

    def index(self, where, field, start="", end=None):
        field = field.lower()
        number = field.endswith("_int")
        if not (field in ("$key", "$bucket") or field.endswith(("_bin", "_int"))):
            raise Answer(400, f"Invalid query: unknown field type for {field}\n")
        try:
            low, high = (
                (int(start), int(end if end is not None else start))
                if number
                else (start, end if end is not None else start)
            )
        except ValueError:
            raise Answer(400, "Invalid query: not an integer\n") from None
        found = set()
        for key, siblings in objects.get(where, {}).items():
            if field == "$bucket" or (field == "$key" and low <= key <= high):
                found.add((key, key))
            found |= {
                (term, key)
                for s in siblings
                for name, term in s["terms"]
                if name == field and low <= term <= high
            }
        rows = sorted(found)
        if self.query.get("continuation"):
            last = json.loads(base64.b64decode(self.query["continuation"]))
            rows = [row for row in rows if row > tuple(last)]
        limit = int(self.query.get("max_results") or 0)
        more = {}
        if limit and len(rows) > limit:
            rows = rows[:limit]
        if limit and len(rows) == limit:  # given for every full page, also the last
            more = {"continuation": base64.b64encode(json.dumps(rows[-1]).encode()).decode()}
        # terms are only given for ranges
        if self.query.get("return_terms") == "true" and end is not None and field[0] != "$":
            raise Answer(200, {"results": [{str(term): key} for term, key in rows]} | more)
        raise Answer(200, {"keys": [key for _, key in rows]} | more)

    # -- data types

    def datatype(self, method, where, rest, body):
        kind = TYPES[where[0]].get("datatype")
        if not kind:
            raise Answer(400, f"Bucket type '{where[0]}' is not a data type\n")
        new = not rest
        key = secrets.token_urlsafe(20) if new else rest[0]
        old = values.get(where, {}).get(key)
        if method == "GET" and not new:
            if old is None:
                raise Answer(404, {"type": kind, "error": "notfound"})
            raise Answer(200, self.value(kind, old))
        if method != "POST":
            return
        try:
            op = json.loads(body)
        except ValueError:
            raise Answer(400, "Couldn't decode JSON\n") from None
        value = values.setdefault(where, {})[key] = apply(
            kind, EMPTY[kind] if old is None else old, op
        )
        place = {"Location": f"{self.prefix}/datatypes/{quote(key, safe='')}"} if new else {}
        if self.query.get("returnbody") == "true":
            raise Answer(201 if new else 200, self.value(kind, value), place)
        raise Answer(201 if new else 204, headers=place)

    def value(self, kind, value):
        context = (
            {}
            if kind == "counter" or self.query.get("include_context") == "false"
            else {"context": "ZmFrZQ=="}
        )
        return {"type": kind, "value": value} | context

    def counter(self, method, where, key, body):
        old = values.get(where, {}).get(key)
        if method == "GET":
            raise Answer(404, "not found\n") if old is None else Answer(200, str(old))
        if not self.all_props(where)["allow_mult"]:
            raise Answer(409, "Counters require bucket property 'allow_mult=true'\n")
        try:
            values.setdefault(where, {})[key] = (old or 0) + int(body)
        except ValueError:
            raise Answer(400, "Not an integer\n") from None
        raise Answer(204)


def terms(headers):
    """The index entries of an object: pairs of field and term, several terms apart by commas."""
    found = []
    for name, value in headers.items():
        field = name.lower().removeprefix("x-riak-index-")
        if field == name.lower():
            continue
        if not field.endswith(("_bin", "_int")):
            raise Answer(400, f"Unknown field type for field: '{field}'.\n")
        for term in value.split(","):
            try:
                found.append(
                    (field, int(term) if field.endswith("_int") else unquote(term.strip()))
                )
            except ValueError:
                raise Answer(400, f"Could not parse field '{field}', value '{term}'.\n") from None
    return found


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
