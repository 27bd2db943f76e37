"""An agent through the engine: what it is fed and when, what it says and who drops it, clear, floods, ends."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.plane.plane_stage import OTHER, SILENCE, Service, Stage, rtp, ulaw

from cordboard.contract import link
from cordboard.media.chain import L16_16000, PCMU_8000, build_chain

OPENING: dict[str, Any] = {"base_url": "ws://agents.example", "agent_id": "a", "api_key": "k", "version": "v"}


def silent() -> Service:
    """A service that does not ack."""
    return Service(acks=False)


def said(stage: Stage, kind: str) -> list[link.AgentSaid]:
    return [each for each in stage.told(link.AgentSaid) if each.type == kind]


# --- what it is fed


def test_the_newest_200_ms_are_held_until_the_ack_and_nothing_before() -> None:
    stage = Stage(service=silent)
    service = stage.agent(hears=stage.leg())
    stage.talk("s/caller", 25)
    assert service.audio == []
    assert stage.done("begin-s/agent") is None
    service.ack()
    stage.drain()
    assert service.heard == ulaw(15, 10)
    stage.talk("s/caller", 2, first=25)
    assert service.heard == ulaw(15, 12)
    done = stage.done("begin-s/agent")
    assert done is not None
    assert done.result == {"call_id": "ac_1", "stream_id": "s1"}
    stage.closed()
    (entry,) = stage.entries("s/caller", "s/agent")
    assert (entry.received, entry.sent, entry.discarded) == (27 * 160, 12 * 160, {"overflow": 15 * 160})


def test_audio_held_for_an_agent_that_never_acks_goes_nowhere() -> None:
    stage = Stage(service=silent)
    service = stage.agent(hears=stage.leg())
    stage.talk("s/caller", 5)
    stage.closed()
    assert service.audio == []
    (entry,) = stage.entries("s/caller", "s/agent")
    assert (entry.sent, entry.discarded) == (0, {"ended": 5 * 160})


def test_silence_fills_the_pauses_of_the_caller() -> None:
    stage = Stage()
    service = stage.agent(hears=stage.leg())
    stage.talk("s/caller", 10, payload=b"\x01" * 160)
    stage.run(2.0)
    seconds = len(service.heard) / 8000
    assert seconds == pytest.approx(0.2 + 2.0, abs=0.15)
    assert service.heard == b"\x01" * 1600 + SILENCE * (len(service.heard) // 160 - 10)


def test_an_agent_without_a_caller_is_fed_silence_too() -> None:
    stage = Stage()
    service = stage.agent()
    stage.run(3.0)
    assert len(service.heard) / 8000 == pytest.approx(3.0, abs=0.2)
    assert set(service.heard) == {0xFF}


def test_on_hold_the_agent_hears_silence_whatever_the_caller_sends() -> None:
    stage = Stage()
    service = stage.agent(hears=stage.leg())
    stage.leg(on_hold=True)
    stage.talk("s/caller", 50, payload=b"\x01" * 160)
    assert set(service.heard) == {0xFF}
    assert len(service.heard) / 8000 == pytest.approx(1.0, abs=0.2)
    stage.closed()
    (entry,) = stage.entries("s/caller", "s/agent")
    assert entry.discarded == {"hold": 50 * 160}


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
def test_an_agent_of_16_khz_hears_and_speaks_through_one_chain(codec: str) -> None:
    stage = Stage()
    service = stage.agent(hears=stage.leg(codec=codec), heard_by="s/caller", input_format="pcm_16000")
    assert service.messages[0]["config"]["input_format"] == "pcm_16000"
    stage.talk("s/caller", 5)
    assert service.heard[:3200] == b"".join(
        map(build_chain(PCMU_8000, L16_16000).process, [ulaw(each) for each in range(5)])
    ) or (codec == "PCMA" and len(service.heard) >= 3200)
    service.speak(bytes(640 * 3))
    stage.drain()
    stage.run(0.1)
    silence = {"PCMU": {0xFF}, "PCMA": {0xD5}}[codec]
    assert set(stage.payload("s/caller")) == silence
    assert len(stage.payload("s/caller")) == 480


def test_a_format_chosen_at_begin_holds_for_routes_made_before() -> None:
    stage = Stage()
    stage.leg()
    stage.tell(link.AgentOpen("s/agent", **OPENING))
    stage.tell(link.Route("s/caller", "s/agent"))
    stage.tell(link.Route("s/agent", "s/caller"))
    stage.tell(link.AgentBegin("s/agent", config={"input_format": "pcm_16000"}))
    service = stage.services["s/agent"]
    stage.talk("s/caller", 1)
    assert len(service.heard) == 640
    service.speak(bytes(641))  # half a sample waits for its other half
    service.speak(bytes(639))
    stage.drain()
    stage.run(0.1)
    assert stage.payload("s/caller") == SILENCE * 2


@given(cuts=st.lists(st.integers(1, 900), min_size=1, max_size=12), form=st.sampled_from(["mulaw_8000", "pcm_16000"]))
@settings(max_examples=30, deadline=None)
def test_audio_cut_anywhere_is_heard_whole(cuts: list[int], form: str) -> None:
    stage = Stage()
    service = stage.agent(heard_by=stage.leg(), input_format=form)
    for each in cuts:
        service.speak(b"\x00" * each)
        stage.drain()
    stage.run(3.0)
    samples = sum(cuts) // (2 if form == "pcm_16000" else 1)
    entry = stage.closed().ledger[0]
    assert (entry.received, entry.sent, entry.discarded) == (samples, samples, {})
    assert len(stage.payload("s/caller")) % 160 == 0


# --- what it says before and after a route


def test_what_it_says_waits_10_seconds_for_its_first_route() -> None:
    stage = Stage()
    service = stage.agent()
    for _ in range(3):
        service.speak(bytes(8000 * 4))
        stage.drain()
    stage.leg()
    stage.tell(link.Route("s/agent", "s/caller"))
    stage.run(0.05)
    assert len(stage.audio("s/caller")) == pytest.approx(3, abs=1)
    entry = stage.closed().ledger[0]
    assert entry.received == 96000
    assert entry.discarded["unbridged"] == 16000


def test_one_message_longer_than_the_wait_is_cut_exactly() -> None:
    stage = Stage()
    service = stage.agent()
    service.speak(bytes(8000 * 11))
    stage.drain()
    service.speak(bytes(8000))
    stage.drain()
    assert stage.closed().ledger[0].discarded == {"unbridged": 16000, "ended": 80000}


def test_after_an_unroute_nothing_waits() -> None:
    stage = Stage()
    service = stage.agent(heard_by=stage.leg())
    service.speak(ulaw(0, 10))
    stage.drain()
    stage.tell(link.Unroute("s/agent", "s/caller"))
    service.speak(ulaw(20, 10))
    stage.drain()
    stage.tell(link.Route("s/agent", "s/caller"))
    service.speak(ulaw(40, 2))
    stage.drain()
    stage.run(0.1)
    assert stage.payload("s/caller") == ulaw(0) + ulaw(40, 2)
    ledger = stage.closed().ledger
    assert sum(each.discarded.get("unbridged", 0) for each in ledger) == 19 * 160


def test_a_flood_is_cut_at_60_seconds_and_noted_once() -> None:
    stage = Stage()
    service = stage.agent(heard_by=stage.leg())
    for _ in range(8):
        service.speak(bytes(80000))
        stage.drain()
    assert len(stage.notes("floods")) == 1
    entry = stage.closed().ledger[0]
    assert entry.received == 640000
    assert entry.discarded["overflow"] == 160000 - 160  # a frame left at once


# --- clear


def test_after_a_clear_no_packet_of_the_old_audio_leaves() -> None:
    stage = Stage()
    service = stage.agent(heard_by=stage.leg())
    service.speak(ulaw(0, 100))
    stage.drain()
    stage.run(0.5)
    before = len(stage.audio("s/caller"))
    service.event("clear")
    stage.drain()
    stage.run(1.0)
    assert len(stage.audio("s/caller")) == before
    service.speak(b"\x7f" * 160)
    stage.drain()
    assert stage.audio("s/caller")[-1].packet.payload == b"\x7f" * 160
    assert [each.data for each in said(stage, "agent.clear")] == [{"event": "clear", "stream_id": "s1"}]
    (note,) = stage.notes("clear")
    assert note.data["cleared_ms"] == (100 - before) * 20
    assert note.data["position"] == before * 160
    entry = stage.closed().ledger[0]
    assert (entry.sent, entry.cleared) == ((before + 1) * 160, (100 - before) * 160)


def test_audio_and_its_clear_in_one_segment_are_not_heard_at_all() -> None:
    stage = Stage()
    service = stage.agent(heard_by=stage.leg())
    service.speak(ulaw(0, 10))
    service.event("clear")
    stage.drain()
    stage.run(0.5)
    assert stage.audio("s/caller") == []


def test_clear_takes_the_tail_of_the_filter_along() -> None:
    stage = Stage()
    service = stage.agent(heard_by=stage.leg(), input_format="pcm_16000")
    service.speak(b"\x00\x40" * 320 * 10)
    stage.drain()
    service.event("clear")
    service.speak(bytes(640))
    stage.drain()
    stage.run(0.1)
    assert stage.audio("s/caller")[-1].packet.payload == SILENCE


def test_a_late_clear_command_spares_what_came_after_the_event_that_asked_for_it() -> None:
    stage = Stage()
    service = stage.agent(heard_by=stage.leg())
    service.speak(ulaw(0, 10))
    service.event("custom", metadata={"please": "stop"})
    service.speak(ulaw(50, 3))  # the next turn, in the same segment
    stage.drain()
    (event,) = said(stage, "agent.custom")
    done = stage.ask(link.AgentClear("s/agent", event.at, confirm="c"))
    assert done is not None
    assert done.ok
    stage.run(0.5)
    assert stage.payload("s/caller") == ulaw(0) + ulaw(50, 3)
    assert stage.closed().ledger[0].cleared == 9 * 160


def test_clearing_an_agent_that_is_not_here_is_done() -> None:
    stage = Stage()
    done = stage.ask(link.AgentClear("s/agent", stage.now, confirm="c"))
    assert done is not None
    assert done.ok


# --- digits, events, media notes


def test_the_agents_digits_are_sent_on_the_leg_that_hears_it() -> None:
    stage = Stage()
    service = stage.agent(heard_by=stage.leg(dtmf_send=101))
    service.event("dtmf", dtmf="9")
    stage.drain()
    stage.run(0.3)
    events = [each.packet for each in stage.sent if each.packet.payload_type == 101]
    assert {packet.payload[0] for packet in events} == {9}
    assert len(said(stage, "agent.dtmf")) == 1


def test_an_agent_that_floods_digits_does_not_stop_the_plane() -> None:
    stage = Stage()
    service = stage.agent(heard_by=stage.leg(dtmf_send=101))
    for _ in range(100):
        service.event("dtmf", dtmf="9")
    stage.drain()
    assert stage.notes("digit dropped")
    stage.run(0.1)


def test_a_digit_before_the_ack_is_noted() -> None:
    stage = Stage(service=silent)
    stage.agent(hears=stage.leg())
    stage.tell(link.LegInfoDigit("s/caller", "1"))
    assert stage.notes("digit came")
    assert len(stage.told(link.LegDigit)) == 1


EVENTS: dict[str, dict[str, Any]] = {
    "agent.custom": {"event": "custom", "metadata": {"a": 1}},
    "agent.transfer": {"event": "transfer_call", "transfer": {"target_phone_number": "+15550100"}},
    "agent.turn_started": {"event": "turn_started", "turn_id": "t1", "role": "assistant"},
    "agent.unknown": {"event": "brand_new", "x": 1},
    "agent.websocket_error": {"event": "error", "message": "hm"},
}


@pytest.mark.parametrize("kind", [each for each in EVENTS if each not in ("agent.transfer", "agent.turn_started")])
def test_what_the_service_says_is_told(kind: str) -> None:
    stage = Stage()
    service = stage.agent(heard_by=stage.leg())
    service.say(EVENTS[kind])
    stage.drain()
    assert [each.at for each in said(stage, kind)] == [pytest.approx(stage.now, abs=1e-3)]


def test_media_starts_with_the_first_audio_and_ends_a_second_after_the_last_was_heard() -> None:
    stage = Stage()
    service = stage.agent(heard_by=stage.leg())
    for _ in range(2):
        begin, before = stage.now, len(stage.told(link.MediaNote))
        service.speak(ulaw(0, 100))
        stage.drain()
        assert stage.told(link.MediaNote)[before:] == [link.MediaNote("media.started", "s/agent", "s/caller")]
        while len(stage.told(link.MediaNote)) < before + 2:
            stage.run(0.05)
        assert stage.told(link.MediaNote)[-1] == link.MediaNote("media.ended", "s/agent", "s/caller")
        assert stage.now - begin == pytest.approx(3.0, abs=0.25)


# --- ends


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
    assert len(said(stage, "agent.http_response")) == (1 if connects else 0)
    stage.engine.agent_lost("s/agent", "late", stage.now)
    stage.engine.agent_data("s/agent", b"late", stage.now)
    stage.drain()
    assert len(stage.told(link.AgentGone)) == 1


def test_an_agent_that_never_acks_is_failed_after_10_seconds_and_gone_once() -> None:
    stage = Stage(service=silent)
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
    stage = Stage(service=silent)
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
