"""The page about errors quotes what the code says, with its status."""

import re
from pathlib import Path

import pytest

from bkjs.testing.process import run
from tests.test_parameters import SOURCE

PAGE = Path(__file__).with_name("errors.md").read_text(encoding="utf-8")
CODE = re.compile(r"`([^`]+)`")
JOINED = re.sub(r'"\s*\n\s*f?"', "", SOURCE)
"""Texts that are written over several lines, as one."""


def texts(section: str, column: int) -> list[str]:
    part = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("| ")][1:]
    return [CODE.findall(line.split(" | ")[column])[0] for line in lines]


@pytest.mark.parametrize(
    "text",
    [*texts("At the start", 0), *texts("While it runs", 0), *texts("What a client gets", 1)],
)
def test_each_text_is_one_that_the_code_has(text):
    parts = [part.strip(" :;") for part in text.split("…")]
    wanted = [part for part in parts if len(part) > 2]
    assert wanted
    for part in wanted:
        assert part in JOINED, part


def test_anchors_and_variables_are_there():
    for name in ("BKJS_DEBUG", "BKJS_TRACE_HOOKS"):
        assert f"`{name}=1" in PAGE
        assert f'"{name}"' in SOURCE
    signing = Path(__file__).with_name("signing.md").read_text(encoding="utf-8")
    anchor = re.search(r"\(signing\.md#([\w-]+)\)", PAGE)[1]
    heads = re.findall(r"^#+ (.+)$", signing, re.M)
    assert anchor in {re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in heads}


@pytest.mark.parametrize(
    ("argv", "line", "code"),
    [
        (("config", "check"), "", 0),
        (("db", "export", "-table", "none"), "", 1),
        (("nonsense",), "", 2),
        (("db", "tables", "-prot", "1"), "", 2),
        (("config", "check"), "prot=1\n", 3),
    ],
)
def test_exit_codes(tmp_path, argv, line, code):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/config").write_text(line)
    assert run(tmp_path, *argv).returncode == code
