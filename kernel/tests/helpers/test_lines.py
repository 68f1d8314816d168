from __future__ import annotations

import re

import pytest

from bkjs.helpers.lines import for_each_line
from bkjs.testing.vectors import decode, load, vectors


@pytest.mark.parametrize("case", vectors("lib-lines"))
def test_lines_give_the_golden_results(case, tmp_path):
    files = load("lib-lines")["extra"]["files"]
    files["long"] = "".join(f"line number {number}\n" for number in range(300))
    file = tmp_path / "lines"
    file.write_text(files[case["file"]])
    options = decode(case["options"])
    if "count" in options:
        pytest.skip("batches: itertools.islice or, from Python 3.12, itertools.batched")
    for name in ("limit", "skip"):
        if name in options:
            options[name] -= 1  # the reference passes one line less than it was told
    assert list(for_each_line(file, **options)) == case["calls"]


def test_json_lines_that_are_not_valid_are_left_out(tmp_path):
    file = tmp_path / "lines"
    file.write_text('{"a":1}\nnot json\n"text"\n[1,2]\n{"b":\n')
    assert list(for_each_line(file, json=True)) == [{"a": 1}, [1, 2]]


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
