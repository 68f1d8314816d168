from __future__ import annotations

import pytest

from bkjs.lib.patterns import compile_linear, to_regexp


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("^/a$", "/a", "/a\n"),
        (r"^\d$", "1", "١"),
        (r"^[\w-]+$", "a-b", "é"),
        (r"^\D\W$", "é!", "1!"),
        (r"^[[]$", "[", "]"),
        (r"^(?<year>\d{4})\$$", "2018$", "2018"),
        (r"^[$]\/$", "$/", "a/"),
        (r"^[a]\d$", "a1", "a1\n"),
    ],
)
def test_patterns_mean_what_they_mean_in_a_browser(pattern, matching, other):
    compiled = to_regexp(pattern)
    assert compiled is not None
    assert compiled.search(matching)
    assert not compiled.search(other)


def test_a_dollar_ends_lines_when_the_pattern_spans_them():
    compiled = to_regexp("^a$", "m")
    assert compiled is not None
    assert compiled.search("b\na\nc")


def test_a_bad_pattern_is_none_and_an_error_in_the_log(caplog):
    assert to_regexp("a(") is None
    assert "invalid pattern 'a('" in caplog.text


def test_a_compiled_pattern_is_taken_as_it_is():
    pattern = to_regexp("a", "i")
    assert to_regexp(pattern) is pattern


def test_a_long_invalid_pattern_makes_no_long_line_of_the_log(caplog):
    assert to_regexp("[" * 100_000) is None
    assert len(caplog.text) < 500


def test_a_pattern_of_a_stranger_takes_no_time():
    assert compile_linear("(a|aa)+$").search("a" * 5000 + "b") is None
    assert compile_linear("É", ignore_case=True).search("été")


@pytest.mark.parametrize("source", ["(", "\ud800", "a" * 11, r"(a)\1"])
def test_a_bad_pattern_of_a_stranger_says_why(source):
    with pytest.raises(ValueError, match=r"missing|surrogates|longer|invalid"):
        compile_linear(source, longest=10)


def test_without_the_package_a_pattern_is_refused_or_one_of_re(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "re2", None)
    assert compile_linear(r"(a)\1").search("aa")
    with pytest.raises(ValueError, match="unterminated"):
        compile_linear("(")
    with pytest.raises(ImportError, match=r"pip install bkjs\[auth\]"):
        compile_linear("a", strict=True)
