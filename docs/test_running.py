"""The page about running a server: its unit, its configuration and its claims."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from bkjs.app import App
from bkjs.testing.process import NotStarted, Server, run

PAGE = Path(__file__).with_name("running.md").read_text(encoding="utf-8")
TODO = Path(__file__).parents[1] / "examples/todo/todo.py"
ANNA = {"login": "anna", "password": "correct horse", "name": "Anna"}
FORWARDED = {"x-forwarded-for": "192.0.2.7", "x-forwarded-proto": "https"}


def block(language: str, number: int = 0) -> str:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.S | re.M)[number]


@pytest.fixture
def home(tmp_path):
    """The configuration of the page, with SQLite in the place of its PostgreSQL."""
    lines = block("ini").replace("/opt/todo/todo.py", str(TODO)).splitlines()
    (tmp_path / "etc").mkdir()
    kept = [line for line in lines if "pgsql" not in line]
    (tmp_path / "etc/config").write_text("\n".join([*kept, ""]))
    return tmp_path


def test_unit_is_one_that_systemd_accepts(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not here")
    (tmp_path / "todo.service").write_text(
        block("systemd").replace("/opt/todo/.venv/bin/bkjs", "/bin/true")
    )
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / "todo.service")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_proxy_is_configured_as_nginx_wants_it(tmp_path):
    if not shutil.which("nginx") or not shutil.which("openssl"):
        pytest.skip("nginx is not here")
    key, cert = tmp_path / "key", tmp_path / "cert"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x",
         "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True,
    )  # fmt: skip
    site = re.sub(r"/etc/letsencrypt\S+/fullchain.pem", str(cert), block("nginx"))
    site = re.sub(r"/etc/letsencrypt\S+/privkey.pem", str(key), site)
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid; error_log stderr; events {{}} http {{ access_log off; {site} }}"
    )
    test = ["nginx", "-t", "-c", str(tmp_path / "nginx.conf")]
    done = subprocess.run(test, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_configuration_is_valid_as_printed(tmp_path):
    (tmp_path / "etc").mkdir()
    text = block("ini").replace("/opt/todo/todo.py", str(TODO)) + block("ini", 1)
    (tmp_path / "etc/config").write_text(text)
    done = run(tmp_path, "config", "check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_server_behind_the_proxy_knows_client_and_scheme(home):
    with Server(home=home) as server, server.client() as client:
        assert client.post("/account/add", ANNA).status == 200
        login = client.post("/login?_session=1", ANNA, headers=FORWARDED)
        assert login.status == 200
        cookie = login.header("set-cookie")
        assert cookie.startswith("__Host-")
        assert "Secure" in cookie
        assert "max-age" in login.header("strict-transport-security")
        for path in ("/ping", "/ready"):
            assert client.get(path).status == 200
        assert client.get("/ping", headers={"host": "other.example"}).status == 421

        log = home / "log/access.log"
        log.rename(home / "log/access.log.1")
        assert client.get("/ping?after=1").status == 200
        assert server.stop(signal.SIGTERM) == 0
        assert "192.0.2.7 - [" in (home / "log/access.log.1").read_text() + log.read_text()
        assert "/ping?after=1" in log.read_text()
    assert sorted(os.listdir(home / "etc/keys")) == ["secrets", "session", "tokens", "used"]


def test_weak_secret_ends_the_start_in_production_only():
    weak = "-api-session-secret", "short"
    with Server("-run-mode", "development", *weak) as server:
        assert "api-session-secret: shorter" in server.output
    with pytest.raises(NotStarted, match="api-session-secret: shorter"):
        Server("-run-mode", "production", *weak).__enter__()


def test_what_is_lost_with_a_key(tmp_path):
    cookies: dict[str, str] = {}
    session = ANNA | {"_session": 1}
    server = Server("-db-create-tables", home=tmp_path)
    try:
        with server.start().client(cookies=cookies) as client:
            assert client.post("/account/add", ANNA).status == 200
            assert client.post("/login", session).status == 200
            assert client.get("/auth").status == 200
        for key, auth, login in (("session", 401, 200), ("secrets", 417, 500)):
            server.stop()
            (tmp_path / "etc/keys" / key).unlink()
            with server.start().client(cookies=dict(cookies)) as client:
                assert client.get("/auth").status == auth
                assert client.post("/login", session).status == login
    finally:
        server.close()
    mended = run(tmp_path, "user", "set", "anna", "-secret", "another long secret")
    assert "secret cannot be decrypted" in mended.stderr


def test_limits_of_the_page_are_the_defaults(tmp_path):
    app = App(role="shell", argv=["-home", str(tmp_path), "-log", "none"])
    app.prepare()
    api = app.config.api
    told = PAGE[PAGE.index("| parameter | default | of |") :].partition("\n\n")[0]
    for name, value, shown in (
        ("api-timeout", api.timeout, "30,000 ms"),
        ("api-json-limit", api.json_limit, "1 MB"),
        ("api-upload-limit", api.upload_limit, "10 MB"),
        ("api-max-latency", api.max_latency, "1,000 ms"),
    ):
        number = int(shown.split()[0].replace(",", "")) * (2**20 if "MB" in shown else 1)
        assert value == number
        assert f"| `{name}` | {shown} |" in told
    assert (api.max_connections, api.max_connections_ip) == (10_000, 256)
    assert f"LimitNOFILE={2**14}" in PAGE
    assert api.shutdown_timeout == 30_000
    assert "TimeoutStopSec=45" in PAGE
