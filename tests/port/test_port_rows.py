"""VoxEngine's must rows that no other room shows by itself (docs/port-from-voxengine.md), on a whole edge."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cordboard.config.load import load
from cordboard.contract import commands
from cordboard.session.session import MAX_MAILBOX
from cordboard.simulator.edge import PUBLIC_URL
from cordboard.storage import interface as storage
from cordboard.testing import Edge, Leg

TEMPLATE = Path(__file__).parent / "rows" / "template.yaml"
CALLER, NUMBER, CALLEE = "+15551234567", "+18005550100", "+15557654321"


@pytest.fixture
def edge() -> Iterator[Edge]:
    made = Edge(TEMPLATE)
    try:
        yield made
        made.simulation.quiet()
    finally:
        made.close()


@pytest.fixture
def caller(edge: Edge) -> Leg:
    return edge.call(CALLER, to=NUMBER, headers={"X-Campaign": "spring", "User-to-User": "abc", "Secret": "no"})


def sent(edge: Edge, session: str, start: str) -> str:
    """The text of the first SIP message that the edge sent with such a first line."""
    timeline = edge.simulation.edge.sessions[session].timeline
    return next(str(e.data["text"]) for e in timeline if e.kind == "sip" and str(e.data.get("text")).startswith(start))


def logged(edge: Edge, session: str, what: str) -> dict[str, Any]:
    timeline = edge.simulation.edge.sessions[session].timeline
    found = next(dict(entry.data) for entry in timeline if (entry.kind, entry.what) == ("log", what))
    return {name: value for name, value in found.items() if name not in ("level", "event", "attempt")}


def request(edge: Edge, caller: Leg, method: str, body: bytes = b"", **headers: str) -> tuple[int, Any, dict[str, str]]:
    url = edge.simulation.session_of(caller._phone).control_url
    named = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    name = edge.simulation.edge.request(method, url.removeprefix(f"{PUBLIC_URL}/control/"), named, body)
    edge.advance(0.5)
    reply = edge.simulation.edge.replies[name]
    return reply.status, json.loads(reply.body), dict(reply.headers)


def test_row_1_headers_go_both_ways(edge: Edge, caller: Leg) -> None:
    session = caller.session.id
    assert logged(edge, session, "caller's headers") == {"X-Campaign": "spring", "User-to-User": "abc"}
    assert "X-Stage: ringing" in sent(edge, session, "SIP/2.0 180")
    assert "X-Stage: early" in sent(edge, session, "SIP/2.0 183")
    up = sent(edge, session, "SIP/2.0 200")
    assert "X-Stage: up" in up
    assert "User-to-User: 616263;encoding=hex" in up
    caller.control({"dial": CALLEE})
    invite = sent(edge, session, f"INVITE sip:{CALLEE}")
    assert "X-Order: 42" in invite
    assert "User-to-User: order-42" in invite
    edge.dialed(CALLEE).answer()
    edge.advance(0.5)
    assert logged(edge, session, "callee's headers") == {}
    assert "X-Why: done" in sent(edge, session, "BYE ")
    caller.hangup()


def test_row_2_the_log_is_ordered_and_the_url_dies_with_its_session(edge: Edge, caller: Leg) -> None:
    session = edge.simulation.session_of(caller._phone)
    caller.hangup()
    edge.advance(1)
    times = [entry.at for entry in session.timeline]
    assert times == sorted(times)
    whats = [entry.what for entry in session.timeline if entry.kind == "event"]
    assert (
        whats.index("session.started") < whats.index("call.alerting:caller") < whats.index("call.disconnected:caller")
    )
    assert whats[-1] == "call.ended"
    path = session.control_url.removeprefix(f"{PUBLIC_URL}/control/")
    name = edge.simulation.edge.request("GET", path, {}, b"")
    assert edge.simulation.edge.replies[name].status == 404


def test_rows_4_and_5_state_replies_and_real_headers(edge: Edge, caller: Leg) -> None:
    assert request(edge, caller, "GET")[:2] == (200, {"missing": True, "asked": 1})
    status, body, headers = request(
        edge, caller, "POST", b"{}",
        Content_Type="application/json", User_Agent="agent/1", Accept_Language="de", X_Trace="t" * 2000,
        Authorization="Bearer sesame", X_Api_Key="sesame", Cookie="sesame", X_Control_Signature="sesame", Host="h",
    )  # fmt: skip
    assert (status, headers["X-Made-By"]) == (207, "rows")
    assert body["headers"] == {
        "content-type": "application/json", "user-agent": "agent/1", "accept-language": "de", "x-trace": "t" * 1024,
    }  # fmt: skip
    assert "sesame" not in repr(edge.simulation.session_of(caller._phone).timeline)
    assert request(edge, caller, "POST", b"x" * 16_385, Content_Type="application/json")[0] == 413
    assert request(edge, caller, "POST", b"[1]", Content_Type="application/json")[0] == 400
    assert request(edge, caller, "GET")[1]["asked"] == 3, "a failed round keeps nothing of its state"
    caller.hangup()


def test_row_7_a_replaced_source_is_told(edge: Edge, caller: Leg) -> None:
    edge.advance(1)
    caller.control({"replace": True})
    edge.advance(1)
    told = logged(edge, caller.session.id, "replaced")
    assert told == {"source": "first", "sink": "caller", "by": "second"}
    caller.hangup()


def test_row_15_the_last_handler_stores_and_the_record_is_written_once(edge: Edge, caller: Leg) -> None:
    session = edge.simulation.session_of(caller._phone)
    caller.hangup()
    edge.advance(1)
    stored = edge.simulation.storage.get(f"outcome:{session.id}")
    assert stored is not None
    assert stored.value == "caller.hangup"
    assert [record.cause for record in session.ended] == ["caller.hangup"]


def test_a_recording_of_a_dialled_call_names_that_call(edge: Edge, caller: Leg) -> None:
    caller.control({"dial": CALLEE})
    edge.dialed(CALLEE).answer()
    edge.advance(1)
    assert logged(edge, caller.session.id, "recorded") == {"call": "callee"}
    caller.hangup()


def test_row_14_limits_are_voxengine_s() -> None:
    config = load(None, {}, {})
    assert config.limits.no_answer == 60
    assert config.limits.idle_session == 60
    assert commands.CallDial(to="+1", callerid="").timeout == 60


def test_row_11_storage_has_voxengine_s_limits() -> None:
    found = (storage.MAX_KEY_CHARS, storage.MAX_VALUE_CHARS, storage.MAX_TTL, storage.MAX_SECRET_CHARS)
    assert found == (200, 2_000, 7_776_000, 8_192)
    assert (storage.MAX_KEYS, storage.MAX_SECRET_NAME_CHARS, MAX_MAILBOX) == (1_000, 64, 200)
