"""Commands as data: what is accepted, refused, shown as help and completed."""

import json
import shutil
import stat
import subprocess
from types import SimpleNamespace

import pytest

from bkjs.commands.command import Action, Command, Option, split
from bkjs.commands.completion import SCRIPTS, following
from bkjs.commands.parameters import declared
from bkjs.commands.plugins import COMMAND as PLUGINS
from bkjs.config.param import Param, Problem
from bkjs.config.parse import parse_argv
from bkjs.errors import ConfigurationError, NotFound, StartError, UsageError
from bkjs.testing.process import command as bkjs


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
    with pytest.raises(UsageError, match="-table needs a value"):
        split(["-table"], values=("table",))


@pytest.mark.parametrize("value", ["", "1", "0", "no", "false"])
def test_a_flag_with_a_value_is_refused(value):
    """Whoever writes `-overwrite=no` means the opposite of what a flag that is there says."""
    with pytest.raises(UsageError, match="-overwrite takes no value: give it, or leave it out"):
        split([f"-overwrite={value}", "folder"], flags=("overwrite",))


def test_what_follows_a_parameter_with_its_value_is_a_word():
    assert split(["-port=80", "a", "-home", "h", "b", "-x", "-y", "-"]) == (
        {}, ["a", "b", "-"], ["-port=80", "-home", "h", "-x", "-y"],
    )  # fmt: skip


@pytest.mark.parametrize("word", ["file", "-"])
def test_a_number_below_zero_is_the_value_of_a_parameter_and_takes_no_word_along(word):
    given = ["import", "-log", "-1", word, "-port", "--", "-2"]
    assert split(given) == ({}, ["import", word, "-2"], ["-log", "-1", "-port"])
    assert [token.value for token in parse_argv(["-log", "-1", "-port"])] == ["-1", None]
    assert split(["-log", "-", "-1"])[1:] == (["-"], ["-log", "-1"])


def make(words="", **given):
    """A command with one action `go` that gives what it was called with."""
    options = (
        Option("table", "the table", "T", required=True),
        Option("format", "how", values=("a", "b")),
        Option("json", "a flag"),
    )
    calls = []
    actions = {"go": Action(lambda call: calls.append(call) or 0, "Goes.", words, options)}
    actions["stay"] = Action(lambda call: 0, "Stays.")
    return Command(actions, **given), calls


def test_what_was_given_reaches_the_action():
    command, calls = make("NAME [FILE]")
    assert command(["move", "go", "x", "-table", "t", "-json", "-port", "80"]) == 0
    (call,) = calls
    assert (call.word, call.action, list(call.words)) == ("move", "go", ["x"])
    assert (call.options, list(call.rest)) == ({"table": "t", "json": "1"}, ["-port", "80"])


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        ([], "move needs an action; there are go, stay: see `bkjs help move`"),
        (["sty"], "move has no action 'sty'; did you mean 'stay'"),
        (["go", "x"], "move go needs -table T; see `bkjs help move go`"),
        (["go", "-table", "t"], r"move go needs NAME: bkjs move go NAME \[FILE\]"),
        (["go", "a", "b", "c", "-table", "t"], "'c' is one word too many"),
        (["go", "a", "-table", "t", "-format", "c"], "-format c: must be a or b"),
        (["stay", "-json"], "move stay takes no option -json"),
    ],
)
def test_what_is_missing_or_too_much_is_named(argv, text):
    with pytest.raises(UsageError, match=text) as caught:
        make("NAME [FILE]")[0](["move", *argv])
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("usage", "least", "most"),
    [("", 0, 0), ("A", 1, 1), ("[A]", 0, 1), ("A ...", 1, 9), ("[A ...]", 0, 9), ("A [B]", 1, 2),
     ("A B ...", 2, 9), ("A [B C ...]", 1, 9)],
)  # fmt: skip
def test_as_many_words_are_taken_as_the_usage_says(usage, least, most):
    for count in range(10):
        call = make(usage)[0]
        argv = ["move", "go", "-table", "t", *["w"] * count]
        if least <= count <= most:
            assert call(argv) == 0
        else:
            with pytest.raises(UsageError):
                call(argv)


def test_an_unknown_option_is_compared_with_those_of_the_action():
    problem = []

    def fail(call):
        raise ConfigurationError(
            [Problem("command line", 0, text, "unknown parameter", "port") for text in problem]
        )

    options = (Option("table", "the table", "T"), Option("ops", "operators", "O"))
    command = Command(Action(fail, "Fails.", options=options))
    problem.append("_osp=x")  # as controls are written
    with pytest.raises(ConfigurationError, match=r"_osp=x: .*did you mean 'ops'"):
        command(["move"])
    problem[:] = ["prot=1"]  # nearer to a parameter, as it was found
    with pytest.raises(ConfigurationError, match=r"prot=1: .*did you mean 'port'"):
        command(["move"])
    problem[:] = ["tabel=x"]
    with pytest.raises(
        ConfigurationError, match="tabel=x: unknown parameter; did you mean 'table'"
    ) as e:
        command(["move"])
    assert e.value.exit_code == 2
    file = Problem("/etc/config", 3, "tabel=x", "unknown parameter")
    assert ConfigurationError([*e.value.problems, file]).exit_code == 3


