"""The `bkjs` command: finds the command word, imports that command, runs it.

Only `os` and `sys` are needed before the word is known, so `bkjs --help` costs no more than reading
the metadata of what is installed.
"""

import os
import sys

from bkjs.core import entrypoints
from bkjs.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

USAGE = "usage: bkjs COMMAND [arguments] [-parameter value ...]"
SERVERS = ("web", "master", "monitor", "watch", "worker")
SWITCHES = (*SERVERS, "shell")
"""Roles may be given as switches, as in `bkjs -web -port 8080`."""
HELP = ("help", "-help", "--help", "-h")


def main(argv: list[str] | None = None) -> int:
    """Run the command line; the exit code. Errors are one line on standard error.

    The code is 0, 1 for a failure, 2 for a wrong call, 3 for a wrong configuration, 130 for Ctrl-C.
    """
    args = list(sys.argv[1:] if argv is None else argv)
    if not os.environ.get("HOME"):
        os.environ.pop("HOME", None)  # an empty one would put our home into the root directory
    try:
        code = _main(args)
        sys.stdout.flush()  # here, where a closed pipe is expected
        return code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        return _report(error)


def _main(args: list[str]) -> int:
    if args[:1] and args[0] in ("version", "-version", "--version", "-v"):
        print(f"bkjs {__version__}")
        return 0
    entries = (entry for entry in entrypoints.scan() if entry.group == "bkjs.commands")
    by_name, clashes = entrypoints.by_name(entries)
    found = {name: entry for (_, name), entry in by_name.items()}
    if args and args[0] in HELP:
        args = [*args[1:2], "--help", *args[2:]] if len(args) > 1 else []
    if not args:
        print(_overview(found))
        return 0
    word, rest = _command(args, found)
    if word in SERVERS:  # before all that takes time: to read again what is not read yet
        import signal

        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if clash := clashes.get(("bkjs.commands", word)):
        print(f"bkjs: {clash}", file=sys.stderr)
        return 1
    if word in found:
        return _run(found[word], word, rest)
    return _plugin_command(word, rest, found)


def _command(args: list[str], found: dict[str, entrypoints.EntryPoint]) -> tuple[str, list[str]]:
    """The command word and everything else; parameters may stand before the word."""
    if not args[0].startswith("-"):
        return args[0], args[1:]
    for position, item in enumerate(args):
        if item.lstrip("-") in SWITCHES and item.startswith("-"):
            return item.lstrip("-"), args[:position] + args[position + 1 :]
    for position, item in enumerate(args):
        if item in found and not (position and args[position - 1] in ("-home", "--home")):
            return item, args[:position] + args[position + 1 :]
    return "web", args


def _run(entry: entrypoints.EntryPoint, word: str, rest: list[str]) -> int:
    from importlib import import_module

    from bkjs.core.versions import satisfies

    try:
        wanted = entrypoints.requirement(entry)
        if not satisfies(__version__, wanted):
            raise ImportError(f"it needs bkjs{wanted}, found bkjs {__version__}")
        module = import_module(entry.value)
        function = module.commands()[word]
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a stranger's module raises, such as SystemExit
        print(
            f"bkjs: command {word!r} of {entry.package} {entry.version} cannot be loaded:"
            f" {type(error).__name__}: {error}",
            file=sys.stderr,
        )
        return 1
    return _call(function, word, rest)


def _call(function: "Callable[[list[str]], int]", word: str, rest: list[str]) -> int:
    """Run a command, or print its help."""
    options = rest[: rest.index("--")] if "--" in rest else rest
    if not set(HELP[1:]).isdisjoint(options):
        from bkjs.commands.command import help_of

        print(help_of(function, word, [item for item in rest if item not in HELP]))
        return 0
    return int(function([word, *rest]) or 0)


def _plugin_command(word: str, rest: list[str], found: dict[str, entrypoints.EntryPoint]) -> int:
    """A command that a module or the application itself declares in its `commands()` hook."""
    from bkjs.app import App
    from bkjs.lib.text import near

    app = App(role="shell", argv=rest)
    app.prepare()
    declared = {w: f for _, words in app.hooks.collect("commands") for w, f in words.items()}
    if word in declared:
        return _call(declared[word], word, rest)
    print(f"bkjs: unknown command {word!r}{near(word, [*found, *declared])}", file=sys.stderr)
    print("`bkjs help` lists the commands", file=sys.stderr)
    return 2


def _overview(found: dict[str, entrypoints.EntryPoint]) -> str:
    width = max((len(name) for name in found), default=0) + 2
    lines = [USAGE, "", "commands:"]
    lines += [
        f"  {name:<{width}}{entrypoints.help_line(entry.value)}"
        for name, entry in sorted(found.items())
    ]
    lines += [
        "",
        "`bkjs help COMMAND` shows what one takes;",
        "`bkjs config list` shows every parameter, `bkjs config explain NAME` one of them;",
        "`bkjs plugins` shows what is installed and why it is loaded or not.",
    ]
    return "\n".join(lines)


def _report(error: Exception) -> int:
    from bkjs.errors import BkError

    if isinstance(error, BkError):
        print(f"bkjs: {error.message}", file=sys.stderr)
        return error.exit_code
    if os.environ.get("BKJS_DEBUG"):
        raise error
    text = f"bkjs: unexpected {type(error).__name__}: {error}"
    print(f"{text} (BKJS_DEBUG=1 shows where)", file=sys.stderr)
    return 1
