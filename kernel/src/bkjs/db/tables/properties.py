"""The properties that a column may have, and the check that a description names no others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bkjs.errors import BadRequest
from bkjs.lib.convert import TYPES as CONVERTED
from bkjs.lib.numbers import is_numeric
from bkjs.lib.text import near

from .types import TYPES

_NUMBERS: Final = ("", "1", "2", "3", "4", "5")
_PLACES: Final = {"primary"} | {f"{name}{n}" for name in ("index", "unique") for n in _NUMBERS}
PROPERTIES: Final = frozenset(
    {
        "type", "primary", "auto", "len", "notnull", "value", "maxlength", "values", "notempty",
        "fail_ifempty", "hidden", "readonly", "writeonly", "noresult", "lower", "upper", "cap",
        "multiplier", "increment", "decimal", "list", "separator", "dflt", "datatype",
        "join", "join_strict", "join_all", "join_ifempty", "join_lower", "join_upper", "join_cap",
        "join_ops", "join_pools", "nojoin_pools", "unjoin", "keepjoined", "ops", "prefix", "clock",
        "epoch", "lat", "lon", "minDistance", "allow_pools", "skip_pools", "random",
        "pub", "secure", "admin", "admins", "semipub", "autoincr",
        "projections", "lang", "ttl", "global", "readCapacity", "writeCapacity",
        *(name + number for name in ("index", "unique", "projection") for number in _NUMBERS),
    }
)  # fmt: skip
"""What the platform, its modules and its drivers read."""
OWN: Final = "x_"
"""What the names of an application's own properties begin with."""
DRIVERS: Final = frozenset(
    {
        "sqlite", "pgsql", "mysql", "dynamodb", "elasticsearch", "mongodb", "cassandra", "redis",
        "lmdb", "leveldb", "couchdb", "riak",
    }
)  # fmt: skip
"""A property with the name of a driver holds options that only this one reads."""
KINDS: Final = frozenset(TYPES) | CONVERTED | {"keyword_lower", "whitespace_lower", "object"}
"""Types of columns. Those that begin with `text` or `str` are text, too."""


def check_properties(table: str, column: str, properties: Mapping[str, Any]) -> None:
    """Raise BadRequest that names a property or a type that nothing reads, and the nearest."""
    if not properties.keys() <= PROPERTIES:
        for name in properties:
            if not (name in PROPERTIES or name in DRIVERS or str(name).startswith(OWN)):
                hint = near(str(name), PROPERTIES) or f"; own ones begin with {OWN}"
                raise BadRequest(f"table {table}: column {column}: unknown property {name!r}{hint}")
    kind = str(properties.get("type") or "").lower()
    if kind not in KINDS and not kind.startswith(("text", "str")):
        hint = near(kind, KINDS)
        raise BadRequest(f"table {table}: column {column}: unknown type {kind!r}{hint}")
    for name, value in properties.items():
        if name in _PLACES and value and not (value is True or is_numeric(value)):
            raise BadRequest(
                f"table {table}: column {column}: {name} is {value!r}, a number is expected: the"
                " place of the column"
            )
