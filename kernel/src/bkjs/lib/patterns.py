"""Regular expressions that users write: checked, and in linear time where re2 is installed."""

from __future__ import annotations

import re
from typing import Any, Final

from bkjs.errors import BadRequest

try:
    import re2
except ImportError:
    re2 = None

_Error: type[Exception] = re.error if re2 is None else re2.error

LONGEST_PATTERN: Final = 1000


def compile_pattern(source: str) -> Any:
    """The pattern, with the methods of `re.Pattern`; raises the error of the library in use."""
    if re2 is None:
        return re.compile(source)
    options = re2.Options()
    options.log_errors = False
    return re2.compile(source, options)


def check_pattern(source: str, field: str) -> str:
    """The same text; raises BadRequest that names the field when it is no pattern or too long."""
    if len(source) > LONGEST_PATTERN:
        raise BadRequest(f"{field}: the pattern is too long", field=field)
    try:
        compile_pattern(source)
    except (_Error, re.error, RecursionError, OverflowError, UnicodeError) as err:
        raise BadRequest(f"{field}: invalid pattern", field=field) from err
    return source
