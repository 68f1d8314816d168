from __future__ import annotations

import re
from inspect import signature
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkjs.helpers.format import to_format
from bkjs.helpers.lines import for_each_line
from bkjs.testing.vectors import decode, known, vectors

OURS = ("sync", "abort", "progress")
"""What a loop over the iterator does, as the documentation says."""


@pytest.mark.parametrize("case", vectors("lib-lines"))
def test_lines_give_the_golden_results(case, tmp_path):
    files = dict(case.file["extra"]["files"])
    files["long"] = "".join(f"line number {number}\n" for number in range(300))
    file = tmp_path / "lines"
    file.write_text(files[case["file"]])
    options = decode(case["options"])
    known(options, (*signature(for_each_line).parameters, "count", *OURS))
    count = options.pop("count", 0)
    for name in OURS:
        options.pop(name, None)
    for name in ("limit", "skip"):
        if name in options:
            options[name] -= 1  # the reference passes one line less than it was told
    assert case["error"] is None
    lines = list(for_each_line(file, **options))
    assert called(lines, count, case.wanted("calls")) == case.wanted("calls")
    # of a whole file with its last, empty piece
    assert case["nlines"] == file.read_text()[options.get("start", 0) :].count("\n") + 1
    assert case["ncalls"] == len(lines)


def called(lines: list[Any], count: int, form: Any) -> Any:
    """The lines in the form of a case: all of them, the sizes of batches, or both ends."""
    if not isinstance(form, dict):
        return [lines[at : at + count] for at in range(0, len(lines), count)] if count else lines
    known(form, ("batch_sizes", "first", "last", "count"), "form")
    if "batch_sizes" in form:
        return {"batch_sizes": [len(lines[at : at + count]) for at in range(0, len(lines), count)]}
    return {"first": lines[0], "last": lines[-1], "count": len(lines)}


def test_json_lines_that_are_not_valid_are_left_out(tmp_path):
    file = tmp_path / "lines"
    file.write_text('{"a":1}\nnot json\n"text"\n[1,2]\n{"b":\n')
    assert list(for_each_line(file, json=True)) == [{"a": 1}, [1, 2]]


@given(st.lists(st.dictionaries(st.text(), st.text() | st.integers(-9, 9))), st.integers(0, 5))
def test_rows_are_read_again_as_they_were_written(tmp_path_factory, rows, limit):
    file = tmp_path_factory.mktemp("lines") / "rows"
    file.write_text(to_format("json", rows))
    assert list(for_each_line(file, json=True, limit=limit)) == rows[: limit or None]


@pytest.mark.parametrize("odd", ["x", None, [], -1])
def test_limits_that_are_no_numbers_are_none(tmp_path, odd):
    file = tmp_path / "lines"
    file.write_text("a\nb\n")
    assert list(for_each_line(file, limit=odd, skip=odd, start=odd)) == ["a", "b"]


def test_a_header_may_be_told_by_its_text(tmp_path):
    file = tmp_path / "lines"
    file.write_text("name,value\na,1\n")
    assert list(for_each_line(file, header=lambda line: line.startswith("name"))) == ["a,1"]
    assert len(list(for_each_line(file, header=lambda line: False))) == 2


def test_reading_ends_as_soon_as_nobody_asks_for_more(tmp_path):
    file = tmp_path / "lines"
    file.write_text("a\nb\n")
    lines = for_each_line(file, ignore=re.compile("b"))
    assert next(lines) == "a"
    lines.close()


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        next(for_each_line(tmp_path / "none"))
