"""Serve the Web API: `bkjs web -port 8000 -app todo.py -db-create-tables`"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence

from bkjs import hookimpl
from bkjs.app import App
from bkjs.errors import ConfigurationError, StartError
from bkjs.processes.sockets import Listener, listen, tls_context

from .command import Action, Call, Command

RELOAD_PAUSE = 0.2
"""Seconds between two readings of the configuration, however many signals ask for it."""


@hookimpl
def commands() -> Mapping[str, Callable[[list[str]], int]]:
    """`bkjs web`."""
    return {"web": COMMAND}


def main(call: Call) -> int:
    """Serve until SIGTERM or SIGINT."""
    argv = [call.word, *call.rest]
    gc.disable()  # a start makes hardly any garbage; looking for it takes a tenth of the time
    app = App(role="web", argv=argv[1:], watch=True)
    problems = app.prepare()
    if problems:
        raise ConfigurationError(problems)
    core = app.config.core
    if (core.reload or core.watchdirs) and not os.environ.get("BKJS_RELOAD_CHILD"):
        from bkjs.processes.reload import supervise

        return supervise(argv, app)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(app))
    return 0


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is installed."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        return None
    return new_event_loop


async def _serve(app: App) -> None:
    from setproctitle import setproctitle

    from bkjs.processes.pidfile import only_one
    from bkjs.web.server.serve import serve
    from bkjs.web.service import Web

    setproctitle("bkjs: web")
    core = app.config.core
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    hung_up = asyncio.Event()
    loop.add_signal_handler(signal.SIGHUP, hung_up.set)
    reloading = asyncio.create_task(_reload(app, hung_up))
    with only_one(app.home / core.path["spool"], "web"):
        context = tls_context(core.ssl)
        sockets: list[Listener] = []
        if core.port:
            sockets.append((listen(core.bind, core.port, core.backlog), None))
        if context and core.ssl["port"]:
            secure = listen(core.ssl["bind"], core.ssl["port"], core.backlog)
            sockets.append((secure, context))
        if core.ws["port"] and core.ws["port"] not in (core.port, core.ssl["port"]):
            sockets.append((listen(core.ws["bind"], core.ws["port"], core.backlog), None))
        if not sockets:
            raise StartError("no port to listen on; give a port, or ssl-port and ssl-key")
        app.drop_privileges()
        async with app:
            gc.freeze()  # what is loaded stays: no later collection looks at it
            gc.set_threshold(50_000, 20, 50)
            gc.enable()
            web = app.web
            assert isinstance(web, Web)
            await serve(web, sockets, stop, lambda: _announce(app, sockets))
    reloading.cancel()


async def _reload(app: App, asked: asyncio.Event) -> None:
    """Read the configuration when it is asked for: at once, then once for what comes together."""
    while await asked.wait():
        asked.clear()
        app.reload()
        await asyncio.sleep(RELOAD_PAUSE)


def _announce(app: App, sockets: Sequence[Listener]) -> None:
    addresses = []
    for listener, context in sockets:
        host, port = listener.getsockname()[:2]
        scheme, name = "https" if context else "http", f"[{host}]" if ":" in host else host
        addresses.append(f"{scheme}://{name}:{port}")
    pools = ", ".join(f"{p['name']}" for p in app.db.get_pools())
    plugins = app.plugins.plugins.values()
    modules = [p.name for p in plugins if p.group == "bkjs.modules" and p.state == "loaded"]
    print(
        f"bkjs {app.version} is ready on {' and '.join(addresses)}\n"
        f"  mode           {app.config.core.run_mode}\n"
        f"  home           {app.home}\n"
        f"  modules        {', '.join(sorted(modules)) or 'none'}\n"
        f"  databases      {pools}\n"
        f"  administrator  bkjs user add -login NAME -type admin -home {app.home}",
        file=sys.stdout,
        flush=True,
    )


COMMAND = Command(
    Action(
        main,
        "Serve until SIGTERM or SIGINT, then finish running requests. SIGHUP reads the"
        " configuration files again. With -reload it starts again whenever a source file changes,"
        " with -watch DIR also in that directory.",
    ),
    parameters="*",
)
