"""A leg through the engine: who may speak, what is sent when, digits, reports, hold and direction."""

import random
import struct
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.plane.plane_stage import OTHER, PHONE, SILENCE, Stage, rtp, ulaw

from cordboard.contract import link
from cordboard.media import g711
from cordboard.media.rtcp import Bye, SenderReport, build_rr, parse_rtcp
from cordboard.plane.leg import Digits

NAT = ("198.51.100.7", 31000)


def event(digit: int, *, duration: int = 160, end: bool = False) -> bytes:
    """A telephone-event payload (RFC 4733 section 2.3)."""
    return struct.pack("!BBH", digit, 0x80 if end else 0, duration)


def key(stage: Stage, digit: int, sequence: int, timestamp: int) -> None:
    """A pressed key: three updates and three ends."""
    for each in range(6):
        payload = event(digit, duration=160 * min(each + 1, 4), end=each >= 3)
        stage.rtp_in("s/caller", rtp(sequence + each, payload, kind=101, timestamp=timestamp))


def digits(stage: Stage) -> str:
    return "".join(each.digit for each in stage.told(link.LegDigit))


# --- latching


def test_the_first_source_is_latched_and_strangers_are_counted_and_unheard() -> None:
    stage = Stage()
    service = stage.agent(hears=stage.leg())
    stage.rtp_in("s/caller", rtp(0, ulaw(1)), NAT)
    stage.rtp_in("s/caller", rtp(1, ulaw(99)), OTHER)
    stage.rtp_in("s/caller", rtp(1, ulaw(2)), NAT)
    assert service.heard == ulaw(1) + ulaw(2)
    assert stage.closed().figures["legs"]["caller"]["strangers"] == 1


def test_what_the_leg_hears_goes_to_the_latched_address() -> None:
    stage = Stage()
    service = stage.agent(heard_by=stage.leg())
    service.speak(ulaw(0))
    stage.drain()
    stage.rtp_in("s/caller", rtp(0), NAT)
    service.speak(ulaw(1, 2))
    stage.drain()
    stage.run(0.1)
    assert [each.to for each in stage.audio("s/caller")] == [PHONE, NAT, NAT]


def test_the_signalled_address_takes_over_from_one_that_came_first() -> None:
    stage = Stage()
    service = stage.agent(hears=stage.leg())
    stage.rtp_in("s/caller", rtp(0, ulaw(9), ssrc=1), OTHER)
    stage.rtp_in("s/caller", rtp(0, ulaw(1), ssrc=2), PHONE)
    stage.rtp_in("s/caller", rtp(1, ulaw(9), ssrc=1), OTHER)
    assert service.heard == ulaw(9) + ulaw(1)


def test_another_address_takes_over_after_five_quiet_seconds_though_reports_go_on() -> None:
    stage = Stage()
    service = stage.agent(hears=stage.leg())
    stage.rtp_in("s/caller", rtp(0, ulaw(1)), NAT)
    for second in range(6):
        stage.run(1.0)
        stage.engine.rtcp_in(stage.ports["s/caller"], build_rr(7, (), "a"), (PHONE[0], 4001), stage.now)
        if second == 3:
            stage.rtp_in("s/caller", rtp(1, ulaw(9)), (NAT[0], 31002))
    stage.rtp_in("s/caller", rtp(1, ulaw(2)), (NAT[0], 31002))
    assert ulaw(9) not in service.heard
    assert service.heard.endswith(ulaw(2))


def test_a_re_invite_with_another_address_is_followed_at_once_and_one_without_keeps_the_latch() -> None:
    stage = Stage()
    service = stage.agent(heard_by=stage.leg())
    stage.rtp_in("s/caller", rtp(0), NAT)
    stage.leg()  # as before: a session refresh
    service.speak(ulaw(0))
    stage.drain()
    assert stage.audio("s/caller")[-1].to == NAT
    stage.run(1.0)
    stage.leg(remote=(PHONE[0], 4444))
    service.speak(ulaw(0))
    stage.drain()
    assert stage.audio("s/caller")[-1].to == (PHONE[0], 4444)


# --- in


def test_both_static_payload_types_are_understood_whatever_was_negotiated() -> None:
    stage = Stage()
    service = stage.agent(hears=stage.leg(codec="PCMA"))
    law = ulaw(3)
    stage.rtp_in("s/caller", rtp(0, g711.ulaw_to_alaw(law), kind=8))
    stage.rtp_in("s/caller", rtp(1, law, kind=0))
    once = g711.alaw_to_ulaw(g711.ulaw_to_alaw(law))
    assert service.heard == once + once


