"""Exact sums, which SQLite lacks: its own end at 64 bits, or are floats."""

from __future__ import annotations

from typing import Any

from bkjs.db.conditions.groups import DecimalSum, RealSum

HALF = 2**32 - 1
"""The lower half of a whole number."""


class RealTotal:
    """The sum of floats before it is rounded, as the text of a fraction."""

    of: type[RealSum | DecimalSum] = RealSum

    def __init__(self) -> None:
        self.sum = self.of()

    def step(self, value: Any) -> None:
        """Take the value of a row."""
        if value is not None:
            self.sum.step(value)

    def finalize(self) -> str | None:
        """The sum, null of nothing."""
        total = self.sum.finalize()
        return None if total is None else str(total)


class DecimalTotal(RealTotal):
    """The sum of decimals that are stored as text that sorts."""

    of = DecimalSum


AGGREGATES: dict[str, type[Any]] = {"bk_sum_real": RealTotal, "bk_sum_decimal": DecimalTotal}
"""What the dialect calls, by name."""


def whole(halves: Any) -> Any:
    """The number of the sums of both halves of numbers; a float is one itself."""
    if not isinstance(halves, str):
        return halves
    high, _, low = halves.partition(" ")
    return (int(high) << 32) + int(low)
