"""Configuration: parameters that plugins declare, where their values come from, and settings."""

from __future__ import annotations

from .config import Config, Settings
from .core import CORE_PARAMS, app_identity
from .files import Files
from .home import find_packages, make_home, package_tokens
from .params import Param, Problem, Token
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
    "app_identity",
    "find_packages",
    "make_home",
    "package_tokens",
    "parse_argv",
    "parse_config",
    "parse_env",
    "parse_rows",
    "shown",
]
