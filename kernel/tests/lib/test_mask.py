"""Values for people: secrets never print."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest

from bkjs.lib.mask import is_secret, is_secret_sent, mask_text, masked


@pytest.mark.parametrize(
    "name", ["backend-secret", "ssl-passphrase", "smtp-password", "api-KEY", "db-x-token"]
)
def test_secrets_are_known_by_their_names(name):
    assert is_secret(name)
    assert masked(name, "hunter2") == "***"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("pgsql://user:pw@host/db", "pgsql://user:***@host/db"),
        ("pgsql://user:p@s:/w@host/db", "pgsql://user:***@host/db"),
        ("redis://:pw@host", "redis://:***@host"),
        ("https://dsn@host/1", "https://***@host/1"),
        ("sendgrid://?key=abc&x=1", "sendgrid://?key=***&x=1"),
        ("amqp://host/?a=1;user_pw=abc;x=1", "amqp://host/?a=1;user_pw=***;x=1"),
        ("http://host:80/path?q=1", "http://host:80/path?q=1"),
        ("me@example.com", "me@example.com"),
    ],
)
def test_credentials_in_urls_are_masked(text, shown):
    assert mask_text(text) == shown
    assert masked("db-pool", [text]) == [shown]


def test_parsed_urls_are_shown_as_text():
    assert masked("db-pool", urlsplit("redis://u:pw@host/1")) == "redis://u:***@host/1"


def test_values_become_what_json_can_hold():
    value = {"rx": re.compile(r"a\Z"), "raw": b"xyz", "list": ("a",), "password": "x", "n": 1}
    assert masked("x", value) == {
        "rx": "a$", "raw": "<3 bytes>", "list": ["a"], "password": "***", "n": 1,
    }  # fmt: skip


@pytest.mark.parametrize("value", [None, "", [], {}, True, False])
def test_nothing_and_switches_are_no_secrets(value):
    assert masked("a-secret", value) == value


@pytest.mark.parametrize(
    "name", ["bk-signature", "Cookie", "api_key", "access-token", "passwd", "sig", "bearer"]
)
def test_what_clients_send_has_secrets_of_other_names(name):
    assert is_secret_sent(name)


@pytest.mark.parametrize(
    "name",
    ["key", "sort_key", "passenger", "passport", "author", "design", "country_code", "zip_code",
     "monkey", "spinner", "bypassed"],
)  # fmt: skip
def test_names_that_only_look_like_those_of_secrets_are_shown(name):
    assert not is_secret_sent(name)


@pytest.mark.parametrize("value", [["a", "b"], {"a": 1}, b"abc", 5, re.compile("a"), ("a",)])
def test_a_secret_is_masked_whole_whatever_it_is(value):
    assert masked("a-secret", value) == masked("x", value, True) == "***"
    assert masked("x", {"secret": value, "y": 1}) == {"secret": "***", "y": 1}
