"""Golden data for parametrised tests: where it is and how a case is marked."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from bkjs.lib.dates import from_ms
from bkjs.lib.numbers import MISSING
from bkjs.lib.patterns import to_regexp


def folder() -> Path:
    """The golden data: `BKJS_TEST_VECTORS`, else `shared/vectors` beside the checkout."""
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


def vectors(name: str) -> list[Any]:
    """One `pytest.param` for each case of a file, named by its id, title or number.

    Without the folder one skipped case says so, so that a run never looks complete by mistake.
    """
    if not (folder() / f"{name}.json").is_file():
        reason = f"golden data {name}.json is not here; set BKJS_TEST_VECTORS"
        marks = [pytest.mark.vectors, pytest.mark.skip(reason=reason)]
        return [pytest.param({}, id=f"{name}-absent", marks=marks)]
    cases = load(name)["cases"]
    return [
        pytest.param(
            case,
            id=f"{name}-{case.get('id', number)}",
            marks=[pytest.mark.vectors]
            + ([pytest.mark.skip(reason="quirk of the reference")] if case.get("quirk") else []),
        )
        for number, case in enumerate(cases)
    ]


def decode(value: Any) -> Any:
    """A value of a case with its marks (`$undef`, `$nan`, `$inf`, `$date` …) turned into objects.

    An invalid date is None, an error an `Exception` with `status`, a function one that gives None.
    """
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    mark = next(iter(value), "")
    match mark:
        case "$undef":
            return MISSING
        case "$nan":
            return math.nan
        case "$inf":
            return math.copysign(math.inf, value[mark])
        case "$date":
            return None if value[mark] is None else from_ms(value[mark])
        case "$re":
            source = value[mark].replace("\\/", "/")
            return to_regexp("" if source == "(?:)" else source, value.get("flags") or "")
        case "$buf":
            return bytes.fromhex(value[mark])
        case "$error":
            error = Exception(value[mark])
            error.status = value.get("status")  # type: ignore[attr-defined]
            return error
        case "$func":
            return lambda *args: None
    return {key: decode(item) for key, item in value.items()}


def same(actual: Any, expected: Any) -> bool:
    """Whether a result is the decoded one of a case.

    Numbers may differ by rounding, a missing value equals None, lists and tuples are alike.
    """
    if expected is MISSING:
        return actual is None or actual is MISSING
    if isinstance(expected, dict):
        return (
            isinstance(actual, dict)
            and {k for k, v in actual.items() if v is not MISSING}
            == {k for k, v in expected.items() if v is not MISSING}
            and all(same(actual[key], expected[key]) for key in actual if key in expected)
        )
    if isinstance(expected, list):
        return (
            isinstance(actual, (list, tuple))
            and len(actual) == len(expected)
            and all(map(same, actual, expected))
        )
    if isinstance(expected, (int, float)) and not isinstance(expected, bool):
        if isinstance(actual, bool) or not isinstance(actual, (int, float)):
            return False
        return math.isclose(actual, expected, rel_tol=1e-12, abs_tol=1e-12) or (
            math.isnan(actual) and math.isnan(expected)
        )
    return type(actual) is type(expected) and bool(actual == expected)
