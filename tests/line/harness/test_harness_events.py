"""One row for each input and output event of the SDK's pages: through the real SDK it arrives with the right fields.

Two events of the pages have no wire message (reference cartesia-protocols §3.8): `test_harness_handoff.py` has the
handoff, and shows that the SDK never makes `AgentDtmfSent`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cordboard.line.harness.program import AgentUrl
from cordboard.line.records import CallRecord

from ..line_peer import Peer, calling
from .events_agent import EventsAgent, events_agent
from .real_agent import assistant, notes, run, serving_host, speak

Events = list[dict[str, Any]]


@pytest.fixture(scope="module")
def agent(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventsAgent]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    with events_agent(tmp_path_factory.mktemp("events"), python, port) as running:
        yield running


@pytest.fixture(scope="module")
def received(agent: EventsAgent) -> Events:
    """What the program received in one call with a digit, words, and data of the client."""
    before = len(agent.received())

    async def test() -> None:
        async with serving_host(AgentUrl(agent.url), "a table for two") as server:
            async with calling(server) as peer:
                await peer.start(metadata={"from": "+15551234567", "to": "+18005550100", "k": {"deep": [1]}})
                await assistant(peer)
                await peer.send({"event": "dtmf", "dtmf": "5"})
                await peer.send({"event": "dtmf", "dtmf": "#"})
                await speak(peer)
                await user_ends(peer)
                await peer.send({"event": "custom", "metadata": {"vip": True, "n": {"x": [1, None]}}})
                await peer.send({"event": "custom", "metadata": {"emit": [["AgentSendCustom", {"metadata": {}}]]}})
                await peer.until("custom")
            while not any(event.get("type") == "call_ended" for event in agent.received()[before:]):  # noqa: ASYNC110
                await asyncio.sleep(0.01)  # the program's file; the test's limit ends this

    run(test())
    return agent.received()[before:]


async def user_ends(peer: Peer) -> None:
    while (await peer.until("turn_ended"))[0]["turn_ended"]["role"] != "user":
        pass


def test_the_call_request_has_what_the_client_told(received: Events) -> None:
    request = received[0]
    assert (request["from_"], request["to"]) == ("+15551234567", "+18005550100")
    assert request["metadata"] == {"from": "+15551234567", "to": "+18005550100", "k": {"deep": [1]}}
    assert request["call_id"].startswith("sid_")
    assert request["agent_call_id"].startswith("ac_")
    assert (request["agent"]["id"], request["agent"]["introduction"]) == ("a", None)
    assert request["api_base_url"].startswith("http://127.0.0.1:")


DIGITS = [{"type": "user_dtmf_sent", "button": "5"}, {"type": "user_dtmf_sent", "button": "#"}]
WORDS = [{"type": "user_text_sent", "content": "a table for two"}]
SPOKEN = [{"type": "agent_text_sent", "content": "Good"}, {"type": "agent_text_sent", "content": "day."}]

INPUTS: list[tuple[str, list[dict[str, Any]]]] = [
    ("call_started", [{}]),
    ("agent_turn_started", [{}]),
    ("agent_text_sent", [{"content": "Good"}, {"content": "Good day."}]),  # the SDK joins the words that were heard
    ("agent_turn_ended", [{"content": SPOKEN}]),
    ("user_turn_started", [{}, {}]),
    ("user_dtmf_sent", [{"button": "5"}, {"button": "#"}]),
    ("user_text_sent", [{"content": "a table for two"}]),
    ("user_turn_ended", [{"content": DIGITS}, {"content": WORDS}]),
    ("user_custom_sent", [
        {"metadata": {"vip": True, "n": {"x": [1, None]}}},
        {"metadata": {"emit": [["AgentSendCustom", {"metadata": {}}]]}},
    ]),
    ("call_ended", [{}]),
]  # fmt: skip
"""Type of each input event, and the fields of all that came, in order, beside `event_id` and `history`."""


@pytest.mark.parametrize(("kind", "fields"), INPUTS, ids=[kind for kind, _ in INPUTS])
def test_an_input_event_arrives_with_its_fields_and_the_history(
    received: Events, kind: str, fields: list[dict[str, Any]]
) -> None:
    found = [event for event in received if event.get("type") == kind]
    assert [plain(event) for event in found] == [{"type": kind, **values} for values in fields]
    for event in found:
        assert event["history"], "an event that the agent is run with has the conversation"
        assert plain(event["history"][-1]) == plain(event)
        assert all(entry["history"] is None for entry in event["history"])


def plain(event: Mapping[str, Any]) -> dict[str, Any]:
    """An event without its id and history; words without the spaces that the SDK restores."""
    kept = {key: value for key, value in event.items() if key not in ("event_id", "history")}
    if isinstance(kept.get("content"), list):
        kept["content"] = [plain(part) for part in kept["content"]]
    elif "content" in kept:
        kept["content"] = kept["content"].strip()
    return kept


def test_events_come_in_the_order_of_the_call(received: Events) -> None:
    last = next(event for event in received if event.get("type") == "call_ended")
    kinds = [entry["type"] for entry in last["history"] if entry["type"] != "agent_text_sent"]
    assert kinds == [
        *("call_started", "agent_turn_started", "agent_turn_ended"),
        *("user_turn_started", "user_dtmf_sent", "user_dtmf_sent", "user_turn_ended"),
        *("user_turn_started", "user_text_sent", "user_turn_ended"),
        *("user_custom_sent", "user_custom_sent", "call_ended"),
    ]


Fields = dict[str, Any]
TOOL: Fields = {"tool_call_id": "t1", "tool_name": "find_slot", "tool_args": {"size": 2}}

OUTPUTS: list[tuple[str, Fields, str, Fields, Fields | None]] = [
    ("AgentSendText", {"text": "Hello there."}, "message", {"content": "Hello there.", "interruptible": True},
     {"event": "turn_ended", "text": "Hello there."}),
    ("AgentSendText", {"text": "Listen.", "interruptible": False}, "message",
     {"content": "Listen.", "interruptible": False}, {"event": "turn_ended", "text": "Listen."}),
    ("AgentSendDtmf", {"button": "5"}, "dtmf", {"button": "5"}, {"event": "dtmf", "dtmf": "5"}),
    ("AgentEndCall", {}, "end_call", {"reason": "agent_ended", "interruptible": True},
     {"close": "call ended by agent"}),
    ("AgentEndCall", {"reason": "voicemail_detected", "interruptible": False}, "end_call",
     {"reason": "voicemail_detected", "interruptible": False},
     {"close": "call ended by agent, reason: voicemail_detected"}),
    ("AgentTransferCall", {"target_phone_number": "+14155550123"}, "transfer",
     {"transfer_destination": {"type": "phone", "value": "+14155550123"}, "interruptible": True},
     {"event": "transfer_call", "transfer": {"target_phone_number": "+14155550123"}}),
    ("AgentTransferCall", {"target_sip_uri": "sip:desk@pbx.example", "interruptible": False}, "transfer",
     {"transfer_destination": {"type": "sip_uri", "value": "sip:desk@pbx.example"}, "interruptible": False},
     {"event": "transfer_call", "transfer": {"target_sip_uri": "sip:desk@pbx.example"}}),
    ("AgentToolCalled", TOOL, "tool_call", {"name": "find_slot", "arguments": {"size": 2}, "result": None, "id": None},
     None),
    ("AgentToolReturned", {**TOOL, "result": {"at": "7"}}, "tool_call",
     {"name": "find_slot", "arguments": {"size": 2}, "result": '{"at": "7"}', "id": None}, None),
    ("AgentUpdateCall", {"voice_id": "v-es", "language": "es"}, "config",
     {"tts": {"voice_id": "v-es", "pronunciation_dict_id": None, "language": "es"}, "stt": {"language": "es"},
      "language": "es"}, None),
    ("AgentUpdateCall", {"pronunciation_dict_id": "p-1"}, "config",
     {"tts": {"voice_id": None, "pronunciation_dict_id": "p-1", "language": None}, "stt": None, "language": None},
     None),
    ("AgentSendCustom", {"metadata": {"stage": "pay", "n": [1]}}, "custom", {"metadata": {"stage": "pay", "n": [1]}},
     {"event": "custom", "metadata": {"stage": "pay", "n": [1]}}),
    ("LogMetric", {"name": "score", "value": {"deep": 1.5}}, "log_metric", {"name": "score", "value": {"deep": 1.5}},
     None),
    ("LogMessage", {"name": "order", "level": "error", "message": "late", "metadata": {"n": 1}}, "log_event",
     {"event": "order", "metadata": {"level": "error", "message": "late", "metadata": {"n": 1}}}, None),
]  # fmt: skip
"""SDK class and its fields; the wire message from the program; what the client of the call is told."""


@pytest.mark.parametrize(
    ("name", "fields", "kind", "message", "client"),
    OUTPUTS,
    ids=[f"{at}-{row[0]}" for at, row in enumerate(OUTPUTS)],
)
def test_an_output_event_arrives_with_its_fields_and_takes_effect(
    agent: EventsAgent, name: str, fields: Fields, kind: str, message: Fields, client: Fields | None
) -> None:
    async def test() -> None:
        async with serving_host(AgentUrl(agent.url)) as server, calling(server) as peer:
            await peer.start()
            await assistant(peer)
            done = [] if client is not None else [["AgentSendCustom", {"metadata": {"done": True}}]]
            await peer.send({"event": "custom", "metadata": {"emit": [[name, fields], *done]}})
            if client is None:
                assert (await peer.until("custom"))[0]["metadata"] == {"done": True}
            elif "close" in client:
                assert await peer.closed() == (1000, client["close"])
            elif client["event"] == "turn_ended":
                assert (await assistant(peer))["text"] == client["text"]
            else:
                told, _ = await peer.until(client["event"])
                assert client.items() <= told.items()
        found = notes(server, kind)
        assert found[-1:] == [message]
        assert effect(server.calls[0], name) == expected(name, message)

    run(test())


def effect(record: CallRecord, name: str) -> dict[str, Any]:
    """What of the record a configuration changes."""
    return dict(record.agent_config) if name == "AgentUpdateCall" else {}


def expected(name: str, message: Fields) -> Fields:
    if name != "AgentUpdateCall":
        return {}
    tables = {f"{table}.{key}": value for table in ("tts", "stt") for key, value in (message[table] or {}).items()}
    return {key: value for key, value in {**tables, "language": message["language"]}.items() if value is not None}
