"""A small driver over HTTP: how it opens, and what it does when its server goes away."""

import json
from typing import ClassVar

import pytest

from bkjs.db.contract import Capabilities, Page, Shape, Written
from bkjs.errors import StartError, Unavailable
from bkjs.testing.db import OutageTests, opened
from bkjs.testing.servers import free_port
from bkjs_http import HttpDriver, segment

from .conftest import reply


class KeysDriver(HttpDriver):
    """Rows as objects of Riak, each under its key."""

    can = Capabilities()
    shape = Shape(json=True, lists=True, binary=False)
    greeting = "/ping"
    headers: ClassVar = {"X-Of": "ours"}

    async def get(self, req):
        answer = await self.pool.request("GET", self._path(req, req.key), expect=(404,))
        return None if answer.status == 404 else req.pick(answer.json())

    async def put(self, req):
        path = self._path(req, {name: req.values[name] for name in req.table.keys})
        await self.pool.request("PUT", path, json=req.values, safe=True)
        return Written(1)

    async def delete(self, req):
        answer = await self.pool.request(
            "DELETE", self._path(req, req.key), safe=True, expect=(404,)
        )
        return Written(int(answer.status == 204))

    async def select(self, req):
        """The next rows in the order of their keys."""
        found = await self.pool.request("GET", f"/buckets/{req.table.name}/keys?keys=true")
        left = sorted(k for k in found.json()["keys"] if req.resume is None or k > req.resume)
        rows = []
        for key in left[: req.count]:
            path = f"/buckets/{req.table.name}/keys/{segment(key)}"
            answer = await self.pool.request("GET", path, expect=(404,))
            rows += [req.pick(answer.json())] if answer.status == 200 else []
        more = req.count is not None and len(left) > req.count
        return Page(rows, resume=left[req.count - 1] if more else None)

    async def drop(self, table):
        found = await self.pool.request("GET", f"/buckets/{table}/keys?keys=true")
        for key in found.json()["keys"]:
            path = f"/buckets/{table}/keys/{segment(key)}"
            await self.pool.request("DELETE", path, safe=True, expect=(404,))

    def _path(self, req, key):
        text = json.dumps([key[name] for name in req.table.keys])
        return f"/buckets/{req.table.name}/keys/{segment(text)}"


@pytest.fixture(scope="module")
def riak(engine):
    with engine.own("riak") as server:
        yield server


@pytest.mark.process
class TestOutage(OutageTests):
    durable = False  # in memory

    @pytest.fixture
    def server(self, riak):
        return riak

    @pytest.fixture
    async def driver(self, server):
        url = server.url.replace("//", "//me:hush-hush@")
        async with opened(KeysDriver, url, max=4, timeout=1500) as driver:
            yield driver


async def test_it_opens_with_a_request_and_has_its_headers(server):
    async with opened(KeysDriver, server.url, max=7, timeout=1200, idle=5000) as driver:
        await driver.alive()
        assert driver.stats() == {"busy": 0, "waiting": 0, "retried": 0, "resting": 0}
        limits = driver.pool.limits
        assert (limits.size, limits.timeout, limits.idle, limits.connect) == (7, 1.2, 5.0, 2.0)
    assert [line for line, _, _ in server.seen] == ["GET /ping HTTP/1.1"] * 2
    assert server.seen[0][1]["x-of"] == "ours"
    await driver.close()


@pytest.mark.parametrize("status", [401, 403])
async def test_a_login_that_is_refused_stops_the_start(server, status):
    server.answers(reply(status))
    driver = KeysDriver("mine", server.url.replace("//", "//me:hush@"), {})
    with pytest.raises(StartError, match=f"mine: the server refuses the login .{status}") as error:
        await driver.open()
    assert "hush" not in str(error.value)
    with pytest.raises(Unavailable, match="closed"):
        await driver.alive()


async def test_no_server_is_said():
    driver = KeysDriver("mine", f"http://127.0.0.1:{free_port()}", {"timeout": 2000})
    with pytest.raises(Unavailable, match=r"mine: no connection to 127\.0\.0\.1:\d+"):
        await driver.open()


async def test_certificates_that_are_not_there_stop_the_start(tmp_path):
    driver = KeysDriver("mine", "https://127.0.0.1:1", {"ca": str(tmp_path / "none.pem")})
    with pytest.raises(StartError, match=r"mine: the file of the setting ca: .*No such file"):
        await driver.open()


def test_the_default_url_is_that_of_the_driver():
    class Here(KeysDriver):
        default_url = "http://127.0.0.1:8098"

    assert Here("mine", "default", {}).pool.nodes.all[0].place == "127.0.0.1:8098"
