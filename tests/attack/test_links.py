"""A link in a mail neither signs its reader in as somebody else nor out."""

from __future__ import annotations

import time
from urllib.parse import quote

import pytest

from bkjs.auth.signature import sign
from tests.attack.conftest import SECRET, Victim

pytestmark = pytest.mark.process

FOLLOWED = {"sec-fetch-site": "none", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


def signed_in(victim: Victim) -> dict[str, str]:
    jar: dict[str, str] = {}
    with victim.client("ann", SECRET, cookies=jar) as client:
        assert client.get("/auth?_session=1").status == 200
    return {"cookie": "; ".join(f"{name}={value}" for name, value in jar.items())}


def test_a_mailed_link_opens_no_session(victim: Victim):
    mine, target = signed_in(victim), "/auth?_session=1"
    host, expires = f"127.0.0.1:{victim.port}", int(time.time() * 1000) + 60_000
    signature = sign("bob", SECRET, "GET", target, host=host, expires=expires)["bk-signature"]
    with victim.client() as client:
        reply = client.get(
            f"{target}&bk-signature={quote(signature)}", headers={**mine, **FOLLOWED}
        )
        assert not reply.cookies, reply.cookies
        assert client.get("/auth", headers=mine).json()["login"] == "ann"


def test_a_mailed_link_ends_no_session(victim: Victim):
    mine = signed_in(victim)
    with victim.client() as client:
        client.get("/auth?_session=0", headers={**mine, **FOLLOWED})
        assert client.get("/auth", headers=mine).status == 200
