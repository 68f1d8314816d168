"""Phrases in the reader's language, out of catalogs that are flat JSON files."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .bounded import Bounded
from .json import json_parse
from .text import sprintf

log = logging.getLogger(__name__)


@dataclass
class Catalogs:
    """The phrases of each locale; `locale` is the one for whoever names none."""

    locales: dict[str, dict[str, str]] = field(default_factory=dict)
    locale: str = ""
    _missing: Bounded[tuple[str, str], None] = field(
        default_factory=lambda: Bounded(1000), repr=False
    )

    def load(self, file: Path) -> None:
        """Read `es.json` as the phrases of `es`; raises `ValueError` when it is no JSON object."""
        phrases = json_parse(file.read_bytes())
        if not isinstance(phrases, dict):
            raise ValueError(f"{file}: a catalog is a JSON object of phrases")
        self.locales[file.stem] = {str(key): str(value) for key, value in phrases.items()}

    def translate(self, phrase: str, *args: Any, locale: str = "") -> str:
        """The phrase in that locale, with the arguments put in as by `sprintf`.

        A phrase that a loaded catalog lacks stays as it is, and is logged once.
        """
        name = locale or self.locale
        catalog = self.locales.get(name)
        text = catalog.get(phrase) if catalog else ""
        if not text and catalog is not None and (name, phrase) not in self._missing:
            self._missing[name, phrase] = None
            log.info("locale %s has no phrase %r", name, phrase)
        text = text or phrase
        return sprintf(text, *args) if args else text

    def bound(self, locale: str) -> Callable[..., str]:
        """`translate` for one reader."""
        return lambda phrase, *args: self.translate(phrase, *args, locale=locale)


def accept_language(header: str | None) -> str:
    """The first language of an Accept-Language header without its region: `en` for `en-US`."""
    first = (header or "").lower()
    for end in ",;-":
        first = first.partition(end)[0]
    return first.strip()
