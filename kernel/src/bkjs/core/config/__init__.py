"""Configuration: parameters that plugins declare, where their values come from, and settings."""

from __future__ import annotations

from bkjs.lib.parameters.packages import find_packages, package_tokens
from bkjs.lib.parameters.params import Param, Problem, Token
from bkjs.lib.parameters.parse import parse_argv, parse_config, parse_env, parse_rows
from bkjs.lib.parameters.resolve import SOURCES, Owner, shown

from .config import Config, Settings
from .core import CORE_PARAMS
from .files import Files
from .home import configured_folders, make_home

Source = str
"""One of `SOURCES`."""

__all__ = [
    "CORE_PARAMS",
    "SOURCES",
    "Config",
    "Files",
    "Owner",
    "Param",
    "Problem",
    "Settings",
    "Source",
    "Token",
    "configured_folders",
    "find_packages",
    "make_home",
    "package_tokens",
    "parse_argv",
    "parse_config",
    "parse_env",
    "parse_rows",
    "shown",
]
