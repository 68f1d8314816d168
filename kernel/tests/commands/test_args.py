import pytest

from bkjs.commands.args import split
from bkjs.errors import BadRequest


def test_command_options_words_and_parameters_are_told_apart():
    options, words, rest = split(
        ["import", "-table", "city", "-db-pool", "pgsql", "file.csv", "--json", "-x=1", "--", "-y"],
        values=("table",),
        flags=("json",),
    )
    assert options == {"table": "city", "json": "1"}
    assert words == ["import", "file.csv", "-y"]
    assert rest == ["-db-pool", "pgsql", "-x=1"]


def test_an_option_without_its_value_is_refused():
    with pytest.raises(BadRequest, match="-table needs a value"):
        split(["-table"], values=("table",))
