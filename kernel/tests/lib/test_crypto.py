from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkjs.helpers.crypto import encrypt
from bkjs.lib.crypto import decrypt_legacy


@given(st.text(min_size=1) | st.binary(min_size=1), st.text())
def test_only_its_key_opens_a_text_of_2018(key, text):
    old = encrypt(key, text, legacy=True, alg="aes-256-cbc", enc="hex")
    assert decrypt_legacy(key, old, alg="aes-256-cbc", enc="hex") == text
    assert decrypt_legacy("", old) == ""


@pytest.mark.parametrize("text", ["", "x", "AAAA", "ff" * 16, "v1.abc"])
def test_junk_opens_as_nothing(text):
    assert decrypt_legacy("key", text) == ""
    assert decrypt_legacy("key", text, alg="rot13") == ""
