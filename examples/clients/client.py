"""A client that signs its requests: Python 3.9 or newer, nothing else.

    BK_LOGIN=anna BK_SECRET=… python client.py METHOD URL [BODY [CONTENT-TYPE]]

prints the body of the reply and ends with 1 unless the status is below 400.
"""

import base64
import hashlib
import hmac
import os
import secrets
import sys
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

FORM = "application/x-www-form-urlencoded"
LIFETIME = 60_000
"""Milliseconds for which a signature is good."""


def signature(
    login: str, secret: str, method: str, url: str, body: bytes = b"", content_type: str = "",
    *, expires: int = 0, tag: str = "",
) -> str:  # fmt: skip
    """The value of the header `bk-signature` for one request; `url` is as it goes out."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2].partition(":")[0].lower()
    form = method == "POST" and content_type.partition(";")[0].strip().lower() == FORM
    items = (body.decode() if form else parts.query).split("&")
    query = "&".join(sorted(i for i in items if i and not i.startswith("bk-signature")))
    checksum = base64.b64encode(hashlib.sha1(body).digest()).decode() if body and not form else ""
    expires = expires or int(time.time() * 1000) + LIFETIME
    tag = tag or secrets.token_hex(8)
    signed = [
        "4", tag, login, method, host, parts.path or "/", query, str(expires),
        content_type.lower(), checksum,
    ]  # fmt: skip
    text = "".join(f"{line}\n" for line in signed)
    digest = base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest())
    return f"4|{tag}|{login}|{digest.decode()}|{expires}|{checksum}|"


def call(
    login: str, secret: str, method: str, url: str, body: bytes = b"",
    content_type: str = "application/json",
) -> tuple[int, bytes]:  # fmt: skip
    """The status and the body of the reply to a signed request."""
    headers = {"Content-Type": content_type} if body else {}
    signed = signature(login, secret, method, url, body, headers.get("Content-Type", ""))
    # header values are bytes: a login with other letters than ASCII goes out as UTF-8
    headers["bk-signature"] = signed.encode().decode("latin-1")
    request = urllib.request.Request(url, body or None, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


if __name__ == "__main__":
    method, url, *rest = sys.argv[1:]
    body, kind = (rest + ["", "application/json"][len(rest) :])[:2]
    who = os.environ["BK_LOGIN"], os.environ["BK_SECRET"]
    status, reply = call(*who, method, url, body.encode(), kind)
    sys.stdout.buffer.write(reply)
    sys.exit(status >= 400)
