"""The ports of a server, as a process of its own."""

from __future__ import annotations

import json
from urllib.request import urlopen

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from bkjs.testing.process import Server
from bkjs.testing.servers import free_port


def test_websockets_may_have_a_port_of_their_own() -> None:
    port = free_port()
    with Server("-ws-port", str(port)) as server:
        for number in (port, server.port):
            with connect(f"ws://127.0.0.1:{number}/") as socket:
                socket.send('{"id":1,"path":"/ping"}')
                assert json.loads(socket.recv(5)) == {"id": 1, "status": 200, "data": {}}
        with urlopen(f"http://127.0.0.1:{server.port}/ping", timeout=5) as reply:
            assert reply.status == 200


def test_a_server_with_two_ports_ends_although_a_websocket_is_open() -> None:
    port = free_port()
    with Server("-ws-port", str(port)) as server, connect(f"ws://127.0.0.1:{port}/") as socket:
        socket.send("/ping")
        assert socket.recv(5) == "{}"
        assert server.stop() == 0
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(5)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
