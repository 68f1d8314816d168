"""An application without processes and sockets: real accounts, sessions and memory database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from argon2 import PasswordHasher

from bkjs.auth import signature
from bkjs.auth.rules import SETTINGS
from bkjs.auth.service import TABLES, AuthService
from bkjs.config import Settings
from bkjs.core.services import Services
from bkjs.db.database import Database
from bkjs.db.pools.memory import MemoryDriver
from bkjs.web.input import forms
from bkjs.web.input.controls import CONTROLS
from bkjs.web.request import Request
from bkjs.web.server.limits import Limits

NOW = 1_700_000_000_000
DAY = 86_400_000


def made_settings(**values: Any) -> Settings:
    made = Settings()
    for name, value in values.items():
        setattr(made, name, value)
    return made


def api_settings() -> Settings:
    """`config.api` with the defaults that authentication reads."""
    return made_settings(
        **dict.fromkeys(SETTINGS),
        compat=(),
        signature_header_name="bk-signature",
        access_token_name="bk-access-token",
        lang_header_name="bk-lang", app_header_name="bk-app",
        tz_header_name="bk-tz", version_header_name="bk-version",
        access_token_secret="",
        cors_origin=(),
        access_token_age=7 * DAY,
        signature_age=0,
        signature_max_age=7 * DAY,
        session_age=14 * DAY,
        session_idle=7 * DAY,
        session_secret="",
        no_session=False,
        require_body_checksum=False,
        max_fields=1000,
        query_token_secret="",
        secret_policy=(),
        rlimits_rate={}, rlimits_max={}, rlimits_intervals={}, rlimits_interval=1000,
        rlimits_total=0,
        error_message="",
        errlog_limiter_max=100, errlog_limiter_interval=30_000, errlog_limiter_ignore=None,
    )  # fmt: skip


class App(Services):
    """What the services ask of an application."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__()
        vars(self).update(attributes)


class Hooks:
    """Only the hook that authentication asks."""

    def __init__(self) -> None:
        self.authenticate: Callable[[Request], Any] | None = None

    def implements(self, hook: str) -> bool:
        return hook == "authenticate" and self.authenticate is not None

    async def first(self, hook: str, **arguments: Any) -> Any:
        assert self.authenticate
        return self.authenticate(arguments["req"])


class Harness:
    """Makes requests, signed or not, that began at `now`."""

    def __init__(self, folder: Path, db: Database) -> None:
        self.now = NOW
        self.api = api_settings()
        self.hooks = Hooks()
        self.app = App(
            config=SimpleNamespace(api=self.api),
            keys=SimpleNamespace(get=lambda name: name.encode().ljust(32, b"k")),
            hooks=self.hooks,
            db=db,
        )
        self.web = SimpleNamespace(
            control_params=dict(CONTROLS),
            credential_names=("bk-signature", "bk-access-token"),
            limits=Limits(self.api),
            proxies=SimpleNamespace(trusts=lambda peer: False),
            translate=lambda locale, phrase, *args: phrase,
            platform=lambda agent: "",
            is_api=lambda path, method: True,
        )
        self.app.web = self.web
        self.auth = self.app.auth = AuthService(self.app, folder)  # type: ignore[arg-type]
        self.cheap_passwords()
        db.set_process_row("pre", "bk_auth", self.auth.row_hook)

    def cheap_passwords(self) -> None:
        """Hashes of milliseconds; counts them in `hashes`."""
        passwords = self.auth.passwords
        self.hashes = 0
        passwords.__dict__["_argon2"] = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        run = passwords._run

        async def counted(work: Any) -> Any:
            self.hashes += 1
            return await run(work)

        passwords._run = counted  # type: ignore[method-assign]

    def request(
        self,
        target: str = "/x",
        *,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        writes: bool = False,
        endpoint: Any = None,
        ip: str = "9.9.9.9",
        scheme: str = "http",
        cookies: dict[str, str] | None = None,
    ) -> Request:
        path, _, query = target.partition("?")
        sent = {"host": "h.com:8000"} | (headers or {})
        if cookies:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        scope = {
            "type": "http", "method": method, "scheme": scheme, "client": (ip, 1),
            "raw_path": path.encode(), "query_string": query.encode(),
            "headers": [(n.encode(), v.encode()) for n, v in sent.items()],
        }  # fmt: skip
        req = Request(self.app, self.web, scope, None)  # type: ignore[arg-type]
        req.mtime = self.now
        req.endpoint = endpoint or SimpleNamespace(
            writes=writes, public=False, tables=(), reply=None
        )
        if body:
            req.body = body
            req.form = sent.get("content-type", "").startswith(signature.FORM)
            if req.form:
                req.fields = forms.parse(body)
                req.query = req.url_query | req.fields
        return req

    def signed(
        self,
        login: str,
        secret: str,
        target: str = "/x",
        *,
        method: str = "GET",
        body: bytes = b"",
        content_type: str = "",
        sign: dict[str, Any] | None = None,
        **options: Any,
    ) -> Request:
        headers = signature.sign(
            login, secret, method, target, body=body or None, content_type=content_type,
            host="h.com", now=self.now, **(sign or {}),
        )  # fmt: skip
        headers |= options.pop("headers", {})
        return self.request(target, method=method, body=body, headers=headers, **options)

    async def status(self, req: Request) -> int:
        return int((await self.auth.authenticate(req))["status"])

    @staticmethod
    def cookies(req: Request) -> dict[str, str]:
        """What the reply of a request sets."""
        found = {}
        for name, value in req.response_headers:
            if name == b"set-cookie":
                key, _, rest = value.decode().partition("=")
                found[key] = rest.partition(";")[0]
        return found


@pytest.fixture
async def auth(tmp_path: Path) -> AsyncIterator[Harness]:
    """An application with the account `u` (secret `k`, id and type as made by default)."""
    db = Database()
    db.describe_tables(TABLES)
    driver = MemoryDriver("memory", "memory://", {})
    await driver.open()
    db.add_pool("memory", driver, default=True)
    harness = Harness(tmp_path, db)
    await harness.auth.add({"login": "u", "name": "U", "secret": "k"})
    yield harness
    harness.auth.close()
    await db.close()
