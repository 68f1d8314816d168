"""Configuration: parameters that plugins declare, where their values come from, and settings."""

from __future__ import annotations

from collections.abc import Iterable

from .config import SOURCES, Config, Entry, Owner, Settings
from .core import CORE_PARAMS, app_identity
from .files import Files
from .home import find_packages, make_home, package_tokens
from .mask import is_secret, mask_text, masked
from .params import Param, Problem, Token
from .parse import parse_argv, parse_config, parse_env, parse_rows

Source = str
"""One of `SOURCES`."""

__all__ = [
    "CORE_PARAMS",
    "SOURCES",
    "Config",
    "Entry",
    "Files",
    "Owner",
    "Param",
    "Problem",
    "Settings",
    "Source",
    "Token",
    "app_identity",
    "find_packages",
    "is_secret",
    "make_home",
    "mask_text",
    "masked",
    "package_tokens",
    "parse_argv",
    "parse_config",
    "parse_env",
    "parse_rows",
    "read_files",
]


def read_files(config: Config) -> Iterable[tuple[str, list[Token]]]:
    """Each source that lies in files, with its tokens."""
    return config.files.read().items()
