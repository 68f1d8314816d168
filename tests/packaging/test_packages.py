"""Every package builds and installs alone, from its wheel, into an empty environment."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from itertools import chain
from pathlib import Path

import pytest

import bkjs
from bkjs.testing.process import free_port
from tests.clean import PROJECTS, ROOT, Clean, call, metadata

pytestmark = pytest.mark.slow

IMPORT_ALL = """
import importlib, pkgutil, sys
package = importlib.import_module(sys.argv[1])
for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)
print("ok")
"""


def packages():
    return [pytest.param(project, id=metadata(project)["name"]) for project in PROJECTS]


@pytest.mark.parametrize("project", packages())
def test_wheel_holds_the_whole_package_and_nothing_else(project: Path, wheels: Path):
    (source,) = (folder for folder in (project / "src").iterdir() if folder.is_dir())
    distribution = metadata(project)["name"].replace("-", "_")
    (wheel,) = wheels.glob(f"{distribution}-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    here = {
        str(file.relative_to(project / "src"))
        for file in source.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert here <= names
    assert f"{source.name}/py.typed" in names
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {source.name}


@pytest.mark.parametrize("project", packages())
def test_a_registry_finds_what_it_shows(project: Path, wheels: Path, tmp_path: Path):
    """Licence, classifiers, keywords and links; in a README only links that work elsewhere."""
    distribution = metadata(project)["name"].replace("-", "_")
    (wheel,) = wheels.glob(f"{distribution}-*.whl")
    call(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path, cwd=project)
    (source,) = tmp_path.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as file:
        head, text = (
            file.read(next(name for name in file.namelist() if name.endswith(end))).decode()
            for end in (".dist-info/METADATA", ".dist-info/licenses/LICENSE")
        )
    with tarfile.open(source) as file:
        (licence,) = (name for name in file.getnames() if name.endswith("/LICENSE"))
        packed = file.extractfile(licence)
        assert packed.read().decode() == text == (ROOT / "LICENSE").read_text()
    assert "License-File: LICENSE" in head
    assert "Classifier: Programming Language :: Python :: 3.13" in head
    assert re.search(r"\nKeywords: .*\bbkjs\b", head)
    assert "\nProject-URL: Homepage, https://" in head
    assert re.findall(r"\]\((?!https://)[^)]*\)", (project / "README.md").read_text()) == []


def test_one_script_sets_every_version(tmp_path: Path):
    ignore = shutil.ignore_patterns(".venv", ".git", "_build", "__pycache__", "*.egg-info")
    for folder in ("kernel", "drivers", "plugins", "examples", ".ci", "pyproject.toml"):
        if (ROOT / folder).is_dir():
            shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignore, symlinks=True)
        else:
            shutil.copy(ROOT / folder, tmp_path)
    script = tmp_path / ".ci/version"
    assert call(script).stdout == f"{bkjs.__version__}\n"
    call(script, "7.3.1")
    assert call(script).stdout == "7.3.1\n"
    for project in PROJECTS:
        moved = metadata(tmp_path / project.relative_to(ROOT))
        extras = moved.get("optional-dependencies", {}).values()
        wanted = [*moved.get("dependencies", []), *chain.from_iterable(extras)]
        ranges = {item.partition(">=")[2] for item in wanted if item.startswith("bkjs")} - {""}
        assert ranges <= {"7.3,<7.4"}
        assert ranges or project.name == "kernel" or project.name == "sql"


@pytest.mark.parametrize("project", packages())
def test_package_alone_imports_with_what_it_declares(project: Path, clean):
    (source,) = (folder for folder in (project / "src").iterdir() if folder.is_dir())
    name = metadata(project)["name"]
    extra = "[testing,websocket]" if name == "bkjs" else ""
    clean.install(f"{name}{extra}")
    assert clean.run("python", "-c", IMPORT_ALL, source.name).endswith("ok\n")


def test_kernel_alone_works_without_any_driver(clean, tmp_path):
    clean.install("bkjs")
    rows = json.loads(clean.run("bkjs", "plugins", "-json", "-home", tmp_path / "home"))
    assert {row["package"] for row in rows} == {"bkjs"}
    assert all(row["state"] == "loaded" for row in rows if row["group"] == "bkjs")


def test_four_folders_installed_with_pip_make_a_working_server(clean, tmp_path):
    folders = ("kernel", "drivers/sql", "drivers/db-sqlite", "plugins/accounts")
    clean.install(*(ROOT / folder for folder in folders))
    assert clean.run("bkjs", "--version").startswith("bkjs ")
    rows = json.loads(clean.run("bkjs", "plugins", "-json", "-home", tmp_path / "home"))
    states = {row["name"]: row["state"] for row in rows}
    assert (states["bk_accounts"], states["sqlite"]) == ("loaded", "installed")
    port = free_port()
    argv = ["web", "-db-create-tables", "-port", str(port), "-home", str(tmp_path / "home")]
    process = subprocess.Popen(
        [str(clean.bin / "bkjs"), *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        for line in process.stdout:
            if f"127.0.0.1:{port}" in line:
                break
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=20) as reply:
            assert reply.status == 200
    finally:
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode == 0


def other_python(minor: int) -> str:
    """A Python of this minor version that is installed; "" when there is none."""
    name = f"python3.{minor}"
    kept = sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/{name}"))
    for candidate in (shutil.which(name), *kept):
        if candidate and not subprocess.run([candidate, "-c", ""], capture_output=True).returncode:
            return str(candidate)
    return ""


@pytest.mark.parametrize("minor", [12, 13, 14])
def test_an_application_works_on_other_pythons(minor: int, wheels: Path, tmp_path: Path):
    python = other_python(minor)
    if not python:
        pytest.skip(f"Python 3.{minor} is not here")
    clean = Clean(tmp_path / "venv", wheels, python)
    clean.install("bkjs[standard,testing,pgsql]")  # its tests take the PostgreSQL of this run too
    shutil.copytree(ROOT / "examples/todo", tmp_path / "todo")
    shown = clean.run("python", "-c", "import sys; print(sys.version_info[:2])")
    assert shown == f"(3, {minor})\n"
    done = clean.run("python", "-m", "pytest", "-q", cwd=tmp_path / "todo")
    assert re.match(r"[12]\d passed", done.splitlines()[-1]), done


def test_every_dependency_has_a_tested_version():
    pinned = {
        line.partition("==")[0].lower()
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    for project in PROJECTS:
        for dependency in metadata(project)["dependencies"]:
            name = re.match(r"[\w-]+", dependency)[0].lower()
            assert name.startswith("bkjs") or name in pinned, f"{project.name}: {name}"


def test_every_package_says_the_same_of_itself():
    for project in PROJECTS:
        about = metadata(project)
        assert about["license"] == "BSD-3-Clause"
        assert about["requires-python"] == ">=3.11"
        assert (project / about["readme"]).is_file(), project
        kernel = [d for d in about["dependencies"] if d.partition(">")[0].startswith("bkjs")]
        assert project.name == "kernel" or kernel, project
        assert all(d.endswith(">=0.1,<0.2") for d in kernel), kernel
