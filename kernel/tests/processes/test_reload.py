"""Starting a server, and starting it again: a request to read the files ends nothing."""

import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from bkjs.processes import reload

EARLY = """
import os, signal, sys
from bkjs import cli

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # as a terminal has it, whatever runs the tests

def asked(entry, word, rest):
    os.kill(os.getpid(), signal.SIGHUP)
    print("goes on")

cli._run = asked
cli.main(sys.argv[1:])
"""


@pytest.mark.process
@pytest.mark.parametrize(("word", "survives"), [("web", True), ("-web", True), ("db", False)])
def test_a_server_that_starts_is_not_ended_by_sighup(word, survives):
    """Before its command is imported; other commands end with their terminal."""
    done = subprocess.run(
        [sys.executable, "-c", EARLY, word], capture_output=True, text=True, check=False
    )
    assert (done.stdout == "goes on\n") is survives
    assert done.returncode == (0 if survives else -signal.SIGHUP)


@pytest.fixture
def signals():
    before = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_child_that_is_started_again_ignores_sighup_from_the_first_moment(monkeypatch, signals):
    started = []

    class Child:
        def __init__(self, *args, **options):
            started.append(signal.getsignal(signal.SIGHUP))

        def poll(self):
            return 0

        def send_signal(self, number):
            started.append(number)

    def watch(*folders, **options):
        yield {(1, "app.py")}
        os.kill(os.getpid(), signal.SIGHUP)

    core = SimpleNamespace(watchdirs=[], app="", path={"modules": []}, no_watch=None)
    kernel = SimpleNamespace(config=SimpleNamespace(core=core), plugins=SimpleNamespace(plugins={}))
    monkeypatch.setattr(reload.subprocess, "Popen", Child)
    monkeypatch.setattr(reload, "watch", watch)
    assert reload.supervise([], kernel) == 0
    assert started == [signal.SIG_IGN, signal.SIG_IGN, signal.SIGHUP]
