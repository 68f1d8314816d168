"""What is wrong at start is said in one clear line, and a database may go away and come back."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bkjs.testing import servers
from bkjs.testing.client import Client
from bkjs.testing.process import Server, command, run

pytestmark = pytest.mark.process
PLUGINS = Path(__file__).with_name("plugins")


def failed(server: Server) -> str:
    """The output of a start that must fail by itself."""
    server.spawn()
    try:
        assert server.wait() not in (0, -9, -15)
        return server.output
    finally:
        server.close()


def clear(text: str, *words: str) -> None:
    assert "Traceback" not in text, text
    for word in words:
        assert word in text, text


def configured(home: Path, text: str) -> Path:
    (home / "etc").mkdir(parents=True, exist_ok=True)
    path = home / "etc" / "config"
    path.write_text(text)
    return path


# -- configuration ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("portt=8000", ["portt", "port"]),
        ("port=many", ["port", "many"]),
        ("api-no-sesion=1", ["api-no-sesion", "api-no-session"]),
        ("umask=0o9", ["umask", "octal"]),
        ("db-pool=nosuch", ["nosuch"]),
        ("api-allow-path=^/(", ["api-allow-path"]),
        ("db-nosuch-pool=x://y", ["nosuch"]),
    ],
)
def test_a_wrong_line_stops_the_start_and_is_named(tmp_path: Path, line: str, words: list[str]):
    configured(tmp_path, f"# settings\n{line}\n")
    text = failed(Server(home=tmp_path))
    clear(text, *words)
    if not line.startswith("db-"):
        clear(text, "config:2")
        checked = run(tmp_path, "config", "check")
        assert checked.returncode != 0
        clear(checked.stdout + checked.stderr, *words, "config:2")


def test_every_error_of_a_file_is_told_at_once(tmp_path: Path):
    configured(tmp_path, "portt=1\nport=many\nlogg=debug\n")
    clear(failed(Server(home=tmp_path)), "config:1", "config:2", "config:3")


def test_an_unknown_parameter_of_the_command_line_is_named(tmp_path: Path):
    clear(failed(Server("-no-such-thing", "1", home=tmp_path)), "no-such-thing", "command line")


def test_a_secret_in_a_wrong_line_is_not_printed(tmp_path: Path):
    configured(tmp_path, "api-session-secrett=planted-config-secret\n")
    text = failed(Server(home=tmp_path))
    clear(text, "api-session-secrett")
    assert "planted-config-secret" not in text


# -- home and port ---------------------------------------------------------------------------------


def unprivileged() -> list[str]:
    """A prefix that takes away root's right to write anywhere."""
    if os.geteuid() != 0:
        return []
    if not shutil.which("setpriv"):
        pytest.skip("as root this needs setpriv")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"]


@pytest.mark.parametrize("parent", [True, False], ids=["cannot be made", "cannot be written"])
def test_a_read_only_home_is_named(tmp_path: Path, parent: bool):
    prefix = unprivileged()
    home = tmp_path / "home"
    closed = tmp_path if parent else home
    home.mkdir(exist_ok=True) if not parent else None
    closed.chmod(0o555)
    try:
        clear(failed(Server(home=home, prefix=prefix)), str(home))
    finally:
        closed.chmod(0o755)


def test_a_port_in_use_is_named(tmp_path: Path):
    with Server(home=tmp_path / "one") as first:
        text = failed(Server(home=tmp_path / "two", port=first.port))
        clear(text, str(first.port))
        with first.client() as client:
            assert client.get("/ping").status == 200


def test_a_second_server_on_one_home_says_who_holds_it(tmp_path: Path):
    with Server(home=tmp_path) as first:
        clear(failed(Server(home=tmp_path)), str(first.pid), str(tmp_path))
        with first.client() as client:
            assert client.get("/ping").status == 200
    with Server(home=tmp_path) as after, after.client() as client:
        assert client.get("/ping").status == 200


def test_a_home_is_free_again_after_a_crash(tmp_path: Path):
    with Server(home=tmp_path) as first:
        first.kill()
    with Server(home=tmp_path) as after, after.client() as client:
        assert client.get("/ping").status == 200


