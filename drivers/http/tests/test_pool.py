"""A pool against a server that misbehaves: what is retried, what is refused, what it costs."""

import asyncio
import gzip
import json
import logging
from urllib.parse import unquote

import pytest

from bkjs.errors import BadRequest, Changed, Conflict, DriverError, Timeout, Unavailable
from bkjs.testing.servers import free_port
from bkjs_http import HttpPool, Limits, segment
from bkjs_http import pool as module

from .conftest import pool_of, reply

WRITES = pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(module, "FIRST_DELAY", 0.002)


def slow(seconds, answer=None):
    async def wait(writer):
        await asyncio.sleep(seconds)
        writer.write(answer or reply())
        return True

    return wait


def cut(part):
    """Send the beginning of an answer and go."""

    async def send(writer):
        writer.write(part)
        await writer.drain()
        return False

    return send


# -- what is sent and read ------------------------------------------------------------------------

NUMBERS = {
    "large": 2**63 - 1, "small": -(2**63), "odd": 2**53 + 1, "more": 2**64 + 1,
    "reals": [0.1, 5e-324, 1.7976931348623157e308, -0.0, 1e16], "text": "Ü\U0001f600\u0000",
}  # fmt: skip


async def test_numbers_and_text_arrive_as_they_are(server):
    server.answers(reply(body=json.dumps(NUMBERS).encode()))
    async with pool_of(server) as pool:
        answer = await pool.request("POST", "/a%2Fb?q=%20x", json=NUMBERS)
    ((line, headers, body),) = server.seen
    assert line == "POST /a%2Fb?q=%20x HTTP/1.1"
    assert headers["content-type"] == "application/json"
    assert headers["accept"] == "application/json"
    assert json.loads(body) == NUMBERS
    assert repr(answer.json()) == repr(NUMBERS)


@pytest.mark.parametrize(
    "key", ["a", ".", "..", "...", "a/b", "/", "//", "../x", "?x=1#y", "%2F", "ü \U0001f600",
            "\n\r", "http://a", ";a", " ", "+", "a:b@c"],
)  # fmt: skip
async def test_a_key_is_one_part_of_a_path_whatever_is_in_it(server, key):
    async with pool_of(server) as pool:
        await pool.request("DELETE", f"/db/{segment(key)}")
        await pool.request("DELETE", f"/db/{segment(key)}?rev=1")
    (plain, *_), (query, *_) = server.seen
    path = plain.split(" ")[1]
    assert query == f"DELETE {path}?rev=1 HTTP/1.1"
    base, part = path.rsplit("/", 1)
    assert base == "/db"
    assert part not in ("", ".", "..")
    assert unquote(part) == key


def test_an_empty_key_has_no_path():
    with pytest.raises(BadRequest, match="an empty text is no key"):
        segment("")


@pytest.mark.parametrize(
    "path", ["", "db", "/a b", "/ü", "/a\r\nX: y", "/..", "/a/../b", "/a/.", "/a/..?x=1", "/\x7f"]
)
async def test_a_path_that_is_not_quoted_is_not_sent(server, path):
    async with pool_of(server) as pool:
        with pytest.raises(DriverError, match="not quoted"):
            await pool.request("GET", path)
    assert server.seen == []


async def test_a_large_body_is_sent_and_a_larger_one_refused(server):
    async with pool_of(server, max_body=4 * 2**20) as pool:
        body = b"x" * (3 * 2**20)
        await pool.request("PUT", "/", body=body)
        assert server.seen[0][2] == body
        with pytest.raises(BadRequest, match="more than 4194304 bytes"):
            await pool.request("PUT", "/", body=body * 2)
        assert len(server.seen) == 1


@pytest.mark.parametrize("told", [True, False])
async def test_an_answer_that_is_too_large_is_not_read(server, told):
    sent = 0

    async def huge(writer):
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n")
        writer.write(b"Content-Length: 100000000\r\n\r\n" if told else b"Connection: close\r\n\r\n")
        for _ in range(1000):
            writer.write(b"x" * 100_000)
            await writer.drain()
            sent += 100_000
        return False

    server.answers(huge)
    async with pool_of(server, max_answer=1_000_000) as pool:
        with pytest.raises(DriverError, match="an answer of more than 1000000 bytes"):
            await pool.request("GET", "/")
        assert pool.stats()["busy"] == 0
    assert sent < 50_000_000


