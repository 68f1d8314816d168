"""Text that only its maker can read, for one purpose, in one spelling."""

import base64

from bkjs.lib.sealed import seal, unseal

KEY = b"k" * 32


def test_it_opens_for_its_key_and_purpose_only():
    text = seal(KEY, "page", b"payload")
    assert unseal(KEY, "page", text) == b"payload"
    assert unseal(KEY, "pages", text) is None
    assert unseal(b"K" * 32, "page", text) is None


def test_every_change_is_noticed_and_there_is_no_other_spelling():
    text = seal(KEY, "page", b"p")  # 25 bytes: the last character has four bits that say nothing
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for place in range(len(text)):
        for char in alphabet:
            changed = text[:place] + char + text[place + 1 :]
            assert (unseal(KEY, "page", changed) is None) is (changed != text)
    for other in ("", "=", text + "=", text + "==", text + "\n", f" {text}", text[:-1], text + "é"):
        assert unseal(KEY, "page", other) is None


def test_payloads_of_one_length_have_different_streams():
    """Otherwise two tokens together tell how their payloads differ."""
    one, two = b"0" * 24, b"1" * 24

    def hidden(payload: bytes) -> int:
        raw = base64.urlsafe_b64decode(seal(KEY, "page", payload))
        return int.from_bytes(raw[24:])

    assert hidden(one) ^ hidden(two) != int.from_bytes(one) ^ int.from_bytes(two)
