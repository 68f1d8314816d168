"""The configuration of one process: declarations and sources in, settings out."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bkjs.lib.mask import masked
from bkjs.lib.numbers import MISSING
from bkjs.lib.text import closest, near
from bkjs.log import NOTICE

from . import store
from .files import Files, watch
from .param import Param, Problem, Token, snake
from .resolve import SOURCES, Declared, Origin, Owner, Place, Result, problem, resolve

log = logging.getLogger(__name__)
audit = logging.getLogger("bkjs.audit")


class Settings:
    """The values of one owner as plain attributes, in snake_case: `config.core.port`.

    Each change makes a new `__dict__`: who keeps something worked out from settings compares that.
    """

    __slots__ = ("__dict__", "__weakref__", "_places")

    def __init__(self, places: Callable[[], Mapping[str, str]] = dict) -> None:
        """`places` gives the settings that lie in dicts, by the names of their parameters."""
        object.__setattr__(self, "_places", places)

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, "__dict__", {**self.__dict__, name: value})

    def __getattr__(self, name: str) -> Any:
        places = {} if name.startswith("__") else self._places()
        nearest = closest(name, {**places, **self.__dict__})
        hint = f"; did you mean {places.get(nearest, nearest)!r}?" if nearest else ""
        raise AttributeError(f"no setting {name!r}{hint}")

    def __repr__(self) -> str:
        return f"<Settings: {len(self.__dict__)} values>"


class Config:
    """Declared parameters, the sources of their values, and the settings that follow from them.

    `config.core.port` and `config["core"].port` read a setting. Whenever something changes, all
    values are computed again from the defaults and every source, and replace the old ones at once,
    or, when anything is wrong, not at all.
    """

    def __init__(self, app: Any = None, *, cwd: str = "", child: bool = False) -> None:
        self.app = app
        self.running = False
        """Set once the process is up: from then on only parameters that are `live` change."""
        self.notices: list[Problem] = []
        """Changes of the last resolution that wait for a restart."""
        self.declared = Declared(cwd=cwd or os.getcwd(), child=child)
        self.result = Result()
        """What the settings were made of, for listings."""
        self._settings: dict[str, Settings] = {}
        self._sources: dict[str, list[Token]] = {}
        self._resolved = False
        self._seen_files: set[Path] = set()

    def __getattr__(self, owner: str) -> Settings:
        known = sorted(self.__dict__.get("_settings", ()))
        if owner == "app":
            hint = "; a file given with -app declares them in args()"
        elif "app" in known:
            hint = "; those of a file given with -app are 'app', whatever its name is"
        else:
            hint = near(owner, known)
        raise AttributeError(
            f"no parameters of {owner!r} are declared, only of {', '.join(known)}{hint}"
        )

    def __getitem__(self, owner: str) -> Settings:
        return self._settings[owner]

    def declare(
        self, owner: str, params: Iterable[Param], prefixes: Sequence[str] | None = None
    ) -> None:
        """Make parameters known; those of `core` have no prefix, others by default `owner-`.

        Their values are there after the next `resolve`. Declaring more for the same owner adds.
        Raises TypeError for what is no Param and ValueError for a default that has no place.
        """
        params = list(params)
        for param in params:
            if not isinstance(param, Param):
                raise TypeError(f"{param!r} is not a Param")
            if not param.literal:
                store.preset(param, {})
        names = [p.rstrip("-") + "-" for p in (prefixes or (owner,))] if owner != "core" else [""]
        known = self.declared.owners.setdefault(owner, Owner(owner))
        known.prefixes = tuple(dict.fromkeys((*known.prefixes, *names)))
        known.params += [param for param in params if param not in known.params]
        if owner not in self._settings:
            self._settings[owner] = self.__dict__[owner] = Settings(partial(self._in_dicts, owner))

    def _in_dicts(self, owner: str) -> dict[str, str]:
        """How the settings are written that lie in dicts, by the names of their parameters."""
        prefix = self.declared.owners[owner].prefixes[0]
        return {
            origins[-1][1].name.removeprefix(prefix).replace("-", "_"): snake(path[0])
            + "".join(f'["{key}"]' for key in path[1:])
            for (of, path), origins in self.result.origins.items()
            if of == owner and len(path) > 1
        }

    def set_source(self, name: str, tokens: Iterable[Token]) -> None:
        """Replace what one of `SOURCES` says; counts from the next `resolve`."""
        if name not in SOURCES:
            raise ValueError(f"no configuration source {name!r}; there are {', '.join(SOURCES)}")
        self._sources[name] = list(tokens)

    def is_set(self, name: str) -> bool:
        """Whether any source gives this parameter, by its full name, a proper value."""
        tokens = (token for origins in self.result.origins.values() for _, token in origins)
        return any(token.name == name and token.source != "default" for token in tokens)

    @property
    def files(self) -> Files:
        """The configuration files of this process."""
        return Files(Path(self.core.path["etc"]), self.core.conf_file, Path(self.declared.cwd))

    def read_files(self) -> dict[str, list[Token]]:
        """What the configuration files say, by source.

        One that was there before and is gone is an error: without it limits and rules that protect
        a running server would be the defaults.
        """
        files = self.files
        found = files.read(self._seen_files)
        self._seen_files |= {file for file in (files.main, files.local) if file.exists()}
        return found

    async def watch(self, on_change: Callable[[], object]) -> None:
        """Call `on_change` within a second of each change of a file, until cancelled."""
        await watch(lambda: self.files.stamp(), on_change)

    def resolve(self, early: bool = False) -> list[Problem]:
        """Compute all values and put them in place, unless there are problems: those are returned.

        Then `on_update` of what has changed is called. `early` concerns only parameters that are
        marked so and ignores unknown ones, which may belong to plugins that are not loaded yet; it
        puts in place what it could read, and the next pass finds the same problems again.
        """
        found = resolve(self.declared, self._sources, early=early)
        if found.problems and not early:
            return found.problems
        self.notices = self._keep_fixed(found) if self.running else []
        changes = self._changes(found) if self._resolved else {}
        if self.running:
            self._write_down(found, changes)
        self.result, self._resolved = found, not early
        for owner, values in found.values.items():
            named = {snake(name): value for name, value in values.items()}
            object.__setattr__(self._settings[owner], "__dict__", named)
        self._announce(changes)
        return found.problems

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
        problems = self.update(self.read_files())
        for found in problems:
            log.error("configuration not applied: %s", found)
        for notice in self.notices:
            log.warning("configuration: %s", notice)
        if not problems:
            log.info("configuration applied")
        return problems

    def _changes(self, found: Result) -> dict[Place, Origin]:
        """The places whose value differs from the current one, with what gives it now."""
        places = self.result.origins | found.origins
        return {
            place: origins[-1]
            for place, origins in places.items()
            if found.get(place) != self.result.get(place)
        }

    def _keep_fixed(self, found: Result) -> list[Problem]:
        """Put old values back where a change needs a restart."""
        notices = []
        for place, (param, token) in self._changes(found).items():
            if not param.live:
                store.put(found.values[place[0]], place[1], self.result.get(place))
                message = "changed; counts after a restart"
                notices.append(problem(token, message, secret=param.secret))
        return notices

    def _write_down(self, found: Result, changes: Mapping[Place, Origin]) -> None:
        """A line of the audit log for each change."""
        for place, (param, token) in changes.items():
            values = (result.get(place) for result in (self.result, found))
            before, after = (
                None if value is MISSING else masked(token.name, value, param.secret)
                for value in values
            )
            facts = {"parameter": token.name, "source": token.place, "from": before, "to": after}
            audit.log(NOTICE, "audit configuration %s", json.dumps(facts, default=str))

    def _announce(self, changes: Mapping[Place, Origin]) -> None:
        """Tell the owners of what has changed; one that fails does not keep the others from it."""
        for place, (param, token) in changes.items():
            if param.on_update:
                try:
                    param.on_update(self.app, self.result.get(place))
                except Exception:
                    log.exception("parameter %s has changed but cannot be applied", token.name)
