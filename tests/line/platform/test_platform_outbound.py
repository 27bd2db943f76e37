"""Outbound calls: asked for at one address, joined with the socket that comes of it, or told why not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ..line_peer import calling
from .platform_peer import Stage, play, stage

ONE = {
    "agent_id": "a",
    "from_number_id": "ap_1",
    "outbound_calls": [{"to_number": "+14155550123", "metadata": {"order": "9"}}],
}


class Telephony:
    """The other side of `--outbound`."""

    def __init__(self) -> None:
        self.status = 202
        self.asked: list[dict[str, Any]] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        self.asked.append(json.loads(await reader.readexactly(length)))
        writer.write(f"HTTP/1.1 {self.status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        writer.close()


@asynccontextmanager
async def telephony() -> AsyncIterator[Telephony]:
    side = Telephony()
    listener = await asyncio.start_server(side.serve, "127.0.0.1", 0)
    side.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/dial"
    try:
        yield side
    finally:
        listener.close()
        await listener.wait_closed()


def test_a_call_that_is_answered_has_the_id_that_was_promised() -> None:
    async def test() -> None:
        async with asyncio.timeout(10), telephony() as side, stage(outbound=side.url) as ready:
            ((promised),) = (await ready.json("POST", "/agents/calls", json=ONE))["calls"]
            id = promised["agent_call_id"]
            assert promised == {"number": "+14155550123", "agent_call_id": id}
            (asked,) = side.asked
            assert (asked["to"], asked["agent_id"], asked["agent_call_id"]) == ("+14155550123", "a", id)
            assert asked["metadata"] == {"order": "9", "agent_call_id": id}
            told = await ready.json("GET", f"/agents/calls/{id}")
            assert (told["status"], told["telephony_params"]["direction"]) == ("created", "outbound")
            async with calling(ready.server) as peer:
                await peer.start(metadata=asked["metadata"] | {"to": "+14155550123"})
                ack, _ = await peer.until("ack")
                assert ack["call_id"] == id
                await peer.until("turn_ended")
            await ready.ended()
            told = await ready.json("GET", f"/agents/calls/{id}")
            assert (told["status"], told["telephony_params"]["direction"]) == ("completed", "outbound")
            async with calling(ready.server) as peer:  # the id is for one call, and for nobody else's
                await peer.start(metadata=asked["metadata"])
                ack, _ = await peer.until("ack")
                assert ack["call_id"] != id

    asyncio.run(test())


def test_nobody_answers_and_nobody_dials() -> None:
    async def test() -> None:
        async with asyncio.timeout(10), telephony() as side, stage(outbound=side.url) as ready:
            body = ONE | {"ringing_timeout_seconds": 1}
            ((promised),) = (await ready.json("POST", "/agents/calls", json=body))["calls"]
            ready.server.platform.calls.dialling(promised["agent_call_id"], 0.0)
            path = f"/agents/calls/{promised['agent_call_id']}"
            while (told := await ready.json("GET", path))["status"] == "created":
                pass
            assert (told["status"], told["end_reason"]) == ("failed", "dial_no_answer")
            side.status = 503
            older = {"agent_id": "a", "target_numbers": ["+1415", "+1416"], "metadata": {"x": 1}}
            told = await ready.json("POST", "/twilio/call/outbound", json=older)
            assert told["calls"] == [
                {"number": number, "error": "the telephony side refuses: status 503"} for number in ("+1415", "+1416")
            ]
            failed = (await ready.json("GET", "/agents/calls?agent_id=a"))["data"][0]
            assert (failed["status"], failed["end_reason"]) == ("failed", "dial_failed")

    asyncio.run(test())


def test_without_telephony_each_number_is_told_so() -> None:
    async def test(ready: Stage) -> None:
        ((told),) = (await ready.json("POST", "/agents/calls", json=ONE))["calls"]
        assert told["number"] == "+14155550123"
        assert told["error"].startswith("no telephony")
        assert (await ready.json("GET", "/agents/calls?agent_id=a"))["data"] == []

    play(test)


@pytest.mark.parametrize(
    ("changes", "status", "field"),
    [
        ({"agent_id": None}, 422, "agent_id"),
        ({"agent_id": "b"}, 404, "agent_id"),
        ({"outbound_calls": []}, 422, "outbound_calls"),
        ({"outbound_calls": [7]}, 422, "outbound_calls[0]"),
        ({"outbound_calls": [{"to_number": "x"}]}, 422, "outbound_calls[0].to_number"),
        ({"outbound_calls": [{"to_number": "+14155550123", "voice": "x"}]}, 422, "outbound_calls[0].voice"),
        ({"ringing_timeout_seconds": 0}, 422, "ringing_timeout_seconds"),
        ({"priority": 1}, 422, "priority"),
    ],
)
def test_a_call_that_cannot_be_is_refused_by_its_field(changes: dict[str, Any], status: int, field: str) -> None:
    async def test(ready: Stage) -> None:
        _, message = await ready.fault("POST", "/agents/calls", status, json={**ONE, **changes})
        assert message.startswith(f"{field}: "), message

    play(test)
