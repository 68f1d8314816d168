"""What is installed, read straight from the metadata on disk.

`importlib.metadata` costs 30 ms to import; reading the `entry_points.txt` files costs one or two.
This module may therefore import `os` and `sys` only, not even `typing` or `collections`.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

GROUPS = ("bkjs.modules", "bkjs.db", "bkjs.ipc", "bkjs.push", "bkjs.commands")


class EntryPoint:
    """One installed plugin: where it is and which package brought it.

    `value` is the module to import, with `:attribute` when the plugin is an object in it;
    `metadata` is the directory of the package's metadata.
    """

    __slots__ = ("group", "metadata", "name", "package", "value", "version")

    def __init__(
        self, group: str, name: str, value: str, package: str, version: str, metadata: str
    ) -> None:
        self.group, self.name, self.value = group, name, value
        self.package, self.version, self.metadata = package, version, metadata


def scan(path: list[str] | None = None) -> list[EntryPoint]:
    """Every entry point of our groups; the first distribution of a name on the path wins."""
    found: list[EntryPoint] = []
    seen: set[str] = set()
    for folder in sys.path if path is None else path:
        for directory in _metadata_dirs(folder or "."):
            package, version = _identity(directory)
            if package in seen:
                continue
            seen.add(package)
            text = _read(os.path.join(directory, "entry_points.txt"))
            if "[bkjs." in text:
                found += [
                    EntryPoint(group, name, value, package, version, directory)
                    for group, name, value in _parse(text)
                    if group in GROUPS
                ]
    return found


def by_name(
    entries: Iterable[EntryPoint],
) -> tuple[dict[tuple[str, str], EntryPoint], dict[tuple[str, str], str]]:
    """Entry points by group and name, and what is wrong with names that two packages bring.

    Those of `bkjs` itself cannot be replaced.
    """
    found: dict[tuple[str, str], EntryPoint] = {}
    clashes = {}
    for entry in sorted(entries, key=lambda entry: entry.package != "bkjs"):
        key = (entry.group, entry.name)
        first = found.setdefault(key, entry)
        if first.package not in ("bkjs", entry.package):
            clashes[key] = (
                f"two packages bring a plugin {entry.name!r} for {entry.group}:"
                f" {first.package} and {entry.package}; uninstall one of them"
            )
    return found, clashes


def requirement(entry: EntryPoint) -> str:
    """The versions of `bkjs` that the package asks for, such as `>=0.1,<0.2`; empty for any."""
    for file in ("METADATA", "PKG-INFO"):
        for line in _read(os.path.join(entry.metadata, file)).splitlines():
            if not line:
                break
            if line.startswith("Requires-Dist:"):
                text, _, marker = line[14:].strip().partition(";")
                name, versions = _split_requirement(text)
                if name == "bkjs" and "extra" not in marker:
                    return versions
    return ""


def help_line(value: str) -> str:
    """The first line of a module's docstring, read without importing the module."""
    relative = value.partition(":")[0].replace(".", os.sep)
    for folder in sys.path:
        for file in (relative + ".py", os.path.join(relative, "__init__.py")):
            text = _read(os.path.join(folder or ".", file), 400)
            if text:
                quotes = text.lstrip().partition("\n")[0]
                return quotes.strip("\"' \r") if quotes.startswith(('"""', "'''")) else ""
    return ""


def _metadata_dirs(folder: str) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith((".dist-info", ".egg-info")):
                    yield entry.path
    except OSError:
        return


def _identity(directory: str) -> tuple[str, str]:
    name, _, version = os.path.basename(directory).rpartition(".")[0].partition("-")
    return name.replace("_", "-").lower(), version.partition("-")[0]


def _read(path: str, size: int = -1) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(size).removeprefix("\ufeff")
    except OSError:
        return ""


def _parse(text: str) -> Iterator[tuple[str, str, str]]:
    group = ""
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("["):
            group = line.strip("[]")
        elif "=" in line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            yield group, name.strip(), value.partition("[")[0].strip()


def _split_requirement(text: str) -> tuple[str, str]:
    size = 0
    while size < len(text) and (text[size].isalnum() or text[size] in "-_."):
        size += 1
    name, rest = text[:size].replace("_", "-").lower(), text[size:].strip()
    if rest.startswith("["):
        rest = rest.partition("]")[2]
    return name, rest.strip(" ()")
