"""What one does wrong on the first day, and what is said about it: enough to put it right.

One row is one mistake. `# here` in its code is the line that has to be named.
"""

from __future__ import annotations

import asyncio
import http.client
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bkjs.app import App
from bkjs.cli import main
from bkjs.errors import BkError
from bkjs.testing.app import make_app
from bkjs.testing.process import Server, command, run
from bkjs.testing.servers import free_port
from bkjs.testing.web import Reply, call
from bkjs.web.server.stall import Stall

APP = """
from bkjs import Param, hookimpl
from bkjs.web import Params, Response, Routes

routes = Routes()


class P(Params):
    n: int = 0


@hookimpl
def tables():
    return {"x": {"id": {"primary": 1, "pub": 1}, "n": {"type": "int", "pub": 1}}}


@hookimpl
def args():
    return [Param("level", "int")]


@hookimpl
def configure_web(web):
    web.add(routes)


"""


def write(folder: Path, code: str, name: str = "library.py", head: str = APP) -> tuple[Path, str]:
    """The file of an application, and the place in it that is marked, as texts have it."""
    file = folder / name
    text = head + code + "\n"
    file.write_text(text)
    marked = [n for n, line in enumerate(text.splitlines(), 1) if line.endswith("# here")]
    return file, f"({file}:{marked[0]})" if marked else ""


# -- told at the start ---------------------------------------------------------------------------

HOOK = "@hookimpl  # here\ndef {}: ..."
ENDPOINT = '@routes.endpoint("/t", {})  # here\n{}: ...'
CALLBACK = "@hookimpl\ndef configure_middleware(web):\n    web.register_pre_process({})  # here"
CLASH = """
from fastapi import APIRouter
router = APIRouter()
@router.get("/{name}")  # here
async def other(name): ...
@routes.endpoint("/{id}", reply=dict)
async def one(req, ): ...
@hookimpl
def configure_middleware(web):
    web.include_router(router)
"""

