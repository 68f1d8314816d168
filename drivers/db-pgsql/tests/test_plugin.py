"""What the package is to the kernel."""

import subprocess
import sys

import pytest

import bkjs_db_pgsql
from bkjs.db.contract import DbDriver
from bkjs.errors import StartError, Unavailable
from bkjs_db_pgsql.connect import Connector, dsn


def test_hook_driver():
    found = bkjs_db_pgsql.driver()
    assert issubclass(found, DbDriver)
    assert found.__name__ == "PgsqlDriver"


def test_hook_stays_a_function_after_the_driver_is_imported():
    """A submodule named like the hook would take its place in the package."""
    bkjs_db_pgsql.driver()
    assert bkjs_db_pgsql.driver() is bkjs_db_pgsql.driver()


def test_being_found_imports_no_client():
    heavy = {"sqlite3", "asyncpg", "re2", "asyncio"}
    code = f"import sys, bkjs_db_pgsql; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        ("pgsql://u@h/d", "postgresql://u@h/d"),
        ("Postgres://u@h/d", "postgresql://u@h/d"),
        ("default", "postgresql://postgres@127.0.0.1/backend"),
        ("mine", "postgresql://postgres@127.0.0.1/mine"),
    ],
)
def test_the_urls_of_a_server(url, found):
    assert dsn(url, "backend") == found


@pytest.mark.parametrize("url", ["mysql://u:secret@h/d", "sqlite:///x", "http://h"])
def test_a_url_of_another_database_is_refused(url):
    with pytest.raises(StartError) as error:
        dsn(url, "backend")
    assert f"not {url.partition('://')[0]}://" in error.value.message
    assert "secret" not in error.value.message


async def test_a_host_that_is_not_known_is_said_to_be():
    connect = Connector("p", "postgresql://u@nosuch.invalid/d", {}, 5, 0)
    with pytest.raises(Unavailable) as error:
        await connect()
    text = error.value.message
    assert text.startswith("p: no connection to nosuch.invalid/d: ")
    assert "host name is not known" in text or "name resolution" in text
    assert "Unknown error" not in text
