"""Imports point one way, and starting costs no import that is not needed yet."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
KERNEL = ROOT / "kernel" / "src" / "bkjs"
CORE = KERNEL / "core"
FILES = sorted(KERNEL.rglob("*.py"))
WEB_LIBRARIES = ("fastapi", "starlette", "uvicorn", "pydantic")


def imports(file: Path) -> Iterator[str]:
    """Full names of what a file imports anywhere but under `if TYPE_CHECKING:`."""
    package = ".".join(file.relative_to(KERNEL.parent).with_suffix("").parts[:-1])
    todo: list[ast.AST] = [ast.parse(file.read_text(encoding="utf-8"))]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            todo += node.orelse
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


def test_core_has_at_most_2000_lines():
    lines = {f.name: len(f.read_text().splitlines()) for f in CORE.rglob("*.py")}
    assert sum(lines.values()) <= 2000, lines


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
    clients = {"asyncpg", "sqlite3", "bkjs_db_sqlite", "bkjs_db_pgsql", "bkjs_sql"}
    assert loaded(code) & {*WEB_LIBRARIES, *clients} == set()
