"""Bodies: JSON, forms, multipart; what is too much and what is malformed."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from bkjs.auth.signature import sign
from bkjs.errors import BadRequest
from bkjs.web.endpoints.routes import Routes
from bkjs.web.input import multipart
from bkjs.web.input.body import parse_json
from bkjs.web.request import Request

JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
MULTI = {"content-type": "multipart/form-data; boundary=XX"}
SECRET = "the-secret-of-u-"
routes = Routes()


@routes.endpoint("/echo", public=True, reply=dict)
async def echo(req: Request) -> Any:
    return {
        "query": req.query,
        "fields": req.fields,
        "files": [
            [u.field, u.name, u.type, u.size, u.path.read_text(), u.path.suffix]
            for u in req.uploads
        ],
    }


@routes.endpoint("/small", public=True, reply=dict, limit=100)
async def small(req: Request) -> Any:
    return {"query": req.query}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_json_joins_the_parameters_of_the_url(site: Any, method: str) -> None:
    async with site(routes) as s:
        reply = await s.ask(
            "/echo?a=1&b=2", b'{"a":[2],"c":{"d":null}}', method=method, headers=JSON
        )

    assert reply.json()["query"] == {"a": [2], "b": "2", "c": {"d": None}}


async def test_a_form_joins_the_parameters_of_the_url(site: Any) -> None:
    async with site(routes) as s:
        reply = await s.ask("/echo?a=1&b=2", b"a=3&c[]=4", headers=FORM)

    assert reply.json()["query"] == {"a": "3", "b": "2", "c": ["4"]}
    assert reply.json()["fields"] == {"a": "3", "c": ["4"]}


async def test_credentials_in_a_body_are_no_parameters(site: Any) -> None:
    async with site(routes) as s:
        reply = await s.ask(
            "/echo", b'{"a":1,"bk-signature":"x","bk-access-token":"y"}', headers=JSON
        )

    assert reply.json()["query"] == {"a": 1}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"{bad", "position 1"),
        (b'{"a":NaN}', "position 5"),
        (b'{"a":1e400}', "position 5"),
        (b"\xef\xbb\xbf{}", "position 0"),
        (b'{"a":"\\ud800"}', "position"),
        (b'{"a":"\xff"}', "position 6: not UTF-8"),
        (b"[1,2]", "an object is expected"),
        (b'"x"', "an object is expected"),
        (b'{"a":9223372036854775808}', "out of range"),
        (b'{"a":-9223372036854775809}', "out of range"),
        (b'{"a":' + b"9" * 100_000 + b"}", "out of range"),
        (b'{"a":' * 70 + b"1" + b"}" * 70, "more than 64 levels"),
    ],
)
async def test_malformed_json_is_refused_and_says_where(site: Any, body: bytes, text: str) -> None:
    async with site(routes) as s:
        reply = await s.ask("/echo", body, headers=JSON)

    assert reply.status == 400
    assert text in reply.json()["message"]


async def test_json_of_another_charset_is_refused(site: Any) -> None:
    async with site(routes) as s:
        headers = {"content-type": "application/json; charset=latin1"}
        reply = await s.ask("/echo", b"{}", headers=headers)

    assert reply.status == 400


@pytest.mark.parametrize("body", [b"{bad", b"[1]", b'{"a":1e400}'])
async def test_old_clients_may_send_broken_json(site: Any, body: bytes) -> None:
    async with site(routes, "-api-compat", "bad-json") as s:
        reply = await s.ask("/echo?z=1", body, headers=JSON)

    assert reply.json()["fields"] == {}


def test_of_equal_keys_the_last_counts() -> None:
    assert parse_json(b'{"a":1,"a":2}') == {"a": 2}


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63), 0, 1.5, -0.0, 1e300])
def test_numbers_of_64_bits_are_read(number: float) -> None:
    assert parse_json(json.dumps({"a": number}).encode()) == {"a": number}


def test_the_keys_of_all_levels_are_counted() -> None:
    body = json.dumps({"a": [{str(n): 1 for n in range(60)}, {str(n): 1 for n in range(60)}]})
    assert parse_json(body.encode(), keys=121)
    with pytest.raises(BadRequest, match="more than 120 keys"):
        parse_json(body.encode(), keys=120)


def test_the_items_of_all_lists_are_counted() -> None:
    body = json.dumps({"a": [[1, 2], [3], []], "b": "1,2,3,4,5,6,7"})
    assert parse_json(body.encode(), items=6)
    with pytest.raises(BadRequest, match="more than 5 items"):
        parse_json(body.encode(), items=5)


NOISE = "{[:" * 200
"""Text that makes a value look deep and of many keys at the first glance."""


@pytest.mark.parametrize("noise", ["", NOISE])
@pytest.mark.parametrize("keys", [1, 2, 60])
def test_there_may_be_just_so_many_keys(keys: int, noise: str) -> None:
    body = json.dumps({f"{n}{noise}": n for n in range(keys)}).encode()
    assert len(parse_json(body, keys=keys, depth=1)) == keys
    with pytest.raises(BadRequest, match=f"more than {keys - 1} keys") as error:
        parse_json(body, keys=keys - 1, depth=1)
    assert error.value.status == 413


@pytest.mark.parametrize("noise", ["", NOISE])
@pytest.mark.parametrize("form", ['{"a":%s}', "[%s]"])
def test_there_may_be_just_so_many_levels(form: str, noise: str) -> None:
    value = json.dumps(noise)
    for _ in range(4):
        value = form % value
    body = f'{{"a":{value}}}'.encode()
    assert parse_json(body, depth=5)
    with pytest.raises(BadRequest, match="more than 4 levels") as error:
        parse_json(body, depth=4)
    assert error.value.status == 400


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**18 * 10, 10**30, -(10**30)])
def test_numbers_of_more_than_64_bits_are_refused(number: int) -> None:
    for body in (f'{{"a":{number}}}', f'{{"a":[{{"b":[1,{number}]}}]}}'):
        with pytest.raises(BadRequest, match="a number is out of range"):
            parse_json(body.encode())


def test_deep_json_costs_no_time() -> None:
    started = time.process_time()
    with pytest.raises(BadRequest):
        parse_json(b"[" * 500_000)
    assert time.process_time() - started < 1


async def test_a_json_body_has_a_limit(site: Any) -> None:
    async with site(routes, "-api-json-limit", "2000") as s:
        chunks = [b'{"a":"', *[b"x" * 1000] * 3, b'"}']
        assert (await s.ask("/echo", chunks, headers=JSON)).status == 413
        assert (await s.ask("/nothing/here", chunks, headers=JSON)).status == 413
        length = JSON | {"content-length": "5000"}
        assert (await s.ask("/echo", b"{}", headers=length)).status == 413


async def test_json_and_forms_have_the_smaller_of_both_limits(site: Any) -> None:
    most = 2**20
    for upload, limit in ((most, 2 * most), (2 * most, most)):
        argv = ("-api-upload-limit", str(upload), "-api-json-limit", str(limit))
        async with site(routes, *argv) as s:
            for size, status in ((most, 200), (most + 1, 413)):
                body = b'{"a":"%s"}' % (b"x" * (size - 8))
                assert (await s.ask("/echo", body, headers=JSON)).status == status


async def test_an_endpoint_has_its_own_limit(site: Any) -> None:
    async with site(routes) as s:
        assert (await s.ask("/small", b'{"a":"%s"}' % (b"x" * 200), headers=JSON)).status == 413
        assert (await s.ask("/small", b'{"a":"x"}', headers=JSON)).status == 200


async def test_too_many_fields_are_refused(site: Any) -> None:
    async with site(routes) as s:
        assert (await s.ask("/echo", b"a=1&" * 100_000, headers=FORM)).status == 413
        assert (await s.ask("/echo?" + "a=1&" * 2000)).status == 413


async def test_the_limit_of_fields_counts_for_urls_and_forms(site: Any) -> None:
    async with site(routes, "-api-max-fields", "2") as s:
        for target, body in (("/echo?a=1&b=2&c=3", b""), ("/echo", b"a=1&b=2&c=3")):
            assert (await s.ask(target, body, headers=FORM)).status == 413
        assert (await s.ask("/echo?a=1&b=2")).status == 200


@pytest.mark.parametrize("encoding", ["gzip", "br", "encrypted", "gzip, gzip"])
async def test_encoded_bodies_are_refused(site: Any, encoding: str) -> None:
    async with site(routes) as s:
        headers = JSON | {"content-encoding": encoding}
        assert (await s.ask("/echo", gzip.compress(b"{}"), headers=headers)).status == 415


async def test_gzip_is_read_within_its_limit(site: Any) -> None:
    headers = JSON | {"content-encoding": "gzip"}
    async with site(routes, "-api-gzip-limit", "10000") as s:
        good = await s.ask("/echo", gzip.compress(b'{"a":1}'), headers=headers)
        assert good.json()["query"] == {"a": 1}
        small = gzip.compress(b'{"a":"' + b" " * 5_000 + b'"}')
        assert len(small) < 500
        assert (await s.ask("/echo", small, headers=headers)).status == 413  # over ten times
        bomb = gzip.compress(b'{"a":"' + b" " * 5_000_000 + b'"}')
        assert (await s.ask("/echo", bomb, headers=headers)).status == 413
        assert (await s.ask("/echo", b"no gzip", headers=headers)).status == 400
        assert (await s.ask("/echo", gzip.compress(b"{}")[:-4], headers=headers)).status == 400
        for more in (b"x", gzip.compress(b"{}")):
            reply = await s.ask("/echo", gzip.compress(b'{"a":1}') + more, headers=headers)
            assert reply.status == 400


@pytest.mark.parametrize(
    "kind", ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"]
)
async def test_an_ignored_type_is_not_read(site: Any, kind: str) -> None:
    async with site(routes, "-api-mime-ignore", kind) as s:
        reply = await s.ask("/echo?a=1", b"no such form", headers={"content-type": kind})
    assert (reply.status, reply.json()["query"]) == (200, {"a": "1"})


@pytest.mark.parametrize(
    "kind",
    [
        "application/vnd.api+json",
        "Application/Problem+JSON; a=b",
        "text/json",
        "Text/JSON; charset=utf-8",
        "model/x+json",
    ],
)
async def test_what_ends_in_json_is_json(site: Any, kind: str) -> None:
    async with site(routes) as s:
        reply = await s.ask("/echo", b'{"a":1}', headers={"content-type": kind})
        assert reply.json()["query"] == {"a": 1}
        assert (await s.ask("/echo", b'{"a"', headers={"content-type": kind})).status == 400


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "image/svg+xml",
        "text/json, text/plain",
        "x",
        "",
        "application/x, application/json",
        "application/x, y+json",
    ],
)
@pytest.mark.parametrize("announced", [False, True])
async def test_a_body_that_nobody_reads_is_refused(site: Any, kind: str, announced: bool) -> None:
    headers = {"content-type": kind} | ({"content-length": "3"} if announced else {})
    async with site(routes) as s:
        reply = await s.ask("/echo?z=1", b"abc", headers=headers)
    assert reply.status == 415
    assert (repr(kind) if kind else "without a content type") in reply.json()["message"]
    assert "api-mime-body" in reply.json()["message"]


@pytest.mark.parametrize(
    "headers",
    [{}, *({"content-length": zeros} for zeros in ("0", "00")), {"content-type": "text/plain"}],
)
async def test_an_empty_body_needs_no_type(site: Any, headers: Any) -> None:
    async with site(routes) as s:
        reply = await s.ask("/echo?z=1", method="POST", headers=headers)
    assert reply.json()["query"] == {"z": "1"}


async def test_other_types_may_be_read_raw(site: Any) -> None:
    raw = Routes()

    @raw.endpoint("/raw", public=True, reply=dict)
    async def read(req: Request) -> Any:
        return {"body": (req.body or b"").decode()}

    async with site(raw, "-api-mime-body", "text/plain") as s:
        reply = await s.ask("/raw", b"abc", headers={"content-type": "text/plain"})
    assert reply.json() == {"body": "abc"}


async def test_old_clients_may_send_what_nobody_reads(site: Any) -> None:
    async with site(routes, "-api-compat", "bad-json") as s:
        reply = await s.ask("/echo?z=1", b"abc", headers={"content-type": "text/plain"})
    assert reply.json() == {"query": {"z": "1"}, "fields": {}, "files": []}


taking = Routes()


@taking.endpoint("/take", raw_body=True, reply=dict)
async def take(req: Request) -> Any:
    size, more = 0, True
    while more:
        message = await req.receive()
        size += len(message["body"])
        more = message["more_body"]
    return {"size": size}


@pytest.mark.parametrize(("body", "status"), [(b"as signed", 200), (b"not so", 400), (b"", 400)])
async def test_an_endpoint_may_take_the_body_itself(site: Any, body: bytes, status: int) -> None:
    """It gets what was signed, and no more than the limit."""
    kind = "application/octet-stream"
    async with site(taking, "-api-upload-limit", "1048576") as s:
        await s.app.auth.accounts.add({"login": "u", "secret": SECRET, "name": "N"})
        url = "http://h.com/take"
        sent = sign("u", SECRET, "POST", url, body=b"as signed", content_type=kind)
        sent |= {"content-type": kind}
        pieces = [body[:2], body[2:]] if body else b""
        reply = await s.ask("/take", pieces, method="POST", headers=sent)
        assert reply.status == status
        assert reply.json() == {"size": 9} if status == 200 else reply.json()["code"] == "CHECKSUM"
        sent = sign("u", SECRET, "POST", url, content_type=kind) | {"content-type": kind}
        assert (await s.ask("/take", [b"x" * 65536] * 32, headers=sent)).status == 413


async def test_a_checksum_may_be_wanted_of_all_bodies(site: Any) -> None:
    url = "http://h.com/take"
    sent = sign("u", SECRET, "POST", url, content_type="a/b") | {"content-type": "a/b"}
    async with site(taking, "-api-require-body-checksum") as s:
        await s.app.auth.accounts.add({"login": "u", "secret": SECRET, "name": "N"})
        assert (await s.ask("/take", b"abc", headers=sent)).json()["code"] == "CHECKSUM"


asking = Routes()


@asking.endpoint("/one", public=True, reply=dict)
async def one(req: Request) -> Any:
    return {"id": req.query["id"]}


@asking.endpoint("/two/{name}", public=True, reply=dict)
async def two(req: Request) -> Any:
    try:
        return {"id": req.query["id"]}
    except KeyError:
        return {"name": req.query["name"]}


@asking.endpoint("/bug", public=True, reply=dict)
async def bug(req: Request) -> Any:
    return {"id": {}["id"]}


@pytest.mark.parametrize(("body", "headers"), [(b"", {}), (b"{}", JSON), (b"a=1", FORM)])
async def test_a_parameter_that_is_needed_is_named(site: Any, body: bytes, headers: Any) -> None:
    async with site(asking) as s:
        for target in ("/one", "/one?a=1"):
            reply = await s.ask(target, body, headers=headers)
            assert reply.status == 400
            assert reply.json() == {"status": 400, "message": "id is required", "field": "id"}
        assert (await s.ask("/two/x", body, headers=headers)).json() == {"name": "x"}
        assert (await s.ask("/bug?a=1", body, headers=headers)).status == 500


def part(name: str, data: str, file: str = "", more: str = "") -> bytes:
    file = f'; filename="{file}"' if file else ""
    return (
        f'--XX\r\nContent-Disposition: form-data; name="{name}"{file}\r\n{more}\r\n{data}\r\n'
    ).encode()


END = b"--XX--\r\n"


async def test_multipart_fields_and_files(site: Any) -> None:
    body = (
        part("f", "v1") + part("f", "v2") + part("g[h]", "ü")
        + part("up", "hello", "../../a b.txt", "Content-Type: text/plain\r\n") + END
    )  # fmt: skip
    async with site(routes) as s:
        reply = await s.ask(
            "/echo?z=1", [body[i : i + 7] for i in range(0, len(body), 7)], headers=MULTI
        )

    assert reply.json() == {
        "query": {"z": "1", "f": ["v1", "v2"], "g": {"h": "ü"}},
        "fields": {"f": ["v1", "v2"], "g": {"h": "ü"}},
        "files": [["up", "a b.txt", "text/plain", 5, "hello", ".txt"]],
    }


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("C:\\x\\y.exe", "y.exe"),
        ("a\x01b", "ab"),
        ("x/..", ""),
        (".", ""),
        ("/", ""),
        ("...", "..."),
    ],
)
async def test_the_name_of_a_file_is_no_path(site: Any, sent: str, name: str) -> None:
    async with site(routes) as s:
        reply = await s.ask("/echo", part("up", "x", sent) + END, headers=MULTI)
        assert reply.json()["files"][0][1] == name


def stored(s: Any) -> list[Path]:
    return list(Path(s.app.config.core.path["tmp"]).glob("upload-*"))


async def test_uploaded_files_are_gone_after_the_request(site: Any) -> None:
    async with site(routes) as s:
        await s.ask("/echo", part("up", "x", "a.txt") + END, headers=MULTI)
        assert stored(s) == []


async def test_a_file_that_the_handler_moves_stays(site: Any, tmp_path: Path) -> None:
    keep = Routes()

    @keep.endpoint("/keep", public=True, reply=dict)
    async def save(req: Request) -> Any:
        req.files["up"].path.rename(tmp_path / "kept")
        return {}

    async with site(keep) as s:
        await s.ask("/keep", part("up", "x", "a.txt") + END, headers=MULTI)
    assert (tmp_path / "kept").read_text() == "x"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (part("f", "v"), 400),
        (part("f", "v")[:-10], 400),
        (b"garbage", 400),
        (b"--XX\r\nContent-Disposition: form-data\r\n\r\nx\r\n" + END, 400),
        (b"--XX\r\n\r\nx\r\n" + END, 400),
        (part("f", "v").replace(b"form-data", b"attachment") + END, 400),
        (part("f", "v", more="X: " + "y" * 9000 + "\r\n") + END, 400),
        (part("f", "v", more="".join(f"X{n}: {'y' * 3000}\r\n" for n in range(3))) + END, 413),
        (part("f", "v") * 101 + END, 413),
        (part("f", "v" * 1_100_000) + END, 413),
        (part("up", "v" * 11_000_000, "a.txt") + END, 413),
    ],
)
async def test_a_bad_multipart_form_leaves_nothing(
    site: Any, caplog: Any, body: bytes, status: int
) -> None:
    async with site(routes) as s:
        whole = part("up", "x", "a.txt") + body
        reply = await s.ask("/echo", whole, headers=MULTI)
        assert (reply.status, stored(s), caplog.text) == (status, [], "")


async def test_a_multipart_form_needs_a_boundary(site: Any) -> None:
    async with site(routes) as s:
        headers = {"content-type": "multipart/form-data"}
        assert (await s.ask("/echo", END, headers=headers)).status == 400


async def test_the_time_of_an_upload_is_not_that_of_the_handler(
    site: Any, monkeypatch: Any
) -> None:
    read = multipart.read

    async def slowly(req: Request) -> None:
        req.app.web.deadlines.sweep(asyncio.get_running_loop().time() + 1000)
        await asyncio.sleep(0)
        await read(req)

    monkeypatch.setattr(multipart, "read", slowly)
    async with site(routes) as s:
        reply = await s.ask("/echo", part("up", "x", "a.txt") + END, headers=MULTI)
        assert reply.status == 200


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize("size", [1, 1_000_000])
async def test_a_full_disk_is_said_to_be_full(
    site: Any, monkeypatch: Any, caplog: Any, tmp_path: Path, size: int
) -> None:
    def full(*args: Any) -> tuple[int, str]:
        return os.open("/dev/full", os.O_WRONLY), str(tmp_path / "upload")

    monkeypatch.setattr(tempfile, "mkstemp", full)
    async with site(routes) as s:
        reply = await s.ask("/echo", part("up", "x" * size, "a.txt") + END, headers=MULTI)
    assert reply.status == 507
    assert "No space left on device" in caplog.text


async def test_strangers_cannot_upload(site: Any) -> None:
    closed = Routes()

    @closed.endpoint("/closed", reply=dict)
    async def never(req: Request) -> Any:
        raise AssertionError("called")

    async with site(closed) as s:
        reply = await s.ask("/closed", part("up", "x", "a.txt") + END, headers=MULTI)
    assert reply.status == 417
