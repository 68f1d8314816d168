"""The parameters of the core itself."""

from __future__ import annotations

import re
from typing import Final

from .params import Param

NOTHING: Final = re.compile(r"(?!)")
"""Matches no name at all."""

LOG_LEVELS: Final = (
    "test", "dev", "debug", "info", "notice", "log", "warn", "error", "none",
    "5", "4", "3", "2", "1", "0", "-1",
)  # fmt: skip

_SWITCHES = [
    Param(name, type="none", cmdline=True, descr=descr)
    for name, descr in {
        "help": "Show the parameters",
        "daemon": "Run in the background",
        "monitor": "Start and watch a master process",
        "master": "Start the servers and job workers",
        "web": "Serve requests",
        "shell": "Console and commands",
        "no-daemon": "Cancel -daemon",
        "no-monitor": "Cancel -monitor",
        "no-master": "Cancel -master",
    }.items()
]

_LOG = [
    Param("log", default="notice", values=LOG_LEVELS, early=True, descr="Log level"),
    Param("log-filter", early=True, descr="Debug labels to show at any level: +label,-label"),
    Param("log-file", type="path", novalue="log/message.log", early=True,
          descr="Log to this file, log/message.log when no name is given"),
    Param("err-file", type="path", default="log/error.log", early=True, live=False,
          descr="Where a background process writes what it cannot log"),
    Param("syslog", type="bool", default=False, early=True, descr="Log to syslog"),
    Param("console", type="bool", default=False, early=True,
          descr="Log to standard output, whatever log-file and syslog say"),
]  # fmt: skip

_DIRECTORIES = [
    Param("home", type="path", early=True, cmdline=True, live=False,
          descr="Home directory: $BKJS_HOME or ~/.bkjs; relative paths of files start here"),
    Param("conf-file", default="config", early=True, cmdline=True, live=False,
          descr="Configuration file; a bare name lies in etc-dir"),
    *(
        Param(f"{name}-dir", type="path", obj="path", strip="Dir", default=default, early=early,
              live=False, descr=descr)
        for name, default, early, descr in (
            ("etc", "etc", True, "Configuration and keys"),
            ("tmp", "tmp", False, "Temporary files"),
            ("spool", "var", False, "Files that change: local databases, pid files, sockets"),
            ("log", "log", True, "Log files; log-file and err-file stand for themselves"),
            ("files", "files", False, "Uploaded files"),
            ("images", "images", False, "Images"),
        )
    ),
    *(
        Param(f"{name}-path", type="path", obj="path", strip="Path", array=True, default=[name],
              early=name == "modules", live=name in ("web", "views"), descr=descr)
        for name, descr in (
            ("web", "Directories of static files, the first that has a file wins"),
            ("views", "Directories of templates and virtual hosts"),
            ("modules", "Directories of modules in single files"),
            ("locales", "Directories of translations"),
        )
    ),
    Param("umask", default="0002", early=True, live=False, descr="Octal file mode mask"),
    Param("tmp-watcher-(.+)", type="int", obj="tmp-watcher", nocamel=True,
          default={"tmp": 259200, "log": 1382400},
          descr="Seconds that files live in a directory of the home"),
]  # fmt: skip

_IDENTITY = [
    Param("role", default="", live=False, descr="Role of the process, for tests"),
    Param("uid", default="0", early=True, live=False, descr="User, by id or name, to run as"),
    Param("gid", default="0", early=True, live=False, descr="Group, by id or name, to run as"),
    Param("force-uid", type="bool", default=False, early=True, live=False,
          descr="Change to uid as early as possible"),
    Param("worker", type="bool", default=False, live=False,
          descr="Leave the making of directories to another process"),
    Param("app-name", default="", early=True, live=False,
          descr="Name of the application, also name-version or name/version"),
    Param("app-package", default="", early=True, live=False,
          descr="Package whose metadata name the application"),
    Param("run-mode", default="development", dns=True, early=True, live=False,
          descr="development, production, …: chooses settings of the database"),
    Param("instance-(tag|region|zone)", obj="instance", early=True, live=False,
          default={"tag": "", "region": "", "zone": ""},
          descr="Tag, region and zone of this machine instead of what the cloud says"),
    Param("instance-job", type="bool", obj="instance", live=False,
          descr="This machine was started for one job"),
    Param("host-name", default="", live=False, descr="Host name instead of the system's"),
    Param("config-domain", default="", early=True, live=False,
          descr="Domain whose TXT records hold parameters"),
    Param("locales", type="list", array=True, default=[], live=False,
          descr="Languages, as in en,es"),
]  # fmt: skip

