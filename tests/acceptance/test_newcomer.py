"""A newcomer, who has README and docs/ and an empty folder, gets to a working application.

One test, since each step stands on those before. What it writes is in `newcomer/`. The environment
has what `pip install` brings and nothing of this repository.
"""

from __future__ import annotations

import csv
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import pytest

from bkjs.testing.servers import free_port
from tests.clean import Clean, call

pytestmark = [pytest.mark.slow, pytest.mark.process]

MATERIAL = Path(__file__).with_name("newcomer")
PATIENCE = 120
"""Seconds that anything may take on a machine that does other things."""
SECRETS = {
    "anna": "the long secret of anna",
    "bert": "the long secret of bert",
    "admin": "a password of an admin",
    "cara": "a password of cara 7",
}
Answer = tuple[int, Any]


class Newcomer:
    """Somebody at a terminal, in the folder `club`, whose server runs in a second one."""

    def __init__(self, clean: Clean, folder: Path) -> None:
        self.desk, self.folder, self.home = folder, folder / "club", folder / "club/home"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = {"PATH": f"{clean.bin}:/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8"}
        self.log = folder / "log"
        self.tokens: dict[str, dict[str, str]] = {}
        self._server: subprocess.Popen[bytes] | None = None

    # -- at the terminal

    def run(
        self, line: str, *, given: str = "", within: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """A command to its end; `given` is its standard input."""
        return subprocess.run(
            shlex.split(line),
            cwd=within or self.folder,
            env=self.env,
            input=given,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def type(self, line: str, *, given: str = "", within: Path | None = None) -> str:
        """What a command that succeeds prints."""
        done = self.run(line, given=given, within=within)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def ask(self, target: str, login: str, data: object = None) -> Answer:
        """A request of an account: `bkjs request`, which signs, gets the token for it."""
        if login not in self.tokens:
            got = json.loads(self.type(f'bkjs request "/auth?_accesstoken=1" -login {login}'))
            self.tokens[login] = {"bk-access-token": got["bk-access-token"]}
        return self.fetch(target, data, **self.tokens[login])

    def fetch(self, target: str, data: object = None, **headers: str) -> Answer:
        """A request as curl would send it."""
        body = None if data is None else json.dumps(data).encode()
        if body:
            headers["content-type"] = "application/json"
        request = urllib.request.Request(self.url + target, body, headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
                return reply.status, json.load(reply)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def configure(self, *lines: str) -> None:
        """Add lines to the configuration, at once."""
        self._write(self.home / "etc/config", "".join(f"{line}\n" for line in lines))

    # -- the second terminal

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    @property
    def starts(self) -> int:
        return self.output.count(f"is ready on {self.url}")

    def serve(self, line: str) -> None:
        before = self.starts
        with self.log.open("ab") as log:
            self._server = subprocess.Popen(
                shlex.split(line),
                cwd=self.folder,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.until(lambda: self.starts > before, "the server is ready")

    def until(self, found: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + PATIENCE
        while not found():
            assert self._server, "no server"
            assert self._server.poll() is None, f"the server has ended:\n{self.output[-4000:]}"
            assert time.monotonic() < end, f"not so in time: {what}\n{self.output[-4000:]}"
            time.sleep(0.05)

    def write(self, part: int) -> None:
        """Write one more part of the application; `-reload` starts it again."""
        before = self.starts
        text = (MATERIAL / "club.py").read_text(encoding="utf-8").split("\n# -- ")[part]
        self._write(self.folder / "club.py", f"\n# -- {text}")
        self.until(lambda: self.starts > before, "the server has started again")

    def _write(self, file: Path, text: str) -> None:
        """As an editor does: nobody sees half a file."""
        new = file.with_suffix(".new")
        new.write_text(file.read_text(encoding="utf-8") + text, encoding="utf-8")
        new.replace(file)

    def end(self, number: int) -> int:
        """Signal the server, as a terminal does all that it started; its exit code."""
        assert self._server
        os.killpg(self._server.pid, number)
        return self._server.wait(PATIENCE)

    def close(self) -> None:
        if self._server and self._server.poll() is None:
            os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait()


@contextmanager
def step(name: str) -> Iterator[None]:
    """A failure says in which step."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"the newcomer's step: {name}")
        raise


def test_from_an_empty_folder_to_a_working_application(
    wheels: Path, tmp_path: Path, request: pytest.FixtureRequest, subtests: pytest.Subtests
) -> None:
    with step("1. install"):
        clean = Clean(tmp_path / "venv", wheels)
        clean.install("bkjs[standard,testing]")
        one = Newcomer(clean, tmp_path / "desk")
        one.desk.mkdir()
        start(one)
    try:
        with step("2. two related tables"):
            tables(one)
        with step("3. a public list: filter, sort, pages"):
            public_list(one)
        with step("4. rows of their owner"):
            owners(one)
        with step("5. a router of FastAPI"):
            router(one)
        with step("6. a live parameter"):
            live_parameter(one)
        with step("7. a test of its own"):
            own_tests(one)
        with step("8. an administrator"):
            administrator(one)
        with step("9. a client of one's own"):
            client(one, tmp_path / "elsewhere")
        with subtests.test("10. sign in from a page"):
            page(one, request.getfixturevalue("chromium"))
        with step("11. the end"):
            assert one.end(signal.SIGTERM) == 0, one.output[-4000:]
            assert "Traceback" not in one.output
            for login, secret in SECRETS.items():
                for written in (secret, quote(secret), quote_plus(secret)):
                    assert written not in one.output, f"the secret of {login} is in the log"
            for login, headers in one.tokens.items():
                assert headers["bk-access-token"] not in one.output, f"the token of {login}"
    finally:
        one.close()


def start(one: Newcomer) -> None:
    """README and docs/tutorial.md: a project, and its home."""
    one.type("bkjs init-app club", within=one.desk)
    assert {file.name for file in one.folder.iterdir()} >= {"club.py", "pyproject.toml"}
    one.env["BKJS_HOME"] = str(one.home)
    (one.home / "etc").mkdir(parents=True)
    (one.home / "etc/config").write_text(f"app=../club.py\nport={one.port}\n")
    (one.folder / "test_club.py").unlink()  # these tell what init-app has written
    (one.folder / "club.py").write_text("")


ARTISTS = {"jm": "Joni Mitchell", "md": "Miles Davis"}
PHONE = "0731 123456"
GENRES = ("folk", "jazz", "rock")
ALBUMS = [
    {
        "id": f"a{number:02}",
        "title": f"Title {number * 7 % 23:02}",
        "genre": GENRES[number % 3],
        "year": 1969 + number % 4,
        "artist": list(ARTISTS)[number % 2],
    }
    for number in range(23)
]


def tables(one: Newcomer) -> None:
    """docs/tutorial.md, 1; docs/howto.md, "Move data"."""
    one._write(
        one.folder / "club.py", (MATERIAL / "club.py").read_text().partition("\n# -- ")[0] + "\n"
    )
    made = one.type("bkjs db tables -db-create-tables").splitlines()
    assert {"artist", "album"} <= set(made)
    for id, name in ARTISTS.items():
        one.type(f"bkjs db put -table artist id {id} name '{name}' phone '{PHONE}'")
    with (one.folder / "albums.csv").open("w", newline="") as file:
        rows = csv.DictWriter(file, [*ALBUMS[0], "paid"])
        rows.writeheader()
        rows.writerows(album | {"paid": "9.80"} for album in ALBUMS)
    one.type("bkjs db import -table album albums.csv")
    stored = [json.loads(line) for line in one.type("bkjs db export -table album").splitlines()]
    assert {row["id"]: row["paid"] for row in stored} == {a["id"]: "9.8" for a in ALBUMS}


def public_list(one: Newcomer) -> None:
    """docs/tutorial.md, 2, 3 and 6; docs/howto.md, "Let clients search"."""
    one.serve("bkjs web -reload -log debug")
    one.write(1)

    def listed(**asked: object) -> dict[str, Any]:
        status, answer = one.fetch(f"/album/select?{urlencode(asked)}")
        assert status == 200, answer
        return answer

    found = listed(genre="jazz", year=1970, _ops="year,gt", _sort="-year,title")
    jazz = [a for a in ALBUMS if a["genre"] == "jazz" and a["year"] > 1970]
    assert found["data"] == sorted(jazz, key=lambda a: (-a["year"], a["title"]))  # no `paid`
    assert found["count"] == len(jazz) > 2

    for order, count in (("genre,-year,title", 5), ("-year", 1), ("year,-id", 22)):
        seen, token, pages = [], "", 0
        while pages == 0 or token:
            answer = listed(_sort=order, _count=count, _start=token)
            seen += answer["data"]
            token, pages = answer.get("next_token", ""), pages + 1
            assert pages <= len(ALBUMS), "the pages have no end"
        wanted = sorted(ALBUMS, key=lambda a: a["id"])
        for name in reversed(order.split(",")):
            wanted.sort(key=lambda a: a[name.lstrip("-")], reverse=name[0] == "-")
        if order == "-year":  # whichever way the key decides between equals
            assert [a["year"] for a in seen] == [a["year"] for a in wanted]
            seen.sort(key=lambda a: a["id"])
            wanted.sort(key=lambda a: a["id"])
        assert seen == wanted, order
        assert pages in (-(-len(ALBUMS) // count), len(ALBUMS) // count + 1)

    whole = one.fetch("/album/whole")[1]
    assert len(whole) == len(ALBUMS)
    for row in whole:
        by = {"id": row["artist"], "name": ARTISTS[row["artist"]]}
        assert row == next(a for a in ALBUMS if a["id"] == row["id"]) | {"by": by}
    status, refused = one.fetch("/album/select?paid=9.8")
    assert (status, refused["field"]) == (400, "paid")
    assert one.fetch("/album/select?_start=nonsense")[0] == 400


def owners(one: Newcomer) -> None:
    """docs/tutorial.md, 4 and 5."""
    one.write(2)
    assert "loan" in one.type("bkjs db tables -db-create-tables").splitlines()
    for login in ("anna", "bert"):
        added = f"bkjs user add -login {login} -name {login.title()} -secret '{SECRETS[login]}'"
        assert json.loads(one.type(added))["login"] == login

    status, loan = one.ask("/loan/add?album=a01", "anna", {"note": "for Sunday", "member": "x"})
    assert (status, loan["note"]) == (200, "for Sunday")
    id = loan["id"]
    assert one.ask(f"/loan/get?id={id}", "anna") == (200, loan)
    assert one.ask("/loan/update", "anna", {"id": id, "note": "for Monday"})[0] == 200
    mine = loan | {"note": "for Monday"}
    assert one.ask("/loan/select", "anna") == (200, {"count": 1, "data": [mine]})

    assert one.ask("/loan/select", "bert") == (200, {"count": 0, "data": []})
    assert one.ask(f"/loan/get?id={id}", "bert")[0] == 404
    assert one.ask("/loan/update", "bert", {"id": id, "note": "mine"})[0] == 404
    assert one.ask("/loan/del", "bert", {"id": id})[0] == 404
    change = {"id": id, "note": "mine"}
    for verb, data in {"get": None, "select": None, "update": change, "del": change}.items():
        status, answer = one.fetch(f"/loan/{verb}?id={id}", data)
        assert (status, answer["message"]) == (417, "No login provided"), verb
    assert one.fetch("/loan/add", {"album": "a02"})[0] == 417
    assert one.ask("/loan/select", "anna") == (200, {"count": 1, "data": [mine]})
    assert one.ask("/loan/del", "anna", {"id": id})[0] == 200
    assert one.ask("/loan/select", "anna") == (200, {"count": 0, "data": []})


def router(one: Newcomer) -> None:
    """docs/endpoints.md, "FastAPI beside it"; docs/howto.md, "Use a FastAPI router"."""
    one.write(3)
    assert one.fetch("/api/me")[0] == 417
    assert one.ask("/api/me", "anna") == (200, {"login": "anna", "name": "Anna"})
    assert one.ask("/api/album/a00", "anna") == (200, {"for": "Anna", **ALBUMS[0]})
    status, answer = one.ask("/api/album/none", "anna")
    assert (status, answer["message"]) == (404, "no such album")


def live_parameter(one: Newcomer) -> None:
    """docs/tutorial.md, 5."""
    starts = one.starts
    for album in ("a01", "a02"):
        assert one.ask("/loan/add", "anna", {"album": album})[0] == 200
    one.configure("app-loans=many")
    one.until(lambda: "configuration not applied" in one.output, "a wrong line is refused")
    file = one.home / "etc/config"
    file.write_text(file.read_text().replace("app-loans=many", "app-loans=2"))

    def obeys() -> bool:
        status, answer = one.ask("/loan/add", "anna", {"album": "a03"})
        if status == 200:  # not yet
            assert one.ask("/loan/del", "anna", {"id": answer["id"]})[0] == 200
        return (status, answer.get("message")) == (400, "bring one back first")

    one.until(obeys, "the running server obeys")
    assert one.starts == starts


def own_tests(one: Newcomer) -> None:
    """docs/testing.md; and that the tests see what is broken."""
    shutil.copy(MATERIAL / "own_tests.py", one.folder / "test_club.py")
    assert "3 passed" in one.type("python -m pytest -q -p no:cacheprovider")
    right, wrong = "if number >= req", "if number > req"
    broken = one.desk / "broken"
    ignore = shutil.ignore_patterns("home", "__pycache__")
    shutil.copytree(one.folder, broken, ignore=ignore)
    text = (broken / "club.py").read_text()
    assert text.count(right) == 1
    (broken / "club.py").write_text(text.replace(right, wrong))
    done = one.run("python -m pytest -q -p no:cacheprovider", within=broken)
    assert done.returncode == 1, done.stdout
    assert "FAILED test_club.py::test_a_member_has_two_loans" in done.stdout
    assert "1 failed, 2 passed" in done.stdout


def administrator(one: Newcomer) -> None:
    """docs/howto.md, "Make the first administrator"; docs/tutorial.md, 8; in production."""
    one.write(4)
    assert one.end(signal.SIGINT) == 0, one.output[-4000:]
    (one.folder / "public").mkdir()
    shutil.copy(MATERIAL / "index.html", one.folder / "public")
    one.configure("run-mode=production", "api-allow-admin=^/album/add$")
    one.type("bkjs config check")
    one.serve("bkjs web -log debug")
    added = "bkjs user add -login admin -type admin -password -"
    assert json.loads(one.type(added, given=f"{SECRETS['admin']}\n"))["login"] == "admin"
    given = {"login": "admin", "password": SECRETS["admin"], "_accesstoken": 1}
    status, answer = one.fetch("/login", given)
    assert status == 200, answer
    one.tokens["admin"] = {"bk-access-token": answer["bk-access-token"]}

    new = {"id": "b1", "title": "Blue", "artist": "jm"}
    status, answer = one.ask("/album/add", "anna", new)
    assert (status, answer["code"]) == (401, "ADMIN")
    assert one.fetch("/album/add", new)[0] == 401
    assert one.fetch("/album/select?id=b1")[1]["count"] == 0
    assert one.ask("/album/add", "admin", new)[0] == 200
    assert one.fetch("/album/select?id=b1")[1]["data"][0]["title"] == "Blue"
    assert one.ask("/openapi.json", "admin")[0] == 200
    assert one.ask("/openapi.json", "anna")[0] == 403


UGLY = "50% & more?/ü+\"<'>|;=\\ #✓ _ops"


def client(one: Newcomer, elsewhere: Path) -> None:
    """docs/signing.md: a program that has nothing of bkjs signs by the text of that page."""
    call(sys.executable, "-m", "venv", "--without-pip", elsewhere)
    python = elsewhere / "bin/python"
    missing = subprocess.run([python, "-I", "-c", "import bkjs"], capture_output=True, text=True)
    assert "No module named 'bkjs'" in missing.stderr

    def send(*asked: dict[str, object], secret: str = SECRETS["bert"]) -> list[Answer]:
        done = subprocess.run(
            [python, "-I", MATERIAL / "client.py"],
            input=json.dumps([{**item, "url": one.url + str(item["url"])} for item in asked]),
            env={"LOGIN": "bert", "SECRET": secret},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return [(status, answer) for status, answer in json.loads(done.stdout)]

    add = {
        "method": "POST",
        "url": "/loan/add?z=1&a=%20&&b",
        "type": "application/json; Charset=UTF-8",
    }
    body = json.dumps({"album": "ä|&=", "note": UGLY}, ensure_ascii=False)
    form = {"method": "POST", "url": "/loan/select", "type": "application/x-www-form-urlencoded"}
    find = [f"/loan/select?{urlencode({'note': UGLY, '_count': 10})}&%61lbum=",
            f"/loan/select?note={quote(UGLY, safe='/?;=')}"]  # fmt: skip
    other = f"{one.url}/loan/select?note=other"
    read = {"method": "GET", "url": find[0]}
    added, again, *found, formed = send(
        add | {"body": body, "twice": 1},
        *({"method": "GET", "url": url} for url in find),
        form | {"body": urlencode({"note": UGLY, "_sort": "album"})},
    )
    assert added[0] == 200, added
    loan = added[1]
    assert (loan["album"], loan["note"]) == ("ä|&=", UGLY)
    assert (again[0], again[1]["code"]) == (406, "REPLAYED")
    for answer in (*found, formed):
        assert answer == (200, {"count": 1, "data": [loan]})

    late, far, tampered, moved, plain = send(
        read | {"ttl": -1000},
        read | {"ttl": 8 * 86_400_000},
        read | {"sent": other},
        add | {"body": body, "sent": f"{one.url}/loan/update?z=1&a=%20&&b"},
        {"method": "GET", "url": "/auth"},
    )
    assert (late[0], late[1]["code"]) == (406, "EXPIRED")
    assert (far[0], far[1]["code"]) == (406, "EXPIRED")
    assert tampered[0] == moved[0] == 401
    assert (plain[0], plain[1]["name"]) == (200, "Bert")
    assert send(read, secret="another long secret")[0][0] == 401


def page(one: Newcomer, chromium: Any) -> None:
    """docs/web-clients.md: a form, a session, a `fetch` that writes, and the end of the session."""
    one.type("bkjs user add -login cara -name Cara -password -", given=f"{SECRETS['cara']}\n")
    context = chromium.new_context()
    context.set_default_timeout(PATIENCE * 1000)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    try:
        page.goto(f"{one.url}/public/index.html")
        page.get_by_label("Login").fill("cara")
        page.get_by_label("Password").fill("not her password")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("status").get_by_text("Not authenticated").wait_for()
        assert page.evaluate("fetch('/auth').then((reply) => reply.status)") == 417

        page.get_by_label("Password").fill(SECRETS["cara"])
        page.get_by_role("button", name="Sign in").click()
        page.get_by_text("Signed in as Cara").wait_for()
        page.get_by_label("Album").fill("<b>Blue</b>")
        page.get_by_role("button", name="Lend").click()
        page.get_by_role("listitem").get_by_text("<b>Blue</b>", exact=True).wait_for()
        page.reload()
        page.get_by_role("listitem").get_by_text("<b>Blue</b>", exact=True).wait_for()
        assert page.evaluate("document.cookie") == ""  # not for scripts
        (cookie,) = context.cookies()

        page.get_by_role("button", name="Sign out").click()
        page.get_by_label("Login").wait_for()
        assert page.evaluate("fetch('/auth').then((reply) => reply.status)") == 417
        used = {"cookie": f"{cookie['name']}={cookie['value']}"}
        assert one.fetch("/loan/select", **used)[0] == 417  # the session, not just the cookie
        assert cookie["value"] not in one.output
        assert errors == []
    finally:
        context.close()
