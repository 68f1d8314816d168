"""A third party's broken plugin is named, and never takes the command line or others down."""

from __future__ import annotations

import inspect
import json
import logging
import sys

import pytest

from bkjs import hookspecs
from bkjs.app import App
from bkjs.errors import BkError
from bkjs.testing.process import run
from tests.strangers import install

BROKEN = {
    "import raises": {"code": "1 / 0", "says": "ZeroDivisionError"},
    "import exits": {"code": "raise SystemExit(3)", "says": "SystemExit"},
    "import raises no Exception": {
        "code": "class Stop(BaseException): ...\nraise Stop('here')",
        "says": "Stop: here",
    },
    "endless recursion": {"code": "def f(): f()\nf()", "says": "RecursionError"},
    "not UTF-8": {"code": "x = '\udce9'", "says": "SyntaxError"},
    "priority": {"code": "priority = 'high'", "says": "priority is not a number"},
    "need": {"code": "requires = 'acme_other'", "says": "needs 'acme_other'"},
    "two metadata of latin-1": {
        "code": "",
        "requires": "bkjs>=9\nAuthor: Ren\udce9",
        "says": "needs bkjs>=9",
    },
    "syntax": {"code": "def", "says": "SyntaxError"},
    "client missing": {"code": "import acme_client", "says": "'acme_client' is missing"},
    "module missing": {"code": None, "says": "'acme_broken' is missing"},
    "object missing": {"code": "", "value": "acme_broken:plugin", "says": "plugin"},
    "unknown hook": {
        "code": "from bkjs import hookimpl\n@hookimpl\ndef configure_wep(app): ...",
        "says": "did you mean 'configure_web'?",
    },
    "unknown argument": {
        "code": "from bkjs import hookimpl\n@hookimpl\ndef configure(ap): ...",
        "says": "ap",
    },
    "other kernel": {"code": "", "requires": "bkjs>=9", "says": "needs bkjs>=9, found bkjs 0."},
}
WHO = "plugin 'acme_broken' (acme-broken 1.2.0)"


@pytest.fixture(params=BROKEN)
def broken(request, tmp_path):
    case = dict(BROKEN[request.param])
    says = case.pop("says")
    code = case.pop("code")
    env = install(tmp_path / "site", "acme-broken", code, entry="acme_broken", **case)
    return env, says


@pytest.mark.process
def test_broken_plugin_is_listed_with_the_reason_and_the_others_load(broken, tmp_path):
    env, says = broken
    done = run(tmp_path, "plugins", "-json", "-allow-modules", ".", env=env)
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert rows["acme_broken"]["state"] == "failed"
    assert rows["acme_broken"]["reason"].startswith(WHO)
    assert says in rows["acme_broken"]["reason"]
    assert rows["bk_accounts"]["state"] == "loaded"
    assert "Traceback" not in done.stderr
    assert done.returncode == 0


@pytest.mark.process
def test_module_asked_for_by_its_exact_name_must_load(broken, tmp_path):
    env, says = broken
    done = run(tmp_path, "plugins", "-allow-modules", "^acme_broken$", env=env)
    assert done.returncode == 1
    assert WHO in done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.process
def test_broken_command_is_named_and_leaves_the_others_alone(tmp_path):
    env = install(tmp_path, "acme-broken", "1 / 0", entry="greet", group="bkjs.commands")
    done = run(tmp_path / "home", "greet", env=env)
    assert done.returncode == 1
    assert "command 'greet' of acme-broken 1.2.0 cannot be loaded: ZeroDivisionError" in done.stderr
    assert run(tmp_path / "home", "plugins", env=env).returncode == 0


@pytest.mark.process
@pytest.mark.parametrize("code", ["class Stop(BaseException): ...\nraise Stop", "exit()", "x = 1"])
def test_command_of_a_stranger_cannot_end_silently(tmp_path, code):
    env = install(tmp_path, "acme-broken", code, entry="greet", group="bkjs.commands")
    done = run(tmp_path / "home", "greet", env=env)
    assert done.returncode == 1
    assert "command 'greet' of acme-broken 1.2.0 cannot be loaded" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.process