def test_a_reordered_packet_finds_its_place_and_a_lost_one_delays_60_ms() -> None:
    stage = Stage()
    service = stage.agent(hears=stage.leg())
    for sequence in (0, 2, 1, 4):
        stage.rtp_in("s/caller", rtp(sequence, ulaw(sequence)))
    assert service.heard == ulaw(0, 3)
    stage.run(0.055)
    assert service.heard == ulaw(0, 3)
    stage.run(0.015)
    assert service.heard == ulaw(0, 3) + ulaw(4)


def test_audibility_is_told_once() -> None:
    stage = Stage()
    stage.leg()
    stage.talk("s/caller", 5)
    assert stage.told(link.LegAudible) == [link.LegAudible("s/caller")]


@given(
    data=st.lists(
        st.one_of(
            st.binary(max_size=80),
            st.builds(
                lambda head, rest: bytes([0x80 | head % 64]) + rest,
                st.integers(0, 63),
                st.binary(min_size=11, max_size=300),
            ),
            st.builds(
                lambda kind, seq, stamp, ssrc, body: rtp(seq, body, kind=kind, timestamp=stamp, ssrc=ssrc),
                st.sampled_from([0, 8, 13, 101, 127]),
                st.integers(0, 65535),
                st.integers(0, 2**32 - 1),
                st.integers(0, 2),
                st.binary(max_size=400),
            ),
        ),
        max_size=40,
    ),
    seed=st.integers(0, 9),
)
@settings(max_examples=60, deadline=None)
def test_hostile_datagrams_never_raise_and_ledgers_balance(data: list[bytes], seed: int) -> None:
    rng = random.Random(seed)
    stage = Stage()
    stage.leg()
    stage.leg("s/consult", remote=OTHER, codec="PCMA", dtmf_send=96)
    stage.agent(hears="s/caller", heard_by="s/caller")
    stage.tell(link.Route("s/caller", "s/consult"))
    stage.tell(link.RecordBegin("s/r", "s/caller", "/r.wav"))
    for each in data:
        stage.rtp_in("s/caller", each, rng.choice([PHONE, PHONE, OTHER]))
        stage.engine.rtcp_in(stage.ports["s/caller"], each, PHONE, stage.now)
        stage.run(rng.choice([0.0, 0.02, 0.3]))
    stage.closed()


# --- digits


def test_a_key_is_told_once_to_control_and_agent() -> None:
    stage = Stage()
    service = stage.agent(hears=stage.leg())
    key(stage, 5, 0, 1000)
    key(stage, 11, 6, 9000)
    assert digits(stage) == "5#"
    assert [each["dtmf"] for each in service.messages if each["event"] == "dtmf"] == ["5", "#"]


@pytest.mark.parametrize("first", ["rtp", "info"])
def test_a_key_that_comes_by_rfc_4733_and_by_info_counts_once(first: str) -> None:
    stage = Stage()
    stage.leg()
    for method in (first, "info" if first == "rtp" else "rtp"):
        if method == "rtp":
            key(stage, 7, 0, 1000)
        else:
            stage.tell(link.LegInfoDigit("s/caller", "7"))
        stage.run(0.2)
    assert digits(stage) == "7"


PRESSES: dict[str, tuple[list[tuple[float, str, str]], str]] = {
    "one method alone counts every press": ([(0, "rtp", "1"), (0.1, "rtp", "1"), (0.2, "rtp", "1")], "111"),
    "two quick presses by both": ([(0, "rtp", "1"), (0.1, "info", "1"), (0.4, "rtp", "1"), (0.5, "info", "1")], "11"),
    "info lags by a press": ([(0, "rtp", "1"), (0.2, "rtp", "1"), (0.3, "info", "1"), (0.5, "info", "1")], "11"),
    "two keys, interleaved": ([(0, "rtp", "1"), (0.1, "rtp", "2"), (0.2, "info", "1"), (0.3, "info", "2")], "12"),
    "other keys": ([(0, "rtp", "1"), (0.1, "info", "2")], "12"),
    "a second later it is another press": ([(0, "rtp", "1"), (1.1, "info", "1")], "11"),
}


@pytest.mark.parametrize("name", PRESSES)
def test_presses_of_both_methods_are_paired(name: str) -> None:
    presses, expected = PRESSES[name]
    keys = Digits()
    heard = "".join(digit for at, method, digit in presses if keys.fresh(digit, method, at))  # type: ignore[arg-type]
    assert heard == expected


def test_a_flood_of_info_is_remembered_in_bounds() -> None:
    keys = Digits()
    assert all(keys.fresh("1", "info", 0.0) for _ in range(1000))
    assert len(keys.single) == 32


