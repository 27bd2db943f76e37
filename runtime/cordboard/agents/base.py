"""What the clients of both agents' sockets share, without I/O: the first message, its ack, audio, digits, errors.

Follows reference cartesia-protocols §1.1, §1.6 and §2.1. Leaves out the socket itself, which is `service`'s, the
messages, which are `line.LineConnection`'s and `managed.ManagedConnection`'s, the minting of access tokens (§4.1),
reconnecting (§7 row 29: impossible), and the holding of audio until the ack, which is the engine's.
"""

from __future__ import annotations

import abc
import random
from collections.abc import Mapping
from typing import Any, ClassVar

from cordboard.agents import json_messages as messages
from cordboard.agents import state
from cordboard.agents.events import Acked, AgentEvent, Audio, Clear, ErrorMessage
from cordboard.agents.service import ServiceConnection
from cordboard.agents.state import BYTES_PER_SAMPLE, CLOSE_TIMEOUT, MAX_IDENTIFIER, InputFormat, State, WrongState
from cordboard.agents.websocket import BadAddress, Ended


class BaseConnection(ServiceConnection[AgentEvent]):
    """One agent connection, one call."""

    _answer: ClassVar[str]
    """Name of the message that accepts the first one."""
    _audio_input: messages.AudioWriter
    _audio_output: messages.AudioReader

    def __init__(
        self,
        *,
        base_url: str,
        path: str,
        headers: Mapping[str, str],
        agent_id: str,
        api_key: str,
        version: str,
        input_format: InputFormat,
        rng: random.Random,
        now: float,
        connect_timeout: float,
        ack_timeout: float,
    ) -> None:
        """As `ServiceConnection`; an empty id, key or version raises `BadAddress` too, and a format not spoken here
        `UnsupportedFormat`."""
        if not agent_id or not api_key or not version:
            raise BadAddress("agent id, API key and version must not be empty")
        super().__init__(
            base_url=base_url,
            path=path,
            headers=headers,
            api_key=api_key,
            rng=rng,
            now=now,
            connect_timeout=connect_timeout,
        )
        self.agent_id = agent_id
        self.version = version
        self.input_format: InputFormat = state.input_format(input_format)
        self.call_id = ""
        self.stream_id = ""
        self._ack_timeout = ack_timeout
        self._failed = True  # until the ack
        self._fatal = ""
        self._carry = b""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.agent_id!r} at {self.host}:{self.port}, {self.state.value}>"

    # The engine's side

    def send_audio(self, payload: bytes, now: float) -> None:
        """Send the caller's audio, raw samples in `input_format`; raises `WrongState` unless acked."""
        if self.state is not State.LIVE:
            raise WrongState("send_audio", self.state)
        self._socket.send_text(self._audio_input.encode(payload))

    def dtmf(self, digit: str, now: float) -> bool:
        """Send one digit. Returns False, and sends nothing, for A-D, which no agent's wire carries.

        Raises `WrongState`, and ValueError for what is no DTMF digit at all.
        """
        self._check("dtmf")
        if digit in ("A", "B", "C", "D"):
            return False
        if digit not in messages.DTMF_DIGITS:
            raise ValueError("a DTMF digit is one of 0-9, *, #, A-D")
        self._send_digit(digit)
        return True

    # What a wire says for itself

    @abc.abstractmethod
    def _send_digit(self, digit: str) -> None:
        """Send a digit of the wire, the connection being live."""

    @abc.abstractmethod
    def _receive_json(self, message: dict[str, Any], now: float) -> None:
        """Take a decoded message; raises `Malformed`."""

    # Within

    def _is_open(self, now: float) -> None:
        """Nothing: `start` is the engine's to send."""

    def _has_failed(self) -> bool:
        return self._failed or bool(self._fatal)

    def _report_malformed(self, exc: messages.Malformed) -> None:
        self._events.append(messages.malformed_event(exc))

    def _starting(self, input_format: InputFormat, now: float) -> None:
        """The first message is sent."""
        self.input_format = input_format
        self.state = State.STARTING
        self._timers["ack"] = now + self._ack_timeout

    def _receive_end(self, event: Ended) -> None:
        super()._receive_end(event)
        self._carry = b""

    def _receive_text(self, data: bytes, now: float) -> None:
        if self.state is State.LIVE:
            payload = self._audio_output.payload(data)
            if payload is not None:
                self._receive_audio(payload)
                return
        self._receive_json(messages.decode(data), now)

    def _say(self, event: AgentEvent) -> None:
        """Report something that shows that the call goes on."""
        if isinstance(event, Clear):
            self._carry = b""  # half a sample of the reply that is void
        self._failed = False
        self._events.append(event)

    def _receive_audio(self, payload: bytes) -> None:
        self._failed = False
        if BYTES_PER_SAMPLE[self.input_format] == 2:
            payload = self._carry + payload
            whole = len(payload) & ~1
            self._carry, payload = payload[whole:], payload[:whole]
        if payload:
            self._events.append(Audio(payload))

    def _acked(self, message: dict[str, Any], call_id: object, stream_id: object = None) -> None:
        """The service accepted the first message."""
        self.call_id = _identifier(call_id)
        self.stream_id = _identifier(stream_id)
        self.state = State.LIVE
        self._failed = False
        del self._timers["ack"]
        self._events.append(Acked(message, self.call_id, self.stream_id))

    def _check_format(self, message: dict[str, Any], holder: object) -> None:
        """Raise `Malformed` when the service's answer names another input format than the one asked for."""
        echoed = holder.get("input_format") if isinstance(holder, dict) else None
        if echoed is not None and echoed != self.input_format:
            name = messages.name_of(message)
            raise messages.Malformed(f"{name}: input_format is {echoed!r}, asked for {self.input_format}", message)

    def _receive_error(self, message: dict[str, Any], text: str, fatal: bool) -> None:
        self._failed = True
        self._events.append(ErrorMessage(text, fatal, message))

    def _await_close(self, text: str, now: float) -> None:
        """After a fatal error the service closes, with the code that tells whose fault it was; not for ever."""
        self._fatal = text
        self._timers.pop("ack", None)
        self._timers["fatal"] = now + CLOSE_TIMEOUT

    def _on_due(self, name: str, now: float) -> None:
        match name:
            case "ack":
                self._fail(f"no {self._answer} within {self._ack_timeout:g} s", now)
            case "fatal":
                self._fail(self._fatal, now)
            case _:
                super()._on_due(name, now)


def _identifier(value: object) -> str:
    return value if isinstance(value, str) and len(value) <= MAX_IDENTIFIER else ""
