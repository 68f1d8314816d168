"""Parameters without a prefix that belong to several services: addresses, processes, mail."""

from __future__ import annotations

from functools import partial

from bkjs.core.config import Param
from bkjs.core.hookspecs import hookimpl

settings = "core"

_fixed = partial(Param, live=False)


@hookimpl
def args() -> list[Param]:
    return STANDARD_PARAMS


_LISTEN = [
    _fixed("port", "number", 8000, "HTTP port, 0 for none", min=0),
    _fixed("bind", "", "127.0.0.1", "Address to listen on"),
    _fixed("backlog", "int", 511, "Connections that may wait to be accepted", min=1),
    Param("timeout", "number", 30000, "ms that an idle connection stays open", min=0, max=3600000),
    Param("concurrency", "number", 2, "Tasks done at the same time where that is sensible", min=1,
          max=4),
    _fixed("ws-port", "number", 0, "WebSocket port; the same as port shares it", min=0, obj="ws"),
    _fixed("ws-bind", "", "127.0.0.1", "Address for WebSockets", obj="ws"),
    _fixed("ssl-port", "number", 443, "HTTPS port; used when there is a key", min=0, obj="ssl"),
    _fixed("ssl-bind", "", "127.0.0.1", "Address for HTTPS", obj="ssl"),
    *(
        Param(f"ssl-{name}", type="path", obj="ssl", array=array, live=False, descr=descr)
        for name, array, descr in (
            ("key", False, "File of the private key"),
            ("cert", False, "File of the certificate chain"),
            ("pfx", False, "File of key and certificate in PKCS 12"),
            ("ca", True, "Files of authorities that clients' certificates come from"),
            ("crl", True, "Files of revoked certificates"),
        )
    ),
    _fixed("ssl-passphrase", "", None, "Of the private key", obj="ssl", secret=True),
    _fixed("ssl-ciphers", "", None, "Ciphers, as OpenSSL names them", obj="ssl"),
    _fixed("ssl-request-cert", "bool", None, "Ask clients for a certificate", obj="ssl"),
    _fixed("ssl-reject-unauthorized", "bool", None, "Refuse clients without a valid certificate",
           obj="ssl"),
    _fixed("proxy-port", "number", 0,
           "First port of web workers behind the server's own proxy, 0 for no proxy", min=0,
           obj="proxy"),
    _fixed("proxy-bind", "", "127.0.0.1", "Address of web workers behind the proxy", obj="proxy"),
    _fixed("proxy-ssl", "bool", False, "The proxy also listens on ssl-port", obj="proxy"),
    _fixed("repl-port-([a-z]+)", "number", None,
           "Console port of a role: server, master, web, worker", obj="repl", make="$1Port",
           min=1001),
    _fixed("repl-bind", "", "127.0.0.1", "Address of consoles", obj="repl"),
    Param("repl-file", "", ".history", "History of the shell, in the home", obj="repl"),
]  # fmt: skip

_SERVER = [
    Param("server-max-processes", "int", 1,
          "Web workers; 0 for all processors but one, -N for N per processor", min=-16, max=16),
    Param("server-crash-delay", "number", 30000,
          "Longest wait in ms before a crashed process is started again", min=0, max=30000),
    Param("server-restart-delay", "number", 1000, "ms between a change of files and the restart",
          min=0, max=30000),
    Param("server-no-restart", "bool", False, "Restart no dead processes"),
    Param("server-log-errors", "bool", False, "Log what child processes print, line by line"),
    _fixed("server-process-name", "", "", "Program that the monitor starts instead of this one"),
    _fixed("server-process-args", "list", [], "Arguments of the interpreter for started processes"),
    _fixed("server-worker-args", "list", [], "Arguments of the interpreter for web workers"),
]  # fmt: skip

_LOG_WATCHER = [
    Param("logwatcher-from", "", "", "Sender of alerts"),
    Param("logwatcher-interval", "number", 60, "Minutes between looks", min=1),
    Param("logwatcher-any-range", "number", 5, "Lines that belong together", min=1),
    Param("logwatcher-match-([a-z]+)", "",
          {"error": [r"[\]:] (ERROR|ALERT|EMERG|CRIT): "], "warning": [r"[\]:] (WARNING|WARN): "]},
          "Patterns of lines that go to a channel", obj="logwatcher-match", array=True),
    Param("logwatcher-ignore-([a-z]+)", "", None, "Patterns of lines that do not go to a channel",
          obj="logwatcher-ignore", array=True),
    Param("logwatcher-send-([a-z]+)", "", None, "Where a channel sends alerts",
          obj="logwatcher-send"),
    Param("logwatcher-file", "", None, "More files to watch", obj="logwatcher-file", make="$1",
          array=True),
    Param("logwatcher-file-([a-z]+)", "", None,
          "More files to watch, whose lines all go to a channel", obj="logwatcher-file", make="$1",
          array=True),
]  # fmt: skip

_CLIENTS = [
    Param("user-agent", "", [], "User-Agent of requests that we send", array=True),
    Param("backend-host", "", "", "URL that relative requests go to"),
    Param("backend-login", "", "", "Account that signs requests"),
    Param("backend-secret", "", "", "Secret that signs requests", secret=True),
    Param("email-from", "", "admin", "Sender of mail"),
    Param("email-transport", "", "", "ses: or sendgrid://?key=KEY instead of SMTP"),
    Param("smtp-(.+)", "", None, "SMTP server: host, port, user, password, ssl, tls", obj="smtp"),
]  # fmt: skip

STANDARD_PARAMS = [*_LISTEN, *_SERVER, *_LOG_WATCHER, *_CLIENTS]
