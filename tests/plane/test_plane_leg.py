"""What a leg takes in: latching, order, hostile datagrams, silence and speech of its peer."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.plane.plane_stage import OTHER, PHONE, SILENCE, Stage, rtp, ulaw

from cordboard.contract import link
from cordboard.media import g711
from cordboard.media.rtcp import build_rr

NAT = ("198.51.100.7", 31000)


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


# --- audio


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


# --- silence and speech


def test_a_silent_peer_is_reported_after_20_seconds_and_again_while_it_stays_silent() -> None:
    stage = Stage()
    stage.leg()
    stage.keep(19.0)
    assert not stage.told(link.LegSilent)
    stage.keep(30.0)
    assert stage.told(link.LegSilent) == [link.LegSilent("s/caller")]
    stage.keep(12.0)
    assert len(stage.told(link.LegSilent)) == 2
    stage.engine.rtcp_in(stage.ports["s/caller"], build_rr(7, (), "a"), (PHONE[0], 4001), stage.now)
    stage.keep(19.0)
    assert len(stage.told(link.LegSilent)) == 2
    stage.keep(2.0)
    assert len(stage.told(link.LegSilent)) == 3


@pytest.mark.parametrize("media", [{"on_hold": True}, {"direction": "sendonly"}, {"answered": False}])
def test_a_peer_that_owes_no_sound_is_not_reported(media: dict[str, Any]) -> None:
    stage = Stage()
    stage.leg(**media)
    stage.keep(25.0)
    assert not stage.told(link.LegSilent)


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


def test_a_phone_that_sends_nothing_in_its_pauses_has_its_utterances_told_in_their_place() -> None:
    stage = Stage()
    stage.leg()
    loud = bytes([0x10, 0x90]) * 80
    begin = stage.now
    for each in range(3):
        stage.talk("s/caller", 50, first=50 * each, payload=loud)
        stage.keep(4.0)
    stage.tell(link.LegClose("s/caller"))
    told = stage.told(link.Speech)
    assert [each.seconds for each in told] == [pytest.approx(1.0, abs=0.1)] * 3
    assert [each.began - begin for each in told] == [pytest.approx(5.0 * each, abs=0.1) for each in range(3)]
