"""Controls: request parameters that begin with `_` and say how to answer, such as `_count`.

They are read leniently: what is malformed becomes the default, what is unknown is ignored.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from bkjs.auth.tokens import decode_token, encode_token
from bkjs.lib.convert import str_split, to_bool
from bkjs.lib.dates import iso, parse_date
from bkjs.lib.numbers import to_number
from bkjs.web.request import Request

Spec = Mapping[str, Any]
"""How to read one control: its `type`, and `dflt`, `min`, `max`, `regexp` where they apply."""

CONTROLS: Final[Mapping[str, Spec]] = {
    "total": {"type": "bool"},
    "session": {"type": "bool"},
    "accesstoken": {"type": "bool"},
    "desc": {"type": "bool"},
    "format": {"type": "string"},
    "separator": {"type": "string"},
    "encoding": {"type": "string"},
    "ext": {"type": "string"},
    "sort": {"type": "names"},
    "page": {"type": "int", "dflt": 0, "min": 0},
    "count": {"type": "int", "dflt": 32, "min": 0, "max": 999},
    "distance": {"type": "number", "dflt": 999, "min": 0, "max": 999},
    "latitude": {"type": "real"},
    "longitude": {"type": "real"},
    "latlon": {
        "type": "string",
        "regexp": re.compile(r"-?[0-9]+(\.[0-9]+)?,-?[0-9]+(\.[0-9]+)?"),
    },
    "tm": {"type": "timestamp"},
    "ops": {"type": "map"},
    "start": {"type": "token"},
    "token": {"type": "token"},
    "select": {"type": "list"},
}

INTERNAL: Final = frozenset(
    {
        "ip", "host", "path", "apath", "secure", "mtime", "cleanup", "appName", "appVersion",
        "appLocale", "appPlatform", "appTimezone", "appBuild", "noscan",
    }
)  # fmt: skip
"""Names that belong to the server: no client sets them, and no module may declare them."""

MAX_TEXT = 256


def _string(value: object, spec: Spec) -> str | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value or len(value) > MAX_TEXT:
        return None
    pattern = spec.get("regexp")
    return value if pattern is None or pattern.fullmatch(value) else None


def _number(value: object, spec: Spec) -> int | float:
    real = spec["type"] == "real"
    number = to_number(
        value, dflt=spec.get("dflt"), float=real or None, min=spec.get("min"), max=spec.get("max")
    )
    if not math.isfinite(number):
        number = spec.get("dflt") or 0
    return int(number) if spec["type"] == "int" else number


def _timestamp(value: object, spec: Spec) -> str | None:
    moment = parse_date(value) if value else None
    return iso(moment) if moment else None


def _map(value: object, spec: Spec) -> dict[str, str]:
    if isinstance(value, Mapping):
        return {str(name): item for name, item in value.items() if isinstance(item, str)}
    items = str_split(value)
    pairs = zip(items[::2], items[1::2], strict=False)
    return {name: item for name, item in pairs if isinstance(name, str) and isinstance(item, str)}


def _names(value: object, spec: Spec) -> str | None:
    """Names as a text with commas, however they came; of any length, so that none is left out."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        value = ",".join(value)
    return value or None if isinstance(value, str) else _string(value, spec)


def _list(value: object, spec: Spec) -> list[str] | None:
    """None for an empty selection, which would otherwise ask for no column at all."""
    return [item for item in str_split(value) if isinstance(item, str)] or None


_READ: Final[Mapping[str, Callable[[object, Spec], Any]]] = {
    "bool": lambda value, spec: to_bool(value),
    **dict.fromkeys(("int", "number", "real"), _number),
    "timestamp": _timestamp,
    "map": _map,
    "list": _list,
    "names": _names,
    "string": _string,
}


class Controls(dict[str, Spec]):
    """Controls by name, with what is the same for every request; `setdefault` adds one."""

    __slots__ = ("defaults", "maps", "sent")

    def __init__(self, specs: Mapping[str, Spec]) -> None:
        super().__init__()
        self.sent: dict[str, int] = {}
        """Their places by the names of the parameters."""
        self.defaults: dict[str, Any] = {"noscan": 1}
        """Values of what is not given."""
        self.maps = ["ops"]
        """What is then an empty map, another one for each request."""
        for name, spec in specs.items():
            self.setdefault(name, spec)

    def setdefault(self, name: str, spec: Spec, /) -> Spec:
        """Add a control; a known one stays as it is."""
        if name not in self:
            self[name] = spec
            self.sent[f"_{name}"] = len(self.sent)
            if "dflt" in spec and spec["type"] == "map":
                self.maps.append(name)
            elif "dflt" in spec and (found := _read(None, spec)) is not None:
                self.defaults[name] = found
        return self[name]


def read_controls(
    query: Mapping[str, Any], specs: Controls, token: Callable[[object], Any]
) -> dict[str, Any]:
    """The controls among request parameters; `token` decodes those of the type token."""
    options: dict[str, Any] = {name: {} for name in specs.maps}
    options |= specs.defaults
    given: Iterable[str] = specs.sent.keys() & query.keys()
    for sent in sorted(given, key=specs.sent.__getitem__):  # so that it is the first that fails
        name, value = sent[1:], query[sent]
        spec = specs[name]
        if spec["type"] == "token":
            if value is not None and value != "":  # an empty one is the first page
                options[name] = token(value)
        elif (found := _read(value, spec)) is not None:
            options[name] = found
    return options


def _read(value: object, spec: Spec) -> Any:
    type = spec["type"]
    return None if type == "token" else _READ.get(type, _string)(value, spec)


def get_controls(req: Request) -> dict[str, Any]:
    """The controls of a request under their names without `_`; see `CONTROLS` for the defaults.

    This is what `req.controls` holds.
    """

    def token(value: object) -> Any:
        old = "tokens" in req.settings.compat
        secret = get_token_secret(req) if old else ""
        return decode_token(req.app.keys.get("tokens"), value, compat=old, secret=secret)

    return read_controls(req.query, req.settings.control_params, token)


def request_options(req: Request) -> dict[str, Any]:
    """What the wire protocol calls the options of a request, before any control is read."""
    options: dict[str, Any] = {
        "ops": {},
        "noscan": 1,
        "ip": req.ip,
        "host": req.host,
        "path": req.path,
        "apath": req.path[1:].split("/"),
        "secure": req.secure,
        "mtime": req.mtime,
        "cleanup": req.cleanup or "bk_" + req.path[1:].partition("/")[0],
    }
    client = {
        "appName": req.app_name,
        "appVersion": req.app_version,
        "appPlatform": req.app_platform,
    }
    options |= {name: value for name, value in client.items() if value}
    options |= {
        "appBuild": req.app_build,
        "appTimezone": req.app_timezone,
        "appLocale": req.app_locale,
    }
    return options


def get_token_secret(req: Request) -> str:
    """What old next tokens are encrypted with: a column of the account, or the setting itself."""
    secret = str(req.settings.query_token_secret or "")
    hidden = getattr(req.account, "secrets", {})
    return str(hidden.get(secret) or req.account.get(secret) or secret)


def get_result_page(req: Request, rows: Sequence[Any]) -> dict[str, Any]:
    """A list as clients get it: `{"count": N, "data": rows}`, with `next_token` when more follow.

    `_total` asks for the number alone.
    """
    if req.controls.get("total"):
        return {"count": (rows[0].get("count") or 0) if rows else 0}
    page: dict[str, Any] = {"count": len(rows), "data": rows}
    if following := getattr(rows, "next_token", None):
        page["next_token"] = encode_token(req.app.keys.get("tokens"), following)
    return page
