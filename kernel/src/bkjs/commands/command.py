"""A command as data: its actions, words and options, which arguments, help and completion go by."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn

from bkjs.config.parse import is_value
from bkjs.errors import ConfigurationError, UsageError
from bkjs.lib.terminal import bold
from bkjs.lib.text import closest, near

WIDTH = 100
"""Columns of a line of help."""


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a command, written with one or two dashes: `-table T`, `--table=T`."""

    name: str
    text: str
    value: str = ""
    """What stands for its value in usages; without it the option takes none."""
    values: tuple[str, ...] = ()
    """The only values that it takes."""
    required: bool = False

    @property
    def usage(self) -> str:
        """As in `-table T`."""
        value = "|".join(self.values) or self.value
        return f"-{self.name} {value}" if value else f"-{self.name}"


@dataclass(frozen=True, slots=True)
class Call:
    """What was given to a command."""

    word: str
    action: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    words: Sequence[str] = ()
    rest: Sequence[str] = ()
    """Parameters of the configuration, for the `argv` of an App."""


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that a command does."""

    run: Callable[[Call], int]
    """Gives the exit code: 0, or 1 for a failure that it has told about."""
    text: str
    words: str = ""
    """What it takes, as in `NAME [FILE]` and `NAME VALUE ...`; no more and no less is accepted."""
    options: tuple[Option, ...] = ()
    choices: Callable[[], Iterable[str]] = tuple
    """What its words may be, for completion."""


class Command:
    """A command of the `bkjs` tool; put one into the mapping that `commands()` gives.

    It is called with the words after `bkjs` and gives the exit code. Raises UsageError for words
    and options that are missing, too many, or not among those that an action takes.
    """

    def __init__(
        self,
        actions: Action | Mapping[str, Action],
        *,
        default: str = "",
        options: Iterable[Option] = (),
        notes: str = "",
        parameters: Iterable[str] = ("core",),
    ) -> None:
        """`options` are taken by every action; `notes` stand under the help.

        `parameters` are owners of configuration parameters that help lists, "*" for all of them.
        A command with one Action has no word for it; `default` is that of no word.
        """
        self.default = default
        self.actions = {"": actions} if isinstance(actions, Action) else dict(actions)
        self.options = tuple(options)
        self.notes = notes
        self.parameters = tuple(parameters)

    def __call__(self, argv: Sequence[str]) -> int:
        """Run it; `argv` begins with the command's own word."""
        call, action = self.read(argv)
        try:
            return action.run(call)
        except ConfigurationError as error:
            raise self._nearer(error, call.action) from error

    def read(self, argv: Sequence[str]) -> tuple[Call, Action]:
        """What was given and the action that it is for."""
        word, *items = argv
        every = [option for action in self.actions.values() for option in self.options_of(action)]
        options, words, rest = split(
            items,
            values=[option.name for option in every if option.value or option.values],
            flags=[option.name for option in every if not (option.value or option.values)],
        )
        name = ""
        if "" not in self.actions:
            name, *words = words or [self.default]
        action = self.actions.get(name)
        if action is None:
            self.refuse(word, name)
        full = f"{word} {name}".strip()
        for option in options.keys() - {option.name for option in self.options_of(action)}:
            raise UsageError(f"{full} takes no option -{option}; see `bkjs help {full}`")
        for known in self.options_of(action):
            given = options.get(known.name)
            if known.required and not given:
                raise UsageError(f"{full} needs {known.usage}; see `bkjs help {full}`")
            if known.values and given is not None and given not in known.values:
                raise UsageError(f"-{known.name} {given}: must be {' or '.join(known.values)}")
        _count(full, action.words, words)
        return Call(word, name, options, words, rest), action

    def refuse(self, word: str, name: str) -> NoReturn:
        """Raise UsageError for a word that is none of its actions."""
        hint = near(name, self.actions)
        what = f"{word} has no action {name!r}{hint}" if name else f"{word} needs an action"
        raise UsageError(f"{what}; there are {', '.join(self.actions)}: see `bkjs help {word}`")

    def options_of(self, action: Action) -> tuple[Option, ...]:
        """Its own options and those of the command."""
        return (*action.options, *self.options)

    def help(self, word: str, name: str = "", *, parameters: bool = True) -> str:
        """Usages, options, notes and parameters; of one action only when it is named."""
        one = {name: self.actions[name]} if name in self.actions else self.actions
        lines = []
        for key, action in one.items():
            full = " ".join(filter(None, ("bkjs", word, key, action.words)))
            wanted = [option.usage for option in self.options_of(action) if option.required]
            lines.append(" ".join([bold(full), *wanted]))
            lines += _wrapped(action.text, "    ")
        listed = {o.name: o for action in one.values() for o in self.options_of(action)}
        if listed:
            lines += ["", bold("options")]
            for option in listed.values():
                lines += _entry(option.usage, option.text)
        if self.notes:
            lines += ["", *_wrapped(self.notes, "")]
        from .parameters import declared  # which loads every module

        for topic, params in declared(self.parameters if parameters else ()).items():
            lines += ["", bold(f"parameters: {topic}")]
            for title, text in params.items():
                lines += _entry(title, text)
        return "\n".join(lines)

    def _nearer(self, error: ConfigurationError, name: str) -> ConfigurationError:
        """The same error, with the nearest option where one is nearer than any parameter."""
        options = [option.name for option in self.options_of(self.actions[name])]
        nearest = (closest(p.text.partition("=")[0].lstrip("_"), options) for p in error.problems)
        return ConfigurationError(
            [replace(p, near=to or p.near) for p, to in zip(error.problems, nearest, strict=True)]
        )


