"""What is worked out from settings is of the settings that it was worked out from."""

import pytest

from bkjs.config import Settings
from bkjs.config.derived import Derived


def test_it_is_made_once_for_each_change_and_never_without_need():
    settings, made = Settings(), []
    derived = Derived(settings, lambda: made.append(1) or len(made))
    assert made == []
    assert (derived(), derived()) == (1, 1)
    settings.limit = 5
    assert (derived(), derived()) == (2, 2)


def test_settings_that_cannot_be_used_never_leave_what_was_made_of_others():
    settings = Settings()
    settings.pattern = "a"

    def make():
        if settings.pattern == "(":
            raise ValueError("pattern")
        return settings.pattern

    derived = Derived(settings, make)
    assert derived() == "a"
    settings.pattern = "("
    for _ in range(2):
        with pytest.raises(ValueError, match="pattern"):
            derived()
    settings.pattern = "b"
    assert derived() == "b"
