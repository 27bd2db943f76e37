"""Client of the Line socket, `GET /agents/stream/{agent_id}` (Cartesia-Version 2025-04-16), without I/O.

Follows reference cartesia-protocols §1: connect → `start` → `ack` → audio and events both ways → close. Output audio
has the input's format (§1.4). Leaves out what `base.BaseConnection` names, and client tools, which this wire lacks.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, Final, NoReturn
from urllib.parse import quote

from cordboard.agents import json_messages, state
from cordboard.agents import line_messages as messages
from cordboard.agents.base import BaseConnection
from cordboard.agents.events import Unknown
from cordboard.agents.state import InputFormat, NotSupported, State, UnsupportedFormat, WrongState

__all__ = ["InputFormat", "LineConnection", "State", "UnsupportedFormat", "WrongState"]

VERSION: Final = "2025-04-16"
"""Version that this wire was documented with (§6)."""


class LineConnection(BaseConnection):
    """One connection to a Line agent, one call."""

    _answer = "ack"

    def __init__(
        self,
        *,
        base_url: str,
        agent_id: str,
        api_key: str,
        version: str = VERSION,
        input_format: InputFormat = "mulaw_8000",
        rng: random.Random,
        now: float,
        connect_timeout: float = 5.0,
        ack_timeout: float = 10.0,
    ) -> None:
        """As `BaseConnection`; `api_key` may be an access token (§1.1)."""
        super().__init__(
            base_url=base_url,
            path=f"/agents/stream/{quote(agent_id, safe='')}",
            headers={"Authorization": f"Bearer {api_key}", "Cartesia-Version": version},
            agent_id=agent_id,
            api_key=api_key,
            version=version,
            input_format=input_format,
            rng=rng,
            now=now,
            connect_timeout=connect_timeout,
            ack_timeout=ack_timeout,
        )
        self._open_stream("")

    def start(
        self,
        *,
        metadata: Mapping[str, Any],
        config: Mapping[str, Any] | None = None,
        agent: Mapping[str, Any] | None = None,
        now: float,
    ) -> None:
        """Send `start` (§1.2.1); the ack has `ack_timeout` seconds.

        `config.input_format` overrides the constructor's. Raises `WrongState`, `UnsupportedFormat` and `NotJson`.
        """
        self._check("start")
        settings = {"input_format": self.input_format, **(config or {})}
        input_format = state.input_format(settings["input_format"])
        message: dict[str, Any] = {"event": "start", "config": settings, "metadata": dict(metadata)}
        if agent is not None:
            message["agent"] = dict(agent)
        self._send_json(message)
        self._starting(input_format, now)

    def custom(self, metadata: Mapping[str, Any], now: float) -> None:
        """Send an object to the agent's code (§1.2.4); raises `WrongState` and `NotJson`."""
        self._check("custom")
        self._send("custom", metadata=dict(metadata))

    def tool_result(
        self, id: str, result: str, *, is_error: bool = False, error_type: str | None = None, now: float
    ) -> NoReturn:
        """Raise `NotSupported`: this wire has no client tools (§1.3)."""
        raise NotSupported("tool_result", self.version, "answer a tool by custom, or at the control URL")

    # Within

    def _open_stream(self, stream_id: str) -> None:
        self._audio_input = messages.media_input(stream_id)
        self._audio_output = messages.media_output(stream_id)

    def _send(self, event: str, **fields: object) -> None:
        stream = {"stream_id": self.stream_id} if self.stream_id else {}
        self._send_json({"event": event, **stream, **fields})

    def _send_digit(self, digit: str) -> None:
        self._send("dtmf", dtmf=digit)

    def _receive_json(self, message: dict[str, Any], now: float) -> None:
        name = message.get("event")
        if messages.is_error(message):
            fatal = self.state is not State.LIVE
            text = json_messages.error_text(message)
            self._receive_error(message, text, fatal)
            if fatal:
                self._fail(text, now)
        elif self.state is State.STARTING and name == self._answer:
            self._acked(message, message.get("call_id"), message.get("stream_id"))
            self._open_stream(self.stream_id)
            self._check_format(message, message.get("config"))
        elif self.state is not State.LIVE:
            self._events.append(Unknown(name if isinstance(name, str) else "", message))
        elif name == "media_output":
            self._receive_audio(messages.media_payload(message))
        else:
            self._say(messages.parse(message))
