"""Golden data for parametrised tests: where it is and how a case is marked."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest


def folder() -> Path:
    """The folder of the golden data: `BKJS_TEST_VECTORS`, else `shared/vectors` beside the checkout."""
    named = os.environ.get("BKJS_TEST_VECTORS")
    if named:
        return Path(named)
    for parent in Path(__file__).resolve().parents:
        if (parent / "kernel" / "src" / "bkjs").is_dir():
            return parent.parent / "shared" / "vectors"
    return Path("vectors-not-installed")


def load(name: str) -> dict[str, Any]:
    """The content of one file; an empty set of cases when the folder is not here."""
    path = folder() / f"{name}.json"
    if not path.is_file():
        return {"cases": []}
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return data


def vectors(name: str, key: str = "cases") -> list[Any]:
    """One `pytest.param` for each case of a file, named by its id, title or number.

    Without the folder one skipped case says so, so that a run never looks complete by mistake.
    """
    if not (folder() / f"{name}.json").is_file():
        reason = f"golden data {name}.json is not here; set BKJS_TEST_VECTORS"
        return [pytest.param({}, id=f"{name}-absent", marks=pytest.mark.skip(reason=reason))]
    cases = load(name)[key]
    return [
        pytest.param(
            case,
            id=f"{name}-{case.get('id', number)}",
            marks=[pytest.mark.vectors]
            + ([pytest.mark.skip(reason="quirk of the reference")] if case.get("quirk") else []),
        )
        for number, case in enumerate(cases)
    ]
