"""An endpoint as it was declared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from bkjs.lib.places import at

if TYPE_CHECKING:
    from pydantic import BaseModel

    from bkjs.auth.rules import AccessRules

F = TypeVar("F", bound=Callable[..., Any])

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
HARMLESS = ("HEAD", "OPTIONS")
"""Methods that are sent to any address without asking, so that nothing is written by them."""

_NAVIGABLE = "__bkjs_navigable__"


def navigable(fn: F) -> F:
    """Mark the function of a FastAPI route as a page that other sites may link to: whoever follows
    such a link comes with the session. Endpoints say `navigable=True` instead.
    """
    setattr(fn, _NAVIGABLE, True)
    return fn


def is_marked_navigable(fn: object) -> bool:
    """Whether `navigable` was called with this function."""
    return getattr(fn, _NAVIGABLE, False) is True


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
    list_name: str = ""
    """The parameter that a JSON body becomes which is a list; without one it is refused."""
    any_method: bool = False
    admits: Callable[[AccessRules, Mapping[str, Any]], bool] | None = field(
        default=None, repr=False
    )
    """Whether the handler itself lets in an account that the access rules let in."""
    verb: str = ""
    """The verb of the database that it is, if it was declared as one."""
    path_names: tuple[str, ...] = ()
    validate: Callable[[Mapping[str, Any]], Any] | None = field(default=None, repr=False)
    place: str = ""
    """Where it was declared, `FILE:LINE`."""

    def __str__(self) -> str:
        return f"endpoint {self.path}{at(self.place)}"

    def ignored(self, given: Iterable[str]) -> list[str]:
        """Which of these names its parameters do not have, controls apart."""
        if self.params is None or self.params.model_config.get("extra") == "allow":
            return []
        known = {field.alias or name for name, field in self.params.model_fields.items()}
        return sorted(name[:64] for name in given if name not in known and name[:1] != "_")[:10]

    @property
    def tag(self) -> str:
        """What it is grouped under: the first part of the path."""
        return self.path[1:].partition("/")[0] or "/"


Methods = dict[str, Endpoint]
"""The endpoints of one path by method."""


def tables_of(endpoint: Endpoint | None) -> str:
    """The tables that decide on a reply, unless a handler says otherwise: see `req.cleanup`."""
    return ",".join(endpoint.tables) if endpoint is not None else ""
