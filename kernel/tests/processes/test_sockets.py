"""Listening sockets, and the one process that has them."""

import pytest

from bkjs.errors import StartError
from bkjs.processes.pidfile import only_one
from bkjs.processes.sockets import listen


def test_a_port_in_use_names_its_holder():
    held = listen("127.0.0.1", 0, 1)
    port = held.getsockname()[1]
    with pytest.raises(StartError, match=f"{port}: the port is in use"):
        listen("127.0.0.1", port, 1)
    held.close()


def test_one_home_is_served_once(tmp_path):
    with only_one(tmp_path, "web"):
        assert (tmp_path / "web.pid").read_text().strip().isdigit()
        again = only_one(tmp_path, "web")
        with pytest.raises(StartError, match="served already by process"):
            again.__enter__()
    assert not (tmp_path / "web.pid").exists()
