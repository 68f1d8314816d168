"""Wheels of every package, and environments that have nothing but what a test installs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECTS = sorted(
    file.parent
    for pattern in ("kernel", "drivers/*", "plugins/*")
    for file in ROOT.glob(f"{pattern}/pyproject.toml")
)
UNREACHABLE = re.compile(r"failed to fetch|connection error|name resolution|network is", re.I)


def metadata(project: Path) -> dict:
    return tomllib.loads((project / "pyproject.toml").read_text())["project"]


def call(*argv: str | Path, **options) -> subprocess.CompletedProcess[str]:
    """Run to the end; its output is the failure's text."""
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(a) for a in argv],
        env={**env, **options.pop("env", {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        **options,
    )
    if done.returncode:
        pytest.fail(f"{' '.join(map(str, argv))}\n{done.stdout}\n{done.stderr}", pytrace=False)
    return done


class Clean:
    """An environment of its own; packages of this repository come from their wheels."""

    def __init__(self, folder: Path, wheels: Path, python: str = sys.executable) -> None:
        self.folder = folder
        self._wheels = wheels
        self._uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        if self._uv:
            call(self._uv, "venv", "-q", "--python", python, folder)
        else:
            call(python, "-m", "venv", "--without-pip", folder)  # ours does, in half the time

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    def install(self, *what: str | Path) -> None:
        """Install as a user would; skips where no package registry can be reached."""
        links = ["--find-links", str(self._wheels), *map(str, what)]
        python = str(self.bin / "python")
        if self._uv:
            os.environ.setdefault("UV_SYSTEM_CERTS", "1")
            tool = [self._uv, "pip", "install", "-q", "--python", python]
            tries = [[*tool, "--offline", *links], [*tool, *links]]  # its cache is enough mostly
        else:
            tries = [[sys.executable, "-m", "pip", "--python", python, "install", "-q", *links]]
        for argv in tries:
            try:
                call(*argv)
                return
            except pytest.fail.Exception as error:
                failure = error
        if UNREACHABLE.search(str(failure)):
            pytest.skip("no package registry can be reached")
        raise failure

    def run(self, *argv: str | Path, **options) -> str:
        """What a program of this environment prints."""
        return call(self.bin / str(argv[0]), *argv[1:], **options).stdout


@pytest.fixture(scope="session")
def wheels(tmp_path_factory) -> Path:
    """A folder with the wheel of every package, each built alone from a copy of its folder."""
    folder = tmp_path_factory.mktemp("wheels")
    sources = tmp_path_factory.mktemp("sources")
    for project in PROJECTS:
        copy = sources / project.relative_to(ROOT)
        junk = shutil.ignore_patterns("__pycache__", ".*_cache", "*.egg-info")
        shutil.copytree(project, copy, ignore=junk)
    for project in PROJECTS:
        copy = sources / project.relative_to(ROOT)
        call(sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", folder, copy)
    return folder


@pytest.fixture
def clean(tmp_path, wheels) -> Clean:
    return Clean(tmp_path / "venv", wheels)
