"""The page about browsers: its example in Chromium and by HTTP, its rules tried one by one."""

import itertools
import json
import re
import subprocess
import time
from pathlib import Path

import pytest

import bkjs_accounts
from bkjs import hookimpl
from bkjs.testing.app import make_app
from bkjs.testing.process import Server
from bkjs.testing.web import HOST, call
from bkjs.web import Routes

PAGE = Path(__file__).with_name("web-clients.md").read_text(encoding="utf-8")
PAGES = Path(__file__).parents[1] / "examples/pages"
ANNA = {"login": "anna", "password": "correct horse"}
PNG = b"\x89PNG\r\n\x1a\n" + b"no picture"


@pytest.fixture(scope="module")
def server():
    argv = ("-app", str(PAGES / "pages.py"), "-db-create-tables")
    with Server(*argv) as server, server.client() as client:
        for login in ("anna", "bert"):
            sent = ANNA | {"login": login, "name": login.title()}
            assert client.post("/account/add", sent).status == 200
        yield server


def form(**parts: str | bytes) -> tuple[bytes, dict[str, str]]:
    lines = []
    for name, value in parts.items():
        file = isinstance(value, bytes)
        kind = '; filename="a.png"\r\ncontent-type: image/png' if file else ""
        head = f'--x\r\ncontent-disposition: form-data; name="{name}"{kind}\r\n\r\n'
        lines.append(head.encode() + (value if file else value.encode()) + b"\r\n")
    return b"".join([*lines, b"--x--\r\n"]), {"content-type": "multipart/form-data; boundary=x"}


def test_the_page_and_what_it_calls_by_http(server):
    with server.client(cookies={}) as client, server.client(cookies={}) as other:
        assert client.get("/public/notes.html").type == "text/html"
        assert client.get("/public/notes.js").type == "text/javascript"
        assert client.get("/auth").status == 417
        assert client.post("/login", ANNA | {"_session": 1}).status == 200
        id = client.post("/note/add", {"text": "Hello"}).json()["id"]
        body, head = form(id=id, photo=PNG)
        assert client.post("/note/photo/put", body, headers=head).json() == {"photo": "image/png"}
        photo = client.get(f"/note/photo?id={id}")
        assert (photo.body, photo.type) == (PNG, "image/png")

        bad, _ = form(id=id, photo=b"<script>")
        assert client.post("/note/photo/put", bad, headers=head).json()["field"] == "photo"
        assert other.post("/login", ANNA | {"login": "bert", "_session": 1}).status == 200
        assert other.get(f"/note/photo?id={id}").status == 404
        assert other.post("/note/photo/put", body, headers=head).status == 404
        assert client.post("/note/del", {"id": id}).status == 200
        assert client.post("/logout", {}).status == 200
        assert client.get("/note/select").status == 417


class Browser:
    """A page of Chromium, over its protocol for developers."""

    def __init__(self, socket: object) -> None:
        self._socket = socket
        self._numbers = itertools.count()
        self._session = ""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]

    def send(self, method: str, **params: object) -> dict:
        id = next(self._numbers)
        extra = {"sessionId": self._session} if self._session else {}
        self._socket.send(json.dumps({"id": id, "method": method, "params": params} | extra))
        while (message := json.loads(self._socket.recv(30))).get("id") != id:
            pass
        assert "error" not in message, message
        return message["result"]

    def run(self, script: str) -> object:
        options = {"awaitPromise": True, "returnByValue": True}
        found = self.send("Runtime.evaluate", expression=script, **options)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def visit(self, url: str) -> None:
        self.send("Page.navigate", url=url)
        self.until(f"location.href == {url!r} && document.readyState == 'complete'")

    def until(self, script: str) -> None:
        """Wait until it is true in the page."""
        end = time.monotonic() + 20
        while not self.run(script):
            assert time.monotonic() < end, (script, self.run("document.body.innerText"))
            time.sleep(0.05)


CHROMIUM = Path("/usr/bin/chromium")
OPTIONS = "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"


