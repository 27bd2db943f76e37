"""Where an agent program finds the stand-in's API (`api_base_url` of its start, reference cartesia-protocols §3.2).

The address that the connection to the program leaves from is one that the program's host knows; where the stand-in
listens elsewhere, its own is the better guess. Leaves out proxies and TLS: who has them gives a URL.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from cordboard.line.tables import ScriptError


@dataclass(frozen=True, slots=True)
class ApiAddress:
    """Of one stand-in."""

    hosts: Collection[str]
    """Addresses that are listened on."""
    port: int
    """The port."""
    public_url: str = ""
    """What programs are told, whatever the addresses are; empty: none was given."""

    def url(self, local: str) -> str:
        """The base URL for a program whose connection leaves from `local`."""
        if self.public_url:
            return self.public_url
        host = local
        if not self._listens_at(local):
            others = [host for host in self.hosts if _is_loopback(local) or not _is_loopback(host)]
            host = others[0] if others else local
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def is_reachable(self, local: str) -> bool:
        """Whether that URL leads here."""
        return bool(
            self.public_url
            or self._listens_at(local)
            or _is_loopback(local)
            or any(not _is_loopback(host) for host in self.hosts)
        )

    def _listens_at(self, local: str) -> bool:
        everywhere = "::" if ":" in local else "0.0.0.0"
        return local in self.hosts or everywhere in self.hosts


def check_public_url(url: str) -> str:
    """Return the URL without its last slash; raise `ScriptError`."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and parts.username is None
        good = good and not parts.query and not parts.fragment and url.isprintable() and " " not in url
    except ValueError:
        good = False
    if not good:
        raise ScriptError("--public-url: is not http://host… or https://host… without credentials and query")
    return url.rstrip("/")


def _is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host.partition("%")[0]).is_loopback
