"""The edge calls the transfer's target: early media, a busy callee, a callee behind a forking proxy."""

import asyncio
from pathlib import Path

import pytest

from cordboard.phone.softphone import Softphone

from .conftest import Run
from .edge_stage import EdgeStage, judge, moment
from .forking import ForkingCallee
from .peers import free_ports, longest, stretches, tone
from .sipp import TONE, Sipp

pytestmark = pytest.mark.interop

CALLER = 600.0


def test_early_media_is_heard_before_the_answer(run: Run, edge: EdgeStage, folder: Path) -> None:
    async def body() -> None:
        await edge.agent("forward")
        async with Sipp(folder, "early_media", port=edge.consult_port) as callee, Softphone() as phone:
            call = await phone.call(edge.target)
            await call.wait_answered(5)
            early = await call.hears_tone(TONE, 0.9, within=10)
            await asyncio.sleep(3.5)  # it answers, and they talk
            heard = stretches(call.heard_since(early))
            assert sum(each.seconds for each in heard if each.name == f"{TONE:.0f}") > 3.0, heard
            assert longest(heard, "silence") == 0, "it goes on through the answer"
            call.hangup()
            await call.wait_ended(2)
            await callee.passed()
        record, place = await edge.record()
        judge(record, place, "caller.hangup")
        assert early < moment(place, "event", "call.connected:consult")

    run(body())


def test_a_busy_callee_ends_the_call_as_the_handler_says(run: Run, edge: EdgeStage, folder: Path) -> None:
    async def body() -> None:
        await edge.agent("forward")
        async with Sipp(folder, "busy", port=edge.consult_port) as callee, Softphone() as phone:
            call = await phone.call(edge.target)
            await call.wait_answered(5)
            await call.wait_ended(10)
            assert (call.ended_by, call.ended_count) == ("them", 1)
            await callee.passed()
        record, place = await edge.record()
        judge(record, place, "consult.failed")
        consult = next(leg for leg in record.legs if leg.name == "consult")
        assert consult.code == 486, consult

    run(body())


def test_of_two_answers_of_a_fork_one_is_kept_and_one_ended(run: Run, edge: EdgeStage) -> None:
    async def body() -> None:
        await edge.agent("forward")
        async with ForkingCallee(edge.consult_port, free_ports()) as callee, Softphone() as phone:
            call = await phone.call(edge.target)
            await call.wait_answered(5)
            await callee.until(("ACK", "a"), ("ACK", "b"), ("BYE", "b"))
            assert ("BYE", "a") not in callee.requests
            await call.play(tone(CALLER, 0.5))
            call.hangup()
            await call.wait_ended(2)
            await callee.until(("BYE", "a"))
        record, place = await edge.record()
        judge(record, place, "caller.hangup")
        assert [leg.name for leg in record.legs].count("consult") == 1

    run(body())
