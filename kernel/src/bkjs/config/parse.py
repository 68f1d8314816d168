"""The text of the sources as tokens: files, command lines, one line of environment."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from .param import Token

_NAME = re.compile(r"[a-z0-9_-]")
_NUMBER = re.compile(r"[0-9-]+")


def parse_config(text: str, source: str = "") -> list[Token]:
    """The tokens of a configuration file, one `name=value` a line.

    Blank lines, comments (`#`, `;`) and section headings are nothing; any other line that does not
    begin with a lower-case name becomes a token with an error.
    """
    tokens = []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip()
        if not line or line[0] in "#;[":
            continue
        name, equals, value = (part.strip() for part in line.partition("="))
        error = ""
        if not _NAME.match(line):
            error = "not a parameter; write name=value, names are lower case"
        elif equals and line.partition("=")[2].startswith("="):
            value, error = "", "the value begins with '='; put a space before it"
        tokens.append(Token(name, value if equals else None, source, number, error))
    return tokens


def read_config(path: Path, *, required: bool = False) -> list[Token]:
    """The tokens of a file; one that cannot be read is a token with an error."""
    try:
        if path.is_fifo():  # to open it would wait for somebody who writes, and all with it
            return [Token("", None, str(path), error="cannot be read: it is a pipe, not a file")]
        return parse_config(path.read_text(encoding="utf-8-sig"), str(path))
    except FileNotFoundError:
        return [Token("", None, str(path), error="no such file")] if required else []
    except OSError as error:
        return [Token("", None, str(path), error=f"cannot be read: {error.strerror}")]
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        return [Token("", None, str(path), line, "not UTF-8")]


def parse_argv(argv: Sequence[str], source: str = "command line") -> list[Token]:
    """The tokens of a command line: `-name value`, `--name value`, `-name=value`, `--name=value`.

    The next item is the value unless it begins with a dash and is no number. Words that follow no
    name belong to the command and are left out.
    """
    tokens = []
    items = list(argv)
    position = 0
    while position < len(items):
        item = items[position]
        position += 1
        name, equals, value = item.partition("=")
        name = name[2:] if name.startswith("--") else name[1:]
        if not item.startswith("-") or not name:
            continue
        given: str | None = value if equals else None
        if not equals and position < len(items):
            following = items[position]
            if is_value(following):
                given = following
                position += 1
        tokens.append(Token(name, given, source))
    return tokens


def is_value(item: str) -> bool:
    """Whether an item of a command line is the value of the name before it, as -1 is."""
    return not item.startswith("-") or _NUMBER.fullmatch(item) is not None


def parse_env(text: str) -> list[Token]:
    """The tokens of the environment variable `BKJS_ARGS`: a command line, quoted as in a shell."""
    try:
        return parse_argv(shlex.split(text), "BKJS_ARGS")
    except ValueError as error:
        return [Token("BKJS_ARGS", "…", "environment", error=str(error))]


def parse_rows(rows: Iterable[tuple[str, str]], source: str = "database") -> list[Token]:
    """The tokens of names and values, as rows of the configuration table have them."""
    return [Token(name.lstrip("-"), value, source) for name, value in rows]
