"""The page /docs in a real browser: signing in by each way, trying endpoints, and being usable."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest

from bkjs.testing.process import Server, command

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

PASSWORD, SECRET = "correct horse 9", "a-secret-of-the-tests-1"
PATIENCE = 10_000
"""Milliseconds that the page may take for anything."""

pytestmark = pytest.mark.process


def user(server: Server, word: str, *argv: str) -> None:
    subprocess.run(
        command("user", word, *argv, "-home", str(server.home)), check=True, capture_output=True
    )


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    app = Path(__file__).with_name("docs_app.py")
    with Server("-app", str(app), "-db-create-tables", "-app-name", "library-1.4.2") as server:
        admin = ("-type", "admin", "-name", "Rosalind")
        user(server, "add", "-login", "root", "-password", PASSWORD, *admin)
        user(server, "set", "-login", "root", "-secret", SECRET)
        with server.client() as client:
            client.post("/account/add", {"login": "anna", "name": "anna", "password": PASSWORD})
        yield server


@cache
def session(server: Server) -> str:
    """The cookie of a session that the administrator has opened elsewhere."""
    with server.client() as client:
        given = {"login": "root", "password": PASSWORD, "_session": "1"}
        return SimpleCookie(dict(client.post("/login", given).headers)["set-cookie"])[
            "bk-session"
        ].value


class Page:
    """The page and what it has asked for."""

    def __init__(self, context: Any, server: Server) -> None:
        self.server = server
        self.url = f"http://127.0.0.1:{server.port}"
        context.set_default_timeout(PATIENCE)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.context = context
        self.page = context.new_page()
        self.requests: list[Any] = []
        self.errors: list[str] = []
        self.missing: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("response", lambda r: r.status == 404 and self.missing.append(r.url))
        self.page.on(
            "console",
            lambda m: "Content Security" in m.text and self.errors.append(m.text),
        )

    def open(self, path: str = "") -> Any:
        """Load the page, or go to an endpoint of it; its box when there is a path."""
        self.page.goto(f"{self.url}/docs" + (f"#{path}" if path else ""))
        if not path:
            return None
        box = self.box(path)
        box.locator("form").wait_for()
        return box

    def box(self, path: str) -> Any:
        return self.page.locator(f'details[id="{path}"]')

    def sign_in(self, how: str, **values: str) -> None:
        self.page.locator("#account").click()
        dialog = self.page.get_by_role("dialog", name="Sign in")
        dialog.get_by_text(
            {"session": "Password", "secret": "Secret", "token": "Token"}[how], exact=True
        ).first.click()
        for name, value in values.items():
            dialog.locator(f"input[name={name}]").fill(value)
        dialog.get_by_role("button", name="Sign in").click()

    def as_root(self, how: str = "") -> None:
        """Be the administrator: without signing in, unless `how` says by what."""
        if not how:
            self.context.add_cookies(
                [{"name": "bk-session", "value": session(self.server), "url": self.url}]
            )
        self.open()
        if how:
            given = {"session": {"password": PASSWORD}, "secret": {"secret": SECRET}}[how]
            self.sign_in(how, login="root", **given)
        self.page.locator(".endpoint").first.wait_for()

    def send(self, box: Any) -> tuple[str, Any]:
        """Send a form: the line about the reply, and the reply itself."""
        before = len(self.requests)
        box.get_by_role("button", name="Send").click()
        box.locator(".answer b").wait_for()
        assert len(self.requests) > before
        text = box.locator(".answer > pre").inner_text()
        return box.locator(".answer b").inner_text(), json.loads(text)

    def fill(self, box: Any, **values: str) -> None:
        for name, value in values.items():
            box.get_by_label(name, exact=True).or_(
                box.locator(
                    ".field", has=self.page.locator(f"label code:text-is('{name}')")
                ).locator("input, .input > select:last-child")
            ).first.fill(value)

    def last(self, path: str) -> Any:
        return next(r for r in reversed(self.requests) if r.url.split("?")[0].endswith(path))


@pytest.fixture
def page(chromium: Any, server: Server) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    found = Page(context, server)
    yield found
    urls = [request.url for request in found.requests]
    context.close()
    assert not found.errors
    assert not found.missing
    for secret in (PASSWORD, PASSWORD.replace(" ", "+"), PASSWORD.replace(" ", "%20"), SECRET):
        assert not [url for url in urls if secret in url]


# -- who calls ----------------------------------------------------------------------------------


def test_a_session_lasts_when_the_page_is_reloaded(page: Page) -> None:
    page.as_root("session")
    assert page.page.locator("#title").inner_text() == "library"
    page.page.reload()

    out = page.page.get_by_role("button", name="Sign out")
    out.wait_for()
    assert page.page.locator("#who").inner_text() == "Rosalind"
    page.page.locator(".endpoint").first.wait_for()
    out.click()
    page.page.get_by_text("Sign in as an administrator").wait_for()
    assert page.page.locator(".endpoint").count() == 0
    page.page.reload()
    page.page.get_by_text("Sign in as an administrator").wait_for()


def test_who_is_no_administrator_is_told_so_and_may_sign_out(page: Page) -> None:
    page.open()
    page.sign_in("session", login="anna", password=PASSWORD)
    page.page.get_by_text("anna, who is no administrator").wait_for()
    page.page.reload()
    page.page.get_by_text("anna, who is no administrator").wait_for()
    page.page.get_by_role("button", name="Sign out").click()
    page.page.get_by_text("Sign in as an administrator").wait_for()


def test_wrong_credentials_are_told_in_the_dialog(page: Page) -> None:
    page.open()
    dialog = page.page.get_by_role("dialog", name="Sign in")
    for how, name in (("session", "password"), ("secret", "secret")):
        page.sign_in(how, login="root", **{name: "wrong horse 9"})
        dialog.get_by_text("Not authenticated").wait_for()
        page.page.keyboard.press("Escape")
        assert not dialog.is_visible()
    page.page.get_by_role("button", name="Sign in").first.wait_for()


def test_a_secret_signs_requests_and_stays_in_memory(page: Page) -> None:
    page.as_root("secret")
    box = page.open("/mine/add")
    page.fill(box, title="Signed %+ü")
    status, reply = page.send(box)

    assert status == "200 OK"
    assert reply["title"] == "Signed %+ü"
    headers = page.last("/mine/add").all_headers()
    assert headers["bk-signature"].startswith("4||root|")
    assert "cookie" not in headers
    assert not page.context.cookies()
    box = page.open("/mine/select")
    page.fill(box, title="a b&c=d+ü%'()*~", year="7", note="out of order")
    assert page.send(box)[0] == "200 OK"
    stored = page.page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    assert SECRET not in stored
    page.page.reload()
    page.page.get_by_text("Sign in as an administrator").wait_for()


def test_a_token_is_sent_with_requests(page: Page, server: Server) -> None:
    with server.client() as client:
        given = {"login": "root", "password": PASSWORD, "_accesstoken": "1"}
        token = client.post("/login", given).json()["bk-access-token"]
    page.open()
    page.sign_in("token", token=token)
    page.page.locator(".endpoint").first.wait_for()
    box = page.open("/auth")
    assert page.send(box)[1]["login"] == "root"
    assert page.last("/auth").all_headers()["bk-access-token"] == token


# -- the form -----------------------------------------------------------------------------------


def test_an_endpoint_that_writes_is_sent_by_post(page: Page) -> None:
    page.as_root()
    box = page.open("/mine/add")
    assert box.get_by_role("radio", name="POST").is_checked()
    page.fill(box, title="Moby Dick", year="1851", note="long")
    status, reply = page.send(box)

    assert status == "200 OK"
    assert reply["year"] == 1851
    assert page.last("/mine/add").method == "POST"
    assert page.last("/mine/add").post_data_json == {
        "title": "Moby Dick",
        "year": 1851,
        "note": "long",
    }


def test_rows_are_found_by_operators_and_paged(page: Page) -> None:
    page.as_root()
    with page.server.client("root", SECRET) as client:
        for number in range(3):
            client.post("/mine/add", {"title": f"Paged {number}", "year": f"{1700 + number}"})
    box = page.open("/mine/select")
    page.fill(box, title="Paged")
    box.get_by_label("Operator for title").select_option("begins_with")
    box.get_by_text("Controls and other parameters").click()
    page.fill(box, _count="2", _sort="year")
    _, reply = page.send(box)
    assert [row["year"] for row in reply["data"]] == [1700, 1701]

    box.get_by_role("button", name="Next page").click()
    box.locator(".answer > pre", has_text="1702").wait_for()
    assert box.get_by_label("_start").input_value() == reply["next_token"]


def test_what_was_typed_stays_when_the_method_changes(page: Page) -> None:
    page.as_root()
    box = page.open("/mine/add")
    page.fill(box, title="Kept", note="also")
    box.get_by_text("GET", exact=True).last.click()
    assert box.get_by_label("title").input_value() == "Kept"
    box.get_by_text("POST", exact=True).last.click()
    assert box.get_by_label("note").input_value() == "also"


def test_a_secret_is_never_in_a_url(page: Page) -> None:
    page.as_root()
    box = page.open("/desk/check")
    password = box.locator("input[type=password]")
    assert password.is_disabled()
    box.get_by_text("POST", exact=True).last.click()
    page.fill(box, name="n")
    password.fill(PASSWORD)
    assert page.send(box)[1] == {"name": "n", "length": len(PASSWORD)}
    box.get_by_text("GET", exact=True).last.click()
    box.get_by_text("Other parameters", exact=True).click()
    box.get_by_label("other parameters", exact=True).fill(f"password={PASSWORD}")
    box.get_by_role("button", name="Send").click()
    assert "choose POST" in box.locator(".field .wrong").inner_text()
    assert page.last("/desk/check").method == "POST"  # nothing was sent since


def test_a_wrong_value_is_marked_at_its_field(page: Page) -> None:
    page.as_root()
    box = page.open("/mine/add")
    assert box.get_by_text("required").count() == 1
    page.fill(box, title="T", year="many")
    status, reply = page.send(box)

    assert status == "400 Bad Request"
    year = box.get_by_label("year", exact=True)
    assert year.get_attribute("aria-invalid") == "true"
    assert box.locator(".field .wrong").inner_text() == reply["message"]
    assert year.evaluate("node => node === document.activeElement")
    year.fill("1999")
    assert year.get_attribute("aria-invalid") is None


def test_what_is_missing_is_marked_too(page: Page) -> None:
    page.as_root()
    box = page.open("/mine/add")
    page.send(box)
    assert box.get_by_label("title").get_attribute("aria-invalid") == "true"
    shelf = page.open("/shelf/{number}/book/{title}")
    shelf.get_by_role("button", name="Send").click()
    assert shelf.get_by_label("number").get_attribute("aria-invalid") == "true"
    page.fill(shelf, number="7", title="ü {x}?")
    assert page.send(shelf)[1] == {"number": "7", "title": "ü {x}?"}


def test_the_reply_is_described(page: Page) -> None:
    page.as_root()
    box = page.open("/mine/select")
    assert "shelfmark" not in box.inner_text()
    assert box.locator(".reply dt").all_inner_texts()[:3] == ["id", "title", "year"]
    box.get_by_text("Example", exact=True).click()
    assert (
        json.loads(box.get_by_label("Example of a reply").inner_text())["data"][0]["kind"]
        == "novel"
    )
    box.get_by_text("Errors", exact=True).click()
    assert "417" in box.locator(".reply dt").all_inner_texts()


# -- as code ------------------------------------------------------------------------------------

RUN = {
    "curl": ["bash", "-eu", "-c"],
    "Python": [sys.executable, "-c"],
    "JavaScript": ["node", "--input-type=module", "-e"],
}
LANGUAGES = [language for language in RUN if shutil.which(RUN[language][0])]
"""Those whose programs are here."""
TITLE = 'Code\'s "%" \\ ü & $HOME `x`'


def run(language: str, code: str, folder: Path, **env: str) -> str:
    done = subprocess.run(
        [*RUN[language], code],
        env={**os.environ, **env},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stderr}\n{code}"
    return done.stdout


def copied(page: Page, box: Any, language: str) -> str:
    box.get_by_text(language, exact=True).click()
    box.get_by_role("button", name="Copy").click()
    box.get_by_role("button", name="Copied").wait_for()
    code: str = page.page.evaluate("navigator.clipboard.readText()")
    assert code.replace("\r", "") == box.get_by_label("The request as code").inner_text()
    return code


def test_signed_requests_are_copied_as_code_that_works(page: Page, tmp_path: Path) -> None:
    page.as_root("secret")
    env = {"BKJS_LOGIN": "root", "BKJS_SECRET": SECRET}
    for path in ("/mine/add", "/mine/select"):
        box = page.open(path)
        more = {"note": "out of order"} if path == "/mine/select" else {}
        page.fill(box, title=TITLE, year="1984", **more)
        box.get_by_text("As code").click()
        for language in LANGUAGES:
            code = copied(page, box, language)
            assert SECRET not in code
            said = run(language, code, tmp_path, **env)
            wanted = '"count":0' if more else json.dumps(TITLE, ensure_ascii=False)
            assert wanted in said, language
    if missing := set(RUN) - set(LANGUAGES):
        pytest.skip(f"not run, for their programs are not here: {', '.join(missing)}")


def test_requests_of_a_session_are_copied_as_code_that_works(page: Page, tmp_path: Path) -> None:
    page.as_root()
    box = page.open("/mine/add")
    page.fill(box, title=TITLE)
    box.get_by_text("As code").click()
    for language in (name for name in LANGUAGES if name != "JavaScript"):  # that is for a page
        code = copied(page, box, language)
        assert PASSWORD not in code
        written = run(language, code, tmp_path, BKJS_LOGIN="root", BKJS_PASSWORD=PASSWORD)
        assert json.dumps(TITLE, ensure_ascii=False) in written


def test_no_secret_of_a_form_is_in_the_code(page: Page) -> None:
    page.as_root()
    box = page.open("/desk/check")
    box.get_by_text("POST", exact=True).last.click()
    page.fill(box, name="n")
    box.locator("input[type=password]").fill(PASSWORD)
    box.get_by_text("As code").click()
    assert "YOUR_PASSWORD" in copied(page, box, "curl")
    assert PASSWORD not in box.get_by_label("The request as code").inner_text()


# -- history ------------------------------------------------------------------------------------


def test_the_last_requests_come_back_without_secrets(page: Page) -> None:
    page.as_root("session")
    box = page.open("/desk/check")
    box.get_by_text("POST", exact=True).last.click()
    page.fill(box, name="remembered")
    box.locator("input[type=password]").fill(PASSWORD)
    page.send(box)
    page.page.reload()
    page.page.locator(".endpoint").first.wait_for()
    page.page.get_by_role("button", name="History").click()
    history = page.page.get_by_role("dialog", name="History")
    history.get_by_role("button", name="/desk/check").click()

    box = page.box("/desk/check")
    assert box.get_by_label("name").input_value() == "remembered"
    assert box.get_by_role("radio", name="POST").is_checked()
    assert box.locator("input[type=password]").input_value() == ""
    assert PASSWORD not in page.page.evaluate("JSON.stringify({...sessionStorage})")
    page.page.get_by_role("button", name="Sign out").click()
    page.page.get_by_text("Sign in as an administrator").wait_for()
    assert json.loads(page.page.evaluate("sessionStorage.getItem('bkjs-docs-history')")) == []


def test_the_history_is_bounded(page: Page) -> None:
    page.as_root()
    box = page.open("/desk/check")
    page.fill(box, name="x" * 600)
    page.page.evaluate(
        """sessionStorage.setItem("bkjs-docs-history", JSON.stringify(
            Array(30).fill({at: 1, method: "GET", path: "/old", status: 200, values: {a: "b"}})))"""
    )
    page.send(box)
    kept = json.loads(page.page.evaluate("sessionStorage.getItem('bkjs-docs-history')"))
    assert len(kept) == 30
    assert (kept[0]["path"], kept[0]["values"]) == ("/desk/check", {})


# -- the page -----------------------------------------------------------------------------------


def test_enter_opens_the_only_hit(page: Page) -> None:
    page.as_root()
    page.page.keyboard.press("/")
    page.page.keyboard.type("desk")
    page.page.keyboard.press("Enter")
    page.box("/desk/check").locator("form").wait_for()
    assert page.page.evaluate("document.activeElement.parentElement.id") == "/desk/check"
    page.page.locator("#filter").fill("/mine")
    page.page.keyboard.press("ArrowDown")
    page.page.keyboard.press("ArrowDown")
    assert page.page.evaluate("document.activeElement.parentElement.id") == "/mine/add"


def test_the_document_can_be_had(page: Page) -> None:
    page.as_root("secret")
    with page.page.expect_download() as download:
        page.page.get_by_role("link", name="openapi.json").click()
    assert "/mine/add" in json.loads(Path(download.value.path()).read_text())["paths"]


def test_the_theme_is_kept(page: Page) -> None:
    page.open()
    back = "getComputedStyle(document.body).backgroundColor"
    light = page.page.evaluate(back)
    button = page.page.get_by_role("button", name="Theme")
    button.click()
    assert page.page.evaluate(back) == light
    button.click()
    dark = page.page.evaluate(back)
    assert dark != light
    page.page.reload()
    assert page.page.evaluate(back) == dark
    page.page.get_by_role("button", name="Theme: dark").wait_for()


LOOKS = [(theme, width) for theme in ("light", "dark") for width in (1280, 320)]


def test_everybody_can_use_it(page: Page) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not here")

    def look(where: str, looks: list[tuple[Any, int]]) -> None:
        for theme, width in looks:
            page.page.set_viewport_size({"width": width, "height": 800})
            page.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            found = axe.Axe().run(page.page, options={"resultTypes": ["violations"]})
            wrong = [
                (rule["id"], [node["html"][:200] for node in rule["nodes"]])
                for rule in found.response["violations"]
            ]
            assert not wrong, f"{where}, {theme}, {width}: {wrong}"
            assert page.page.evaluate("document.documentElement.scrollWidth") <= width, where

    page.open()
    page.page.get_by_text("Sign in as an administrator").wait_for()
    page.page.locator("#account").click()
    look("signing in", LOOKS[::3])
    page.as_root()
    page.page.get_by_text("How to call this API").click()
    look("signed in", LOOKS[:1])
    for path, looks in (("/mine/select", LOOKS[3:]), ("/mine/add", LOOKS)):
        page.page.locator("#filter").fill(path)
        page.page.keyboard.press("Enter")
        box = page.box(path)
        box.locator("form").wait_for()
        for word in box.locator("details > summary").all():
            if not word.locator("..").evaluate("node => node.open"):
                word.click()
        if path == "/mine/add":
            page.fill(box, title="t", year="wrong")
        page.send(box)
        box.get_by_text("Example", exact=True).click()
        look(path, looks)
    page.page.get_by_role("button", name="History").click()
    look("history", LOOKS[1:3])
