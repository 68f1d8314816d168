from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bkjs.helpers import text

WORDS = st.text(st.characters(exclude_characters=" \"'\\"), min_size=1)


@given(st.lists(WORDS))
def test_a_phrase_splits_into_its_words_quoted_or_not(words):
    assert text.phrase_split(" ".join(words)) == words
    assert text.phrase_split(" ".join(f'"{word}"' for word in words)) == words


@given(st.lists(st.text(st.characters(exclude_characters="\"'\\"))))
def test_quoted_fields_keep_what_is_in_them(fields):
    line = ",".join(f'"{field}"' for field in fields)
    assert text.phrase_split(line, separator=",", keepempty=True) == fields


def test_versions_sort_by_a_property():
    rows = [{"name": "app-1.9"}, {"name": "app-1.10"}]
    assert text.sort_by_version(rows, "name") == [{"name": "app-1.10"}, {"name": "app-1.9"}]
