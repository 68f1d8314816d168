"""Restarting while developing: a small parent that runs the server again when files change."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from watchfiles import Change, PythonFilter, watch

from bkjs.core.kernel import Kernel


def supervise(argv: list[str], kernel: Kernel) -> int:
    """Run `bkjs ARGV` as a child until a signal comes; a child that fails is tried again later.

    SIGHUP goes on to the child.
    """
    folders = watched(kernel)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    child = _start(argv)
    signal.signal(signal.SIGHUP, lambda number, frame: child.send_signal(number))
    try:
        for changes in watch(*folders, watch_filter=_wanted(kernel), raise_interrupt=True):
            names = ", ".join(sorted({os.path.basename(path) for _, path in changes})[:5])
            print(f"bkjs: {names} changed, starting again", file=sys.stderr, flush=True)
            _stop(child)
            child = _start(argv)
    except KeyboardInterrupt:
        return 0
    finally:
        _stop(child)
    return 0


def _wanted(kernel: Kernel) -> Callable[[Change, str], bool]:
    """Whether a change counts: of a Python file whose name `no-watch` does not match."""
    python, ignored = PythonFilter(), kernel.config.core.no_watch

    def wanted(change: Change, path: str) -> bool:
        return python(change, path) and not (ignored and ignored.search(os.path.basename(path)))

    return wanted


def watched(kernel: Kernel) -> list[Path]:
    """The directories of `watch`, of the application, of plugins that are no installed wheels."""
    core = kernel.config.core
    found = {Path(folder) for folder in core.watchdirs if Path(folder).is_dir()}
    if core.app:
        found.add(Path(core.app).parent)
    found |= {Path(folder) for folder in core.path["modules"] if Path(folder).is_dir()}
    for plugin in kernel.plugins.plugins.values():
        if plugin.state == "loaded" and isinstance(plugin.obj, ModuleType) and plugin.obj.__file__:
            folder = Path(plugin.obj.__file__).parent
            if "site-packages" not in folder.parts:
                found.add(folder)
    return sorted(found)


def _start(argv: list[str]) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "BKJS_RELOAD_CHILD": "1"}
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a child begins as we are
    try:
        return subprocess.Popen([sys.executable, "-m", "bkjs", *argv], env=environment)
    finally:
        signal.signal(signal.SIGHUP, before)


def _stop(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
