"""A running server: its configuration changes live, its code reloads, its end is orderly."""

import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

from bkjs.testing.process import Server

APP = """
from bkjs import hookimpl
from bkjs.web import Routes

routes = Routes()


@routes.endpoint("/public/text", reply=dict, public=True)
async def text(req):
    return {"text": "TEXT"}


@hookimpl
def configure_web(web):
    web.add(routes)
"""


def until(check: Callable[[], bool], seconds: float) -> bool:
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        if check():
            return True
        time.sleep(0.05)
    return False


@pytest.fixture(scope="module")
def server():
    with Server() as server:
        yield server


def status(server: Server, path: str = "/public/x") -> int:
    with server.client() as client:
        return client.get(path).status


@pytest.mark.process
def test_a_changed_file_counts_within_a_second(server):
    assert status(server) == 404  # allowed, but there is nothing
    (server.home / "etc" / "config").write_text("api-deny-path=^/public/x\n")
    assert until(lambda: status(server) == 403, 1.0)
    (server.home / "etc" / "config").write_text("")
    assert until(lambda: status(server) == 404, 1.0)


@pytest.mark.process
def test_a_file_with_an_error_is_refused_whole(server):
    config = server.home / "etc" / "config"
    config.write_text("api-deny-path=^/public/x\napi-max-heders=5\n")
    assert until(lambda: "api-max-headers" in server.output, 3)
    assert f"{config}:2" in server.output
    assert status(server) == 404
    config.write_text("")


@pytest.mark.process
def test_sighup_reads_the_files_at_once(server):
    local = server.home / "etc" / "config.local"
    local.write_text("api-deny-path=^/public/y\n")
    os.kill(server.pid, signal.SIGHUP)
    assert until(lambda: status(server, "/public/y") == 403, 1.0)
    local.unlink()  # perhaps by mistake: what it denied stays denied
    os.kill(server.pid, signal.SIGHUP)
    assert until(lambda: f"{local}: no such file" in server.output, 1.0)
    assert status(server, "/public/y") == 403
    local.write_text("")
    os.kill(server.pid, signal.SIGHUP)
    assert until(lambda: status(server, "/public/y") == 404, 1.0)


@pytest.mark.process
def test_sighup_during_the_start_does_no_harm():
    server = Server()
    server.spawn()
    try:
        assert until(server.home.is_dir, 15)  # the configuration is being read
        while "is ready on" not in server.output:
            os.kill(server.pid, signal.SIGHUP)
            assert server.exit_code is None, server.output
            time.sleep(0.01)
        assert server.stop() == 0
    finally:
        server.close()


@pytest.mark.process
def test_signals_that_come_together_are_answered_once():
    with Server("-log", "info") as server:
        for _ in range(300):
            os.kill(server.pid, signal.SIGHUP)
            time.sleep(0.001)
        assert status(server, "/ping") == 200
        assert until(lambda: "configuration applied" in server.output, 2.0)
        assert server.output.count("configuration applied") < 30


@pytest.mark.process
def test_changed_code_is_served_and_broken_code_only_reported(tmp_path):
    app = tmp_path / "app.py"
    app.write_text(APP.replace("TEXT", "first"))
    with Server("-app", str(app), "-reload") as server, server.client() as client:
        assert client.get("/public/text").json() == {"text": "first"}

        def text() -> str:
            try:
                with server.client() as fresh:
                    return str(fresh.get("/public/text").json().get("text"))
            except (OSError, EOFError):  # refused, or taken by the one that is about to end
                return ""

        app.write_text(APP.replace("TEXT", "second"))
        assert until(lambda: text() == "second", 15)
        app.write_text("this is no Python\n")
        assert until(lambda: "SyntaxError" in server.output, 15)
        app.write_text(APP.replace("TEXT", "third"))
        assert until(lambda: text() == "third", 15)
        os.kill(server.pid, signal.SIGHUP)
        assert until(lambda: text() == "third", 15)
        assert server.stop() == 0


@pytest.mark.process
def test_a_watched_directory_counts_but_not_the_files_that_are_left_out(tmp_path):
    with Server("-watch", str(tmp_path), "-no-watch", "^skip") as server:
        (tmp_path / "skipped.py").write_text("a = 1\n")
        (tmp_path / "watched.py").write_text("a = 1\n")
        assert until(lambda: "watched.py changed, starting again" in server.output, 15)
        assert "skipped.py" not in server.output
        assert server.stop() == 0


SLOW = """
import asyncio

from bkjs import hookimpl
from bkjs.web import Routes

routes = Routes()


@routes.endpoint("/public/slow", reply=dict, public=True)
async def slow(req):
    print("slow began", flush=True)
    await asyncio.sleep(1)
    return {"done": True}


@hookimpl
async def configure_module(app):
    yield
    print("module closed", flush=True)


@hookimpl
def configure_web(web):
    web.add(routes)
"""


@pytest.mark.process
def test_the_end_finishes_what_runs_and_closes_the_modules(tmp_path):
    app = tmp_path / "app.py"
    app.write_text(SLOW)
    replies = []
    with Server("-app", str(app)) as server:

        def ask() -> None:
            with server.client() as client:
                replies.append(client.get("/public/slow").json())

        asking = threading.Thread(target=ask)
        asking.start()
        assert until(lambda: "slow began" in server.output, 10)
        assert server.stop() == 0
        asking.join(10)
        assert replies == [{"done": True}]
        assert "module closed" in server.output
        assert not (server.home / "var" / "web.pid").exists()
