"""What the SQL drivers share: statements from requests, conditions, types, tables and rows."""

from .ddl import add_columns, create_table, indexes
from .dialect import Dialect
from .driver import Plans, SqlDriver, SqlOperations, SqlTransaction, capabilities, seconds
from .rows import converter, one
from .statements import Statement, auto_key
from .types import Kind, comparable, kind

__all__ = [
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
    "comparable",
    "converter",
    "create_table",
    "indexes",
    "kind",
    "one",
    "seconds",
]