@pytest.fixture
def browser(tmp_path):
    if not CHROMIUM.exists():
        pytest.skip("Chromium is not here")
    connect = pytest.importorskip("websockets.sync.client").connect
    folder = f"--user-data-dir={tmp_path}"
    argv = [CHROMIUM, *OPTIONS, folder, "--remote-debugging-port=0", "about:blank"]
    with subprocess.Popen(
        argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            urls = (re.search(r"listening on (ws://\S+)", line) for line in process.stderr)
            with connect(next(url[1] for url in urls if url), max_size=None) as socket:
                yield Browser(socket)
        finally:
            process.terminate()


SIGN_IN = """(() => { const form = document.getElementById("sign-in");
form.login.value = "anna"; form.password.value = "PASSWORD"; form.requestSubmit(); })()"""
ADD = """(() => { const form = document.getElementById("add"); const files = new DataTransfer();
form.text.value = "<b>Milk</b>"; files.items.add(new File([new Uint8Array(PNG)], "x.png"));
form.photo.files = files.files; form.requestSubmit(); })()""".replace("PNG", str(list(PNG)))
FRAMES = """new Promise((done) => {
  const socket = new WebSocket(`ws://${location.host}/`), got = [];
  socket.onmessage = (event) => {
    got.push(JSON.parse(event.data));
    if (got.length == 2) done(got);
  };
  socket.onclose = () => done("closed");
  socket.onopen = () => {
    socket.send(JSON.stringify({ id: 1, path: "/auth" }));
    socket.send(JSON.stringify({ id: 2, path: "/note/select", query: { text: "Milk" } }));
  };
})"""


def test_the_page_in_a_browser(server, browser):
    url = f"http://127.0.0.1:{server.port}"
    browser.visit(f"{url}/public/notes.html")
    browser.until("!document.getElementById('sign-in').hidden")
    browser.run(SIGN_IN.replace("PASSWORD", "wrong horse"))
    browser.until("document.getElementById('message').textContent == 'Not authenticated'")
    browser.run(SIGN_IN.replace("PASSWORD", "correct horse"))
    browser.until("document.getElementById('who').textContent == 'Anna'")
    browser.run(ADD)
    browser.until("document.querySelector('#list li img') !== null")
    assert browser.run("document.querySelector('#list li').textContent") == "<b>Milk</b>"
    assert browser.run("document.cookie") == ""  # HttpOnly

    frames = browser.run(FRAMES)
    assert {frame["id"]: frame["status"] for frame in frames} == {1: 200, 2: 200}

    # the same server under another name is another site: `localhost` is not `127.0.0.1`
    browser.visit(url.replace("127.0.0.1", "localhost") + "/public/notes.html")
    asked = (
        f"fetch('{url}/auth', {{credentials: 'include'}}).then((r) => r.status, () => 'refused')"
    )
    assert browser.run(asked) == "refused"
    assert browser.run(FRAMES.replace("${location.host}", f"127.0.0.1:{server.port}")) == "closed"

    browser.visit(f"{url}/public/notes.html")
    browser.until("!document.getElementById('notes').hidden")
    browser.run("document.getElementById('sign-out').click()")
    browser.until("!document.getElementById('sign-in').hidden")


# -- what counts as our own page -----------------------------------------------------------------

routes = Routes()


@routes.endpoint("/reads", reply=dict)
async def reads(req):
    return {"login": req.account["login"]}


@routes.endpoint("/writes", writes=True, reply=dict)
async def writes(req):
    return {"login": req.account["login"]}


@routes.endpoint("/navigable", navigable=True, methods=["GET"], reply=dict)
async def navigable(req):
    return {"login": req.account["login"]}


class Module:
    name = "origins"

    @staticmethod
    @hookimpl
    def configure_web(web):
        web.add(routes)


def rows() -> list[list[str]]:
    table = PAGE[PAGE.index("| what the browser says |") :].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


async def test_what_counts_as_our_own_page():
    argv = "-api-cors-origin", "https://app.example.com"
    async with make_app([bkjs_accounts, Module()], *argv) as app:
        await bkjs_accounts.service.add(app, ANNA | {"name": "Anna"})
        reply = await call(app, "/login", ANNA | {"_session": 1})
        cookie = {"cookie": reply.headers["set-cookie"].partition(";")[0]}
        assert len(rows()) >= 9
        for said, _, *counts in rows():
            text = ", ".join(re.findall(r"`([^`]+)`", said)).replace("todo.example.com", HOST)
            text = text.replace(f"https://{HOST}", f"http://{HOST}")
            headers = dict(part.split(": ", 1) for part in text.split(", ") if part)
            for path, told in zip(("/reads", "/writes", "/navigable"), counts, strict=True):
                status = (await call(app, path, headers=cookie | headers)).status
                assert (status, told) in ((200, "yes"), (417, "no")), (said, path)
            opened = await call(app, "/login", ANNA | {"_session": 1}, headers=headers)
            assert (opened.status, counts[1]) in ((200, "yes"), (403, "no")), said


async def test_cors_of_a_named_origin_and_of_any_other():
    named, other = {"origin": "https://app.example.com"}, {"origin": "https://other.example"}
    async with make_app([Module()], "-api-cors-origin", named["origin"]) as app:
        ask = {"access-control-request-method": "POST"}
        reply = await call(app, "/reads", method="OPTIONS", headers=named | ask)
        assert reply.headers["access-control-allow-origin"] == named["origin"]
        assert reply.headers["access-control-allow-credentials"] == "true"
        assert "content-type" in reply.headers["access-control-allow-headers"]
        reply = await call(app, "/reads", headers=other)
        assert "access-control-allow-origin" not in reply.headers
