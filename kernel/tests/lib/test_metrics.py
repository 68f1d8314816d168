from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkjs.lib.bucket import TokenBucket
from bkjs.lib.metrics import Counter, Histogram, Meter, Metrics, Timer
from bkjs.testing.vectors import Case, decode, known, same, vectors

START = 1520000000.0


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now

    def at(self, ms: float) -> None:
        self.now = START + ms / 1000


def play_histogram(case: Case) -> None:
    histogram = Histogram(Clock())
    for value in case["updates"]:
        histogram.update(value)
    assert same(histogram.to_json(), case.wanted("json"))
    shares = [float(share) for share in case["percentiles"]]
    assert same(histogram.percentiles(shares), list(case["percentiles"].values()))


def play_counter(case: Case) -> None:
    counter = Counter()
    known((name for name, *_ in case["ops"]), ("inc", "dec", "reset"), "operation")
    returned = [getattr(counter, name)(*args) for name, *args in case["ops"]]
    assert same(returned, decode(case["returns"]))
    assert counter.to_json() == case["value"]


def play_meter(case: Case) -> None:
    clock = Clock()
    meter = Meter(clock)
    outputs = []
    for ms, what in case["sequence"]:
        clock.at(ms)
        if what == "json":
            outputs.append(meter.to_json())
        elif what != "tick":
            known([what] if isinstance(what, str) else (), (), "step")
            meter.mark(what)
    for output, expected in zip(outputs, case.wanted("outputs"), strict=True):
        assert same({name: output[name] for name in expected}, expected)


def play_token_bucket(case: Case) -> None:
    clock = Clock()
    first, *rest = case["args"]
    if isinstance(first, dict):
        bucket = TokenBucket.load(first, clock=clock)
    else:
        bucket = TokenBucket(first, *rest, clock=clock)
    for (ms, tokens), output in zip(case["steps"], case["outputs"], strict=True):
        clock.at(ms)
        assert bucket.consume(tokens) == output["ok"]
        assert bucket.to_list() == [float(number) for number in output["state"]]
        assert bucket.delay(tokens) == output["delay"]
    assert str(bucket) == case["string"]
    assert bucket.to_json() == {name: float(n) for name, n in case["json"].items()}


def play_token_bucket_equal(case: Case) -> None:
    assert TokenBucket(*case["args"]).equal(*case["compare"]) == case.wanted()


@pytest.mark.parametrize("case", vectors("lib-metrics"))
def test_metrics_give_the_golden_results(case):
    if case["group"] == "binary_heap":
        pytest.skip("BinaryHeap is replaced; see docs/compatibility.md")
    play = globals().get(f"play_{case['group']}")
    assert play, f"unknown group {case['group']!r}"
    play(case)


@given(
    st.floats(0, 100),
    st.integers(0, 100),
    st.integers(1, 5000),
    st.lists(st.tuples(st.integers(-3000, 20000), st.integers(-5, 120))),
)
def test_a_bucket_never_has_more_than_its_limit_nor_less_than_nothing(rate, most, interval, steps):
    clock = Clock()
    bucket = TokenBucket(rate, most, interval, clock=clock)
    taken = 0.0
    ms = 0
    for wait, tokens in steps:
        ms += max(wait, 0)
        clock.at(ms)
        taken += max(tokens, 0) if bucket.consume(tokens) else 0
        assert 0 <= bucket.count <= most
        assert 0 <= bucket.delay(tokens) <= bucket.interval
    assert taken <= most + rate * ms / interval + 1e-6 * len(steps) + 1e-6


@given(st.lists(st.integers(-3000, 3000)))
def test_a_clock_that_goes_back_refills_no_more_than_an_interval(moves):
    clock = Clock()
    bucket = TokenBucket(2, 10, clock=clock)
    bucket.consume(10)
    for move in moves:
        before = bucket.count
        back = clock.now + move / 1000 < bucket.time / 1000
        clock.now += move / 1000
        bucket.consume(0)
        if back:
            assert bucket.count - before <= 2.01


def test_a_bucket_goes_on_from_its_state():
    clock = Clock()
    bucket = TokenBucket(1, 5, clock=clock)
    bucket.consume(5)
    clock.at(1000)
    for again in (bucket.to_list(), bucket.to_json()):
        assert TokenBucket.load(again, clock=clock).consume(1)
        assert not TokenBucket.load(again, clock=clock).consume(2)


