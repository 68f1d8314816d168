"""Arguments of a command: its own options and words apart from configuration parameters."""

from __future__ import annotations

from collections.abc import Sequence

from bkjs.errors import BadRequest


def split(
    argv: Sequence[str], *, values: Sequence[str] = (), flags: Sequence[str] = ()
) -> tuple[dict[str, str], list[str], list[str]]:
    """`(options, words, rest)`: the command's options, its words, and parameters for the App.

    `values` are options that take a value, `flags` those that do not; both are accepted with one or
    two dashes and with `=`. Any other `-name` goes to `rest` together with the value after it.
    Everything after `--` is a word. Raises BadRequest for an option without its value.
    """
    options: dict[str, str] = {}
    words: list[str] = []
    rest: list[str] = []
    items = list(argv)
    while items:
        item = items.pop(0)
        if item == "--":
            words += items
            break
        if not item.startswith("-") or item == "-":
            words.append(item)
            continue
        name, equals, value = item.lstrip("-").partition("=")
        if name in flags:
            options[name] = value or "1"
        elif name in values:
            if not equals:
                if not items:
                    raise BadRequest(f"-{name} needs a value")
                value = items.pop(0)
            options[name] = value
        else:
            rest.append(item)
            if not equals and items and not items[0].startswith("-"):
                rest.append(items.pop(0))
    return options, words, rest


def no_more(words: Sequence[str], after: int = 0) -> None:
    """Raises BadRequest for a word more than a command has a use for: it is not to be forgotten."""
    if len(words) > after:
        raise BadRequest(f"{words[after]!r} is one word too many; parameters are -name value")
