"""The three calls. What is said about sound rests only on packets that the softphones received."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cordboard.media.analysis import tone_share
from cordboard.media.tones import sine
from cordboard.phone.call import PhoneCall
from cordboard.phone.hearing import NotHeard
from cordboard.phone.softphone import Softphone

from .agent import agent_processes
from .checks import Checks
from .speech import RATE, CallerSpeech
from .stage import Stage

RINGBACK_TONES = (440.0, 480.0)
"""Hz of the ringback that a caller hears (North American)."""
CALLER_TONE = 600.0
CONSULT_TONE = 900.0
RING_SECONDS = 3.0
"""How long the consult phone rings: long enough to hear ringback."""
RECORD_LIMIT = 10.0
"""Seconds until the call's record and wav are there."""
RESTART_LIMIT = 20.0
"""Seconds until the stand-in has a killed program running again: half a second's pause, and the program's imports."""

WORDS = {
    "transfer": "I want to talk to a person",
    "farewell": "goodbye",
    "lost": "when is breakfast",
}
"""What the caller says to the agent, call by call."""


@dataclass(slots=True)
class Scene:
    """One call on the stage."""

    stage: Stage
    checks: Checks
    caller: Softphone
    consult: Softphone
    speech: CallerSpeech
    say: Callable[[str], None]

    async def heard(self, what: str, waiting: Awaitable[float]) -> float | None:
        """A check that something is heard in time: when, or None."""
        try:
            moment = await waiting
        except (NotHeard, TimeoutError) as error:
            self.checks.missed(what, error)
            return None
        self.checks.that(what, True)
        return moment

    async def dial(self) -> PhoneCall | None:
        """Call in; the greeting must be heard."""
        call = await self.caller.call(self.stage.target)
        try:
            await call.wait_answered(10)
        except Exception as error:  # noqa: BLE001 - whatever went wrong is the check's failure
            self.checks.missed("the edge answers", error)
            return None
        self.checks.that("the edge answers", True, f"{call.progress[-1][0]}")
        await self.heard("the caller hears the agent's greeting", call.hears_voice(8))
        return call

    async def interrupt(self, call: PhoneCall, name: str) -> None:
        """The caller speaks into the greeting, which must stop; then the agent's answer is heard."""
        await asyncio.sleep(1.0)  # let the greeting get going; the call takes its time as a person would
        words = WORDS[name]
        self.say(f"the caller interrupts: {words!r}")
        sound = await self.speech.say(words)
        spoke = asyncio.get_running_loop().time()
        await call.play(sound)
        await self.heard("the agent falls silent", call.hears_silence(0.4, within=3, since=spoke + 0.5))

    async def transfer(self) -> PhoneCall | None:
        """Barge-in, transfer by the agent's tool, ringback, bridge, hang-up."""
        call = await self.dial()
        if call is None:
            return None
        await self.interrupt(call, "transfer")
        await self.heard("the agent answers the interruption", call.hears_voice(8))
        consult = await self._ringing(call)
        if consult is None:
            return call
        consult.answer()
        self.say("the consult phone answers")
        both = sine(CALLER_TONE, 3.0, RATE), sine(CONSULT_TONE, 3.0, RATE)
        playing = [call.play(both[0]), consult.play(both[1])]
        await self.heard("the consult phone hears the caller", consult.hears_tone(CALLER_TONE, within=4))
        await self.heard("the caller hears the consult phone", call.hears_tone(CONSULT_TONE, within=4))
        await asyncio.gather(*playing)
        self.say("the consult phone hangs up")
        consult.hangup()
        await self._ended(call, "them")
        self.checks.that("the consult call ends once", consult.ended_count == 1, consult.ended_count)
        self.checks.that("the consult phone was dialled once", not self.consult.live_calls)
        return call

    async def _ringing(self, call: PhoneCall) -> PhoneCall | None:
        try:
            consult = await self.consult.incoming(10)
        except TimeoutError as error:
            self.checks.missed("the agent's tool has the consult phone dialled", error)
            return None
        self.checks.that("the agent's tool has the consult phone dialled", True)
        consult.ring()
        rings = asyncio.get_running_loop().time()
        await asyncio.sleep(RING_SECONDS)
        tail = call.heard_since(rings + 0.3)[: int(1.2 * RATE)]
        share = sum(tone_share(tail, RATE, hz) for hz in RINGBACK_TONES) if tail.size >= RATE // 2 else 0.0
        self.checks.that("the caller hears ringback", share > 0.8, f"{share:.0%} of the energy at 440 and 480 Hz")
        return consult

    async def farewell(self) -> PhoneCall | None:
        """The caller says goodbye; the agent's tool ends the call when its farewell was heard out."""
        call = await self.dial()
        if call is None:
            return None
        await self.interrupt(call, "farewell")
        began = await self.heard("the caller hears the farewell", call.hears_voice(8))
        await self._ended(call, "them", within=25)
        if began is not None and call.last_packet_at is not None:
            seconds = call.last_packet_at - began
            self.checks.that("the farewell lasts longer than a second", seconds > 1.0, f"{seconds:.1f} s")
        return call

    async def lost(self) -> PhoneCall | None:
        """The agent's program is killed in the middle of an answer; websocket_close ends the call."""
        call = await self.dial()
        if call is None:
            return None
        await self.interrupt(call, "lost")
        answered = await self.heard("the agent begins to answer", call.hears_voice(8))
        before = agent_processes(self.stage.log("line"))
        self.say("the agent's program is killed (kill -9)")
        os.killpg(before[-1], signal.SIGKILL)  # the program, and the leash that leads its group
        await self._ended(call, "them", within=20)
        if answered is not None and call.last_packet_at is not None:
            seconds = call.last_packet_at - answered
            self.checks.that("what the agent had said is heard out", seconds > 1.0, f"{seconds:.1f} s")
        await self._program_is_back(before)
        return call

    async def _program_is_back(self, before: list[int]) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RESTART_LIMIT):
                while agent_processes(self.stage.log("line")) == before:  # noqa: ASYNC110 - a file says no word
                    await asyncio.sleep(0.1)
        after = agent_processes(self.stage.log("line"))
        self.checks.that("the stand-in starts the program again", len(after) == len(before) + 1)

    async def _ended(self, call: PhoneCall, by: str, within: float = 10) -> None:
        try:
            await call.wait_ended(within)
        except TimeoutError as error:
            self.checks.missed("the caller's call ends", error)
            return
        self.checks.that("the caller's call ends once", call.ended_count == 1 and call.ended_by == by, call.ended_by)


async def record_of(stage: Stage, known: set[str]) -> tuple[Path, dict[str, Any]] | None:
    """(folder, call.ended) of the call that has just ended, once its wav is finished too."""
    try:
        async with asyncio.timeout(RECORD_LIMIT):
            while True:
                for record in stage.data.glob("calls/*/record.json"):
                    if record.parent.name not in known and (record.parent / "recording.wav").exists():
                        return record.parent, json.loads(record.read_text(encoding="utf-8"))
                await asyncio.sleep(0.1)
    except TimeoutError:
        return None
