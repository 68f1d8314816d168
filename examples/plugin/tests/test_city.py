"""The plugin installed in a server of its own, as its clients see it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from bkjs.testing.client import Client
from bkjs.testing.process import Server, run

MODULES = ("-allow-modules", "acme_city")
LARGE = ("-acme-city-min-population", "3000000")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    home = tmp_path_factory.mktemp("home")
    done = run(home, "acme-city-load", *MODULES, *LARGE)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) > 50
    with Server(*MODULES, home=home) as server, server.client() as client:
        yield client


def select(client: Client, query: str) -> dict[str, Any]:
    reply = client.get(f"/city/select?{query}")
    assert reply.status == 200, reply.text
    page: dict[str, Any] = reply.json()
    return page


def test_one_city(client: Client) -> None:
    city = client.get("/city/get?id=1850147").json()
    assert (city["name"], city["country"]) == ("Tokyo", "JP")
    assert city["population"] > 3_000_000
    assert round(city["latitude"]) == 36


def test_columns_that_are_not_public_stay_inside(client: Client) -> None:
    assert "mtime" not in client.get("/city/get?id=1850147").json()
    assert all("mtime" not in city for city in select(client, "country=JP")["data"])


def test_pages_follow_each_other_in_order(client: Client) -> None:
    seen: list[dict[str, Any]] = []
    query = "_sort=population&_desc=1&_count=20&population=1&_ops=population,gt"
    page = select(client, query)
    while True:
        seen += page["data"]
        if "next_token" not in page:
            break
        page = select(client, f"{query}&_start={page['next_token']}")
    assert len(seen) > 50
    assert len({city["id"] for city in seen}) == len(seen)
    sizes = [city["population"] for city in seen]
    assert sizes == sorted(sizes, reverse=True)


def test_cities_are_found_by_country_and_by_the_beginning_of_the_name(client: Client) -> None:
    assert {city["country"] for city in select(client, "country=IN")["data"]} == {"IN"}
    found = select(client, "name=To&_ops=name,begins_with")["data"]
    assert "Tokyo" in {city["name"] for city in found}
    assert all(city["name"].startswith("To") for city in found)


def test_smaller_cities_were_not_loaded(client: Client) -> None:
    query = "population=3000000&_ops=population,lt"
    assert select(client, query) == {"count": 0, "data": []}


@pytest.mark.parametrize("query", ["", "id=x"])
def test_wrong_id_is_refused_by_name(client: Client, query: str) -> None:
    reply = client.get(f"/city/get?{query}")
    assert reply.status == 400
    assert "id" in reply.json()["message"]


def test_unknown_city(client: Client) -> None:
    assert client.get("/city/get?id=1").status == 404
