"""Groups of rows and their figures: what `aggregate` means, over stored rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, Protocol

from bkjs.db.contract import Aggregate, Measure, Row, Table
from bkjs.db.tables.values import EXACT, read_decimal
from bkjs.errors import BadRequest

GROUPS: Final = 10_000
"""Groups of one answer, on every driver."""
DISTINCT: Final = 100_000
"""Values that are remembered to count the different ones."""
_SMALLEST: Final = 1074
"""Every float is a multiple of 2 to the power of minus this."""


class Figure(Protocol):
    """One figure of one group, as SQLite wants aggregates, too."""

    def step(self, value: Any) -> None:
        """Take one value that is not null."""

    def finalize(self) -> Any:
        """The figure."""


class _Count:
    def __init__(self) -> None:
        self.rows = 0

    def step(self, value: Any) -> None:
        self.rows += 1

    def finalize(self) -> int:
        return self.rows


class _Sum:
    """The sum of whole numbers."""

    def __init__(self) -> None:
        self.total: Any = None

    def step(self, value: Any) -> None:
        self.total = value if self.total is None else self.total + value

    def finalize(self) -> Any:
        return self.total


class DecimalSum:
    """The sum of decimals, of which no digit is lost."""

    def __init__(self) -> None:
        self.total: Decimal | None = None

    def step(self, value: Any) -> None:
        """Take a decimal, or one that is stored as text."""
        number = read_decimal(value)
        self.total = number if self.total is None else EXACT.add(self.total, number)

    def finalize(self) -> Decimal | None:
        """The sum, None of nothing."""
        return self.total


class RealSum:
    """The sum of floats before it is rounded, so that their order does not matter."""

    def __init__(self) -> None:
        self.total: int | None = None

    def step(self, value: Any) -> None:
        """Take a float; raises BadRequest for one that is not finite."""
        try:
            top, bottom = value.as_integer_ratio()
        except (OverflowError, ValueError) as err:
            raise BadRequest(f"no sum with {value}") from err
        # whole numbers of the smallest float: fractions would look for common factors each time
        self.total = (self.total or 0) + (top << (_SMALLEST + 1 - bottom.bit_length()))

    def finalize(self) -> Fraction | None:
        """The sum, None of nothing."""
        return None if self.total is None else Fraction(self.total, 1 << _SMALLEST)


class _Extreme:
    def __init__(self, better: Callable[[Any, Any], Any]) -> None:
        self.best: Any = None
        self.better = better

    def step(self, value: Any) -> None:
        self.best = value if self.best is None else self.better(self.best, value)

    def finalize(self) -> Any:
        return self.best


class _Distinct:
    def __init__(self, groups: Groups, column: str) -> None:
        self.values: set[Any] = set()
        self.groups = groups
        self.column = column

    def step(self, value: Any) -> None:
        if value not in self.values:
            self.values.add(value)
            self.groups.remember(self.column)

    def finalize(self) -> int:
        return len(self.values)


SUMS: Final[dict[str, Callable[[], Figure]]] = {
    "int": _Sum,
    "decimal": DecimalSum,
    "real": RealSum,
}
"""What sums the values of each kind of column."""


class Groups:
    """The groups that rows fall into. Raises BadRequest when they become too many."""

    def __init__(self, table: Table, wanted: Aggregate) -> None:
        self.table, self.wanted = table, wanted
        self._groups: dict[tuple[Any, ...], list[tuple[str, Figure]]] = {}
        self._remembered = 0

    def add(self, rows: Iterable[Row]) -> None:
        """Take rows as they are stored."""
        by, groups = self.wanted.by, self._groups
        for row in rows:
            key = tuple([row.get(name) for name in by])
            group = groups.get(key)
            if group is None:
                group = self._new(key)
            for name, figure in group:
                value = row.get(name) if name else row
                if value is not None:
                    figure.step(value)

    def remember(self, column: str) -> None:
        """One more value of a column has to be kept."""
        self._remembered += 1
        if self._remembered > DISTINCT:
            raise BadRequest(
                f"{self.table.name}: more than {DISTINCT} different values of {column}",
                field="distinct",
            )

    def found(self) -> list[tuple[Any, ...]]:
        """The values of `by` and of the measures of each group."""
        if not self.wanted.by and not self._groups:
            self._new(())
        return [
            (*key, *(figure.finalize() for _, figure in group))
            for key, group in self._groups.items()
        ]

    def _new(self, key: tuple[Any, ...]) -> list[tuple[str, Figure]]:
        if len(self._groups) >= GROUPS:
            raise too_many(self.table, self.wanted)
        group = self._groups[key] = [(m.column, self._figure(m)) for m in self.wanted.measures]
        return group

    def _figure(self, measure: Measure) -> Figure:
        match measure.op:
            case "sum":
                return SUMS[self.table.columns[measure.column].kind]()
            case "min":
                return _Extreme(min)
            case "max":
                return _Extreme(max)
            case "distinct":
                return _Distinct(self, measure.column)
        return _Count()


def too_many(table: Table, wanted: Aggregate) -> BadRequest:
    """The error for more groups than an answer may have."""
    names = ", ".join(wanted.by)
    return BadRequest(f"{table.name}: more than {GROUPS} groups by {names}", field="by")
