"""The table of a benchmark says truly what was reached."""

from tests.bench.goals import GOALS, Goal, failed, judge, table


def test_judged_by_target_and_floor_in_the_right_direction():
    low = Goal("x", "", 2, 3)
    assert [judge(low, value) for value in (1, 2, 2.5, 3.1)] == [
        "target",
        "target",
        "floor",
        "BELOW",
    ]
    high = Goal("x", "", 2, 1, more=True)
    assert [judge(high, value) for value in (3, 2, 1.5, 0.9)] == [
        "target",
        "target",
        "floor",
        "BELOW",
    ]


def test_without_a_floor_a_target_is_missed_but_nothing_fails():
    assert judge(Goal("x", "", 2), 100) == "missed"
    assert failed({"P1 rate": 0.01}) == []


def test_a_missed_floor_fails_the_run():
    assert failed({"P1 cpu": 1.2, "P3 cpu": 9.0}) == ["P3 cpu"]


def test_the_table_has_a_line_for_each_measured_goal():
    lines = table({"P1 cpu": 1.2, "D3 rate": 61234.5}).splitlines()
    assert len(lines) == 4
    assert "| ≤ 1.35 | ≤ 1.70 | 1.20 | target |" in lines[2]
    assert "| ≥ 60,000/s |  | 61,234/s | target |" in lines[3]


def test_goals_have_keys_of_their_own():
    assert len({goal.key for goal in GOALS}) == len(GOALS)
