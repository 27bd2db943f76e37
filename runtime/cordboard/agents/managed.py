"""Client of the Managed Agents socket, `GET /v1/agents/websocket/{agent_id}` (version 2026-08-14), without I/O.

Follows reference cartesia-protocols §2: connect → `session_create` → `session_ready` → audio and events both ways →
close. Has the methods and events of the Line client under the same names (§2.4): `metadata` becomes dynamic
variables, `session_ready` is `Acked`, integer turns become string ids. What §2 has no counterpart for raises
`NotSupported`. The service cuts a stream without client events after 120 s (§2.3): pings find a dead peer, but only
the unbroken audio that the engine feeds keeps the call.

Leaves out what `base.BaseConnection` names, and browser sessions made over REST (§2.1).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, Final, NoReturn
from urllib.parse import quote

from cordboard.agents import managed_messages as messages
from cordboard.agents import state
from cordboard.agents.base import BaseConnection
from cordboard.agents.events import Unknown
from cordboard.agents.json_messages import Malformed
from cordboard.agents.state import InputFormat, NotSupported, State

VERSION: Final = "2026-08-14"
"""Version that this wire was documented with (§6)."""

DELIVERIES: Final = ("speaking_pace", "as_available")
"""Values of `output_delivery` (§2.2)."""


class UnsupportedDelivery(ValueError):
    """`config.output_delivery` is neither `speaking_pace` nor `as_available`."""


class ManagedConnection(BaseConnection):
    """One connection to a Managed agent, one call."""

    _answer = "session_ready"

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
        """As `BaseConnection`; the API key goes out as `X-API-Key`: this wire takes no access token there (§2.1)."""
        super().__init__(
            base_url=base_url,
            path=f"/v1/agents/websocket/{quote(agent_id, safe='')}?cartesia_version={quote(version, safe='')}",
            headers={"X-API-Key": api_key},
            agent_id=agent_id,
            api_key=api_key,
            version=version,
            input_format=input_format,
            rng=rng,
            now=now,
            connect_timeout=connect_timeout,
            ack_timeout=ack_timeout,
        )
        self._audio_input = messages.audio_input()
        self._audio_output = messages.audio_output()

    def start(
        self,
        *,
        metadata: Mapping[str, Any],
        config: Mapping[str, Any] | None = None,
        agent: Mapping[str, Any] | None = None,
        now: float,
    ) -> None:
        """Send `session_create` (§2.2), `metadata` as dynamic variables; `session_ready` has `ack_timeout` seconds.

        `config` may hold `input_format`, which overrides the constructor's, and `output_delivery`, for which the Line
        wire's `output_audio_delivery` is taken too. Raises `WrongState`, `UnsupportedFormat`, `UnsupportedDelivery`,
        `BadVariable`, `NotJson`, and `NotSupported` for other keys of `config` and for anything in `agent`.
        """
        self._check("start")
        settings = dict(config or {})
        input_format = state.input_format(settings.pop("input_format", self.input_format))
        audio: dict[str, str] = {"input_format": input_format}
        for key in ("output_audio_delivery", "output_delivery"):
            if (delivery := settings.pop(key, None)) is not None:
                if delivery not in DELIVERIES:
                    raise UnsupportedDelivery(f"config.{key}: must be {' or '.join(DELIVERIES)}")
                audio["output_delivery"] = delivery
        for key in settings:
            raise NotSupported(f"config.{key}", self.version, "set it in the agent's own configuration")
        for key in agent or {}:
            raise NotSupported(f"agent.{key}", self.version, "set it in the agent's own configuration")
        self._send_json(messages.session_create(audio, messages.dynamic_variables(metadata)))
        self._starting(input_format, now)

    def custom(self, metadata: Mapping[str, Any], now: float) -> NoReturn:
        """Raise `NotSupported`: this wire has client tools instead (§2.4)."""
        raise NotSupported("custom", self.version, "the agent calls client tools instead")

    def tool_result(
        self, id: str, result: str, *, is_error: bool = False, error_type: str | None = None, now: float
    ) -> bool:
        """Answer the `ToolCall` of that id (§2.2). The service ignores late, repeated and unmatched results.

        Returns False when the result is larger than 4,096 bytes and the error `result_too_large` was sent in its
        place. Raises `WrongState`, `NotJson`, and ValueError for an id or error type that is too long.
        """
        self._check("tool_result")
        message = messages.tool_result(id, result, is_error, error_type)
        self._send_json(message)
        return message["result"] is result

    # Within

    def _receive_text(self, data: bytes, now: float) -> None:
        try:
            super()._receive_text(data, now)
        except Malformed as exc:
            if (refusal := messages.refusal(exc)) is not None and self.state is State.LIVE:
                self._send_json(refusal)
            raise

    def _send_digit(self, digit: str) -> None:
        self._send_json({"type": "dtmf_input", "digit": digit})

    def _receive_json(self, message: dict[str, Any], now: float) -> None:
        name = message.get("type")
        if name == "error":
            told = message.get("fatal")
            fatal = told if isinstance(told, bool) else self.state is not State.LIVE
            text = messages.error_of(message)
            self._receive_error(message, text, fatal)
            if fatal and not self._fatal:
                self._await_close(text, now)
        elif self.state is State.STARTING and name == self._answer:
            self._acked(message, message.get("call_id"))
            self._check_format(message, message.get("audio"))
        elif self.state is not State.LIVE:
            self._events.append(Unknown(name if isinstance(name, str) else "", message))
        elif name == "audio_output":
            self._receive_audio(messages.audio_payload(message))
        else:
            self._say(messages.parse(message))