def test_averages_of_a_meter_approach_a_steady_rate_and_then_fall():
    clock = Clock()
    meter = Meter(clock)
    for second in range(1, 601):
        clock.at(second * 1000)
        meter.mark(3)
    busy = meter.to_json()
    assert busy["r1m"] == pytest.approx(3, rel=0.01)
    assert busy["r1m"] > busy["r5m"] > busy["r15m"] > 1
    clock.at(660_000)
    assert meter.to_json()["r1m"] == pytest.approx(3 * math.exp(-1), rel=0.1)
    clock.at(10**9)
    assert meter.to_json()["r15m"] == pytest.approx(0, abs=1e-6)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=300))
def test_a_histogram_agrees_with_arithmetic(values):
    histogram = Histogram(Clock())
    for value in values:
        histogram.update(value)
    mean = math.fsum(values) / len(values)
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    found = histogram.to_json()
    assert found["hmean"] == pytest.approx(mean, abs=1e-6)
    assert found["hvar"] == pytest.approx(variance, rel=1e-6, abs=1e-3)
    assert (found["hmin"], found["hmax"]) == (min(values), max(values))
    assert found["hmin"] <= found["hmed"] <= found["h95p"] <= found["hmax"]


def test_a_histogram_forgets_old_values_and_stays_small():
    clock = Clock()
    histogram = Histogram(clock, rand=random.Random(1).random)
    for number in range(3000):
        clock.at(number)
        histogram.update(1)
    clock.at(2 * 3600 * 1000)
    for number in range(1500):
        clock.at(2 * 3600 * 1000 + number)
        histogram.update(9)
    assert len(histogram._sample) == Histogram.SIZE
    assert histogram.percentiles([0.01]) == [9]


def test_an_empty_histogram_has_no_values():
    found = Histogram(Clock()).to_json()
    assert found["hcnt"] == 0
    assert found["hmin"] is found["hmed"] is found["hvar"] is found["hdev"] is None
    assert (found["hsum"], found["hmean"]) == (0, 0)


def test_metrics_take_numbers_as_text():
    meter, histogram, timer, counter = Meter(Clock()), Histogram(Clock()), Timer(Clock()), Counter()
    meter.mark("2")
    histogram.update("2.5")
    histogram.update(None)
    timer.update("7")
    counter.reset("5")
    assert (meter.to_json()["rcount"], histogram.to_json()["hsum"], counter.count) == (2, 2.5, 5)
    assert timer.to_json()["hmax"] == 7


def test_a_timer_measures_a_block_also_one_that_fails():
    clock = Clock()
    timer = Timer(clock)

    def fail() -> None:
        with timer.measure():
            clock.at(250)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    found = timer.to_json()
    assert found["rcount"] == found["hcnt"] == 1
    assert found["hmax"] == pytest.approx(250)
    timer.reset()
    assert timer.to_json()["hcnt"] == 0


def test_a_registry_flattens_its_values_and_restarts_those_for_each_report():
    metrics = Metrics(Clock())
    metrics.get("api_req_0", Counter).inc(3)
    metrics.get("api_nreq", Counter).inc()
    metrics.get("pool", Metrics).get("que", Histogram).update(5)
    first = metrics.snapshot()
    assert (first["api_req_0"], first["api_nreq"], first["pool_que_hmean"]) == (3, 1, 5)
    second = metrics.snapshot()
    assert (second["api_req_0"], second["api_nreq"], second["pool_que_hcnt"]) == (0, 1, 1)


def test_a_registry_resets_by_name_in_groups_too():
    metrics = Metrics(Clock())
    timer, counter = metrics.get("a", Timer), metrics.get("g", Metrics).get("b_0", Counter)
    assert metrics.get("a", Timer) is timer
    timer.update(1)
    counter.inc(2)
    metrics.reset("_0")
    assert (timer.to_json()["hcnt"], counter.count) == (1, 0)
    metrics.reset()
    assert timer.to_json()["hcnt"] == 0


def test_one_name_has_one_kind():
    metrics = Metrics(Clock())
    metrics.get("a", Counter)
    with pytest.raises(TypeError, match="metric 'a' is a Counter, not a Timer"):
        metrics.get("a", Timer)
    with pytest.raises(TypeError, match="not a Metrics"):
        metrics.get("a", Metrics)
