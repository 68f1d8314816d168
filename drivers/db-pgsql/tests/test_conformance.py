"""PostgreSQL passes what every driver has to pass."""

import pytest

from bkjs.testing.db import DbDriverTests, UniqueTests


class TestPgsql(DbDriverTests, UniqueTests):
    @pytest.fixture
    def driver(self, tidy_driver):
        return tidy_driver
