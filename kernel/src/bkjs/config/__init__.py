"""Configuration: parameters that plugins declare, where their values come from, and settings.

Sources are read into tokens (`parse`, `files`, `packages`), these are matched with the declared
parameters (`param`, `builtin`), converted (`values`) and put where they belong (`store`), from the
weakest source to the strongest (`resolve`).
"""

from __future__ import annotations

from .builtin import CORE_PARAMS as CORE_PARAMS
from .config import Config as Config
from .config import Settings as Settings
from .home import configured_folders as configured_folders
from .home import make_home as make_home
from .packages import package_tokens as package_tokens
from .param import Param as Param
from .param import Problem as Problem
from .resolve import shown as shown
