import asyncio
import importlib
import re
import types

import pytest

from bkjs import hookimpl, hookspecs
from bkjs.core.choice import Choice
from bkjs.core.dispatch import Hooks
from bkjs.core.entrypoints import EntryPoint, by_name
from bkjs.core.plugins import Plugins
from bkjs.errors import Denied, PluginError, StartError
from bkjs.lib.patterns import compile_regexp


def plugin(name="p", priority=0, **functions):
    """A plugin object out of functions."""
    module = types.ModuleType(name)
    module.priority = priority
    for hook, function in functions.items():
        setattr(module, hook, hookimpl(function))
    return module


def installed(monkeypatch, module, *, name, metadata=""):
    """One package is installed, which brings this module."""
    found = EntryPoint("bkjs.modules", name, module, "acme", "1", metadata)
    monkeypatch.setattr("bkjs.core.entrypoints.scan", lambda: [found])


@pytest.fixture
def plugins():
    return Plugins(hookspecs)


@pytest.fixture
def hooks(plugins):
    return Hooks(plugins)


async def test_order_is_priority_then_name(plugins, hooks):
    seen = []
    for name, priority in (("b", 0), ("a", 0), ("c", 9)):
        plugins.register(plugin(name, priority, configure=lambda app, n=name: seen.append(n)))
    await hooks.run("configure", app=None)
    assert seen == ["c", "a", "b"]


async def test_sync_async_and_generators_mix_and_unwind_in_reverse(plugins, hooks):
    seen = []

    def make(name):
        async def configure(app):
            seen.append(f"+{name}")
            yield
            seen.append(f"-{name}")

        return configure

    async def plain(app):
        seen.append("+b")

    plugins.register(plugin("a", configure=make("a")))
    plugins.register(plugin("b", configure=plain))
    plugins.register(plugin("c", configure=make("c")))
    await hooks.run("configure", app=None)
    await hooks.close()
    assert seen == ["+a", "+b", "+c", "-c", "-a"]


async def test_a_failure_names_plugin_package_and_hook_and_keeps_the_cause(plugins, hooks):
    def fails(app):
        raise KeyError("pong")

    plugins.register(plugin("bk_counter", configure_web=fails), package="bkjs-counter")
    with pytest.raises(
        PluginError, match=r"'bk_counter' \(bkjs-counter\).*configure_web.*pong"
    ) as e:
        await hooks.run("configure_web", app=None)
    assert isinstance(e.value.__cause__, KeyError)


async def test_a_shutdown_that_fails_does_not_stop_the_others(plugins, hooks):
    seen = []

    async def good(app):
        yield
        seen.append("closed")

    async def bad(app):
        yield
        raise RuntimeError("stuck")

    plugins.register(plugin("a", configure=good))
    plugins.register(plugin("b", configure=bad))
    await hooks.run("configure", app=None)
    await hooks.close()
    assert seen == ["closed"]
    assert any("stuck" in problem and "'b'" in problem for problem in plugins.problems)


def taken_out(plugins, folder):
    """Two plugins of files: `b`, which fails in each hook, and `a`, which needs it, before it."""
    hooks = ("args", "configure", "status")
    head = "from bkjs import hookimpl\n"
    text = "".join(f"@hookimpl\ndef {hook}(): {{}}\n" for hook in hooks)
    (folder / "b.py").write_text(head + text.format(*["1 / 0"] * 3))
    text = text.format("return []", "called.append(1)", "return 1")
    (folder / "a.py").write_text(f"{head}requires = 'b'\ncalled = []\n{text}")
    plugins.load_modules(Choice("."), [folder])
    return plugins.plugins["bkjs.modules", "a"].obj


def test_what_a_plugin_has_declared_does_not_count_without_what_it_needs(plugins, hooks, tmp_path):
    taken_out(plugins, tmp_path)
    assert hooks.collect("args") == []
    assert not hooks.implements("args")
    assert {p.state for p in plugins.plugins.values()} == {"failed"}


async def test_a_command_calls_nothing_of_what_was_taken_out(plugins, hooks, tmp_path):
    hooks.lenient = True
    needy = taken_out(plugins, tmp_path)
    needy.priority = -1  # after the one that it needs
    await hooks.run("configure")
    assert needy.called == []
    assert await hooks.notify("status") == {}


