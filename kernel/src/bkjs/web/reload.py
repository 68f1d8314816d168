"""`bkjs web -reload`: a small parent that starts the server anew when source files change."""

from __future__ import annotations

import signal
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

STOP_SECONDS = 10


def run(argv: Sequence[str]) -> int:
    """Serve until a signal. New code that does not start leaves its error on the screen, and the
    next change is another try.
    """
    from watchfiles import PythonFilter, watch

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    command = [sys.executable, "-m", "bkjs", "web", *argv]
    folders = sources(argv)
    print("reloads when these change:", *folders, sep="\n  ", flush=True)
    child = subprocess.Popen(command)
    ended = False
    changes = watch(
        *folders, watch_filter=PythonFilter(), stop_event=stop, yield_on_timeout=True,
        rust_timeout=500, raise_interrupt=False,
    )  # fmt: skip
    for changed in changes:
        if changed:
            names = ", ".join(sorted({Path(path).name for _, path in changed})[:5])
            print(f"changed: {names}; starting anew", flush=True)
            _end(child)
            child, ended = subprocess.Popen(command), False
        elif child.poll() is not None and not ended:
            ended = True
            print(f"ended with {child.returncode}; waiting for a change", flush=True)
    _end(child)
    return 0


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def sources(argv: Sequence[str]) -> list[Path]:
    """Where code comes from that may be worked on: the application's folder, folders of modules,
    and all of the import path that is not installed.
    """
    installed = [Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")]
    folders = [Path(item) for item in sys.path if item]
    for name, value in pairwise(argv):
        match name.lstrip("-"):
            case "app":
                folders.append(Path(value).absolute().parent)
            case "modules-path":
                folders.append(Path(value).absolute())
            case "home":
                folders.append(Path(value).absolute() / "modules")
    found = {
        folder.resolve()
        for folder in folders
        if folder.is_dir() and not any(folder.resolve().is_relative_to(i) for i in installed)
    }
    return sorted(f for f in found if not any(f != o and f.is_relative_to(o) for o in found))
