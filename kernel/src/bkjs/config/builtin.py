"""The parameters that the core needs itself: home, files, identity, plugins, log."""

from __future__ import annotations

import re
from typing import Any, Final

from bkjs.lib.convert import str_split
from bkjs.log import LEVELS, NUMBERS

from .param import Param

NOTHING: Final = re.compile(r"(?!)")
"""Matches no name at all."""

_UMASK: Final = re.compile("[0-7]{0,4}")


def wrong_umask(text: str) -> str:
    """What is wrong with a mask of file modes; "" when nothing is."""
    return "" if _UMASK.fullmatch(text) else "not an octal mask; write it as in 0027"


def _switch(name: str, descr: str) -> Param:
    """A word of the command line that stores nothing."""
    return Param(name, "none", None, descr, cmdline=True)


def wrong_labels(text: str) -> str:
    """What is wrong with debug labels; "" when each begins with its sign."""
    unsigned = [label for label in str_split(text) if label[0] not in "+-"]
    return f"a label begins with + or -; write +{unsigned[0]}" if unsigned else ""


def _fixed(name: str, type: str, default: Any, descr: str, **options: Any) -> Param:
    """A parameter that counts from the next start."""
    return Param(name, type, default, descr, live=False, **options)


def _early(name: str, type: str, default: Any, descr: str, **options: Any) -> Param:
    """A parameter that plugins are loaded by, which counts from the next start."""
    return Param(name, type, default, descr, live=False, early=True, **options)


CORE_PARAMS: Final = [
    # -- what the process does
    _switch("help", "Show the parameters"),
    _switch("daemon", "Run in the background"),
    _switch("monitor", "Start and watch a master process"),
    _switch("master", "Start the servers and job workers"),
    _switch("web", "Serve requests"),
    _switch("shell", "Console and commands"),
    _switch("no-daemon", "Cancel -daemon"),
    _switch("no-monitor", "Cancel -monitor"),
    _switch("no-master", "Cancel -master"),
    # -- log
    Param("log", "", "notice", "Log level", values=(*LEVELS, *map(str, NUMBERS)), early=True),
    Param("log-filter", "", None, "Debug labels to show at any level: +label,-label", early=True,
          check=wrong_labels),
    Param("log-file", "path", None, "Log to this file, log/message.log when no name is given",
          novalue="log/message.log", early=True),
    _early("err-file", "path", "log/error.log",
           "Where a background process writes what it cannot log"),
    Param("syslog", "bool", False, "Log to syslog", early=True),
    Param("console", "bool", False, "Log to standard output, whatever log-file and syslog say",
          early=True),
    # -- directories and files
    _early("home", "path", None,
           "Home directory: $BKJS_HOME or ~/.bkjs; relative paths of files start here",
           cmdline=True),
    _early("conf-file", "", "config", "Configuration file; a bare name lies in etc-dir",
           cmdline=True),
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
    _early("umask", "", "", "Octal mask of file modes instead of the one that is inherited",
           check=wrong_umask),
    Param("tmp-watcher-(.+)", "int", {"tmp": 259200, "log": 1382400},
          "Seconds that files live in a directory of the home", obj="tmp-watcher", nocamel=True),
    # -- what and who the process is
    _early("role", "", "", "Role of the process, for tests"),
    _early("uid", "", "0", "User, by id or name, that a process started by root becomes"),
    _early("gid", "", "0", "Group, by id or name, instead of the user's own"),
    _early("force-uid", "bool", False, "Become uid before plugins are loaded and ports opened"),
    _early("worker", "bool", False, "Leave the making of directories to another process"),
    _early("app-name", "", "", "Name of the application, also name-version or name/version"),
    _early("app-package", "", "", "Installed package whose metadata name the application"),
    _early("run-mode", "", "development",
           "development, production, …: chooses settings of the database", dns=True),
    _early("instance-(tag|region|zone)", "", {"tag": "", "region": "", "zone": ""},
           "Tag, region and zone of this machine instead of what the cloud says", obj="instance"),
    _fixed("instance-job", "bool", None, "This machine was started for one job", obj="instance"),
    _fixed("host-name", "", "", "Host name instead of the system's"),
    _early("config-domain", "", "", "Domain whose TXT records hold parameters"),
    _fixed("locales", "list", [], "Languages, as in en,es", array=True),
    # -- plugins
    _early("app", "path", None, "Python file of the application"),
    _early("allow-packages", "list", [],
           "Installed packages whose etc, modules, views, web and locales are used", array=True),
    _early("allow-modules", "regexp", r"^(bk_accounts|bk_icons)$",
           "Modules to load, a pattern of their names", obj="allow-modules", make="$1"),
    _early("allow-modules-([a-z]+)", "regexp",
           {"monitor": NOTHING, "master": NOTHING, "server": NOTHING, "shell": re.compile(".+")},
           "Modules to load in one role", obj="allow-modules", make="$1"),
    _early("deny-modules", "regexp", None, "Modules never to load", obj="deny-modules", make="$1"),
    _early("deny-modules-([a-z]+)", "regexp", None, "Modules never to load in one role",
           obj="deny-modules", make="$1"),
    _early("no-modules", "bool", False, "Load no modules"),
    _fixed("no-configure", "bool", False, "Configure no plugins"),
    _fixed("no-db", "bool", False, "Open no databases"),
    _fixed("no-dns", "bool", False, "Read no parameters from DNS"),
    _fixed("no-locales", "bool", False, "Read no translations"),
    _fixed("no-web", "bool", False, "The master starts no server"),
    _fixed("no-watch", "regexp", None,
           "Names of files that -watch and -reload do not look at, without a value all",
           novalue=".*"),
    _fixed("watch", "path", [], "Restart when files of these directories change, for development",
           attr="watchdirs", array=True, novalue="."),
    _fixed("reload", "bool", False, "Restart when source files change, for development"),
    # -- ports
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
    _fixed("ssl-key", "path", None, "File of the private key", obj="ssl"),
    _fixed("ssl-cert", "path", None, "File of the certificate chain", obj="ssl"),
    _fixed("ssl-pfx", "path", None, "File of key and certificate in PKCS 12", obj="ssl"),
    _fixed("ssl-ca", "path", None, "Files of authorities that clients' certificates come from",
           obj="ssl", array=True),
    _fixed("ssl-crl", "path", None, "Files of revoked certificates", obj="ssl", array=True),
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
    # -- child processes
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
    # -- alerts of the log
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
    # -- what we ask of others
    Param("user-agent", "", [], "User-Agent of requests that we send", array=True),
    Param("backend-host", "", "", "URL that relative requests go to"),
    Param("backend-login", "", "", "Account that signs requests"),
    Param("backend-secret", "", "", "Secret that signs requests", secret=True),
    Param("email-from", "", "admin", "Sender of mail"),
    Param("email-transport", "", "", "ses: or sendgrid://?key=KEY instead of SMTP"),
    Param("smtp-(.+)", "", None, "SMTP server: host, port, user, password, ssl, tls", obj="smtp"),
]  # fmt: skip
"""Parameters without a prefix: those of the core, and those that belong to several services."""
