"""Giving up the rights of root: whom the system knows, what is handed over, no way back."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from bkjs.config.builtin import wrong_umask
from bkjs.core.privileges import User, find_user, hand_over, set_umask

NOBODY = pwd.getpwnam("nobody")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up its rights")


@pytest.mark.parametrize("uid", ["", "0", "root"])
def test_root_is_nobody_to_become(uid):
    assert find_user(uid) is None


def test_a_user_is_found_by_name_and_number_with_its_group():
    wanted = User(NOBODY.pw_uid, NOBODY.pw_gid, "nobody", NOBODY.pw_dir)
    assert find_user("nobody") == find_user(str(NOBODY.pw_uid), "0") == wanted
    group = grp.getgrgid(1)
    assert find_user("nobody", group.gr_name).gid == find_user("nobody", "1").gid == 1


def test_a_number_without_an_entry_needs_a_group():
    assert find_user("54321", "1") == User(54321, 1)
    with pytest.raises(ValueError, match="no user '54321'; give a gid too"):
        find_user("54321")


@pytest.mark.parametrize(("uid", "gid"), [("no-such", ""), ("nobody", "no-such")])
def test_unknown_names_are_refused(uid, gid):
    with pytest.raises(ValueError, match="'no-such'"):
        find_user(uid, gid)


@as_root
def test_files_of_root_are_handed_over_but_no_links_and_nothing_of_others(tmp_path):
    folder, outside = tmp_path / "var", tmp_path / "shadow"
    inner = folder / "inner"
    inner.mkdir(parents=True)
    outside.touch()
    (inner / "own").touch()
    os.link(outside, folder / "hard")
    os.symlink(outside, folder / "soft")
    os.mkfifo(folder / "pipe")
    (folder / "other").touch()
    os.chown(folder / "other", 1, 1)

    hand_over(folder, User(54321, 54322))

    def owner(path: Path) -> tuple[int, int]:
        status = path.lstat()
        return status.st_uid, status.st_gid

    given = [folder, inner, inner / "own"]
    assert {owner(path) for path in given} == {(54321, 54322)}
    kept = [outside, folder / "hard", folder / "soft", folder / "pipe"]
    assert {owner(path) for path in kept} == {(0, 0)}
    assert owner(folder / "other") == (1, 1)


DROP = """
import os, sys
from pathlib import Path
from bkjs.core.privileges import User, run_as

home = Path(sys.argv[1])
own = [home / "etc" / "keys", home / "var", home / "log"]
read = [home / "etc", home / "web"]
for folder in (home, *read, *own):
    folder.mkdir(mode=int(sys.argv[2], 8), exist_ok=True)
(home / "var" / "old").touch()
(home / "web" / "page").touch(mode=0o644)
try:
    run_as(User(54321, 54322), home, own, read, sys.argv[3:])
except OSError as error:
    sys.exit(str(error))
try:
    os.setuid(0)
except PermissionError:
    print(*os.getresuid(), *os.getresgid(), os.getgroups())
for name in ("var/old", "var/x", "log/x", "etc/keys/x", "x", "etc/x", "web/x"):
    try:
        (home / name).write_text("x")
    except OSError:
        print("closed", name)
(home / "web" / "page").read_text()
"""


def dropped(home: Path, mode: str, *code: str) -> subprocess.CompletedProcess[str]:
    call = [sys.executable, "-c", DROP, str(home), mode, *code]
    return subprocess.run(call, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def home():
    """A home that everybody may pass to; pytest closes its own directories at any time."""
    with tempfile.TemporaryDirectory(prefix="bkjs-user-") as folder:
        os.chmod(folder, 0o711)
        yield Path(folder) / "home"


@as_root
@pytest.mark.parametrize("mode", ["755", "700"])
def test_a_process_becomes_the_user_for_good_and_may_change_only_its_data(home, mode):
    done = dropped(home, mode)
    assert done.stderr == ""
    first, *rest = done.stdout.splitlines()
    assert first == "54321 54321 54321 54322 54322 54322 [54322]"
    assert rest == ["closed x", "closed etc/x", "closed web/x"]


@as_root
def test_links_out_of_the_home_and_homes_of_others_give_nothing_away(home, tmp_path):
    outside = tmp_path / "outside"
    for name in ("data", "code"):
        (outside / name).mkdir(mode=0o700, parents=True)
    home.mkdir()
    os.chown(home, 54321, 54322)
    (home / "var").symlink_to(outside / "data")
    (home / "web").symlink_to(outside / "code")
    done = dropped(home, "755")
    assert f"54321 cannot write to {home}/var" in done.stderr
    for path in (outside, outside / "data", outside / "code"):
        assert (path.stat().st_uid, path.stat().st_gid) == (0, 0)
    assert (outside / "code").stat().st_mode & 0o777 == 0o700


@as_root
def test_folders_of_root_in_the_home_of_another_stay_closed(home):
    """He may have put them there: a name means what he wants."""
    home.mkdir(mode=0o755)
    os.chown(home, 1, 1)
    (home / "web").mkdir(mode=0o700)
    assert "PermissionError" in dropped(home, "755").stderr
    assert (home / "web").stat().st_mode & 0o777 == 0o700


@as_root
@pytest.mark.parametrize("mode", [0o700, 0o755])
def test_a_folder_out_of_reach_is_named(home, mode):
    home.mkdir(mode=0o700)
    (home / "var").mkdir(mode=mode)
    os.chown(home / "var", 1, 1)
    assert dropped(home, "755").stderr == f"54321 cannot write to {home}/var\n"


@as_root
def test_code_out_of_reach_is_named(home, tmp_path):
    code = tmp_path / "code.py"
    code.touch(mode=0o600)
    assert dropped(home, "755", str(code)).stderr == f"54321 cannot read {code}\n"


def test_a_umask_is_set_when_it_is_one():
    before = os.umask(0o022)
    try:
        for wrong in ("", "0o9", "rwx", "00000", "-1"):
            set_umask(wrong)
            assert os.umask(0o022) == 0o022
        set_umask("0027")
        assert os.umask(0o022) == 0o027
    finally:
        os.umask(before)


def test_a_wrong_umask_is_told():
    assert wrong_umask("0027") == wrong_umask("77") == wrong_umask("") == ""
    assert "octal" in wrong_umask("0o9")
