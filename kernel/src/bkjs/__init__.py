"""bkjs: a backend platform for Python, a microkernel with plugins.

Only names are here; what they stand for is imported when it is first used, so that the command line
starts in a few milliseconds.
"""

from bkjs.version import __version__ as __version__

TYPE_CHECKING = False  # importing typing takes longer than all that `bkjs --version` does
if TYPE_CHECKING:
    from bkjs.app import App as App
    from bkjs.config import Param as Param
    from bkjs.core.plugin import hookimpl as hookimpl
    from bkjs.core.services import AppKey as AppKey

__all__ = ["App", "AppKey", "Param", "__version__", "hookimpl"]

_WHERE = {
    "App": "bkjs.app",
    "AppKey": "bkjs.core.services",
    "Param": "bkjs.config",
    "hookimpl": "bkjs.core.plugin",
}


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module 'bkjs' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_WHERE[name]), name)