def help_of(function: Callable[[list[str]], int], word: str, given: Sequence[str]) -> str:
    """The help of a command, or of its action that is the first of the words given."""
    if isinstance(function, Command):
        name = given[0] if given and not given[0].startswith("-") else ""
        if name and name not in function.actions and "" not in function.actions:
            function.refuse(word, name)
        return function.help(word, name)
    return inspect.getdoc(function) or "no help"


def _count(full: str, usage: str, words: Sequence[str]) -> None:
    """Raises UsageError unless there are as many words as the usage has."""
    required, _, optional = usage.partition("[")
    names = [name for name in required.split() if name != "..."]
    most = len(names) + len(optional.replace("...", "").strip("] ").split())
    if len(words) < len(names):
        raise UsageError(f"{full} needs {names[len(words)]}: bkjs {full} {usage}")
    if len(words) > most and "..." not in usage:
        raise UsageError(
            f"{words[most]!r} is one word too many: bkjs {full} {usage}".strip()
            + "; parameters are -name value"
        )


def split(
    argv: Sequence[str], *, values: Sequence[str] = (), flags: Sequence[str] = ()
) -> tuple[dict[str, str], list[str], list[str]]:
    """`(options, words, rest)`: the command's options, its words, and parameters for the App.

    `values` are options that take a value, `flags` those that do not. Any other `-name` goes to
    `rest` together with the value after it. Everything after `--` is a word. Raises UsageError for
    an option without its value, and for a flag with one: `-overwrite=no` would be taken for yes.
    """
    options: dict[str, str] = {}
    words: list[str] = []
    rest: list[str] = []
    items = list(argv)
    while items:
        item = items.pop(0)
        if item == "--":
            words += items
            break
        if not item.startswith("-") or item == "-":
            words.append(item)
            continue
        name, equals, value = item.lstrip("-").partition("=")
        if name in flags:
            if equals:
                raise UsageError(f"-{name} takes no value: give it, or leave it out")
            options[name] = "1"
        elif name in values:
            if not equals:
                if not items:
                    raise UsageError(f"-{name} needs a value")
                value = items.pop(0)
            options[name] = value
        else:
            rest.append(item)
            if not equals and items and is_value(items[0]) and items[0].strip("-"):
                rest.append(items.pop(0))
    return options, words, rest


def _wrapped(text: str, indent: str) -> list[str]:
    lines = []
    for line in text.splitlines():
        lines += textwrap.wrap(line, WIDTH, initial_indent=indent, subsequent_indent=indent) or [""]
    return lines


def _entry(name: str, text: str, width: int = 26) -> list[str]:
    """A name with its text beside it, or below where it is long."""
    lines = _wrapped(text, " " * (width + 4))
    if lines and len(name) <= width:
        return [f"  {name:<{width}}  {lines[0].lstrip()}", *lines[1:]]
    return [f"  {name}", *lines]
