"""Imports point one way, and starting costs no import that is not needed yet."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
KERNEL = ROOT / "kernel" / "src" / "bkjs"
CORE = KERNEL / "core"
FILES = sorted(f for f in KERNEL.rglob("*.py") if "scaffold" not in f.parts)
PLATFORM = [
    *FILES,
    *sorted(f for p in ("drivers", "plugins") for f in (ROOT / p).glob("*/src/**/*.py")),
]
"""Every source file of the kernel, the drivers and the plugins."""
WEB_LIBRARIES = ("fastapi", "starlette", "uvicorn", "pydantic")


LAYERS = (
    ("errors", "log", "readonly", "version"),
    ("lib",),
    ("config",),
    ("core",),
    ("processes",),
    ("ipc",),
    ("db",),
    ("auth",),
    ("jobs",),
    ("app",),
    ("web",),
    ("hookspecs", "cli", "commands", "testing", "helpers"),
)
"""Imports point from a later layer to an earlier one; those of one layer may know each other."""

WEB_LAYERS = (
    # what a request reads itself with, and what is noted on it while it is served
    ("parameters", "forms", "paths", "proxies", "deadlines", "endpoint"),
    ("plan", "websettings"),
    ("request", "response", "part"),
    ("input",),
    ("routing",),
    ("output",),
    ("server", "gateway", "websocket", "service", "endpoints"),
)
"""The same within `web`."""

DB_LAYERS = (
    ("contract", "keys", "operators", "results", "threads"),
    ("tables",),
    ("conditions",),
    ("pools",),
    ("request",),
    ("verbs",),
    ("many", "transaction"),
    ("database",),
    ("setup",),
)
"""The same within `db`."""

OF_PYTHON = ("_replace", "_asdict", "_fields", "_make", "_current_frames")
"""Public, although they begin with an underline."""

NEEDED = {
    "geo": "searches by place, with the module of locations",
    "metrics": "statistics of pools, requests and jobs",
    "numbers.to_version": "versions of applications, with the module of devices",
}
"""Files and names of `lib` without a caller yet, and the open work that needs them."""

ONE_SUBJECT: dict[frozenset[str], str] = {}
"""Files that name each other's types and may, with the reason."""


def imports(file: Path, *, types: bool = False) -> Iterator[str]:
    """Full names of what a file imports anywhere; under `if TYPE_CHECKING:` only with `types`."""
    parts = file.parts
    package = ".".join(parts[len(parts) - parts[::-1].index("src") : -1])
    todo: list[ast.AST] = [ast.parse(file.read_text(encoding="utf-8"))]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            todo += [*node.orelse, *(node.body if types else ())]
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *filter(None, [base])])
            yield from (f"{base}.{alias.name}" for alias in node.names)
        else:
            todo += ast.iter_child_nodes(node)


