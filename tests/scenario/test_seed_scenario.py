"""The seed scenario, unchanged, round by round (HANDLERS §1.3)."""

import json
from typing import Any

import pytest
from tests.scenario.rounds import AGENT, CALLER, CONTROL_URL, invocation, played

from call_alerting.app import handler as call_alerting
from cordboard.contract.records import DESCRIBE_SCHEMA, ObjectRecord, StepError
from cordboard.scenario.binding import Stores
from cordboard.scenario.process_loop import close_runner
from cordboard.storage.memory import MemoryStorage
from http_request.app import handler as http_request
from line_agent import scenario
from websocket_close.app import handler as websocket_close

CONSULT = ObjectRecord("consult", "call", "leg-2", "CONNECTED", "+18339906144", "+15550001111")


@pytest.fixture
def stores() -> Stores:
    storage = MemoryStorage(lambda: 0.0)
    storage.put("CARTESIA_AGENT_ID", "agent-7", None)
    storage.put("PSTN_CALLER_ID", "+15550001111", None)
    return Stores(storage)


def test_an_inbound_call_is_answered_recorded_and_bridged_to_the_agent(stores: Stores) -> None:
    event = played(scenario, invocation(), {"agent.create": {"id": "ws-1"}}, stores)
    assert event.commands == [
        "call.answer caller", "call.record caller", "agent.create agent", "media.bridge caller+agent",
        "agent.start agent",
    ]  # fmt: skip
    assert [answer.status for answer in event.answers] == ["suspended", "done"]
    first, second = event.answers
    assert first.waiting == ("7.3",)  # 7.2 is the read of the agent's id
    assert [(e.id, e.type, e.result["value"]) for e in first.journal] == [("7.2", "storage.get", "agent-7")]
    create = first.commands[2]
    assert create.args["api_key"] == {"secret": "CARTESIA_API_KEY"}
    assert (create.args["agent_id"], create.args["version"]) == ("agent-7", "2025-04-16")
    assert second.commands[1].args["metadata"] == {
        "from": "+15551234567", "to": "+18005550100", "vox_session_control_url": CONTROL_URL,
    }  # fmt: skip
    assert second.commands[1].line == "call_alerting/app.py:33" or second.commands[1].line.startswith(
        "call_alerting/app.py:"
    )


@pytest.mark.parametrize("code", ["timeout", "call_ended", "refused", "not_supported"])
def test_an_agent_that_cannot_be_reached_ends_the_session(stores: Stores, code: str) -> None:
    event = played(scenario, invocation(), {"agent.create": StepError(code, "no way")}, stores)
    assert event.commands[-1] == "session.terminate"
    assert event.logs == ["SOMETHING_WENT_WRONG"]
    assert event.last.logs[0].fields == {"error": f"agent.create: {code}: no way"}


def test_a_missing_key_ends_the_session_before_an_agent_is_made() -> None:
    event = played(scenario, invocation(), stores=Stores(MemoryStorage(lambda: 0.0)))
    assert event.commands == ["call.answer caller", "call.record caller", "session.terminate"]
    assert "cordboard keys put CARTESIA_AGENT_ID" in event.last.logs[0].fields["error"]


def request(content: object) -> dict[str, Any]:
    return {"method": "POST", "path": "/", "content": content if isinstance(content, str) else json.dumps(content)}


def test_the_agent_transfers_the_caller(stores: Stores) -> None:
    asked = invocation("http.request", None, request({"action": "call_transfer"}), objects=(CALLER, AGENT))
    event = played(scenario, asked, stores=stores)
    assert event.commands == ["media.unbridge caller+agent", "agent.close agent", "call.dial consult"]
    dial = event.last.commands[2].args
    assert (dial["to"], dial["callerid"], dial["follow_diversion"]) == ("+18339906144", "+15550001111", True)
    assert event.last.state is not None
    assert event.last.state.data == {"transfer_in_progress": True, "transferred": False}
    assert event.last.state.base_version == 3
    assert event.last.reply is not None
    assert (event.last.reply.status, event.last.reply.body) == (200, '{"ok":true}')


def test_a_second_transfer_does_nothing(stores: Stores) -> None:
    asked = invocation("http.request", None, request({"action": "call_transfer"}), state={"transferred": True})
    event = played(scenario, asked, stores=stores)
    assert (event.commands, event.last.state) == ([], None)


def test_the_agent_ends_the_call(stores: Stores) -> None:
    asked = invocation("http.request", None, request({"action": "end_call"}), objects=(CALLER, AGENT))
    event = played(scenario, asked, stores=stores)
    assert event.commands == ["call.hangup caller", "agent.close agent", "session.terminate"]
    assert event.last.commands[0].args["after"] == "playout"


def test_an_unknown_action_is_refused_and_the_call_goes_on(stores: Stores) -> None:
    event = played(scenario, invocation("http.request", None, request({"action": "dance"})), stores=stores)
    assert event.commands == []
    assert event.last.reply is not None
    assert event.last.reply.status == 422


@pytest.mark.parametrize("content", ["", "{", "[1]", "null", "7", "[" * 5_000])
def test_content_that_is_no_object_is_a_bad_request(stores: Stores, content: str) -> None:
    event = played(scenario, invocation("http.request", None, request(content)), stores=stores)
    assert event.last.status == "failed"
    assert event.last.error is not None
    assert event.last.error.type == "bad_request"


def test_the_consult_leg_is_joined_or_given_up() -> None:
    joined = played(scenario, invocation("call.connected", "consult", objects=(CALLER, CONSULT)))
    assert joined.commands == ["media.bridge caller+consult"]
    assert joined.last.state is not None
    assert joined.last.state.data == {"transfer_in_progress": False, "transferred": True}
    busy = played(scenario, invocation("call.failed", "consult", {"code": 486, "reason": "Busy Here"}))
    assert (busy.commands, busy.last.logs[0].fields) == (["call.hangup caller"], {"code": 486, "reason": "Busy Here"})
    gone = played(scenario, invocation("call.disconnected", "consult", {"reason": "done"}))
    assert gone.commands == ["call.hangup caller"]


@pytest.mark.parametrize(
    ("state", "data", "commands"),
    [
        ({}, {"code": 1006, "by": "network"}, ["call.hangup caller", "session.terminate"]),
        ({}, {"code": 1000, "by": "agent"}, ["call.hangup caller", "session.terminate"]),
        ({}, {"code": 1000, "by": "us", "expected": True}, []),
        ({"transferred": True}, {"code": 1006}, []),
        ({"transfer_in_progress": True}, {"code": 1006}, []),
    ],
)
def test_a_closed_socket_ends_the_call_unless_it_was_expected(
    state: dict[str, Any], data: dict[str, Any], commands: list[str]
) -> None:
    assert played(scenario, invocation("websocket.close", "agent", data, state=state)).commands == commands


def test_the_lambda_entry_describes_and_runs() -> None:
    try:
        described = call_alerting({"schema": DESCRIBE_SCHEMA}, None)
        assert described["scenario"] == "line-agent"
        assert {"type": "call.alerting", "timeout": 5.0, "tool": False} in described["events"]
        assert "agent.ack" in described["log_only"]
        assert described["state"] == {"transfer_in_progress": False, "transferred": False}
        from tests.scenario.rounds import payload

        for entry in (http_request, websocket_close):
            answer = entry(payload(invocation("call.failed", "caller", {"code": 487})), None)
            assert [command["type"] for command in answer["commands"]] == ["session.terminate"]
    finally:
        close_runner()
