"""The table; `pub` columns are those that everyone may read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Tables = Mapping[str, Mapping[str, Mapping[str, Any]]]

TABLES: Tables = {
    "city": {
        "id": {"type": "int", "primary": 1, "pub": 1},
        "name": {"pub": 1, "index": 1},
        "country": {"pub": 1, "index1": 1},
        "population": {"type": "int", "pub": 1, "index1": 2},
        "latitude": {"type": "real", "pub": 1},
        "longitude": {"type": "real", "pub": 1},
        "timezone": {"pub": 1},
        "mtime": {"type": "now"},
    }
}
