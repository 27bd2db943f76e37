"""Phone calls phone, over real sockets of the loopback interface."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from cordboard.media.analysis import dominant_tone
from cordboard.media.dtmf import InvalidDigit
from cordboard.media.tones import sine
from cordboard.media.wav import read_wav
from cordboard.phone import softphone as softphone_module
from cordboard.phone.call import CallOver, CallStateError, PhoneCall
from cordboard.phone.heard import RATE
from cordboard.phone.hearing import NotHeard
from cordboard.phone.softphone import Softphone
from cordboard.sip.events import Traced

Run = Callable[[Coroutine[object, object, None]], None]

SOON = 5.0
"""Seconds that a message may take over loopback on a busy machine; none is waited out."""


@asynccontextmanager
async def two_phones(
    auto_answer: float | None = None, codecs: tuple[str, ...] = ("PCMU", "PCMA")
) -> AsyncIterator[tuple[Softphone, Softphone]]:
    async with (
        Softphone(user="alice", rng=random.Random(1)) as alice,
        Softphone(user="bob", codecs=codecs, auto_answer=auto_answer, rng=random.Random(2)) as bob,
    ):
        yield alice, bob


async def talking(alice: Softphone, bob: Softphone) -> tuple[PhoneCall, PhoneCall]:
    """An answered call, seen from both sides."""
    call = await alice.call(bob.uri)
    other = await bob.incoming()
    if other.state == "incoming":
        other.answer()
    await call.wait_answered(SOON)
    return call, other


async def ended(*calls: PhoneCall) -> list[str]:
    for call in calls:
        await call.wait_ended(SOON)
        assert call.ended_count == 1
        assert call.over
    return [call.ended_by for call in calls]


def test_ring_answer_tones_both_ways_and_hang_up(run: Run) -> None:
    async def body() -> None:
        async with two_phones() as (alice, bob):
            call = await alice.call(bob.uri, headers=[("X-Test", "yes")])
            other = await bob.incoming()
            assert (call.state, other.state) == ("dialling", "incoming")
            assert other.invite is not None
            assert (other.invite.caller, other.invite.callee) == ("alice", "bob")
            assert other.invite.request.headers.get("X-Test") == "yes"
            other.ring()
            await call.wait_ringing(SOON)
            assert call.state == other.state == "ringing"
            assert call.answered_at is None
            other.answer()
            await call.wait_answered(SOON)
            assert [code for code, _ in call.progress] == [code for code, _ in other.progress] == [180, 200]
            assert call.negotiated is not None
            assert call.negotiated.codec == "PCMU"
            playing = [call.play(sine(440, 0.6, RATE)), other.play(sine(880, 0.6, RATE))]
            await asyncio.gather(call.hears_tone(880, within=SOON), other.hears_tone(440, within=SOON))
            assert await asyncio.gather(*playing) == [True, True]
            call.hangup()
            assert await ended(call, other) == ["us", "them"]
            assert call.final_code == other.final_code == 200
            for side, hz in ((call, 880), (other, 440)):
                tone = dominant_tone(side.heard()[:4800], RATE)
                assert abs(tone.hz - hz) < 5
                assert tone.share > 0.9

    run(body())


def test_every_sample_that_was_sent_before_the_hang_up_is_heard(run: Run) -> None:
    async def body() -> None:
        async with two_phones(auto_answer=0) as (alice, bob):
            call, other = await talking(alice, bob)
            await call.hears_audio(0.2, within=SOON)
            other.hangup()
            await ended(call, other)
            assert call.rtp_samples_received == 160 * other.packets_sent
            assert call.heard().size == call.rtp_samples_received
            assert len(call.packets) == other.packets_sent
            assert call.packets[0].marker
            assert call.last_packet_at == call.packets[-1].arrival

    run(body())


def test_digits_both_ways_exactly_once(run: Run) -> None:
    async def body() -> None:
        async with two_phones(auto_answer=0) as (alice, bob):
            call, other = await talking(alice, bob)
            sent = [call.send_digits("12#"), call.send_digits("2"), other.send_digits("*D")]
            await other.hears_digits("12#2", within=SOON)
            await call.hears_digits("*D", within=SOON)
            assert await asyncio.gather(*sent) == [True, True, True]
            call.hangup()
            await ended(call, other)
            assert (call.digits_received, other.digits_received) == ("*D", "12#2")
            events = [packet for packet in other.packets if packet.payload_type == 101]
            assert len(events) == 4 * 10
            assert sum(packet.marker for packet in events) == 4
            assert other.rtp_samples_received == 160 * (len(other.packets) - len(events))
            assert not other.heard().any()

    run(body())


@pytest.mark.parametrize("code", [404, 480, 486, 503, 603])
def test_a_refused_call_ends_once_with_its_code(run: Run, code: int) -> None:
    async def body() -> None:
        async with two_phones() as (alice, bob):
            call = await alice.call(bob.uri)
            other = await bob.incoming()
            other.reject(code)
            with pytest.raises(CallOver, match=f"ended by failed, code {code}") as caught:
                await call.wait_answered(SOON)
            assert caught.value.code == code
            assert await ended(call, other) == ["failed", "us"]
            assert call.final_code == other.final_code == code
            assert [code for code, _ in call.progress] == [code]
            with pytest.raises(CallOver):
                await call.wait_ringing(SOON)

    run(body())


def test_a_caller_who_gives_up_cancels(run: Run) -> None:
    async def body() -> None:
        async with two_phones() as (alice, bob):
            call = await alice.call(bob.uri)
            other = await bob.incoming()
            other.ring()
            await call.wait_ringing(SOON)
            call.hangup()
            call.hangup()
            assert await ended(call, other) == ["us", "them"]
            assert call.final_code == other.final_code == 487
            with pytest.raises(CallStateError, match="cannot answer: the call is ended"):
                other.answer()

    run(body())


def test_a_call_can_be_given_up_before_anything_came_back(run: Run) -> None:
    async def body() -> None:
        async with two_phones() as (alice, bob):
            call = await alice.call(bob.uri)
            call.hangup()
            assert await ended(call) == ["us"]
            assert await ended(await bob.incoming()) == ["them"]

    run(body())


@pytest.mark.parametrize("caller_first", [True, False])
def test_either_side_hangs_up_and_both_end_once(run: Run, caller_first: bool) -> None:
    async def body() -> None:
        async with two_phones(auto_answer=0) as (alice, bob):
            call, other = await talking(alice, bob)
            await asyncio.gather(call.hears_audio(0.02, within=SOON), other.hears_audio(0.02, within=SOON))
            first, second = (call, other) if caller_first else (other, call)
            first.hangup()
            assert await ended(first, second) == ["us", "them"]

    run(body())


def test_both_hang_up_at_once_and_each_ends_once(run: Run) -> None:
    async def body() -> None:
        async with two_phones(auto_answer=0) as (alice, bob):
            call, other = await talking(alice, bob)
            await other.hears_audio(0.02, within=SOON)
            call.hangup()
            other.hangup()
            assert set(await ended(call, other)) <= {"us", "them"}

    run(body())


def test_closing_a_phone_hangs_up(run: Run) -> None:
    async def body() -> None:
        async with two_phones(auto_answer=0) as (alice, bob):
            call, other = await talking(alice, bob)
            await alice.close()
            assert await ended(call, other) == ["us", "them"]
            assert alice.live_calls == []
            await alice.close()

    run(body())


def test_early_media_is_heard_before_the_answer(run: Run) -> None:
    async def body() -> None:
        async with two_phones() as (alice, bob):
            call = await alice.call(bob.uri)
            other = await bob.incoming()
            other.ring(early=True)
            other.play(sine(425, 0.5, RATE))
            await call.hears_tone(425, within=SOON)
            assert call.answered_at is None
            assert call.packets_sent == 0
            assert [code for code, _ in call.progress] == [183]
            other.answer()
            await call.wait_answered(SOON)
            await other.hears_audio(0.02, within=SOON)
            call.hangup()
            await ended(call, other)
            assert len({packet.ssrc for packet in call.packets}) == 1

    run(body())


def test_a_caller_can_send_early_too(run: Run) -> None:
    async def body() -> None:
        async with two_phones() as (alice, bob):
            call = await alice.call(bob.uri, early=True)
            other = await bob.incoming()
            call.play(sine(700, 0.5, RATE))
            other.ring(early=True)
            await other.hears_tone(700, within=SOON)
            assert call.answered_at is None
            other.reject(480)
            assert await ended(call, other) == ["failed", "us"]

    run(body())


def test_automatic_answer_after_ringing(run: Run) -> None:
    async def body() -> None:
        async with two_phones(auto_answer=0.05) as (alice, bob):
            call = await alice.call(bob.uri)
            await call.wait_answered(SOON)
            assert [code for code, _ in call.progress] == [180, 200]
            assert call.progress[1][1] - call.progress[0][1] >= 0.03

    run(body())


def test_a_caller_who_gives_up_during_automatic_ringing(run: Run) -> None:
    async def body() -> None:
        async with two_phones(auto_answer=60) as (alice, bob):
            call = await alice.call(bob.uri)
            await call.wait_ringing(SOON)
            call.hangup()
            assert await ended(call, await bob.incoming()) == ["us", "them"]

    run(body())


def test_a_phone_that_speaks_a_law_alone(run: Run) -> None:
    async def body() -> None:
        async with two_phones(auto_answer=0, codecs=("PCMA",)) as (alice, bob):
            call, other = await talking(alice, bob)
            call.play(sine(1000, 0.5, RATE))
            await other.hears_tone(1000, within=SOON)
            await call.hears_audio(0.02, within=SOON)
            for side in (call, other):
                assert side.negotiated is not None
                assert side.negotiated.codec == "PCMA"
                assert {packet.payload_type for packet in side.packets} == {8}

    run(body())


def test_phones_without_a_common_codec_do_not_meet(run: Run) -> None:
    async def body() -> None:
        async with (
            Softphone(codecs=("PCMU",), rng=random.Random(3)) as alice,
            Softphone(user="bob", codecs=("PCMA",), auto_answer=0, rng=random.Random(4)) as bob,
        ):
            call = await alice.call(bob.uri)
            other = await bob.incoming()
            assert await ended(call, other) == ["failed", "failed"]
            assert call.final_code == other.final_code == 488
            assert "codec" in other.end_reason

    run(body())


def test_automatic_answers_of_calls_that_are_over_do_nothing(run: Run) -> None:
    async def body() -> None:
        errors: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
        async with two_phones(auto_answer=0.03) as (alice, bob):
            call = await alice.call(bob.uri)
            other = await bob.incoming()
            call.hangup()
            await ended(call, other)
            later = await alice.call(bob.uri)  # its automatic answer comes after that of the first
            await later.wait_answered(SOON)
            assert [code for code, _ in other.progress] == [180]
        assert errors == []

    run(body())


def test_two_calls_at_once_do_not_mix(run: Run) -> None:
    async def body() -> None:
        async with two_phones(auto_answer=0) as (alice, bob):
            first, first_other = await talking(alice, bob)
            second, second_other = await talking(alice, bob)
            first.play(sine(500, 0.6, RATE))
            second.play(sine(1500, 0.6, RATE))
            await asyncio.gather(first_other.hears_tone(500, within=SOON), second_other.hears_tone(1500, within=SOON))
            first.hangup()
            await ended(first, first_other)
            assert second.state == second_other.state == "answered"

    run(body())


def test_voice_and_silence_are_heard(run: Run) -> None:
    async def body() -> None:
        async with two_phones(auto_answer=0) as (alice, bob):
            call, other = await talking(alice, bob)
            silence = await other.hears_silence(0.1, within=SOON)
            call.play(np.random.default_rng(1).normal(0, 3000, 4000).astype(np.int16))
            voice = await other.hears_voice(SOON)
            assert voice > silence
            assert await other.hears_silence(0.1, within=SOON, since=voice) > voice
            call.play(sine(500, 5, RATE))
            await other.hears_tone(500, within=SOON)
            call.stop_playing()
            await other.hears_silence(0.1, within=SOON)

    run(body())


def test_what_was_heard_before_counts_only_when_asked_for(run: Run) -> None:
    async def body() -> None:
        async with two_phones(auto_answer=0) as (alice, bob):
            call, other = await talking(alice, bob)
            before = asyncio.get_running_loop().time()
            call.play(sine(500, 0.3, RATE))
            heard = await other.hears_tone(500, within=SOON)
            await other.hears_silence(0.05, within=SOON)
            with pytest.raises(NotHeard):
                await other.hears_tone(500, within=0.05)
            assert await other.hears_tone(500, within=SOON, since=before) == heard
            assert dominant_tone(other.heard_since(before)[:1600], RATE).share > 0.5
            assert other.heard_since(heard).size < other.heard().size

    run(body())


def test_what_is_not_heard_says_what_was(run: Run) -> None:
    async def body() -> None:
        async with two_phones(auto_answer=0) as (alice, bob):
            call, other = await talking(alice, bob)
            tone = call.play(sine(500, 1, RATE))
            await other.hears_tone(500, within=SOON)
            with pytest.raises(NotHeard, match=r"no tone of 900 Hz within 0.05 s; heard .* 500 Hz with share"):
                await other.hears_tone(900, within=0.05)
            waiting = [
                asyncio.create_task(other.hears_tone(900, within=SOON)),
                asyncio.create_task(other.hears_digits("1", within=SOON)),
                asyncio.create_task(other.hears_silence(60, within=SOON)),
            ]
            call.hangup()
            await ended(call, other)
            results = await asyncio.gather(*waiting, return_exceptions=True)
            assert [type(result) for result in results] == [NotHeard] * 3
            assert all("before the end of the call" in str(result) for result in results)
            assert await tone is False

    run(body())


def test_waits_have_limits_and_say_what_is(run: Run) -> None:
    async def body() -> None:
        async with two_phones() as (alice, bob):
            call = await alice.call(bob.uri)
            other = await bob.incoming()
            with pytest.raises(TimeoutError, match=r"no answer within 0.01 s; the call is"):
                await call.wait_answered(0.01)
            with pytest.raises(TimeoutError, match="no end of the call"):
                await other.wait_ended(0.01)

    run(body())


def test_what_a_state_does_not_allow_is_refused(run: Run) -> None:
    async def body() -> None:
        async with two_phones() as (alice, bob):
            call = await alice.call(bob.uri)
            other = await bob.incoming()
            for forbidden in (call.answer, call.ring, call.reject):
                with pytest.raises(CallStateError, match="the call is dialling"):
                    forbidden()
            with pytest.raises(CallStateError, match="negotiated media"):
                other.send_digits("1")
            with pytest.raises(CallStateError, match="cannot send INFO"):
                call.send_info("application/dtmf", b"1")
            with pytest.raises(ValueError, match="200 refuses nothing"):
                other.reject(200)
            other.answer()
            await call.wait_answered(SOON)
            with pytest.raises(InvalidDigit):
                call.send_digits("hello")
            call.hangup()
            await ended(call, other)
            with pytest.raises(CallStateError, match="cannot play: the call is over"):
                call.play(sine(440, 1, RATE))
            with pytest.raises(CallStateError, match="cannot send digits: the call is over"):
                call.send_digits("1")

    run(body())


def test_info_carries_digits_too(run: Run) -> None:
    async def body() -> None:
        async with two_phones(auto_answer=0) as (alice, bob):
            call, other = await talking(alice, bob)
            call.send_info("application/dtmf-relay", b"Signal=7\r\nDuration=160\r\n")
            await other.hears_digits("7", within=SOON)
            assert other.infos == [("application/dtmf-relay", b"Signal=7\r\nDuration=160\r\n")]

    run(body())


def test_recordings_hold_what_was_heard_and_said(run: Run, tmp_path: Path) -> None:
    async def body() -> None:
        async with two_phones(auto_answer=0) as (alice, bob):
            call, other = await talking(alice, bob)
            call.record(tmp_path / "both.wav", stereo=True)
            other.record(tmp_path / "heard.wav")
            call.play(sine(500, 0.6, RATE))
            other.play(sine(1500, 0.6, RATE))
            await asyncio.gather(call.hears_tone(1500, within=SOON), other.hears_tone(500, within=SOON))
            call.hangup()
            await ended(call, other)
            one = read_wav(tmp_path / "heard.wav")
            assert (one.rate, one.channels) == (RATE, 1)
            np.testing.assert_array_equal(one.mono(), other.heard())
            both = read_wav(tmp_path / "both.wav")
            assert (both.rate, both.channels) == (RATE, 2)
            for channel, hz in enumerate((500, 1500)):
                assert abs(dominant_tone(both.samples[:, channel], RATE).hz - hz) < 5

    run(body())


def test_a_recording_that_cannot_be_written_ends_no_call_badly(run: Run, tmp_path: Path) -> None:
    async def body() -> None:
        async with two_phones(auto_answer=0) as (alice, bob):
            call, other = await talking(alice, bob)
            call.record(tmp_path / "no" / "folder.wav")
            call.hangup()
            assert await ended(call, other) == ["us", "them"]
            assert isinstance(call.recording_error, FileNotFoundError)

    run(body())


@pytest.mark.parametrize(
    "uri", ["bob@127.0.0.1", "tel:+15550100", "sips:bob@127.0.0.1", "sip:bob@[::1", "", "mailto:a@b.example"]
)
def test_what_cannot_be_called_is_refused(run: Run, uri: str) -> None:
    async def body() -> None:
        async with Softphone() as phone:
            with pytest.raises(ValueError):
                await phone.call(uri)
            assert phone.live_calls == []

    run(body())


def test_a_header_with_a_line_break_is_refused_and_leaves_nothing_open(run: Run) -> None:
    async def body() -> None:
        async with two_phones() as (alice, bob):
            with pytest.raises(ValueError, match="X-Evil"):
                await alice.call(bob.uri, headers=[("X-Evil", "a\r\nX-More: b")])
            assert alice.live_calls == []

    run(body())


def test_a_name_is_looked_up(run: Run) -> None:
    async def body() -> None:
        async with two_phones(auto_answer=0) as (alice, bob):
            call = await alice.call(f"sip:bob@localhost:{bob.address[1]}")
            await call.wait_answered(SOON)
            with pytest.raises(OSError):
                await alice.call("sip:bob@name.invalid")

    run(body())


def test_a_phone_that_is_full_is_busy(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body() -> None:
        monkeypatch.setattr(softphone_module, "CALLS_LIMIT", 1)
        async with two_phones(auto_answer=0) as (alice, bob):
            call, other = await talking(alice, bob)
            refused = await alice.call(bob.uri)
            assert await ended(refused) == ["failed"]
            assert refused.final_code == 486
            call.hangup()
            await ended(call, other)
            await talking(alice, bob)

    run(body())


def test_ended_calls_are_forgotten_in_time(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body() -> None:
        monkeypatch.setattr(softphone_module, "ENDED_KEPT", 2)
        async with two_phones() as (alice, bob):
            for _ in range(5):
                call = await alice.call(bob.uri)
                other = await bob.incoming()
                other.reject()
                await ended(call, other)
            assert len(alice._calls) == len(bob._calls) == 2
            assert alice.live_calls == bob.live_calls == []

    run(body())


def test_nobody_calls(run: Run) -> None:
    async def body() -> None:
        async with Softphone() as phone:
            with pytest.raises(TimeoutError, match=r"no call within 0.01 s"):
                await phone.incoming(0.01)

    run(body())


def test_hanging_up_an_unanswered_incoming_call_refuses_it(run: Run) -> None:
    async def body() -> None:
        async with two_phones() as (alice, bob):
            call = await alice.call(bob.uri)
            other = await bob.incoming()
            other.ring()
            other.hangup()
            assert await ended(call, other) == ["failed", "us"]
            assert call.final_code == other.final_code == 480

    run(body())


def test_a_refusal_with_a_line_break_is_refused_itself(run: Run) -> None:
    async def body() -> None:
        async with two_phones() as (alice, bob):
            call = await alice.call(bob.uri)
            other = await bob.incoming()
            with pytest.raises(ValueError, match="reason"):
                other.reject(486, "Busy\r\nX-More: b")
            assert (other.state, other.progress, other.final_code) == ("incoming", [], None)
            other.reject(486, "Very busy")
            await ended(call, other)
            assert call.end_reason == call.responses[-1].reason == "Very busy"

    run(body())


def test_a_phone_is_started_once_and_not_used_before(run: Run) -> None:
    async def body() -> None:
        phone = Softphone()
        await phone.close()
        with pytest.raises(CallStateError, match="has not been started"):
            _ = phone.address
        await phone.start()
        with pytest.raises(CallStateError, match="started before"):
            await phone.start()
        with pytest.raises(OSError, match="in use"):
            await Softphone(sip_port=phone.address[1]).start()
        await phone.close()

    run(body())


def test_every_message_is_traced(run: Run) -> None:
    async def body() -> None:
        seen: list[Traced] = []
        async with two_phones(auto_answer=0) as (alice, bob):
            alice.on_trace = seen.append
            call, _ = await talking(alice, bob)
            call.hangup()
            await call.wait_ended(SOON)
        methods = [trace.summary.split()[0] for trace in seen if not trace.retransmission]
        assert methods == ["INVITE", "100", "200", "ACK", "BYE", "200"]

    run(body())
