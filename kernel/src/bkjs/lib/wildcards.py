"""LIKE in linear time: `%` stands for any text, `_` for any character.

Between two `%` the first place where a piece fits is as good as any other: nothing is tried twice
(the greedy match of wildcards). A regular expression would go back and take exponential time.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

SHORT: Final = 32
"""Characters of a piece with `_` up to which trying it at each place is fast enough."""

Find = Callable[[str, int, int], int]
"""Where a piece begins at or after a place, and ends before another; -1 when nowhere."""


def like(pattern: str) -> Callable[[str], bool]:
    """A test of whole texts; in the pattern a backslash takes the next character literally."""
    pieces = _pieces(pattern)
    if len(pieces) == 1:
        size, find = len(pieces[0]), _finder(pieces[0])
        return lambda text: len(text) == size and find(text, 0, size) == 0
    first, *between, last = pieces
    begins, ends = _finder(first), _finder(last)
    middle = [(_finder(piece), len(piece)) for piece in between if piece]
    least = sum(map(len, pieces))

    def test(text: str) -> bool:
        end = len(text) - len(last)
        if len(text) < least or begins(text, 0, len(first)) or ends(text, end, len(text)) != end:
            return False
        place = len(first)
        for find, size in middle:
            place = find(text, place, end)
            if place < 0:
                return False
            place += size
        return True

    return test


def fold(text: str) -> str:
    """What is compared where the case of letters does not matter: lower case as Unicode has it, and
    one form of sigma, so that no letter depends on the ones around it."""
    return text.lower().replace("ς", "σ")


def _pieces(pattern: str) -> list[list[str]]:
    """The characters between the `%`; "" for any character."""
    pieces: list[list[str]] = [[]]
    characters = iter(pattern)
    for char in characters:
        if char == "%":
            pieces.append([])
        elif char == "_":
            pieces[-1].append("")
        elif char == "\\":
            pieces[-1] += next(characters, "")  # one at the end stands for nothing
        else:
            pieces[-1].append(char)
    return pieces


def _finder(piece: list[str]) -> Find:
    if "" not in piece:
        literal = "".join(piece)
        return lambda text, start, end: text.find(literal, start, end)
    if len(piece) > SHORT:
        return _bitwise(piece)
    search = re.compile("".join(re.escape(char) or "." for char in piece), re.S).search

    def find(text: str, start: int, end: int) -> int:
        found = search(text, start, end)
        return -1 if found is None else found.start()

    return find


def _bitwise(piece: list[str]) -> Find:
    """Shift-and (Baeza-Yates and Gonnet 1992): bit i says that i + 1 characters fit until here."""
    any_char = sum(1 << place for place, char in enumerate(piece) if not char)
    masks: dict[str, int] = {}
    for place, char in enumerate(piece):
        if char:
            masks[char] = masks.get(char, any_char) | 1 << place
    size, whole = len(piece), 1 << (len(piece) - 1)

    def find(text: str, start: int, end: int) -> int:
        fits = 0
        for place in range(start, end):
            fits = (fits << 1 | 1) & masks.get(text[place], any_char)
            if fits & whole:
                return place + 1 - size
        return -1

    return find
