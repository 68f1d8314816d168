"""Resolution: precedence, refusal as a whole, live changes, and what problems say."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkjs.config import CORE_PARAMS, Config, Param
from bkjs.config.param import Token
from bkjs.config.parse import parse_argv, parse_config, parse_env, parse_rows
from bkjs.config.resolve import SOURCES

PARAMS = [
    Param("size", "int", 10, min=1, max=100),
    Param("title", "", "none"),
    Param("tags", "list", array=True),
    Param("fixed", "", "a", live=False),
    Param("ttl-(.+)", "int", {"x": 1}, obj="ttl"),
    Param("([a-z0-9]+)-pool", obj="pools.$1", make="url", novalue="default"),
]


def make(*params: Param, **sources: str) -> Config:
    config = Config("the app", cwd="/cwd")
    config.declare("core", CORE_PARAMS)
    config.declare("my", params or PARAMS)
    config.set_source("command line", parse_argv(["-home", "/home/me"]))
    for source, text in sources.items():
        config.set_source(source, parse_config(text, source))
    return config


def test_sources_override_each_other_in_their_order():
    config = make()
    for number, source in enumerate(SOURCES, 20):
        tokens = [Token("my-size", str(number), source), Token("home", "/home/me", source)]
        config.set_source(source, tokens[: 1 + (source == "command line")])
        assert config.resolve() == []
        assert config["my"].size == number


def test_what_an_operator_writes_on_the_machine_wins_over_the_database():
    config = make(database="my-size=20", local="my-size=30")
    assert config.resolve() == []
    assert config["my"].size == 30


def test_the_home_of_the_command_line_wins():
    config = make()
    config.set_source("environment", parse_env("-home /home/other"))
    assert config.resolve() == []
    assert config.core.home == "/home/me"
    assert config.core.path["etc"] == "/home/me/etc"


def test_a_default_is_never_changed_by_what_joins_it():
    param = Param("weights", "json", {"a": {"b": 1}})
    inner = Param("weight-(.+)", "int", obj="weights.a", make="$1")
    for text in ("my-weight-c=2", ""):
        config = make(param, inner, file=text)
        assert config.resolve() == []
    assert config["my"].weights == {"a": {"b": 1}}


def test_a_file_that_is_only_switched_on_lies_in_the_home():
    config = make()
    config.set_source("command line", parse_argv(["-home", "/home/me", "-log-file"]))
    assert config.resolve() == []
    assert config.core.log_file == "/home/me/log/message.log"


def test_the_content_of_a_file_is_found_in_the_home(tmp_path):
    (tmp_path / "text").write_bytes(b"content")
    config = make(Param("text", "file"), file="my-text=text")
    config.set_source("command line", parse_argv(["-home", str(tmp_path)]))
    assert config.resolve() == []
    assert config["my"].text == b"content"


def test_each_number_of_a_list_is_one():
    (problem,) = make(Param("nums", "list", datatype="int"), file="my-nums=1,x").resolve()
    assert "not a number" in str(problem)


def test_a_family_takes_whole_names():
    (problem,) = make(Param("ttl-([a-z]+)", "int", obj="ttl"), file="my-ttl-ab9=1").resolve()
    assert "unknown parameter" in str(problem)


def test_declaring_more_for_an_owner_adds():
    config = make(file="my-size=20\nmy-more=1")
    config.declare("my", [Param("more", "int")])
    assert config.resolve() == []
    assert (config["my"].size, config["my"].more) == (20, 1)


def test_values_of_lists_accumulate_over_sources():
    config = make(file="my-tags=a,b", local="my-tags=c")
    assert not config.resolve()
    assert config["my"].tags == ["c", "b", "a"]


def test_an_unknown_parameter_is_named_with_source_line_and_nearest():
    config = make(file="port=1\n\nmy-sise=5")
    (problem,) = config.resolve()
    assert str(problem) == "file:3: my-sise=5: unknown parameter; did you mean 'my-size'?"


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("my-sql1-pol", "my-sql1-pool"),
        ("my-tll-bk_account", "my-ttl-bk_account"),
        ("smpt-host", "smtp-host"),
        ("rpl-port-web", "repl-port-web"),
        ("allow-module", "allow-modules"),
        ("api-hosts", ""),
        ("repl-port-9", ""),
    ],
)
def test_names_are_suggested_by_their_fixed_parts(name, near):
    (problem,) = make(file=f"{name}=1").resolve()
    assert problem.near == near


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("my-size=abc", "not a number; write digits only, as in 12 or 1.5"),
        ("no-db=maybe", "not a switch"),
        ("allow-modules=(", "invalid regular expression"),
        ("log=loud", "must be one of test, dev"),
        ("my-size", "needs a value"),
        ("Size=3", "not a parameter"),
        ("my-size==3", "the value begins with '='"),
        ("home=/elsewhere", "can be given on the command line only"),
        ("master", "can be given on the command line only"),
    ],
)
def test_a_malformed_parameter_is_a_problem(line, message):
    (problem,) = make(file=line).resolve()
    assert message in problem.message
    assert (problem.source, problem.line) == ("file", 1)


@pytest.mark.parametrize(
    ("type", "text"),
    [("json", "{"), ("json", "[" * 100_000), ("url", "http://h:port/"), ("file", "/no/such"),
     ("regexpobj", "["), ("regexpmap", '{"[": 1}'), ("regexpmap", "[]")],
)  # fmt: skip
def test_what_does_not_convert_is_a_problem(type, text):
    assert make(Param("x", type), file=f"my-x={text}").resolve()


def test_a_parameter_may_check_each_item_of_its_list():
    def check(item):
        return "" if item.isdigit() else f"{item} has other signs than digits"

    (problem,) = make(Param("x", "list", check=check), file="my-x=1,b,2").resolve()
    assert "b has other signs than digits" in str(problem)


def test_values_have_their_types(tmp_path):
    (tmp_path / "f").write_bytes(b"\x00")
    params = [
        Param("url", "url"), Param("file", "file"), Param("path", "path"), Param("bool", "bool"),
        Param("dec", "real", decimals=1), Param("obj", "json", datatype="obj"),
        Param("unset", "list"),
    ]  # fmt: skip
    text = f"my-url=http://h/p\nmy-file={tmp_path}/f\nmy-path=etc/x\nmy-dec=1.26\nmy-obj={{}}"
    config = make(*params, file=text)
    assert config.resolve() == []
    my = config["my"]
    assert (my.url, my.file, my.dec, my.obj) == (urlsplit("http://h/p"), b"\0", 1.3, {})
    assert (my.bool, my.unset) == (False, [])
    assert my.path == "/home/me/etc/x"


def test_relative_paths_start_at_home_and_on_the_command_line_at_the_current_directory():
    config = make(Param("a", "path"), Param("b", "path"), file="my-a=x")
    config.set_source("command line", parse_argv(["-home", "../h", "-my-b", "y"]))
    assert not config.resolve()
    assert (config.core.home, config["my"].a, config["my"].b) == ("/h", "/h/x", "/cwd/y")


def test_paths_that_begin_with_a_directory_key_lie_in_the_configured_directory():
    config = make(Param("a", "path"), file="log-dir=/var/log/x\nmy-a=log/access")
    assert not config.resolve()
    assert config["my"].a == "/var/log/x/access"


def test_numbers_are_kept_within_their_limits():
    config = make(file="my-size=1000")
    assert not config.resolve()
    assert config["my"].size == 100


def test_a_refused_source_leaves_everything_as_it_was():
    config = make(file="my-size=5\nmy-title=old")
    assert not config.resolve()
    problems = config.update({"file": parse_config("my-title=new\nmy-sizee=6", "file")})
    assert [p.line for p in problems] == [2]
    assert (config["my"].size, config["my"].title) == (5, "old")
    assert not config.update({"database": parse_rows([("my-title", "database")])})
    assert (config["my"].size, config["my"].title) == (5, "database")


def test_a_removed_line_brings_the_default_back():
    config = make(file="my-size=5\nmy-ttl-x=7\nmy-ttl-y=8")
    assert not config.resolve()
    assert config["my"].ttl == {"x": 7, "y": 8}
    assert not config.update({"file": []})
    assert (config["my"].size, config["my"].ttl) == (10, {"x": 1})


def test_parameters_that_are_not_live_wait_for_a_restart():
    config = make(file="my-fixed=b")
    assert not config.resolve()
    assert config["my"].fixed == "b"
    config.running = True
    assert not config.update({"file": parse_config("my-fixed=c\nmy-title=live", "file")})
    assert (config["my"].fixed, config["my"].title) == ("b", "live")
    assert [str(n) for n in config.notices] == [
        "file:1: my-fixed=c: changed; counts after a restart"
    ]


def test_on_update_hears_of_changes_and_one_failure_stops_no_other(caplog):
    heard = []

    def fail(app, value):
        raise RuntimeError("cannot")

    config = make(
        Param("a", "int", 1, on_update=lambda app, value: heard.append((app, value))),
        Param("b", on_update=fail),
        Param("c", on_update=lambda app, value: heard.append(value)),
    )
    assert not config.resolve()
    assert heard == []
    assert not config.update({"file": parse_config("my-a=2\nmy-b=x\nmy-c=y")})
    assert heard == [("the app", 2), "y"]
    assert "my-b has changed but cannot be applied" in caplog.text
    assert not config.update({"file": parse_config("my-a=2\nmy-b=x\nmy-c=y")})
    assert len(heard) == 2


def test_secrets_do_not_show_in_problems():
    config = make(
        Param("pin", secret=True, values=("1",)),
        file="my-pin=s3cret\nmy-passwort-key=s3cret\nx-url=pgsql://u:s3cret@h/d\nPASSWORD=s3cret",
    )
    text = "\n".join(map(str, config.resolve()))
    assert text.count("\n") == 3
    assert "s3cret" not in text
    assert "s3cret" not in repr(config.declared) + repr(config._sources) + repr(config["core"])


def test_an_early_pass_reads_what_it_knows_and_minds_nothing_else():
    config = make(file="port=9\nrun-mode=prod\nunknown=1\nmy-size=7")
    assert config.resolve(early=True) == []
    assert (config.core.run_mode, config.core.port, config["my"].size) == ("prod", 8000, 10)


def test_an_early_pass_gives_settings_even_when_a_line_is_wrong():
    config = make(file="run-mode=prod\n=5")
    assert config.resolve(early=True)
    assert config.core.run_mode == "prod"


def test_parameters_of_unselected_plugins_are_accepted_unread():
    config = make(file="counters-max=1")
    assert config.resolve()
    config.declared.unread = ("counter",)
    assert config.resolve()
    config.declared.unread = ("counters",)
    assert config.resolve() == []


def test_an_owner_may_have_several_prefixes():
    config = make(file="accounts-max=1\nbk_account-min=2")
    params = [Param("max", "int"), Param("min", "int")]
    config.declare("accounts", params, ("accounts", "bk_account"))
    assert config.resolve() == []
    assert vars(config.accounts) == {"max": 1, "min": 2}


def test_parameters_of_parents_and_of_children():
    params = [Param("m", master=True), Param("w", worker=True)]
    parent = make(*params, file="my-m=1\nmy-w=2")
    child = make(*params, file="my-m=1\nmy-w=2")
    child.declared = replace(child.declared, child=True)
    assert not parent.resolve()
    assert not child.resolve()
    assert (parent["my"].m, parent["my"].w) == ("1", None)
    assert (child["my"].m, child["my"].w) == (None, "2")


def test_on_parse_may_choose_another_place():
    def parse(text, param, captures):
        return replace(param, obj="other", make="$1") if text == "moved" else param

    config = make(Param("x-(.+)", on_parse=parse), file="my-x-a=moved\nmy-x-b=stays")
    assert not config.resolve()
    assert vars(config["my"]) == {"other": {"a": "moved"}, "x_b": "stays"}


def test_a_value_for_the_missing_is_given_once():
    config = make(file="my-sql-pool\nmy-pg-pool=url\nmy-pg-pool")
    assert not config.resolve()
    assert config["my"].pools == {"sql": {"url": "default"}, "pg": {"url": "url"}}


def test_defaults_do_not_grow():
    default = ["z"]
    param = Param("l", "list", default, array=True)
    for _ in range(2):
        config = make(param, file="my-l=a")
        assert not config.resolve()
        assert config["my"].l == ["a", "z"]
    assert default == ["z"]


def test_patterns_may_have_defaults_as_text():
    config = make(Param("rx", "regexp", "a$"), Param("all", "regexpobj", ["a", "b"]))
    assert not config.resolve()
    assert config["my"].rx.search("ba")
    assert config["my"].all["rx"].search("b")


def test_wrong_declarations_are_refused():
    with pytest.raises(ValueError, match="unknown type 'integer'"):
        Param("x", "integer")
    with pytest.raises(ValueError, match="default of a family"):
        make(Param("x-(.+)", "", "text")).resolve()
    with pytest.raises(ValueError, match="no configuration source 'files'"):
        make().set_source("files", [])


def test_a_misspelt_setting_is_an_error_that_helps():
    config = make()
    config.resolve()
    with pytest.raises(AttributeError, match="no setting 'prot'; did you mean 'port'"):
        _ = config.core.prot
    for name, place in (
        ("files_dir", 'path["files"]'),
        ("file_dir", 'path["files"]'),
        ("web_path", 'path["web"]'),
        ("ssl_key", 'ssl["key"]'),
        ("tmp_watcher_log", 'tmp_watcher["log"]'),
    ):
        with pytest.raises(AttributeError) as refused:
            getattr(config.core, name)
        assert str(refused.value) == f"no setting {name!r}; did you mean {place!r}?"
    with pytest.raises(AttributeError, match="no parameters of 'mine'"):
        _ = config.mine


def test_the_environment_is_quoted_like_a_shell_line():
    assert [(t.name, t.value) for t in parse_env("-a 'b c' --d=e")] == [("a", "b c"), ("d", "e")]
    config = make()
    config.set_source("environment", parse_env("-port 'x"))
    assert "No closing quotation" in config.resolve()[0].message


names = st.sampled_from(["my-size", "my-title", "my-tags", "my-ttl-a", "my-sql-pool", "my-fixed"])
texts = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"]), max_size=8)
contents = st.lists(st.tuples(names, texts), max_size=5)


@given(st.lists(st.tuples(st.sampled_from(SOURCES[:-1]), contents), max_size=8))
def test_values_do_not_depend_on_the_history_of_changes(changes):
    config = make()
    config.resolve()
    for source, pairs in changes:
        config.update({source: parse_rows(pairs, source)})
    fresh = make()
    for source, tokens in config._sources.items():
        fresh.set_source(source, tokens)
    assert fresh.resolve() == []
    assert vars(fresh["my"]) == vars(config["my"])


@given(st.lists(st.tuples(st.from_regex(r"\A[a-z0-9_][a-z0-9_-]*\Z"), st.text(max_size=20))))
def test_a_written_file_reads_back(pairs):
    pairs = [(name, re.sub(r"[\r\n]|\A=+", "", text).strip()) for name, text in pairs]
    text = "".join(f"{name} = {value}\n" for name, value in pairs)
    tokens = parse_config(text, "file")
    assert [(token.name, token.value) for token in tokens] == pairs
    assert [token.line for token in tokens] == list(range(1, len(pairs) + 1))


@given(st.lists(st.tuples(st.from_regex(r"\A[a-z0-9_][a-z0-9_-]*\Z"), st.text())))
def test_a_command_line_reads_back_in_each_of_its_forms(pairs):
    for dashes in ("-", "--"):
        argv = [f"{dashes}{name}={value}" for name, value in pairs]
        assert [(token.name, token.value) for token in parse_argv(argv)] == pairs
    plain = [(name, re.sub(r"\A-+", "", value)) for name, value in pairs]
    argv = [item for name, value in plain for item in (f"-{name}", value)]
    assert [(token.name, token.value) for token in parse_argv(argv)] == plain
