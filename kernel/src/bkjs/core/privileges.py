"""Giving up the rights of root: the user that a server runs as, and what it may write then."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from bkjs.config.builtin import wrong_umask


def set_umask(text: str) -> None:
    """Set the mask of file modes; one that is empty or wrong leaves it."""
    if text and not wrong_umask(text):
        os.umask(int(text, 8))


class User(NamedTuple):
    """Whom the system knows by a name or a number; without an entry it has no name."""

    uid: int
    gid: int
    name: str = ""
    home: str = ""


def find_user(uid: str, gid: str = "") -> User | None:
    """The user of an id or name, None for root; `gid` replaces the group of its own.

    Raises ValueError for a name that is unknown, and for a bare number without a group.
    """
    import grp
    import pwd

    if uid in ("", "0", "root"):
        return None
    group = 0
    if gid not in ("", "0"):
        try:
            group = int(gid) if gid.isdecimal() else grp.getgrnam(gid).gr_gid
        except KeyError:
            raise ValueError(f"gid: there is no group {gid!r}") from None
    try:
        entry = pwd.getpwuid(int(uid)) if uid.isdecimal() else pwd.getpwnam(uid)
    except KeyError:
        if uid.isdecimal() and group:
            return User(int(uid), group)
        hint = "; give a gid too" if uid.isdecimal() else ""
        raise ValueError(f"uid: there is no user {uid!r}{hint}") from None
    return User(entry.pw_uid, group or entry.pw_gid, entry.pw_name, entry.pw_dir)


def run_as(
    user: User, home: Path, own: Sequence[Path], read: Iterable[Path] = (), code: Iterable[str] = ()
) -> None:
    """Become the user, who then may write to its `own` folders and read the others.

    Only what lies in the home is given away. Raises OSError where one of the own folders, or a file
    of `code` that is yet to be imported, is out of the user's reach.
    """
    own = [folder for folder in own if folder.is_dir()]
    for folder in own:
        if folder.resolve().is_relative_to(home.resolve()):
            hand_over(folder, user)
    if home.stat().st_uid == 0:  # in the home of anybody else he decides what a name means
        for folder in (home, *read):
            if folder.resolve().is_relative_to(home.resolve()) and folder.is_dir():
                _let_read(folder, user)
    become(user)
    who = user.name or user.uid
    for file in code:
        if not os.access(file, os.R_OK):
            raise PermissionError(f"{who} cannot read {file}")
    for folder in own:
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError(f"{who} cannot write to {folder}")


def _let_read(folder: Path, user: User) -> None:
    status = folder.stat()
    if status.st_uid == 0 and status.st_mode & 0o005 != 0o005:
        os.chown(folder, 0, user.gid)
        folder.chmod(stat.S_IMODE(status.st_mode) | 0o050)


def become(user: User) -> None:
    """Run as this user from here on, with its groups only; there is no way back."""
    if user.name:
        os.initgroups(user.name, user.gid)
        os.environ.update(HOME=user.home, USER=user.name, LOGNAME=user.name)
    else:
        os.setgroups([user.gid])
    os.setgid(user.gid)
    os.setuid(user.uid)


def hand_over(folder: Path, user: User) -> None:
    """Give what root has made in a folder to the user.

    Neither links nor files that have a second name: somebody else may have put those there.
    """
    for _, folders, names, at in os.fwalk(folder):
        _give(at, user)
        folders[:] = [name for name in folders if _of_root(name, at)]
        for name in names:
            if _of_root(name, at):
                file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=at)
                try:
                    _give(file, user)
                finally:
                    os.close(file)


def _of_root(name: str, at: int) -> bool:
    status = os.stat(name, dir_fd=at, follow_symlinks=False)
    kind = stat.S_IFMT(status.st_mode)
    return status.st_uid == 0 and kind in (stat.S_IFREG, stat.S_IFDIR)


def _give(descriptor: int, user: User) -> None:
    status = os.fstat(descriptor)  # again: the name may mean something else by now
    if status.st_uid == 0 and (stat.S_ISDIR(status.st_mode) or status.st_nlink == 1):
        os.fchown(descriptor, user.uid, user.gid)
