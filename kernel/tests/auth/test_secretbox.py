"""Secrets at rest."""

from __future__ import annotations

import pytest

from bkjs.auth.secretbox import AVAILABLE, PREFIX, SecretBox, SecretError
from bkjs.errors import BadRequest

KEY = b"k" * 32
with_package = pytest.mark.skipif(not AVAILABLE, reason="needs cryptography")


def box(key: bytes = KEY, *, available: bool = AVAILABLE) -> SecretBox:
    return SecretBox(lambda: key, available=available)


@with_package
def test_what_is_stored_does_not_show_the_secret_and_opens_again():
    stored = box().seal("secret", "пароль")
    assert stored.startswith(PREFIX)
    assert "пароль" not in stored
    assert box().open("secret", stored) == "пароль"
    assert box().seal("secret", "пароль") != stored


def test_plain_secrets_are_read_as_they_are():
    assert box().open("secret", "plain") == "plain"


@with_package
def test_a_text_that_looks_encrypted_is_encrypted_like_any_other():
    assert box().open("secret", box().seal("secret", PREFIX + "x")) == PREFIX + "x"


@with_package
@pytest.mark.parametrize("stored", [f"{PREFIX}xx", f"{PREFIX}!", PREFIX])
def test_a_damaged_secret_is_an_error_that_shows_nothing(stored: str):
    with pytest.raises(SecretError, match="cannot be decrypted") as failed:
        box().open("secret", stored)
    assert "decrypt" not in failed.value.reply()["message"]


@with_package
def test_another_key_or_column_does_not_open_it():
    stored = box().seal("secret", "s")
    for wrong in (lambda: box(b"x" * 32).open("secret", stored), lambda: box().open("a", stored)):
        with pytest.raises(SecretError):
            wrong()


def test_without_the_package_secrets_stay_plain_and_encrypted_ones_say_what_to_install():
    poor = box(available=False)
    assert poor.seal("secret", "s") == "s"
    with pytest.raises(BadRequest, match="cannot begin"):
        poor.seal("secret", f"{PREFIX}x")
    with pytest.raises(SecretError, match=r"pip install bkjs\[auth\]"):
        poor.open("secret", f"{PREFIX}x")
