"""Conditions at random: PostgreSQL and the kernel agree."""

from bkjs.testing.db.random import agree


async def test_rows_found_and_their_order_are_those_of_the_kernel(driver):
    await agree(driver)
