"""Write the reference pages from the code.

Parameters, hooks, commands, endpoints, capabilities of drivers, helpers, Python names.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
from dataclasses import fields
from fnmatch import fnmatch
from itertools import pairwise
from pathlib import Path
from typing import Any

import python_pages

from bkjs.lib.mask import masked

HERE = Path(__file__).parent / "reference"
LONG = 60
"""Characters of a default that are shown."""


def main() -> None:
    """Write every page whose content changed."""
    pages = {
        "configuration.md": configuration(),
        "hooks.md": hooks(),
        "commands.md": commands(),
        "endpoints.md": endpoints(),
        "capabilities.md": capabilities(),
        "helpers.md": helpers(),
        **python_pages.pages(),
    }
    HERE.mkdir(exist_ok=True)
    for name, text in pages.items():
        path = HERE / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def _everything() -> Any:
    """An application with every installed module loaded, nothing opened."""
    import tempfile

    from bkjs.app import App

    home = tempfile.mkdtemp(prefix="bkjs-docs-")
    app = App(role="shell", argv=["-home", home, "-log", "none", "-allow-modules", "^bk_"])
    app.prepare()
    return app


def _escape(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "\\<").replace("\n", " ")


def _drivers() -> dict[str, Any]:
    """The class of each installed database driver by the name of its pools."""
    from bkjs.app import App
    from bkjs.core import entrypoints

    plugins = App().plugins
    plugins.discover()
    names = sorted({e.name for e in entrypoints.scan() if e.group == "bkjs.db"})
    return {"memory": _memory()} | {
        name: plugins.driver("db", name) for name in names if name not in ("postgres", "postgresql")
    }


def configuration() -> str:
    """Every declared parameter, by owner, and the options of each database driver."""
    app = _everything()
    lines = ["# Configuration parameters", ""]
    lines += [
        "Written from the declarations; `bkjs config explain NAME` shows the same and more.",
        "The type `none` takes no value; names in capitals stand for any name; a change of what is",
        "*live* applies while the process runs, of all else at a restart. What has *no effect yet*",
        "is accepted, since old configurations have it, and nothing reads it.",
        "[By topic](../configuration.md) are those that matter first.",
        "",
    ]
    idle = without_effect()
    for owner in app.config.declared.owners.values():
        prefix = owner.prefixes[0]
        lines += [f"## {owner.name}", ""]
        lines += ["| parameter | type | default | live | meaning |", "|---|---|---|---|---|"]
        for param in owner.params:
            default = _default(prefix + param.title, param)
            name = _escape(f"{prefix}{param.title}")
            live = "yes" if param.live else "no"
            meaning = _escape(param.descr)
            if any(fnmatch(prefix + param.title, pattern) for pattern in idle):
                meaning = f"*no effect yet* · {meaning}"
            cells = (f"`{name}`", param.type or "text", default, live, meaning)
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    lines += ["## Options of database drivers", ""]
    lines += ["What `X` of `db-NAME-pool-options-X` may be, for a pool of the driver.", ""]
    lines += ["| driver | option | meaning |", "|---|---|---|"]
    for name, driver in _drivers().items():
        for option, meaning in sorted((driver.accepts or {}).items()):
            lines.append(f"| {name} | `{option}` | {_escape(meaning)} |")
    return "\n".join([*lines, ""])


def without_effect() -> list[str]:
    """Patterns of the parameters that nothing reads yet, as the page on compatibility has them."""
    text = (HERE.parent / "compatibility.md").read_text(encoding="utf-8")
    lists = re.findall(r"^- Accepted (?:without|for) .*?(?=^-|^$)", text, re.M | re.S)
    return [name for part in lists for name in re.findall(r"`([a-z0-9*-]+)`", part)]


def _default(name: str, param: Any) -> str:
    """As `bkjs config explain` shows it, the beginning of what is long."""
    value = masked(name, param.default, param.secret)
    if value in (None, "", [], {}):
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"`{_escape(text if len(text) <= LONG else text[:LONG] + ' …')}`"


def hooks() -> str:
    """Every hook with its exact signature."""
    from bkjs import hookspecs

    lines = ["# Hooks", ""]
    for name, function in vars(hookspecs).items():
        if getattr(function, "bkjs_spec", None) is not None:
            signature = str(inspect.signature(function)).partition(" ->")[0]
            lines += [f"## `{name}{signature}`", "", inspect.cleandoc(function.__doc__ or ""), ""]
    return "\n".join(lines)


def commands() -> str:
    """Every command of the installed packages with its usage."""
    from importlib import import_module

    from bkjs.core import entrypoints

    lines = ["# Commands", ""]
    for entry in sorted(entrypoints.scan(), key=lambda e: e.name):
        if entry.group == "bkjs.commands":
            module = import_module(entry.value)
            command = module.commands()[entry.name]
            lines += [f"## `bkjs {entry.name}`", "", f"{entrypoints.help_line(entry.value)}.", ""]
            lines += ["```text", command.help(entry.name, parameters=False), "```", ""]
    return "\n".join(lines)


def endpoints() -> str:
    """Every endpoint that a module declares at module level."""
    import bkjs_accounts.routes
    from bkjs.web.endpoints import login
    from bkjs.web.endpoints.routes import Routes

    lines = [
        "# Endpoints",
        "",
        "Any method; parameters come from the query, a form or a JSON body.",
        "",
    ]
    for module in (login, bkjs_accounts.routes):
        for routes in (v for v in vars(module).values() if isinstance(v, Routes)):
            for endpoint in routes.endpoints:
                lines += [f"## `{endpoint.path}`", ""]
                lines += [inspect.cleandoc(endpoint.fn.__doc__ or "") or endpoint.summary, ""]
    return "\n".join(lines)


def capabilities() -> str:
    """What each database driver claims; the conformance kit holds it to each claim."""
    from bkjs.db.contract import Capabilities

    classes = _drivers()
    lines = ["# Capabilities of the database drivers", ""]
    lines += ["What a driver does itself; what it does not the kernel does, or refuses.", ""]
    lines += ["| capability | " + " | ".join(classes) + " | meaning |"]
    lines += ["|---" * (len(classes) + 2) + "|"]
    meaning = _docs_of_fields(Capabilities)
    for flag in fields(Capabilities):
        cells = []
        for cls in classes.values():
            value = getattr(cls.can, flag.name)
            if isinstance(value, frozenset):
                cells.append(f"{len(value)} of them" if value else "kernel")
            else:
                cells.append(
                    str(value) if type(value) is int and value else "yes" if value else "kernel"
                )
        cells.append(_escape(meaning.get(flag.name, "")))
        lines.append(f"| {flag.name} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def helpers() -> str:
    """Every helper by its file, with the first paragraph of its docstring."""
    import pkgutil
    from importlib import import_module

    import bkjs.helpers

    lines = ["# Helpers", "", inspect.cleandoc(bkjs.helpers.__doc__ or ""), ""]
    for info in pkgutil.iter_modules(bkjs.helpers.__path__):
        module = import_module(f"bkjs.helpers.{info.name}")
        lines += [f"## `{module.__name__}`", "", inspect.cleandoc(module.__doc__ or ""), ""]
        lines += ["| call | what it gives |", "|---|---|"]
        for name, item in vars(module).items():
            if inspect.isroutine(item) and not name.startswith("_") and _belongs(item, module):
                call = _escape(f"{name}{_parameters(item)}")
                lines.append(f"| `{call}` | {_escape(_first_paragraph(item))} |")
        lines.append("")
    return "\n".join(lines)


def _belongs(function: Any, module: Any) -> bool:
    """Defined there, or named there on purpose (`import x as x`)."""
    text = inspect.getsource(module)
    return function.__module__ == module.__name__ or f" {function.__name__} as " in text


def _parameters(function: Any) -> str:
    """The signature without its types: names and defaults."""
    signature = inspect.signature(function)
    plain = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    return str(signature.replace(parameters=plain, return_annotation=signature.empty))


def _first_paragraph(item: Any) -> str:
    return inspect.cleandoc(item.__doc__ or "").partition("\n\n")[0]


def _docs_of_fields(cls: type) -> dict[str, str]:
    """The texts that stand under the fields of a class."""
    found = {}
    for item, below in pairwise(ast.parse(inspect.getsource(cls)).body[0].body):
        if isinstance(item, ast.AnnAssign) and isinstance(below, ast.Expr):
            found[ast.unparse(item.target)] = inspect.cleandoc(ast.literal_eval(below.value))
    return found


def _memory() -> Any:
    from bkjs.db.pools.memory import MemoryDriver

    return MemoryDriver


if __name__ == "__main__":
    main()
