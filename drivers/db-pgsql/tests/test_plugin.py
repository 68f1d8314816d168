"""What the package is to the kernel."""

import subprocess
import sys

import bkjs_db_pgsql
from bkjs.db.contract import DbDriver


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
