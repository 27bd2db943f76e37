"""baresip calls the edge, talks with the agent, interrupts it and is transferred to a second baresip."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from cordboard.demo.stage import CONSULT as CONSULT_NUMBER
from cordboard.media.g711 import ulaw_decode

from .baresip import Baresip
from .conftest import Run
from .edge_stage import EdgeStage, digits, judge, whats
from .peers import longest, silence, stretches, tone

pytestmark = pytest.mark.interop

GREETING, ANSWER = "660", "880"
INTERRUPTION, CALLER, CONSULT = 500.0, 600.0, 900.0
RINGING = 2.5
"""Seconds that the consult phone rings."""


def test_a_caller_interrupts_and_is_transferred(run: Run, edge: EdgeStage, folder: Path) -> None:
    async def body() -> None:
        await edge.agent("transfer")
        says = silence(3.0), tone(INTERRUPTION, 1.0), silence(4.0), tone(CALLER, 30)
        async with (
            Baresip(folder, np.concatenate(says), user="caller") as caller,
            Baresip(
                folder, tone(CONSULT, 30), user=CONSULT_NUMBER, answer="manual", sip_port=edge.consult_port
            ) as consult,
        ):
            await caller.command("dial", edge.target)
            await caller.event("CALL_ESTABLISHED", within=5)
            await consult.event("CALL_INCOMING")
            await asyncio.sleep(RINGING)  # a person takes that long
            await consult.command("accept")
            await consult.event("CALL_ESTABLISHED")
            await asyncio.sleep(2.5)  # they talk
            await consult.command("hangup")
            await caller.event("CALL_CLOSED", within=2)
        heard = stretches(caller.heard())
        order = [each.name for each in heard if each.name != "silence"]
        assert order == [GREETING, ANSWER, "ringback", f"{CONSULT:.0f}"], heard
        assert 1.5 < longest(heard, GREETING) < 4.0, "15 s were queued when it was interrupted"
        assert longest(heard, "ringback") > 1.0
        assert longest(heard, f"{CONSULT:.0f}") > 1.5
        assert longest(stretches(consult.heard()), f"{CALLER:.0f}") > 1.5
        record, place = await edge.record()
        judge(record, place, "consult.hangup")
        assert sum(entry.cleared for entry in record.ledger) > 0
        assert whats(place, "command").count("call.dial") == 1
        agent = await edge.line_call()
        assert "clear" in agent.events("out")
        assert agent.warnings == []

    run(body())


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
def test_digits_go_both_ways_once_each_and_sound_does(run: Run, edge: EdgeStage, folder: Path, codec: str) -> None:
    async def body() -> None:
        await edge.agent("presser")
        async with Baresip(folder, tone(CALLER, 30), user="caller", codec=codec) as caller:
            await caller.command("dial", edge.target)
            await caller.event("CALL_ESTABLISHED", within=5)
            agent = await edge.line_connected()
            for digit in "159":
                await caller.command("sndcode", digit)
                await edge.line_heard(agent, digit)
            await caller.hears_digits("19", within=5)
            await asyncio.sleep(1.5)  # they talk
            await caller.command("hangup")
            await caller.event("CALL_CLOSED", within=2)
            assert caller.digits == "19"
        record, place = await edge.record()
        judge(record, place, "caller.hangup")
        agent = await edge.line_call()
        assert digits(agent) == "159"
        assert longest(stretches(ulaw_decode(bytes(agent.audio_in))), f"{CALLER:.0f}") > 1.0
        heard = stretches(caller.heard())
        assert [each.name for each in heard if each.name != "silence"] == [GREETING, ANSWER], heard

    run(body())


def test_a_hold_keeps_the_call_and_silences_the_agent(run: Run, edge: EdgeStage, folder: Path) -> None:
    async def body() -> None:
        await edge.agent("talker")
        async with Baresip(folder, tone(CALLER, 30), user="caller") as caller:
            await caller.command("dial", edge.target)
            await caller.event("CALL_ESTABLISHED", within=5)
            await asyncio.sleep(1.5)  # they talk
            await caller.command("hold")
            await asyncio.sleep(2.0)  # the hold lasts
            await caller.command("resume")
            await asyncio.sleep(1.5)  # they talk again
            await caller.command("hangup")
            await caller.event("CALL_CLOSED", within=2)
        record, place = await edge.record()
        judge(record, place, "caller.hangup")
        events = whats(place, "event")
        assert events.count("call.hold:caller") == 1, events
        assert events.count("call.unhold:caller") == 1, events
        agent = await edge.line_call()
        said = [each.name for each in stretches(ulaw_decode(bytes(agent.audio_in)))]
        assert said == [f"{CALLER:.0f}", "silence", f"{CALLER:.0f}"], said
        assert longest(stretches(caller.heard()), GREETING) > 1.0
        assert caller.packets_received > 120, "1.5 s before the hold and 1.5 s after it"

    run(body())


def test_the_callers_end_is_the_end_of_the_transfer(run: Run, edge: EdgeStage, folder: Path) -> None:
    async def body() -> None:
        await edge.agent("forward")
        async with (
            Baresip(folder, tone(CALLER, 30), user="caller") as caller,
            Baresip(folder, tone(CONSULT, 30), user=CONSULT_NUMBER, sip_port=edge.consult_port) as consult,
        ):
            await caller.command("dial", edge.target)
            await consult.event("CALL_ESTABLISHED")
            await asyncio.sleep(1.5)  # they talk
            await caller.command("hangup")
            ended, _ = await caller.event("CALL_CLOSED", within=2)
            closed, _ = await consult.event("CALL_CLOSED", within=2)
            assert closed - ended < 1.0
        assert longest(stretches(consult.heard()), f"{CALLER:.0f}") > 1.0
        assert longest(stretches(caller.heard()), f"{CONSULT:.0f}") > 1.0
        record, place = await edge.record()
        judge(record, place, "caller.hangup")
        assert [leg.ended_by for leg in record.legs] == ["them", "edge"], record.legs

    run(body())
