"""The page about endpoints names everything that there is."""

import inspect
import re
import types
from pathlib import Path

import pytest
from pydantic import BaseModel

from bkjs import hookimpl
from bkjs.testing.app import make_app
from bkjs.testing.process import Server
from bkjs.testing.web import call
from bkjs.web import Request, Response, Routes, Web
from bkjs.web.input.controls import CONTROLS
from bkjs.web.output.formats import FORMATS
from bkjs.web.request import Upload

PAGE = Path(__file__).with_name("endpoints.md").read_text(encoding="utf-8")
CODE = re.compile(r"`([^`]+)`")


def first_cells(head: str) -> list[str]:
    """What stands as code in the first cells of the table with this heading."""
    start = PAGE.index(f"\n| {head} |\n")
    lines = PAGE[start + 1 :].partition("\n\n")[0].splitlines()[2:]
    return [name for line in lines for name in CODE.findall(line.split("|")[1])]


def test_every_argument_of_an_endpoint_is_there_once():
    arguments = list(inspect.signature(Routes.endpoint).parameters)[1:]
    assert sorted(first_cells("argument | meaning")) == sorted(arguments)


def test_every_attribute_of_a_request_is_there_once():
    assert sorted(first_cells("attribute | what it is")) == sorted(Request.__slots__)
    for name, member in vars(Request).items():
        if inspect.isfunction(member) and not name.startswith("_"):
            assert f"`req.{name}(" in PAGE


def test_every_control_and_format_is_there():
    assert sorted(first_cells("control | meaning")) == sorted(f"_{name}" for name in CONTROLS)
    assert all(f"`{name}`" in PAGE for name in FORMATS)


def test_every_field_of_an_upload_is_named():
    told = PAGE.partition("An `Upload` has ")[2].partition(".")[0]
    assert CODE.findall(told) == list(Upload.__dataclass_fields__)


def test_every_registration_is_there():
    names = [name for name in vars(Web) if name.startswith("register_")]
    assert sorted(first_cells("registration | is called")) == sorted(names)
    for name in ("mount_static", "include_router"):
        assert f"`web.{name}(" in PAGE
        assert hasattr(Web, name)


# -- what the tables say of replies and writes ---------------------------------------------------

routes = Routes()


class Model(BaseModel):
    a: int = 1


REPLIES = {
    "dict": ({"a": 1}, b'{"a":1}'),
    "list": ([1], b"[1]"),
    "tuple": ((1,), b"[1]"),
    "model": (Model(), b'{"a":1}'),
    "none": (None, b"[]"),
    "response": (Response(b"x", 201), b"x"),
    "text": ("x", 500),
    "number": (1, 500),
    "set": ({1}, 500),
}


@routes.endpoint("/reply/{kind}", public=True, reply=dict)
def reply(req):
    return REPLIES[req.path_args["kind"]][0]


@routes.endpoint("/writes/no", public=True, reply=dict)
async def no(req):
    return await req.app.db.put("thing", {"id": "1"})


@routes.endpoint("/writes/yes", public=True, reply=dict, writes=True)
async def yes(req):
    return await no(req)


@routes.endpoint("/writes/quiet", public=True, reply=dict, writes="quiet")
async def quiet(req):
    return await no(req)


@pytest.fixture
async def app():
    module = types.SimpleNamespace(
        name="page",
        tables=hookimpl(lambda: {"thing": {"id": {"primary": 1}}}),
        configure_web=hookimpl(lambda web: web.add(routes)),
    )
    async with make_app([module]) as app:
        yield app


@pytest.mark.parametrize("kind", REPLIES)
async def test_what_is_returned_and_what_is_sent(app, kind):
    sent = await call(app, f"/reply/{kind}")
    wanted = REPLIES[kind][1]
    assert (sent.status if isinstance(wanted, int) else sent.body) == wanted


@pytest.mark.parametrize(
    ("path", "get", "head"), [("no", 500, 500), ("yes", 200, 405), ("quiet", 200, 200)]
)
async def test_what_writes(app, path, get, head):
    assert (await call(app, f"/writes/{path}")).status == get
    assert (await call(app, f"/writes/{path}", method="HEAD")).status == head


# -- the frames of the page, over a real socket --------------------------------------------------

HELLO = """
from bkjs import hookimpl
from bkjs.web import Routes

routes = Routes()


@routes.endpoint("/hello", public=True, reply=dict)
async def hello(req):
    return {"hello": req.query.get("name", "world")}


@hookimpl
def configure_web(web):
    web.add(routes)
"""


def test_frames_of_a_websocket_are_answered_as_shown(tmp_path):
    connect = pytest.importorskip("websockets.sync.client").connect
    (tmp_path / "hello.py").write_text(HELLO)
    argv = "-app", str(tmp_path / "hello.py")
    with Server(*argv) as server, connect(f"ws://127.0.0.1:{server.port}/") as socket:
        socket.send("/hello?name=Anna")
        assert socket.recv(10) == '{"hello":"Anna"}'
        socket.send('{"id": 7, "path": "/hello", "query": {"name": "Bert"}}')
        assert socket.recv(10) == '{"id":7,"status":200,"data":{"hello":"Bert"}}'
    assert '// {"hello":"Anna"}' in PAGE
    assert '// {"id":7,"status":200,"data":{"hello":"Bert"}}' in PAGE
