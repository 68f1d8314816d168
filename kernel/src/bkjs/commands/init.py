"""Start an application, a plugin or a driver of your own from a working example"""

from __future__ import annotations

import builtins
import keyword
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

from bkjs import hookimpl
from bkjs.errors import BadRequest, UsageError

from .command import Action, Call, Command, Option

SCAFFOLD = Path(__file__).resolve().parent.parent / "scaffold"
JUNK = {"__pycache__", ".venv", ".mypy_cache", ".ruff_cache", ".pytest_cache", "build", "dist"}


@hookimpl
def commands() -> Mapping[str, Callable[[list[str]], int]]:
    """`bkjs init-app`, `init-plugin` and `init-driver`."""
    return {f"init-{kind}": COMMAND for kind in NAMES}


def main(call: Call) -> int:
    """Copy a scaffold under a name."""
    kind, (name,) = call.word.removeprefix("init-"), call.words
    if call.rest:
        raise UsageError(f"{call.rest[0]}: {call.word} takes -dir DIR only")
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise UsageError(f"{name!r}: a name has small letters, digits and single dashes")
    replace, folder = NAMES[kind](name)
    if reason := taken(name, kind, replace):
        raise UsageError(f"{name!r} {reason}; choose another name")
    target = Path(call.options.get("dir", "."), folder)
    if target.exists():
        raise BadRequest(f"{target} exists already")
    copy(SCAFFOLD / kind, target, replace)
    print(f"{target}: see README.md there")
    return 0


def taken(name: str, kind: str, replace: Collection[str]) -> str:
    """Why a name would not do in the place of the example's own; "" when it does."""
    word = name.replace("-", "_")
    if keyword.iskeyword(word) or keyword.issoftkeyword(word) or hasattr(builtins, word):
        return "is a word of Python"
    if word in sys.stdlib_module_names or find_spec(word):
        return "is a package that is installed, which it would hide"
    sources = (file.read_text("utf-8") for file in _files(SCAFFOLD / kind) if file.suffix == ".py")
    used = {found for text in sources for found in re.findall(r"[a-z_]\w*", text)}
    return "is a word that the example uses itself" if word in used - set(replace) else ""


def copy(source: Path, target: Path, replace: Mapping[str, str]) -> None:
    """Copy a tree with words replaced in names and texts, the longest words first."""
    words = re.compile("|".join(sorted(map(re.escape, replace), key=len, reverse=True)))

    def renamed(text: str) -> str:
        return words.sub(lambda match: replace[match[0]], text)

    for file in _files(source):
        copied = target / renamed(str(file.relative_to(source)))
        copied.parent.mkdir(parents=True, exist_ok=True)
        copied.write_text(renamed(file.read_text(encoding="utf-8")), encoding="utf-8")


def _files(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if entry.name in JUNK or entry.name.endswith(".egg-info"):
            continue
        if entry.is_dir():
            yield from _files(entry)
        else:
            yield entry


def _plugin(name: str) -> tuple[dict[str, str], str]:
    """`acme-weather` becomes the package bkjs-acme-weather with the module acme_weather."""
    package = name if "bkjs" in name.split("-") else f"bkjs-{name}"
    module = "_".join(part for part in name.split("-") if part != "bkjs")
    if not module:
        raise BadRequest(f"{name!r} is taken; name it like acme-bkjs-foo")
    return {
        '"city"': f'"{module}"',
        "/city/": f"/{module}/",
        "table city": f"table {module}",
        "acme-bkjs-city": package,
        "acme_bkjs_city": package.replace("-", "_"),
        "acme_city": module,
        "acme-city": module.replace("_", "-"),
    }, package


def _driver(name: str) -> tuple[dict[str, str], str]:
    """`foo` and `acme-bkjs-db-foo` become packages of a driver for the scheme foo."""
    package = name if "bkjs" in name.split("-") else f"bkjs-db-{name.removeprefix('db-')}"
    scheme = package.partition("-db-")[2].replace("-", "")
    if not scheme:
        raise BadRequest(f"{name!r}: name it like acme-bkjs-db-foo, the scheme comes last")
    return {
        "acme-bkjs-db-jsonfile": package,
        "acme_bkjs_db_jsonfile": package.replace("-", "_"),
        "JsonFile": scheme.capitalize(),
        "jsonfile": scheme,
    }, package


NAMES: Mapping[str, Callable[[str], tuple[dict[str, str], str]]] = {
    "app": lambda name: ({"todo": name.replace("-", "_")}, name),
    "plugin": _plugin,
    "driver": _driver,
}

COMMAND = Command(
    Action(
        main,
        "Copy a working example under a name of your own: small letters, digits, single dashes.",
        "NAME",
        (Option("dir", "where to put it, by default the current directory", "DIR"),),
    ),
    parameters=(),
)
