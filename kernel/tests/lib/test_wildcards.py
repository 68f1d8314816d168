import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bkjs.lib.wildcards import SHORT, like


def expression(pattern: str) -> re.Pattern[str]:
    """The same as a regular expression: right, but not fast."""
    parts, escaped = [], False
    for char in pattern:
        if escaped or char not in "%_\\":
            parts.append(re.escape(char))
            escaped = False
        elif char == "\\":
            escaped = True
        else:
            parts.append(".*" if char == "%" else ".")
    return re.compile("".join(parts), re.S)


PATTERNS = st.text(alphabet="ab%_\\\n", max_size=10)


@given(PATTERNS, st.text(alphabet="ab%_\\\n", max_size=12))
@example("%", "")
@example("", "")
@example("_%_", "a")
@example("a%a", "a")
@example("%ab%ab", "ab")
@example("%ab%b", "bab")
@example("\\", "\\")
def test_it_finds_what_the_expression_finds(pattern: str, text: str):
    assert like(pattern)(text) is (expression(pattern).fullmatch(text) is not None)


@given(st.text(alphabet="ab_", min_size=SHORT + 1, max_size=SHORT + 8), st.data())
def test_long_pieces_too(piece: str, data: st.DataObject):
    fitting = "".join(data.draw(st.sampled_from("abc")) if c == "_" else c for c in piece)
    text = data.draw(st.text(alphabet="ab", max_size=20)) + fitting + "a"
    other = data.draw(st.text(alphabet="ab", min_size=SHORT, max_size=80))
    for pattern in (f"%{piece}%", f"%{piece}_", f"%a{piece}%"):
        for candidate in (text, other):
            found = expression(pattern).fullmatch(candidate) is not None
            assert like(pattern)(candidate) is found


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("%a%a%a%b", "a" * 100_000),
        ("%" + "e%" * 8 + "zq", "the quick brown fox " * 5000),
        ("%" + "a_" * 200 + "b%", "a" * 100_000),
        ("%" + "_" * 500 + "b%", "a" * 100_000),
        ("%" + "a%" * 5000 + "b", "a" * 4000),
        ("%" + "a" * 5000 + "_b%", "a" * 100_000),
    ],
)
def test_nothing_is_tried_twice(pattern: str, text: str):
    started = time.process_time()
    assert not like(pattern)(text)
    assert time.process_time() - started < 2  # seconds; one that goes back needs years for most
