"""Which engines a test run met, and how real they were; the last lines of the run say it."""

from __future__ import annotations

import json
import os
from typing import Literal, NamedTuple

Kind = Literal["real", "compatible", "fake", "absent", "dead"]


class Engine(NamedTuple):
    """What stood behind a name in a test run, and its version or why it is absent."""

    name: str
    kind: Kind
    detail: str


KNOWN = "BKJS_TEST_ENGINES"
"""The environment variable in which who starts the tests says what it has started (JSON)."""

_met = {engine[0]: Engine(*engine) for engine in json.loads(os.environ.get(KNOWN) or "[]")}


def report(name: str, kind: Kind, detail: str) -> None:
    """Remember what stood behind `name`: the product itself, a wire-compatible server, a fake
    of ours, nothing, or one that died during the run. `detail` is its version, or the reason why
    it is not here. The first report of a name that is not `absent` stays, but for its death."""
    if kind == "dead" or name not in _met or _met[name].kind == "absent":
        _met[name] = Engine(name, kind, detail)


def met() -> list[Engine]:
    """The engines of this run, by name."""
    return sorted(_met.values())
