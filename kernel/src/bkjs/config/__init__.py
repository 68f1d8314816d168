"""Configuration: parameters that plugins declare, where their values come from, and settings.

Sources are read into tokens (`parse`, `files`, `packages`), these are matched with the declared
parameters (`param`, `builtin`), converted (`values`) and put where they belong (`store`), from the
weakest source to the strongest (`resolve`).
"""

from __future__ import annotations

from .builtin import CORE_PARAMS
from .config import Config, Settings
from .home import configured_folders, make_home
from .packages import package_tokens
from .param import Param, Problem
from .resolve import shown

__all__ = [
    "CORE_PARAMS", "Config", "Param", "Problem", "Settings", "configured_folders", "make_home",
    "package_tokens", "shown",
]  # fmt: skip
