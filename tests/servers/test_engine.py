"""One server for the whole run: shared, reported, stopped whatever happens to who started it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bkjs.testing import engines
from bkjs.testing.servers import NotHere, free_port
from tests.servers import engine as servers

pytestmark = pytest.mark.process
ROOT = Path(__file__).parents[2]

SCRIPT = """#!/usr/bin/env bash
. "{here}/lib.sh"
KIND=fake PRODUCT="Echo" VERSION=1 PATIENCE=20
{more}
run() {{
    cd "$DATA"
    spawn {python} -m http.server --bind 127.0.0.1 "$PORT"
    await open_port
    URL=http://127.0.0.1:$PORT
}}
main "$@"
"""


@pytest.fixture
def scripts(tmp_path, monkeypatch):
    """Makes scripts in a folder of their own, and a cache in another."""
    folder = tmp_path / "scripts"
    folder.mkdir()
    monkeypatch.setattr(servers, "SCRIPTS", folder)
    monkeypatch.setattr(engines, "_met", {})
    monkeypatch.setenv("BKJS_SERVERS", str(tmp_path / "cache"))
    monkeypatch.delenv(servers.RUN, raising=False)

    def make(name, more=""):
        text = SCRIPT.format(here=Path(servers.__file__).parent, python=sys.executable, more=more)
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)

    return make


def alive(pid):
    return servers.born(pid) != ""


def answers(url):
    return servers.listening(int(url.rpartition(":")[2].strip("/")))


def until(condition, seconds=20.0):
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def test_one_server_serves_the_run_and_is_gone_afterwards(scripts):
    scripts("echo")
    with servers.run() as run:
        url = run.url("echo")
        assert answers(url)
        assert run.url("echo") == servers.Run(run.folder).url("echo") == url
        (pid,) = run.shared("echo").pids()
        assert engines.met() == [("echo", "fake", "Echo 1")]
    assert not alive(pid)
    assert not answers(url)
    assert not run.folder.exists()


def test_a_run_that_has_ended_starts_nothing(scripts):
    scripts("echo")
    with servers.run() as run:
        pass
    with pytest.raises(NotHere, match="the run has ended"):
        run.url("echo")


def test_two_processes_of_a_run_start_one_server(scripts, monkeypatch):
    scripts("echo")
    code = (
        "import sys; from pathlib import Path; from tests.servers import engine\n"
        "engine.SCRIPTS = Path(sys.argv[1])\n"
        "with engine.run() as run: print(run.url('echo'))"
    )
    with servers.run() as run:
        argv = [sys.executable, "-c", code, str(servers.SCRIPTS)]
        env = {**os.environ, servers.RUN: str(run.folder)}
        both = [
            subprocess.Popen(argv, env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        urls = {process.communicate(timeout=60)[0] for process in both}
        assert urls == {run.url("echo") + "\n"}
        assert len(run.shared("echo").pids()) == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_stays_when_the_owner_is_killed(scripts, number):
    scripts("echo")
    code = (
        "import sys, time; from pathlib import Path; from tests.servers import engine\n"
        "engine.SCRIPTS = Path(sys.argv[1])\n"
        "with engine.run() as run:\n"
        "    run.url('echo'); print(run.folder, *run.shared('echo').pids(), flush=True)\n"
        "    time.sleep(60)"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", code, str(servers.SCRIPTS)], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    folder, pid = owner.stdout.readline().split()
    assert alive(int(pid))
    owner.send_signal(number)
    owner.wait(30)
    owner.stdout.close()
    until(lambda: not Path(folder).exists())
    assert not alive(int(pid))


def test_a_start_under_way_is_ended_with_its_owner(scripts, tmp_path):
    """Fetching too, and what the script has started meanwhile."""
    scripts("slow", f'fetch() {{ echo $$ >"{tmp_path}/pid"; sleep 300; }}')
    code = (
        "import sys; from pathlib import Path; from tests.servers import engine\n"
        "engine.SCRIPTS = Path(sys.argv[1])\n"
        "with engine.run() as run: run.url('slow')"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", code, str(servers.SCRIPTS)], cwd=ROOT,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    pid = int((tmp_path / "pid").read_text())
    assert alive(pid)
    owner.kill()
    owner.wait()
    until(lambda: not alive(pid))


def test_nothing_stays_when_pytest_is_killed(tmp_path):
    """Neither its servers nor their data."""
    test = tmp_path / "test_killed.py"
    test.write_text(
        "import os, signal\n"
        "def test(engine):\n"
        "    engine('riak')\n"
        "    folder = engine.run.folder\n"
        "    pids = engine.run.shared('riak').pids()\n"
        f"    open({str(tmp_path / 'told')!r}, 'w').write(f'{{folder}} {{pids[0]}}')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "conftest", "-p", "no:cacheprovider", test]
    env = {name: value for name, value in os.environ.items() if name != servers.RUN}
    killed = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stdout
    folder, pid = (tmp_path / "told").read_text().split()
    until(lambda: not Path(folder).exists())
    assert not alive(int(pid))


def test_fetching_has_an_end_and_is_tried_once(scripts, monkeypatch):
    scripts("slow", "fetch() { sleep 300; }")
    monkeypatch.setattr(servers, "LOOK", 0.5)
    monkeypatch.setenv(servers.FETCH, "0")
    with servers.run() as run:
        with pytest.raises(NotHere, match=r"took longer than 0 s: run tests/servers/slow install"):
            run.url("slow")
        spent = (run.folder / "fetching").read_text()
        with pytest.raises(NotHere, match="took longer"), run.own("slow"):
            pass
        assert (run.folder / "fetching").read_text() == spent
    assert engines.met()[0][:2] == ("slow", "absent")


def test_what_cannot_be_had_says_its_line(scripts):
    scripts("none", "packages() { needs nosuchprogram; }")
    with servers.run() as run, pytest.raises(NotHere, match=r"^no nosuchprogram$"):
        run.url("none")
    assert engines.met() == [("none", "absent", "no nosuchprogram")]


def test_a_server_that_died_is_reported(scripts):
    scripts("echo")
    with servers.run() as run:
        run.url("echo")
        os.kill(run.shared("echo").pids()[0], signal.SIGKILL)
        until(lambda: not run.shared("echo").pids())
        with pytest.raises(AssertionError, match="echo: died during the run"):
            run.url("echo")
    assert engines.met()[0][:2] == ("echo", "dead")


def test_a_port_in_use_does_not_matter(scripts, monkeypatch):
    scripts("echo")
    with socket.socket() as other, servers.run() as run:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        ports = iter([taken, free_port()])
        monkeypatch.setattr(servers, "free_port", lambda: next(ports))
        assert answers(run.url("echo"))
        assert next(ports, None) is None


def test_a_server_of_ones_own_stops_hangs_and_comes_back(scripts):
    scripts("echo")
    with servers.run() as run, run.own("echo") as server:
        url, (pid,) = server.url, server.pids()
        server.pause()
        stat = Path(f"/proc/{pid}/stat")
        until(lambda: stat.read_text().rpartition(") ")[2][0] == "T")
        server.stop()
        assert not alive(pid)
        server.start()
        assert server.url == url
        assert answers(url)
        folder = server.folder
        assert run.url("echo") != url
    assert not folder.exists()


def test_one_that_others_started_is_taken_as_given(scripts, monkeypatch):
    monkeypatch.setenv("BKJS_TEST_REDIS_SENTINEL", "redis://there")
    with servers.run() as run:
        assert run.url("redis-sentinel") == "redis://there"
    assert engines.met() == [("redis-sentinel", "real", "as given")]


def names():
    return sorted(
        f.name for f in servers.SCRIPTS.iterdir() if os.access(f, os.X_OK) and f.is_file()
    )


@pytest.mark.parametrize("name", names())
def test_every_script_says_how_it_is_used(name):
    done = subprocess.run([servers.SCRIPTS / name], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"usage: {name} start DIR [PORT]")
    assert f"\n    {name} " not in done.stdout


def test_redis_answers(engine):
    port = int(engine("redis").rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(b"SET engine test\r\nGET engine\r\n")
        answer = b""
        while not answer.endswith(b"$4\r\ntest\r\n"):
            answer += connection.recv(100)
    assert answer == b"+OK\r\n$4\r\ntest\r\n"


def test_dynamodb_answers(engine):
    import httpx2

    url = engine("dynalite")

    def ask(operation, **body):
        headers = {
            "X-Amz-Target": f"DynamoDB_20120810.{operation}",
            "Content-Type": "application/x-amz-json-1.0",
            "Authorization": "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/dynamodb/"
            "aws4_request, SignedHeaders=host, Signature=none",
            "X-Amz-Date": "20260101T000000Z",
        }
        reply = httpx2.post(url, content=json.dumps(body), headers=headers, trust_env=False)
        assert reply.status_code == 200, reply.text
        return reply.json()

    ask("CreateTable", TableName="engine", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 5})  # fmt: skip
    state = {}
    while state.get("TableStatus") != "ACTIVE":
        state = ask("DescribeTable", TableName="engine")["Table"]
    item = {"id": {"S": "1"}, "n": {"N": "18014398509481985"}}
    ask("PutItem", TableName="engine", Item=item)
    assert ask("GetItem", TableName="engine", Key={"id": {"S": "1"}}) == {"Item": item}


def test_opensearch_answers(engine):
    import httpx2

    with httpx2.Client(base_url=engine("opensearch"), trust_env=False, timeout=60) as client:
        document = {"n": 2**53 + 1, "text": "Ülm"}
        reply = client.put("/engine/_doc/1?refresh=true", json=document)
        assert reply.status_code == 201, reply.text
        assert client.get("/engine/_doc/1").json()["_source"] == document
        found = client.post("/engine/_search", json={"query": {"match": {"text": "ülm"}}}).json()
        assert found["hits"]["total"]["value"] == 1
