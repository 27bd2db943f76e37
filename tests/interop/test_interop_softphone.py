"""The softphone against baresip, both ways round: sound, digits, hold, the end. Proof is what each heard."""

import asyncio
from pathlib import Path

import pytest

from cordboard.phone.softphone import Softphone

from .baresip import Baresip
from .conftest import Run
from .peers import longest, stretches, tone

pytestmark = pytest.mark.interop

THEIRS, OURS = 900.0, 600.0
END_LIMIT = 1.0
"""Seconds from BYE to the other side's end."""


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
def test_we_call_baresip_and_each_hears_the_other(run: Run, folder: Path, codec: str) -> None:
    async def body() -> None:
        async with Baresip(folder, tone(THEIRS, 20), codec=codec) as peer, Softphone() as phone:
            call = await phone.call(peer.uri)
            await call.wait_answered(5)
            playing = call.play(tone(OURS, 2))
            await call.hears_tone(THEIRS, 0.9, within=5)
            await playing
            call.hangup()
            ended = asyncio.get_running_loop().time()
            closed, _ = await peer.event("CALL_CLOSED", within=END_LIMIT)
            await call.wait_ended(END_LIMIT)
            assert closed - ended < END_LIMIT
            assert call.negotiated is not None
            assert call.negotiated.codec == codec
            assert call.ended_count == 1
        assert longest(stretches(peer.heard()), f"{OURS:.0f}") > 1.5

    run(body())


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
def test_baresip_calls_us_and_hangs_up(run: Run, folder: Path, codec: str) -> None:
    async def body() -> None:
        async with Softphone() as phone, Baresip(folder, tone(THEIRS, 20), codec=codec) as peer:
            await peer.command("dial", phone.uri)
            call = await phone.incoming(5)
            call.ring()
            await peer.event("CALL_RINGING")
            call.answer()
            await peer.event("CALL_ESTABLISHED")
            playing = call.play(tone(OURS, 2))
            await call.hears_tone(THEIRS, 0.9, within=5)
            await playing
            await peer.command("hangup")
            await call.wait_ended(END_LIMIT)
            assert call.ended_by == "them"
        assert longest(stretches(peer.heard()), f"{OURS:.0f}") > 1.5

    run(body())


def test_digits_go_both_ways_once_each(run: Run, folder: Path) -> None:
    async def body() -> None:
        async with Baresip(folder, tone(THEIRS, 20)) as peer, Softphone() as phone:
            call = await phone.call(peer.uri)
            await call.wait_answered(5)
            await call.hears_tone(THEIRS, 0.9, within=5)
            for digit in "15#":
                await peer.command("sndcode", digit)
                await call.hears_digits(digit, within=3)
            await call.send_digits("29*")
            await peer.hears_digits("29*", within=3)
            call.hangup()
            await call.wait_ended(2)
            assert call.digits_received == "15#"
        assert peer.digits == "29*"

    run(body())


def test_a_hold_by_baresip_is_followed_and_ends(run: Run, folder: Path) -> None:
    async def body() -> None:
        loop = asyncio.get_running_loop()
        async with Baresip(folder, tone(THEIRS, 30)) as peer, Softphone() as phone:
            call = await phone.call(peer.uri)
            await call.wait_answered(5)
            await call.hears_tone(THEIRS, 0.9, within=5)
            await peer.command("hold")
            await call.wait_hold(timeout=3)
            sent = call.packets_sent
            await call.hears_silence(1.0, within=4)
            assert call.packets_sent - sent <= 1
            await peer.command("resume")
            await call.wait_hold(False, timeout=3)
            resumed = loop.time()
            await call.hears_tone(THEIRS, 0.9, within=3, since=resumed)
            await call.play(tone(OURS, 1))
            call.hangup()
            await call.wait_ended(2)
            assert call.ended_count == 1
        assert peer.packets_received >= 45 + sent, "what we said after the hold came, too"

    run(body())
