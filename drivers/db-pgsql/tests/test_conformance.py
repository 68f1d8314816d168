"""PostgreSQL passes what every driver has to pass."""

import pytest

from bkjs.testing.db import DbDriverTests


class TestPgsql(DbDriverTests):
    @pytest.fixture
    def driver(self, tidy_driver):
        return tidy_driver
