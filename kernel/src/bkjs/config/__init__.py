"""Configuration: parameters that plugins declare, where their values come from, and settings."""

from __future__ import annotations

from .builtin import CORE_PARAMS
from .config import Config, Settings
from .files import Files
from .home import configured_folders, make_home
from .packages import find_packages, package_tokens
from .param import Param, Problem, Token
from .parse import parse_argv, parse_config, parse_env, parse_rows
from .resolve import SOURCES, Owner, shown

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