async def test_an_answer_that_is_packed_without_being_asked_for_is_refused(server):
    server.answers(reply(body=gzip.compress(b"0" * 10**6), Content_Encoding="gzip"))
    async with pool_of(server) as pool:
        with pytest.raises(DriverError, match="an answer in gzip"):
            await pool.request("GET", "/")
    assert server.seen[0][1]["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    "body", [b"<html>\nLogin\x00 here", b"", b'{"a":', b"NaN", b"\xff", b"[" * 9000]
)
async def test_what_is_no_json_is_said(server, body):
    server.answers(reply(body=body, kind="text/html"))
    async with pool_of(server) as pool:
        answer = await pool.request("GET", "/")
        with pytest.raises(DriverError, match="no JSON but text/html: ") as error:
            answer.json()
        assert len(str(error.value)) < 300
        assert "\n" not in str(error.value)


async def test_json_is_read_whatever_its_type_is_called(server):
    server.answers(reply(body=b'{"a":1}', kind="text/plain"))
    async with pool_of(server) as pool:
        assert (await pool.request("GET", "/")).json() == {"a": 1}


async def test_a_redirect_is_not_followed_and_no_cookie_kept(server, other):
    server.answers(reply(302, Location=other.url, Set_Cookie="a=b"), reply())
    async with pool_of(server, login="me:hush@") as pool:
        with pytest.raises(DriverError, match="302"):
            await pool.request("GET", "/")
        await pool.request("GET", "/")
    assert other.seen == []
    assert "cookie" not in server.seen[1][1]


# -- statuses -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "text"),
    [
        (400, DriverError, "mine: 400: bad"),
        (401, DriverError, r"refuses the login \(401\)"),
        (403, DriverError, r"refuses the login \(403\)"),
        (404, DriverError, "mine: 404: bad"),
        (409, Conflict, "got in the way"),
        (412, Changed, "not as expected"),
        (413, BadRequest, "as large as this"),
        (429, Unavailable, "too much to do"),
        (500, DriverError, "mine: 500: bad"),
        (501, DriverError, "mine: 501: bad"),
        (503, Unavailable, "mine: 503: bad"),
    ],
)
async def test_a_status_is_an_error_or_what_the_driver_expects(server, status, kind, text):
    server.answers(reply(status, b"bad"))
    async with pool_of(server, retries=1) as pool:
        with pytest.raises(kind, match=text) as error:
            await pool.request("GET", "/secret-key")
        assert type(error.value).mro()[0] is kind or kind is DriverError
        assert "secret-key" not in str(error.value)
        server.answers(reply(status, b"bad"))
        answer = await pool.request("GET", "/", expect=(status,))
        assert (answer.status, answer.body, len(server.seen)) == (status, b"bad", 1)


async def test_the_server_says_how_long_to_wait(server):
    server.answers(reply(429, Retry_After="7"))
    async with pool_of(server, timeout=1) as pool:
        with pytest.raises(Unavailable) as error:
            await pool.request("GET", "/")
        assert error.value.retry_after == 7
        server.answers(reply(429, Retry_After="1"), reply())
        async with asyncio.timeout(10):
            begin = asyncio.get_running_loop().time()
            await pool.request("GET", "/", timeout=5)
        assert asyncio.get_running_loop().time() - begin >= 0.99


# -- tries ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_what_is_safe_is_tried_again(server, status):
    server.answers(reply(status), reply(status), reply(body=b"1"))
    async with pool_of(server) as pool:
        assert (await pool.request("GET", "/")).json() == 1
        server.answers(reply(status), reply(body=b"2"))
        assert (await pool.request("POST", "/", safe=True)).json() == 2
        assert pool.stats()["retried"] == 3


async def test_tries_have_an_end(server):
    server.answers(reply(503))
    async with pool_of(server, retries=2) as pool:
        with pytest.raises(Unavailable):
            await pool.request("GET", "/")
    assert len(server.seen) == 3


