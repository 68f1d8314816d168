"""A server that root starts on a low port runs as somebody else, and so do commands on its home."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import pytest

import bkjs
from bkjs.testing.process import Server, run


def reachable(path: str) -> bool:
    """Whether everybody may pass all directories down to a path."""
    return all(folder.stat().st_mode & 0o001 for folder in (Path(path), *Path(path).parents))


pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up its rights"),
    pytest.mark.skipif(
        not all(map(reachable, (os.path.dirname(os.__file__), *bkjs.__path__))),
        reason=f"others than root cannot read this Python, {sys.base_prefix}",
    ),
]
USER = ("-uid", "nobody")


@pytest.fixture
def home():
    """A home that everybody may pass to; pytest closes its own directories at any time."""
    with tempfile.TemporaryDirectory(prefix="bkjs-user-") as folder:
        os.chmod(folder, 0o711)
        yield Path(folder) / "home"


def ids(pid: int) -> dict[str, set[str]]:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = (line.split(":", 1) for line in status)
    return {name: set(value.split()) for name, value in fields if name in ("Uid", "Gid", "CapEff")}


@pytest.mark.parametrize("early", [(), ("-force-uid",)])
def test_the_server_has_no_right_of_root_left(home, early):
    argv = [*USER, *early, "-umask", "0027", "-db-create-tables", "-log-file"]
    with Server(*argv, home=home) as server, server.client() as client:
        found = ids(server.pid)
        assert "0" not in found["Uid"] | found["Gid"]
        assert found["CapEff"] == {"0" * 16}
        added = run(home, "user", "add", "-login", "ann", "-secret", "the-secret-of-ann", *USER)
        assert added.returncode == 0, added.stderr
        with server.client("ann", "the-secret-of-ann") as ann:
            reply = ann.get("/account/get")
            assert reply.status == 200, reply.text
        lasting = [home / "var" / name for name in ("backend.db", "web.pid")]
        assert {path.stat().st_uid for path in lasting} == {int(found["Uid"].pop())}
        (home / "etc" / "config").write_text("api-deny-path=^/public/x\n")
        give_up = time.monotonic() + 5
        while client.get("/public/x").status != 403 and time.monotonic() < give_up:
            time.sleep(0.05)
        log = (home / "log" / "message.log").read_text()
        assert client.get("/public/x").status == 403, log  # the file is root's, and readable
        assert server.stop() == 0
    assert (home / "etc").stat().st_uid == 0


def test_a_port_of_root_is_open_before_its_rights_are_gone(home):
    with Server(*USER, home=home, port=83) as server:
        assert "0" not in ids(server.pid)["Uid"]


def test_an_unknown_user_stops_the_start(home):
    server = Server("-uid", "no-such-user", home=home)
    server.spawn()
    try:
        assert server.wait() == 1
        assert "cannot run as another user: uid: there is no user 'no-such-user'" in server.output
    finally:
        server.close()
