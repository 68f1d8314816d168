"""Password hashes, the policy, and equal work for every kind of account."""

from __future__ import annotations

import asyncio
import re
import threading
from typing import Any

import pytest

from bkjs.auth import passwords
from bkjs.auth.passwords import Busy, Passwords, check_account_secret, check_password, legacy_hash
from bkjs.errors import BadRequest
from bkjs.testing.vectors import vectors

POLICY = [
    {"rx": re.compile(pattern), "value": text}
    for pattern, text in {
        "[a-z]+": "requires at least one lower case letter",
        "[A-Z]+": "requires at least one upper case letter",
        "[0-9]+": "requires at least one digit",
        ".{8,}": "requires at least 8 characters",
    }.items()
]


class Counted(Passwords):
    """Counts argon2 computations; they are cheap here."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        from argon2 import PasswordHasher

        self.calls = 0
        self.__dict__["_argon2"] = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        self.__dict__["_dummy"] = self._argon2.hash("dummy")

    async def _run(self, work: Any) -> Any:
        self.calls += 1
        return await super()._run(work)


@pytest.fixture
def counted():
    found = Counted()
    yield found
    found.close()


@pytest.mark.parametrize("case", vectors("api-misc", "check_account_secret"))
def test_policy(case: Any):
    assert check_account_secret(case["secret"], POLICY) == case.wanted()


@pytest.mark.parametrize("case", vectors("api-misc", "password_hash"))
def test_legacy_hash(case: Any):
    assert legacy_hash(case["salt"], case["password"]) == case.wanted()


async def test_hash_and_verify(counted: Counted):
    stored = await counted.hash("pass word")
    assert stored.startswith("$argon2id$")
    assert await counted.verify(stored, "pass word")
    assert not await counted.verify(stored, "pass words")
    assert await counted.hash("pass word") != stored
    assert not counted.outdated(stored)


async def test_the_shipped_parameters():
    shipped = Passwords()
    assert shipped._argon2.memory_cost >= 19456
    assert shipped._argon2.time_cost >= 2
    assert shipped._argon2.type.name == "ID"


async def test_legacy_hash_is_accepted_and_outdated(counted: Counted):
    stored = legacy_hash("SALT", "Pass1")
    assert await counted.verify(stored, "Pass1", salt="SALT")
    assert not await counted.verify(stored, "Pass2", salt="SALT")
    assert not await counted.verify(stored, "Pass1", salt="")
    assert not await counted.verify(stored, "Pass1")
    assert counted.outdated(stored)


@pytest.mark.parametrize("kind", ["unknown", "argon2", "legacy", "broken", "long"])
async def test_every_check_costs_one_computation(counted: Counted, kind: str):
    stored = {
        "argon2": counted._argon2.hash("right"),
        "legacy": legacy_hash("s", "right"),
        "broken": "$argon2id$nonsense",
    }.get(kind)
    password = "x" * 5000 if kind == "long" else "wrong"
    assert not await counted.verify(stored, password, salt="s")
    assert counted.calls == 1


async def test_composed_and_decomposed_characters_are_the_same(counted: Counted):
    assert await counted.verify(await counted.hash("caf\u00e9"), "cafe\u0301")


async def test_the_queue_is_bounded():
    gate = threading.Event()
    found = Passwords(threads=1, queue=2)
    waiting = [asyncio.create_task(found._run(gate.wait)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Busy) as refused:
        await found.verify(None, "x")
    assert refused.value.status == 429
    assert refused.value.retry_after == 1
    gate.set()
    await asyncio.gather(*waiting)
    assert await found._run(lambda: 1) == 1
    found.close()


async def test_too_long_a_password_is_refused_not_cut(counted: Counted):
    with pytest.raises(BadRequest, match="1024 bytes"):
        await counted.hash("é" * 513)
    assert counted.calls == 0
    check_password("é" * 512)


@pytest.mark.parametrize("password", ["password", "PassWord1", "qwertyuiop", "trustno1"])
def test_common_passwords_are_refused(password: str):
    with pytest.raises(BadRequest, match="too common"):
        check_password(password)


@pytest.mark.parametrize("password", ["a", "7 chars", "Aa1!Aa1"])
def test_eight_characters_are_the_least(password: str):
    with pytest.raises(BadRequest, match="at least 8") as refused:
        check_password(password)
    assert refused.value.extra["field"] == "password"


@pytest.mark.parametrize(
    "password", ["only lower case", "ALLUPPERCASE", "84739201", "ключ от дома"]
)
def test_no_kinds_of_characters_are_asked_for(password: str):
    check_password(password)


def test_a_configured_policy_is_named_when_broken():
    with pytest.raises(BadRequest, match="upper case") as refused:
        check_password("only lower case", POLICY)
    assert "digit" in refused.value.extra["policy"]


def test_the_login_is_no_password():
    with pytest.raises(BadRequest, match="must not be the login"):
        check_password("Anna.Karenina", login="anna.karenina")


def test_list_of_common_passwords_is_lower_case():
    found = passwords.common_passwords()
    assert len(found) > 500
    assert all(word == word.casefold() for word in found)
