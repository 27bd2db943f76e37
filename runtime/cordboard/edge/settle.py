"""What a configuration leaves open until the edge runs: whole paths, the number of planes, and its own addresses."""

import dataclasses
import os
import socket
import sys
from ipaddress import ip_address

from cordboard.config.error import ConfigError
from cordboard.config.model import Config


def settle(config: Config) -> Config:
    """The configuration that the edge runs with. Raises ConfigError when the public URL is missing."""
    url = config.http.public.url
    listen = config.http.public.listen
    if url is None:
        if not _is_loopback(listen.host):
            raise ConfigError(
                None,
                "http.public.url",
                None,
                f"is missing while http.public.listen is {listen}",
                'say how agents reach this edge, as in url = "https://voice.example"',
            )
        url = f"http://{listen}"
    return dataclasses.replace(
        config,
        edge=dataclasses.replace(config.edge, data_dir=config.edge.data_dir.absolute(), planes=plane_count(config)),
        functions=dataclasses.replace(config.functions, template=config.functions.template.absolute()),
        http=dataclasses.replace(config.http, public=dataclasses.replace(config.http.public, url=url)),
    )


def plane_count(config: Config) -> int:
    """`edge.planes`; auto: one less than the cores that this process may use, at least one."""
    if config.edge.planes == "auto":
        cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
        return max(1, cores - 1)
    return config.edge.planes


def own_address(advertise: str, bound: str, peer: tuple[str, int] | None = None) -> str:
    """The address to name to `peer` (None: to the world) for a socket bound to `bound` (DESIGN §6).

    `advertise` if it is one; else the address bound, that of the route to the peer, or 127.0.0.1 without a route.
    """
    if advertise != "auto":
        return advertise
    if not _is_wildcard(bound):
        return bound
    family = socket.AF_INET6 if ":" in bound else socket.AF_INET
    beyond = "2001:db8::1" if family is socket.AF_INET6 else "192.0.2.1"  # RFC 3849, RFC 5737: nobody's
    host = peer[0] if peer is not None and _is_address(peer[0]) else beyond
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, 5060))  # asks for the route; a UDP socket sends nothing by this
            return str(probe.getsockname()[0])
        except OSError:
            return "::1" if family is socket.AF_INET6 else "127.0.0.1"


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_wildcard(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
