"""The parameters of the configuration, as help and completion show them."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterable

from bkjs.app import App
from bkjs.config import Param
from bkjs.errors import BkError
from bkjs.lib.mask import masked

TYPES = {"none": "", "bool": "", "": "TEXT", "str": "TEXT"}
"""How values of a type are written; other types by their own name."""
EVERY = "*"
"""For all owners of parameters."""
FEW = 3
"""Parameters with the same first word from which that is a topic of its own."""
LONG = 60
"""Characters of a default that are shown."""


def declared(owners: Iterable[str]) -> dict[str, dict[str, str]]:
    """By topic: each parameter as it is typed, and what it means.

    Those of every module that is installed and of the `core`; nothing is written anywhere.
    """
    wanted = set(owners)
    if not wanted:
        return {}
    with tempfile.TemporaryDirectory(prefix="bkjs-help-") as home:
        app = App(role="shell", argv=["-home", home, "-log", "none"])
        try:
            app.prepare()
        except BkError:  # a plugin that fails says so elsewhere; what is known is shown
            pass
    found: dict[str, dict[str, str]] = {}
    for owner in app.config.declared.owners.values():
        if owner.name in wanted or EVERY in wanted:
            named = {owner.prefixes[0] + param.title: param for param in owner.params}
            topics = Counter(_topic(name, owner.prefixes[0]) for name in named)
            for name, param in named.items():
                topic = _topic(name, owner.prefixes[0])
                group = topic if topics[topic] >= FEW else owner.name
                title = f"-{name} {TYPES.get(param.kind, param.kind)}".strip()
                found.setdefault(group, {})[title] = param.descr + _default(param)
    return dict(sorted(found.items(), key=lambda item: item[0] != "core"))


def _topic(name: str, prefix: str) -> str:
    """The first words of a name: `log` of `log-file`, `api-session` of `api-session-age`."""
    return prefix + name.removeprefix(prefix).partition("-")[0]


def names() -> list[str]:
    """The name of every parameter."""
    shown = (title for params in declared(EVERY).values() for title in params)
    return [title.partition(" ")[0].removeprefix("-") for title in shown]


def _default(param: Param) -> str:
    value = masked("", param.default, param.secret)
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    shown = value is not False and value not in (None, "", {}) and len(text) <= LONG
    return f" [{text}]" if shown else ""
