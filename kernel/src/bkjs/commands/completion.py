"""Print what completes commands, options and parameters in bash, zsh or fish"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module

from bkjs import hookimpl
from bkjs.core import entrypoints

from .command import Action, Call, Command
from .parameters import names

SCRIPTS = {
    "bash": """\
_bkjs() {
    local IFS=$'\\n'
    COMPREPLY=($(compgen -W "$(bkjs completion words -- "${COMP_WORDS[@]:1:COMP_CWORD-1}" \\
        2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _bkjs bkjs""",
    "zsh": """\
#compdef bkjs
_bkjs() {
    local -a found
    found=("${(@f)$(bkjs completion words -- "${(@)words[2,CURRENT-1]}" 2>/dev/null)}")
    compadd -a found
    _files
}
compdef _bkjs bkjs""",
    "fish": """\
function __bkjs
    set -l given (commandline -opc)
    bkjs completion words -- $given[2..] 2>/dev/null
end
complete -c bkjs -a '(__bkjs)'""",
}
"""What a shell reads; each asks `bkjs completion words` for what may follow the words so far."""


@hookimpl
def commands() -> Mapping[str, Callable[[list[str]], int]]:
    """`bkjs completion`."""
    return {"completion": COMMAND}


def script(call: Call) -> int:
    """Print the script of a shell."""
    print(SCRIPTS[call.action])
    return 0


def words(call: Call) -> int:
    """Print what may come next, one a line."""
    print("\n".join(following(call.words)))
    return 0


def following(given: Sequence[str]) -> list[str]:
    """What may stand after these words of a command line."""
    entries = [entry for entry in entrypoints.scan() if entry.group == "bkjs.commands"]
    found = {name: entry for (_, name), entry in entrypoints.by_name(entries)[0].items()}
    if not given or list(given) == ["help"]:
        return sorted({*found, "version"} if given else {*found, "help", "version"})
    word, *rest = given[1:] if given[0] == "help" else given
    if word not in found:
        return []
    command = import_module(found[word].value).commands()[word]
    return list(_of_command(command, rest)) if isinstance(command, Command) else []


def _of_command(command: Command, rest: Sequence[str]) -> Iterable[str]:
    action = command.actions.get("")
    if action is None:
        name = next((item for item in rest if item in command.actions), command.default)
        if not any(item in command.actions for item in rest):
            yield from command.actions
        action = command.actions.get(name)
    if action is None:
        return
    options = {f"-{option.name}": option for option in command.options_of(action)}
    last = options.get(rest[-1]) if rest else None
    if last and (last.value or last.values):
        yield from last.values
        return
    yield from options
    yield from action.choices()
    if command.parameters:
        yield from (f"-{name}" for name in names())


COMMAND = Command(
    {shell: Action(script, f"Print a script for {shell}.") for shell in SCRIPTS}
    | {"words": Action(words, "Print what may follow some words; the scripts ask.", "[WORD ...]")},
    notes='Use it with `eval "$(bkjs completion bash)"` in ~/.bashrc, the same in ~/.zshrc,'
    " and `bkjs completion fish | source` in config.fish.",
    parameters=(),
)
