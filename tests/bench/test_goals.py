"""The arithmetic of a benchmark: what is reached, what is judged, what fails a run."""

import pytest

from tests.bench import serving, startup
from tests.bench.database import KINDS
from tests.bench.goals import (
    ROWS,
    Ratio,
    Row,
    failed,
    judge,
    needed,
    ratio,
    read,
    spread,
    table,
    wanted,
)
from tests.bench.inprocess import NAMES

LESS = Row("X1", "less is better", "ours", "raw", 2, 3, yardstick="raw")
MORE = LESS._replace(target=2, floor=1, more=True)


def cpu(*values):
    return [{"cpu": value, "rate": 1e9 / value} for value in values]


def reached(median, spread=0.0):
    return Ratio(median, median, median, spread)


def test_a_row_is_the_median_of_ratios_of_the_same_rounds_not_the_ratio_of_medians():
    # a machine that becomes slower from round to round: medians are 30 and 20
    seen = {"ours": cpu(10, 30, 80), "raw": cpu(10, 20, 40)}
    assert ratio(LESS, seen) == Ratio(1.5, 1.0, 2.0, 0.75)
    assert ratio(LESS, {"ours": cpu(80, 10, 30), "raw": cpu(10, 20, 40)}).median == 0.75


def test_a_row_may_compare_other_figures_than_cpu():
    seen = {"ours": cpu(10), "raw": cpu(20)}
    assert ratio(LESS._replace(by="rate"), seen).median == 2.0


def test_a_row_without_one_of_its_figures_has_no_ratio():
    assert ratio(LESS, {"ours": cpu(1)}) is None
    assert ratio(LESS, {"ours": cpu(1), "raw": []}) is None


def test_without_its_yardstick_a_row_has_no_ratio():
    seen = {"ours": cpu(1), "raw": cpu(1)}
    assert ratio(LESS._replace(yardstick="loop"), seen) is None
    assert ratio(LESS._replace(yardstick=""), seen).median == 1


def test_rounds_that_do_not_belong_together_are_no_ratio():
    with pytest.raises(ValueError, match="shorter"):
        ratio(LESS, {"ours": cpu(1, 2), "raw": cpu(1)})


def test_spread_is_half_the_range_beside_the_median():
    assert spread(cpu(90, 100, 100, 120)) == pytest.approx(0.15)
    assert spread([]) == 0


@pytest.mark.parametrize(
    ("row", "value", "verdict"),
    [
        (LESS, 2, "target"), (LESS, 2.01, "floor"), (LESS, 3, "floor"), (LESS, 3.01, "BELOW"),
        (MORE, 2, "target"), (MORE, 1.99, "floor"), (MORE, 1, "floor"), (MORE, 0.99, "BELOW"),
        (LESS._replace(floor=None), 99, "missed"), (LESS._replace(target=None), 99, "")
    ]
)  # fmt: skip
def test_judged_by_target_and_floor_in_the_right_direction(row, value, verdict):
    assert judge(row, reached(value)) == verdict


def test_nothing_is_judged_when_the_yardstick_was_not_steady():
    assert judge(LESS, reached(99, spread=0.15)) == "BELOW"
    assert judge(LESS, reached(99, spread=0.151)) == "noisy"
    assert judge(LESS, reached(1, spread=0.151)) == "noisy"


def test_only_rows_behind_their_floor_fail_a_run():
    steady = cpu(10, 10, 10)
    assert failed([LESS], {"ours": cpu(31, 31, 31), "raw": steady}) == ["X1: less is better"]
    assert failed([LESS], {"ours": cpu(29, 29, 29), "raw": steady}) == []
    assert failed([LESS], {"ours": cpu(310, 31, 31), "raw": cpu(100, 10, 10)}) == []  # noisy
    assert failed([LESS._replace(floor=None)], {"ours": cpu(99), "raw": cpu(1)}) == []
    assert failed([LESS], {}) == []


def test_the_table_shows_the_range_and_why_a_row_is_not_there():
    seen = {"ours": cpu(10, 31, 15), "raw": cpu(10, 10, 10)}
    lines = table([LESS, MORE._replace(over="peer")], seen, {"peer": "no npm"}).splitlines()
    assert lines[2] == "| X1 | less is better | ≤ 2.00 | ≤ 3.00 | 1.50 | 1.00–3.10 | target |"
    assert lines[3] == "| X1 | less is better | ≥ 2.00 | ≥ 1.00 |  |  | not here: no npm |"


def test_rows_are_read_from_lines():
    text = """# comment

A1 | what | a b / c, rate | ≥ 2 1.5 | d
A2 | why  | a / c         | ≤ 2
A3 | x    | a / c         |         | -
"""
    assert read(text) == [
        Row("A1", "what", "a b", "c", 2, 1.5, True, "rate", "d"),
        Row("A2", "why", "a", "c", 2, None, False, "cpu", "raw small"),
        Row("A3", "x", "a", "c", None, None, False, "cpu", ""),
    ]
    with pytest.raises(ValueError, match="neither"):
        read("A1 | what | a / c | < 2")


def test_every_floor_lies_behind_its_target():
    assert [r for r in ROWS if r.floor is not None and (r.floor < r.target) is not r.more] == []


def test_every_figure_of_a_row_has_a_meter():
    known = {*serving.ASKS, *NAMES, *startup.NAMES}
    assert {name for name in needed(ROWS) - known if name.split()[0] not in KINDS} == set()


def test_only_takes_keys_and_letters():
    assert {row.key for row in wanted(["P1", "D3"])} == {"P1", "D3"}
    assert {row.key for row in wanted(["G"])} == {"G1", "G2"}
    with pytest.raises(ValueError, match="no row 'P99'"):
        wanted(["P99"])
