"""The wire to agent code, message by message, as reference cartesia-protocols §3.2-§3.4 has it, both ways.

What the harness sends is compared with the golden message and given to the real SDK, with fields and messages that
nobody knows among them; what the SDK sends is read by the harness, likewise.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from cordboard.line.harness import messages
from cordboard.line.harness.messages import (
    Caller,
    Config,
    Custom,
    Dtmf,
    EndCall,
    Failed,
    Note,
    Output,
    ResponseEnd,
    Say,
    Transfer,
    Unknown,
)

from .events_agent import EventsAgent, events_agent
from .real_agent import run

Fields = dict[str, Any]

CALLER = Caller(
    call_id="sid_9b0",
    agent_call_id="ac_01ab",
    from_="+390698765432",
    to="+390612345678",
    agent={"id": "agent_77", "system_prompt": None, "introduction": "Trattoria Nove, good evening."},
    metadata={"edge_call": "c-42"},
)

START = """{"type":"start","call_id":"sid_9b0","from":"+390698765432","to":"+390612345678","agent_call_id":"ac_01ab",
 "agent":{"id":"agent_77","system_prompt":null,"introduction":"Trattoria Nove, good evening."},
 "metadata":{"edge_call":"c-42"},"agent_token":null,"api_base_url":"http://127.0.0.1:8080"}"""

TO_CODE: list[tuple[messages.Message, str, Fields | None]] = [
    (messages.user_state("speaking", "e1"), '{"type":"user_state","value":"speaking","event_id":"e1"}',
     {"type": "user_turn_started"}),
    (messages.transcript("a table for two", "e2"), '{"type":"message","content":"a table for two","event_id":"e2"}',
     {"type": "user_text_sent", "content": "a table for two"}),
    (messages.dtmf("7", "e3"), '{"type":"dtmf","button":"7","event_id":"e3"}',
     {"type": "user_dtmf_sent", "button": "7"}),
    (messages.user_state("idle", "e4"), '{"type":"user_state","value":"idle","event_id":"e4"}',
     {"type": "user_turn_ended"}),
    (messages.agent_state("speaking", "e5"), '{"type":"agent_state","value":"speaking","event_id":"e5"}',
     {"type": "agent_turn_started"}),
    (messages.agent_speech("Good", "e6"), '{"type":"agent_speech","content":"Good","event_id":"e6"}',
     {"type": "agent_text_sent", "content": "Good"}),
    (messages.agent_state("idle", "e7"), '{"type":"agent_state","value":"idle","event_id":"e7"}',
     {"type": "agent_turn_ended"}),
    (messages.custom({"k": 1}, "e8"), '{"type":"custom","metadata":{"k":1},"event_id":"e8"}',
     {"type": "user_custom_sent", "metadata": {"k": 1}}),
    (messages.validation_error("no button", "e9"),
     '{"type":"validation_error","error_message":"no button","error_type":"invalid_message","event_id":"e9"}', None),
]  # fmt: skip
"""What the harness makes; the golden message; what the SDK makes of it, None for what it only logs."""


@pytest.fixture(scope="module")
def agent(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventsAgent]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    with events_agent(tmp_path_factory.mktemp("golden"), python, port) as running:
        yield running


@pytest.mark.parametrize(("made", "golden"), [(made, golden) for made, golden, _ in TO_CODE])
def test_the_harness_sends_the_golden_message(made: messages.Message, golden: str) -> None:
    assert made == json.loads(golden)


def test_start_is_the_golden_message() -> None:
    assert messages.start(CALLER, CALLER.metadata, "http://127.0.0.1:8080") == json.loads(START)


@pytest.mark.parametrize("unknown", [False, True], ids=["as golden", "with unknown fields and messages"])
def test_the_real_sdk_understands_the_golden_messages(agent: EventsAgent, unknown: bool) -> None:
    def sent(golden: str) -> str:
        return json.dumps(json.loads(golden) | ({"from_the_future": {"deep": [1]}} if unknown else {}))

    before = len(agent.received())

    async def test() -> None:
        async with connect(agent.url.replace("http", "ws") + "/ws", compression=None, proxy=None) as socket_:
            await socket_.send(sent(START))
            for _, golden, _ in TO_CODE:
                if unknown:
                    await socket_.send('{"type":"weather","content":"rain"}')
                await socket_.send(sent(golden))
            await socket_.send('{"type":"custom","metadata":{"emit":[["AgentSendCustom",{"metadata":{"last":1}}]]}}')
            while json.loads(await socket_.recv()).get("metadata") != {"last": 1}:
                pass

    run(test())
    request, opening, *events = agent.received()[before:]
    assert (request["from_"], request["agent"]["id"], request["metadata"]) == (
        "+390698765432",
        "agent_77",
        {"edge_call": "c-42"},
    )
    assert opening["type"] == "call_started"
    wanted = [(event, json.loads(golden)["event_id"]) for _, golden, event in TO_CODE if event is not None]
    for event, (fields, event_id) in zip(events, wanted, strict=False):
        assert fields.items() <= event.items()
        if event["type"] != "agent_text_sent":  # joined words are an event of the SDK's own
            assert event["event_id"] == event_id
    assert len(events) >= len(wanted) + 1
    turn = next(event for event in events if event["type"] == "user_turn_ended")
    assert [part["type"] for part in turn["content"]] == ["user_text_sent", "user_dtmf_sent"]


FROM_CODE: list[tuple[str, Output]] = [
    ('{"type":"message","content":"For two, ","interruptible":true,"responding_to":"e4"}',
     Say("e4", "For two, ", True)),
    ('{"type":"tool_call","name":"find_slot","arguments":{"size":2},"result":null,"id":null,"responding_to":"e4"}',
     Note("e4", "tool_call", {"name": "find_slot", "arguments": {"size": 2}, "result": None, "id": None})),
    ('{"type":"tool_call","name":"find_slot","arguments":{"size":2},"result":"{\\"slot\\": \\"19:30\\"}","id":null,'
     '"responding_to":"e4"}',
     Note("e4", "tool_call",
          {"name": "find_slot", "arguments": {"size": 2}, "result": '{"slot": "19:30"}', "id": None})),
    ('{"type":"log_metric","name":"agent_turn_ms","value":812.4,"responding_to":"e4"}',
     Note("e4", "log_metric", {"name": "agent_turn_ms", "value": 812.4})),
    ('{"type":"log_event","event":"order","metadata":{"level":"info","message":"placed","metadata":{"n":1}},'
     '"responding_to":"e4"}',
     Note("e4", "log_event",
          {"event": "order", "metadata": {"level": "info", "message": "placed", "metadata": {"n": 1}}})),
    ('{"type":"config","tts":{"voice_id":"v-es","pronunciation_dict_id":null,"language":"es"},'
     '"stt":{"language":"es"},"language":"es","responding_to":"e4"}',
     Config("e4", {"tts.voice_id": "v-es", "tts.language": "es", "stt.language": "es", "language": "es"})),
    ('{"type":"custom","metadata":{"stage":"pay"},"responding_to":"e4"}', Custom("e4", {"stage": "pay"})),
    ('{"type":"dtmf","button":"5","responding_to":"e4"}', Dtmf("e4", "5")),
    ('{"type":"transfer","transfer_destination":{"type":"sip_uri","value":"sip:desk@pbx.example"},'
     '"responding_to":"e4","interruptible":true}', Transfer("e4", "sip:desk@pbx.example", True)),
    ('{"type":"transfer","target_phone_number":"+14155550123","responding_to":"e4"}',
     Transfer("e4", "+14155550123", True)),
    ('{"type":"end_call","reason":"agent_ended","responding_to":"e4","interruptible":true}',
     EndCall("e4", "agent_ended", True)),
    ('{"type":"response_end","responding_to":"e4"}', ResponseEnd("e4")),
    ('{"type":"error","content":"Traceback"}', Failed(None, "Traceback")),
]  # fmt: skip
"""Golden messages of agent code, the bare number of SDKs up to 0.2.17 among them; what the harness reads."""


@pytest.mark.parametrize(("golden", "output"), FROM_CODE)
def test_the_harness_reads_the_golden_message_and_ignores_what_it_does_not_know(golden: str, output: Output) -> None:
    assert messages.decode(messages.parse(golden)) == output
    future = messages.decode(json.loads(golden) | {"from_the_future": {"deep": [1]}})
    if isinstance(output, Note):  # for the record alone, so kept
        assert isinstance(future, Note)
        assert output.fields.items() <= future.fields.items()
    elif isinstance(output, Config):
        assert isinstance(future, Config)
        assert output.changes.items() <= future.changes.items()
    else:
        assert future == output


def test_a_message_that_nobody_knows_is_unknown_and_no_fault() -> None:
    assert messages.decode({"type": "weather", "content": "rain", "responding_to": "e4"}) == Unknown("e4", "weather")
