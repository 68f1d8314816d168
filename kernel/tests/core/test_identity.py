"""What an application is called, from its own metadata or the configuration."""

from __future__ import annotations

import logging
import re

from bkjs.core.identity import Identity, app_identity
from bkjs.db.setup.stored import network
from bkjs.version import __version__


def test_name_and_version_are_split_at_the_first_dash_or_slash():
    assert app_identity("shop") == Identity("shop")
    assert app_identity("shop-1.2") == app_identity("shop/1.2") == Identity("shop", "1.2")


def test_each_part_comes_from_the_first_place_that_has_it(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    (one / "package.json").write_text('{"name": "shop"}')
    (two / "pyproject.toml").write_text(
        '[project]\nname = "other"\nversion = "2.0"\ndescription = "Sells"\n'
    )
    assert app_identity("", "", [one, two]) == Identity("shop", "2.0", "Sells")
    assert app_identity("mine-3", "", [one, two]) == Identity("mine", "3", "Sells")


def test_an_installed_package_gives_its_metadata(tmp_path):
    found = app_identity("", "bkjs", [tmp_path])
    assert (found.name, found.version) == ("bkjs", __version__)
    assert "microkernel" in found.descr


def test_what_cannot_be_read_is_logged_and_passed_over(tmp_path, caplog):
    caplog.set_level(logging.ERROR)
    (tmp_path / "pyproject.toml").write_text("[project\n")
    (tmp_path / "package.json").write_text('{"name": "shop"}')
    assert app_identity("", "no-such-package", [tmp_path]).name == "shop"
    assert "no-such-package" in caplog.text
    assert f"{tmp_path}/pyproject.toml: " in caplog.text


def test_the_network_is_the_beginning_of_the_address():
    assert re.fullmatch(r"(\d+\.\d+)?", network())
