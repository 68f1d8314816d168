"""The reference of the Python names: their signatures and docstrings, read from the source."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from itertools import pairwise
from typing import NamedTuple

Doc = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.Assign | ast.AnnAssign
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
WIDTH = 90
"""Characters of a signature that stands in one line."""
KIT = frozenset({"DriverTests", "FacadeTests", "OutageTests"})
"""Classes that are tests: what they promise stands in their code."""


class Page(NamedTuple):
    """A page, and the modules whose public names are on it."""

    title: str
    intro: str
    modules: tuple[str, ...]


PAGES = {
    "python.md": Page(
        "Python: application, configuration, errors, commands",
        "What every plugin and application uses. What a hook is given as `app` is an `App`.",
        (
            "bkjs", "bkjs.core.kernel", "bkjs.core.services", "bkjs.core.dispatch",
            "bkjs.config", "bkjs.errors", "bkjs.readonly", "bkjs.lib.given",
            "bkjs.commands.command",
        ),
    ),
    "python-db.md": Page(
        "Python: databases",
        "`app.db` is a `Database`. What it does is told by task on the page"
        " [The database](../database.md).",
        (
            "bkjs.db", "bkjs.db.database", "bkjs.db.verbs", "bkjs.db.request.options",
            "bkjs.db.results", "bkjs.db.transaction", "bkjs.db.contract", "bkjs.db.keys",
            "bkjs.db.threads",
        ),
    ),
    "python-drivers.md": Page(
        "Python: what drivers are built of",
        "What there is to take is told on the page [Drivers](../writing-a-driver.md).",
        (
            "bkjs_kv", "bkjs_http", "bkjs.db.conditions.match", "bkjs.db.conditions.build",
            "bkjs.db.conditions.order", "bkjs.db.many.chunks",
        ),
    ),
    "python-web.md": Page(
        "Python: Web service and accounts",
        "How endpoints use it is told by task on the page [Endpoints](../endpoints.md).",
        (
            "bkjs.web", "bkjs.web.endpoint", "bkjs.web.request", "bkjs.web.response",
            "bkjs.auth", "bkjs.auth.service", "bkjs.auth.accounts", "bkjs.auth.caller",
            "bkjs.auth.sessions", "bkjs.auth.signature", "bkjs.auth.store",
        ),
    ),
    "python-testing.md": Page(
        "Python: tests",
        "For tests of applications, plugins and drivers: `pip install 'bkjs[testing]'`.",
        (
            "bkjs.testing.app", "bkjs.testing.web", "bkjs.testing.process", "bkjs.testing.client",
            "bkjs.testing.servers", "bkjs.testing.engines", "bkjs.testing.vectors",
            "bkjs.testing.db", "bkjs.testing.db.driver", "bkjs.testing.db.facade",
            "bkjs.testing.db.outage",
        ),
    ),
}  # fmt: skip


def pages() -> dict[str, str]:
    """Each page by its file."""
    return {file: page(file) for file in PAGES}


def page(file: str) -> str:
    """The names of the modules of a page, each once: where it is to be imported from."""
    title, intro, modules = PAGES[file]
    lines = [f"# {title}", "", intro, ""]
    seen: set[tuple[str, str]] = set()
    for module in modules:
        found = []
        for name in public(module):
            where, node = find(module, name)
            if (where, name) not in seen:
                seen.add((where, name))
                found += entry(name, where, node)
        if found:
            doc = import_module(module).__doc__
            lines += [f"## `{module}`", "", text(doc), "", *found]
    return "\n".join(lines)


# -- which names ---------------------------------------------------------------------------------


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(inspect.getsource(import_module(module)))


def public(module: str) -> list[str]:
    """The names in `__all__`; without it those of classes and functions that are defined there,
    and of other things that have a text."""
    loaded = import_module(module)
    if hasattr(loaded, "__all__"):
        return list(loaded.__all__)
    names = (name for name, node, doc in _members(tree(module)) if doc or not _is_value(node))
    return list(dict.fromkeys(name for name in names if not name.startswith("_")))


def find(module: str, name: str) -> tuple[str, Doc | None]:
    """The module that defines a name, and its definition; None for what is not ours."""
    for found, node, _ in _members(tree(module)):
        if found == name:
            return module, node
    loaded = getattr(import_module(module), name)
    where = getattr(import_module(module), "_WHERE", {}).get(name)
    where = where or getattr(loaded, "__module__", "")
    if where.startswith("bkjs.") and where != module:
        return find(where, name)
    for node in tree(module).body:  # what has no module of its own is imported from somewhere
        if isinstance(node, ast.ImportFrom) and name in [alias.name for alias in node.names]:
            parent = f"{module}." if node.level else ""
            return find(f"{parent}{node.module}", name)
    return where, None


def _members(body: ast.Module | ast.ClassDef) -> Iterator[tuple[str, Doc, str]]:
    """Name, definition and text of what is defined in a body, in its order."""
    for node, below in pairwise([*body.body, ast.Pass()]):
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node.name, node, ast.get_docstring(node) or ""
            case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
                yield name, node, _text_below(below)


def _text_below(node: ast.stmt) -> str:
    match node:
        case ast.Expr(value=ast.Constant(value=str(doc))):
            return inspect.cleandoc(doc)
    return ""


def _is_value(node: Doc) -> bool:
    return isinstance(node, (ast.Assign, ast.AnnAssign))


# -- how they are shown --------------------------------------------------------------------------


def entry(name: str, where: str, node: Doc | None) -> list[str]:
    """The heading of a name, its signature, its text and its members."""
    lines = [f"### `{name}`", ""]
    if node is None:
        return [*lines, f"The one of `{where}`.", ""]
    if isinstance(node, FUNCTIONS):
        return [*lines, *_code(_signature(node)), text(ast.get_docstring(node)), ""]
    if isinstance(node, ast.ClassDef):
        return [*lines, *_class(name, node)]
    doc = next(doc for found, _, doc in _members(tree(where)) if found == name)
    return [*lines, *_code(_value(node)), text(doc), ""]


def _class(name: str, node: ast.ClassDef) -> list[str]:
    bases = ", ".join(ast.unparse(base) for base in (*node.bases, *node.keywords))
    doc = ast.get_docstring(node) or ""
    members = [(found, item, told) for found, item, told in _members(node)]
    made = [item for found, item, _ in members if found == "__init__"]
    head = [f"class {name}({bases})" if bases else f"class {name}"]
    if made and isinstance(made[0], FUNCTIONS):
        head.append(_call(name, made[0]))
        doc = "\n\n".join(filter(None, (doc, ast.get_docstring(made[0]))))
    lines = [*_code("\n".join(head)), text(doc), ""]
    if name in KIT:
        return lines
    fields, methods = [], []
    for found, item, told in members:
        if found.startswith("_"):
            continue
        if isinstance(item, FUNCTIONS):
            if "property" in map(ast.unparse, item.decorator_list):
                returns = ast.unparse(item.returns) if item.returns else ""
                fields.append((found, returns, told))
            elif not any("overload" in ast.unparse(d) for d in item.decorator_list):
                signature = _code(_signature(item))
                methods += [f"#### `{name}.{found}`", "", *signature, text(told), ""]
        else:
            fields.append((found, _kind(item), told))
    fields += _set_in_init(made[0] if made else None, {found for found, *_ in members})
    if fields:
        lines += ["| name | type | meaning |", "|---|---|---|"]
        for found, kind, told in fields:
            cells = (f"`{found}`", f"`{kind}`" if kind else "", text(told))
            lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
        lines.append("")
    return lines + methods


def _kind(node: Doc) -> str:
    """The type of a field and its default, as they are written."""
    assert isinstance(node, (ast.Assign, ast.AnnAssign))
    kind = ast.unparse(node.annotation) if isinstance(node, ast.AnnAssign) else ""
    value = ast.unparse(node.value) if node.value else ""
    return f"{kind} = {value}".lstrip() if value and len(value) <= 60 else kind


def _set_in_init(init: Doc | None, known: set[str]) -> list[tuple[str, str, str]]:
    """Attributes that `__init__` sets, with the types of its parameters."""
    if not isinstance(init, FUNCTIONS):
        return []
    arguments = {arg.arg: arg.annotation for arg in (*init.args.args, *init.args.kwonlyargs)}
    found = {}
    for node, below in pairwise([*init.body, ast.Pass()]):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in targets:
            if isinstance(target, ast.Attribute) and ast.unparse(target.value) == "self":
                value = getattr(node, "value", None)
                kind = getattr(node, "annotation", None) or arguments.get(_shown(value))
                made = _shown(value.func) if isinstance(value, ast.Call) else ""
                kind = _shown(kind) or (made if made[:1].isupper() else "")
                found[target.attr] = (kind, _text_below(below))
    fresh = [name for name in found if not name.startswith("_") and name not in known]
    return [(name, *found[name]) for name in fresh]


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    word = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    kinds = [
        d for d in map(ast.unparse, node.decorator_list) if d in ("classmethod", "staticmethod")
    ]
    marks = "".join(f"@{kind}\n" for kind in kinds)
    return f"{marks}{_call(f'{word} {node.name}', node)}{returns}"


def _shown(node: ast.expr | None) -> str:
    return ast.unparse(node) if node else ""


def _call(name: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """As it is written, without `self`; one argument in a line where they are many."""
    arguments = _arguments(node.args)
    if arguments[:1] in (["self"], ["cls"]):
        del arguments[0]
    line = f"{name}({', '.join(arguments)})"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"{name}(", *(f"    {argument}," for argument in arguments), ")"])


def _arguments(args: ast.arguments) -> list[str]:
    """Each argument with its type and default; the options of a verb by the name of their type."""

    def shown(arg: ast.arg, default: ast.expr | None = None) -> str:
        kind = f": {ast.unparse(arg.annotation)}" if arg.annotation else ""
        equals = " = " if kind else "="
        return f"{arg.arg}{kind}" + (f"{equals}{ast.unparse(default)}" if default else "")

    plain = [*args.posonlyargs, *args.args]
    defaults = [None] * (len(plain) - len(args.defaults)) + list(args.defaults)
    found = [shown(arg, default) for arg, default in zip(plain, defaults, strict=True)]
    if args.posonlyargs:
        found.insert(len(args.posonlyargs), "/")
    if args.vararg:
        found.append(f"*{shown(args.vararg)}")
    elif args.kwonlyargs:
        found.append("*")
    found += map(shown, args.kwonlyargs, args.kw_defaults)
    if args.kwarg:
        found.append(re.sub(r"Unpack\[(\w+)\]", r"\1", f"**{shown(args.kwarg)}"))
    return found


def _value(node: ast.Assign | ast.AnnAssign) -> str:
    shown = ast.unparse(node)
    return shown if len(shown) <= 200 else f"{shown[:200]} …"


def _code(source: str) -> list[str]:
    return ["```py", source, "```", ""]


def text(doc: str | None) -> str:
    """A docstring as Markdown: what is no code in it is nothing but text."""
    found = re.sub(r"^Args:\n((?: {4}.*\n?)+)", _as_list, inspect.cleandoc(doc or ""), flags=re.M)
    parts = re.split(r"(`[^`]*`|^ {4}.*$)", found, flags=re.M)
    for at in range(0, len(parts), 2):
        parts[at] = re.sub(r"([<*_\[\]])", r"\\\1", parts[at])
    return "".join(parts)


def _as_list(section: re.Match[str]) -> str:
    """The arguments that a docstring explains, as a list."""
    lines = re.sub(r"^ {4}(\w+): ", r"- `\1`: ", section[1], flags=re.M)
    return re.sub(r"^ {8}", "  ", lines, flags=re.M)


def _cell(shown: str) -> str:
    return shown.replace("|", "\\|").replace("\n\n", "<br>").replace("\n", " ")