def module_of(file: Path) -> str:
    parts = file.relative_to(KERNEL.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def graph() -> dict[str, set[str]]:
    """Which file of the kernel imports which, those for types included.

    The lazy names of `bkjs` and `bkjs.web` count as what they stand for.
    """
    modules = {module_of(file) for file in FILES}
    found: dict[str, set[str]] = {}
    for file in FILES:
        targets = set()
        for name in imports(file, types=True):
            while name and name not in modules:
                name = name.rpartition(".")[0]
            targets.add(name)
        found[module_of(file)] = targets - {"", "bkjs", module_of(file)}
    return found


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """The strongly connected parts of more than one file (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for target in sorted(edges[name]):
            if target not in index:
                visit(target)
                low[name] = min(low[name], low[target])
            elif target in stack:
                low[name] = min(low[name], index[target])
        if low[name] == index[name]:
            position = stack.index(name)
            if len(part := stack[position:]) > 1:
                found.append(sorted(part))
            del stack[position:]

    for name in edges:
        if name not in index:
            visit(name)
    return found


def upwards(root: str, layers: tuple[tuple[str, ...], ...]) -> list[str]:
    """Imports below a package that go from a lower layer to a higher one."""
    level = {name: place for place, names in enumerate(layers) for name in names}
    wrong = []
    for name, targets in graph().items():
        if not name.startswith(root + ".") or name == "bkjs.__main__":
            continue
        mine = level[name[len(root) + 1 :].partition(".")[0]]
        for target in sorted(targets):
            if target.startswith(root + "."):
                other = target[len(root) + 1 :].partition(".")[0]
                if level[other] > mine:
                    wrong.append(f"{name} imports {target}")
    return wrong


def is_private(name: str) -> bool:
    return re.fullmatch("_[a-z].*", name, re.I) is not None and name not in OF_PYTHON


def defined_privately(file: Path) -> set[str]:
    """Private attributes and functions that a file defines itself."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found


def definitions(file: Path) -> dict[str, ast.stmt]:
    """What a file defines at its top level, by name."""
    found: dict[str, ast.stmt] = {}
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found[node.name] = node
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id: node for target in targets if isinstance(target, ast.Name)}
    return found


def names_in(tree: ast.AST) -> set[str]:
    """Every name and attribute that code mentions, in its imports, too."""
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name):
                found.add(name)
    return found


