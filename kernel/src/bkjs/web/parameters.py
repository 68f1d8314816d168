"""Parameters of the web service; on the command line and in files they begin with `api-`."""

from __future__ import annotations

import re

from bkjs.config import Param
from bkjs.lib.patterns import to_regexp_map

ALLOW = (
    r"^/$", r"\.html$",
    r"\.ico$", r"\.gif$", r"\.png$", r"\.jpg$", r"\.jpeg$", r"\.svg$",
    r"\.ttf$", r"\.eof$", r"\.woff$", r"\.woff2$", r"\.js$", r"\.css$",
    "^/js/", "^/css/", "^/fonts/", "^/public/",
    "^/account/add$", "^/login$", "^/logout$", "^/ping$",
)  # fmt: skip
"""Paths that need no account. Rules about suffixes and these four folders open static files only,
no endpoint and no route."""

PLATFORMS = {"darwin|cfnetwork|iphone|ipad": "ios", "android": "android"}

_ORIGIN = re.compile(r"\*|https?://[^/?#\s]+")


def _no_network(text: str) -> str:
    from ipaddress import ip_network

    try:
        ip_network(text, strict=False)
    except ValueError:
        return f"{text!r} is no address or network; write 10.0.0.1 or 10.0.0.0/8"
    return ""


def _no_origin(text: str) -> str:
    return "" if _ORIGIN.fullmatch(text) else f"{text!r} is no origin; write https://example.com"


KB, MB = 1024, 1024 * 1024
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000

