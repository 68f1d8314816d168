"""The configuration of one process: sources in, settings out."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from bkjs.lib.convert import MISSING

from . import store
from .convert import Context, absent
from .files import Files, watch
from .mask import MASK, is_secret, mask_text, masked
from .params import Param, Problem, Token, snake
from .parse import parse_argv, parse_env, unescape

log = logging.getLogger(__name__)

SOURCES = ("packages", "file", "dns", "database", "local", "environment", "command line")
"""Where values come from, later ones win. The environment is `BKJS_ARGS`."""

CMDLINE = ("environment", "command line")

Place = tuple[str, store.Path]
Change = tuple[Param, Token]


class Settings:
    """The values of one owner as plain attributes, in snake_case: `config.core.port`."""

    def __getattr__(self, name: str) -> Any:
        near = get_close_matches(name, list(self.__dict__), 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise AttributeError(f"no setting {name!r}{hint}")

    def __repr__(self) -> str:
        return f"<Settings: {len(self.__dict__)} values>"


@dataclass(slots=True)
class Owner:
    """Whose parameters these are, and how their names may begin."""

    name: str
    prefixes: tuple[str, ...]
    params: list[Param] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Entry:
    """A value of a parameter for people: masked, with all that set it, the last one counts."""

    name: str
    value: Any
    source: str
    owner: str
    param: Param
    overridden: tuple[str, ...] = ()


@dataclass(slots=True)
class _Result:
    """What one resolution found; it replaces the current one whole or not at all."""

    values: dict[str, store.Values]
    origins: dict[Place, list[Change]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


class Config:
    """Declared parameters, the sources of their values, and the settings that follow from them.

    `config.core.port` and `config["core"].port` read a setting. `update` is how anything changes:
    all values are computed again from the defaults and every source, and replace the old ones at
    once, or, when anything is wrong, not at all.
    """

    def __init__(self, app: Any = None, *, cwd: str = "") -> None:
        self.app = app
        self.cwd = cwd or os.getcwd()
        self.child = False
        """Whether this is a forked worker process."""
        self.running = False
        """Set once the process is up: from then on only parameters that are `live` change."""
        self.unread: Sequence[str] = ()
        """Prefixes of plugins that are installed but not loaded: their parameters are let be."""
        self.notices: list[Problem] = []
        """Changes of the last resolution that wait for a restart."""
        self._owners: dict[str, Owner] = {}
        self._settings: dict[str, Settings] = {}
        self._sources: dict[str, list[Token]] = {}
        self._now = _Result({})
        self._resolved = False

    def __getattr__(self, owner: str) -> Settings:
        raise AttributeError(f"no parameters of {owner!r} are declared")

    def __getitem__(self, owner: str) -> Settings:
        return self._settings[owner]

    def declare(
        self, owner: str, params: Iterable[Param], prefixes: Sequence[str] | None = None
    ) -> None:
        """Make parameters known; those of `core` have no prefix, others by default `owner-`.

        Their values are there after the next `resolve`. Declaring more for the same owner adds.
        """
        if prefixes is None:
            prefixes = (owner,)
        names = ("",) if owner == "core" else tuple(p.rstrip("-") + "-" for p in prefixes)
        known = self._owners.setdefault(owner, Owner(owner, names))
        known.prefixes = tuple(dict.fromkeys((*known.prefixes, *names)))
        known.params += [param for param in params if param not in known.params]
        if owner not in self._settings:
            self._settings[owner] = self.__dict__[owner] = Settings()

    # -- sources ------------------------------------------------------------------------------

    parse_argv = staticmethod(parse_argv)
    parse_env = staticmethod(parse_env)

    def set_source(self, name: str, tokens: Iterable[Token]) -> None:
        """Replace what one of `SOURCES` says; counts from the next `resolve`."""
        if name not in SOURCES:
            raise ValueError(f"no configuration source {name!r}; there are {', '.join(SOURCES)}")
        self._sources[name] = list(tokens)

    @property
    def files(self) -> Files:
        """The configuration files of this process."""
        return Files(Path(self.core.path["etc"]), self.core.conf_file, Path(self.cwd))

    async def watch(self, on_change: Callable[[], object]) -> None:
        """Call `on_change` within a second of each change of a file, until cancelled."""
        await watch(lambda: self.files.stamp(), on_change)

    def update(self, sources: Mapping[str, Iterable[Token]]) -> list[Problem]:
        """Replace sources and resolve; with a problem all of it stays as it was."""
        before = dict(self._sources)
        for name, tokens in sources.items():
            self.set_source(name, tokens)
        problems = self.resolve()
        if problems:
            self._sources = before
        return problems

    def reload(self) -> list[Problem]:
        """Read the configuration files again and apply them; the outcome is logged.

        A file with an error is refused whole: the old values stay.
        """
        problems = self.update(self.files.read())
        for problem in problems:
            log.error("configuration not applied: %s", problem)
        for notice in self.notices:
            log.warning("configuration: %s", notice)
        if not problems:
            log.info("configuration applied")
        return problems

    # -- resolution ---------------------------------------------------------------------------

    def resolve(self, early: bool = False) -> list[Problem]:
        """Compute all values and put them in place, unless there are problems: those are returned.

        `early` concerns only parameters that are marked so and ignores unknown ones, which may
        belong to plugins that are not loaded yet; it puts in place what it could read, since
        nothing was there before, and the next pass finds the same problems again.
        """
        found = _Result({owner: {} for owner in self._owners})
        home = self._home()
        found.values.setdefault("core", {})["home"] = home
        for owner in self._owners.values():
            for param in owner.params:
                store.preset(param, found.values[owner.name])
        context = Context(home=home)
        for source in SOURCES:
            context.base = self.cwd if source in CMDLINE else home
            for token in self._sources.get(source, ()):
                self._apply(token, source, found, context, early)
        if found.problems and not early:
            return found.problems
        self._complete(found, home)
        self.notices = self._keep_fixed(found) if self.running else []
        changes = self._changes(found) if self._resolved else {}
        self._commit(found)
        self._resolved = not early
        return found.problems + self._announce(changes)

    def _home(self) -> str:
        """The home directory, which everything else depends on."""
        given = [
            token.value
            for source in CMDLINE
            for token in self._sources.get(source, ())
            if token.name == "home" and token.value
        ]
        home = given[-1] if given else os.environ.get("BKJS_HOME") or "~/.bkjs"
        return os.path.abspath(os.path.join(self.cwd, os.path.expanduser(unescape(home))))

    def _apply(
        self, token: Token, source: str, found: _Result, context: Context, early: bool
    ) -> None:
        problems = [token.error] if token.error else []
        secret = False
        context.report = problems.append
        outcomes: list[list[store.Path] | None] = []
        text = store.decoded(token)
        for owner, param, name, captures in self._matching(token):
            secret = secret or param.secret
            if param.cmdline and source not in CMDLINE:
                problems.append("can be given on the command line only")
            if (early and not param.early) or self._other_process(param):
                outcomes.append([])
                continue
            values = found.values[owner.name]
            context.paths = found.values["core"].get("path", {})
            places = store.apply(param, name, captures, text, values, context)
            outcomes.append(places)
            for place in places or ():
                found.origins.setdefault((owner.name, place), []).append((param, token))
        if outcomes and all(places is None for places in outcomes):
            problems.append("needs a value")
        near = ""
        if not outcomes and not early and not problems and not self._is_unread(token):
            problems.append("unknown parameter")
            near = self._nearest(token.name)
        for message in dict.fromkeys(problems):
            found.problems.append(_problem(token, message, secret, near))

    def _matching(self, token: Token) -> list[tuple[Owner, Param, str, tuple[str, ...]]]:
        name = unescape(token.name)
        return [
            (owner, *match)
            for owner in self._owners.values()
            for match in store.matching(owner.params, owner.prefixes, name)
        ]

    def _other_process(self, param: Param) -> bool:
        return (param.master and self.child) or (param.worker and not self.child)

    def _is_unread(self, token: Token) -> bool:
        return any(token.name.startswith(prefix.rstrip("-") + "-") for prefix in self.unread)

    def _nearest(self, name: str) -> str:
        """The known name most alike; NAME in a family is taken to be what stands there."""
        parts = name.split("-")
        known: dict[str, None] = {}
        for owner in self._owners.values():
            for param in owner.params:
                words = (owner.prefixes[0] + param.title).split("-")
                words += parts[len(words) :] if words[-1] == "NAME" else []
                likely = [
                    part if word == "NAME" else word
                    for word, part in zip(words, parts + words[len(parts) :], strict=False)
                ]
                known["-".join(likely)] = None
        return next(iter(get_close_matches(name, known, 1, 0.7)), "")

    def _complete(self, found: _Result, home: str) -> None:
        """Give every declared attribute a value, and directories by default their place at home."""
        for owner in self._owners.values():
            values = found.values[owner.name]
            for param in owner.params:
                if param.obj:
                    if "$" not in param.obj:
                        values.setdefault(store.locate(param, param.name)[0], {})
                elif param.literal and param.kind != "none":
                    values.setdefault(store.locate(param, param.name)[0], absent(param))
                if param.kind == "path" and param.default:
                    path = store.locate(param, param.name)
                    value = store.get(values, path)
                    if value is not MISSING:
                        store.put(values, path, _at_home(home, value))

    def _keep_fixed(self, found: _Result) -> list[Problem]:
        """Put old values back where a change needs a restart."""
        notices = []
        for (owner, path), (param, token) in self._changes(found).items():
            if not param.live:
                store.put(found.values[owner], path, store.get(self._now.values[owner], path))
                notices.append(_problem(token, "changed; counts after a restart", param.secret))
        return notices

    def _commit(self, found: _Result) -> None:
        self._now = found
        for owner, values in found.values.items():
            self._settings[owner].__dict__ = {snake(name): value for name, value in values.items()}

    def _announce(self, changes: Mapping[Place, Change]) -> list[Problem]:
        """Tell the owners of what has changed; one that fails does not keep the others from it."""
        problems = []
        for (owner, path), (param, token) in changes.items():
            if param.on_update:
                try:
                    param.on_update(self.app, store.get(self._now.values[owner], path))
                except Exception as error:
                    log.exception("parameter %s cannot be applied", token.name)
                    message = f"cannot be applied: {type(error).__name__}: {error}"
                    problems.append(_problem(token, message, param.secret))
        return problems

    def _changes(self, found: _Result) -> dict[Place, Change]:
        """The places whose value differs from the current one, with what set it last."""
        places = {**self._places(self._now), **self._places(found)}
        return {
            (owner, path): change
            for (owner, path), change in places.items()
            if store.get(found.values.get(owner, {}), path)
            != store.get(self._now.values.get(owner, {}), path)
        }

    def _places(self, result: _Result) -> dict[Place, Change]:
        places = {
            (owner.name, store.locate(param, param.name)): (
                param,
                Token(param.title, None, "default"),
            )
            for owner in self._owners.values()
            for param in owner.params
            if param.literal
        }
        return places | {place: tokens[-1] for place, tokens in result.origins.items()}

    # -- questions ----------------------------------------------------------------------------

    def is_set(self, name: str) -> bool:
        """Whether any source gives this parameter, by its full name."""
        return any(token.name == name for tokens in self._sources.values() for token in tokens)

    def owners(self) -> Iterable[Owner]:
        """All owners with their parameters, in the order of declaration."""
        return self._owners.values()

    def entries(self) -> list[Entry]:
        """Every parameter with its value, members of families as far as they are given."""
        entries = []
        for owner in self._owners.values():
            for param in owner.params:
                name = owner.prefixes[0] + param.title
                if param.literal and param.kind != "none":
                    place = (owner.name, store.locate(param, param.name))
                    entries.append(self._entry(name, place, param))
                elif not param.literal:
                    members = [
                        self._entry(origins[-1][1].name, place, param)
                        for place, origins in self._now.origins.items()
                        if place[0] == owner.name and origins[-1][0] is param
                    ]
                    entries += members or [
                        Entry(name, masked(name, param.default), "default", owner.name, param)
                    ]
        return entries

    def explain(self, name: str) -> list[Entry]:
        """What a name means: one entry for each parameter of that name, none when unknown."""
        entries = []
        for owner, param, rest, captures in self._matching(Token(name)):
            path = store.locate(param, rest, captures)
            entries.append(self._entry(name, (owner.name, path), param))
        return entries

    def nearest(self, name: str) -> str:
        """The known parameter whose name is most alike, or nothing."""
        return self._nearest(name)

    def _entry(self, name: str, place: Place, param: Param) -> Entry:
        owner, path = place
        value = store.get(self._now.values.get(owner, {}), path)
        tokens = [
            (token.place, shown(token, param.secret, alone=True))
            for _, token in self._now.origins.get(place, ())
        ]
        before = tuple(f"{where} {text}" for where, text in tokens[:-1])
        source = tokens[-1][0] if tokens else "default"
        known = None if value is MISSING else masked(name, value, param.secret)
        return Entry(name, known, source, owner, param, before)


def shown(token: Token, secret: bool = False, *, alone: bool = False) -> str:
    """A token as people may see it."""
    if token.value is None:
        return "" if alone else token.name
    value = MASK if secret or is_secret(token.name) else mask_text(token.value)
    return value if alone else f"{token.name}={value}"


def _problem(token: Token, message: str, secret: bool, near: str = "") -> Problem:
    return Problem(token.source, token.line, shown(token, secret), message, near)


def _at_home(home: str, value: Any) -> Any:
    if isinstance(value, list):
        return [os.path.join(home, item) for item in value]
    return os.path.join(home, value)
