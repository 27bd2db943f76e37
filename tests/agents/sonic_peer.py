"""Sonic's client for these tests: opened, fed, and what the service says to it."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Mapping
from typing import Any

from cordboard.agents.sonic import (
    SonicConnection,
)
from cordboard.agents.state import State

from .agent_peer import accept, drain, frame

KEY = "sk_car_very-secret-0003"
VOICE = {"mode": "id", "id": "v-1"}
SETTINGS: dict[str, Any] = {"model_id": "sonic-3", "voice": VOICE, "language": "en", "max_buffer_delay_ms": 0}
FORMAT = {"container": "raw", "encoding": "pcm_mulaw", "sample_rate": 8000}


def new(settings: Mapping[str, Any] | None = None, **more: Any) -> SonicConnection:
    return SonicConnection(
        **{"base_url": "wss://api.cartesia.ai", **more},
        api_key=KEY,
        settings=SETTINGS if settings is None else settings,
        rng=random.Random(7),
        now=100.0,
    )


def live(settings: Mapping[str, Any] | None = None, **more: Any) -> SonicConnection:
    sonic = new(settings, **more)
    accept(sonic)
    drain(sonic)
    assert sonic.state is State.LIVE
    return sonic


def receive(sonic: SonicConnection, *messages: Mapping[str, Any], now: float = 101.0) -> list[Any]:
    for message in messages:
        sonic.receive_data(frame(json.dumps(message)), now)
    return drain(sonic)


def chunk(context_id: str, payload: bytes, **more: Any) -> dict[str, Any]:
    data = base64.b64encode(payload).decode()
    return {
        "type": "chunk",
        "context_id": context_id,
        "data": data,
        "done": False,
        "status_code": 206,
        "step_time": 12.5,
    } | more


DONE = {"type": "done", "done": True, "status_code": 200}
