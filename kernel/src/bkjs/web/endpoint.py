"""An endpoint as it was declared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pydantic import BaseModel

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
HARMLESS = ("HEAD", "OPTIONS")
"""Methods that are sent to any address without asking, so that nothing is written by them."""


@dataclass(frozen=True, slots=True, eq=False)
class Endpoint:
    """A declared endpoint; see `Routes.endpoint` for what the fields mean."""

    path: str
    fn: Callable[..., Any]
    methods: tuple[str, ...] = METHODS
    params: type[BaseModel] | None = None
    accepts: type[BaseModel] | None = None
    writes: bool | Literal["quiet"] = False
    tables: tuple[str, ...] = ()
    public: bool = False
    navigable: bool = False
    summary: str = ""
    limit: int | None = None
    timeout: float | None = None
    raw_body: bool = False
    reply: Any = None
    nested: Mapping[str, str] = field(default_factory=dict)
    """Tables of the rows that lie under a key of the reply, "" for plain values."""
    owner: str = "id"
    """The column that holds the id of the account whose row it is."""
    check_reply: Callable[[Any], Any] | None = field(default=None, repr=False)
    """Makes of a reply that belongs to no table what may leave."""
    any_method: bool = False
    verb: str = ""
    """The verb of the database that it is, if it was declared as one."""
    path_names: tuple[str, ...] = ()
    validate: Callable[[Mapping[str, Any]], Any] | None = field(default=None, repr=False)

    @property
    def tag(self) -> str:
        """What it is grouped under: the first part of the path."""
        return self.path[1:].partition("/")[0] or "/"


Methods = dict[str, Endpoint]
"""The endpoints of one path by method."""


def tables_of(endpoint: Endpoint | None) -> str:
    """The tables that decide on a reply, unless a handler says otherwise: see `req.cleanup`."""
    return ",".join(endpoint.tables) if endpoint is not None else ""
