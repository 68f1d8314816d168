"""What configuration consists of: declared parameters, tokens of the sources, problems."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from functools import cache
from typing import Any, Final

from bkjs.lib.convert import to_uncamel
from bkjs.lib.text import near

NUMBERS: Final = frozenset({"int", "real", "number"})
TYPES: Final = NUMBERS | {
    "", "str", "bool", "list", "map", "regexp", "regexpobj", "regexpmap", "url", "json", "path",
    "file", "none",
}  # fmt: skip

Text = str | re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter that a plugin declares in its `args()` hook; only `name` is required.

    `name` is an anchored regular expression, so that one declaration may stand for a family
    (`cache-ttl-(.+)`); captures are `$1`, `$2` … in `obj` and `make`. `default` is the value as it
    is stored, for a family a dict of them. A setting's attribute is the name in snake_case.
    """

    name: str
    """Without the prefix of its owner."""
    type: str = ""
    """One of `TYPES`; text by default."""
    default: Any = None
    """The value where no source gives one."""
    descr: str = ""
    """Help text."""
    _: KW_ONLY
    attr: str = ""
    """Fixed attribute name instead of the parameter's own."""
    obj: str = ""
    """Attribute that holds a dict in which to store; dots make a nested path."""
    make: str = ""
    """The attribute name out of captures, as in `$1Port`."""
    strip: Text = ""
    """Removed from the final name: the first occurrence of a text, or a pattern."""
    nocamel: bool = False
    """The name is not folded at all."""
    camel: str = "-_/."
    """Separators that are folded into camelCase."""
    upper: Text = ""
    """Pattern of a part of the name to put in upper case."""
    lower: Text = ""
    """The same for lower case."""
    array: bool = False
    """Values accumulate in a list, new ones at the front."""
    set: bool = False
    """With `array`, `regexpobj`, `regexpmap`: each occurrence replaces what was there."""
    delete: bool = False
    """With `regexpobj`: the value is removed."""
    trim: bool = False
    """Blanks around a value are taken away."""
    reverse: bool = False
    """The value becomes the key and the name the value."""
    min: float | None = None
    """Of a number."""
    max: float | None = None
    """Of a number."""
    decimals: int | None = None
    """To how many a number is rounded."""
    novalue: str | None = None
    """The value when the parameter is given without one and has none yet."""
    values: tuple[str, ...] = ()
    """The only values that are accepted."""
    check: Callable[[Any], str] | None = None
    """Says what is wrong with a value, or with an item of a list; "" when nothing is."""
    once: bool = False
    """Only the first occurrence counts."""
    early: bool = False
    """Needed before plugins are loaded; only such ones count in an early pass."""
    cmdline: bool = False
    """Accepted on the command line and in the environment only."""
    master: bool = False
    """Read by parent processes only."""
    worker: bool = False
    """Read by child processes only."""
    dns: bool = False
    """Without effect."""
    autotype: bool = False
    """The type follows from the look of the value."""
    separator: Text = ""
    """What stands between items of a list or map, commas and bars by default."""
    datatype: str = ""
    """Type of the items of a list; what a json value has to be."""
    regexp: str = ""
    """Flags of a regular expression."""
    live: bool = True
    """Whether a change applies while the process runs."""
    secret: bool = False
    """Masked wherever it prints; so is everything that is named like a secret."""
    on_parse: Callable[[str | None, Param, tuple[str, ...]], Param] | None = None
    """Called with the value and the captures before the name is made; returns the Param to use."""
    on_update: Callable[[Any, Any], object] | None = None
    """Called with the application and the new value after the value has changed."""

    def __post_init__(self) -> None:
        if self.type.strip() not in TYPES:
            known = ", ".join(sorted(TYPES - {""}))
            hint = near(self.type, TYPES) or "; without one it is text"
            raise ValueError(
                f"parameter {self.name!r}: unknown type {self.type!r}, there are {known}{hint}"
            )

        if self.literal and self.default is not None and self.kind in ("int", "number", "real"):
            least, most = self.min, self.max
            if not isinstance(self.default, (int, float)):
                raise ValueError(
                    f"parameter {self.name!r}: the default {self.default!r} is no number"
                )
            if (least is not None and self.default < least) or (
                most is not None and self.default > most
            ):
                raise ValueError(
                    f"parameter {self.name!r}: the default {self.default} is outside of min and max"
                )

    @property
    def kind(self) -> str:
        """The type without blanks around it."""
        return self.type.strip()

    @property
    def literal(self) -> bool:
        """Whether the name stands for itself only."""
        return _LITERAL.fullmatch(self.name) is not None

    @property
    def title(self) -> str:
        """The name for people: groups of a pattern are written NAME."""
        return _GROUP.sub("NAME", _AHEAD.sub("", self.name)).removesuffix("$")

    def match(self, name: str) -> tuple[str, ...] | None:
        """The captures when the name without its prefix is this parameter's, else None."""
        if self.literal:
            return () if name == self.name else None
        found = _pattern(self.name).fullmatch(name)
        return None if found is None else tuple(group or "" for group in found.groups())


@dataclass(frozen=True, slots=True)
class Token:
    """One `name=value` of a source. A value of None was not given, `""` was given as nothing."""

    name: str
    value: str | None = field(default=None, repr=False)
    source: str = ""
    line: int = 0
    error: str = ""
    """Why the line is not usable as it stands."""

    @property
    def text(self) -> str | None:
        """The value with escapes read."""
        return None if self.value is None else unescape(self.value)

    @property
    def place(self) -> str:
        """`source:line`, as messages name it."""
        return f"{self.source}:{self.line}" if self.line else self.source


@dataclass(frozen=True, slots=True)
class Problem:
    """A parameter that cannot be accepted; its text has secrets masked."""

    source: str
    line: int
    text: str
    message: str
    near: str = ""
    """The known parameter that is most alike."""

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}" if self.line else self.source
        hint = f"; did you mean {self.near!r}?" if self.near else ""
        return ": ".join(filter(None, (place, self.text, self.message))) + hint


def unescape(text: str) -> str:
    """Newlines and blanks as they are written in any source: `\\n`, `%0A`, `%20`."""
    return _ESCAPE.sub(lambda found: " " if found[0] == "%20" else "\n", text)


def snake(name: str) -> str:
    """`signature_age` for `signatureAge`."""
    return to_uncamel(name, "_")


_LITERAL = re.compile(r"[\w-]+")
_ESCAPE = re.compile(r"\\n|%0A|%0a|%20")
_AHEAD = re.compile(r"\(\?[=!][^()]*\)")
_GROUP = re.compile(r"\((?:\?:)?[^()]*\)[?*+]?")


@cache
def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(name)
