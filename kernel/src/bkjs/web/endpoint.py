"""An endpoint as it was declared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@dataclass(frozen=True, slots=True, eq=False)
class Endpoint:
    """A declared endpoint; see `Routes.endpoint` for what the fields mean."""

    path: str
    fn: Callable[..., Any]
    methods: tuple[str, ...] = METHODS
    params: type[BaseModel] | None = None
    accepts: type[BaseModel] | None = None
    writes: bool = False
    tables: tuple[str, ...] = ()
    public: bool = False
    summary: str = ""
    limit: int | None = None
    timeout: float | None = None
    raw_body: bool = False
    reply: Any = None
    any_method: bool = False
    path_names: tuple[str, ...] = ()
    validate: Callable[[Mapping[str, Any]], Any] | None = field(default=None, repr=False)

    @property
    def tag(self) -> str:
        """What it is grouped under: the first part of the path."""
        return self.path[1:].partition("/")[0] or "/"


Methods = dict[str, Endpoint]
"""The endpoints of one path by method."""


def tables_of(path: str, endpoint: Endpoint | None) -> str:
    """The tables that decide on a reply, unless a handler says otherwise: see `req.cleanup`."""
    if endpoint is not None and endpoint.tables:
        return ",".join(endpoint.tables)
    return "bk_" + path[1:].partition("/")[0]
