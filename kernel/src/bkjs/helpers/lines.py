"""Text files, line by line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bkjs.lib.json import json_parse
from bkjs.lib.numbers import to_number

from .text import phrase_split

_FAR = 2**62  # bytes; what no file has


def for_each_line(
    file: str | Path,
    *,
    start: int = 0,
    skip: int = 0,
    limit: int = 0,
    header: bool | Callable[[str], bool] = False,
    until: re.Pattern[str] | None = None,
    ignore: re.Pattern[str] | None = None,
    json: bool = False,
    split: bool = False,
    separator: str = ",",
    quotes: str = "\"'",
    encoding: str = "utf-8",
) -> Iterator[Any]:
    """The lines of a file that are not blank, trimmed; with `json` or `split` what they hold.

    Reading begins at the byte `start`, passes over `skip` lines and ends after the line `limit`.
    The first line is passed over when it is a `header`, and every line up to the one that `until`
    matches; lines that `ignore` matches are left out. `json` gives the values of the lines with an
    object or list that is valid, `split` the fields by `phrase_split`.
    """
    waiting = until
    start, skip, limit = (int(to_number(number, max=_FAR)) for number in (start, skip, limit))
    with open(file, "rb") as source:
        source.seek(max(0, start))
        for number, raw in enumerate(source, 1):
            if 0 < limit < number:
                break
            line = raw.decode(encoding, errors="replace").strip()
            if number == 1 and (header(line) if callable(header) else header):
                continue
            if number <= skip or not line:
                continue
            if waiting:
                if waiting.search(line):
                    waiting = None
                continue
            if ignore and ignore.search(line):
                continue
            if json:
                value = json_parse(line) if line[0] in "[{" else None
                if value is not None:
                    yield value
            elif split:
                yield phrase_split(line, separator=separator, quotes=quotes, keepempty=True)
            else:
                yield line
