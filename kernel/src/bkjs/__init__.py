"""bkjs: a backend platform for Python, a microkernel with plugins.

Only names are here; what they stand for is imported when it is first used, so that the command line
starts in a few milliseconds.
"""

TYPE_CHECKING = False  # importing typing takes longer than all that `bkjs --version` does
if TYPE_CHECKING:
    from bkjs.core.app import App as App
    from bkjs.core.config import Param as Param
    from bkjs.core.hookspecs import hookimpl as hookimpl

__version__ = "0.1.0"
__all__ = ["App", "Param", "__version__", "hookimpl"]

_WHERE = {
    "App": "bkjs.core.app",
    "Param": "bkjs.core.config",
    "hookimpl": "bkjs.core.hookspecs",
}


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module 'bkjs' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_WHERE[name]), name)
