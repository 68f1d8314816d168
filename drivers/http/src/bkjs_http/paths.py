"""Keys in paths: a key is one part of a path, whatever is in it."""

from __future__ import annotations

import re
from urllib.parse import quote

from bkjs.errors import BadRequest, DriverError

_STEPS = re.compile(r"[^!-~]|(?:^|/)\.\.?(?:$|[/?])")
"""What is not quoted, and the steps `.` and `..`."""


def segment(text: str) -> str:
    """A text as one part of a path; BadRequest for an empty one, which would name what holds all.

    `.` and `..` would be steps: DELETE of them would delete more than a record.
    """
    if not text:
        raise BadRequest("an empty text is no key here")
    quoted = quote(text, safe="", errors="strict")
    return quoted.replace(".", "%2E") if quoted in (".", "..") else quoted


def check(path: str) -> None:
    """Raise DriverError for a path with parts that did not come from `segment`."""
    if path[:1] != "/" or _STEPS.search(path):
        raise DriverError("a path that is not quoted: make its parts with bkjs_http.segment")