def test_help_has_usages_options_and_the_parameters_by_topic(monkeypatch):
    command, _ = make("NAME [FILE]", notes="All of it.", parameters=("core",))
    text = command.help("move")
    assert "bkjs move go NAME [FILE] -table T\n    Goes." in text
    assert "bkjs move stay\n    Stays." in text
    assert "  -format a|b                 how" in text
    assert "All of it." in text
    assert "\nparameters: ssl\n" in text
    assert "  -port number" in text
    one = command.help("move", "stay", parameters=False)
    assert "-table" not in one
    assert "parameters" not in one


def test_every_parameter_is_in_one_topic():
    topics = declared("*")
    titles = [title for topic in topics.values() for title in topic]
    assert len(titles) == len(set(titles)) > 200
    assert "-api-session-age int" in topics["api-session"]
    assert topics["core"]["-port number"].endswith("[8000]")


def test_help_shows_short_defaults_and_no_secret(monkeypatch):
    params = [
        Param("pass", default="hunter2", secret=True, descr="A"),
        Param("list", type="list", default=["a", "b"], descr="B"),
        Param("long", default="x" * 60, descr="C"),
        Param("longer", default="x" * 61, descr="D"),
        Param("off", type="bool", default=False, descr="E"),
        Param("zero", type="int", default=0, descr="F"),
    ]
    owner = SimpleNamespace(name="acme", prefixes=("acme-",), params=params)

    class Failing:
        """An application of which a plugin fails."""

        config = SimpleNamespace(declared=SimpleNamespace(owners={"acme": owner}))

        def __init__(self, **given):
            pass

        def prepare(self):
            raise StartError("a plugin failed")

    monkeypatch.setattr("bkjs.commands.parameters.App", Failing)
    assert list(declared(["acme"])["acme"].values()) == [
        "A [***]", "B [a, b]", f"C [{'x' * 60}]", "D", "E", "F [0]",
    ]  # fmt: skip
    assert declared(["other"]) == {}


@pytest.mark.parametrize(("name", "beside"), [("n" * 26, True), ("n" * 27, False)])
def test_the_text_of_an_option_is_beside_its_name_where_that_is_short(name, beside):
    action = Action(lambda call: 0, "Goes.", options=(Option(name[1:], "the text"),))
    lines = Command(action, parameters=()).help("move").splitlines()
    (line,) = (line for line in lines if "the text" in line)
    assert line == (f"  -{name[1:]}  the text" if beside else f"{'':30}the text")


def test_bold_is_for_a_terminal_only(monkeypatch):
    command, _ = make(parameters=())
    assert "\x1b" not in command.help("move")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert "\x1b[1mbkjs move go\x1b[0m" in command.help("move")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in command.help("move")


# -- completion ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "some", "none"),
    [
        ([], {"web", "db", "help", "version"}, {"select"}),
        (["help"], {"web", "db"}, {"help"}),
        (["help", "db"], {"select"}, {"web"}),
        (["db"], {"tables", "select"}, {"web"}),
        (["db", "import"], {"-table", "-format", "-port", "-db-pool"}, {"-count", "select"}),
        (["db", "import", "-format"], {"jsonl", "csv"}, {"-table"}),
        (["db", "import", "-table"], set(), {"-table"}),
        (["config", "explain"], {"port", "db-pool"}, set()),
        (["plugins", "enable"], {"bk_accounts"}, set()),
        (["user"], {"add", "list"}, {"-port"}),
        (["init-app"], {"-dir"}, {"-port"}),
        (["nosuch"], set(), {"web"}),
    ],
)
def test_what_may_come_next_is_offered(given, some, none):
    found = set(following(given))
    assert some <= found
    assert not none & found


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_script_of_each_shell_is_printed(shell):
    done = subprocess.run(bkjs("completion", shell), capture_output=True, text=True, check=True)
    assert done.stdout == SCRIPTS[shell] + "\n"


