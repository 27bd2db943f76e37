"""What a leg sends: on arrival, paced, with true timestamps; keep-alive, reports, hold and direction."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.plane.plane_stage import PHONE, SILENCE, Stage, ulaw

from cordboard.contract import link
from cordboard.media import g711
from cordboard.media.rtcp import Bye, SenderReport, parse_rtcp


def speaking(stage: Stage, frames: int) -> None:
    """A new agent says some frames to the caller."""
    service = stage.services.get("s/agent") or stage.agent(heard_by="s/caller")
    service.speak(ulaw(0, frames))
    stage.drain()


def test_the_first_audio_after_silence_leaves_within_the_same_call() -> None:
    stage = Stage()
    stage.leg()
    stage.agent(heard_by="s/caller")
    for pause in (0.0, 0.0331, 0.5, 7.7777):
        stage.run(pause)
        before = len(stage.sent)
        speaking(stage, 1)
        assert [each.at for each in stage.sent[before:]] == [stage.now]
        stage.run(0.021)


@given(pause=st.floats(0.0, 0.1), frames=st.integers(2, 12))
@settings(max_examples=40, deadline=None)
def test_frames_follow_15_to_20_ms_after_the_first_and_then_every_20_ms(pause: float, frames: int) -> None:
    stage = Stage()
    stage.leg()
    stage.agent(heard_by="s/caller")
    stage.run(pause)
    speaking(stage, frames)
    stage.run(1.0)
    times = [each.at for each in stage.audio("s/caller")]
    gaps = [after - before for before, after in pairwise(times)]
    assert len(times) == frames
    half_a_sample = 0.5 / 8000  # the stream counts in samples
    assert 0.015 - half_a_sample <= gaps[0] - 1e-9 <= 0.02 + half_a_sample
    assert gaps[1:] == [pytest.approx(0.02)] * (frames - 2)
    assert stage.payload("s/caller") == ulaw(0, frames)


def test_timestamps_run_on_over_pauses_and_each_spurt_begins_with_a_marker() -> None:
    stage = Stage()
    stage.leg()
    for pause in (0.5, 1.0, 0.0):
        speaking(stage, 3)
        stage.run(0.1 + pause)
    packets = stage.audio("s/caller")
    assert [each.packet.marker for each in packets] == [True, False, False] * 3
    first = packets[0]
    for each in packets:
        elapsed = (each.packet.timestamp - first.packet.timestamp) & 0xFFFFFFFF
        assert elapsed / 8000 == pytest.approx(each.at - first.at, abs=0.0051)
    assert [each.packet.sequence for each in packets] == [
        (first.packet.sequence + place) & 0xFFFF for place in range(9)
    ]
    assert len({each.packet.ssrc for each in packets}) == 1


def test_an_hour_of_speech_keeps_its_pace() -> None:
    stage = Stage()
    stage.leg()
    service = stage.agent(heard_by="s/caller")
    for _ in range(36):  # 36 of the 3,600 seconds are spoken, the clock runs through all
        service.speak(ulaw(0, 50))
        stage.drain()
        stage.run(1.5)
        stage.now += 98.5
        stage.tell(link.Ping(1))
        stage.engine.on_timer(stage.now)
        stage.drain()
    packets = stage.audio("s/caller")
    speech = [each for each in packets if each.packet.payload != SILENCE]
    elapsed = (speech[-1].packet.timestamp - speech[0].packet.timestamp) & 0xFFFFFFFF
    assert len(speech) == 36 * 50
    assert elapsed / 8000 == pytest.approx(speech[-1].at - speech[0].at, abs=0.0051)


def test_a_stop_of_the_process_is_made_up_for_but_nothing_leaves_ahead_of_its_time() -> None:
    stage = Stage()
    stage.leg()
    stage.agent(heard_by="s/caller")
    stage.now += 0.3  # the ticks of 300 ms are still to come
    speaking(stage, 50)
    stage.engine.on_timer(stage.now)
    stage.drain()
    assert len(stage.audio("s/caller")) == 1
    stage.now += 0.3
    stage.engine.on_timer(stage.now)
    stage.drain()
    assert len(stage.audio("s/caller")) == pytest.approx(16, abs=1)


def test_a_silent_frame_keeps_the_path_open_every_15_seconds() -> None:
    stage = Stage()
    stage.leg()
    begin = stage.now
    stage.keep(31.0)
    packets = stage.audio("s/caller")
    assert [each.at - begin for each in packets] == [pytest.approx(15.0, abs=0.11), pytest.approx(30.0, abs=0.21)]
    assert {each.packet.payload for each in packets} == {SILENCE}
    assert stage.closed().figures["legs"]["caller"]["rtp_samples_sent"] == 320
    assert sum(each.sent for each in stage.entries("keep-alive", "s/caller")) == 320


def test_reports_leave_every_5_seconds_and_a_bye_at_the_end() -> None:
    stage = Stage()
    stage.leg()
    stage.engine.set_wall_clock(lambda moment: moment + 1.6e9)
    speaking(stage, 100)
    stage.keep(16.0)
    times = [at for at, _, _ in stage.rtcp]
    assert len(times) == 3
    assert [after - before for before, after in pairwise(times)] == [pytest.approx(5.0, abs=0.11)] * 2
    assert {to for _, _, to in stage.rtcp} == {(PHONE[0], 4001)}
    report = parse_rtcp(stage.rtcp[-1][1])[0]
    assert isinstance(report, SenderReport)
    assert (report.packets, report.octets) == (100, 100 * 160)
    stage.tell(link.LegClose("s/caller"))
    assert any(isinstance(each, Bye) for each in parse_rtcp(stage.rtcp[-1][1]))


# --- hold and direction


def test_hold_discards_what_the_leg_would_hear_and_what_comes_meanwhile() -> None:
    stage = Stage()
    service = stage.agent(heard_by=stage.leg())
    service.speak(ulaw(0, 20))
    stage.drain()
    stage.run(0.1)
    heard = len(stage.audio("s/caller"))
    stage.leg(on_hold=True)
    service.speak(ulaw(50, 20))
    stage.drain()
    stage.run(0.5)
    assert len(stage.audio("s/caller")) == heard
    stage.leg()
    service.speak(ulaw(80, 2))
    stage.drain()
    stage.run(0.1)
    assert stage.payload("s/caller") == ulaw(0, heard) + ulaw(80, 2)
    entry = stage.closed().ledger[0]
    assert entry.discarded == {"hold": (40 - heard) * 160}


@pytest.mark.parametrize(
    ("direction", "sends"), [("sendrecv", True), ("sendonly", True), ("recvonly", False), ("inactive", False)]
)
def test_direction_decides_whether_anything_leaves(direction: str, sends: bool) -> None:
    stage = Stage()
    service = stage.agent(heard_by=stage.leg(direction=direction))
    service.speak(ulaw(0, 5))
    stage.drain()
    stage.run(0.5)
    assert len(stage.audio("s/caller")) == (5 if sends else 0)
    assert stage.closed().ledger[0].discarded == ({} if sends else {"hold": 800})


def test_sound_for_a_leg_whose_address_is_not_known_yet_waits_for_it() -> None:
    stage = Stage()
    port = stage.stock()[0]
    stage.ports["s/caller"] = port
    stage.tell(link.LegMedia("s/caller", port))
    stage.agent(heard_by="s/caller").speak(ulaw(0, 3))
    stage.drain()
    stage.run(0.5)
    assert not stage.sent
    stage.leg()
    stage.run(0.1)
    assert stage.payload("s/caller") == ulaw(0, 3)


def test_an_agent_speaks_a_law_to_a_leg_that_wants_it_under_the_payload_type_of_its_peer() -> None:
    stage = Stage()
    service = stage.agent(heard_by=stage.leg(codec="PCMA", send_payload_type=8))
    service.speak(ulaw(0, 3))
    stage.drain()
    stage.run(0.1)
    assert stage.payload("s/caller") == g711.ulaw_to_alaw(ulaw(0, 3))