STARTS = {
    "a hook's name": (HOOK.format("configure_wbe(web)"), "did you mean 'configure_web'?"),
    "a hook's argument": (HOOK.format("configure_module(webb)"), "gets app; not 'webb'"),
    "an argument of another hook": (HOOK.format("configure(app, web)"), "gets app; not 'web'"),
    "an argument of a declaration": (HOOK.format("jobs(app)"), "gets no arguments; not 'app'"),
    "no @hookimpl": (
        "def configure_module(app): ...  # here",
        "'configure_module' needs @hookimpl",
    ),
    "no @hookimpl, arguments wrong": ("def configure_server(x): ...  # here", "needs @hookimpl"),
    "no @hookimpl on a declaration": ("def jobs(): ...  # here", "'jobs' needs @hookimpl"),
    "no @hookimpl on a question": ("def authorize(app, req): ...  # here", "needs @hookimpl"),
    "a setting's name": (
        "@hookimpl\ndef configure(app):\n    app.config.app.levle  # here",
        "no setting 'levle'; did you mean 'level'?",
    ),
    "settings of another owner": (
        "@hookimpl\ndef configure(app):\n    app.config.library.level  # here",
        "no parameters of 'library' are declared, only of accounts, api, app, core, db;"
        " those of a file given with -app are 'app'",
    ),
    "a parameter's type": (
        '@hookimpl\ndef args():\n    return [Param("level", "integer")]  # here',
        "parameter 'level': unknown type 'integer', there are bool, file, int, json, list",
    ),
    "a parameter's default": (
        '@hookimpl\ndef args():\n    return [Param("level", "int", "low")]  # here',
        "parameter 'level': the default 'low' is no number",
    ),
    "a parameter's default beyond its limits": (
        '@hookimpl\ndef args():\n    return [Param("level", "int", 1, min=5)]  # here',
        "parameter 'level': the default 1 is outside of min and max",
    ),
    "no parameter": ('@hookimpl  # here\ndef args(): return ["level"]', "'level' is not a Param"),
    "the table of a verb": (
        'routes.verb("/x/select", "xx", public=True)  # here',
        "endpoint /x/select (FILE): no table 'xx'; did you mean 'x'?",
    ),
    "the table of an endpoint": (
        ENDPOINT.format('table="xx"', "async def t(req)"),
        "endpoint /t (FILE): no table 'xx'; did you mean 'x'?",
    ),
    "the owner of rows": (
        ENDPOINT.format('table="x", owner="m"', "async def t(req)"),
        "endpoint /t (FILE): its tables have no column 'm'",
    ),
    "a column's type": (
        '@hookimpl  # here\ndef tables(): return {"y": {"n": {"type": "integr"}}}',
        "table y: column n: unknown type 'integr'; did you mean 'integer'?",
    ),
    "a column's property": (
        '@hookimpl  # here\ndef tables(): return {"y": {"n": {"typ": "int"}}}',
        "table y: column n: unknown property 'typ'; did you mean 'type'?",
    ),
    "the place of a column in an index": (
        '@hookimpl  # here\ndef tables(): return {"y": {"n": {"index": "yes"}}}',
        "table y: column n: index is 'yes', a number is expected",
    ),
    "a default that is no value": (
        '@hookimpl  # here\ndef tables(): return {"y": {"n": {"type": "int", "value": "many"}}}',
        "table y: column n: the default 'many' is none of its values: a whole number is expected",
    ),
    "a default that is not among its values": (
        '@hookimpl  # here\ndef tables(): return {"y": {"n": {"value": "c", "values": "a,b"}}}',
        "table y: column n: the default 'c' is none of its values",
    ),
    "a date as default that is none": (
        "@hookimpl  # here\n"
        'def tables(): return {"y": {"n": {"type": "timestamp", "value": "soon"}}}',
        "table y: column n: the default 'soon' is none of its values: ",
    ),
    "a column without properties": (
        '@hookimpl  # here\ndef tables(): return {"x": {"n": "int"}}',
        "table x: column n: properties are wanted as {…}",
    ),
    "a verb that takes anything": (
        'routes.verb("/x/add", "x")  # here',
        "/x/add: needs params that name what a client may set",
    ),
    "no such verb": ('routes.verb("/x/sel", "x")  # here', "no verb 'sel'; one of get, select"),
    "an endpoint that says not what it replies": (
        ENDPOINT.format("public=True", "async def t(req)"),
        "give table=, or reply=dict for plain values",
    ),
    "an endpoint without the request": (
        ENDPOINT.format("reply=dict", "async def t()"),
        "/t: the function takes (); it gets the request: (req)",
    ),
    "params= forgotten": (
        ENDPOINT.format("reply=dict", "async def t(req, p)"),
        "/t: the function takes (req, p); without params= it gets the request only",
    ),
    "parameters as FastAPI has them": (
        ENDPOINT.format("reply=dict", "async def t(req, *, q)"),
        "/t: the function takes (req, q); without params= it gets the request only",
    ),
    "params= and nobody takes them": (
        ENDPOINT.format("reply=dict, params=P", "async def t(req)"),
        "/t: the function takes (req); with params= it gets two: (req, params)",
    ),
    "arguments in the wrong order": (
        ENDPOINT.format("reply=dict, params=P", "async def t(p, req)"),
        "/t: the function takes (p, req); it gets the request first: (req, params)",
    ),
    "types in the wrong order": (
        ENDPOINT.format("reply=dict, params=P", "async def t(a: P, b)"),
        "/t: the function takes (a, b); it gets the request first: (req, params)",
    ),
    "parameters as a dictionary": (
        '@routes.endpoint("/t", reply=dict, params={"n": int})  # here\nasync def t(req, p): ...',
        "/t: params= wants a class, as in `class Size(Params): n: int`, not dict",
    ),
    "parameters as an object": (
        '@routes.endpoint("/t", reply=dict, params=P())  # here\nasync def t(req, p): ...',
        "/t: params= wants a class, as in `class Size(Params): n: int`, not P",
    ),
    "another kind of class": (
        "class D: ...\n" + ENDPOINT.format("reply=dict, params=D", "async def t(req, p)"),
        "/t: params= wants a class, as in `class Size(Params): n: int`, not the class D",
    ),
    "parameters of a verb as a dictionary": (
        'routes.verb("/x/add", "x", params={"n": int})  # here',
        "/x/add: params= wants a class",
    ),
    "what a reply holds as a dictionary": (
        ENDPOINT.format('reply={"n": int}', "async def t(req)"),
        "/t: reply= wants a type, as dict, list[Size], not dict",
    ),
    "a table that is no name": (
        ENDPOINT.format("table=5", "async def t(req)"),
        "table= wants the name of a table, not int",
    ),
    "methods that are no names": (
        ENDPOINT.format("reply=dict, methods=5", "async def t(req)"),
        "/t: methods= wants names, not int",
    ),
    "a limit in words": (
        ENDPOINT.format('reply=dict, limit="1M"', "async def t(req)"),
        "/t: limit= wants a number of bytes, not str",
    ),
    "no function": (
        'routes.endpoint("/t", reply=dict)(5)  # here',
        "/t: a function is wanted, not int",
    ),
    "a batch of a list": (
        'routes.batch("/b", ["/x/add"])  # here',
        "/b: each verb wants its path, not list",
    ),
    "web.add of a dictionary": (
        "@hookimpl\ndef configure_middleware(web):\n    web.add({'/t': 1})  # here",
        "web.add() wants Routes, on which endpoints are declared, not dict",
    ),
    "web.include_router of our routes": (
        "@hookimpl\ndef configure_middleware(web):\n    web.include_router(routes)  # here",
        "web.include_router() wants an APIRouter of FastAPI, not Routes",
    ),
    "a folder in the place of a path": (
        "@hookimpl\ndef configure_middleware(web):\n    web.mount_static('/p', None)  # here",
        "web.mount_static() wants a folder after the path, not NoneType",
    ),
    "a callback that is no function": (
        CALLBACK.format('"", "/t", None'),
        "/t: a function is wanted, not NoneType",
    ),
    "a method of a callback that is no name": (
        CALLBACK.format('5, "/t", lambda req, status: None'),
        "the method of a callback wants its name, '' for any, not int",
    ),
    "controls as a list": (
        "@hookimpl\ndef configure_middleware(web):\n"
        "    web.register_control_params(['archive'])  # here",
        'web.register_control_params() wants {"archive": {"type": "bool"}}, not list',
    ),
    "an endpoint that yields": (
        '@routes.endpoint("/t", reply=dict)  # here\nasync def t(req): yield {}',
        "/t: the function is a generator; return stream(req, generator)",
    ),
    "two endpoints": (
        '@routes.endpoint("/t", reply=dict)\nasync def one(req): ...\n'
        + ENDPOINT.format("reply=dict", "async def two(req)"),
        "two endpoints for GET /t: bkjs_file_app.one (",
    ),
    "an endpoint and a route of FastAPI": (
        CLASH,
        "/{name}: a route of FastAPI (FILE) that is never reached: endpoint /{id} (",
    ),
    "a method that is none": (
        ENDPOINT.format('reply=dict, methods=["PSOT"]', "async def t(req)"),
        "/t: no method 'PSOT'; did you mean 'POST'?",
    ),
    "a method of a callback": (
        CALLBACK.format('"ALL", "/t", lambda req, status: None'),
        "/t: no method 'ALL'; '' stands for any",
    ),
    "a path of a callback as others have it": (
        CALLBACK.format('"", "/t/*", lambda req, status: None'),
        "'/t/*' matches no path: it is a path as in /a/b",
    ),
    "method and path of a callback in the wrong order": (
        CALLBACK.format('"/t", "GET", lambda req, status: None'),
        "'GET' matches no path",
    ),
    "a callback that takes too little": (
        CALLBACK.format('"", "/t", lambda req: None'),
        "/t: the function takes (req); it is called with (req, status)",
    ),
    "a column of a verb's parameters": (
        'class Q(Params):\n    m: int\nroutes.verb("/x/add", "x", params=Q)  # here',
        "endpoint /x/add (FILE): Q.m would be lost, in x it is no column",
    ),
    "a hidden column of a verb's parameters": (
        'class Q(Params):\n    h: int\nroutes.verb("/z/add", "z", params=Q)  # here\n'
        '@hookimpl\ndef tables(): return {"z": {"id": {"primary": 1}, "h": {"hidden": 1}}}',
        "endpoint /z/add (FILE): Q.h would be lost, in z it is a hidden column",
    ),
    "a declaration without return": (
        '@hookimpl  # here\ndef tables(): {"y": {}}',
        "failed in tables: TypeError: the hook returned NoneType, not a dict",
    ),
    "app.db too early": (
        "@hookimpl\ndef configure(app):\n    app.db  # here",
        "no service 'db' here: databases are open from configure_module on",
    ),
    "app.web in another place": (
        "@hookimpl\ndef configure_module(app):\n    app.web  # here",
        "no service 'web' here: only processes of the role web have it, from configure_web on",
    ),
    "a table in a hook": (
        '@hookimpl\nasync def configure_module(app):\n    await app.db.select("xx", {})  # here',
        "failed in configure_module: unknown table 'xx'; did you mean 'x'?",
    ),
    "an exception in a hook": (
        "def deep():\n    import json\n    json.loads('{')  # here\n"
        "@hookimpl\ndef configure_module(app):\n    deep()",
        "failed in configure_module: JSONDecodeError: ",
    ),
    "an exception at import": ("1 / 0  # here", "failed in load: ZeroDivisionError: division by"),
    "a syntax error": ("def x(:  # here", "SyntaxError: invalid syntax (/"),
    "an indent": ("def x():\npass  # here", "IndentationError: expected an indented block"),
    "a package that is missing": (
        "import nosuchmodule  # here",
        "and no installed package is called 'nosuchmodule'",
    ),
}


