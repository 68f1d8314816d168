"""Run the Web server"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bkjs import __version__, hookimpl
from bkjs.commands.args import split

if TYPE_CHECKING:
    from bkjs.core.app import App
    from bkjs.web.server import Listener

_STOP = (signal.SIGTERM, signal.SIGINT)


@hookimpl
def commands() -> Mapping[str, Callable[[list[str]], int]]:
    return {"web": main}


def main(argv: list[str]) -> int:
    """`bkjs web [-port N] [-bind ADDRESS] [-home DIR] [-reload] [-parameter value ...]`"""
    options, _, rest = split(argv[1:], flags=("reload",))
    if options:
        from bkjs.web.reload import run

        return run(rest)
    from bkjs.core.errors import BkError
    from bkjs.web.server import loop_factory

    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(serve(rest))
    except BkError as error:
        print(f"bkjs web: {error.message}", file=sys.stderr)
        return 1
    return 0


async def serve(argv: list[str]) -> None:
    """Boot the application, serve it until a signal, take it down; raises StartError."""
    from setproctitle import setproctitle

    from bkjs.core.app import App
    from bkjs.web.home_lock import hold
    from bkjs.web.server import Server, listeners

    app = App(role="web", argv=argv, watch=True)
    if app.prepare():
        await app.start()  # raises with the problems of the configuration
    setproctitle("bkjs: web")
    with hold(Path(app.config.core.path["spool"])):
        sockets = listeners(app)
        try:
            async with app:
                server = Server(
                    app, sockets, ready=lambda: print(greeting(app, sockets), flush=True)
                )
                loop = asyncio.get_running_loop()

                def stop() -> None:
                    server.force_exit = server.should_exit
                    server.should_exit = True

                for number in _STOP:
                    loop.add_signal_handler(number, stop)
                gc.collect()
                gc.freeze()  # what is loaded stays: no later collection needs to look at it
                gc.set_threshold(50_000, 20, 50)
                await server.serve()
        finally:
            for item in sockets:
                item.socket.close()


def greeting(app: App, sockets: list[Listener]) -> str:
    """What somebody needs to know who has just started a server."""
    pools = ", ".join(f"{pool['name']} ({pool['type']})" for pool in app.db.get_pools())
    return "\n".join(
        (
            f"bkjs {__version__} listens on {' and '.join(item.url for item in sockets)}",
            f"  home      {app.home}",
            f"  database  {pools or 'none'}",
            f"  first administrator: bkjs user add -home {app.home} -login NAME -type admin",
        )
    )
