from __future__ import annotations

import logging

import pytest

from bkjs.log import LineFormatter, parse_labels, to_level
from bkjs.testing.vectors import vectors

# the numbers of configuration files and those of the logging module
LEVELS = {5: 1, 4: 5, 3: 10, 2: 20, 1: 25, 0: 30, -1: 40}


@pytest.mark.parametrize("case", vectors("lib-logger"))
def test_logging_gives_the_golden_results(case):
    if case["group"] == "set_level":
        assert to_level(str(case["level"])) == LEVELS[case["value"]]
    elif case["group"] == "set_debug_filter":
        labels: frozenset[str] = frozenset()
        for text in case["sequence"]:
            labels = parse_labels(text, labels)
        assert labels == set(case["filters"] or ())
    else:
        level = {"ERROR": logging.ERROR, "NOTICE": 25}[case["level"]]
        record = logging.LogRecord("bkjs", level, __file__, 1, "", None, None)
        record.created, record.msecs = case["time"] / 1000, case["time"] % 1000
        line = LineFormatter().format(record)
        assert line.replace(f"[{record.process}]", "[PID]") == case["preferred"]