def below(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def offences(files: list[Path], *packages: str) -> list[str]:
    """What in these files imports one of the packages, as `file: name`."""
    return [
        f"{file.relative_to(ROOT)}: {name}"
        for file in files
        for name in imports(file)
        if below(name, *packages)
    ]


def loaded(code: str) -> set[str]:
    """The modules that a fresh interpreter has after running the code."""
    code += "\nimport sys; print('\\n' + ' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.splitlines()[-1].split())


def test_imports_point_one_way():
    edges = {n: ts for n, ts in graph().items() if n not in ("bkjs", "bkjs.__main__")}
    known = {name for names in LAYERS for name in names}
    assert {name.split(".")[1] for name in edges} <= known
    assert upwards("bkjs", LAYERS) == []
    assert upwards("bkjs.web", WEB_LAYERS) == []


def test_imports_of_the_database_point_one_way():
    assert upwards("bkjs.db", DB_LAYERS) == []


def test_no_import_circle_even_for_types():
    found = [part for part in circles(graph()) if frozenset(part) not in ONE_SUBJECT]
    assert found == []


def test_helpers_are_imported_by_nothing_in_the_platform():
    others = [file for file in PLATFORM if KERNEL / "helpers" not in file.parents]
    assert offences(others, "bkjs.helpers") == []


def test_every_public_name_of_the_library_has_a_caller_or_open_work_that_needs_it():
    library = [file for file in FILES if KERNEL / "lib" in file.parents]
    others = [f for f in PLATFORM if f not in library and KERNEL / "helpers" not in f.parents]
    defined = {file.stem: definitions(file) for file in library}
    used = {name for file in others for name in names_in(ast.parse(file.read_text("utf-8")))}
    todo = [
        (file, name)
        for file, names in defined.items()
        for name in names
        if name in used or file in NEEDED or f"{file}.{name}" in NEEDED
    ]
    alive = set(todo)
    while todo:  # what a living name uses lives, too
        file, name = todo.pop()
        for word in names_in(defined[file][name]):
            found = {(f, word) for f, names in defined.items() if word in names} - alive
            alive |= found
            todo += found
    dead = {(file, name) for file, names in defined.items() for name in names} - alive
    assert sorted(f"{file}.{name}" for file, name in dead) == []


def test_a_private_name_is_used_in_its_own_file_only():
    wrong = []
    for file in PLATFORM:
        for name in imports(file, types=True):
            private = [p for p in name.split(".") if p.startswith("_") and not p.startswith("__")]
            if private and name.startswith("bkjs"):
                wrong.append(f"{file.relative_to(ROOT)}: {name}")
        private_names = defined_privately(file)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and is_private(node.attr):
                own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
                if not own and node.attr not in private_names:
                    wrong.append(f"{file.relative_to(ROOT)}:{node.lineno}: .{node.attr}")
    assert wrong == []


def test_core_imports_no_service():
    services = ("bkjs.db", "bkjs.ipc", "bkjs.jobs", "bkjs.web", "bkjs.commands", "bkjs.testing")
    assert offences(sorted(CORE.rglob("*.py")), *services) == []


def test_kernel_imports_no_plugin_and_no_driver():
    packages = [
        folder.name
        for pattern in ("drivers/*/src/*", "plugins/*/src/*")
        for folder in ROOT.glob(pattern)
        if folder.is_dir()
    ]
    assert {"bkjs_sql", "bkjs_db_sqlite", "bkjs_accounts"} <= set(packages)
    assert offences(FILES, *packages) == []


def test_only_web_modules_import_the_web_libraries():
    others = [file for file in FILES if KERNEL / "web" not in file.parents]
    assert offences(others, *WEB_LIBRARIES) == []


def test_library_imports_no_service():
    library = sorted((KERNEL / "lib").rglob("*.py"))
    assert offences(library, "bkjs.db", "bkjs.ipc", "bkjs.jobs", "bkjs.web", "bkjs.commands") == []


def test_database_layer_imports_no_web():
    assert offences(sorted((KERNEL / "db").rglob("*.py")), "bkjs.web", "bkjs.commands") == []


def test_testing_kit_is_imported_by_nothing_else():
    others = [file for file in FILES if KERNEL / "testing" not in file.parents]
    assert offences(others, "bkjs.testing", "pytest") == []


@pytest.mark.parametrize(("folder", "most"), [("config", 1600), ("core", 1500)])
def test_the_kernel_stays_small(folder: str, most: int):
    lines = {f.name: len(f.read_text().splitlines()) for f in (KERNEL / folder).rglob("*.py")}
    assert sum(lines.values()) <= most, lines


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_and_version_start_without_heavy_imports(argument: str):
    heavy = {"pluggy", "asyncio", "json", "orjson", "msgspec", "importlib.metadata", "logging"}
    heavy |= {*WEB_LIBRARIES, "inspect", "typing_extensions", "argparse"}
    assert loaded(f"from bkjs.cli import main; main(['{argument}'])") & heavy == set()


def test_the_version_needs_nothing_but_its_own_files():
    own = {"bkjs", "bkjs.version", "bkjs.core", "bkjs.cli", "bkjs.core.entrypoints", "__future__"}
    version = "from bkjs.cli import main; main(['--version'])"
    assert loaded(version) - loaded("") <= own


def test_importing_bkjs_imports_nothing_heavy():
    heavy = {"pluggy", "asyncio", "json", "logging", *WEB_LIBRARIES}
    assert loaded("import bkjs") & heavy == set()


def test_services_are_imported_without_the_web_libraries():
    modules = loaded("import bkjs.web, bkjs.db, bkjs.core.kernel")
    assert modules & {*WEB_LIBRARIES, "asyncpg", "sqlite3"} == set()


def test_starting_a_worker_imports_no_web_library_and_no_client_of_an_unused_database():
    code = (
        "import asyncio, tempfile\n"
        "from bkjs import App\n"
        "async def main():\n"
        "    with tempfile.TemporaryDirectory() as home:\n"
        "        argv = ['-home', home, '-db-pool', 'none']\n"
        "        async with App(role='worker', argv=argv, modules=[]):\n"
        "            pass\n"
        "asyncio.run(main())"
    )
    clients = {
        "asyncpg",
        "sqlite3",
        "aiohttp",
        "bkjs_db_sqlite",
        "bkjs_db_pgsql",
        "bkjs_sql",
        "lmdb",
        "plyvel",
    }
    assert loaded(code) & {*WEB_LIBRARIES, *clients} == set()
