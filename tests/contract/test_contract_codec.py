"""Strict decoding: what fits comes back equal, what does not is refused with the name of its field."""

import json
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.contract import call_record, commands, records
from cordboard.contract.codec import MAX_DEPTH, DecodeError, check_json, decode, encode
from cordboard.contract.events import Event

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=12,
)

AT = "2026-11-21T00:00:00.000Z"
INVOCATION: dict[str, Any] = {
    "schema": "cordboard.invocation/1",
    "session": {"id": "s_1", "scenario": "x", "control_url": "http://h/control/t", "started_at": AT},
    "event": {"id": "s_1:7", "seq": 7, "type": "http.request", "at": AT, "data": {"method": "GET"}},
    "now": AT,
    "journal": [
        {"id": "7.0", "type": "once", "hash": "00", "status": "failed", "error": {"code": "a", "message": "b"}}
    ],
}


def test_an_invocation_comes_back_equal() -> None:
    invocation = decode(records.Invocation, INVOCATION)
    assert invocation.event == Event("s_1:7", 7, "http.request", AT, data={"method": "GET"})
    assert decode(records.Invocation, json.loads(json.dumps(encode(invocation)))) == invocation


@pytest.mark.parametrize(
    ("change", "path", "problem"),
    [
        ({"event": {**INVOCATION["event"], "seq": "7"}}, "event.seq", "expected a whole number, got a string"),
        ({"event": {**INVOCATION["event"], "seq": True}}, "event.seq", "expected a whole number, got true or false"),
        ({"event": 3}, "event", "expected an object, got a whole number"),
        ({"session": {"id": "s"}}, "session.scenario", "missing"),
        ({"extra": 1}, "extra", "unknown field of Invocation"),
        ({"schema": "cordboard.invocation/2"}, "schema", "is none of"),
        ({"journal": {}}, "journal", "expected a list, got an object"),
        ({"journal": [{"id": "1", "type": "t", "hash": "h", "status": "maybe"}]}, "journal[0].status", "is none of"),
        ({"event": {**INVOCATION["event"], "data": {"a": float("nan")}}}, "event.data.a", "not a finite number"),
    ],
)
def test_a_refusal_names_the_field(change: dict[str, Any], path: str, problem: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(records.Invocation, {**INVOCATION, **change})
    assert caught.value.path == path
    assert problem in caught.value.problem


def test_a_reader_ignores_what_a_newer_edge_adds() -> None:
    assert decode(records.Invocation, {**INVOCATION, "extra": 1}, unknown="ignore") == decode(
        records.Invocation, INVOCATION
    )


@pytest.mark.parametrize(
    ("kind", "value", "path"),
    [
        (commands.CallReject, {"code": 200}, "code"),
        (commands.CallDial, {"to": ""}, "to"),
        (commands.CallDial, {"to": "+1", "timeout": 0}, "timeout"),
        (commands.Digits, {"digits": "12x"}, "digits"),
        (commands.TimerSet, {"seconds": 0}, "seconds"),
        (commands.CallRecord, {"name": "../etc"}, "name"),
        (commands.AgentToolResult, {"id": "", "result": ""}, "id"),
        (commands.AgentToolResult, {"id": "x" * 257, "result": ""}, "id"),
        (commands.AgentToolResult, {"id": "x", "result": "é" * 2_049}, "result"),
        (commands.AgentToolResult, {"id": "x", "result": "\ud800"}, "result"),
        (commands.AgentToolResult, {"id": "x", "result": "", "error_type": ""}, "error_type"),
        (records.Reply, {"status": 99}, "status"),
        (records.Reply, {"headers": {"X": "a\r\nb"}}, "headers.X"),
        (records.Answer, {"event_id": "e", "round": 0, "attempt": 1, "status": "suspended"}, "waiting"),
        (records.Answer, {"event_id": "e", "round": 0, "attempt": 1, "status": "failed"}, "error"),
    ],
)
def test_values_out_of_range_are_refused_by_name(kind: type, value: dict[str, Any], path: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(kind, value)
    assert caught.value.path == path


@pytest.mark.parametrize("value", [10**400, -(10**400), float("inf"), float("nan"), True, "1", None])
def test_a_number_that_no_float_holds_is_refused(value: Any) -> None:
    with pytest.raises(DecodeError, match="v: expected a finite number"):
        decode(float, value, path="v")


@pytest.mark.parametrize(("value", "fits"), [("a", True), (1, True), (True, False), (1.0, False), ([], False)])
def test_a_literal_takes_its_values_of_their_own_type(value: Any, fits: bool) -> None:
    kind: Any = Literal["a", 1]
    if fits:
        assert decode(kind, value) == value
    else:
        with pytest.raises(DecodeError, match="is none of 'a', 1"):
            decode(kind, value)


def test_a_secret_reference_and_a_plain_key_are_told_apart() -> None:
    args = {"agent_id": "a", "version": "2025-04-16"}
    by_name = decode(commands.AgentCreate, {**args, "api_key": {"secret": "K"}})
    assert by_name.api_key == commands.SecretReference("K")
    assert decode(commands.AgentCreate, {**args, "api_key": "plain"}).api_key == "plain"
    with pytest.raises(DecodeError, match="api_key"):
        decode(commands.AgentCreate, {**args, "api_key": 3})


@given(json_values)
def test_any_json_value_passes_as_event_data(value: Any) -> None:
    event = Event("s:1", 1, "agent.custom", "t", data={"v": value})
    assert decode(Event, json.loads(json.dumps(encode(event)))).data["v"] == value


@given(json_values)
def test_hostile_json_raises_nothing_but_decode_errors(value: Any) -> None:
    with pytest.raises(DecodeError):
        decode(records.Answer, value)


def test_deep_nesting_is_refused() -> None:
    value: Any = 0
    for _ in range(MAX_DEPTH + 2):
        value = [value]
    with pytest.raises(DecodeError, match="nested deeper"):
        check_json(value, "v")


def test_fingerprint_depends_on_every_part_and_not_on_key_order() -> None:
    base = commands.fingerprint("call.dial", "x", {"a": 1, "b": 2})
    assert base == commands.fingerprint("call.dial", "x", {"b": 2, "a": 1})
    others = {
        commands.fingerprint("call.answer", "x", {"a": 1, "b": 2}),
        commands.fingerprint("call.dial", None, {"a": 1, "b": 2}),
        commands.fingerprint("call.dial", "x", {"a": 1, "b": 3}),
    }
    assert base not in others
    assert len(others) == 3


def test_the_ledger_identity() -> None:
    entry = call_record.LedgerEntry(
        "agent", "caller", 8000, received=500, sent=160, cleared=100, discarded={"hold": 80}, queued=160
    )
    assert entry.balanced()
    assert not call_record.LedgerEntry("agent", "caller", 8000, received=1).balanced()
