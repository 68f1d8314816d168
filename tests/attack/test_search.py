"""Nobody learns the value of a column that he may not see from the order of rows."""

from __future__ import annotations

import pytest

from tests.attack.conftest import SECRET, Victim

pytestmark = pytest.mark.process


@pytest.mark.parametrize("sort", ["pin", "pin_", "_pin", "pin_id", "owner_pin", "body_"])
def test_rows_are_not_sorted_by_what_nobody_may_see(victim: Victim, sort: str):
    """Also not by the name of an index, which stands for its columns."""
    with victim.client() as client:
        for id, pin in (("1", "mmm"), ("2", "aaa"), ("3", "zzz")):
            client.post("/note/add", {"id": id, "pin": pin, "body": pin})
        for sorted_by in (f"_sort={sort}", f"_sort={sort}&_desc=1"):
            reply = client.get(f"/note/select?{sorted_by}")
            assert reply.status == 400, [row["id"] for row in reply.json()["data"]]


@pytest.mark.parametrize("column", ["email", "phone", "login", "birthday", "street"])
def test_accounts_are_not_sorted_by_what_is_private(victim: Victim, column: str):
    with victim.client("ann", SECRET) as client:
        assert client.get(f"/account/select?_sort={column}_").status == 400
