"""States, formats, limits and refusals that the clients of the service's sockets share.

Follows reference cartesia-protocols §1.2.1, §1.6, §2 and §5.1. Leaves out what a state does: that is
`service.ServiceConnection`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final, Literal, cast

InputFormat = Literal["mulaw_8000", "pcm_16000", "pcm_24000", "pcm_44100"]

BYTES_PER_SAMPLE: Final[Mapping[str, int]] = {"mulaw_8000": 1, "pcm_16000": 2, "pcm_24000": 2, "pcm_44100": 2}
"""The formats of both wires (§1.2.1, §2.2): mono; PCM is signed 16 bit, little-endian."""

PING_INTERVAL = 60.0
"""Seconds between pings: the documents advise 60 to 90 s against an idle limit of 180 s (§1.6)."""

PONG_TIMEOUT = 20.0
"""Seconds without a single byte after a ping until the peer counts as gone. Precedent: websockets' ping_timeout."""

CLOSE_TIMEOUT = 2.0
"""Seconds for the peer to answer our close frame: the limit of a command that waits for nothing else (DESIGN §4)."""

MAX_BODY = 4096
"""Bytes kept of a refusal's body: enough for an error object, small enough for an event."""

MAX_IDENTIFIER = 256
"""Characters of a `stream_id` or `call_id`: it goes out with every 20 ms of audio. Ids seen have about 30."""

MAX_REPORTED = 20
"""Malformed messages reported as events per connection; later ones are only counted, so that a flood stays cheap."""


class State(enum.Enum):
    """Where the connection stands; also the rows of `MAY`."""

    IDLE = "not connected"
    CONNECTING = "handshake under way"
    OPEN = "open, start not sent"
    STARTING = "start sent, not acked"
    LIVE = "acked"
    CLOSING = "close sent"
    CLOSED = "closed"


MAY: Final[Mapping[str, frozenset[State]]] = {
    "connected": frozenset({State.IDLE}),
    "start": frozenset({State.OPEN}),
    "send_audio": frozenset({State.LIVE}),
    "custom": frozenset({State.LIVE}),
    "dtmf": frozenset({State.LIVE}),
    "tool_result": frozenset({State.LIVE}),
    "generate": frozenset({State.IDLE, State.CONNECTING, State.LIVE}),
}
"""What may be called when. `close`, `receive_*`, `connection_lost` and timers are allowed, or void, everywhere."""


class WrongState(RuntimeError):
    """A call that the connection's state does not allow, such as audio before the ack."""

    def __init__(self, operation: str, state: State) -> None:
        super().__init__(f"{operation}: connection is in state “{state.value}”")
        self.operation = operation
        self.state = state


class NotSupported(RuntimeError):
    """Something that the other agents' wire has and this one lacks; nothing was sent."""

    def __init__(self, what: str, version: str, instead: str) -> None:
        super().__init__(f"{what}: version {version} of the agents' wire has no such thing; {instead}")
        self.what = what
        self.version = version


class UnsupportedFormat(ValueError):
    """`config.input_format` names a format that is not spoken here."""


def input_format(name: object) -> InputFormat:
    """Return `name` when it is a format spoken here; raise `UnsupportedFormat`."""
    if name not in BYTES_PER_SAMPLE:
        raise UnsupportedFormat(f"input_format {name!r}: only {', '.join(BYTES_PER_SAMPLE)} are supported")
    return cast(InputFormat, name)