@WRITES
@pytest.mark.parametrize(
    "answer", [reply(500), reply(503), None, cut(b"HTTP/1.1 200 OK\r\nContent-Le"),
               b"what?\r\n\r\n", cut(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12")],
    ids=["500", "503", "cut", "half a head", "garbage", "half a body"],
)  # fmt: skip
async def test_a_write_that_may_have_happened_is_not_repeated(server, method, answer):
    async with pool_of(server) as pool:
        await pool.request("GET", "/")  # the connection is a used one
        server.answers(answer, reply())
        with pytest.raises((Unavailable, DriverError)) as error:
            await pool.request(method, "/", json=1)
        assert len(server.seen) == 1
        if not isinstance(answer, bytes) or b"what" in answer:
            assert "may be stored" in str(error.value)


@pytest.mark.parametrize(
    "answer", [None, cut(b"HTTP/1.1 200 OK\r\nContent-Le"), b"what?\r\n\r\n",
               cut(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12")],
    ids=["cut", "half a head", "garbage", "half a body"],
)  # fmt: skip
async def test_a_read_is_repeated_when_the_connection_is_lost(server, answer):
    server.answers(answer, reply(body=b"5"))
    async with pool_of(server) as pool:
        assert (await pool.request("GET", "/")).json() == 5
    assert len(server.seen) == 2


@WRITES
async def test_a_write_that_was_refused_or_never_sent_is_repeated(server, other, method):
    server.answers(reply(429), reply(body=b"5"))
    async with pool_of(server) as pool:
        assert (await pool.request(method, "/", json=1)).json() == 5
    await server.stop()
    async with pool_of(server, other) as pool:
        assert (await pool.request(method, "/", json=1)).json() == {}
    await server.start()


async def test_a_connection_that_the_server_closes_is_replaced_for_each_request(server):
    server.answers(reply(Connection="close"))
    async with pool_of(server) as pool:
        for _ in range(5):
            await pool.request("POST", "/", json=1)
    assert server.connections == 5


async def test_connections_are_used_again(server):
    async with pool_of(server, size=3) as pool:
        for _ in range(5):
            await asyncio.gather(*(pool.request("GET", "/") for _ in range(6)))
    assert server.connections <= 3


# -- nodes ----------------------------------------------------------------------------------------


async def test_requests_go_to_all_nodes_in_turn(server, other):
    async with pool_of(server, other) as pool:
        for _ in range(6):
            await pool.request("GET", "/")
    assert len(server.seen) == len(other.seen) == 3


async def test_a_node_that_is_down_is_passed_over_and_comes_back(server, other, monkeypatch):
    await server.stop()
    async with pool_of(server, other) as pool:
        for _ in range(6):
            await pool.request("POST", "/", json=1)
        assert len(other.seen) == 6
        assert pool.stats()["retried"] < 6  # it rests: not each request asks it first
        assert pool.stats()["resting"] == 1
        await server.start()
        server.answers(reply())
        for node in pool.nodes.all:
            node.rest = 0.0
        for _ in range(4):
            await pool.request("GET", "/")
        assert len(server.seen) == 2


async def test_a_node_that_hangs_leaves_time_for_another(server, other):
    server.answers(slow(60))
    async with pool_of(server, other, timeout=1) as pool:
        for _ in range(3):
            assert (await pool.request("GET", "/")).status == 200
        assert len(server.seen) == 1


async def test_no_node_answers(server, other):
    await server.stop()
    await other.stop()
    async with pool_of(server, other, login="me:hush@", retries=1) as pool:
        with pytest.raises(Unavailable, match=r"mine: no connection to 127.0.0.1:\d+: Client"):
            await pool.request("POST", "/", json=1)
    await server.start()
    await other.start()


# -- limits ---------------------------------------------------------------------------------------


async def test_no_more_than_max_run_at_a_time(server):
    running = most = 0

    async def count(writer):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.005)
        running -= 1
        writer.write(reply())
        return True

    server.answers(count)
    async with pool_of(server, size=4) as pool:
        await asyncio.gather(*(pool.request("GET", "/") for _ in range(40)))
        assert pool.stats()["busy"] == pool.stats()["waiting"] == 0
    assert most == 4
    assert len(server.seen) == 40


async def test_who_comes_when_the_queue_is_full_is_told_at_once(server):
    server.answers(slow(60))
    async with pool_of(server, size=1, max_queue=2, timeout=0.5) as pool:
        tasks = [asyncio.ensure_future(pool.request("GET", "/")) for _ in range(3)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (pool.stats()["busy"], pool.stats()["waiting"]) == (1, 2)
        with pytest.raises(Unavailable, match="no more resources"):
            await pool.request("GET", "/")
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert [str(end) for end in ended] == [
            "mine: no answer in 0.5 s",
            *["mine: timeout waiting for the resource"] * 2,
        ]
        assert pool.stats()["busy"] == pool.stats()["waiting"] == 0


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_server_that_trickles_is_a_timeout(server, method):
    async def trickle(writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.05)
        return False

    server.answers(trickle)
    async with pool_of(server, timeout=0.3) as pool:
        begin = asyncio.get_running_loop().time()
        with pytest.raises(Timeout, match=r"no answer in 0\.3 s") as error:
            await pool.request(method, "/")
        assert asyncio.get_running_loop().time() - begin < 3
        assert ("may be stored" in str(error.value)) == (method == "POST")
        assert pool.stats()["busy"] == 0


async def test_a_cancelled_request_gives_its_place_back(server):
    server.answers(slow(60))
    async with pool_of(server, size=2) as pool:
        tasks = [asyncio.ensure_future(pool.request("GET", "/")) for _ in range(5)]
        await server.asked(2)
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(end) for end in ended} == {asyncio.CancelledError}
        assert pool.stats()["busy"] == pool.stats()["waiting"] == 0
        server.answers(reply())
        await asyncio.gather(*(pool.request("GET", "/") for _ in range(10)))


async def test_a_place_that_comes_with_the_cancellation_is_passed_on(server):
    gate = asyncio.Event()

    async def wait(writer):
        await gate.wait()
        writer.write(reply())
        return True

    server.answers(wait)
    async with pool_of(server, size=1) as pool:
        first, second, third = [asyncio.ensure_future(pool.request("GET", "/")) for _ in range(3)]
        await server.asked(1)
        first.add_done_callback(lambda _: second.cancel())
        gate.set()
        ended = await asyncio.gather(first, second, third, return_exceptions=True)
        assert ended[0].status == ended[2].status == 200
        assert pool.stats()["busy"] == 0


async def test_closing_lets_requests_end_and_refuses_new_ones(server):
    server.answers(slow(0.1))
    async with pool_of(server, size=1) as pool:
        tasks = [asyncio.ensure_future(pool.request("GET", "/")) for _ in range(2)]
        await server.asked(1)
        await pool.close()
        await pool.close()
        running, waiting = await asyncio.gather(*tasks, return_exceptions=True)
        assert running.status == 200
        assert isinstance(waiting, Unavailable)
        with pytest.raises(Unavailable, match="the database is closed"):
            await pool.request("GET", "/")


# -- the login ------------------------------------------------------------------------------------


async def test_the_login_goes_with_each_request_and_into_no_message(server, caplog):
    caplog.set_level(logging.DEBUG)
    texts = []
    async with pool_of(server, login="me:h%40sh-hush@", retries=0, timeout=0.3) as pool:
        for answer in (None, b"what?\r\n\r\n", reply(401), reply(500), reply(302), slow(60)):
            server.answers(answer)
            assert server.plan
            with pytest.raises((Unavailable, DriverError)) as error:
                await pool.request("GET", "/")
            assert server.seen[0][1]["authorization"] == "basic bwu6aebzac1odxno"
            cause = error.value
            while cause is not None:
                texts += [str(cause), repr(cause)]
                cause = cause.__cause__ or cause.__context__
        await server.stop()
        with pytest.raises(Unavailable) as error:
            await pool.request("GET", "/")
        texts.append(str(error.value))
        await server.start()
    told = "".join(texts) + caplog.text + repr(pool.nodes.all)
    assert "hush" not in told
    assert "bWU6" not in told


async def test_a_server_that_repeats_the_login_brings_it_into_no_message(server):
    text = b"<pre>Authorization: Basic dTpzM2NyJHQ= of u with s3cr$t (s3cr%24t)</pre>"
    async with pool_of(server, login="u:s3cr%24t@") as pool:
        server.answers(reply(500, text, kind="text/html"))
        with pytest.raises(DriverError) as caught:
            await pool.request("POST", "/a", body=b"")
        server.answers(reply(200, text, kind="text/html"))
        answer = await pool.request("GET", "/a")
        with pytest.raises(DriverError) as second:
            answer.json()
    for message in (caught.value.message, second.value.message):
        assert "Authorization: Basic *** of u with *** (***)" in message


async def test_what_a_server_says_unasked_is_no_answer(server):
    async def twice(writer):
        writer.write(reply(body=b"1"))
        await writer.drain()
        await asyncio.sleep(0.02)
        writer.write(reply(408, body=b"0"))
        await writer.drain()
        return True

    async with pool_of(server) as pool:
        server.answers(twice, reply(body=b"2"))
        assert (await pool.request("GET", "/a")).body == b"1"
        await asyncio.sleep(0.1)
        assert (await pool.request("POST", "/b", body=b"")).body == b"2"
        assert (await pool.request("GET", "/c")).body == b"2"
    assert server.connections == 2


@pytest.mark.parametrize(
    "url", ["nothing", "ftp://me:hush@x", "http://me:hush@", "http://me:hush@x:port",
            "http://me:hush@x:99999", "http://me:hush@a:1,,b:2", "http://me:hush@x?a=1",
            "http://me:hu#sh@x", "http://me:hush@[::1"],
)  # fmt: skip
def test_what_is_no_url_is_refused_without_showing_the_login(url):
    from bkjs.errors import StartError

    with pytest.raises(StartError) as error:
        HttpPool("mine", url, Limits())
    assert "hush" not in str(error.value)
    assert error.value.__cause__ is None


def test_a_url_with_nodes_and_a_path():
    pool = HttpPool("mine", "https://u:p@a:1,[::1]:2/path/", Limits())
    assert [node.base for node in pool.nodes.all] == ["https://a:1/path", "https://[::1]:2/path"]
    assert [node.place for node in pool.nodes.all] == ["a:1", "[::1]:2"]
    assert str(pool.nodes.all[0].url("/x%2Fy?q=1")) == "https://a:1/path/x%2Fy?q=1"


async def test_a_port_without_a_server(server):
    pool = HttpPool("mine", f"http://127.0.0.1:{free_port()}", Limits(timeout=3, retries=0))
    await pool.open()
    with pytest.raises(Unavailable):
        await pool.request("GET", "/")
    await pool.close()
