import os
from pathlib import Path

import pytest

from bkjs.core.keys import Keys
from bkjs.errors import StartError


def test_a_key_is_made_once_and_only_its_user_may_read_it(tmp_path):
    first = Keys(tmp_path / "keys").get("session")
    assert len(first) == 32
    assert Keys(tmp_path / "keys").get("session") == first
    assert (tmp_path / "keys" / "session").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert [p.name for p in (tmp_path / "keys").iterdir()] == ["session"]


def test_of_two_starters_the_second_takes_the_key_of_the_first(tmp_path, monkeypatch):
    first = Keys(tmp_path).get("session")
    monkeypatch.setattr(Path, "exists", lambda path: False)  # it was made a moment later
    assert Keys(tmp_path).get("session") == first
    assert [p.name for p in tmp_path.iterdir()] == ["session"]


@pytest.mark.parametrize("text", ["00", "not hexadecimal"])
def test_a_short_or_broken_key_is_refused_by_name(tmp_path, text):
    (tmp_path / "session").write_text(text)
    with pytest.raises(StartError, match="session"):
        Keys(tmp_path).get("session")


def test_a_key_that_is_there_is_read_without_writing(tmp_path, monkeypatch):
    key = Keys(tmp_path).get("tokens")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "open", full)
    assert Keys(tmp_path).get("tokens") == key
    with pytest.raises(StartError, match="No space left"):
        Keys(tmp_path).get("other")