@pytest.mark.parametrize("digit", ["", "12", "x", "🎹"])
def test_what_is_no_digit_in_info_is_noted_and_told_to_nobody(digit: str) -> None:
    stage = Stage()
    stage.agent(hears=stage.leg())
    stage.tell(link.LegInfoDigit("s/caller", digit))
    assert digits(stage) == ""
    assert stage.notes("no digit in INFO")


def test_digits_are_sent_as_events_in_place_of_audio_which_is_discarded_for_them() -> None:
    stage = Stage()
    service = stage.agent(heard_by=stage.leg(dtmf_send=96))
    service.speak(ulaw(0, 40))
    stage.drain()
    done = stage.ask(link.LegDigits("s/caller", "1#", confirm="d"))
    assert done is not None
    assert done.ok
    stage.run(1.0)
    events = [each.packet for each in stage.sent if each.packet.payload_type == 96]
    assert [packet.payload[0] for packet in events if packet.marker] == [1, 11]
    assert len({packet.timestamp for packet in events}) == 2
    entry = stage.closed().ledger[0]
    assert entry.discarded["dtmf"] > 2 * 160 * 8
    assert entry.sent + entry.discarded["dtmf"] == entry.received == 40 * 160


@pytest.mark.parametrize(
    ("digits_asked", "media", "code"),
    [("1", {}, "refused"), ("x", {"dtmf_send": 96}, "invalid"), ("1" * 65, {"dtmf_send": 96}, "invalid")],
)
def test_digits_that_cannot_be_sent_are_refused(digits_asked: str, media: dict[str, Any], code: str) -> None:
    stage = Stage()
    stage.leg(**media)
    done = stage.ask(link.LegDigits("s/caller", digits_asked, confirm="d"))
    assert done is not None
    assert (done.ok, done.code) == (False, code)


# --- out


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
    assert 0.015 - 1e-6 <= gaps[0] <= 0.02 + 1e-6
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
    lease(stage, 31.0)
    packets = stage.audio("s/caller")
    assert [each.at - begin for each in packets] == [pytest.approx(15.0, abs=0.11), pytest.approx(30.0, abs=0.21)]
    assert {each.packet.payload for each in packets} == {SILENCE}
    assert stage.closed().figures["legs"]["caller"]["rtp_samples_sent"] == 320
    assert sum(each.sent for each in stage.entries("keep-alive", "s/caller")) == 320


def lease(stage: Stage, seconds: float) -> None:
    """Time with a control that lives."""
    for _ in range(round(seconds)):
        stage.run(1.0)
        stage.tell(link.Ping(1))


def test_reports_leave_every_5_seconds_and_a_bye_at_the_end() -> None:
    stage = Stage()
    stage.leg()
    stage.engine.set_wall_clock(lambda moment: moment + 1.6e9)
    speaking(stage, 100)
    lease(stage, 16.0)
    times = [at for at, _, _ in stage.rtcp]
    assert len(times) == 3
    assert [after - before for before, after in pairwise(times)] == [pytest.approx(5.0, abs=0.11)] * 2
    assert {to for _, _, to in stage.rtcp} == {(PHONE[0], 4001)}
    report = parse_rtcp(stage.rtcp[-1][1])[0]
    assert isinstance(report, SenderReport)
    assert (report.packets, report.octets) == (100, 100 * 160)
    stage.tell(link.LegClose("s/caller"))
    assert any(isinstance(each, Bye) for each in parse_rtcp(stage.rtcp[-1][1]))


def test_a_silent_peer_is_reported_after_20_seconds_and_again_once_it_was_heard() -> None:
    stage = Stage()
    stage.leg()
    lease(stage, 19.0)
    assert not stage.told(link.LegSilent)
    lease(stage, 30.0)
    assert stage.told(link.LegSilent) == [link.LegSilent("s/caller")]
    stage.engine.rtcp_in(stage.ports["s/caller"], build_rr(7, (), "a"), (PHONE[0], 4001), stage.now)
    lease(stage, 21.0)
    assert len(stage.told(link.LegSilent)) == 2


@pytest.mark.parametrize("media", [{"on_hold": True}, {"direction": "sendonly"}, {"answered": False}])
def test_a_peer_that_owes_no_sound_is_not_reported(media: dict[str, Any]) -> None:
    stage = Stage()
    stage.leg(**media)
    lease(stage, 25.0)
    assert not stage.told(link.LegSilent)


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


def test_speech_is_told_with_its_length() -> None:
    stage = Stage()
    stage.leg()
    loud = bytes([0x10, 0x90]) * 80
    begin = stage.now
    stage.talk("s/caller", 50, payload=loud)
    stage.talk("s/caller", 50, first=50, payload=SILENCE)
    (speech,) = stage.told(link.Speech)
    assert speech.seconds == pytest.approx(1.0, abs=0.1)
    assert speech.began == pytest.approx(begin, abs=0.1)