PARAMS = [
    # -- limits of a request and a connection
    Param("max-headers", type="int", default=100, min=10, descr="Headers of a request"),
    Param("max-header-size", type="int", default=16 * KB, min=KB, descr="Bytes of all headers"),
    Param("max-url", type="int", default=8 * KB, min=256, descr="Bytes of a URL; more is a 414"),
    Param("max-fields", type="int", default=1000, min=1, descr="Parameters of a URL or form"),
    Param("json-limit", type="int", default=MB, min=KB, descr="Bytes of a JSON or form body"),
    Param("json-depth", type="int", default=64, min=1, descr="Levels of a JSON body"),
    Param("json-keys", type="int", default=10_000, min=1, descr="Keys of a JSON body, all levels"),
    Param("json-items", type="int", default=20_000, min=1,
          descr="Items of all lists of a JSON body: each may be wrong, and is described then"),
    Param(
        "upload-limit", type="int", default=10 * MB, min=MB, max=100 * MB,
        descr="Bytes of any body; an endpoint may set its own limit",
    ),
    Param("max-parts", type="int", default=100, min=1, descr="Parts of a multipart form"),
    Param("gzip-limit", type="int", default=0, min=0, max=100 * MB,
          descr="Accept gzip bodies that unpack to at most so many bytes; 0 refuses them"),
    Param("header-timeout", type="int", default=10_000, min=100, descr="ms until all headers came"),
    Param("body-timeout", type="int", default=30_000, min=100,
          descr="ms that a body may take before it must keep up body-min-rate"),
    Param("body-min-rate", type="int", default=KB, min=1, descr="Bytes per second of slow bodies"),
    Param("read-timeout", type="int", default=60_000, min=100,
          descr="ms that a client may take none of its answer"),
    Param("keepalive-timeout", type="int", default=65_000, min=100,
          descr="ms that an idle connection stays open; longer than any proxy in front keeps it"),
    Param("timeout", type="int", default=30_000, min=0, descr="ms for a handler, 0 for no limit"),
    Param("shutdown-timeout", type="int", default=30_000, min=0,
          descr="ms that running requests may take at a shutdown"),
    Param("max-connections", type="int", default=10_000, min=1, descr="Open connections in all"),
    Param("max-connections-ip", type="int", default=256, min=0,
          descr="Open connections from one address, 0 for any number"),
    Param("trusted-proxies", type="list", default=(), check=_no_network,
          descr="Addresses or networks whose X-Forwarded headers count"),
    Param("hosts", type="list", default=(),
          descr="Host names that are served, *.name for all below; any when empty"),
    Param("ws-max-frame", type="int", default=MB, min=KB, descr="Bytes of a WebSocket frame"),
    Param("ws-max-requests", type="int", default=100, min=1,
          descr="Requests of one WebSocket that may run at the same time"),
    Param("ws-max-rate", type="int", default=100, min=1,
          descr="Frames that one WebSocket may send in a second, twice as many at once"),
    # -- overload
    Param("max-latency", type="int", default=1000, min=0,
          descr="Delay of the event loop in ms above which requests get 503, 0 for any"),
    Param("max-cpu-util", type="int", default=0, min=0, max=100,
          descr="Percent of all processors above which requests get 503, 0 for any"),
    Param("max-memory-rss", type="int", default=0, min=0,
          descr="Memory of the process in bytes above which requests get 503, 0 for any"),
    Param("max-memory-heap", type="int", default=0, min=0,
          descr="The same as max-memory-rss, which Python cannot tell apart"),
    Param("max-request-queue", type="int", default=0, min=0,
          descr="Running requests from which on more get 503, 0 for any number"),
    # -- logs and statistics
    Param("no-access-log", type="bool", default=False, descr="Write no access log"),
    Param("access-log-file", default="",
          descr="File of the access log, relative to the log directory; else it goes to the log"),
    Param("access-log-fields", type="list", default=(),
          descr="More columns: q:name of the query, h:name of headers, a:name of the account"),
    Param("errlog-limiter-max", type="int", default=100, descr="Logged failures per interval"),
    Param("errlog-limiter-interval", type="int", default=30_000, descr="That interval, in ms"),
    Param("errlog-limiter-ignore", type="regexp",
          default="Range Not Satisfiable|Precondition Failed", descr="Failures not logged"),
    Param("error-message", default="", descr="Text of unexpected failures instead of the usual"),
    Param("url-metrics-(.+)", type="int", obj="url_metrics", nocamel=True, default={"image": 2},
          descr="How many parts of a path its metrics are named after, by first part; usually 2"),
    # -- static files
    Param("no-static", type="bool", default=False, descr="Serve no static files"),
    Param("static-options-(.+)", autotype=True, obj="static_options", nocamel=True,
          default={"max-age": HOUR, "dotfiles": False, "index": "index.html"},
          descr="max-age in ms, dotfiles, index"),
    Param("vhost-path-(.+)", type="regexp", obj="vhost_path", nocamel=True, regexp="i",
          descr="Static files of hosts that match come from the folder of this name"),
    Param("no-vhost-path", type="regexpobj", descr="Paths that are the same on all hosts"),
    Param("no-cache-files", type="regexpobj", descr="Static files that clients must not keep"),
    Param("mime-map-(.+)", obj="mime_map", nocamel=True,
          descr="Content type of static files by suffix"),
    # -- who may call what, and from where
    Param("compat", type="list", default=(),
          descr="What the 2018 protocol needs at the cost of safety: v1 v5 status tokens bad-json"
          " values missing secrets; 2018 for all"),
    Param("allow", type="regexpobj", default=ALLOW, descr="Paths that need no account; adds"),
    Param("allow-path", type="regexpobj", attr="allow", descr="The same as allow"),
    Param("allow-ip", type="regexpobj", set=True,
          descr="Addresses that need no account; browsers only if they call a host in hosts, an IP"
          " address or localhost"),
    Param("ignore-allow", type="regexpobj",
          descr="Paths that need an account whatever allow and allow-ip say"),
    Param("ignore-allow-path", type="regexpobj", attr="ignore-allow",
          descr="The same as ignore-allow"),
    Param("allow-anonymous", type="regexpobj", descr="Paths where the account is optional"),
    Param("allow-authenticated", type="regexpobj", descr="Paths open to every account"),
    Param("allow-admin", type="regexpobj", descr="Paths for administrators only"),
    Param("allow-account-(.+)", type="regexpobj", obj="allow_account", nocamel=True,
          descr="Paths only for accounts of this type"),
    Param("deny-account-(.+)", type="regexpobj", obj="deny_account", nocamel=True,
          descr="Paths closed to accounts of this type"),
    Param("deny", type="regexpobj", set=True, descr="Paths closed to all"),
    Param("deny-path", type="regexpobj", attr="deny", descr="The same as deny, but adds"),
    Param("deny-ip", type="regexpobj", set=True, descr="Addresses that are refused"),
    Param("disable-session", type="regexpobj", descr="Paths where session cookies do not count"),
    Param("allow-ssl", type="regexpobj", descr="Paths that are refused without TLS"),
    Param("redirect-ssl", type="regexpobj", descr="Paths redirected to https"),
    Param("redirect-url", type="regexpmap", default=(),
          descr="Where to redirect hosts and URLs that match; @HOST@ @PATH@ @URL@ are filled in"),
    Param("routing-(.+)", type="regexpobj", obj="routing", nocamel=True, reverse=True,
          descr="Another path for paths that match: routing-PATTERN PATH"),
    Param("cors-origin", type="list", default=(), check=_no_origin,
          descr="Origins of other sites that may call, or * for all, then without cookies"),
    Param("cors-max-age", type="int", default=600, min=0, descr="Seconds to remember a preflight"),
    Param("platform-match", type="regexpmap", regexp="i",
          default=to_regexp_map(None, PLATFORMS, flags="i"), descr="Platform by User-Agent"),
    Param("app-header-name", default="bk-app", descr="Header with the name of the application"),
    Param("version-header-name", default="bk-version", descr="Header with the protocol's version"),
    Param("tz-header-name", default="bk-tz", descr="Header with the time zone in minutes"),
    Param("lang-header-name", default="bk-lang", descr="Header with the language"),
    # -- signatures, tokens and sessions
    Param("no-signature", type="bool", default=False, descr="Authenticate nobody"),
    Param("signature-header-name", default="bk-signature",
          descr="Header and parameter of the signature"),
    Param("signature-age", type="int", default=0, min=0,
          descr="ms that a signature may be expired, for clocks that are wrong"),
    Param("signature-max-age", type="int", default=7 * DAY, min=MINUTE,
          descr="ms that the expiry of a signature may lie ahead"),
    Param("require-body-checksum", type="bool", default=False,
          descr="Refuse signed JSON bodies without a checksum"),
    Param("access-token-name", default="bk-access-token",
          descr="Header and parameter of the access token"),
    Param("access-token-secret", default="", secret=True, live=False,
          descr="Key of access tokens, 32 bytes at least; else a generated one"),
    Param("access-token-age", type="int", default=7 * DAY, min=MINUTE,
          descr="ms that an access token lives"),
    Param("no-session", type="bool", default=False, descr="No session cookies"),
    Param("session-age", type="int", default=14 * DAY, min=MINUTE, descr="ms that a session lives"),
    Param("session-idle", type="int", default=7 * DAY, min=MINUTE,
          descr="ms without a request after which a session ends"),
    Param("session-secret", default="", secret=True, live=False,
          descr="Key of sessions, 32 bytes at least; else a generated one"),
    Param("query-token-secret", default="", secret=True,
          descr="Secret, or column of the account, of next tokens made by the 2018 protocol"),
    Param("salt", default="", secret=True, descr="Reserved"),
    Param("secret-policy", type="regexpmap", default=[],
          descr="Patterns that a password must match besides its 8 characters, and what to say"),
    # -- rates
    Param("rlimits-rate-(.+)", type="number", obj="rlimits_rate", nocamel=True,
          descr="Requests per interval by ip, login, id, a path /a/b or another name"),
    Param("rlimits-max-(.+)", type="number", obj="rlimits_max", nocamel=True,
          descr="Requests at once, by the same names; the rate by default"),
    Param("rlimits-interval-(.+)", type="int", obj="rlimits_intervals", make="$1", nocamel=True,
          descr="The interval in ms, by the same names"),
    Param("rlimits-total", type="int", default=0, min=0,
          descr="Servers behind the balancer: rates and maxima are divided by it"),
    Param("rlimits-interval", type="int", default=1000, min=1, descr="Usual interval in ms"),
    Param("mime-body", type="list", default=(), descr="Content types whose bodies are read raw"),
    Param("mime-ignore", type="list", default=(), descr="Content types that are never parsed"),
    # -- read by services and modules that are not here yet, so that configurations may have it
    Param("collect-host", default="", descr="Where statistics go: pool, or a URL"),
    Param("collect-pool", default="", descr="Database pool of bk_collect"),
    Param("collect-interval", type="int", default=30, min=1, descr="Seconds between samples"),
    Param("collect-send-interval", type="int", default=300, min=1, descr="Seconds between reports"),
    Param("limiter-queue", default="local", descr="Queue client that keeps the buckets"),
    Param("subscribe-timeout", type="int", default=1_800_000, min=MINUTE, max=HOUR,
          descr="ms that a long poll waits"),
    Param("subscribe-interval", type="int", default=3000, min=0, max=HOUR,
          descr="ms that events are collected before they are sent"),
    Param("no-templating", type="bool", default=False, descr="Render no templates"),
    Param("templating", default="", descr="Template engine"),
    Param("images-url", default="", descr="What URLs of images begin with"),
    Param("images-s3", default="", descr="Bucket that keeps the images instead of the disk"),
    Param("images-raw", type="bool", default=False, descr="URLs of images are storage paths"),
    Param("images-s3-options", type="json", descr="expires, key, secret for signed URLs"),
    Param("images-ext", default="jpg", descr="Usual suffix of images"),
    Param("files-url", default="", descr="What URLs of files begin with"),
    Param("files-s3", default="", descr="Bucket that keeps the files instead of the disk"),
    Param("files-raw", type="bool", default=False, descr="URLs of files are storage paths"),
    # -- what only the reference needs
    Param("access-time-interval", type="int", default=0, min=0,
          descr="Without effect: when an account was used last is not kept"),
    Param("express-options", type="json", descr="Without effect; see trusted-proxies"),
    Param("exit-on-error", type="bool", default=False,
          descr="Without effect: a handler that fails ends no process"),
    Param("proxy-reverse", default="", descr="Without effect: workers share one socket"),
    Param("proxy-url-(.+)", obj="proxy_url", nocamel=True, descr="Without effect"),
    Param("proxy-host-(.+)", obj="proxy_host", nocamel=True, descr="Without effect"),
]  # fmt: skip
