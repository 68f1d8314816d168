"""HTTPS: beside http or alone, with certificates of clients and those that were revoked."""

from __future__ import annotations

import datetime as dt
import http.client
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import pytest

from bkjs.testing.process import Server, free_port

x509 = pytest.importorskip("cryptography.x509")
hashes = pytest.importorskip("cryptography.hazmat.primitives.hashes")
serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
ec = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ec")

pytestmark = pytest.mark.process
NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)


class Authority:
    """Signs certificates and writes each with its key into one PEM file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority")])
        self.cert = self._sign(self.name, self.key, ca=True)
        self.file = self._write("ca.pem", self.cert.public_bytes(serialization.Encoding.PEM))

    def make(self, name: str) -> tuple[Path, int]:
        """The file, and the serial number, of a certificate for loopback."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        cert = self._sign(subject, key, ca=False)
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        pem = secret + cert.public_bytes(serialization.Encoding.PEM)
        return self._write(f"{name}.pem", pem), cert.serial_number

    def revoke(self, *serials: int) -> Path:
        """The file of the list of revoked certificates."""
        made = x509.CertificateRevocationListBuilder().issuer_name(self.name)
        made = made.last_update(NOW - DAY).next_update(NOW + DAY)
        for serial in serials:
            one = x509.RevokedCertificateBuilder().serial_number(serial)
            made = made.add_revoked_certificate(one.revocation_date(NOW - DAY).build())
        signed = made.sign(self.key, hashes.SHA256())
        return self._write("crl.pem", signed.public_bytes(serialization.Encoding.PEM))

    def _write(self, name: str, pem: bytes) -> Path:
        (self.folder / name).write_bytes(pem)
        return self.folder / name

    def _sign(self, subject: Any, key: Any, *, ca: bool) -> Any:
        made = x509.CertificateBuilder().subject_name(subject).issuer_name(self.name)
        made = made.public_key(key.public_key()).serial_number(x509.random_serial_number())
        made = made.not_valid_before(NOW - DAY).not_valid_after(NOW + DAY)
        made = made.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
        made = made.add_extension(names, critical=False)
        return made.sign(self.key, hashes.SHA256())


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


def connect(
    authority: Authority, port: int, cert: Path | None = None
) -> http.client.HTTPSConnection:
    context = ssl.create_default_context(cafile=authority.file)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if cert:
        context.load_cert_chain(cert)
    return http.client.HTTPSConnection("localhost", port, timeout=10, context=context)


def ping(authority: Authority, port: int, cert: Path | None = None) -> int:
    connection = connect(authority, port, cert)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().status
    finally:
        connection.close()


def test_clients_need_a_certificate_that_is_not_revoked(authority):
    own, _ = authority.make("server")
    good, _ = authority.make("good")
    bad, serial = authority.make("bad")
    port = free_port()
    argv = ["-ssl-port", str(port), "-ssl-key", str(own), "-ssl-ca", str(authority.file)]
    argv += ["-ssl-crl", str(authority.revoke(serial)), "-ssl-request-cert"]
    with Server(*argv) as server:
        assert f"and https://127.0.0.1:{port}" in server.output
        assert ping(authority, port, good) == 200
        for refused in (bad, None):
            with pytest.raises((ssl.SSLError, OSError)):
                ping(authority, port, refused)


def test_port_0_leaves_https_alone(authority):
    own, _ = authority.make("alone")
    port = free_port()
    server = Server("-port", "0", "-ssl-port", str(port), "-ssl-key", str(own))
    server.spawn()
    try:
        while "is ready" not in server.output:
            assert server.exit_code is None, server.output
            time.sleep(0.02)
        assert f"ready on https://127.0.0.1:{port}\n" in server.output
        assert ping(authority, port) == 200
    finally:
        server.close()


def test_the_end_does_not_wait_for_a_client_that_keeps_its_connection(authority):
    own, _ = authority.make("kept")
    port = free_port()
    with Server("-ssl-port", str(port), "-ssl-key", str(own)) as server:
        connection = connect(authority, port)
        connection.request("GET", "/ping")
        assert connection.getresponse().read() == b"{}"
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 10
        connection.close()


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["-port", "0"], "no port to listen on"),
        (["-port", "99999"], "port 99999: the highest is 65535"),
        (["-ssl-pfx", "x.p12"], "openssl pkcs12 -in"),
        (
            ["-ssl-key", "/no/such.pem"],
            "ssl-key, ssl-cert: [Errno 2] No such file or directory: '/no/s",
        ),
    ],
)
def test_what_cannot_be_served_stops_the_start(argv, says):
    server = Server(*argv)
    server.spawn()
    try:
        assert server.wait() == 1
        assert says in server.output
        assert "Traceback" not in server.output
    finally:
        server.close()


def test_a_client_that_never_says_hello_is_dropped(authority):
    own, _ = authority.make("silent")
    port = free_port()
    argv = ["-ssl-port", str(port), "-ssl-key", str(own), "-api-header-timeout", "500"]
    with Server(*argv) as server, socket.create_connection(("127.0.0.1", port), 20) as silent:
        begun = time.monotonic()
        assert silent.recv(1) == b""
        assert time.monotonic() - begun < 15  # uvicorn alone waits for a minute
        assert ping(authority, port) == 200
        assert "Traceback" not in server.output
