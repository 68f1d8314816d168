"""What `reply=` declares besides `dict` lets no rows out either."""

from __future__ import annotations

import pytest

from bkjs.testing.process import Server

pytestmark = pytest.mark.process

APP = """
from dataclasses import dataclass
from typing import Annotated, Any
from pydantic import BaseModel, ConfigDict
from bkjs import hookimpl
from bkjs.web import Routes

routes = Routes()

class Anything(BaseModel):
    rows: Any = None

class Dicts(BaseModel):
    rows: list[dict]

class Row(BaseModel):
    model_config = ConfigDict(extra="allow")
    id: str

@dataclass
class Data:
    rows: list

KINDS = {
    "optional": (dict | None, lambda rows: {"rows": rows}),
    "list": (list[dict] | None, lambda rows: rows),
    "either": (list | dict, lambda rows: rows),
    "annotated": (Annotated[dict, "x"], lambda rows: {"rows": rows}),
    "anything": (Anything, lambda rows: {"rows": rows}),
    "dicts": (Dicts, lambda rows: {"rows": rows}),
    "data": (Data, lambda rows: {"rows": rows}),
    "plain": (dict, lambda rows: {"rows": rows}),
}

def declare(name, kind, make):
    @routes.endpoint("/" + name, public=True, reply=kind)
    async def fn(req):
        return make(await req.app.db.select("note", {}))

for name, (kind, make) in KINDS.items():
    declare(name, kind, make)

@routes.endpoint("/fill", public=True, writes=True, reply=dict)
async def fill(req):
    await req.app.db.put("note", {"id": "1", "pin": "PLANTED"})
    return {}

@hookimpl
def tables():
    return {"note": {"id": {"primary": 1, "pub": 1}, "pin": {"secure": 1}}}

@hookimpl
def configure_web(web):
    web.add(routes)
"""
KINDS = ("optional", "list", "either", "annotated", "anything", "dicts", "data", "plain")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    file = tmp_path_factory.mktemp("replies") / "app.py"
    file.write_text(APP)
    with Server("-app", str(file), "-db-create-tables") as running:
        with running.client() as client:
            assert client.post("/fill", {}).status == 200
        yield running


@pytest.mark.parametrize("kind", KINDS)
def test_rows_do_not_leave_through_a_type(server: Server, kind: str):
    """They are what the database gave: `reply=dict` knows them, so all others have to."""
    with server.client() as client:
        reply = client.get(f"/{kind}")
    assert "PLANTED" not in reply.text
