"""Conformance tests that talk through the kernel and hold for every driver.

Whether the database or the kernel does the work, the answer is the same. Where a guarantee needs
what the driver does not have, the test asserts that the request is refused.
"""

from __future__ import annotations

from .aggregates import AggregateTests
from .edges import EdgeTests
from .expiry import ExpiryTests
from .moving import MovingTests
from .reads import ReadTests
from .search import SearchTests
from .values import ValueTests
from .writes import WriteTests


class FacadeTests(
    AggregateTests,
    EdgeTests,
    ExpiryTests,
    MovingTests,
    ReadTests,
    SearchTests,
    ValueTests,
    WriteTests,
):
    """What `app.db` promises over any driver."""
