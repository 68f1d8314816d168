"""Compares a reply with what a transcript recorded: subsets, placeholders, rows in any order."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Matcher:
    """Placeholders are bound at their first appearance and mean the same text from then on."""

    bound: dict[str, str] = field(default_factory=dict)
    started: int = field(default_factory=lambda: int(time.time() * 1000) - 1)

    def differences(self, expected: Any, actual: Any, *, fewer: bool = False) -> list[str]:
        """What is wrong with a reply, by path; nothing when it matches, which then binds names.

        `fewer` lets a list of the transcript name only some of the rows.
        """
        bound = dict(self.bound)
        found = list(self._compare(expected, actual, "", bound, fewer))
        if not found:
            self.bound = bound
        return found

    def _compare(
        self, expected: Any, actual: Any, path: str, bound: dict[str, str], fewer: bool
    ) -> Iterator[str]:
        if isinstance(expected, dict):
            if not isinstance(actual, dict):
                yield f"{path or 'reply'}: an object expected, got {actual!r}"
                return
            for key, value in expected.items():
                yield from self._compare(value, actual.get(key), f"{path}.{key}", bound, fewer)
        elif isinstance(expected, list):
            if not isinstance(actual, list):
                yield f"{path or 'reply'}: a list expected, got {actual!r}"
            elif len(expected) > len(actual) or (len(expected) < len(actual) and not fewer):
                yield f"{path or 'reply'}: {len(expected)} items expected, got {actual!r}"
            elif not self._assign(expected, actual, path, bound, fewer):
                yield f"{path or 'reply'}: {expected!r} expected in any order, got {actual!r}"
        elif not self._equal(expected, actual, bound):
            shown = self._fill(expected, bound)
            yield f"{path or 'reply'}: {shown!r} expected, got {actual!r}"

    def _assign(
        self, expected: list[Any], actual: list[Any], path: str, bound: dict[str, str], fewer: bool
    ) -> bool:
        """Find a different actual item for each expected one; scalars keep their order."""
        if not expected:
            return True
        first, *others = expected
        candidates = range(len(actual)) if isinstance(first, dict) or fewer else range(1)
        for index in candidates:
            trial = dict(bound)
            if any(self._compare(first, actual[index], path, trial, fewer)):
                continue
            rest = actual[:index] + actual[index + 1 :]
            if self._assign(others, rest, path, trial, fewer):
                bound.update(trial)
                return True
        return False

    def _equal(self, expected: Any, actual: Any, bound: dict[str, str]) -> bool:
        if expected is None:
            return actual is None or actual == ""
        if isinstance(expected, (bool, int, float)):
            return isinstance(actual, (bool, int, float)) and expected == actual
        if expected.startswith("$"):
            return self._placeholder(expected[1:], actual, bound)
        return isinstance(actual, str) and _text(self._fill(expected, bound)) == _text(actual)

    def _placeholder(self, name: str, actual: Any, bound: dict[str, str]) -> bool:
        word, _, argument = name.partition(":")
        match word:
            case "any":
                return actual is not None
            case "now":
                digits = str(actual) if not isinstance(actual, bool) else ""
                return digits.isdigit() and self.started <= int(digits) <= time.time() * 1000 + 1
            case "uuid":
                return isinstance(actual, str) and bool(re.fullmatch("[0-9a-f]{32}", actual))
            case "id":
                return isinstance(actual, str) and bool(actual)
            case "starts":
                return isinstance(actual, str) and actual.startswith(self._fill(argument, bound))
            case "contains":
                return isinstance(actual, list) and set(argument.split(",")) <= set(actual)
        if name in bound:
            return bool(actual == bound[name])
        if isinstance(actual, str) and actual:
            bound[name] = actual
            return True
        return False

    def fill(self, text: Any) -> Any:
        """The text with the names that are bound replaced, the longest name first."""
        return self._fill(text, self.bound)

    @staticmethod
    def _fill(text: Any, bound: dict[str, str]) -> Any:
        if isinstance(text, str):
            for name in sorted(bound, key=len, reverse=True):
                text = text.replace(f"${name}", bound[name])
        return text


def _text(value: str) -> str:
    return value.replace("\r\n", "\n").rstrip()


def fields(value: Any) -> set[str]:
    """The names of all fields in a JSON value, at any depth."""
    if isinstance(value, dict):
        return set(value).union(*map(fields, value.values()))
    if isinstance(value, list):
        return set().union(*map(fields, value))
    return set()


def without(value: Any, names: set[str]) -> Any:
    """A JSON value with these fields taken out at any depth."""
    if isinstance(value, dict):
        return {k: without(v, names) for k, v in value.items() if k not in names}
    if isinstance(value, list):
        return [without(item, names) for item in value]
    return value
