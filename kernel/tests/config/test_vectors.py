"""The golden data of the configuration: syntax, types, core parameters, database records."""

from __future__ import annotations

import re
from typing import Any

import pytest

from bkjs.config import CORE_PARAMS, Config, Param, store
from bkjs.config.builtin import NOTHING
from bkjs.config.param import snake
from bkjs.config.parse import parse_argv, parse_config
from bkjs.config.resolve import Declared, Owner
from bkjs.config.values import Context
from bkjs.core.identity import app_identity
from bkjs.db.setup.stored import by_priority, choose, config_types
from bkjs.lib.patterns import compile_regexp
from bkjs.testing.vectors import vectors

NAMES = {"key": "attr", "pass": "early", "del": "delete"}
FLAGS = ("nocamel", "array", "set", "trim", "reverse", "once", "autotype", "early", "delete")


def decode(value: Any) -> Any:
    """Patterns of the golden data as compiled ones, in our spelling."""
    if isinstance(value, dict):
        if "$re" in value:
            return compile_regexp(value["$re"].replace(r"\/", "/"), value["flags"])
        if "$undef" in value:
            return None
        return {key: decode(item) for key, item in value.items()}
    return [decode(item) for item in value] if isinstance(value, list) else value


def to_param(definition: dict[str, Any]) -> Param:
    options = {NAMES.get(key, key): decode(value) for key, value in definition.items()}
    if isinstance(options.get("attr"), list):
        options["attr"] = ",".join(options["attr"])
    for flag in FLAGS:
        options[flag] = bool(options.get(flag))
    return Param(options.pop("name"), **options)


@pytest.mark.parametrize("case", vectors("config-parser", "parse_config"))
def test_file_text_becomes_names_and_values(case):
    argv = []
    for token in parse_config(case["text"]):
        if re.match("[a-z0-9_-]", token.name):
            argv += [f"-{token.name}", *([token.value] if token.value else [])]
    assert argv == case.wanted("argv")


@pytest.mark.parametrize("case", vectors("config-parser", "process_args"))
def test_arguments_set_attributes(case):
    params = [to_param(definition) for definition in case["defs"]]
    declared = Declared({"mod": Owner("mod", ("mod-",), params)})
    values = decode(case["initial"])
    context = Context()
    for token in parse_argv(case["argv"]):
        for _, param, name, captures in declared.matching(token.name):
            if param.early or not case["pass"]:
                store.apply(param, name, captures, token.text, values, context)
    assert values == decode(case.wanted())


def flat(values: dict[str, Any]) -> dict[str, Any]:
    """Attributes in the spelling of the golden data, with what is made of the name of the app."""
    name, version, _ = app_identity(values.pop("app_name"))
    values |= {"app_name": name, "app_version": version}
    return values


def same(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, re.Pattern) and isinstance(theirs, re.Pattern):
        return ours == theirs or {ours.pattern, theirs.pattern} <= {NOTHING.pattern, r"^(?!x)x\Z"}
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(same(ours[k], theirs[k]) for k in ours)
    return bool(ours == theirs)


@pytest.mark.parametrize("case", vectors("config-core"))
def test_core_parameters(case, tmp_path):
    def configured(argv: list[str]) -> tuple[list[Any], dict[str, Any]]:
        config = Config(cwd=str(tmp_path / "cwd"))
        config.declare("core", CORE_PARAMS)
        config.set_source("command line", parse_argv(["-home", str(tmp_path), *argv]))
        problems = config.resolve()
        return problems, {} if problems else flat(dict(vars(config.core)))

    problems, values = configured(case["argv"])
    expected = case.wanted("changed")
    if expected == {"error": True}:
        assert problems
        return
    assert not problems
    before = configured([])[1]
    changed = {name: value for name, value in values.items() if not same(value, before[name])}
    wanted = {snake(name): place(decode(value), tmp_path) for name, value in expected.items()}
    assert changed.keys() <= wanted.keys()
    for name, value in wanted.items():
        assert same(values[name], value), name


def place(value: Any, home: Any) -> Any:
    """Directories lie at home; `CWD` stands for the current directory."""
    if not (isinstance(value, dict) and "spool" in value):
        return value

    def full(path: str) -> str:
        return str(home / path.replace("CWD", "cwd"))

    return {
        key: [full(item) for item in path] if isinstance(path, list) else full(path)
        for key, path in value.items()
    }


@pytest.mark.parametrize("case", vectors("config-db"))
def test_records_of_the_database(case):
    options, core = case["options"] or {}, case["core"]
    types = config_types(
        run_mode=core["runMode"],
        app_name=core["appName"],
        role=options.get("role", core["role"]),
        roles=case["config_roles"] or (),
        network=options.get("network", core["network"]),
        **{key: options.get(key, core["instance"][key]) for key in ("tag", "region", "zone")},
    )
    assert types == case["select"]["query"]["type"]
    assert by_priority(case["rows"], types) == case["sorted"]
    first = {}
    for row in case["sorted"]:
        first.setdefault(row["name"], row)
    assert choose(case["rows"], types) == list(first.values())