def test_command_for_another_kernel_is_not_imported(tmp_path):
    options = {"entry": "greet", "group": "bkjs.commands", "requires": "bkjs>=9"}
    env = install(tmp_path, "acme-broken", "print('imported')", **options)
    done = run(tmp_path / "home", "greet", env=env)
    assert (done.returncode, done.stdout) == (1, "")
    assert "it needs bkjs>=9, found bkjs 0." in done.stderr
    rows = json.loads(run(tmp_path / "home", "plugins", "-json", env=env).stdout)
    (row,) = (row for row in rows if row["name"] == "greet")
    assert row["reason"].startswith("needs bkjs>=9")


@pytest.mark.process
@pytest.mark.parametrize("args", ["['port']", "7", "{'port': 1}", "[Param('x-(.+)', default=1)]"])
def test_parameters_that_are_none_are_blamed_and_listed(tmp_path, args):
    code = f"from bkjs import Param, hookimpl\n@hookimpl\ndef args(): return {args}\n"
    env = install(tmp_path / "site", "acme-broken", code, entry="acme_broken")
    done = run(tmp_path, "plugins", "-json", "-allow-modules", ".", env=env)
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert rows["acme_broken"]["state"] == "failed"
    assert rows["acme_broken"]["reason"].startswith(f"{WHO} failed in args: ")
    assert rows["bk_accounts"]["state"] == "loaded"
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


HOOK = """
from bkjs import hookimpl
@hookimpl
def {hook}(): {does}
"""
EXACTLY = ("-allow-modules-shell", "^acme_broken$")
FAILING = {
    "args": "1 / 0",
    "tables": "return {'bk_auth': {'secret': {'pub': 1}, '$x': {}}}",
    "configure": "1 / 0",
    "configure_module": "1 / 0",
    "configure_shell": "1 / 0",
}


@pytest.mark.process
@pytest.mark.parametrize("hook", FAILING)
def test_commands_work_beside_an_installed_plugin_that_raises(tmp_path, hook):
    code = HOOK.format(hook=hook, does=FAILING[hook])
    env = install(tmp_path / "site", "acme-broken", code, entry="acme_broken")
    done = run(tmp_path / "home", "db", "tables", env=env)
    assert done.returncode == 0
    assert "bk_account" in done.stdout.split()
    assert f"{WHO} failed in {hook}: " in done.stderr
    assert "Traceback" not in done.stderr
    asked = run(tmp_path / "home", "db", "tables", *EXACTLY, env=env)
    assert asked.returncode == 1
    assert f"bkjs: {WHO} failed in {hook}: " in asked.stderr


async def test_tables_of_a_failed_plugin_leave_those_of_others_alone(tmp_path, monkeypatch):
    code = HOOK.format(hook="tables", does=FAILING["tables"])
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "acme_broken.py").write_text(code)
    async with App(argv=["-home", str(tmp_path), "-allow-modules", "bk_acc|acme_b"]) as app:
        assert "pub" not in app.db.get_columns("bk_auth")["secret"]
        assert "acme_broken" not in [p.name for p, _ in app.hooks.collect("tables")]


@pytest.mark.process
def test_two_packages_with_one_name_are_listed_and_none_is_loaded(tmp_path):
    install(tmp_path, "acme-one", "", entry="acme")
    env = install(tmp_path, "acme-two", "", entry="acme")
    says = "acme-one and acme-two; uninstall one of them"
    done = run(tmp_path / "home", "plugins", "-json", "-allow-modules", ".", env=env)
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert done.returncode == 0
    assert rows["acme"]["state"] == "failed"
    assert says in rows["acme"]["reason"]
    assert rows["bk_accounts"]["state"] == "loaded"
    asked = run(tmp_path / "home", "plugins", "-allow-modules", "^acme$", env=env)
    assert asked.returncode == 1
    assert says in asked.stderr


@pytest.mark.process
def test_two_packages_with_one_command_are_refused_when_it_is_called(tmp_path):
    code = "def commands(): return {'greet': lambda argv: print('hello')}"
    install(tmp_path, "acme-one", code, entry="greet", group="bkjs.commands")
    env = install(tmp_path, "acme-two", code, entry="greet", group="bkjs.commands")
    done = run(tmp_path / "home", "greet", env=env)
    assert (done.returncode, done.stdout) == (1, "")
    assert "acme-one and acme-two; uninstall one of them" in done.stderr


