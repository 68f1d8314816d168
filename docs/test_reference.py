"""The reference pages name everything that there is."""

import inspect
import pkgutil
import types
from importlib import import_module
from pathlib import Path

import generate
import pytest
import python_pages

import bkjs.helpers
from bkjs import errors, hookspecs
from bkjs.core import entrypoints
from bkjs.db.contract import Capabilities
from bkjs.db.request import options


def test_every_hook_has_a_heading_with_its_signature():
    page = generate.hooks()
    hooks = [n for n, f in vars(hookspecs).items() if getattr(f, "bkjs_spec", None) is not None]
    assert len(hooks) >= 22
    assert all(f"## `{name}(" in page for name in hooks)
    assert "## `configure_web(app: 'App', web: 'Web')`" in page


def test_every_parameter_of_the_kernel_and_its_plugins_is_listed():
    page = generate.configuration()
    assert page.count("\n| `") > 200
    for name in ("`port`", "`api-session-age`", "`db-pool`", "`accounts-split-names`"):
        assert name in page
    assert '| `web-path` | path | `["web"]` |' in page
    assert "| `syslog` | bool | `false` |" in page
    assert "re.compile" not in page


def test_every_command_has_a_heading():
    page = generate.commands()
    names = [e.name for e in entrypoints.scan() if e.group == "bkjs.commands"]
    assert {"web", "user", "config"} <= set(names)
    assert all(f"## `bkjs {name}`" in page for name in names)
    assert "bkjs db import [FILE] -table T" in page


def test_every_helper_is_listed():
    page = generate.helpers()
    files = {f.stem for f in Path(bkjs.helpers.__path__[0]).glob("*.py")} - {"__init__"}
    assert all(f"## `bkjs.helpers.{name}`" in page for name in files)
    for call in (
        "to_params(query, schema, *",
        "obj_flatten(",
        "hash_(data, alg='sha1'",
        "is_true(",
    ):
        assert f"| `{call}" in page
    assert "| to_number" not in page


def test_every_endpoint_and_capability_is_listed():
    endpoints, capabilities = generate.endpoints(), generate.capabilities()
    for path in ("/login", "/account/get", "/account/select"):
        assert f"## `{path}`" in endpoints
    assert all(f"| {name} |" in capabilities for name in Capabilities.__dataclass_fields__)
    assert "Inserting fails atomically when the key exists" in capabilities


# -- Python names

PAGES = python_pages.pages()
PACKAGES = [
    name
    for _, name, package in pkgutil.walk_packages(bkjs.__path__, "bkjs.")
    if package and ".scaffold." not in name
]


def test_every_name_of_a_package_is_in_its_all():
    for name in ("bkjs", *PACKAGES):
        package = import_module(name)
        hooks = {n for n, f in vars(package).items() if hasattr(f, "bkjs_impl")}
        named = {n for n, v in vars(package).items() if _is_given(name, n, v)} - hooks
        assert named <= set(getattr(package, "__all__", ())), name


def _is_given(package: str, name: str, value: object) -> bool:
    """Whether a package defines it or hands it on on purpose, as `import x as x` does."""
    if name.startswith("_") or isinstance(value, types.ModuleType):
        return False
    if f"import {name} as {name}" in inspect.getsource(import_module(package)):
        return True
    return getattr(value, "__module__", "") == package and not package.endswith(".setup")


def test_every_name_of_all_is_on_a_page_once():
    for name in ("bkjs", *PACKAGES):
        for public in getattr(import_module(name), "__all__", ()):
            found = [page for page in PAGES.values() if f"### `{public}`\n" in page]
            assert found, f"{name}.{public}"


def test_every_module_named_is_there_and_gives_something():
    for page, text in zip(python_pages.PAGES.values(), PAGES.values(), strict=True):
        assert all(f"\n## `{name}`\n" in text for name in page.modules)


PUBLIC = [
    (file, getattr(import_module(module), name))
    for file, page in python_pages.PAGES.items()
    for module in page.modules
    for name in python_pages.public(module)
    if inspect.isclass(getattr(import_module(module), name))
    and getattr(import_module(module), name).__module__.startswith("bkjs.")
    and name not in python_pages.KIT
]


@pytest.mark.parametrize(("file", "cls"), PUBLIC, ids=lambda value: getattr(value, "__name__", ""))
def test_every_member_of_a_class_is_there(file, cls):
    _, *others = PAGES[file].split(f"\n### `{cls.__name__}`\n")
    own = "".join(part.partition("\n### ")[0] for part in others)  # two may have one name
    assert own
    for name, member in vars(cls).items():
        if name.startswith("_") or name in ("model_config",):
            continue
        if inspect.isroutine(member) and member.__name__ == name:
            assert f"#### `{cls.__name__}.{name}`\n" in own, name
            assert f"def {name}(" in own
        else:
            assert f"\n| `{name}` |" in own, name


def test_every_option_of_the_database_is_there():
    for names in options.NAMES.values():
        assert all(f"\n| `{name}` |" in PAGES["python-db.md"] for name in names)


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("python.md", ["Param"]),
        ("python-web.md", ["Request"]),
        ("python-db.md", [n for n in vars(options) if n.endswith("Options")]),
    ],
)
def test_what_is_set_and_read_most_has_a_meaning(file, names):
    for name in names:
        own = PAGES[file].partition(f"\n### `{name}`\n")[2].partition("\n### ")[0]
        rows = [line for line in own.splitlines() if line.startswith("| `")]
        assert rows
        assert not [row for row in rows if row.endswith("|  |")]


def test_every_error_is_there_with_its_status():
    for name, cls in vars(errors).items():
        if inspect.isclass(cls) and issubclass(cls, errors.BkError):
            assert f"### `{name}`\n" in PAGES["python.md"]
    assert "| `status` | `= 409` |" in PAGES["python.md"]


def test_signatures_are_as_they_are_called():
    for line in (
        "async def get(table: str, query: Input, **options: GetOptions) -> Row | None",
        "async def del_all(table: str, query: Input, **options: DelAllOptions) -> Any",
        "    work: Callable[[DbTransaction], Awaitable[T]],\n    *,\n    pool: str | None = None,",
        "    body: bytes = b'',\n    status: int = 200,\n    content_type: str = ",
        "    modules: Sequence[Any] = (),\n    *argv: str,\n    role: str = 'web',\n",
    ):
        assert any(f"\n{line}" in page for page in PAGES.values()), line
