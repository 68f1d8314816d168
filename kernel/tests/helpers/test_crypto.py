from __future__ import annotations

import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkjs.helpers import crypto

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)
KEYS = st.text(min_size=1) | st.binary(min_size=1)


@given(KEYS, st.text(), st.booleans(), st.sampled_from(["base64", "hex"]))
def test_only_its_key_opens_a_text(key, text, legacy, enc):
    sealed = crypto.encrypt(key, text, legacy=legacy, enc=enc)
    assert crypto.decrypt(key, sealed, enc=enc) == text
    if text and not legacy:
        assert crypto.decrypt(b"another key", sealed, enc=enc) == ""


@given(st.integers(0, 200), st.integers(1, 255))
def test_a_changed_text_does_not_open(place, change):
    sealed = bytearray(bytes.fromhex(crypto.encrypt("key", "x" * 150, enc="hex")[3:]))
    sealed[place % len(sealed)] ^= change
    assert crypto.decrypt("key", "v1." + sealed.hex(), enc="hex") == ""


@given(JSON, st.integers(0), st.integers(0, 7))
def test_a_token_of_which_one_bit_is_another_is_refused(value, place, bit):
    token = crypto.json_to_base64(value, "secret")
    data = bytearray(token.encode())
    data[place % len(data)] ^= 1 << bit
    try:
        changed = bytes(data).decode()
    except UnicodeDecodeError:
        return
    opened = crypto.base64_to_json(changed, "secret", legacy=False)
    # `-` and `_` stand for `+` and `/`, the last digit of base64 has bits that mean nothing, and
    # neither do blanks around it, which a `=` can become
    same = (
        crypto.decode(changed[3:], "base64") == crypto.decode(token[3:], "base64")
        if (changed.startswith("v1.") and re.fullmatch(r"[A-Za-z0-9+/_-]*=*\s*", changed[3:]))
        else False
    )
    assert opened == (crypto.base64_to_json(token, "secret") if same else "")


@given(JSON)
def test_a_sealed_token_gives_back_what_it_was_made_of(value):
    token = crypto.json_to_base64(value, "secret")
    assert crypto.base64_to_json(token, "secret") == ("" if value is None else value)
    assert crypto.base64_to_json(token, "other") == ""


@given(JSON | st.integers() | st.text("0123456789", min_size=1))
def test_with_a_secret_nothing_counts_that_was_not_encrypted(value):
    assert crypto.base64_to_json(value, "secret", legacy=False) == ""
    assert crypto.base64_to_json(crypto.json_to_base64(value), "secret", legacy=False) == ""


def test_the_same_text_is_sealed_differently_each_time():
    assert crypto.encrypt("key", "data") != crypto.encrypt("key", "data")


@given(st.text() | st.binary().map(bytes.hex), st.booleans())
def test_junk_opens_as_nothing_or_text(junk, versioned):
    text = f"v1.{junk}" if versioned else junk
    assert isinstance(crypto.decrypt("key", text), str)
    if versioned:
        assert crypto.decrypt("key", text) == ""
        assert crypto.base64_to_json(text, "key") == ""


def test_the_old_format_is_read_unless_refused():
    old = crypto.encrypt("key", "data", legacy=True)
    assert crypto.decrypt("key", old) == "data"
    assert crypto.decrypt("key", old, legacy=False) == ""
    token = crypto.json_to_base64({"a": 1}, "key", legacy=True)
    assert crypto.base64_to_json(token, "key", legacy=False) == ""


def test_tokens_pass_through_urls():
    token = crypto.json_to_base64({"a": "?>~"}, "key")
    shortened = token.replace("+", "-").replace("/", "_").rstrip("=")
    assert crypto.base64_to_json(shortened, "key") == {"a": "?>~"}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: crypto.encrypt("", "data"), "empty one"),
        (lambda: crypto.encrypt("k", "data", legacy=True, alg="rot13"), "unknown cipher 'rot13'"),
        (lambda: crypto.encrypt("k", "data", enc="binary"), "unknown encoding 'binary'"),
        (lambda: crypto.hash_("data", "nosuch"), "nosuch"),
        (lambda: crypto.sign("k", "data", "nosuch"), "nosuch"),
    ],
)
def test_misuse_is_an_error(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("legacy", [True, False])
def test_without_the_package_the_error_says_what_to_install(monkeypatch, legacy):
    for name in [name for name in sys.modules if name.startswith("cryptography")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(ImportError, match=r"pip install bkjs\[auth\]"):
        crypto.encrypt("key", "data", legacy=legacy)


@given(JSON)
def test_a_token_gives_back_what_it_was_made_of(value):
    token = crypto.json_to_base64(value)
    assert crypto.base64_to_json(token) == ("" if value is None else value)
