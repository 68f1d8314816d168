from hypothesis import given
from hypothesis import strategies as st

from bkjs.lib.bounded import LONGEST_KEY, Bounded, kept


@given(st.lists(st.integers(0, 20)), st.integers(1, 10))
def test_it_keeps_the_youngest_and_never_more_than_its_limit(keys: list[int], limit: int):
    kept: Bounded[int, int] = Bounded(limit)
    for key in keys:
        kept[key] = -key
        assert kept[key] == -key
        assert len(kept) <= limit
    seen: list[int] = []
    for key in keys:  # the same with a plain list
        if key not in seen:
            seen = [*seen, key][-limit:]
    assert list(kept) == seen


def test_texts_that_are_long_are_worked_out_each_time():
    """A client may make as many of them as it likes."""
    calls: list[int] = []

    @kept(10)
    def size(text: str) -> int:
        calls.append(len(text))
        return len(text)

    for length in (LONGEST_KEY, LONGEST_KEY + 1):
        assert size("x" * length) == size("x" * length) == length
    assert calls == [LONGEST_KEY, LONGEST_KEY + 1, LONGEST_KEY + 1]
