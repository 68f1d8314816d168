"""What functions have to be called with."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import pytest

from bkjs.errors import StartError
from bkjs.lib.signatures import check_hook, check_unmarked, positional, wants

HOOKS = {"configure_web": ("web", "app"), "status": ("app",), "jobs": ()}


def _any(*args: Any) -> None: ...
def _all(*args: Any, **more: Any) -> None: ...
def _pos(a: Any, b: Any = 1, /, c: Any = 2) -> None: ...
def _named(a: Any, *, key: Any, other: Any = 1) -> None: ...
def _after(a: Any, *rest: Any, key: Any) -> None: ...


@pytest.mark.parametrize(
    ("function", "names", "least", "most", "wanted"),
    [
        (lambda: 0, [], 0, 0, []),
        (lambda a, b: 0, ["a", "b"], 2, 2, ["a", "b"]),
        (lambda a, b=1: 0, ["a", "b"], 1, 2, ["a"]),
        (_any, [], 0, math.inf, []),
        (_all, [], 0, math.inf, []),
        (_pos, ["a", "b", "c"], 1, 3, []),
        (_named, ["a", "key", "other"], 2, 1, ["a", "key"]),
        (_after, ["a", "key"], 2, math.inf, ["a", "key"]),
    ],
)
def test_how_a_function_can_be_called(
    function: Any, names: list[str], least: int, most: float, wanted: list[str]
) -> None:
    assert positional(function) == (names, least, most)
    assert wants(function) == wanted


@pytest.mark.parametrize(
    ("name", "function", "text"),
    [
        ("configure_wbe", lambda web: 0, "unknown hook 'configure_wbe'; did you mean"),
        ("configure_web", lambda web, req: 0, "hook 'configure_web' gets web, app; not 'req'"),
        ("jobs", lambda app: 0, "hook 'jobs' gets no arguments; not 'app'"),
        ("configure_web", _named, "gets web, app; not 'a'"),
    ],
)
def test_a_hook_that_is_none_or_wants_what_it_does_not_get(
    name: str, function: Any, text: str
) -> None:
    with pytest.raises(StartError) as error:
        check_hook(name, function, HOOKS)
    assert text in error.value.message
    assert f"({__file__}:{function.__code__.co_firstlineno})" in error.value.message


@pytest.mark.parametrize("function", [_all, lambda: 0, lambda app: 0, lambda app, x=1, *r: 0])
def test_a_hook_may_want_less_and_have_more_with_a_default(function: Any) -> None:
    check_hook("configure_web", function, HOOKS)


@pytest.mark.parametrize(
    ("name", "code", "wrong"),
    [
        ("configure_web", "def configure_web(x): ...", True),
        ("configure_web", "class configure_web: ...", False),
        ("configure_web", "configure_web = 5", False),
        ("status", "def status(app): ...", True),
        ("status", "def status(app, more): ...", True),
        ("status", "def status(req): ...", False),
        ("status", "def status(): ...", False),
        ("jobs", "def jobs(): ...", True),
        ("jobs", "def jobs(req): ...", False),
        ("helper", "def helper(app): ...", False),
        ("jobs", "from shutil import disk_usage as jobs", False),
        ("configure_web", "from os.path import join as configure_web", False),
    ],
)
def test_a_function_that_looks_like_a_hook(name: str, code: str, wrong: bool) -> None:
    module = ModuleType("acme")
    exec(code, vars(module))
    if not wrong:
        check_unmarked(module, name, HOOKS)
        return
    with pytest.raises(StartError, match=f"function '{name}' needs @hookimpl"):
        check_unmarked(module, name, HOOKS)
