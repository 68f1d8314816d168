"""One line of a configuration file is changed, and nothing else."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from bkjs.config.edit import set_line


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config"


@pytest.mark.parametrize(
    ("text", "then"),
    [
        ("", "a=new\n"),
        ("\n", "\na=new\n"),
        ("b=1", "b=1\na=new\n"),
        ("b=1\n", "b=1\na=new\n"),
        ("a=old", "a=new"),
        ("a=1\nb=2\na=3\n# a=4\n", "a=1\nb=2\na=new\n# a=4\n"),
        ("# é\x0c\u2028\x85\na=1\nb=2\n", "# é\x0c\u2028\x85\na=new\nb=2\n"),
        ("\ufeffa=1\nb=2\n", "\ufeffa=new\nb=2\n"),
        ("\ufeffb=1\n", "\ufeffb=1\na=new\n"),
        ("a=1\r\nb=2\r\n", "a=new\r\nb=2\r\n"),
        ("# c\r\n\r\nb=2\r\n", "# c\r\n\r\nb=2\r\na=new\r\n"),
        ("b=1\r\nc=2", "b=1\r\nc=2\r\na=new\r\n"),
        ("b=1\r\na=1\nc=2\ra=3\r\n", "b=1\r\na=1\nc=2\ra=new\r\n"),
        ("ab=1\n", "ab=1\na=new\n"),
    ],
)
def test_the_last_line_that_sets_it_is_replaced_or_one_is_added(
    file: Path, text: str, then: str
) -> None:
    file.write_text(text, encoding="utf-8", newline="")
    set_line(file, "a", "new")
    assert file.read_bytes().decode() == then


def test_a_new_file_is_for_its_owner_only(file: Path) -> None:
    before = os.umask(0)
    try:
        set_line(file, "a", "1")
    finally:
        os.umask(before)
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("a=1\n", 0o600)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o400])
def test_a_file_keeps_its_mode_and_owner(file: Path, mode: int) -> None:
    file.write_text("a=1\n")
    if os.geteuid() == 0:
        os.chown(file, 12345, 54321)
    file.chmod(mode)
    old = file.stat()
    set_line(file, "a", "2")
    new = file.stat()
    assert stat.S_IMODE(new.st_mode) == mode
    assert (new.st_uid, new.st_gid) == (old.st_uid, old.st_gid)


def test_the_file_behind_a_link_is_changed_and_the_link_stays(file: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "config"
    target.write_text("a=1\n")
    file.symlink_to(target)
    set_line(file, "a", "2")
    assert file.is_symlink()
    assert target.read_text() == "a=2\n"


@pytest.mark.parametrize("step", ["replace", "fdopen", "chmod"])
def test_what_fails_leaves_all_as_it_was(
    file: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    file.write_text("a=1\n")

    def fail(*args: object, **more: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="disk full"):
        set_line(file, "a", "2")
    assert [path.name for path in file.parent.iterdir()] == ["config"]
    assert file.read_text() == "a=1\n"
