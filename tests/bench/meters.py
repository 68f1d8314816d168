"""What all meters share: where a run lies, what could not be had, how a figure is taken."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

Figure = dict[str, float]
Meter = Callable[[float], Coroutine[Any, Any, Figure]]
"""Measures for about so many seconds."""


@dataclass
class Run:
    """One run: its folder, the URL of PostgreSQL or nothing, the figures that rows need."""

    folder: Path
    pgsql: str
    wanted: set[str]
    stack: AsyncExitStack
    """Ends what was started."""
    say: Callable[[str], None]
    absent: dict[str, str] = field(default_factory=dict)
    """Why a figure, or all those of a server, could not be had."""

    def fail(self, name: str, reason: object) -> None:
        """Note and say why something could not be had; the run goes on."""
        text = str(reason).strip() or type(reason).__name__
        self.absent[name] = text.splitlines()[0][:80].replace("|", "/")
        self.say(f"without {name}: {text}")
