"""Choosing modules by patterns of their names."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(slots=True)
class Choice:
    """Which modules a role loads: patterns searched in the name and in its singular."""

    allow: str = ""
    deny: str = ""
    default: bool = True
    """The pattern is the built-in default: a module that it names need not be installed."""

    def refusal(self, name: str) -> str:
        """Why a module of this name is not loaded, empty when it is."""
        names = (name, singular(name))
        if self.deny and any(re.search(self.deny, n) for n in names):
            return f"deny-modules is {self.deny}"
        allowed = self.allow and any(re.search(self.allow, n) for n in names)
        return "" if allowed else f"allow-modules is {self.allow or 'empty'}"

    def parts(self) -> list[str]:
        """What the pattern offers, as it stands between its bars: `["a", "b"]` of `^(a|b)$`."""
        text = self.allow.removeprefix("^").removesuffix("$").removesuffix(r"\Z")
        return text.removeprefix("(").removesuffix(")").split("|")

    def exact(self) -> set[str]:
        """Names that the pattern spells out, without a pattern character."""
        return {part for part in self.parts() if _NAME.fullmatch(part)}


_NAME = re.compile(r"[\w-]+")


def singular(name: str) -> str:
    """`bk_accounts` -> `bk_account`: the name that older configuration files use."""
    return name.removesuffix("s") if name != "bk_status" else name
