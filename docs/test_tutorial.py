"""The tutorial, done step by step: its files are written, its commands typed and compared."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from bkjs.testing.process import Server, run
from bkjs.testing.servers import free_port

PAGE = Path(__file__).with_name("tutorial.md").read_text(encoding="utf-8")
CLIENT = Path(__file__).parents[1] / "examples/clients/client.py"
BLOCK = re.compile(r"^```(py|ini|console)\n(.*?)^```", re.M | re.S)
SKIPPED = ("pip ", "mkdir ", "export ", "bkjs web ")


def typed(block: str) -> list[tuple[str, str]]:
    """The commands of a block with what they print."""
    parts = re.split(r"^\$ ", block, flags=re.M)[1:]
    return [tuple(part.partition("\n")[::2]) for part in parts]


def same(told: str, printed: str) -> bool:
    """Whether these lines are printed in this order; `…` is whatever stands there."""
    lines = (".*".join(map(re.escape, line.split("…"))) for line in told.strip().split("\n"))
    return re.search(r"(?:.*\n)*?".join(f"{line}\n" for line in lines), f"{printed}\n") is not None


@pytest.mark.slow
@pytest.mark.process
def test_each_step_does_what_it_says(tmp_path):
    home, port = tmp_path / "home", free_port()
    (home / "etc").mkdir(parents=True)
    config, app = home / "etc/config", home / "app.py"
    config.write_text(f"port={port}\n")
    server = Server(home=home, port=port)
    changed, commands = True, 0
    try:
        for kind, text in BLOCK.findall(PAGE.partition("\n## And then\n")[0]):
            if kind == "py" and text.startswith("# test_app.py"):
                (tmp_path / "app.py").write_text(app.read_text())
                (tmp_path / "test_app.py").write_text(text)
                argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."]
                done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True)
                assert "2 passed" in done.stdout, done.stdout
            elif kind == "py":
                app.write_text((app.read_text() if app.exists() else "") + text)
                changed = True
            elif kind == "ini":
                told = server.output.count("audit configuration")
                config.write_text(config.read_text() + text)
                while not changed and server.output.count("audit configuration") == told:
                    assert server.exit_code is None, server.output
            else:
                for command, told in typed(text):
                    if command.startswith(SKIPPED):
                        continue
                    if changed and ("request" in command or "access" in command):
                        server.stop()
                        server.start()
                        changed = False
                    printed = do(command, home, port)
                    assert same(told, printed), f"{command}\n{printed}\n{server.output}"
                    commands += 1
    finally:
        server.close()
    assert commands >= 20


def do(command: str, home: Path, port: int) -> str:
    if command.startswith("bkjs "):
        done = run(home, *shlex.split(command)[1:])
        return done.stdout + done.stderr
    *given, _, _, method, url = shlex.split(command)
    env = {**os.environ, **dict(item.split("=", 1) for item in given)}
    argv = [sys.executable, str(CLIENT), method, url.replace("8000", str(port))]
    done = subprocess.run(argv, env=env, capture_output=True, text=True)
    return done.stdout + done.stderr
