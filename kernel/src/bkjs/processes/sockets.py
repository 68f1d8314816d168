"""Listening sockets and their TLS."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
from pathlib import Path
from typing import Any

from bkjs.errors import StartError

Listener = tuple[socket.socket, ssl.SSLContext | None]
"""A listening socket, and its TLS."""


def listen(bind: str, port: int, backlog: int) -> socket.socket:
    """A listening socket; port 0 takes any free one. Raises StartError that says who is there."""
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((bind, port))
        sock.listen(backlog)
    except OverflowError as error:
        sock.close()
        raise StartError(f"cannot listen on port {port}: the highest is 65535") from error
    except OSError as error:
        sock.close()
        reason = error.strerror or str(error)
        if error.errno == errno.EADDRINUSE:
            reason = f"the port is in use{_holder(port)}; choose another with -port"
        elif error.errno == errno.EACCES:
            reason = "not allowed; ports below 1024 need privileges"
        raise StartError(f"cannot listen on {bind}:{port}: {reason}") from error
    sock.setblocking(False)
    sock.set_inheritable(True)
    return sock


def tls_context(settings: dict[str, Any]) -> ssl.SSLContext | None:
    """TLS as the `ssl-` parameters describe it, None without a key."""
    key, cert = settings.get("key"), settings.get("cert")
    if pfx := settings.get("pfx"):
        raise StartError(
            f"ssl-pfx is not supported: openssl pkcs12 -in {pfx} -nodes makes an ssl-key"
        )
    if not key:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        files = [key, cert or key, *(settings.get("ca") or ()), *(settings.get("crl") or ())]
        for file in files:
            Path(file).open("rb").close()  # OpenSSL does not say which file is missing
        context.load_cert_chain(cert or key, key, password=settings.get("passphrase") or None)
        for authority in settings.get("ca") or ():
            context.load_verify_locations(authority)
        for revoked in settings.get("crl") or ():
            context.load_verify_locations(revoked)
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
        if settings.get("ciphers"):
            context.set_ciphers(settings["ciphers"])
    except (OSError, ssl.SSLError) as error:
        raise StartError(f"ssl-key, ssl-cert: {error}") from error
    if settings.get("requestCert"):
        required = settings.get("rejectUnauthorized", True)
        context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    return context


def _holder(port: int) -> str:
    """` by process 123 (name)` where /proc tells."""
    try:
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        inodes = {
            f"socket:[{row[9]}]"
            for row in rows
            if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port
        }
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                for descriptor in os.listdir(f"/proc/{pid}/fd"):
                    if os.readlink(f"/proc/{pid}/fd/{descriptor}") in inodes:
                        name = Path(f"/proc/{pid}/comm").read_text().strip()
                        return f" by process {pid} ({name})"
    except (OSError, ValueError, IndexError):
        return ""
    return ""
