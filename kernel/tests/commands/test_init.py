"""`bkjs init-app`, `init-plugin` and `init-driver` copy an example under another name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bkjs.commands.init import COMMAND as main
from bkjs.commands.init import SCAFFOLD, commands, copy
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


@pytest.mark.parametrize("argv", [[], ["a", "b"], ["foo", "-where", "b"], ["foo", "-port=80"]])
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
        ("type", "is a word of Python"),
        ("print", "is a word of Python"),
        ("pytest", "is a package that is installed"),
    ],
)
def test_name_that_would_break_the_copy_is_refused(name, reason, tmp_path):
    with pytest.raises(UsageError, match=f"'{name}' {reason}"):
        main(["init-app", name, "-dir", str(tmp_path)])
    assert list(tmp_path.iterdir()) == []


def test_the_longest_words_are_replaced_first(tmp_path):
    source, target = tmp_path / "a", tmp_path / "b"
    (source / "a_ab").mkdir(parents=True)
    (source / "a_ab" / "abc.txt").write_text("a ab abc")
    for junk in ("__pycache__", "x.egg-info", "dist"):
        (source / junk).mkdir()
        (source / junk / "a").write_text("a")
    copy(source, target, {"a": "1", "ab": "2", "abc": "3"})
    assert texts(target) == "1_2/3.txt\n1 2 3"
    assert sorted(path.name for path in target.iterdir()) == ["1_2"]


@pytest.mark.parametrize("kind", ["app", "plugin", "driver"])
@pytest.mark.parametrize("there", ["file", "folder"])
def test_whatever_has_the_name_stays(kind, there, tmp_path):
    folder = {"app": "foo", "plugin": "bkjs-foo", "driver": "bkjs-db-foo"}[kind]
    if there == "file":
        (tmp_path / folder).write_text("mine")
    else:
        (tmp_path / folder).mkdir()
    with pytest.raises(BadRequest, match=f"{folder} exists already"):
        main([f"init-{kind}", "foo", "-dir", str(tmp_path)])
    assert [path.name for path in tmp_path.rglob("*")] == [folder]


def test_a_driver_may_be_named_with_its_prefix(tmp_path):
    assert main(["init-driver", "db-foo", "-dir", str(tmp_path)]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["bkjs-db-foo"]


def test_the_name_of_the_example_itself_will_do(tmp_path):
    assert main(["init-app", "todo", "-dir", str(tmp_path)]) == 0


def test_each_example_says_what_git_leaves_out():
    assert all((SCAFFOLD / kind / ".gitignore").is_file() for kind in ("app", "plugin", "driver"))
