"""Control's view of the media planes: their ports in stock, their heartbeat, their lease."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cordboard.contract import link

MISSED_IS_DEAD = 10.0
"""Seconds without a message of a plane after which it is killed, unless configured (DESIGN §1)."""


@dataclass(slots=True)
class Plane:
    """One media plane."""

    index: int
    linked: bool = False
    ready: bool = False
    pid: int = 0
    ports: deque[int] = field(default_factory=deque)
    heard: float = 0.0
    sessions: set[str] = field(default_factory=set)
    late_ms: float = 0.0
    pings: int = 0


class Planes:
    """All planes; sessions are placed on the one with the fewest."""

    def __init__(self, send: Callable[[int, bytes], None], life: str, lease: float) -> None:
        self._send = send
        self._life = life
        self._lease = lease
        self._planes: dict[int, Plane] = {}

    def all(self) -> list[Plane]:
        """Every plane ever seen."""
        return list(self._planes.values())

    @property
    def ready(self) -> bool:
        """A call could be placed now."""
        return self.choose() is not None

    def connected(self, index: int, now: float) -> None:
        """The link to a plane is up; it answers Hello with Ready."""
        plane = self._planes[index] = Plane(index, linked=True, heard=now)
        self.send(plane.index, link.Hello(self._life, self._lease))

    def known(self, index: int) -> bool:
        """There is a link to it."""
        return index in self._planes

    def lost(self, index: int) -> set[str]:
        """The link is gone; returns the sessions that were on it."""
        plane = self._planes.pop(index, None)
        return set(plane.sessions) if plane is not None else set()

    def heard(self, index: int, message: Any, now: float) -> None:
        """Any message proves life; some are for us."""
        plane = self._planes.get(index)
        if plane is None:
            return
        plane.heard = now
        match message:
            case link.Ready():
                plane.ready = True
                plane.pid = message.pid
                plane.ports = deque(message.ports)
            case link.Ports():
                plane.ports.extend(message.ports)
            case link.Pong():
                plane.late_ms = message.late_ms
            case _:
                pass

    def choose(self) -> Plane | None:
        """The plane for a new session."""
        fit = [plane for plane in self._planes.values() if plane.ready and plane.ports]
        return min(fit, key=lambda plane: (len(plane.sessions), plane.index), default=None)

    def port(self, index: int) -> int | None:
        """An open port from the stock of a plane."""
        plane = self._planes.get(index)
        return plane.ports.popleft() if plane is not None and plane.ports else None

    def send(self, index: int, message: Any) -> None:
        """A message to a plane; one that is gone gets nothing (its sessions are ending)."""
        plane = self._planes.get(index)
        if plane is not None and plane.linked:
            self._send(index, link.to_line(message))

    def beat(self, now: float, late: float) -> list[Plane]:
        """Ping all; returns those that missed their lease. Time in which we did not listen, `late`, does not count."""
        dead = []
        for plane in self._planes.values():
            plane.heard += late
            if now - plane.heard >= self._lease:
                dead.append(plane)
                continue
            plane.pings += 1
            self.send(plane.index, link.Ping(plane.pings))
        return dead
