from __future__ import annotations

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from bkjs.lib.csv import csv_field, csv_line

FIELDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(st.lists(st.lists(FIELDS, min_size=1)), st.sampled_from(",;\t|"))
def test_lines_are_read_as_they_were_written(rows, separator):
    text = "".join(csv_line(row, separator) for row in rows)
    assert list(csv.reader(io.StringIO(text, newline=""), delimiter=separator)) == rows


def test_only_what_must_be_is_quoted():
    assert csv_line(["a", "", "b c", 'd"', "e;"], end="\n") == 'a,,"b c","d""",e;\n'
    assert csv_field("it's", quotes="'") == "'it''s'"
