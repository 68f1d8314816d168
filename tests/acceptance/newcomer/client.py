"""A client that signs, written from the text of docs/signing.md and nothing else.

Standard input has a JSON list of requests: `method`, `url`, perhaps `body`, `type`, `ttl` (how long
the signature is good, in ms), `sent` (another URL to send than was signed) and `twice`. Standard
output has a list of `[status, body]`. Login and secret are in the environment.
"""

import base64
import hashlib
import hmac
import http.client
import json
import os
import secrets
import sys
import time
from urllib.parse import urlsplit

FORM = "application/x-www-form-urlencoded"


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def signature(method: str, url: str, body: bytes, kind: str, ttl: int) -> str:
    """The value of the header, step by step."""
    tag = secrets.token_hex(4)
    login = os.environ["LOGIN"]
    expires = str(int(time.time() * 1000) + ttl)
    parts = urlsplit(url)
    host = parts.netloc.lower().partition(":")[0]
    path = parts.path or "/"
    form = method == "POST" and kind.startswith(FORM)
    items = (body.decode() if form else parts.query).split("&")
    query = "&".join(sorted(i for i in items if i and not i.startswith("bk-signature")))
    checksum = base64_of(hashlib.sha1(body).digest()) if body and not form else ""
    lines = ["4", tag, login, method, host, path, query, expires, kind.lower(), checksum]
    text = "".join(f"{line}\n" for line in lines)
    key = os.environ["SECRET"].encode()
    digest = base64_of(hmac.new(key, text.encode(), hashlib.sha256).digest())
    return f"4|{tag}|{login}|{digest}|{expires}|{checksum}|"


def send(method: str, url: str, headers: dict[str, str], body: bytes) -> tuple[int, object]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection.request(method, target, body or None, headers)
    reply = connection.getresponse()
    answer = reply.status, json.loads(reply.read())
    connection.close()
    return answer


def main() -> None:
    answers = []
    for asked in json.load(sys.stdin):
        method, url = asked["method"], asked["url"]
        body, kind = asked.get("body", "").encode(), asked.get("type", "")
        signed = signature(method, url, body, kind, asked.get("ttl", 60_000))
        headers = {"bk-signature": signed} | ({"content-type": kind} if kind else {})
        times = 2 if asked.get("twice") else 1
        answers += [send(method, asked.get("sent", url), headers, body) for _ in range(times)]
    json.dump(answers, sys.stdout)


main()
