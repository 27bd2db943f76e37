"""An agent in its call: what it is fed and when, what it says and who drops it, clear, floods, events."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.plane.plane_stage import OPENING, SILENCE, Stage, mute, ulaw

from cordboard.contract import link
from cordboard.media.chain import L16_16000, PCMU_8000, build_chain

# --- what it is fed


def test_the_newest_200_ms_are_held_until_the_ack_and_nothing_before() -> None:
    stage = Stage(service=mute)
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
    stage = Stage(service=mute)
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


def test_audio_in_crumbs_is_bounded_too() -> None:
    stage = Stage()
    service = stage.agent(heard_by=stage.leg(direction="sendonly"))
    for _ in range(13):
        for _ in range(1000):
            service.speak(b"\x01")
        stage.drain()
    assert len(stage.notes("floods")) == 1
    entry = stage.closed().ledger[0]
    assert entry.received == 13000
    assert entry.discarded["overflow"] >= 800


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
    assert [each.data for each in stage.said("agent.clear")] == [{"event": "clear", "stream_id": "s1"}]
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
    (event,) = stage.said("agent.custom")
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
    assert len(stage.said("agent.dtmf")) == 1


def test_an_agent_that_floods_messages_is_told_in_part_and_noted_once() -> None:
    stage = Stage()
    service = stage.agent(heard_by=stage.leg())
    before = len(stage.said("agent.custom"))
    for number in range(300):
        service.event("custom", metadata={"n": number})
    stage.run(0.1)
    told = stage.said("agent.custom")[before:]
    assert [message.data["metadata"]["n"] for message in told] == list(range(len(told)))
    assert 90 <= len(told) <= 110
    assert len(stage.notes("messages are dropped")) == 1
    stage.run(3.0)
    service.event("custom", metadata={"n": -1})
    stage.run(0.1)
    assert stage.said("agent.custom")[-1].data["metadata"] == {"n": -1}


FLOODS: dict[str, dict[str, Any]] = {
    "clear": {"event": "clear"},
    "dtmf": {"event": "dtmf", "dtmf": "9"},
    "turns that do not end": {"event": "turn_started", "turn_started": {"id": "t", "role": "assistant"}},
    "events nobody knows": {"event": "brand_new"},
}


@pytest.mark.parametrize("message", FLOODS.values(), ids=FLOODS)
def test_no_flood_of_an_agent_fills_the_link_to_control(message: dict[str, Any]) -> None:
    stage = Stage()
    service = stage.agent(heard_by=stage.leg(dtmf_send=101))
    stage.drain()
    name, fields = message["event"], {key: value for key, value in message.items() if key != "event"}
    before = len(stage.messages)
    for _ in range(2_000):
        service.event(name, **fields)
    service.speak(ulaw(1, 50))
    service.event("clear")  # what is cleared is dropped, told or not
    stage.run(0.1)
    assert 0 < len(stage.messages) - before < 400
    assert len(stage.notes("messages are dropped")) == 1
    stage.closed()
    (entry,) = stage.entries("s/agent", "s/caller")
    assert entry.cleared > 0


def test_an_agent_that_floods_digits_does_not_stop_the_plane() -> None:
    stage = Stage()
    service = stage.agent(heard_by=stage.leg(dtmf_send=101))
    for _ in range(100):
        service.event("dtmf", dtmf="9")
    stage.drain()
    assert stage.notes("digit dropped")
    stage.run(0.1)


def test_a_digit_before_the_ack_is_noted() -> None:
    stage = Stage(service=mute)
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
    assert [each.at for each in stage.said(kind)] == [pytest.approx(stage.now, abs=1e-3)]


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