async def refusal(file: Path, *argv: str) -> str:
    """Why an application does not start as a server."""
    home = str(file.parent / "home")
    app = App(role="web", argv=["-home", home, "-app", str(file), "-db-pool", "memory", *argv])
    with pytest.raises(BkError) as caught:
        await app.start()
    return caught.value.message


@pytest.mark.parametrize("cwd", ["", "/"])
@pytest.mark.parametrize("mistake", STARTS)
async def test_told_at_the_start(
    mistake: str, cwd: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, text = STARTS[mistake]
    file, place = write(tmp_path, code)
    monkeypatch.chdir(cwd or tmp_path)  # of which code that is no file must not take the name
    told = await refusal(file)
    assert text.replace("(FILE)", place) in told
    assert place in told


async def test_a_file_without_any_hook(tmp_path: Path) -> None:
    file, _ = write(tmp_path, "x = 1", head="")
    assert "no function in it has @hookimpl, so it does nothing" in await refusal(file)


async def test_no_file(tmp_path: Path) -> None:
    assert f"no such file: {tmp_path}/nothing.py" in await refusal(tmp_path / "nothing.py")


async def test_functions_that_only_share_a_word_with_a_hook_are_no_mistake(tmp_path: Path) -> None:
    code = """
        from json import loads as driver
        @routes.endpoint("/status", reply=dict)
        async def status(req): return {"a": 1}
        @routes.endpoint("/authorize", reply=dict)
        async def authorize(req): return {"b": 1}
        def event(): ...
    """.replace("\n        ", "\n")
    file, _ = write(tmp_path, code)
    async with make_app((), "-app", str(file)) as app:
        assert "status" not in next(
            p.hooks for p in app.plugins.plugins.values() if p.name == "app"
        )


async def test_the_place_is_in_the_code_of_the_plugin_not_below_it(tmp_path: Path) -> None:
    """The deepest frame of its own, also in a file beside it; of what it calls none."""
    (tmp_path / "beside_library.py").write_text("import json\n\ndef read(): json.loads('{')\n")
    file, _ = write(tmp_path, "import beside_library\nbeside_library.read()")
    assert f"({tmp_path / 'beside_library.py'}:3)" in await refusal(file)


async def test_two_plugins_with_one_table(tmp_path: Path) -> None:
    (tmp_path / "modules").mkdir()
    head = "from bkjs import hookimpl\n@hookimpl\n"
    own = 'def tables(): return {"X": {"id": {"primary": 1}, "m": {}}}'
    write(tmp_path / "modules", own, "zoo.py", head)
    file, place = write(tmp_path, "", head=APP.replace("tables():", "tables():  # here"))
    allow = ("-modules-path", str(tmp_path / "modules"), "-allow-modules", "^zoo$")
    told = await refusal(file, *allow)
    assert "plugin 'zoo'" in told
    assert "plugin 'app'" in told
    assert "rename it, or leave its primary key out to add columns to that one" in told
    assert place.partition(":")[0] in told or "zoo.py:" in told

    write(tmp_path / "modules", own.replace('"id": {"primary": 1}, ', ""), "zoo.py", head)
    async with make_app((), "-app", str(file)) as app:
        assert set(app.db.get_columns("x")) == {"id", "n"}


@pytest.mark.parametrize(
    ("tables", "text"),
    [
        ('{"y": {"n": {"type": "int"}}}', "table y has no primary key: its rows are added and"),
        ('{"x y": {"id": {"primary": 1}}}', "table 'x y': a blank in its name is hardly meant"),
    ],
)
async def test_a_table_that_is_hardly_meant(
    tables: str, text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, _ = write(tmp_path, f"@hookimpl\ndef tables(): return {tables}")
    async with make_app((), "-app", str(file)):
        assert text in caplog.text


# -- told when it is called ----------------------------------------------------------------------


def does(line: str, declared: str = "reply=dict") -> str:
    return f'@routes.endpoint("/t", public=True, {declared})\nasync def t(req):\n    {line}  # here'


READS = 'table="x"'
WRITES = 'table="x", writes=True'
TAKES = (
    '@routes.endpoint("/t", public=True, reply=dict, params=P)\n'
    "async def t(req, p): return {'n': p.n}"
)
SELECTS = 'routes.verb("/x/select", "x"); routes.verb("/x/get", "x", public=True)'
DB = "return await req.app.db."
JSON = {"content-type": "application/json"}

ASKED = {
    # mistake: code, body or "", status, what the client is told, what the log says
    "a table": (does(DB + 'select("xx", {})'), "", 400, "unknown table 'xx'; did you", "PLACE"),
    "a column in a query": (
        does(DB + 'select("x", {"nn": 1})', READS),
        "",
        400,
        "x has no column 'nn'; did you mean 'n'?",
        "PLACE",
    ),
    "a column on write": (
        does(DB + 'add("x", {"id": 1, "nn": 1})', WRITES),
        "a=1",
        400,
        "x has no column 'nn'; did you mean 'n'?",
        "PLACE",
    ),
    "a sort column": (
        does(DB + 'select("x", {}, sort="nn")', READS),
        "",
        400,
        "unknown sort column 'nn'; did you mean 'n'?",
        "PLACE",
    ),
    "an operator": (
        does(DB + 'select("x", {"n": 1}, ops={"n": "greater"})', READS),
        "",
        400,
        "n: unknown operator 'greater'",
        "PLACE",
    ),
    "an option": (
        does(DB + 'select("x", {}, sorted="n")', READS),
        "",
        500,
        "",
        "select() got an unexpected option 'sorted'; did you mean 'sort'? PLACE",
    ),
    "a key that is no dict": (
        does(DB + 'get("x", "id1")', READS),
        "",
        400,
        "invalid query: {column: value} is wanted, not str",
        "PLACE",
    ),
    "get without the key": (
        does(DB + 'get("x", {"n": 1})', READS),
        "",
        400,
        "x: id is missing, a column of its key",
        "PLACE",
    ),
    "update without the key": (
        does(DB + 'update("x", {"n": 1})', WRITES),
        "a=1",
        400,
        "x: id is missing, a column of its key",
        "PLACE",
    ),
    "del without the key": (
        does(DB + 'del_("x", {"n": 1})', WRITES),
        "a=1",
        400,
        "x: id is missing, a column of its key",
        "PLACE",
    ),
    "text for a number": (
        does(DB + 'add("x", {"id": "1", "n": "abc"})', WRITES),
        "a=1",
        400,
        "n: a whole number is expected",
        "PLACE",
    ),
    "a write that is not declared": (
        does(DB + 'add("x", {"id": "1"})', READS),
        "a=1",
        500,
        "declare it with writes=True",
        "PLACE",
    ),
    "an exception": (does("1 / 0"), "", 500, "", "500: ZeroDivisionError: division by zero PLACE"),
    "an account on a public path": (
        does("return {'id': req.account['id']}"),
        "",
        500,
        "",
        "500: KeyError: 'id' PLACE",
    ),
    "an exception without words": (does("assert 0"), "", 500, "", "500: AssertionError PLACE"),
    "text": (does("return 'text'"), "", 500, "", "/t: an endpoint returned str; return a dict, a"),
    "a number": (does("return 5"), "", 500, "", "/t: an endpoint returned int; return a dict, a"),
    "a set": (does("return {5}"), "", 500, "", "/t: an endpoint returned set; return a dict, a"),
    "no JSON": (
        does("return {'a': [{'b': 1}, {'b': object()}]}"),
        "",
        500,
        "",
        "a[1].b: a reply cannot hold a object",
    ),
    "no await": (
        does("return asyncio.sleep(0)"),
        "",
        500,
        "",
        "GET /t: 500: TypeError: /t: an endpoint returned a coroutine; is an await missing?",
    ),
    "no await deeper": (
        does("return {'rows': asyncio.sleep(0)}"),
        "",
        500,
        "",
        "rows: a reply cannot hold a coroutine; is an await missing?",
    ),
    "an error of FastAPI": (
        "from fastapi import HTTPException\n" + does("raise HTTPException(418, 'short')"),
        "",
        418,
        "short",
        "",
    ),
    "broken JSON": (TAKES, '{"n":', 400, "Invalid JSON at position 5: unexpected end", ""),
    "a list": (TAKES, "[1]", 400, "Invalid JSON at position 0: an object is expected", ""),
    "a wrong parameter": (TAKES, '{"n": "x"}', 400, "n: Input should be a valid integer", ""),
}


async def ask(app: App, body: str) -> Reply:
    kind = {} if "{" not in body and "[" not in body else JSON
    return await call(app, "/t", body or None, headers=kind)


@pytest.mark.filterwarnings("ignore:coroutine 'sleep' was never awaited")
@pytest.mark.parametrize("mistake", ASKED)
async def test_told_when_it_is_called(
    mistake: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    code, body, status, said, logged = ASKED[mistake]
    file, place = write(tmp_path, "import asyncio\n" + code)
    async with make_app((), "-app", str(file), "-log", "info") as app:
        caplog.clear()
        reply = await ask(app, body)
    assert reply.status == status
    assert said in reply.json()["message"]
    assert logged.replace("PLACE", place) in caplog.text


async def test_a_client_is_told_less_in_production(tmp_path: Path) -> None:
    file, _ = write(tmp_path, does(DB + 'get("x", {"n": 1})', READS))
    async with make_app((), "-app", str(file), "-run-mode", "production") as app:
        assert (await call(app, "/t")).json() == []
        assert (await call(app, "/nothing")).json()["message"] == "No login provided"
        assert (await call(app, "/t/nothing")).status == 417


async def test_json_that_says_not_that_it_is(tmp_path: Path) -> None:
    file, _ = write(tmp_path, TAKES)
    async with make_app((), "-app", str(file)) as app:
        reply = await call(app, "/t", '{"n": 1}', headers={"content-type": "text/plain"})
    assert reply.status == 415
    assert "A body of type 'text/plain' is not read here: send JSON" in reply.json()["message"]


async def test_a_path_of_nothing(tmp_path: Path) -> None:
    file, _ = write(tmp_path, SELECTS)
    async with make_app((), "-app", str(file)) as app:
        told = (await call(app, "/x/selct")).json()
        closed = (await call(app, "/x/select")).json()
    assert told["status"] == 417
    assert "there is no endpoint /x/selct; did you mean '/x/select'?" in told["message"]
    assert closed == {"status": 417, "message": "No login provided"}


SIGNED = {
    "secret": ("4||anna|d2hhdA==|{soon}||", 401, "the digest of the signature is not that of"),
    "login": ("4||nobody|d2hhdA==|{soon}||", 401, "no account has the login of the signature"),
    "version": ("9||anna|d2hhdA==|{soon}||", 401, "no signature has version 9; use 4"),
    "old version": ("1||anna|d2hhdA==|{soon}||", 401, "count with api-compat=v1 only"),
    "fields": ("4|anna|d2hhdA==", 417, "the signature has no seven fields"),
    "clock": ("4||anna|d2hhdA==|1000||", 406, ""),
}


@pytest.mark.parametrize("wrong", SIGNED)
async def test_a_signature(wrong: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text, status, reason = SIGNED[wrong]
    file, _ = write(tmp_path, SELECTS)
    async with make_app((), "-app", str(file), "-log", "info") as app:
        await app.auth.accounts.add(
            {"login": "anna", "name": "Anna", "secret": "a secret of anna's own"}
        )
        soon = int(time.time() * 1000) + 9000
        sent = text.format(soon=soon)
        reply = await call(app, "/x/select", headers={"bk-signature": sent})
    assert reply.status == status
    assert reason in caplog.text
    assert "check your clock, the server time is" in reply.json()["message"] or wrong != "clock"
    assert "d2hhdA" not in caplog.text
    assert "a secret of" not in caplog.text


async def test_a_step_that_holds_up_the_event_loop(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, place = write(tmp_path, "import time\n" + does("time.sleep(0.4); return {}"))
    async with make_app((), "-app", str(file)) as app:
        stall = Stall(0.1)
        stall.start()
        assert (await call(app, "/t")).status == 200
        stall.stop()
        assert "GET /t holds up all others" in caplog.text
        assert f"{place} for more than 0.1 s; await what takes long" in caplog.text
        caplog.clear()
        stall.start()
        await asyncio.sleep(0.3)
        stall.stop()
        assert caplog.text == ""


@pytest.mark.parametrize("mode", ["development", "production"])
async def test_only_who_develops_pays_for_watching(mode: str) -> None:
    async with make_app((), "-run-mode", mode):
        watched = "stall" in [thread.name for thread in threading.enumerate()]
    assert watched is (mode == "development")


# -- told on the command line --------------------------------------------------------------------

PGSQL = ("-db-pool", "pgsql", "-db-pgsql-pool")
WORDS = {
    # mistake: parameters of a server with the file above, which has a parameter `level`; the text
    "a parameter": (("-prot", "1"), "prot=1: unknown parameter; did you mean 'port'?"),
    "a parameter's prefix": (
        ("-library-level", "3"),
        "library-level=3: unknown parameter; did you mean 'app-level'?",
    ),
    "a parameter's value": (("-app-level", "x"), "app-level=x: "),
    "the server of the database": (
        (*PGSQL, "postgresql://127.0.0.1:1/none"),
        "no connection to 127.0.0.1:1/none: Connection refused",
    ),
    "the URL of a database": (
        (*PGSQL, "postgrsql://127.0.0.1:1/none"),
        "a URL of PostgreSQL begins with postgresql://, not postgrsql://",
    ),
    "the URL of another database": (
        ("-db-sqlite-pool", "postgresql://127.0.0.1:1/none"),
        "a URL of SQLite begins with sqlite://, not postgresql://",
    ),
    "the driver": (
        ("-db-nosuch-pool", "nosuch://127.0.0.1:1/none"),
        "no db driver 'nosuch'; if there is one: pip install bkjs-db-nosuch",
    ),
    "the driver's name": (("-db-pool", "postgrsql"), "did you mean 'postgresql'?"),
    "the module": (
        ("-allow-modules", "bk_acounts"),
        "no module 'bk_acounts' is installed; did you mean 'bk_accounts'?",
    ),
}


@pytest.mark.parametrize("mistake", WORDS)
async def test_told_of_the_command_line(mistake: str, tmp_path: Path) -> None:
    argv, text = WORDS[mistake]
    file, _ = write(tmp_path, "")
    assert text in await refusal(file, *argv)


async def test_a_parameter_in_the_file_is_told_with_its_line(tmp_path: Path) -> None:
    config = tmp_path / "home" / "etc" / "config"
    config.parent.mkdir(parents=True)
    config.write_text("port=8001\nprot=1\n")
    file, _ = write(tmp_path, "")
    assert f"{config}:2: prot=1: unknown parameter; did you mean" in await refusal(file)


async def test_a_plugin_that_is_not_allowed_has_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plugins", "-home", str(tmp_path), "-allow-modules", "x[0-9]"]) == 0
    (accounts,) = (li for li in capsys.readouterr().out.splitlines() if "bk_accounts" in li)
    assert "denied" in accounts
    assert "allow-modules is x[0-9]" in accounts


@pytest.mark.process
def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run(tmp_path, "web", "-port", str(taken.getsockname()[1]))
    assert done.returncode == 1
    assert "the port is in use by process" in done.stderr
    assert "choose another with -port" in done.stderr


@pytest.mark.process
def test_the_traceback_of_a_plugin_on_demand(tmp_path: Path) -> None:
    file, _ = write(tmp_path, "@hookimpl\ndef configure_module(app):\n    1 / 0  # here")
    argv = ("web", "-app", str(file), "-db-pool", "memory", "-port", str(free_port()))
    debug = run(tmp_path, *argv, env={"BKJS_DEBUG": "1"})
    assert f'\n  File "{file}", line' in debug.stderr
    assert debug.stderr.count("Traceback") == 1


# -- what a terminal shows -----------------------------------------------------------------------

SEEN = (
    does("1 / 0")
    + '\nroutes.verb("/x/select", "x", public=True)\n'
    + '@routes.endpoint("/none", public=True, reply=dict)\nasync def none(req): ...\n'
)


def asked(port: int, *paths: str) -> None:
    for path in paths:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", path)
        connection.getresponse().read()
        connection.close()


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    import pty

    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)


@pytest.mark.process
def test_a_terminal_shows_who_develops_each_request_and_readable_tracebacks(
    tmp_path: Path, terminal: tuple[int, int]
) -> None:
    file, _ = write(tmp_path, SEEN)
    port = free_port()
    argv = ("web", "-app", str(file), "-home", str(tmp_path / "h"), "-db-pool", "memory")
    ours, theirs = terminal
    process = subprocess.Popen(
        command(*argv, "-bind", "127.0.0.1", "-port", str(port)),
        stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    try:
        while b"administrator" not in shown:
            shown += os.read(ours, 65536)
        asked(port, "/t?secret=hidden", "/x/select?m=1&_count=5", "/none", "/ping")
    finally:
        process.terminate()
        process.wait(20)
    try:
        while more := os.read(ours, 65536):
            shown += more
    except OSError:  # the other end is closed
        pass
    lines = shown.decode().replace("\r", "").split("\n")
    assert "  mode           development" in lines
    assert "  modules        app, bk_accounts" in lines
    assert "Traceback (most recent call last):" in lines
    assert "ZeroDivisionError: division by zero" in lines
    requests = [line for line in lines if line.startswith("GET ")]
    assert [line.split()[1:3] for line in requests] == [
        ["/t", "500"], ["/x/select", "200"], ["/none", "200"], ["/ping", "200"],
    ]  # fmt: skip
    assert requests[1].endswith(" ms | ignored, x has no such column: m")
    assert requests[2].endswith(" ms | nothing was returned, [] is sent")
    assert requests[3].endswith(" ms")
    assert "hidden" not in shown.decode()


@pytest.mark.process
def test_elsewhere_one_event_is_one_line_and_requests_are_not_shown(tmp_path: Path) -> None:
    file, _ = write(tmp_path, does("1 / 0"))
    with Server("-app", str(file), "-db-pool", "memory") as server:
        asked(server.port, "/t")
        server.stop()
        lines = server.output.splitlines()
    (failed,) = (line for line in lines if "ZeroDivisionError" in line)
    assert "ERROR: request " in failed
    assert " \\n   File " in failed
    assert [line for line in lines if line.startswith("GET ")] == []
