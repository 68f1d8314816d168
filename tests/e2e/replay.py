"""Replays a recorded transcript of HTTP requests against a running server."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection
from typing import Any
from urllib.parse import quote, urlsplit

from bkjs.auth.signature import checksum, create_signature
from bkjs.testing.client import Client, Reply
from bkjs.testing.vectors import known
from tests.e2e.matching import Matcher, fields, without

Case = dict[str, Any]


SIGN = ("transport", "version", "expires", "tag", "type", "query", "checksum")
ASSERTED = ("status", "type", "location", "response", "keys", "absent", "hidden", "set_cookie")


def strictly(case: Case) -> Case:
    """The case as it is without `api-compat` where the records do not say so: a body of a type
    that nobody reads is refused."""
    headers = {name.lower(): value for name, value in case.get("headers", {}).items()}
    kind = headers.get("content-type", "")
    if "body" not in case or not kind or "json" in kind or "form" in kind or case["status"] != 200:
        return case
    return {**case, "strict": {"status": 415}}


class Replay:
    """One run through a transcript: what was bound, which cookies and tokens came back.

    `after` is called with each entry of the set-up that changes an account when its case has run.
    `strict` compares with what holds without `api-compat`; `modules` are those that are loaded.
    """

    def __init__(
        self,
        transcript: dict[str, Any],
        client: Client,
        *,
        after: Callable[[Case], None],
        strict: bool = False,
        modules: Collection[str] = (),
    ) -> None:
        self.cases: list[Case] = transcript["cases"]
        if strict:
            self.cases = list(map(strictly, self.cases))
        self.transcript = transcript
        self.client = client
        self.after = after
        self.strict = strict
        self.modules = set(modules)
        self.matcher = Matcher()
        self.replies: dict[str, Reply] = {}
        self._sent = 0
        self._expires = 0

    def check(self, case: Case) -> list[str]:
        """What is wrong with the reply to a case; the cases before it are sent first."""
        found: list[str] = []
        while case["id"] not in self.replies:
            current = self.cases[self._sent]
            self._sent += 1
            found = self._run(current)
        return found

    def skipped(self, case: Case) -> str:
        """Why a case is not compared, empty when it is."""
        missing = sorted(set(case.get("needs", ())) - self.modules)
        if missing:
            return f"needs {', '.join(missing)}"
        if case.get("quirk"):
            return "quirk of the reference"
        if self.strict and "compat" in case and "strict" not in case:
            return f"only with api-compat={','.join(case['compat'])}"
        return ""

    def _run(self, case: Case) -> list[str]:
        known(case.get("sign", ()), SIGN, "key of sign")
        known(case.get("as") or (), ("login", "secret"), "key of as")
        for mark in ("preferred", "strict"):
            known(case.get(mark, ()), ASSERTED, f"key of {mark}")
        reply = Reply(0, [], b"")
        if not set(case.get("needs", ())) - self.modules:
            reply = self.send(case)
        self.replies[case["id"]] = reply
        found = [] if self.skipped(case) else self.compare(case, reply)
        for entry in self.transcript.get("setup", ()):
            if entry.get("after") == case["id"]:
                self.after(entry)
        return found

    # -- sending -----------------------------------------------------------------------------

    def send(self, case: Case) -> Reply:
        target = self.matcher.fill(case["path"])
        target = target.replace("$PNG1x1", quote(self.transcript.get("png", ""), safe=""))
        headers = {name.lower(): str(value) for name, value in case.get("headers", {}).items()}
        body = case.get("body")
        if isinstance(body, (dict, list)):
            headers.setdefault("content-type", "application/json")
            body = self.matcher.fill(json.dumps(body))
        elif isinstance(body, str):
            body = self.matcher.fill(body)
        data = body.encode() if isinstance(body, str) else None
        target = self._use(case, target, headers)
        target = self._sign(case, target, headers, data or b"")
        return self.client.request(case["method"], target, headers=headers, body=data)

    def _use(self, case: Case, target: str, headers: dict[str, str]) -> str:
        kind, _, source = case.get("use", "").partition(":")
        if kind == "$cookie":
            pairs = self.replies[source].cookies.items()
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in pairs)
        elif kind == "$token":
            token = self.replies[source].json()["bk-access-token"]
            if case.get("transport") == "header":
                headers["bk-access-token"] = token
            else:
                target = _with(target, "bk-access-token", token)
        return target

    def _sign(self, case: Case, target: str, headers: dict[str, str], data: bytes) -> str:
        who = case.get("as")
        if not who:
            return target
        how = case.get("sign", {})
        digest = how.get("checksum", "")
        signature = create_signature(
            who["login"],
            self.matcher.fill(who["secret"]),
            case["method"],
            f"{self.client.host}:{self.client.port}",
            target,
            expires=self._expiry(int(how.get("expires", 30_000))),
            version=how.get("version", 4),
            type=how.get("type", headers.get("content-type", "").lower()),
            tag=how.get("tag", ""),
            checksum=checksum(data) if digest == "$sha1" else digest,
            query=self.matcher.fill(how["query"]) if "query" in how else None,
        )["bk-signature"]
        parts = signature.split("|")
        parts[3] = parts[3] or "none"  # a version that signs nothing still carries a digest
        signature = "|".join(parts)
        if how.get("transport") == "query":
            return _with(target, "bk-signature", signature)
        headers["bk-signature"] = signature
        return target

    def _expiry(self, relative: int) -> int:
        if relative < 0:
            return relative
        self._expires = max(int(time.time() * 1000) + relative, self._expires + 1)
        return self._expires

    # -- comparing ---------------------------------------------------------------------------

    def compare(self, case: Case, reply: Reply) -> list[str]:
        wanted = case | case.get("preferred", {})
        if self.strict and "strict" in case:
            wanted = {"status": case["status"]} | case["strict"]
        found = list(self._status(wanted, reply))
        absent = set(wanted.get("absent", ()))
        value = self._value(wanted, reply)
        found += [
            f"field {name!r} must not be in the reply"
            for name in sorted((absent | set(self.transcript["never"])) & fields(value))
        ]
        found += [
            f"text {t!r} must not be in it" for t in wanted.get("hidden", ()) if t in reply.text
        ]
        found += [f"field {n!r} is missing" for n in wanted.get("keys", ()) if n not in value]
        if "response" in wanted:
            found += self.matcher.differences(without(wanted["response"], absent), value)
        for also in case.get("also", ()):
            known(also, ("needs", "response"), "key of also")
            if not set(also.get("needs", ())) - self.modules:
                found += self.matcher.differences(also["response"], value, fewer=True)
        return found and [*found, f"reply: {reply.status} {reply.body[:2000]!r}"]

    def _status(self, wanted: Case, reply: Reply) -> Any:
        statuses = wanted["status"] if isinstance(wanted["status"], list) else [wanted["status"]]
        if reply.status not in statuses:
            yield f"status {wanted['status']} expected, got {reply.status}"
        if "type" in wanted and reply.type != wanted["type"]:
            yield f"type {wanted['type']} expected, got {reply.type!r}"
        if "location" in wanted:
            location = urlsplit(reply.header("location"))._replace(scheme="", netloc="").geturl()
            if location != self.matcher.fill(wanted["location"]):
                yield f"location {wanted['location']} expected, got {location!r}"
        cookies = list(reply.cookies.values())
        if wanted.get("set_cookie") == "session" and not any(cookies):
            yield "a session cookie expected"
        if wanted.get("set_cookie") == "cleared" and (not cookies or any(cookies)):
            yield "a removed cookie expected"

    @staticmethod
    def _value(wanted: Case, reply: Reply) -> Any:
        """The JSON of a reply, or its text when text was recorded or it is no JSON."""
        if isinstance(wanted.get("response"), str) or reply.type != "application/json":
            return reply.text if reply.type.startswith(("text/", "application/")) else ""
        return json.loads(reply.body) if reply.body else None


def _with(target: str, name: str, value: str) -> str:
    return f"{target}{'&' if '?' in target else '?'}{name}={quote(value, safe='')}"
