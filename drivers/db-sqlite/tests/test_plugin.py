"""What the package is to the kernel."""

import subprocess
import sys

import pytest

import bkjs_db_sqlite
from bkjs.db.contract import DbDriver
from bkjs.errors import StartError


def test_hook_driver():
    found = bkjs_db_sqlite.driver()
    assert issubclass(found, DbDriver)
    assert found.__name__ == "SqliteDriver"


def test_hook_stays_a_function_after_the_driver_is_imported():
    """A submodule named like the hook would take its place in the package."""
    bkjs_db_sqlite.driver()
    assert bkjs_db_sqlite.driver() is bkjs_db_sqlite.driver()


def test_being_found_imports_no_client():
    heavy = {"sqlite3", "asyncpg", "re2", "asyncio"}
    code = f"import sys, bkjs_db_sqlite; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_url_of_another_database_is_refused():
    with pytest.raises(StartError, match="begins with sqlite://, not mysql://"):
        bkjs_db_sqlite.driver()("p", "mysql://u@h/d", {})
