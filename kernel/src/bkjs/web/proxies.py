"""Which peers may say who the client is: the proxies that the configuration trusts."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from bkjs.errors import StartError
from bkjs.lib.bounded import kept

_ADDRESS = re.compile(r"\[([^]]*)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}")
"""An address in brackets, or one of IPv4 with a port."""
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Proxies:
    """The proxies among these addresses and networks; raises StartError for what is neither."""

    def __init__(self, trusted: Iterable[str]) -> None:
        self._networks = tuple(_network(text) for text in trusted)
        self._trusts = kept(1024)(self._decide)
        self._spoken_for = kept(4096)(self._read)

    def trusts(self, peer: str) -> bool:
        """Whether the X-Forwarded headers of this peer count."""
        return bool(self._networks) and self._trusts(peer)

    def _decide(self, peer: str) -> bool:
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self._networks)

    def client(self, peer: str, forwarded: str) -> str:
        """The address that a trusted peer speaks for: the rightmost one that is no proxy."""
        return self._spoken_for(forwarded) or peer

    def _read(self, forwarded: str) -> str:
        client = ""
        for text in reversed(forwarded[:4096].split(",")):
            text = text.strip()
            if not text:
                continue
            found = _ADDRESS.fullmatch(text)
            try:
                address = ipaddress.ip_address(found[1] or found[2] if found else text)
            except ValueError:
                break
            mapped = getattr(address, "ipv4_mapped", None)
            client = str(mapped or address)
            if not self.trusts(client):
                break
        return client


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise StartError(f"api-trusted-proxies: {error}") from None