async def test_a_command_needs_what_was_asked_for(plugins, hooks):
    def fails():
        raise ValueError("no")

    hooks.lenient = True
    plugins.register(plugin("a", configure=fails))
    with pytest.raises(PluginError, match="no"):
        await hooks.run("configure")


async def test_nothing_is_called_of_a_plugin_whose_place_was_taken(plugins, hooks):
    plugins.register(plugin("a", status=lambda: 1))
    assert await hooks.notify("status") == {"a": 1}
    plugins.register(plugin("a"))
    assert await hooks.notify("status") == {}
    plugins.register(plugin("a", status=lambda: 2))
    assert await hooks.notify("status") == {"a": 2}


async def cancelled():
    """What awaits something that somebody has cancelled."""
    inner = asyncio.ensure_future(asyncio.Event().wait())
    inner.cancel()
    await inner


async def background_dies(app):
    async with asyncio.TaskGroup() as group:
        group.create_task(fails())
        yield


async def fails():
    raise OSError("connection lost")


async def shutdown_is_cancelled(app):
    yield
    await cancelled()


@pytest.mark.parametrize(
    ("ending", "told"),
    [(background_dies, "ExceptionGroup"), (shutdown_is_cancelled, "shutdown: .*cancelled")],
)
async def test_whose_life_was_cancelled_stops_no_shutdown_of_others(plugins, hooks, ending, told):
    seen = []

    async def good(app):
        yield
        seen.append("closed")

    plugins.register(plugin("a", configure=good))
    plugins.register(plugin("b", configure=ending))
    await hooks.run("configure", app=None)
    for _ in range(5):
        await asyncio.sleep(0)  # time to die in
    await hooks.close()
    assert seen == ["closed"]
    (problem,) = plugins.problems
    assert re.search(f"plugin 'b' .*{told}", problem)


async def test_a_hook_that_was_cancelled_by_itself_is_blamed(plugins, hooks):
    plugins.register(plugin("a", configure=lambda app: cancelled(), status=cancelled))
    with pytest.raises(PluginError, match=r"'a' .*failed in configure.*cancelled"):
        await hooks.run("configure", app=None)
    assert await hooks.notify("status") == {}


async def test_first_answer_wins_and_raising_denies(plugins, hooks):
    def denies(req):
        raise Denied("not today")

    plugins.register(plugin("a", authenticate=lambda req: None))
    plugins.register(plugin("b", authenticate=lambda req: {"id": "1"}))
    assert await hooks.first("authenticate", req=None) == {"id": "1"}
    plugins.register(plugin("a0", 5, authenticate=denies))
    with pytest.raises(Denied):
        await hooks.first("authenticate", req=None)


async def test_notify_isolates_failures(plugins, hooks):
    def fails():
        raise ValueError("no")

    plugins.register(plugin("a", status=fails))
    plugins.register(plugin("b", status=lambda: {"n": 1}))
    assert await hooks.notify("status") == {"b": {"n": 1}}
    assert "'a'" in plugins.problems[0]


def test_an_unknown_hook_is_refused_with_the_nearest_name(plugins):
    with pytest.raises(PluginError, match="'configure_wbe'; did you mean 'configure_web'"):
        plugins.register(plugin("x", configure_wbe=lambda: None))


async def test_nothing_of_a_refused_plugin_is_called(plugins, hooks):
    bad = plugin("p", configure=lambda: 1, tables=lambda nonsense: {})
    with pytest.raises(PluginError):
        plugins.register(bad)
    await hooks.run("configure", app=None)
    plugins.register(plugin("p", configure=lambda: 1))
    assert hooks.implements("configure")


def test_an_unknown_argument_is_refused(plugins):
    with pytest.raises(PluginError, match="failed in load"):
        plugins.register(plugin("x", configure=lambda application: None))


def test_a_priority_that_is_no_number_is_refused(plugins):
    with pytest.raises(PluginError, match="priority is not a number"):
        plugins.register(plugin("x", priority="9"))


@pytest.mark.parametrize("kind", ["wrapper", "hookwrapper"])
def test_wrappers_are_refused(plugins, kind):
    module = types.ModuleType("x")

    @hookimpl(**{kind: True})
    def configure(app):
        return (yield)

    module.configure = configure
    with pytest.raises(PluginError, match="wrappers"):
        plugins.register(module)


