"""`bkjs init-app`, `init-plugin` and `init-driver` copy an example under another name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bkjs.commands.init import COMMAND as main
from bkjs.commands.init import SCAFFOLD, commands
from bkjs.errors import BadRequest, UsageError


def texts(folder: Path) -> str:
    """Names and contents of all files."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return "\n".join(f"{file.relative_to(folder)}\n{file.read_text()}" for file in files)


@pytest.mark.parametrize(
    ("kind", "name", "folder", "there", "gone"),
    [
        ("app", "shop", "shop", "shop/add", "todo"),
        ("app", "my-shop", "my-shop", "my_shop/add", "todo"),
        ("plugin", "weather", "bkjs-weather", "bkjs_weather", "acme"),
        ("plugin", "my-bkjs-weather", "my-bkjs-weather", "my_weather = ", "acme"),
        ("driver", "foo", "bkjs-db-foo", "class FooDriver", "jsonfile|JsonFile|acme"),
        ("driver", "my-bkjs-db-foo", "my-bkjs-db-foo", 'foo = "my_bkjs_db_foo"', "jsonfile|acme"),
    ],
)
def test_example_is_copied_with_the_name_replaced(
    kind, name, folder, there, gone, tmp_path, capsys
):
    assert main([f"init-{kind}", name, "-dir", str(tmp_path)]) == 0
    made = texts(tmp_path / folder)
    assert there in made
    assert not re.search(gone, made)
    assert str(tmp_path / folder) in capsys.readouterr().out


@pytest.mark.parametrize("word", ["init-app", "init-plugin", "init-driver"])
def test_nothing_is_overwritten(word, tmp_path):
    main([word, "foo", "-dir", str(tmp_path)])
    before = texts(tmp_path)
    with pytest.raises(BadRequest, match="exists already"):
        main([word, "foo", "-dir", str(tmp_path)])
    assert texts(tmp_path) == before


@pytest.mark.parametrize("name", ["Shop", "../shop", "1shop", "a--b", "a_b", ""])
def test_name_that_cannot_be_a_package_is_refused(name, tmp_path):
    with pytest.raises(BadRequest, match="small letters"):
        main(["init-app", name, "-dir", str(tmp_path)])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("word", ["init-plugin", "init-driver"])
def test_name_of_bkjs_itself_is_refused(word, tmp_path):
    with pytest.raises(BadRequest, match="name it like acme-bkjs-"):
        main([word, "bkjs", "-dir", str(tmp_path)])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("argv", [[], ["a", "b"], ["a", "-where", "b"]])
def test_wrong_arguments_say_the_usage(argv):
    with pytest.raises(BadRequest, match=r"bkjs init-plugin NAME|takes -dir DIR only"):
        main(["init-plugin", *argv])


def test_there_is_an_example_for_each_command():
    kinds = {word.removeprefix("init-") for word in commands()}
    assert kinds == {folder.name for folder in SCAFFOLD.iterdir()}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("class", "is a word of Python"),
        ("match", "is a word of Python"),
        ("list", "is a word of Python"),
        ("json", "is a package that is installed"),
        ("bkjs", "is a package that is installed"),
        ("client", "is a word that the example uses itself"),
    ],
)
def test_name_that_would_break_the_copy_is_refused(name, reason, tmp_path):
    with pytest.raises(UsageError, match=f"'{name}' {reason}"):
        main(["init-app", name, "-dir", str(tmp_path)])
    assert list(tmp_path.iterdir()) == []


def test_the_name_of_the_example_itself_will_do(tmp_path):
    assert main(["init-app", "todo", "-dir", str(tmp_path)]) == 0


def test_each_example_says_what_git_leaves_out():
    assert all((SCAFFOLD / kind / ".gitignore").is_file() for kind in ("app", "plugin", "driver"))
