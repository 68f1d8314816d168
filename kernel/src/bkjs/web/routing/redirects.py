"""Hosts that are served, TLS, and where old addresses have gone."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from bkjs.errors import BadRequest
from bkjs.web.request import Request

_PLACE = re.compile("@(HOST|PATH|URL)@")
_SAFE = "%/:=&?~#+!$,;'@()*[]"


def check_host(req: Request) -> None:
    """Raises BadRequest (421) for a Host that is not among the configured ones."""
    host = req.host
    for name in req.settings.hosts:
        if host == name.lower() or (name.startswith("*.") and host.endswith(name[1:].lower())):
            return
    raise BadRequest("This host is not served here", status=421)


def rewrite(req: Request) -> None:
    """Serve another path for one that a rule matches; what was signed stays the original."""
    for path, rule in req.settings.routing.items():
        if rule["rx"] and rule["rx"].search(req.path):
            req.path = path
            return


def pattern(setting: Any) -> re.Pattern[str] | None:
    """The one pattern of a setting that is a list of them."""
    return setting["rx"] if setting else None


def possible(api: Any, path: str) -> bool:
    """Whether `check` may have anything to say on this path."""
    rules = [pattern(api.redirect_ssl), pattern(api.allow_ssl)]
    return bool(api.redirect_url) or any(rule and rule.search(path) for rule in rules)


def check(req: Request) -> dict[str, Any] | None:
    """The status object of a redirect or refusal, None to go on."""
    api = req.settings
    redirect_ssl, allow_ssl = pattern(api.redirect_ssl), pattern(api.allow_ssl)
    if redirect_ssl and redirect_ssl.search(req.path) and not req.secure:
        return {"status": 302, "url": f"https://{req.host}{_tls_port(req)}{_url(req)}"}
    if allow_ssl and allow_ssl.search(req.path) and not req.secure:
        return {"status": 400, "message": "SSL only access"}
    for rule in api.redirect_url or ():
        if _hit(rule, req.host + _url(req)):
            return {"status": 302, "url": _fill(req, str(rule["value"]))}
    return None


def _tls_port(req: Request) -> str:
    """`:8443` where this server has TLS on such a port; a balancer in front has the usual one."""
    settings = req.app.config.core.ssl
    port = settings["port"]
    return f":{port}" if settings.get("key") and port not in (0, 443) else ""


def _hit(rule: Any, text: str) -> bool:
    """Whether a rule matches; one that begins with `!` matches what its pattern does not."""
    if rule["list"][0].startswith("!"):
        return not re.search(rule["list"][0][1:], text)
    return bool(rule["rx"] and rule["rx"].search(text))


def _url(req: Request) -> str:
    path = quote(req.path, safe=_SAFE.replace("?", "").replace("#", ""))
    return f"{path}?{req.raw_query}" if req.raw_query else path


def _fill(req: Request, target: str) -> str:
    """The target with its places filled; what comes from the request never becomes the host."""
    values = {"HOST": req.host, "PATH": quote(req.path, safe="/"), "URL": _url(req)}
    url = _PLACE.sub(lambda found: values[found[1]], target)
    if url.startswith(("//", "/\\")) and not target.startswith("//"):
        url = "/" + url.lstrip("/\\")
    return url
