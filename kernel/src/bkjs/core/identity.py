"""What an application is called, by its metadata or configuration."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

log = logging.getLogger(__name__)


class Identity(NamedTuple):
    """What an application says it is; each is empty when nobody says it."""

    name: str = ""
    version: str = ""
    descr: str = ""


def app_identity(given: str, package: str = "", folders: Iterable[Path] = ()) -> Identity:
    """Name, version and description, each from the first place that has it.

    Places are `given` (`name`, `name-version` or `name/version`), the metadata of an installed
    `package`, and the `pyproject.toml` or `package.json` of each folder. What cannot be read is
    logged and passed over.
    """
    name, *version = re.split("[-/]", given, maxsplit=2)
    found = Identity(name.strip(), version[0].strip() if version else "")
    if package:
        found = _filled(found, _installed(package))
    for folder in dict.fromkeys(folders):
        found = _filled(found, _described(folder))
    return found


def _filled(found: Identity, about: Mapping[str, Any]) -> Identity:
    more = Identity(*(str(about.get(key) or "") for key in ("name", "version", "description")))
    return Identity(*(old or new for old, new in zip(found, more, strict=True)))


def _installed(package: str) -> Mapping[str, Any]:
    from importlib.metadata import PackageNotFoundError, metadata

    try:
        about = metadata(package).json
    except PackageNotFoundError:
        log.error("app-package: no package %r is installed", package)
        return {}
    return {**about, "description": about.get("summary")}


def _described(folder: Path) -> Mapping[str, Any]:
    import tomllib

    for file in (folder / "pyproject.toml", folder / "package.json"):
        try:
            text = file.read_text(encoding="utf-8")
            is_toml = file.suffix == ".toml"
            about = tomllib.loads(text).get("project") if is_toml else json.loads(text)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            log.error("%s: %s", file, error)
            continue
        if isinstance(about, dict):
            return about
    return {}
