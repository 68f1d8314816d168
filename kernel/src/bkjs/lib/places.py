"""Where in somebody's own code a mistake is: `FILE:LINE`, for the texts of errors."""

from __future__ import annotations

import inspect
import os
from typing import Any

from bkjs.errors import BkError, StartError

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_PYTHON = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
_PACKAGES = ("site-packages", "dist-packages")


def explain(error: BaseException, file: str = "", hook: object = None) -> str:
    """What an error of a plugin says, and where in its code that is: in its files, of which `file`
    is the first, else in the function of its hook.
    """
    if isinstance(error, StartError):  # which says by itself what to do
        return error.message
    written = (isinstance(error, SyntaxError) and error.filename) or "<"
    if isinstance(error, SyntaxError) and not written.startswith("<"):
        place = f"{os.path.abspath(written)}:{error.lineno}"
        return f"{type(error).__name__}: {error.msg}{at(place)}"
    place = place_of(error, file) or defined_at(hook)
    if isinstance(error, BkError):
        return error.message + at(place)
    if isinstance(error, ModuleNotFoundError):
        text = f"package {error.name!r} is missing; install it with pip"
        if file:
            text = f"no file beside {file} and no installed package is called {error.name!r}"
        return text + at(place)
    return f"{said(error)}{at(place)}"


def said(error: BaseException) -> str:
    """The text of an error of ours; of others with their class, as `KeyError: 'id'`."""
    name, text = type(error).__name__, str(error)
    return text or name if isinstance(error, BkError) else f"{name}: {text}".removesuffix(": ")


def place_of(error: BaseException, file: str = "") -> str:
    """The deepest frame of an error in a plugin's own code; "" when it passed none.

    `file` is the plugin's, which may be the `__init__.py` of a package; without it, and for our own
    plugins, the code is that of the first frame which is neither ours nor Python's. What is
    installed below its folder does not belong to it.
    """
    own = _own(file) if file and not is_platform(os.path.abspath(file)) else ""
    found = ""
    trace = error.__traceback__
    while trace:
        name = os.path.abspath(trace.tb_frame.f_code.co_filename)
        if not own and not is_platform(name):
            own = _own(name)
        if own and _belongs(name, own):
            found = f"{name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


def defined_at(function: Any) -> str:
    """Where a function is defined; "" for ours, and for what is none."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None or is_platform(name := os.path.abspath(code.co_filename)):
        return ""
    return f"{name}:{code.co_firstlineno}"


def called_at() -> str:
    """Where the file that asks was called from; "" when that is ours."""
    frame = inspect.currentframe()
    frame = frame and frame.f_back
    asks = frame and frame.f_code.co_filename
    while frame and frame.f_code.co_filename == asks:
        frame = frame.f_back
    if frame is None or is_platform(name := os.path.abspath(frame.f_code.co_filename)):
        return ""
    return f"{name}:{frame.f_lineno}"


def at(place: str) -> str:
    """The end of a text that says where; nothing for no place."""
    return f" ({place})" if place else ""


def is_platform(name: str) -> bool:
    """Whether a file is ours or Python's own, or none: what was made while it runs, as the
    `__init__` of a dataclass, has a name such as `<string>` and lies in no folder."""
    if name.startswith(_OURS) or os.path.basename(name).startswith("<"):
        return True
    return name.startswith(_PYTHON) and not any(folder in name for folder in _PACKAGES)


def _own(file: str) -> str:
    """What the files of a plugin begin with, or the one file that it is."""
    file = os.path.abspath(file)
    folder = os.path.dirname(file)
    alone = os.path.basename(folder) in _PACKAGES
    return file if alone else folder + os.sep


def _belongs(name: str, own: str) -> bool:
    inside = name.startswith(own) and not any(p in name[len(own) :] for p in _PACKAGES)
    return inside and not os.path.basename(name).startswith("<")
