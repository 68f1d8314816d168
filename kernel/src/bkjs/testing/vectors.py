"""Golden data for parametrised tests: where it is and how a case is marked."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

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


class Case(dict[str, Any]):
    """One recorded case; `file` is all that its file holds, `where` says which one it is."""

    def __init__(self, content: dict[str, Any], file: dict[str, Any], where: str) -> None:
        super().__init__(content)
        self.file = file
        self.where = where

    def wanted(self, key: str = "result") -> Any:
        """What must come out: `preferred` where the recorded `key` is not what is right."""
        return self["preferred"] if "preferred" in self else self[key]


def group(case: Mapping[str, Any]) -> Any:
    """What is tested by a case, where a file has cases about several things."""
    return case.get("group", case.get("fn"))


class Kind(NamedTuple):
    """How the cases of one kind look; files are told by it, whatever their names are."""

    area: str
    keys: str
    """What every case has."""
    more: str = ""
    """What else a case may have."""
    groups: str = ""
    """What the `group` of a case, or its function `fn`, may be."""
    top: str = ""
    """What the file has beside its cases."""

    def fits(self, data: Mapping[str, Any]) -> bool:
        """Whether a file is of this kind: most of its cases look so."""
        if data.get("area") != self.area or not set(self.top.split()) <= data.keys():
            return False
        keys, groups, cases = set(self.keys.split()), self.groups.split(), data.get("cases", [])
        if groups and not any(group(case) in groups for case in cases):
            return False
        return bool(2 * sum(keys <= case.keys() for case in cases) > len(cases))

    def unknown(self, case: Case) -> list[str]:
        """What is missing in a case, or is in it and nobody would look at."""
        known = {*self.keys.split(), *self.more.split(), *_MARKS}
        named, groups = group(case), self.groups.split()
        return [
            *(f"the key {key!r} is missing" for key in self.keys.split() if key not in case),
            *(f"unknown key {key!r}" for key in case if key not in known),
            *([f"unknown group {named!r}"] if groups and named not in groups else []),
        ]


_MARKS: Final = ("quirk", "note", "preferred")
_HTTP: Final = Kind(
    "api", "id method path as status",
    "headers body sign use transport type location response set_cookie keys absent hidden also "
    "needs compat strict", top="config routes setup never",
)  # fmt: skip
KINDS: Final[Mapping[str, Kind]] = {
    "api-allow-default": Kind("api", "path allowed", top="patterns preferred_patterns"),
    "api-authorization": Kind("api", "name config path account source input_status result"),
    "api-columns": Kind("api", "name table options input output", "fn"),
    "api-controls": Kind("api", "query_string options", "compat strict"),
    "api-http": _HTTP,
    "api-misc": Kind(
        "api", "fn",
        "id options result hex secret host data token decoded compat strict key salt password body",
        groups="icon_path is_icon check_account_secret domain_name token token_decode "
        "encrypt_access_token password_hash body_checksum",
    ),
    "api-prepare-request": Kind("api", "headers query options"),
    "api-ratelimit": Kind("api", "name rate max interval steps"),
    "api-signature-client": Kind(
        "api", "login secret scramble version url options stored_secret headers signed_url",
        "method query",
    ),
    "api-signature-create": Kind("api", "login secret method host uri options result"),
    "api-signature-verify": Kind(
        "api", "name request parsed", "account verified string_to_sign compat strict"
    ),
    "config-core": Kind("config", "group argv changed", groups="core"),
    "config-db": Kind(
        "config", "group core config_roles options rows select sorted", groups="db_config_types"
    ),
    "config-init": Kind(
        "config", "role files group result", "argv modules packages opts", groups="init"
    ),
    "config-parser": Kind(
        "config", "group argv", "text defs initial pass result",
        groups="parse_config process_args",
    ),
    "db-conformance": Kind(
        "db", "id group title schema given steps", "reference requires",
        top="schemas capabilities tags",
    ),
    "db-geohash": Kind("db", "fn args result"),
    "db-keys": Kind("db", "fn args result", top="tables"),
    "db-operators": Kind("db", "type op query values result", "reference_filter"),
    "db-prepare": Kind(
        "db", "flags op obj options result", "result_ops result_update_ops", top="tables flag_sets"
    ),
    "lib": Kind("lib", "fn orig args", "result args_after throws compat"),
    "lib-i18n": Kind("lib", "fn args result", "default_locale", top="extra"),
    "lib-lines": Kind(
        "lib", "group file options calls nlines ncalls error", groups="lines", top="extra"
    ),
    "lib-logger": Kind(
        "lib", "group", "args oneline level value sequence filters time pid_replaced_by text",
        groups="format set_level set_debug_filter prefix",
    ),
    "lib-metrics": Kind(
        "lib", "group",
        "updates json percentiles ops returns value sequence outputs args steps string compare "
        "result add sorted first array",
        groups="histogram counter meter token_bucket token_bucket_equal binary_heap",
    ),
}  # fmt: skip
"""The kinds of recorded cases that the tests replay."""


@cache
def files() -> Mapping[Path, dict[str, Any]]:
    """What is in the folder, by file."""
    return {
        path: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder().glob("*.json"))
    }


def kinds(data: Mapping[str, Any]) -> list[str]:
    """The kinds that a file may be of; those that ask for more of it come first."""
    found = [name for name, kind in KINDS.items() if kind.fits(data)]
    most = max((_asked(KINDS[name]) for name in found), default=0)
    return [name for name in found if _asked(KINDS[name]) == most]


def _asked(kind: Kind) -> int:
    return len(kind.keys.split()) + 10 * len(kind.top.split())


def cases(kind: str) -> list[Case]:
    """Every case of a kind, from all files that hold such; none when the folder is not here."""
    return [
        Case(case, data, f"{path.stem}-{case.get('id', number)}")
        for path, data in files().items()
        if kind in kinds(data)
        for number, case in enumerate(data["cases"])
    ]


def vectors(kind: str, *groups: str) -> list[Any]:
    """One `pytest.param` for each case of a kind, or of some of its groups or functions.

    Without the folder one skipped case says so, so that a run never looks complete by mistake.
    """
    found = [case for case in cases(kind) if not groups or group(case) in groups]
    if not found:
        reason = f"golden data of the kind {kind} is not here; set BKJS_TEST_VECTORS"
        marks = [pytest.mark.vectors, pytest.mark.skip(reason=reason)]
        return [pytest.param(Case({}, {}, kind), id=f"{kind}-absent", marks=marks)]
    return [
        pytest.param(
            case,
            id=case.where,
            marks=[pytest.mark.vectors]
            + ([pytest.mark.skip(reason="quirk of the reference")] if case.get("quirk") else []),
        )
        for case in found
    ]


def known(given: Iterable[str], names: Iterable[str], what: str = "option") -> None:
    """Fails with the name of what a test would not look at."""
    unknown = sorted(set(given) - set(names))
    assert not unknown, f"unknown {what} {', '.join(map(repr, unknown))}"


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
