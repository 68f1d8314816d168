"""What functions have to be called with, and whether that is what they will be called with."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter, signature
from types import FunctionType
from typing import Any

from bkjs.errors import StartError

from .places import at, defined_at
from .text import near

_PLACED = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)

Hooks = Mapping[str, Sequence[str]]
"""The arguments of hooks by their names."""

_NAMED = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


def wants(function: Callable[..., Any]) -> list[str]:
    """The names of the arguments that a function cannot do without."""
    parameters = signature(function).parameters.values()
    return [p.name for p in parameters if p.kind in _NAMED and p.default is p.empty]


def positional(function: Callable[..., Any]) -> tuple[list[str], int, float]:
    """The arguments of a function: all that can be named, and how many in a row it takes, at least
    and at most. One that has to be given by its name counts for the least: no row has it.
    """
    parameters = list(signature(function).parameters.values())
    kinds = [p.kind for p in parameters]
    named = [p for p in parameters if p.kind in (*_PLACED, Parameter.KEYWORD_ONLY)]
    least = sum(p.default is p.empty for p in named)
    endless = Parameter.VAR_POSITIONAL in kinds
    most = math.inf if endless else sum(kind in _PLACED for kind in kinds)
    return [p.name for p in named], least, most


def check_hook(name: str, function: Callable[..., Any], hooks: Hooks) -> None:
    """Raises StartError for the implementation of a hook that is none, or gets other arguments."""
    if name not in hooks:
        raise _wrong(f"unknown hook {name!r}{near(name, hooks)}", function)
    for argument in wants(function):
        if argument not in hooks[name]:
            gets = ", ".join(hooks[name]) or "no arguments"
            raise _wrong(f"hook {name!r} gets {gets}; not {argument!r}", function)


def check_unmarked(module: object, name: str, hooks: Hooks) -> None:
    """Raises StartError for a module's own function that looks like a hook, but is not marked.

    Words such as `status` are common, for endpoints, too: with those it also begins with the same
    argument as the hook, or both have none.
    """
    function = getattr(module, name)
    if name not in hooks or not isinstance(function, FunctionType):
        return
    if vars(module).get("__name__") != function.__module__:
        return
    if name.startswith("configure") or wants(function)[:1] == list(hooks[name][:1]):
        raise _wrong(
            f"function {name!r} needs @hookimpl, or another name if it is no hook", function
        )


def expect(what: str, value: object, kinds: type | tuple[type, ...], wanted: str) -> None:
    """Raises TypeError for what a program gives in a place where something else is wanted."""
    if not isinstance(value, kinds):
        raise TypeError(f"{what} wants {wanted}, not {kind_of(value)}")


def kind_of(value: object) -> str:
    """What somebody gave, in a word: `dict`, or `the class Size`."""
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def _wrong(text: str, function: Callable[..., Any]) -> StartError:
    return StartError(text + at(defined_at(function)))
