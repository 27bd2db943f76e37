"""The real `cartesia-line` in the loop: the sample agent, and a probe whose turn is interrupted."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from ..line_peer import LOUD, SILENCE, calling
from .real_agent import ROOT, assistant, program, run, speak

FRONT_DESK = ROOT / "samples" / "agents" / "front_desk" / "main.py"

PROBE = """
from line import *

class Probe:
    async def process(self, env, event):
        if isinstance(event, CallStarted):
            yield AgentSendText(text="For two, ")
            yield AgentSendText(text="certainly. ")
            yield AgentSendText(text="Anything else, perhaps a quiet table by the window in the old garden room?")
        elif isinstance(event, UserTurnEnded):
            try:
                await env.knowledge_base().query("opening hours")
            except KnowledgeBaseError as exc:
                yield LogMessage(name="knowledge", level="error", message=str(exc))
            seen = [e.model_dump(exclude={"history"}) for e in event.history]
            yield AgentSendCustom(metadata={"turn": [p.model_dump() for p in event.content], "history": seen})
            yield AgentToolCalled(tool_call_id="1", tool_name="find_slot", tool_args={"size": 2})
            yield AgentToolReturned(tool_call_id="1", tool_name="find_slot", tool_args={"size": 2}, result={"at": "7"})
            yield LogMetric(name="agent_turn_ms", value=812.4)
            yield LogMessage(name="order", level="info", message="placed", metadata={"n": 1})
            yield AgentUpdateCall(voice_id="v-es", language="es")
            yield AgentSendDtmf(button="5")
            yield AgentSendText(text="Off you go.")
            yield AgentTransferCall(target_sip_uri="sip:desk@pbx.example")
            yield AgentTransferCall(target_phone_number="+14155550123")
            yield AgentEndCall(reason="voicemail_detected")

async def get_agent(env, request):
    return Probe()

async def decide(request):
    if request.from_ == "+10":
        return None
    return PreCallResult(metadata={"by": "handler", "from": request.from_}, config={"tts": {"voice_id": "v-1"}})

VoiceAgentApp(get_agent, decide).run()
"""


class Control:
    """A control URL."""

    def __init__(self) -> None:
        self.actions: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        self.actions.put_nowait(json.loads(await reader.readexactly(length)))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        writer.close()


def test_the_front_desk_answers_transfers_and_says_goodbye(python: Path) -> None:
    async def test() -> None:
        control = Control()
        listener = await asyncio.start_server(control.serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/c/secret"
        words = ("when is breakfast", "transfer me please", "goodbye")
        async with program(FRONT_DESK, python, *words) as server, calling(server) as peer:
            await peer.start(metadata={"vox_session_control_url": url}, agent={"introduction": "Good evening."})
            assert (await assistant(peer))["text"] == "Good evening."
            await speak(peer)
            custom, _ = await peer.until("custom")
            assert custom["metadata"] == {"topic": "breakfast"}
            breakfast = "Breakfast is served from seven to ten, in the garden room."
            assert (await assistant(peer))["text"] == breakfast
            await speak(peer)
            assert (await assistant(peer))["text"] == "One moment, I transfer you."
            assert await control.actions.get() == {"action": "call_transfer"}
            await speak(peer)
            assert (await assistant(peer))["text"] == "Thank you for your call. Goodbye."
            assert await control.actions.get() == {"action": "end_call"}
        record = server.calls[0]
        names = [item.message.get("name") for item in record.agent_messages if item.message["type"] == "tool_call"]
        assert names[0] == "call_transfer"
        assert not [warning for warning in record.warnings if "agent:" in warning]
        listener.close()
        await listener.wait_closed()

    run(test())


def test_without_a_control_url_the_service_ends_the_call(python: Path) -> None:
    async def test() -> None:
        async with program(FRONT_DESK, python) as server, calling(server) as peer:
            await peer.start(agent={"introduction": ""})
            await peer.until("ack")
            await peer.send({"event": "dtmf", "dtmf": "#"})
            assert (await assistant(peer))["text"] == "Thank you for your call. Goodbye."
            assert await peer.closed() == (1000, "call ended by agent")

    run(test())


def test_every_event_crosses_the_real_sdk_and_an_interrupted_turn_is_what_was_heard(
    python: Path, tmp_path: Path
) -> None:
    (tmp_path / "main.py").write_text(PROBE)

    async def test() -> None:
        async with program(tmp_path / "main.py", python, "a table for two") as server, calling(server) as peer:
            await peer.start(metadata={"from": "+39"})
            await peer.until("ack")
            words: list[str] = []
            while len(words) < 4:
                delta, _ = await peer.until("turn_output_text_delta")
                words.append(delta["turn_output_text_delta"]["text"].strip())
            await peer.send({"event": "custom", "metadata": {"k": 1}})
            await peer.audio(LOUD, 10)
            spoken = (await assistant(peer))["text"]
            await peer.send({"event": "dtmf", "dtmf": "7"})
            await peer.audio(SILENCE, 40)
            custom, _ = await peer.until("custom")
            seen = custom["metadata"]
            assert [(part["type"], part.get("content") or part["button"]) for part in seen["turn"]] == [
                ("user_dtmf_sent", "7"),
                ("user_text_sent", "a table for two"),
            ]
            kinds = [event["type"] for event in seen["history"] if event["type"] != "agent_text_sent"]
            assert kinds == [
                *("call_started", "agent_turn_started", "user_custom_sent", "user_turn_started"),
                *("agent_turn_ended", "user_dtmf_sent", "user_text_sent", "user_turn_ended"),
            ]
            heard = " ".join(event["content"] for event in seen["history"] if event["type"] == "agent_text_sent")
            assert heard.split() == spoken.split()
            assert heard.startswith("For two, certainly. Anything")
            assert not heard.endswith("room?")
            order = ["dtmf", "turn_started", "turn_ended", "transfer_call", "transfer_call"]
            got: list[dict[str, Any]] = []
            while len(got) < len(order):
                message = await peer.receive()
                if message["event"] in order:
                    got.append(message)
            assert [message["event"] for message in got] == order
            assert got[0]["dtmf"] == "5"
            assert got[2]["turn_ended"]["text"] == "Off you go."
            assert got[3]["transfer"] == {"target_sip_uri": "sip:desk@pbx.example"}
            assert got[4]["transfer"] == {"target_phone_number": "+14155550123"}
            assert await peer.closed() == (1000, "call ended by agent, reason: voicemail_detected")
        record = server.calls[0]
        assert record.agent_config == {
            "tts.voice_id": "v-es",
            "tts.language": "es",
            "stt.language": "es",
            "language": "es",
        }
        notes = [item.message for item in record.agent_messages if item.direction == "in"]
        calls = [(m["name"], m["arguments"], m["result"]) for m in notes if m["type"] == "tool_call"]
        assert calls == [("find_slot", {"size": 2}, None), ("find_slot", {"size": 2}, '{"at": "7"}')]
        assert [(m["name"], m["value"]) for m in notes if m["type"] == "log_metric"] == [("agent_turn_ms", 812.4)]
        assert [m["metadata"]["message"] for m in notes if m["type"] == "log_event"][-1] == "placed"
        assert "not available" in next(m["metadata"]["message"] for m in notes if m.get("event") == "knowledge")

    run(test())


def test_a_call_that_the_handler_rejects_is_refused(python: Path, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(PROBE)

    async def test() -> None:
        async with program(tmp_path / "main.py", python) as server, calling(server) as peer:
            await peer.start(metadata={"from": "+10"})
            assert (await peer.receive())["error_code"] == "call_rejected"
            assert (await peer.closed())[0] == 1008

    run(test())