def test_bash_completes_a_command():
    if not shutil.which("bash"):
        pytest.skip("bash is not here")
    script = f"""bkjs() {{ {" ".join(bkjs())} "$@"; }}; {SCRIPTS["bash"]}
        COMP_WORDS=(bkjs db exp); COMP_CWORD=2; _bkjs; echo "${{COMPREPLY[@]}}"
        COMP_WORDS=(bkjs db export -form); COMP_CWORD=3; _bkjs; echo "${{COMPREPLY[@]}}" """
    done = subprocess.run(
        ["bash", "--norc", "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "export\n-format\n"


# -- bkjs plugins enable | disable -----------------------------------------------------------------


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    """Runs `bkjs plugins` on a configuration file; what the file is then."""
    monkeypatch.delenv("BKJS_ARGS", raising=False)
    (tmp_path / "etc").mkdir()
    file = tmp_path / "etc/config"

    def run(*argv):
        assert PLUGINS(["plugins", *argv, "-home", str(tmp_path)]) == 0
        return file.read_text()

    run.file = file
    return run


def test_a_module_is_added_and_taken_out_and_comments_stay(plugins):
    plugins.file.write_text("# mine\nport=80\n\n; end\n")
    plugins.file.chmod(0o640)
    assert plugins("disable", "bk_accounts") == ("# mine\nport=80\n\n; end\nallow-modules=^()$\n")
    assert plugins("enable", "bk_accounts", "bk_accounts") == (
        "# mine\nport=80\n\n; end\nallow-modules=^(bk_accounts)$\n"
    )
    assert stat.S_IMODE(plugins.file.stat().st_mode) == 0o640


def test_the_file_that_wins_is_changed(plugins):
    local = plugins.file.with_name("config.local")
    plugins.file.write_text("allow-modules=x")
    local.write_text("allow-modules=bk_accounts")
    plugins("enable", "bk_accounts")
    assert plugins.file.read_text() == "allow-modules=x"
    assert local.read_text() == "allow-modules=^(bk_accounts)$"


@pytest.mark.parametrize(
    ("text", "argv", "message"),
    [
        (
            "",
            ["enable", "bk_account"],
            "no module 'bk_account' is installed; did you mean 'bk_accounts'",
        ),
        ("", ["disable", "bk_acounts"], "'bk_acounts' is not enabled; did you mean 'bk_accounts'"),
        (
            "allow-modules=^bk_",
            ["enable", "bk_accounts"],
            "a pattern of your own",
        ),
    ],
)
def test_a_wrong_name_or_an_own_pattern_changes_nothing(plugins, text, argv, message):
    plugins.file.write_text(text)
    done = subprocess.run(
        bkjs("plugins", *argv, "-home", str(plugins.file.parent.parent)),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert message in done.stderr
    assert plugins.file.read_text() == text


def test_a_plugin_that_fails_is_shown_with_its_reason(tmp_path):
    """One that must load and does not: the list is there all the same, and the exit code is 1."""
    (tmp_path / "site.py").write_text("raise ValueError('broken')\n")
    given = ("-app", str(tmp_path / "site.py"), "-home", str(tmp_path))
    done = subprocess.run(bkjs("plugins", *given), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("bkjs: ")
    assert "ValueError: broken" in done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("app "))
    assert " failed " in line
    assert "ValueError: broken" in line
    done = subprocess.run(bkjs("plugins", "-json", *given), capture_output=True, check=False)
    assert done.returncode == 1
    (row,) = (row for row in json.loads(done.stdout) if row["name"] == "app")
    assert (row["state"], "broken" in row["reason"]) == ("failed", True)


def test_what_is_not_enabled_cannot_be_disabled(plugins):
    plugins("disable", "bk_accounts")
    before = plugins.file.read_text()
    with pytest.raises(NotFound, match="'bk_accounts' is not enabled"):
        plugins("disable", "bk_accounts")
    assert plugins.file.read_text() == before


def test_the_list_has_columns_that_stand_apart(plugins, capsys):
    plugins.file.write_text("prot=80\n")
    plugins("list")
    output = capsys.readouterr()
    head, *lines = output.out.splitlines()
    assert head.split() == ["name", "group", "package", "version", "state", "hooks", "or", "reason"]
    starts = [head.index(word) for word in ("group", "package", "version", "state", "hooks")]
    for line in lines:
        assert [line[at - 2 : at] for at in starts] == ["  "] * 5
    assert "prot=80: unknown parameter" in output.err


def test_what_else_is_wrong_with_the_file_is_said(plugins, capsys):
    plugins.file.write_text("prot=80\n")
    assert plugins("disable", "bk_accounts") == "prot=80\nallow-modules=^()$\n"
    assert "config:1: prot=80: unknown parameter; did you mean 'port'?" in capsys.readouterr().err


def test_a_name_with_a_dash_is_compared_with_what_is_installed(tmp_path):
    done = subprocess.run(
        bkjs("plugins", "-allow-modules", "bk-accounts", "-home", str(tmp_path)),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "no module 'bk-accounts' is installed; did you mean 'bk_accounts'?" in done.stderr


def test_a_file_with_parameters_of_an_application_serves_other_commands(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/config").write_text("app-motto=go outside\n")
    command = bkjs("db", "tables", "-home", str(tmp_path))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    command = bkjs("web", "-port", "0", "-home", str(tmp_path))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "config:1: app-motto=go outside: unknown parameter" in done.stderr
