"""The reference pages name everything that there is."""

from pathlib import Path

import generate

import bkjs.helpers
from bkjs import hookspecs
from bkjs.core import entrypoints
from bkjs.db.contract import Capabilities


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
