"""An agent's beginning and end: refused, never open, never acked, heard out, closed; hostile services."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.plane.plane_stage import OPENING, OTHER, Service, Stage, mute, rtp, ulaw

from cordboard.contract import link


@pytest.mark.parametrize("connects", [True, False])
def test_an_agent_that_never_opens_is_failed_and_gone_once(connects: bool) -> None:
    stage = Stage(connects=connects)
    if connects:
        stage.service = lambda: Service(status=401)
    stage.tell(link.AgentOpen("s/agent", **OPENING, confirm="o"))
    for _ in range(6):
        stage.run(1.0)
        stage.tell(link.Ping(1))
    done = stage.done("o")
    assert done is not None
    assert (done.ok, done.code) == (False, "connect_failed")
    (gone,) = stage.told(link.AgentGone)
    assert gone.by == ("error" if connects else "network")
    assert not gone.expected
    assert stage.disconnected == ["s/agent"]
    assert len(stage.said("agent.http_response")) == (1 if connects else 0)
    stage.engine.agent_lost("s/agent", "late", stage.now)
    stage.engine.agent_data("s/agent", b"late", stage.now)
    stage.drain()
    assert len(stage.told(link.AgentGone)) == 1


def test_an_agent_that_never_acks_is_failed_after_10_seconds_and_gone_once() -> None:
    stage = Stage(service=mute)
    stage.agent()
    for _ in range(14):
        stage.run(1.0)
        stage.tell(link.Ping(1))
    done = stage.done("begin-s/agent")
    assert done is not None
    assert (done.ok, done.code) == (False, "not_acked")
    assert [each.by for each in stage.told(link.AgentGone)] == ["error"]


@pytest.mark.parametrize(
    ("fields", "confirmed"),
    [({"base_url": "http://x"}, "invalid"), ({"agent_id": ""}, "invalid"), ({"api_key": "a\nb"}, "invalid")],
)
def test_an_impossible_agent_is_refused_and_gone_once(fields: dict[str, str], confirmed: str) -> None:
    stage = Stage()
    done = stage.ask(link.AgentOpen("s/agent", **{**OPENING, **fields}, confirm="o"))
    assert done is not None
    assert (done.ok, done.code) == (False, confirmed)
    assert len(stage.told(link.AgentGone)) == 1
    assert not stage.connecting


def test_a_second_agent_of_one_name_is_refused_and_the_first_lives() -> None:
    stage = Stage()
    service = stage.agent(heard_by=stage.leg())
    done = stage.ask(link.AgentOpen("s/agent", **OPENING, confirm="again"))
    assert done is not None
    assert not done.ok
    assert not stage.told(link.AgentGone)
    service.speak(ulaw(0))
    stage.drain()
    assert stage.payload("s/caller") == ulaw(0)


def test_an_agent_that_ends_the_call_is_heard_out_and_leaves_its_listener() -> None:
    stage = Stage()
    service = stage.agent(hears=stage.leg(), heard_by="s/caller")
    service.speak(ulaw(0, 20))
    service.close()
    stage.drain()
    assert [(each.by, each.code) for each in stage.told(link.AgentGone)] == [("agent", 1000)]
    stage.tell(link.LegFallback("s/caller", "ringback"))
    stage.run(0.39)
    assert stage.payload("s/caller") == ulaw(0, 20)
    stage.run(0.5)
    assert stage.told(link.MediaNote)[-1].type == "media.ended"
    assert len(stage.audio("s/caller")) > 30  # ringback
    answer = stage.closed()
    (entry,) = [each for each in answer.ledger if each.source == "s/agent"]
    assert (entry.sent, entry.discarded) == (3200, {})


def test_the_last_words_of_a_closed_agent_can_be_cleared() -> None:
    stage = Stage()
    service = stage.agent(heard_by=stage.leg())
    service.speak(ulaw(0, 20))
    service.close()
    stage.drain()
    stage.run(0.05)
    stage.tell(link.AgentClear("s/agent", stage.now))
    sent = len(stage.sent)
    stage.run(1.0)
    assert len(stage.sent) == sent
    assert stage.closed().ledger[0].cleared == (20 - sent) * 160


@pytest.mark.parametrize("end", ["heard", "cleared", "unrouted", "replaced", "hung up"])
def test_control_is_told_that_words_are_still_queued_and_once_when_they_are_not(end: str) -> None:
    stage = Stage()
    service = stage.agent(hears=stage.leg(), heard_by="s/caller")
    service.speak(ulaw(0, 20))
    service.close()
    stage.drain()
    assert [each.talking for each in stage.told(link.AgentGone)] == [True]
    stage.run(0.1)
    if end == "cleared":
        stage.tell(link.AgentClear("s/agent", stage.now))
    elif end == "unrouted":
        stage.tell(link.Unroute("s/agent", "s/caller"))
    elif end == "replaced":
        stage.agent("s/next", heard_by="s/caller")
    elif end == "hung up":
        stage.tell(link.LegClose("s/caller"))
    stage.run(0.29 if end == "heard" else 0.1)
    ended = [each for each in stage.told(link.MediaNote) if each.type == "media.ended"]
    assert len(ended) == (0 if end == "heard" else 1)
    stage.run(2)
    ended = [each for each in stage.told(link.MediaNote) if each.type == "media.ended"]
    assert [each.source for each in ended] == ["s/agent"]


@pytest.mark.parametrize("case", ["silent", "dry", "nobody listens"])
def test_control_is_told_that_nothing_is_queued(case: str) -> None:
    stage = Stage()
    stage.leg()
    service = stage.agent(heard_by="" if case == "nobody listens" else "s/caller")
    if case != "silent":
        service.speak(ulaw(0, 5))
        stage.run(0.5)
    service.close()
    stage.drain()
    assert [each.talking for each in stage.told(link.AgentGone)] == [False]


def test_our_own_close_is_expected_and_says_why() -> None:
    stage = Stage()
    service = stage.agent()
    stage.tell(link.AgentClose("s/agent", "the caller hung up"))
    assert service.closes == [(1000, "the caller hung up")]
    (gone,) = stage.told(link.AgentGone)
    assert (gone.by, gone.expected) == ("us", True)


def test_a_turn_cut_by_the_close_keeps_its_text() -> None:
    stage = Stage()
    service = stage.agent()
    service.event("turn_started", turn_started={"id": "t1", "role": "assistant"})
    for text in ("Good", " bye"):
        service.event("turn_output_text_delta", turn_output_text_delta={"text": text})
    service.close(1011, "broken")
    stage.drain()
    assert [(each.turn, each.text) for each in stage.told(link.TurnCut)] == [("t1", "Good bye")]
    assert [each.by for each in stage.told(link.AgentGone)] == ["error"]


def test_messages_that_do_not_fit_the_link_are_told_as_an_error_and_the_link_lives() -> None:
    stage = Stage()
    service = stage.agent()
    service.event("custom", metadata={"a": "x" * 700_000})
    service.event("custom", metadata={"a": "y"})
    stage.drain()
    assert [each.type for each in stage.told(link.AgentSaid)] == ["agent.ack", "agent.websocket_error", "agent.custom"]


def test_a_ledger_of_many_long_turns_fits_the_link() -> None:
    stage = Stage()
    service = stage.agent(heard_by=stage.leg())
    for route in range(12):
        for turn in range(500):
            service.event("turn_started", turn_started={"id": f"{route}.{turn}" + "\u1234" * 200, "role": "assistant"})
            service.speak(b"\x01")
        stage.drain()
        stage.tell(link.Unroute("s/agent", "s/caller"))
        stage.tell(link.Route("s/agent", "s/caller"))
    answer = stage.closed()
    assert sum(each.received for each in answer.ledger) == 6000
    assert len(link.to_line(answer)) < link.LINK_LINE


@pytest.mark.parametrize(
    "message",
    [
        link.AgentSend("s/none", {"a": 1}, confirm="c"),
        link.AgentDigits("s/none", "1", confirm="c"),
        link.AgentBegin("s/none", confirm="c"),
    ],
)
def test_messages_for_an_agent_that_is_gone_are_refused(message: Any) -> None:
    stage = Stage()
    done = stage.ask(message)
    assert done is not None
    assert (done.ok, done.code) == (False, "object_ended")


@pytest.mark.parametrize(
    "message",
    [
        link.AgentSend("s/agent", {"a": 1}, confirm="c"),
        link.AgentDigits("s/agent", "1", confirm="c"),
        link.AgentBegin("s/agent", confirm="c"),
    ],
)
def test_messages_before_the_ack_are_refused(message: Any) -> None:
    stage = Stage(service=mute)
    stage.agent()
    done = stage.ask(message)
    assert done is not None
    assert (done.ok, done.code) == (False, "invalid")


def test_digits_and_custom_events_reach_the_agent() -> None:
    stage = Stage()
    service = stage.agent()
    for message in (link.AgentDigits("s/agent", "1*", confirm="d"), link.AgentSend("s/agent", {"a": [1]}, confirm="s")):
        done = stage.ask(message)
        assert done is not None
        assert done.ok
    assert [each.get("dtmf") or each.get("metadata") for each in service.messages[1:]] == ["1", "*", {"a": [1]}]


@pytest.mark.parametrize("wrong", ["1A", "12x"])
def test_digits_that_the_wire_does_not_carry_are_refused_whole(wrong: str) -> None:
    stage = Stage()
    service = stage.agent()
    done = stage.ask(link.AgentDigits("s/agent", wrong, confirm="d"))
    assert done is not None
    assert (done.ok, done.code) == (False, "invalid")
    assert len(service.messages) == 1


@given(data=st.lists(st.binary(max_size=60), max_size=8), opened=st.booleans())
@settings(max_examples=40, deadline=None)
def test_hostile_bytes_of_a_service_never_raise_and_end_it_once(data: list[bytes], opened: bool) -> None:
    stage = Stage(connects=opened)
    stage.leg()
    stage.tell(link.AgentOpen("s/agent", **OPENING, confirm="o"))
    stage.tell(link.Route("s/agent", "s/caller"))
    if not opened:
        stage.engine.agent_connected("s/agent", stage.now)
    for each in data:
        stage.engine.agent_data("s/agent", each, stage.now)
        stage.drain()
    stage.engine.agent_eof("s/agent", stage.now)
    stage.engine.agent_lost("s/agent", "reset", stage.now)
    stage.drain()
    assert len(stage.told(link.AgentGone)) == 1
    assert stage.done("o") is not None
    stage.closed()


def test_two_agents_are_fed_by_one_leg() -> None:
    stage = Stage()
    first = stage.agent("s/one", hears=stage.leg())
    second = stage.agent("s/two", hears="s/caller", input_format="pcm_16000")
    stage.rtp_in("s/caller", rtp(0, ulaw(4)))
    assert first.heard == ulaw(4)
    assert len(second.heard) == 640


def test_an_agent_hears_one_leg_and_a_second_one_replaces_it_aloud() -> None:
    stage = Stage()
    service = stage.agent(hears=stage.leg())
    stage.leg("s/consult", remote=OTHER)
    stage.tell(link.Route("s/consult", "s/agent"))
    stage.rtp_in("s/caller", rtp(0, ulaw(1)))
    stage.rtp_in("s/consult", rtp(0, ulaw(2)), OTHER)
    assert service.heard == ulaw(2)
    assert stage.told(link.MediaNote) == [link.MediaNote("media.replaced", "s/caller", "s/agent", "s/consult")]
