"""What the SQL drivers share: statements from requests, conditions, types, tables and rows."""

from .ddl import add_columns, create_table, indexes
from .dialect import Check, Dialect
from .driver import FEW, Plans, SqlDriver, SqlOperations, SqlTransaction, capabilities, seconds
from .rows import converter, one
from .statements import Statement, auto_key, check
from .types import Kind, comparable, kind

__all__ = [
    "FEW",
    "Check",
    "Dialect",
    "Kind",
    "Plans",
    "SqlDriver",
    "SqlOperations",
    "SqlTransaction",
    "Statement",
    "add_columns",
    "auto_key",
    "capabilities",
    "check",
    "comparable",
    "converter",
    "create_table",
    "indexes",
    "kind",
    "one",
    "seconds",
]