@pytest.mark.parametrize(
    ("allow", "deny", "name", "loaded"),
    [
        ("^(bk_accounts|bk_icons)$", "", "bk_accounts", True),
        ("^bk_account$", "", "bk_accounts", True),
        ("^(bk_accounts|bk_icons)$", "", "bk_files", False),
        ("bk_", "bk_file", "bk_files", False),
        ("bk_", "^bk_file$", "bk_files", False),
        ("^bk_statu$", "", "bk_status", False),
        ("", "", "bk_files", False),
    ],
)
def test_patterns_match_the_name_and_its_singular(allow, deny, name, loaded):
    assert (Choice(allow, deny).refusal(name) == "") is loaded


def test_exact_names_are_those_without_pattern_characters():
    assert Choice("^(bk_accounts|bk_.+)$").exact() == {"bk_accounts"}
    assert Choice(compile_regexp("^bk_accounts$").pattern).exact() == {"bk_accounts"}


def test_files_of_a_folder_are_modules_and_a_broken_one_is_listed(tmp_path, plugins):
    (tmp_path / "good.py").write_text("priority = 1\n")
    (tmp_path / "broken.py").write_text("import nowhere_to_be_found\n")
    plugins.load_modules(Choice("."), [tmp_path])
    state = {p.name: p.state for p in plugins.plugins.values()}
    assert state == {"good": "loaded", "broken": "failed"}
    assert "nowhere_to_be_found" in plugins.problems[0]


def test_a_module_asked_for_by_its_exact_name_must_load(tmp_path, plugins):
    (tmp_path / "broken.py").write_text("raise OSError('disk')\n")
    with pytest.raises(PluginError, match="disk"):
        plugins.load_modules(Choice("^broken$", default=False), [tmp_path])


def test_a_name_that_is_not_installed_gets_a_hint(plugins):
    plugins.register(plugin("bk_accounts"))
    with pytest.raises(StartError, match="bk_acounts"):
        plugins.load_modules(Choice("^bk_acounts$", default=False))


def test_a_file_takes_the_place_of_an_installed_module_of_its_name(tmp_path, plugins, hooks):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    (tmp_path / "one/same.py").write_text("which = 1\n")
    (tmp_path / "two/same.py").write_text("which = 2\n")
    plugins.load_modules(Choice("."), [tmp_path / "one", tmp_path / "two"])
    (plugin,) = plugins.plugins.values()
    assert (plugin.state, plugin.obj.which) == ("loaded", 2)
    (tmp_path / "two/same.py").write_text("1 / 0\n")
    plugins.load_file(tmp_path / "two/same.py", required=False)
    assert hooks.collect("args") == []


def test_a_file_that_is_allowed_by_name_and_denied_is_there_but_not_loaded(tmp_path, plugins):
    (tmp_path / "mine.py").write_text("1 / 0\n")
    plugins.load_modules(Choice("^mine$", deny="mine", default=False), [tmp_path])
    assert plugins.plugins == {}


def test_a_file_takes_the_place_of_what_a_package_brings(tmp_path, plugins, monkeypatch):
    installed(monkeypatch, "no_such_module_of_acme", name="same")
    plugins.discover()
    (tmp_path / "same.py").write_text("which = 1\n")
    plugins.load_file(tmp_path / "same.py")
    assert plugins.plugins["bkjs.modules", "same"].obj.which == 1


def test_what_is_loaded_is_not_loaded_again(plugins):
    plugins.register(plugin("mine"))
    plugins.load_modules(Choice("."))
    plugins.load_named("mine")
    assert plugins.problems == []


def test_files_that_begin_with_an_underscore_are_no_modules(tmp_path, plugins):
    (tmp_path / "_part.py").write_text("1 / 0\n")
    plugins.load_modules(Choice("."), [tmp_path])
    assert plugins.plugins == {}


def test_what_the_default_names_need_not_be_installed(plugins):
    plugins.load_modules(Choice("^(bk_accounts|bk_icons)$"))
    assert plugins.problems == []