@pytest.mark.process
def test_command_of_the_kernel_cannot_be_taken(tmp_path):
    env = install(tmp_path, "acme", "1 / 0", entry="config", group="bkjs.commands")
    assert run(tmp_path / "home", "config", "check", env=env).returncode == 0


@pytest.mark.process
def test_metadata_that_cannot_be_read_are_nobodys_problem(tmp_path):
    env = install(tmp_path, "acme-odd", "", entry="acme_odd")
    (info,) = tmp_path.glob("*.dist-info")
    text = b"\xef\xbb\xbf[console_scripts]\nx\xe9 = y\n[bkjs.modules]\nacme_odd = acme_odd\n"
    (info / "entry_points.txt").write_bytes(text)
    (info / "METADATA").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "other-1.0.dist-info").touch()
    done = run(tmp_path / "home", "plugins", "-json", "-allow-modules", ".", env=env)
    rows = {row["name"]: row["state"] for row in json.loads(done.stdout)}
    assert rows["acme_odd"] == "loaded"


HOOKS = sorted(
    name
    for name, function in inspect.getmembers(hookspecs, inspect.isfunction)
    if function.__module__ == hookspecs.__name__
)
DECLARATIONS = {"args", "tables", "jobs", "commands"}
QUESTIONS = {"authenticate", "authorize"}
OBSERVERS = {"event", "status", *(hook for hook in HOOKS if hook.startswith("account_"))}


def raising(hook: str) -> str:
    arguments = ", ".join(inspect.signature(getattr(hookspecs, hook)).parameters)
    return (
        "from bkjs import hookimpl\n"
        "@hookimpl\n"
        f"def {hook}({arguments}):\n"
        "    raise ValueError('out of order')\n"
    )


async def call(app: App, hook: str) -> None:
    """Load the plugins, then call a hook the way its kind is called."""
    app.prepare()
    arguments = dict.fromkeys(inspect.signature(getattr(hookspecs, hook)).parameters)
    if hook == "driver":
        app.plugins.driver("db", "acme")
    elif hook in DECLARATIONS:
        app.hooks.collect(hook)
    elif hook in QUESTIONS:
        await app.hooks.first(hook, **arguments)
    else:
        await app.hooks.run(hook, **arguments)


@pytest.mark.parametrize("hook", [h for h in HOOKS if h not in OBSERVERS])
async def test_failure_in_a_hook_names_plugin_package_version_and_hook(hook, tmp_path, monkeypatch):
    kind = {"entry": "acme", "group": "bkjs.db"} if hook == "driver" else {"entry": "acme_broken"}
    install(tmp_path / "site", "acme-broken", raising(hook), **kind)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.delitem(sys.modules, "acme_broken", raising=False)
    app = App(
        argv=["-home", str(tmp_path / "home")],
        modules=[] if hook == "driver" else ["acme_broken"],
    )
    with pytest.raises(BkError) as caught:
        await call(app, hook)
    name = kind["entry"]
    where = f"({tmp_path / 'site' / 'acme_broken.py'}:4)"
    text = f"plugin '{name}' (acme-broken 1.2.0) failed in {hook}: ValueError: out of order {where}"
    assert caught.value.message == text
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize("hook", sorted(OBSERVERS))
async def test_failing_observer_is_logged_and_stops_nobody(hook, tmp_path, monkeypatch, caplog):
    install(tmp_path / "site", "acme-broken", raising(hook), entry="acme_broken")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.delitem(sys.modules, "acme_broken", raising=False)
    app = App(argv=["-home", str(tmp_path / "home"), "-log", ""], modules=["acme_broken"])
    app.prepare()
    caplog.set_level(logging.ERROR)
    arguments = dict.fromkeys(inspect.signature(getattr(hookspecs, hook)).parameters)
    assert await app.hooks.notify(hook, **arguments) == {}
    assert f"{WHO} failed in {hook}: ValueError: out of order" in caplog.text
