"""Errors of the platform: each class carries the HTTP status and the machine-readable code."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


class BkError(Exception):
    """An error whose message may be shown to the client; `status` is the HTTP status.

    Keyword arguments become further fields of the JSON reply, for example `field="name"`.
    """

    status = 500
    code = ""
    retry_after = 0
    """Seconds after which trying again is sensible, 0 when it is not; a header of the reply."""
    private = False
    """The message is for the log: clients get a general one."""
    exit_code = 1
    """Of a command that ends with it."""

    def __init__(
        self, message: str, *, status: int | None = None, code: str | None = None, **extra: Any
    ) -> None:
        super().__init__(message)
        if status is not None:
            self.status = status
        if code is not None:
            self.code = code
        self.extra = extra

    @property
    def message(self) -> str:
        """What is wrong, for the log; `reply` says what of it a client sees."""
        return str(self.args[0]) if self.args else ""

    def reply(self) -> dict[str, Any]:
        """The JSON body that a client gets."""
        body: dict[str, Any] = {"status": self.status, "message": self.message}
        if self.private:
            body["message"] = GENERIC
        if self.code and not (self.private and self.status == 500):
            body["code"] = self.code
        return body if self.private else body | self.extra


MOST_ERRORS = 50
"""Wrong fields that one error names."""


class BadRequest(BkError):
    """The caller's input is wrong; the message names the field, table, column or operator.

    `errors=[{"field", "message", "code"}]` is for several wrong fields, at most `MOST_ERRORS`.
    """

    status = 400


class UsageError(BadRequest):
    """A command was not given what it takes."""

    exit_code = 2


class Denied(BkError):
    """The caller may not do this."""

    status = 403


class NotFound(BkError):
    """What was asked for is not there."""

    status = 404
    code = "NotFound"

    def __init__(self, message: str = "Record could not be found", **extra: Any) -> None:
        super().__init__(message, **extra)


class AlreadyExists(BkError):
    """Something with this key, or with a value that has to be unique, is there."""

    status = 409
    code = "AlreadyExists"

    def __init__(self, message: str = "Record already exists", **extra: Any) -> None:
        super().__init__(message, **extra)


class Changed(BkError):
    """The row is not what the caller expects of it: another write came first, or it is gone."""

    status = 412
    code = "PreconditionFailed"


class Conflict(BkError):
    """Another transaction changed the same rows; run the whole transaction again."""

    status = 409
    code = "Conflict"

    def __init__(
        self, message: str = "Another transaction got in the way, run this one again", **extra: Any
    ) -> None:
        super().__init__(message, **extra)


class Unsupported(BkError):
    """The database or transport cannot keep the guarantee that was asked for."""

    status = 501
    code = "Unsupported"


class Unavailable(BkError):
    """A server that we depend on cannot be reached now; trying again later is sensible."""

    status = 503
    code = "Unavailable"
    retry_after = 1


class Timeout(Unavailable):
    """No answer in time. A write may have happened or not."""

    code = "Timeout"


class DriverError(BkError):
    """Any other failure of a database or transport; the text is for the log, not for clients."""

    code = "DriverError"
    private = True


class Disconnected(Exception):
    """The client has gone: nobody reads what is sent, and nothing more will come."""


LIMITED = "Access limit reached, please try again later."


class Limited(BkError):
    """Too many requests; after `delay` ms there is room for another one."""

    status = 429

    def __init__(self, delay: float, message: str = LIMITED) -> None:
        super().__init__(message)
        self.retry_after = max(1, math.ceil(delay / 1000))


class StartError(BkError):
    """The process cannot start; the message says what, where and what to do, in the log only."""

    private = True


class ConfigurationError(StartError):
    """The configuration has problems: each says where it is and what is wrong."""

    def __init__(self, problems: Sequence[Any]) -> None:
        super().__init__("\n  ".join(["the configuration has errors:", *map(str, problems)]))
        self.problems = problems

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        """2 when only what was typed is wrong, 3 when a file or the environment is."""
        return 2 if all(p.source == "command line" for p in self.problems) else 3


class PluginError(StartError):
    """A plugin failed; the message names the plugin, its package and version, and the hook."""


GENERIC = "Internal error occured, please try again later"
"""What a client sees instead of an unexpected failure (the text of the 2018 protocol)."""