def test_the_server_ends_with_0_when_asked(tmp_path: Path):
    with Server(home=tmp_path) as server:
        assert server.stop() == 0
        clear(server.output)


def test_keys_are_made_for_the_owner_only(tmp_path: Path):
    with Server(home=tmp_path):
        keys = [path for path in (tmp_path / "etc").rglob("*") if "key" in path.name]
        files = [path for key in keys for path in ([key] if key.is_file() else key.rglob("*"))]
        assert files
        assert {path.stat().st_mode & 0o077 for path in files} == {0}


def test_a_table_that_was_never_made_says_how_to_make_it(tmp_path: Path):
    done = run(tmp_path, "db", "select", "-table", "bk_account")
    assert done.returncode == 1
    clear(done.stderr, "bk_account", "-db-create-tables")


def test_an_unknown_command_is_named():
    done = subprocess.run(command("dbb"), capture_output=True, text=True, timeout=20)
    assert done.returncode == 2
    clear(done.stderr, "dbb")


# -- a database that goes away ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def database() -> Iterator[servers.Postgres]:
    try:
        made = servers.Postgres()
    except servers.NotHere as reason:
        pytest.skip(f"PostgreSQL: {reason}")
    try:
        made.start()
        yield made
    finally:
        made.remove()


PASSWORD = "planted-database-password"


def parameters(database: servers.Postgres) -> list[str]:
    url = database.url.replace("postgres@", f"postgres:{PASSWORD}@")
    made = ["-db-pool", "pgsql", "-db-pgsql-pool", url, "-modules-path", str(PLUGINS)]
    return [*made, "-allow-modules", "^(bk_accounts|city)$"]


def test_a_database_that_is_not_there_at_start_is_named_without_its_password(
    tmp_path: Path, database: servers.Postgres
):
    database.stop()
    try:
        text = failed(Server(*parameters(database), "-db-create-tables", home=tmp_path))
    finally:
        database.start()
    clear(text, "pgsql", str(database.port))
    assert PASSWORD not in text


def test_a_database_may_go_away_and_come_back(tmp_path: Path, database: servers.Postgres):
    arguments = parameters(database)
    with Server(*arguments, "-db-create-tables", "-log", "debug", home=tmp_path) as server:
        person = ["-login", "ann", "-secret", "the-secret-of-ann", "-name", "Ann"]
        assert run(tmp_path, "user", "add", *person, *arguments).returncode == 0
        with server.client("ann", "the-secret-of-ann") as ann:
            acknowledged = add(ann, range(1, 50))
            database.stop(immediate=True)
            for number in range(3):
                reply = ann.get("/city/get?geonameid=1")
                assert reply.status == 503, (number, reply.text)
                assert int(reply.header("retry-after")) > 0
                assert PASSWORD not in reply.text
                assert "asyncpg" not in reply.text
            acknowledged += add(ann, range(50, 60))
            with server.client() as client:
                assert client.get("/ping").status == 200
            database.start()
            acknowledged += add(ann, range(60, 100))
            assert acknowledged[-40:] == list(range(60, 100))
            assert all(ann.get(f"/city/get?geonameid={n}").status == 200 for n in acknowledged)
            total = ann.get("/city/select?_total=1").json()["count"]
            assert total == len(acknowledged)
        assert PASSWORD not in server.output
        assert "Traceback" not in server.output


def add(client: Client, numbers: range) -> list[int]:
    """Add cities; the keys of those that were acknowledged. The others must be 503."""
    done = []
    for number in numbers:
        reply = client.post("/city/add", {"geonameid": number, "name": f"City {number}"})
        assert reply.status in (200, 503), reply.text
        if reply.status == 200:
            done.append(number)
    return done


def test_a_test_server_whose_port_another_one_took_starts_on_the_next(tmp_path: Path):
    with Server(home=tmp_path / "one") as first:
        second = Server(home=tmp_path / "two")
        second.port = first.port
        with second, second.client() as client:
            assert second.port != first.port
            assert client.get("/ping").status == 200
