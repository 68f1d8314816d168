"""All values out of the defaults and every source: a pure step, the same whatever came before."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

from bkjs.lib.mask import MASK, is_secret, mask_text

from . import store
from .param import Param, Problem, Token, unescape
from .values import Context, absent

SOURCES = ("packages", "file", "dns", "database", "local", "environment", "command line")
"""Where values come from, later ones win. The environment is `BKJS_ARGS`."""

CMDLINE = ("environment", "command line")

Sources = Mapping[str, Sequence[Token]]
Place = tuple[str, store.Path]
"""An owner and the keys under which it stores a value."""
Origin = tuple[Param, Token]


@dataclass(slots=True)
class Owner:
    """Whose parameters these are, and how their names may begin."""

    name: str
    prefixes: tuple[str, ...] = ()
    params: list[Param] = field(default_factory=list)


@dataclass(slots=True)
class Declared:
    """What a resolution goes by besides the sources."""

    owners: dict[str, Owner] = field(default_factory=dict)
    unread: Sequence[str] = ()
    """Prefixes of plugins that are installed but not loaded: their parameters are let be."""
    child: bool = False
    """Whether this is a forked worker process."""
    cwd: str = ""

    def matching(self, name: str) -> Iterator[tuple[Owner, Param, str, tuple[str, ...]]]:
        """All parameters that a name means, each with the name without prefix and its captures."""
        for owner in self.owners.values():
            for rest in dict.fromkeys(
                name.removeprefix(p) for p in owner.prefixes if name.startswith(p)
            ):
                for param in owner.params:
                    captures = param.match(rest)
                    if captures is not None:
                        yield owner, param, rest, captures

    def nearest(self, name: str) -> str:
        """The known name most alike, or nothing; NAME in a family is what stands there."""
        given = name.split("-")
        best = (0.66, 0, "")  # alike how much, how far from its number of words, the name
        for owner in self.owners.values():
            for param in owner.params:
                words = (owner.prefixes[0] + param.title).split("-")
                words += ["NAME"] * (len(given) - len(words)) if words[-1] == "NAME" else []
                parts = given + words[len(given) :]
                likely = [
                    part if word == "NAME" else word
                    for word, part in zip(words, parts, strict=False)
                ]
                fixed = [word for word in words if word != "NAME"]
                same = [
                    part
                    for place, part in enumerate(given)
                    if place >= len(words) or words[place] != "NAME"
                ]
                while same and fixed and same[0] == fixed[0]:  # what is right says nothing
                    del same[0], fixed[0]
                ratio = SequenceMatcher(None, "-".join(same), "-".join(fixed)).ratio()
                best = max(best, (ratio, -abs(len(words) - len(given)), "-".join(likely)))
        if best[2]:
            return best[2] if best[2] != name else ""
        rest = name.partition("-")[2]  # of an application, that has another prefix than its file
        own = self.owners.get("app", Owner("app"))
        return next((f"{own.prefixes[0]}{p.name}" for p in own.params if p.name == rest), "")


@dataclass(slots=True)
class Result:
    """Values by owner, what gave each of them (the last one counts), and what is wrong."""

    values: dict[str, store.Values] = field(default_factory=dict)
    origins: dict[Place, list[Origin]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def get(self, place: Place) -> Any:
        """The value at a place, or MISSING."""
        return store.get(self.values.get(place[0], {}), place[1])


def resolve(declared: Declared, sources: Sources, *, early: bool = False) -> Result:
    """The values that follow; with `early` unknown parameters are no problem."""
    home = find_home(sources, declared.cwd)
    result = Result({owner: {} for owner in declared.owners})
    for owner in declared.owners.values():
        for param in owner.params:
            for name, path in store.preset(param, result.values[owner.name]):
                token = Token(owner.prefixes[0] + name, None, "default")
                result.origins[owner.name, path] = [(param, token)]
    store.put(result.values, ("core", "home"), home)
    context = Context(home=home)
    for source in SOURCES:
        context.base = declared.cwd if source in CMDLINE else home
        for token in sources.get(source, ()):
            _apply(declared, token, result, context, early, source in CMDLINE)
    for owner in declared.owners.values():
        for param in owner.params:
            _complete(param, result.values[owner.name], home)
    return result


def find_home(sources: Sources, cwd: str) -> str:
    """The home directory, which everything else depends on; `~` stays when it is unknown."""
    home = os.environ.get("BKJS_HOME") or "~/.bkjs"
    for token in (token for source in CMDLINE for token in sources.get(source, ())):
        if token.name == "home" and token.value:
            home = unescape(token.value)
    home = os.path.expanduser(home)
    return home if home.startswith("~") else os.path.abspath(os.path.join(cwd, home))


def problem(token: Token, message: str, *, secret: bool = False, near: str = "") -> Problem:
    """What is wrong with a token, its value masked if need be."""
    value = "" if token.value is None else f"={shown(token, secret)}"
    return Problem(token.source, token.line, token.name + value, message, near)


def shown(token: Token, secret: bool = False) -> str:
    """The value of a token as people may see it."""
    return MASK if secret or is_secret(token.name) else mask_text(token.value or "")


def _apply(
    declared: Declared, token: Token, result: Result, context: Context, early: bool, cmdline: bool
) -> None:
    messages = [token.error] if token.error else []
    context.report = messages.append
    context.paths = result.values["core"].get("path", {})
    outcomes: list[list[store.Path] | None] = []
    secret, near, child = False, "", declared.child
    for owner, param, name, captures in declared.matching(unescape(token.name)):
        secret = secret or param.secret
        places: list[store.Path] | None = []
        if param.cmdline and not cmdline:
            messages.append("can be given on the command line only")
        elif (param.early or not early) and not (param.master if child else param.worker):
            values = result.values[owner.name]
            places = store.apply(param, name, captures, token.text, values, context)
        outcomes.append(places)
        for place in places or ():
            result.origins.setdefault((owner.name, place), []).append((param, token))
    if outcomes and all(places is None for places in outcomes):
        messages.append("needs a value")
    unread = any(token.name.startswith(prefix.rstrip("-") + "-") for prefix in declared.unread)
    if not (outcomes or messages or early or unread):
        messages.append("unknown parameter")
        near = declared.nearest(token.name)
    result.problems += [
        problem(token, message, secret=secret, near=near) for message in dict.fromkeys(messages)
    ]


def _complete(param: Param, values: store.Values, home: str) -> None:
    """Give the attribute a value in any case, and directories by default their place at home."""
    path = store.locate(param, param.name)
    if param.obj:
        if "$" not in param.obj:
            values.setdefault(path[0], {})
    elif param.literal and param.kind != "none":
        values.setdefault(path[0], absent(param))
    value = store.get(values, path) if param.kind == "path" else None
    if isinstance(value, str):
        store.put(values, path, os.path.join(home, value))
    elif isinstance(value, list):
        store.put(values, path, [os.path.join(home, item) for item in value])
