"""What stops a start, and what its operator is told."""

from __future__ import annotations

import logging
import secrets

import pytest

from bkjs.auth import safety, secretbox
from bkjs.auth.safety import weakness
from bkjs.commands.config import COMMAND as config
from bkjs.errors import StartError
from bkjs.testing.app import make_app


@pytest.mark.parametrize("make", [secrets.token_urlsafe, secrets.token_hex])
def test_random_texts_are_keys(make):
    assert all(weakness(make(32)) == "" for _ in range(50))


@pytest.mark.parametrize(
    ("secret", "why"),
    [
        ("x", "shorter"),
        ("k3J9-vQ2xT7_bN4mR8wL1zP6cF5hD0s", "shorter"),
        ("a" * 64, "example"),
        ("changeme-" * 5, "example"),
        ("your-secret-key-of-at-least-32-bytes", "example"),
        ("0123456789abcdefghijklmnopqrstuvwxyz", "example"),
        ("this-is-an-insecure-key-for-the-docs", "example"),
    ],
)
def test_others_are_not(secret, why):
    assert why in weakness(secret)


@pytest.mark.parametrize("name", ["session-secret", "access-token-secret"])
@pytest.mark.parametrize("value", ["short-and-planted", "planted-change-me-" * 3])
async def test_a_weak_secret_stops_a_server_that_is_no_trial(name, value, caplog):
    for mode in ("production", "staging"):
        with pytest.raises(StartError, match=f"api-{name}: .*openssl rand") as refused:
            async with make_app([], f"-api-{name}", value, "-run-mode", mode):
                pass
        assert value not in str(refused.value)
    with caplog.at_level(logging.WARNING):
        async with make_app([], f"-api-{name}", value):
            pass
    assert f"api-{name}: " in caplog.text
    assert value not in caplog.text


def test_the_check_of_the_configuration_finds_it_too(tmp_path, capsys):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "config").write_text("run-mode=production\napi-session-secret=planted\n")
    assert config(["config", "check", "-home", str(tmp_path)]) == 3
    shown = capsys.readouterr().out
    assert "config:2: api-session-secret: shorter than 32 bytes" in shown
    assert "planted" not in shown
    assert config(["config", "check", "-home", str(tmp_path), "-run-mode", "test"]) == 0


async def test_in_production_a_good_secret_or_none_is_accepted():
    good = secrets.token_urlsafe(32)
    secret = ["-api-session-secret", good, "-api-access-token-secret", good]
    for argv in ([], secret):
        async with make_app([], *argv, "-run-mode", "production") as app:
            assert (app.home / "etc" / "keys" / "session").stat().st_mode & 0o777 == 0o600


async def test_commands_run_with_a_weak_secret_so_that_it_can_be_seen_and_changed():
    argv = ["-api-session-secret", "short", "-run-mode", "production"]
    async with make_app([], *argv, role="shell"):
        pass


async def test_secrets_change_at_a_restart_only():
    async with make_app([]) as app:
        (app.home / "etc").mkdir(exist_ok=True)
        (app.home / "etc" / "config").write_text("api-session-secret=short\n")
        assert app.reload() == []
        assert not app.config.api.session_secret
        assert ["restart" in str(notice) for notice in app.config.notices] == [True]


async def test_a_broken_key_stops_the_start(tmp_path):
    keys = tmp_path / "etc" / "keys"
    keys.mkdir(parents=True)
    (keys / "session").write_text("abcd")
    with pytest.raises(StartError, match="keys/session: shorter than 32 bytes"):
        async with make_app([], home=str(tmp_path)):
            pass


async def test_a_key_that_others_may_read_is_told(tmp_path, caplog):
    async with make_app([], home=str(tmp_path)) as app:
        (app.keys.folder / "tokens").chmod(0o640)
    with caplog.at_level(logging.WARNING):
        async with make_app([], home=str(tmp_path)):
            pass
    assert "keys/tokens may be read by other users" in caplog.text


async def test_compatibility_is_spelt_right_and_named_at_the_start(caplog):
    with pytest.raises(StartError, match=r"api-compat: unknown v2; known are 2018, bad-json, "):
        async with make_app([], "-api-compat", "v1,v2"):
            pass
    with caplog.at_level(logging.WARNING):
        async with make_app([], "-api-compat", "v1,v5"):
            pass
    assert "api-compat accepts SHA-1 signatures, passwords without TLS" in caplog.text


async def test_a_safe_server_has_nothing_to_tell(caplog):
    with caplog.at_level(logging.WARNING):
        async with make_app([]):
            pass
    assert [r.message for r in caplog.records if r.name == safety.__name__] == []


async def test_what_opens_everything_is_told(caplog, monkeypatch):
    monkeypatch.setattr(secretbox, "AVAILABLE", False)
    with caplog.at_level(logging.WARNING):
        async with make_app([], "-api-no-signature"):
            pass
    assert "everyone call every endpoint" in caplog.text
    assert "stored unencrypted" in caplog.text