_PLUGINS = [
    Param("app", type="path", early=True, live=False, descr="Python file of the application"),
    Param("allow-packages", type="list", array=True, default=[], early=True, live=False,
          descr="Installed packages whose etc, modules, views, web and locales are used"),
    Param("allow-modules", type="regexp", obj="allow-modules", make="$1", early=True, live=False,
          default=r"^(bk_accounts|bk_icons)$", descr="Modules to load, a pattern of their names"),
    Param("allow-modules-([a-z]+)", type="regexp", obj="allow-modules", make="$1", early=True,
          live=False, descr="Modules to load in one role",
          default={"monitor": NOTHING, "master": NOTHING, "server": NOTHING,
                   "shell": re.compile(".+")}),
    Param("deny-modules", type="regexp", obj="deny-modules", make="$1", early=True, live=False,
          descr="Modules never to load"),
    Param("deny-modules-([a-z]+)", type="regexp", obj="deny-modules", make="$1", early=True,
          live=False, descr="Modules never to load in one role"),
    Param("no-modules", type="bool", default=False, early=True, live=False,
          descr="Load no modules"),
    Param("no-configure", type="bool", default=False, live=False, descr="Configure no plugins"),
    Param("no-db", type="bool", default=False, live=False, descr="Open no databases"),
    Param("no-dns", type="bool", default=False, live=False, descr="Read no parameters from DNS"),
    Param("no-locales", type="bool", default=False, live=False, descr="Read no translations"),
    Param("no-web", type="bool", default=False, live=False, descr="The master starts no server"),
    Param("no-watch", type="regexp", novalue=r"(?!)",
          descr="Cancel -watch; with a value, names of files that -watch does not look at"),
    Param("watch", type="path", attr="watchdirs", array=True, novalue=".", live=False,
          descr="Restart when files of these directories change, for development"),
    Param("reload", type="bool", default=False, live=False,
          descr="Restart when source files change, for development"),
]  # fmt: skip

_LISTEN = [
    Param("port", type="number", min=0, default=8000, live=False, descr="HTTP port, 0 for none"),
    Param("bind", default="127.0.0.1", live=False, descr="Address to listen on"),
    Param("backlog", type="int", min=1, default=511, live=False,
          descr="Connections that may wait to be accepted"),
    Param("timeout", type="number", min=0, max=3600000, default=30000,
          descr="ms that an idle connection stays open"),
    Param("concurrency", type="number", min=1, max=4, default=2,
          descr="Tasks done at the same time where that is sensible"),
    Param("ws-port", type="number", min=0, obj="ws", default=0, live=False,
          descr="WebSocket port; the same as port shares it"),
    Param("ws-bind", obj="ws", default="127.0.0.1", live=False, descr="Address for WebSockets"),
    Param("ssl-port", type="number", min=0, obj="ssl", default=443, live=False,
          descr="HTTPS port; used when there is a key"),
    Param("ssl-bind", obj="ssl", default="127.0.0.1", live=False, descr="Address for HTTPS"),
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
    Param("ssl-passphrase", obj="ssl", secret=True, live=False, descr="Of the private key"),
    Param("ssl-ciphers", obj="ssl", live=False, descr="Ciphers, as OpenSSL names them"),
    Param("ssl-request-cert", type="bool", obj="ssl", live=False,
          descr="Ask clients for a certificate"),
    Param("ssl-reject-unauthorized", type="bool", obj="ssl", live=False,
          descr="Refuse clients without a valid certificate"),
    Param("proxy-port", type="number", min=0, obj="proxy", default=0, live=False,
          descr="First port of web workers behind the server's own proxy, 0 for no proxy"),
    Param("proxy-bind", obj="proxy", default="127.0.0.1", live=False,
          descr="Address of web workers behind the proxy"),
    Param("proxy-ssl", type="bool", obj="proxy", default=False, live=False,
          descr="The proxy also listens on ssl-port"),
    Param("repl-port-([a-z]+)", type="number", obj="repl", make="$1Port", min=1001, live=False,
          descr="Console port of a role: server, master, web, worker"),
    Param("repl-bind", obj="repl", default="127.0.0.1", live=False, descr="Address of consoles"),
    Param("repl-file", obj="repl", default=".history", descr="History of the shell, in the home"),
]  # fmt: skip

