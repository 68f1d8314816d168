"""Numbers of the requests of this process: counts and times, as whole and by path."""

from __future__ import annotations

from typing import Any

from bkjs.web.endpoint import Endpoint


class PathCounts:
    """What happened on the paths of one name."""

    __slots__ = ("bad", "err", "ok", "total")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin to count anew."""
        self.ok = self.bad = self.err = 0
        self.total = 0.0


class Traffic:
    """Counters that a request only adds to; `snapshot` gives them their names and starts anew."""

    def __init__(self, parts: Any) -> None:
        """`parts` is the setting that says how many parts of a path its name has."""
        self._parts = parts
        self.running = 0
        self.counters: dict[str, int] = {}
        self.paths: dict[str, PathCounts] = {}
        self._by_endpoint: dict[Endpoint, PathCounts] = {}
        self._reset()

    def _reset(self) -> None:
        self.requests = 0
        self.most_running = 0
        self.seconds = self.slowest = 0.0
        self.statuses: dict[int, int] = {}

    def count(self, name: str) -> None:
        """One more of a named event, such as a refusal for overload."""
        self.counters[name] = self.counters.get(name, 0) + 1

    def done(self, endpoint: Endpoint | None, status: int, seconds: float) -> None:
        """A request was answered."""
        self.requests += 1
        self.seconds += seconds
        if seconds > self.slowest:
            self.slowest = seconds
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if endpoint is None:
            return
        paths = self._by_endpoint.get(endpoint)
        if paths is None:
            name = self.name(endpoint.path)
            paths = self._by_endpoint[endpoint] = self.paths.setdefault(name, PathCounts())
        if status < 400:
            paths.ok += 1
            paths.total += seconds
        elif status >= 500:
            paths.err += 1
        elif status != 404:
            paths.bad += 1

    def name(self, path: str) -> str:
        """`url_account_get` for `/account/get/{id}`: so many parts as configured, usually two."""
        parts = path[1:].replace(":path}", "}").split("/")
        count = int(self._parts.get(parts[0], 2))
        return "url_" + "_".join(part.strip("{}").replace("_", "__") for part in parts[:count])

    def snapshot(self) -> dict[str, float]:
        """The counts since the last call, by the names of the statistics on the wire."""
        by_class = dict.fromkeys((4, 5), 0)
        for status, count in self.statuses.items():
            if status // 100 in by_class and status != 404:
                by_class[status // 100] += count
        requests = self.requests
        values: dict[str, float] = {
            "api_nreq": self.running,
            "api_req_0": requests,
            "api_req_hmean": 1000 * self.seconds / requests if requests else 0,
            "api_req_hmax": 1000 * self.slowest,
            "api_que_hmax": self.most_running,
            "api_bad_0": by_class[4],
            "api_err_0": by_class[5],
        }
        values |= {f"api_{status}_0": count for status, count in self.statuses.items()}
        values |= {f"{name}_0": count for name, count in self.counters.items()}
        for name, paths in self.paths.items():
            if paths.ok or paths.bad or paths.err:
                mean = 1000 * paths.total / paths.ok if paths.ok else 0
                values |= {f"{name}_0": paths.ok, f"{name}_hmean": mean}
                values |= {f"{name}_bad_0": paths.bad, f"{name}_err_0": paths.err}
                paths.reset()
        self.counters.clear()
        self._reset()
        return values
