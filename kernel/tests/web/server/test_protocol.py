"""The protocol against clients that are too slow, too large or ambiguous, over real sockets."""

import asyncio
import random
import types

import pytest
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from bkjs.processes.sockets import listen
from bkjs.web.deadlines import Deadlines
from bkjs.web.server.protocol import (
    APP,
    BODY,
    HEAD,
    HELD_BYTES,
    IDLE,
    LINGER,
    LINGER_BYTES,
    WAITING,
    GuardedProtocol,
    State,
    write_whole,
)
from bkjs.web.server.serve import serve

API = {
    "max_headers": 20,
    "max_header_size": 2048,
    "max_url": 512,
    "upload_limit": 1000,
    "header_timeout": 60_000,
    "body_timeout": 60_000,
    "body_min_rate": 1000,
    "read_timeout": 60_000,
    "keepalive_timeout": 60_000,
    "max_connections": 100,
    "max_connections_ip": 5,
    "shutdown_timeout": 5000,
    "ws_max_frame": 1 << 20,
}
OK = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"


class Site:
    """A served application that remembers the headers it saw."""

    def __init__(self):
        self.seen = []
        self.arrived = asyncio.Event()
        self.finished = asyncio.Event()
        self.reply = b"ok"
        self.whole = False
        self.written = []
        self.hold = asyncio.Event()
        self.hold.set()
        self.deadlines = Deadlines()

    async def __call__(self, scope, receive, send):
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            if not message["more_body"]:
                break
        self.seen.append((scope["path"], dict(scope["headers"]), body))
        self.arrived.set()
        await self.hold.wait()
        if self.whole:
            lines = b"content-type: text/x\r\n"
            self.written.append(self.write_whole(send, 200, lines, self.reply))
            if self.written[-1]:
                return
        headers = [(b"content-length", b"%d" % len(self.reply))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self.reply, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        self.finished.set()


@pytest.fixture
async def site(request):
    site = Site()
    core = types.SimpleNamespace(backlog=64)
    site.api = types.SimpleNamespace(**API | getattr(request, "param", {}))
    site.app = types.SimpleNamespace(config=types.SimpleNamespace(api=site.api, core=core))
    site.handle = site
    proxies = types.SimpleNamespace(trusts=lambda address: False)
    site.settings = lambda: types.SimpleNamespace(proxies=proxies)
    listener = listen("127.0.0.1", 0, 64)
    site.port = listener.getsockname()[1]
    site.stop, ready = asyncio.Event(), asyncio.Event()
    serving = serve(site, [(listener, None)], site.stop, ready.set, idle_grace=0.2)
    site.task = asyncio.create_task(serving)
    await ready.wait()
    yield site
    site.hold.set()
    site.stop.set()
    await site.task


async def exchange(site, *parts, pause=0.0, eof=False):
    """Send the parts, then read until the server closes; `OK` requests need `Connection: close`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        if eof:
            writer.write_eof()
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionError:
        return b""
    finally:
        writer.close()


def close(text):
    return text.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)


async def test_an_ordinary_request_is_answered(site):
    reply = await exchange(site, close(OK))
    assert reply.startswith(b"HTTP/1.1 200 ")
    assert reply.endswith(b"ok")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a/b@c\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a?b\r\n\r\n", 400),
        (b"GET /" + b"x" * 600 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"a: b\r\n" * 30 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nlong: " + b"x" * 3000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nlong: " + b"x" * 5000, 431),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"0\r\n\r\n",
            400,
        ),
        (
            b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"GET /\r\n\r\n", 505),
        (b"BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"nonsense\r\n\r\n", 400),
    ],
)
async def test_what_is_ambiguous_or_too_large_is_refused(site, request_, status):
    reply = await exchange(site, request_)
    assert reply.startswith(b"HTTP/1.1 %d " % status), reply
    assert b'"status":%d' % status in reply
    assert b"nosniff" in reply
    assert site.seen == []


async def test_a_whole_answer_has_its_length_and_the_date(site):
    site.whole = True
    reply = await exchange(site, OK + OK + close(OK))
    assert site.written == [True, True, False]
    head, _, rest = reply.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    assert status == b"HTTP/1.1 200 OK"
    assert lines[0].startswith(b"date: ")
    assert lines[1:] == [b"content-type: text/x", b"content-length: 2"]
    assert rest.startswith(b"okHTTP/1.1 200 OK\r\n")
    assert reply.count(b"HTTP/1.1 200") == 3


async def test_no_whole_answer_to_head_to_the_last_request_or_past_a_wrapper(site):
    site.whole = True
    reply = await exchange(site, close(OK.replace(b"GET", b"HEAD")))
    assert site.written == [False]
    assert reply.endswith(b"\r\n\r\n")

    async def send(message):
        raise AssertionError

    assert not site.write_whole(send, 200, b"", b"ok")


def pieces(data, seed):
    """The same bytes in pieces of every size."""
    random_, start = random.Random(seed), 0
    while start < len(data):
        end = start + random_.choice((1, 2, 7, 30, 200, 3000))
        yield data[start:end]
        start = end


@pytest.mark.parametrize("seed", range(6))
async def test_every_request_is_read_however_they_come(site, monkeypatch, seed):
    """Bodies hold blank lines and whole requests; many at a time wait, but never too many."""
    most, opened = 0, GuardedProtocol.on_headers_complete

    def spy(protocol):
        nonlocal most
        opened(protocol)
        most = max(most, len(protocol.pipeline))

    monkeypatch.setattr(GuardedProtocol, "on_headers_complete", spy)
    random_, sent, wanted = random.Random(seed), [], []
    for number in range(120):
        body = random_.choice((b"", b"\n\n\r\n" * 9, OK * 3, b"x" * 900))
        path = b"/%d" % number
        match random_.choice(("get", "length", "chunked")):
            case "get":
                sent.append(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path)
                body = b""
            case "length":
                head = b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
                sent.append(head % (path, len(body)) + body)
            case "chunked":
                head = b"POST %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                halves = (body[:100], body[100:])
                chunks = b"".join(b"%x\r\n%b\r\n" % (len(half), half) for half in halves if half)
                sent.append(head % path + chunks + b"0\r\nt: railer\r\n\r\n")
        wanted.append((path.decode(), body))
    sent.append(close(OK))
    reply = await exchange(site, *pieces(b"".join(sent), seed))
    assert reply.count(b"HTTP/1.1 200 OK") == 121
    assert [(path, body) for path, _, body in site.seen] == [*wanted, ("/hello", b"")]
    assert most <= WAITING + 2


async def test_what_comes_with_an_upgrade_that_we_do_not_make_is_read(site):
    upgrade = b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    reply = await exchange(site, upgrade + close(OK))
    assert [path for path, *_ in site.seen] == ["/a", "/hello"]
    assert reply.count(b"HTTP/1.1 200") == 2


@pytest.mark.parametrize("behind", [OK, OK + OK[:20], OK * WAITING], ids=["one", "half", "all"])
async def test_a_client_that_leaves_is_noticed_while_its_requests_wait(site, monkeypatch, behind):
    left, lost = asyncio.Event(), GuardedProtocol.connection_lost

    def spy(protocol, exc):
        lost(protocol, exc)
        left.set()

    monkeypatch.setattr(GuardedProtocol, "connection_lost", spy)
    site.hold.clear()
    _, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(OK)
    await site.arrived.wait()
    writer.write(behind)
    writer.close()
    await asyncio.wait_for(left.wait(), 5)
    site.hold.set()
    site.stop.set()
    await site.task
    assert len(site.seen) == 1, "those that waited are not begun"


async def test_no_websocket_begins_amidst_an_answer(site):
    """Its frames would be taken for the answer, or the answer for frames."""
    site.hold.clear()
    upgrade = (
        b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    reply = await exchange(site, OK + upgrade)
    assert reply.startswith(b"HTTP/1.1 400 ")
    assert b"101" not in reply


@pytest.mark.parametrize(
    "trailers", [b"a: b\r\n" * 30, b"a: " + b"x" * 40_000, b"\t;x" * 20_000], ids=len
)
async def test_trailers_have_the_limits_of_headers(site, trailers):
    site.hold.clear()
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    last = b"0" if trailers.startswith(b"\t") else b"0\r\n"  # an extension of the last chunk
    reply = await exchange(site, head + b"2\r\nhi\r\n" + last, *[trailers] * 2)
    # nothing where the connection was reset while more was being sent
    assert reply.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 ")) or not reply
    assert site.seen == []


async def test_an_endless_chunked_body_is_cut_off(site):
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"200\r\n" + b"x" * 512 + b"\r\n"
    reply = await exchange(site, head, *[chunk] * 6)
    assert reply.startswith(b"HTTP/1.1 413 ")


async def test_headers_that_come_while_another_request_runs_have_their_limit(site):
    site.hold.clear()
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(OK)
    await site.arrived.wait()
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nlong: ")
    for _ in range(10):
        writer.write(b"x" * 1000)
    reply = await asyncio.wait_for(reader.read(), 10)
    assert reply.startswith(b"HTTP/1.1 431 ")
    writer.close()


@pytest.mark.parametrize("site", [{"header_timeout": 400, "read_timeout": 300}], indirect=True)
async def test_a_client_that_takes_no_answer_is_cut_off(site):
    site.reply = b"x" * 20_000_000
    _, writer = await asyncio.open_connection("127.0.0.1", site.port, limit=1024)
    writer.write(OK)
    await asyncio.wait_for(site.finished.wait(), 5)
    writer.close()


async def test_trailers_never_become_headers(site):
    request_ = (
        b"POST /t HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n0\r\nbk-signature: evil\r\n\r\n"
    )
    await exchange(site, request_, eof=True)
    ((path, headers, body),) = site.seen
    assert (path, body) == ("/t", b"abc")
    assert b"bk-signature" not in headers


@pytest.mark.parametrize("site", [{"header_timeout": 400, "body_timeout": 400}], indirect=True)
@pytest.mark.parametrize(
    "start",
    [b"", b"GET / HTTP/1.1\r\nHo", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab"],
    ids=["nothing", "half a head", "half a body"],
)
async def test_a_slow_client_gets_408(site, start):
    reply = await exchange(site, start)
    assert reply.startswith(b"HTTP/1.1 408 ")


async def test_one_address_has_so_many_connections(site):
    held = [await asyncio.open_connection("127.0.0.1", site.port) for _ in range(5)]
    reply = await exchange(site, close(OK))
    assert reply.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after" in reply
    for _, writer in held:
        writer.close()


async def test_the_drain_answers_a_keep_alive_client_once_more(site):
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(OK)
    assert b"200 OK" in await reader.readuntil(b"ok")
    site.stop.set()
    await asyncio.sleep(0.15)
    writer.write(OK)
    reply = await asyncio.wait_for(reader.read(), 5)
    assert b"200 OK" in reply
    assert b"connection: close" in reply
    writer.close()
    await asyncio.wait_for(site.task, 5)


async def test_a_running_request_is_finished_before_the_end(site):
    site.hold.clear()
    waiting = asyncio.create_task(exchange(site, OK))
    await site.arrived.wait()
    site.stop.set()
    await asyncio.sleep(0.15)
    site.hold.set()
    assert b"200 OK" in await waiting


async def test_idle_connections_do_not_hold_up_the_end(site):
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(OK)
    await reader.readuntil(b"ok")
    site.stop.set()
    await asyncio.wait_for(site.task, 3)
    writer.close()


def test_after_a_stall_what_came_meanwhile_is_read_first():
    checked = []
    state = State(types.SimpleNamespace())
    connection = object.__new__(GuardedProtocol)
    connection.check = checked.append
    state.connections = {connection}
    for now in (10, 11, 99, 100, 200, 300):
        state.sweep(now)
    assert checked == [10, 11, 100, 300]


def test_addresses_are_forgotten_with_their_last_connection():
    state = State(types.SimpleNamespace())
    assert [state.enter("a"), state.enter("a")] == [1, 2]
    state.leave("a")
    state.leave("a")
    assert state.addresses == {}


def bare(**attributes):
    """A connection without a socket, which says what is done to it."""
    done = []
    connection = object.__new__(GuardedProtocol)
    connection.transport = types.SimpleNamespace(
        abort=lambda: done.append("abort"), is_closing=lambda: False
    )
    connection.flow = types.SimpleNamespace(pause_reading=lambda: done.append("pause"))
    connection.refuse = lambda status, text: done.append(status)
    vars(connection).update(attributes)
    return connection, done


def test_who_sends_on_after_a_refusal_is_cut_off():
    connection, done = bare(phase=LINGER, body_bytes=0)
    connection.data_received(b"x" * LINGER_BYTES)
    assert done == []
    connection.data_received(b"x")
    assert done == ["abort"]


def test_what_waits_to_be_parsed_has_a_limit():
    connection, done = bare(phase=APP, held=memoryview(b"x"))
    connection.data_received(b"x" * (HELD_BYTES - 1))
    assert (len(connection.held), done) == (HELD_BYTES, ["pause"])
    connection.data_received(b"x")
    assert (len(connection.held), done) == (HELD_BYTES, ["pause", 503])


def test_a_pause_of_ours_is_no_slowness_of_the_client():
    api = types.SimpleNamespace(body_timeout=1000, body_min_rate=1000, read_timeout=60_000)
    for paused in (True, False):
        flow = types.SimpleNamespace(read_paused=paused)
        for pipeline in ([], [answer()]):  # the body of a request that waits
            connection, done = bare(phase=BODY, since=0, body_bytes=1, api=api, stuck_since=None)
            connection.flow, connection.pipeline = flow, pipeline
            connection.check(100)
            assert done == ([] if paused or pipeline else [408])


def test_who_takes_again_what_we_send_is_not_cut_off():
    resumed = []
    api = types.SimpleNamespace(read_timeout=1000)
    connection, done = bare(phase=APP, since=0, api=api)
    connection.server_state = types.SimpleNamespace(now=5.0)
    connection.flow = types.SimpleNamespace(
        pause_writing=lambda: resumed.append(0), resume_writing=lambda: resumed.append(1)
    )
    connection.pause_writing()
    connection.resume_writing()
    connection.check(100)
    assert (done, resumed) == ([], [0, 1])
    connection.pause_writing()
    connection.check(100)
    assert done == ["abort"]


def answer(**attributes):
    """A request that is being answered."""
    given = {"response_started": False, "response_complete": False, "disconnected": False}
    given |= {"keep_alive": True, "message_event": asyncio.Event()}
    return types.SimpleNamespace(**given | attributes)


def refused(cycle, *waiting):
    last = waiting[-1] if waiting else cycle
    connection, done = bare(cycle=last, address="a", pipeline=[*waiting], answering=(cycle, None))
    del connection.refuse
    connection.server_state = types.SimpleNamespace(now=5.0)
    connection.transport.write = lambda data: done.append(data[:12])
    connection.transport.close = lambda: done.append("close")
    connection.refuse(400, "x")
    return done


async def test_who_is_refused_amidst_an_answer_gets_no_second_one():
    assert refused(answer(response_started=True)) == ["abort"]
    assert refused(answer(response_started=True), answer()) == ["abort"]
    assert refused(answer(response_started=True, response_complete=True)) == [
        b"HTTP/1.1 400",
        "close",
    ]


async def test_a_handler_hears_that_its_client_was_refused():
    for waiting in ([], [answer()]):
        cycle = answer()
        assert refused(cycle, *waiting) == [b"HTTP/1.1 400", "close"]
        assert cycle.disconnected
        assert cycle.message_event.is_set()


def after_answer(**attributes):
    started = []
    connection, _ = bare(held=memoryview(b""), **attributes)
    connection.server_state = types.SimpleNamespace(now=5.0, total_requests=0)
    connection.flow.resume_reading = lambda: started.append("read on")
    connection._start_asgi_task = lambda cycle, app: started.append(cycle)
    connection.on_response_complete()
    return connection, started


def test_the_last_of_the_waiting_requests_is_told_that_the_server_ends():
    for draining in (True, False):
        waiting = answer()
        _, started = after_answer(phase=APP, pipeline=[(waiting, None)], draining=draining)
        assert started == [waiting, "read on"]
        assert waiting.keep_alive is not draining


def test_an_answer_before_the_end_of_the_body_does_not_end_the_body():
    for before, after in ((BODY, BODY), (HEAD, HEAD), (APP, IDLE)):
        connection, started = after_answer(phase=before, pipeline=[], draining=False)
        assert (connection.phase, started) == (after, ["read on"])


@pytest.mark.parametrize(
    "state",
    [
        {"response_started": True},
        {"disconnected": True},
        {"keep_alive": False},
        {"flow": types.SimpleNamespace(write_paused=True)},
        {"scope": {"method": "HEAD"}},
        {},
    ],
    ids=str,
)
async def test_nothing_is_written_at_once_where_the_usual_way_has_to_wait(state):
    written = []
    cycle = object.__new__(RequestResponseCycle)
    plain = {"flow": types.SimpleNamespace(write_paused=False), "scope": {"method": "GET"}}
    vars(cycle).update(vars(answer()) | plain | {"default_headers": []} | state)
    cycle.transport = types.SimpleNamespace(write=written.append)
    cycle.on_response = lambda: written.append("done")
    assert write_whole(cycle.send, 200, b"", b"ok") is (not state)
    assert len(written) == (0 if state else 2)
