from pathlib import Path

import pytest

from bkjs.core import entrypoints
from bkjs.core.versions import satisfies


def make(folder: Path, name: str, version: str, points: str, metadata: str = "") -> Path:
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "entry_points.txt").write_text(points)
    (info / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n{metadata}\n\nbody")
    return folder


def test_scan_finds_our_groups_only(tmp_path):
    make(
        tmp_path,
        "acme_foo",
        "1.2",
        "[console_scripts]\nfoo=foo:main\n[bkjs.modules]\nfoo = acme.foo:plugin [x]\n",
    )
    (found,) = entrypoints.scan([str(tmp_path)])
    assert (found.group, found.name, found.value) == ("bkjs.modules", "foo", "acme.foo:plugin")
    assert (found.package, found.version) == ("acme-foo", "1.2")


def test_first_distribution_on_the_path_wins(tmp_path):
    first = make(tmp_path / "a", "acme", "2.0", "[bkjs.db]\nx = one\n")
    second = make(tmp_path / "b", "acme", "1.0", "[bkjs.db]\nx = two\n")
    found = entrypoints.scan([str(first), str(second), str(tmp_path / "missing")])
    assert [e.version for e in found] == ["2.0"]


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("Requires-Dist: bkjs<0.2,>=0.1", "<0.2,>=0.1"),
        ("Requires-Dist: bkjs[auth]>=0.1", ">=0.1"),
        ("Requires-Dist: bkjs (>=0.1)", ">=0.1"),
        ("Requires-Dist: bkjs-sql>=3", ""),
        ('Requires-Dist: bkjs>=9; extra == "x"', ""),
        ("\nRequires-Dist: bkjs>=9 is what its description says", ""),
    ],
)
def test_requirement_is_read_from_the_metadata(tmp_path, line, wanted):
    make(tmp_path, "acme", "1.0", "[bkjs.db]\nx = one\n", line)
    (found,) = entrypoints.scan([str(tmp_path)])
    assert entrypoints.requirement(found) == wanted


@pytest.mark.parametrize(
    ("version", "versions", "good"),
    [
        ("0.1.0", ">=0.1,<0.2", True),
        ("0.2.0", ">=0.1,<0.2", False),
        ("0.10", ">0.9", True),
        ("0.1", "==0.1.0", True),
        ("0.1.5", "==0.1.*", True),
        ("0.2.5", "!=0.2.*", False),
        ("1.4.2", "~=1.4.1", True),
        ("1.5.0", "~=1.4.1", False),
        ("0.1.0rc1", ">=0.1", True),
        ("0.3", "", True),
    ],
)
def test_versions_compare_as_releases(version, versions, good):
    assert satisfies(version, versions) is good


def test_help_line_is_read_without_importing(tmp_path, monkeypatch):
    (tmp_path / "acme_cmd.py").write_text('"""Do a thing"""\nraise SystemExit\n')
    monkeypatch.syspath_prepend(tmp_path)
    assert entrypoints.help_line("acme_cmd:main") == "Do a thing"
    assert entrypoints.help_line("acme_missing") == ""
