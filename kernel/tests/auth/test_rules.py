"""Which paths are open to whom."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkjs.auth.rules import SETTINGS, AccessRules
from bkjs.auth.status import DENIED, NO_LOGIN, NOT_AUTHENTICATED, OK
from bkjs.config import Settings
from bkjs.config.derived import Derived
from bkjs.errors import StartError
from bkjs.lib.bounded import LONGEST_KEY
from bkjs.lib.patterns import compile_regexp
from bkjs.testing.vectors import vectors
from bkjs.web.parameters import ALLOW

SOURCES = [r"\.js$", r"\.x$", "^/js", "^/a|c", "s/", "^/(j|a)", "a$", "^/$", "x|^/s"]
"""A suffix, the beginning, anywhere, and what only looks like one of these."""

ADMIN = {"id": "1", "type": "user,admin"}


def settings(**given: Any) -> Settings:
    made = Settings()
    for name, value in (dict.fromkeys(SETTINGS) | given).items():
        setattr(made, name, value)
    return made


def rules(**given: Any) -> AccessRules:
    return AccessRules(settings(**given))


@pytest.mark.parametrize("case", vectors("api-allow-default"))
def test_default_allow_list(case: Any):
    patterns = case.file["preferred_patterns"]
    status = rules(allow={"list": patterns}).access(case["path"], "1.2.3.4", api=False)
    assert (status == OK) is case.wanted("allowed")


@pytest.mark.parametrize("case", vectors("api-authorization"))
def test_authorization(case: Any):
    names = {
        "allowAnonymous": "allow_anonymous", "allowAdmin": "allow_admin",
        "denyAccount": "deny_account", "allowAccount": "allow_account",
        "allowAuthenticated": "allow_authenticated", "disableSession": "disable_session",
    }  # fmt: skip
    checked = rules(**{names[name]: value for name, value in case["config"].items()})
    status = checked.authorization(
        case["path"], case["account"], case["source"], case["input_status"]
    )
    assert status == case.wanted()


@pytest.mark.parametrize("status", [None, {}, {"status": None}, {"message": "Ok"}])
def test_no_status_never_becomes_an_allowance(status: Any):
    assert rules().authorization("/a", {"id": "1"}, "", status) == NOT_AUTHENTICATED


def test_deny_wins_over_every_allow():
    checked = rules(deny=["^/x"], allow=["^/x"], allow_ip=["."])
    assert checked.access("/x", "1.1.1.1", api=True, public=True) == {
        "status": 403,
        "message": "Access denied",
    }
    assert checked.access("/y", "1.1.1.1", api=True) == OK


def test_ip_rules_come_before_path_rules():
    checked = rules(deny_ip=[r"^10\."], allow=["^/x"], allow_ip=[r"^127\."])
    assert checked.access("/x", "10.0.0.1", api=False)["status"] == 403
    assert checked.access("/y", "127.0.0.1", api=False) == OK
    assert checked.access("/y", "1.2.3.4", api=False) is None


def test_ignore_allow_cancels_a_match():
    checked = rules(allow=["^/x"], allow_ip=["^1"], ignore_allow=["/secret$"])
    assert checked.access("/x/secret", "1.1.1.1", api=True, public=True) is None
    assert checked.access("/x/other", "1.1.1.1", api=True) == OK


@pytest.mark.parametrize("path", ["/todo/get.css", "/system/restart/x.js", "/image/a/1/0.png"])
def test_a_suffix_never_opens_an_api_path(path: str):
    checked = rules(allow=[r"\.css$", r"\.js$", r"\.png$"])
    assert checked.access(path, "", api=True) is None
    assert checked.access("/site/x.css", "", api=False) == OK


@pytest.mark.parametrize("folder", ["js", "css", "fonts", "public"])
def test_a_folder_of_static_files_opens_no_endpoint(folder: str):
    """One whose first part is a parameter would answer there, too."""
    checked = rules(allow=[f"^/{folder}/"])
    assert checked.access(f"/{folder}/del", "1.1.1.1", api=False) == OK
    assert checked.access(f"/{folder}/del", "1.1.1.1", api=True) is None
    assert rules(allow=[f"^/{folder}/d"]).access(f"/{folder}/del", "1.1.1.1", api=True) == OK


@pytest.mark.parametrize("path", ["/" + "a" * 8000, "/" + "/js" * 2600, "/." * 4000])
def test_a_long_path_costs_what_a_short_one_does(path: str):
    checked = rules(allow=list(ALLOW))
    checked.access(path, "1.1.1.1", api=False)
    started = time.process_time()
    for _ in range(200):
        assert checked.access(path, "1.1.1.1", api=False) is None
    assert time.process_time() - started < 0.1  # seconds; searching took 2 ms for each


@given(st.lists(st.sampled_from(SOURCES), max_size=6), st.text("/jsa.x|c\n", max_size=8))
def test_rules_mean_what_their_patterns_mean(sources: list[str], path: str):
    """However they are matched."""
    found = any(compile_regexp(source).search(path) for source in sources)
    assert (rules(deny=sources).access(path, "", api=True) == DENIED) is found


def test_end_of_pattern_is_the_end_of_the_path():
    assert rules(allow=[r"\.html$"]).access("/a.html\n", "", api=False) is None


def test_digits_and_words_are_ascii():
    checked = rules(allow=[r"^/\d+$", r"^/w/\w+$"])
    assert checked.access("/12", "", api=True) == OK
    assert checked.access("/١٢", "", api=True) is None
    assert checked.access("/w/é", "", api=True) is None


@pytest.mark.parametrize("name", ["allow_ip", "deny_ip"])
def test_rules_about_addresses_say_that_an_answer_depends_on_one(name: str):
    assert rules(**{name: ["^1"]}).by_address
    assert not rules(allow=["^/x"], deny=["^/y"]).by_address


def test_a_rule_for_all_who_are_known_opens_nothing_to_others():
    checked = rules(allow_authenticated=["^/x"], allow_account={"staff": ["^/x"]})
    assert checked.authorization("/x", {"id": "1"}, "", OK) == OK
    assert checked.authorization("/x", {}, "", OK)["code"] == "ALLOW"


def test_decisions_about_long_paths_are_not_kept():
    """A client may make as many of them as it likes."""
    checked, asked = rules(allow=["^/a"], allow_admin=["^/b"]), []
    for name in ("allow", "allow_admin"):
        checked._match[name] = asked.append
    for size in (LONGEST_KEY, LONGEST_KEY + 1):
        path = "/" + "x" * (size - 1)
        for _ in range(2):
            checked.access(path, "", api=True)
            checked.authorization(path, {"id": "1"}, "", OK)
    assert list(map(len, asked)) == [LONGEST_KEY] * 2 + [LONGEST_KEY + 1] * 4


def test_rules_follow_the_configuration():
    api = settings()
    checked = Derived(api, lambda: AccessRules(api))
    assert checked().access("/x", "", api=True) is None
    api.allow = {"list": ["^/x"]}
    assert checked().access("/x", "", api=True) == OK
    assert checked() is checked()
    api.deny_account = {"user": ["^/x"]}
    assert checked().authorization("/x", {"id": "1", "type": "user"}, "h", OK)["code"] == "DENY"


def test_an_invalid_pattern_is_named():
    with pytest.raises(StartError, match="api-deny: invalid pattern"):
        rules(deny=["("])


def test_session_refused_on_disabled_path_even_for_administrators():
    checked = rules(disable_session=["^/x"])
    assert checked.authorization("/x", ADMIN, "s", OK)["code"] == "DISABLED"
    assert checked.authorization("/x", ADMIN, "h", OK) == OK


_RULES = ["^/x", "^/y", "^/xy"]


@given(
    lists=st.fixed_dictionaries(
        {},
        optional={
            name: st.sampled_from(_RULES).map(lambda rule: [rule])
            for name in ("allow_admin", "allow_authenticated", "allow_anonymous", "disable_session")
        },
    ),
    types=st.fixed_dictionaries(
        {},
        optional={
            name: st.sampled_from(_RULES).map(lambda rule: {"user": [rule]})
            for name in ("allow_account", "deny_account")
        },
    ),
    path=st.sampled_from(["/x", "/y", "/xy", "/z"]),
    account=st.sampled_from([{}, {"id": "1"}, {"id": "1", "type": "user"}, ADMIN]),
    source=st.sampled_from("hst"),
    status=st.sampled_from([OK, NO_LOGIN, NOT_AUTHENTICATED]),
)
def test_what_no_rule_about_accounts_concerns_keeps_its_status(
    lists: Any, types: Any, path: str, account: Any, source: str, status: Any
):
    checked = rules(**lists, **types)
    if not checked.concerns(path):
        assert checked.authorization(path, account, source, status) is status