_SERVER = [
    Param("server-max-processes", type="int", min=-16, max=16, default=1,
          descr="Web workers; 0 for all processors but one, -N for N per processor"),
    Param("server-crash-delay", type="number", min=0, max=30000, default=30000,
          descr="Longest wait in ms before a crashed process is started again"),
    Param("server-restart-delay", type="number", min=0, max=30000, default=1000,
          descr="ms between a change of files and the restart"),
    Param("server-no-restart", type="bool", default=False, descr="Restart no dead processes"),
    Param("server-log-errors", type="bool", default=False,
          descr="Log what child processes print, line by line"),
    Param("server-process-name", default="", live=False,
          descr="Program that the monitor starts instead of this one"),
    Param("server-process-args", type="list", default=[], live=False,
          descr="Arguments of the interpreter for started processes"),
    Param("server-worker-args", type="list", default=[], live=False,
          descr="Arguments of the interpreter for web workers"),
]  # fmt: skip

_LOG_WATCHER = [
    Param("logwatcher-from", default="", descr="Sender of alerts"),
    Param("logwatcher-interval", type="number", min=1, default=60, descr="Minutes between looks"),
    Param("logwatcher-any-range", type="number", min=1, default=5,
          descr="Lines that belong together"),
    Param("logwatcher-match-([a-z]+)", obj="logwatcher-match", array=True,
          default={"error": [r"[\]:] (ERROR|ALERT|EMERG|CRIT): "],
                   "warning": [r"[\]:] (WARNING|WARN): "]},
          descr="Patterns of lines that go to a channel"),
    Param("logwatcher-ignore-([a-z]+)", obj="logwatcher-ignore", array=True,
          descr="Patterns of lines that do not go to a channel"),
    Param("logwatcher-send-([a-z]+)", obj="logwatcher-send", descr="Where a channel sends alerts"),
    Param("logwatcher-file", obj="logwatcher-file", make="$1", array=True,
          descr="More files to watch"),
    Param("logwatcher-file-([a-z]+)", obj="logwatcher-file", make="$1", array=True,
          descr="More files to watch, whose lines all go to a channel"),
]  # fmt: skip

_CLIENTS = [
    Param("user-agent", array=True, default=[], descr="User-Agent of requests that we send"),
    Param("backend-host", default="", descr="URL that relative requests go to"),
    Param("backend-login", default="", descr="Account that signs requests"),
    Param("backend-secret", default="", secret=True, descr="Secret that signs requests"),
    Param("email-from", default="admin", descr="Sender of mail"),
    Param("email-transport", default="", descr="ses: or sendgrid://?key=KEY instead of SMTP"),
    Param("smtp-(.+)", obj="smtp", descr="SMTP server: host, port, user, password, ssl, tls"),
]  # fmt: skip

CORE_PARAMS: Final = [
    *_SWITCHES, *_LOG, *_DIRECTORIES, *_IDENTITY, *_PLUGINS, *_LISTEN, *_SERVER, *_LOG_WATCHER,
    *_CLIENTS,
]  # fmt: skip


def app_identity(text: str) -> tuple[str, str]:
    """The name and version in `name`, `name-version` or `name/version`."""
    name, *version = re.split("[-/]", text, maxsplit=2)
    return name, version[0] if version else ""
