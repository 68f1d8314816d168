"""Where in somebody's own code a mistake is."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bkjs
from bkjs.errors import BadRequest, StartError
from bkjs.lib.places import defined_at, explain, is_platform, place_of

PYTHON = os.path.dirname(os.path.abspath(os.__file__))
OURS = os.path.dirname(os.path.abspath(bkjs.__file__))


def load(file: Path, code: str) -> dict[str, Any]:
    """The names of a file with this code."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(code)
    names: dict[str, Any] = {}
    exec(compile(code, str(file), "exec"), names)
    return names


def raised(function: Callable[..., Any], *args: Any) -> BaseException:
    """The error of a call, which begins in the function that is called."""
    with pytest.raises(Exception) as error:  # noqa: PT011 - whatever it is
        function(*args)
    trace = error.value.__traceback__
    return error.value.with_traceback(trace and trace.tb_next)


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        (f"{OURS}/web/gateway.py", True),
        (f"{OURS}er/web.py", False),
        (f"{PYTHON}/json/decoder.py", True),
        (f"{PYTHON}/site-packages/acme/__init__.py", False),
        (f"{PYTHON}/dist-packages/acme.py", False),
        ("<frozen importlib._bootstrap>", True),
        (os.path.abspath("<frozen importlib._bootstrap>"), True),
        ("/srv/shop/app.py", False),
    ],
)
def test_what_is_ours_or_pythons(name: str, ours: bool) -> None:
    assert is_platform(name) is ours


CALLS = "def go(call):\n    call()\n"
FAILS = "def fail():\n    raise ValueError('x')\n"


def test_the_place_is_the_deepest_one_in_the_plugins_own_code(tmp_path: Path) -> None:
    """Neither in what it calls, nor in packages that lie below its folder."""
    main = load(tmp_path / "acme/__init__.py", CALLS)["go"]
    helper = load(tmp_path / "acme/deep/helper.py", "\n" + CALLS)["go"]
    beside = load(tmp_path / "acme-other/x.py", CALLS)["go"]
    below = load(tmp_path / "acme/.venv/site-packages/dep.py", FAILS)["fail"]
    file, place = str(tmp_path / "acme/__init__.py"), f"{tmp_path}/acme/__init__.py:2"
    for function in (below, lambda: json.loads("{"), lambda: beside(below)):
        assert place_of(raised(main, function), file) == place
        assert place_of(raised(main, function)) == place  # the first that is not ours
    assert place_of(raised(main, lambda: helper(below)), file) == (
        f"{tmp_path}/acme/deep/helper.py:3"
    )


def test_a_plugin_that_is_one_installed_file_is_that_file_only(tmp_path: Path) -> None:
    one = load(tmp_path / "site-packages/one.py", CALLS)["go"]
    other = load(tmp_path / "site-packages/other.py", FAILS)["fail"]
    file = str(tmp_path / "site-packages/one.py")
    assert place_of(raised(one, other), file) == f"{file}:2"
    assert place_of(raised(other), file) == ""


def test_of_our_own_plugins_the_code_of_the_application_is_the_place(tmp_path: Path) -> None:
    go = load(tmp_path / "app.py", CALLS)["go"]
    ours = f"{OURS}/auth/service.py"
    assert place_of(raised(go, lambda: json.loads("{")), ours) == f"{tmp_path}/app.py:2"


def test_where_a_function_is_defined(tmp_path: Path) -> None:
    code = "import functools\ndef plain(): ...\n@functools.wraps(plain)\ndef wrapped(): ...\n"
    names = load(tmp_path / "x.py", code)
    assert defined_at(names["plain"]) == f"{tmp_path}/x.py:2"
    assert defined_at(names["wrapped"]) == f"{tmp_path}/x.py:2"
    assert [defined_at(it) for it in (explain, functools.wraps, None, 5, print)] == [""] * 5


def test_where_a_file_was_called_from(tmp_path: Path) -> None:
    """However many of its own functions are between."""
    names = load(
        tmp_path / "declares.py",
        "from bkjs.lib.places import called_at\n"
        "def outer():\n    return inner()\ndef inner():\n    return called_at()\n",
    )
    app = load(tmp_path / "app.py", "def go(outer):\n\n    return outer()\n")
    assert app["go"](names["outer"]) == f"{tmp_path}/app.py:3"
    ask = eval(compile("lambda: outer()", f"{OURS}/lib/asks.py", "eval"), names)
    assert ask() == ""


def missing() -> None:
    raise ModuleNotFoundError("no", name="acme_dep")


def hook() -> None: ...


HERE = f" ({os.path.abspath(__file__)}:"


@pytest.mark.parametrize(
    ("error", "file", "text"),
    [
        (StartError("do this"), "", "do this"),
        (BadRequest("wrong"), "", f"wrong{HERE}{hook.__code__.co_firstlineno})"),
        (ValueError("x"), "", f"ValueError: x{HERE}{hook.__code__.co_firstlineno})"),
        (raised(missing), "", "package 'acme_dep' is missing; install it with pip" + HERE),
        (
            raised(missing),
            "/srv/app.py",
            "no file beside /srv/app.py and no installed package is called 'acme_dep'" + HERE,
        ),
    ],
)
def test_what_an_error_says_and_where(error: BaseException, file: str, text: str) -> None:
    assert explain(error, file, hook).startswith(text)


def test_an_error_that_says_what_to_do_is_said_as_it_is(tmp_path: Path) -> None:
    go = load(tmp_path / "app.py", "def go(error):\n    raise error\n")["go"]
    assert explain(raised(go, StartError("do this")), str(tmp_path / "app.py"), hook) == "do this"
    place = f" ({tmp_path}/app.py:2)"
    assert explain(raised(go, BadRequest("wrong")), str(tmp_path / "app.py")) == f"wrong{place}"