def test_the_singular_of_a_name_asks_for_it_too(tmp_path, plugins, monkeypatch):
    installed(monkeypatch, "no_such_module_of_acme", name="bk_things")
    plugins.discover()
    with pytest.raises(PluginError, match="no_such_module_of_acme"):
        plugins.load_modules(Choice("^bk_thing$", default=False))


def test_a_package_for_another_version_is_not_imported(tmp_path, plugins, monkeypatch):
    (tmp_path / "METADATA").write_text("Requires-Dist: bkjs>=99\n")
    installed(monkeypatch, "no_such_module_of_acme", name="acme", metadata=str(tmp_path))
    plugins.discover()
    plugins.load_modules(Choice("."))
    assert "needs bkjs>=99, found bkjs" in plugins.problems[0]


def test_tables_of_what_is_denied_are_not_asked_for(plugins, monkeypatch):
    installed(monkeypatch, "no_such_module_of_acme", name="acme")
    plugins.discover()
    plugins.load_modules(Choice("nothing"))
    assert plugins.unselected_tables(re.compile("^acme$")) == []
    assert plugins.problems == []
    plugins.unselected_tables()
    assert "no_such_module_of_acme" in plugins.problems[0]


def test_a_driver_and_a_module_may_have_one_name_and_each_is_loaded_once(
    tmp_path, plugins, monkeypatch
):
    code = "from bkjs import hookimpl\n@hookimpl\ndef driver(): return dict\n"
    (tmp_path / "acme_both.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    both = [EntryPoint(g, "acme", "acme_both", "p", "1", "") for g in ("bkjs.db", "bkjs.modules")]
    monkeypatch.setattr("bkjs.core.entrypoints.scan", lambda: both)
    plugins.discover()
    plugins.load_modules(Choice("acme"))
    assert plugins.driver("db", "acme") is plugins.driver("db", "acme") is dict
    assert {p.state for p in plugins.plugins.values()} == {"loaded"}


def test_a_file_that_is_no_python_is_named(tmp_path, plugins):
    (tmp_path / "app.txt").touch()
    with pytest.raises(PluginError, match=r"app\.txt is no Python file"):
        plugins.load_file(tmp_path / "app.txt")


def test_modules_without_any_hook_do_not_collide(tmp_path, plugins):
    for name in ("first", "second"):
        (tmp_path / f"{name}.py").write_text("")
    plugins.load_modules(Choice("."), [tmp_path])
    assert {p.state for p in plugins.plugins.values()} == {"loaded"}


def test_requires_is_checked(plugins):
    needy = plugin("needy")
    needy.requires = ("bk_accounts",)
    plugins.register(needy)
    with pytest.raises(PluginError, match="needs 'bk_accounts'"):
        plugins.check_requires()


def test_a_module_whose_need_is_not_met_is_taken_out_with_those_that_need_it(tmp_path, plugins):
    (tmp_path / "first.py").write_text("requires = 'nowhere'\n")
    (tmp_path / "second.py").write_text("requires = ('first',)\n")
    (tmp_path / "third.py").write_text("")
    plugins.load_modules(Choice("."), [tmp_path])
    plugins.check_requires()
    state = {p.name: p.state for p in plugins.plugins.values()}
    assert state == {"first": "failed", "second": "failed", "third": "loaded"}
    assert "needs 'nowhere'" in plugins.problems[0]
    assert "needs 'first'" in plugins.problems[1]


def test_an_unknown_driver_says_what_to_install(plugins):
    plugins.discover()
    with pytest.raises(StartError, match="pip install bkjs-db-mongo"):
        plugins.driver("db", "mongo")


def test_a_submodule_named_like_a_hook_does_not_replace_it(tmp_path, monkeypatch):
    package = tmp_path / "shadowed"
    package.mkdir()
    (package / "driver.py").write_text("class Driver: pass\n")
    (package / "__init__.py").write_text(
        "from bkjs import hookimpl\n"
        "@hookimpl\n"
        "def driver():\n"
        "    from shadowed.driver import Driver\n"
        "    return Driver\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import shadowed

    for _ in range(2):  # two applications in one process
        plugins = Plugins(hookspecs)
        hooks = Hooks(plugins)
        plugins.register(shadowed)
        ((_, found),) = hooks.collect("driver")
        assert found.__name__ == "Driver"


def test_a_driver_whose_module_took_its_place_says_so(tmp_path, plugins, monkeypatch):
    package = tmp_path / "displaced"
    package.mkdir()
    (package / "driver.py").write_text("")
    (package / "__init__.py").write_text(
        "from bkjs import hookimpl\n@hookimpl\ndef driver():\n    return object\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("displaced.driver")
    found = EntryPoint("bkjs.db", "displaced", "displaced", "acme-displaced", "1", "")
    monkeypatch.setattr("bkjs.core.entrypoints.scan", lambda: [found])
    plugins.discover()
    with pytest.raises(PluginError, match="took the place of it"):
        plugins.driver("db", "displaced")


def entry(package, name="x", group="bkjs.modules"):
    return EntryPoint(group, name, "m", package, "1", "")


def test_a_name_that_two_packages_bring_is_nobodys(plugins, monkeypatch):
    monkeypatch.setattr("bkjs.core.entrypoints.scan", lambda: [entry("one"), entry("two")])
    plugins.discover()
    (plugin,) = plugins.plugins.values()
    assert plugin.state == "failed"
    assert "one and two; uninstall one of them" in plugin.reason
    plugins.load_modules(Choice("."))
    assert plugin.state == "failed"
    with pytest.raises(PluginError, match="one and two"):
        plugins.load_modules(Choice("^x$", default=False))


def test_a_driver_that_failed_says_the_same_when_it_is_asked_for_again(
    tmp_path, plugins, monkeypatch
):
    (tmp_path / "acme_failing.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    failing = EntryPoint("bkjs.db", "acme", "acme_failing", "acme", "1", "")
    monkeypatch.setattr("bkjs.core.entrypoints.scan", lambda: [failing])
    plugins.discover()
    texts = set()
    for _ in range(2):
        with pytest.raises(PluginError) as caught:
            plugins.driver("db", "acme")
        texts.add(caught.value.message)
    where = f"({tmp_path / 'acme_failing.py'}:1)"
    text = f"plugin 'acme' (acme 1) failed in load: ZeroDivisionError: division by zero {where}"
    assert texts == {text}


def test_tables_of_an_unselected_module_that_are_none_are_blamed(tmp_path, plugins, monkeypatch):
    code = "from bkjs import hookimpl\n@hookimpl\ndef tables(): return ['city']\n"
    (tmp_path / "acme_tables.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    module = EntryPoint("bkjs.modules", "acme", "acme_tables", "acme", "1", "")
    monkeypatch.setattr("bkjs.core.entrypoints.scan", lambda: [module])
    plugins.discover()
    plugins.load_modules(Choice("nothing"))
    assert plugins.unselected_tables() == []
    assert "failed in tables: TypeError: the hook returned list, not a dict" in plugins.problems[0]


def test_a_name_of_the_kernel_cannot_be_taken():
    mine, theirs = (entry(package, "web", "bkjs.commands") for package in ("bkjs", "acme"))
    for order in ([mine, theirs], [theirs, mine]):
        assert by_name(order) == ({("bkjs.commands", "web"): mine}, {})


HOOKS = [
    name
    for name, function in vars(hookspecs).items()
    if getattr(function, "bkjs_spec", None) is not None
]


def test_every_hook_is_documented():
    assert len(HOOKS) >= 22
    assert all(getattr(hookspecs, name).__doc__ for name in HOOKS)


@pytest.mark.parametrize("hook", HOOKS)
async def test_a_plugin_that_raises_is_blamed_in_each_hook(plugins, hook, hooks):
    def fails():
        raise RuntimeError("broken")

    plugins.register(plugin("acme", **{hook: fails}), package="acme-pkg")
    if hook in ("args", "tables", "jobs", "commands", "driver"):
        with pytest.raises(PluginError, match=f"'acme' .acme-pkg.*{hook}"):
            hooks.collect(hook)
    elif hook in ("event", "status") or hook.startswith("account_"):
        await hooks.notify(hook)
        assert hook in plugins.problems[0]
    elif hook in ("authenticate", "authorize"):
        with pytest.raises(PluginError, match=f"'acme' .acme-pkg.*{hook}"):
            await hooks.first(hook)
    else:
        with pytest.raises(PluginError, match=f"'acme' .acme-pkg.*{hook}"):
            await hooks.run(hook)
