"""Configuration kept in the database: which records concern a process, and which of them wins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def config_types(
    *,
    run_mode: str,
    app_name: str,
    role: str = "",
    roles: Sequence[str] = (),
    tag: str = "",
    network: str = "",
    region: str = "",
    zone: str = "",
) -> list[str]:
    """The types of records to ask for, most general first. `roles` replace the process's `role`."""
    attrs = [run_mode, app_name, f"{run_mode}-{app_name}"]
    for name in ([tag] if tag else []) + list(roles or [role]):
        attrs += [f"{run_mode}-{name}", f"{run_mode}-{app_name}-{name}"]
    variants = [""] + [f"-{place}" for place in (network, region, zone) if place]
    types: dict[str, str] = {}
    for attr in attrs:
        if attr and not attr.endswith("-"):
            for variant in variants:
                types.setdefault((attr + variant).lower(), attr + variant)
    return list(types.values())


def by_priority(rows: Iterable[Mapping[str, Any]], types: Sequence[str]) -> list[Mapping[str, Any]]:
    """The rows most specific first."""
    rank = {name.lower(): place for place, name in enumerate(types)}
    return sorted(rows, key=lambda row: -rank.get(str(row["type"]).lower(), -1))


def choose(rows: Iterable[Mapping[str, Any]], types: Sequence[str]) -> list[Mapping[str, Any]]:
    """The row that counts for each name: the most specific one."""
    chosen: dict[str, Mapping[str, Any]] = {}
    for row in by_priority(rows, types):
        chosen.setdefault(row["name"], row)
    return list(chosen.values())
