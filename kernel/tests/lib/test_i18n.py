from __future__ import annotations

import json
import logging

import pytest

from bkjs.lib.i18n import Catalogs, accept_language
from bkjs.testing.vectors import known, vectors


@pytest.mark.parametrize("case", vectors("lib-i18n"))
def test_phrases_give_the_golden_results(case):
    known([case["fn"]], ["__"], "function")
    locales = case.file["extra"]["locales"]
    catalogs = Catalogs(locales, locale=case.get("default_locale", ""))
    first, *args = case["args"]
    asked = first if isinstance(first, dict) else {"phrase": first}
    known(asked, ("phrase", "locale", "lang"))  # lang is the wrong name, and nothing follows it
    actual = catalogs.translate(asked["phrase"], *args, locale=asked.get("locale", ""))
    assert actual == case.wanted()


def test_a_catalog_is_read_from_the_file_of_its_locale(tmp_path):
    file = tmp_path / "es.json"
    file.write_text(json.dumps({"Hello": "Hola", "100% of %s": "100% de %s"}))
    catalogs = Catalogs()
    catalogs.load(file)
    say = catalogs.bound("es")
    assert [say("Hello"), say("100% of %s", "x"), say("5%s")] == ["Hola", "100% de x", "5%s"]


def test_a_file_that_is_no_catalog_is_an_error_with_its_name(tmp_path):
    file = tmp_path / "es.json"
    file.write_text("[1]")
    with pytest.raises(ValueError, match=r"es\.json: a catalog is"):
        Catalogs().load(file)


def test_a_missing_phrase_is_logged_once(caplog):
    catalogs = Catalogs({"es": {}})
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            assert catalogs.translate("No", locale="es") == "No"
            assert catalogs.translate("No", locale="xx") == "No"
    assert [record.getMessage() for record in caplog.records] == ["locale es has no phrase 'No'"]


@pytest.mark.parametrize(
    ("header", "expected"),
    [("en-US,en;q=0.9", "en"), ("ES;q=1", "es"), (" de , en", "de"), ("", ""), (None, "")],
)
def test_the_first_language_of_a_browser(header, expected):
    assert accept_language(header) == expected
