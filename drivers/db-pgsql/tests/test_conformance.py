"""PostgreSQL passes what every driver has to pass."""

from bkjs.testing.db import DbDriverTests


class TestPgsql(DbDriverTests):
    pass
