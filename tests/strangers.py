"""Installs made-up third-party packages: a folder on the path is all that an installer leaves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def install(
    folder: Path,
    package: str,
    code: str | None,
    *,
    entry: str,
    group: str = "bkjs.modules",
    version: str = "1.2.0",
    requires: str = "bkjs>=0.1,<0.2",
    value: str = "",
) -> Mapping[str, str]:
    """Lay a package with one plugin into `folder`; the environment that makes it installed.

    `code` is the module's text, None for a module that does not exist; surrogates become bytes.
    """
    module = package.replace("-", "_")
    info = folder / f"{module}-{version}.dist-info"
    info.mkdir(parents=True)
    head = f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"
    (info / "METADATA").write_text(f"{head}Requires-Dist: {requires}\n", errors="surrogateescape")
    (info / "entry_points.txt").write_text(f"[{group}]\n{entry} = {value or module}\n")
    if code is not None:
        (folder / f"{module}.py").write_text(code, errors="surrogateescape")
    return {"PYTHONPATH": str(folder)}
