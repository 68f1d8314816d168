"""Call a running server with a signed request"""

from __future__ import annotations

import asyncio
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode, urljoin

from bkjs import App, hookimpl
from bkjs.auth.signature import sign
from bkjs.commands.command import Action, Call, Command, Option
from bkjs.errors import BadRequest, NotFound


@hookimpl
def commands() -> Mapping[str, Callable[[list[str]], int]]:
    """`bkjs request`."""
    return {"request": COMMAND}


def main(call: Call) -> int:
    """Send the request and print the reply."""
    url, fields = call.words[0], dict(word.partition("=")[::2] for word in call.words[1:])
    return asyncio.run(_run(url, fields, call.options, call.rest))


async def _run(
    url: str, fields: dict[str, str], options: Mapping[str, str], rest: Sequence[str]
) -> int:
    login, secret = options.get("login", ""), options.get("secret", "")
    app = App(role="shell", argv=["-db-create-tables", *rest])
    if login and not secret:
        async with app:
            secret = await app.auth.accounts.secret_of(login) or ""
        if not secret:
            raise NotFound(f"no login {login!r}; give -secret to sign for another database")
    else:
        app.prepare()
    url = urljoin(_address(app.config.core), url)
    if not url.startswith(("http://", "https://")):
        raise BadRequest(f"{url}: only http and https")
    if fields and "data" not in options:
        url += ("&" if "?" in url else "?") + urlencode(fields)
    return await asyncio.to_thread(_send, url, login, secret, options)


def _address(core: Any) -> str:
    """Where a server with this configuration answers on this machine."""
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(core.bind, core.bind)
    return f"http://[{host}]:{core.port}/" if ":" in host else f"http://{host}:{core.port}/"


def _send(url: str, login: str, secret: str, options: Mapping[str, str]) -> int:
    body = options["data"].encode() if "data" in options else None
    method = options.get("method", "POST" if body is not None else "GET").upper()
    headers = {"content-type": "application/json"} if body is not None else {}
    if login:
        kind = headers.get("content-type", "")
        headers |= sign(login, secret, method, url, body=body, content_type=kind)
    request = urllib.request.Request(url, data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            sys.stdout.write(reply.read().decode() + "\n")
            return 0
    except urllib.error.HTTPError as error:
        sys.stdout.write(error.read().decode() + "\n")
        print(f"status {error.code}", file=sys.stderr)
        return 1
    except urllib.error.URLError as error:
        print(f"bkjs: {url}: {error.reason}; is the server running?", file=sys.stderr)
        return 1


COMMAND = Command(
    Action(
        main,
        "Call a server and print its reply; 1 when the status is not 2xx. A relative URL goes to"
        " the server that the configuration describes.",
        "URL [NAME=VALUE ...]",
        (
            Option("login", "sign the request for this account", "LOGIN"),
            Option("secret", "its secret, by default the one in the database", "TEXT"),
            Option("method", "by default GET, POST with data", "METHOD"),
            Option("data", "a body of JSON", "JSON"),
        ),
    )
)
