"""A part of the edge is killed in the middle of baresip's call: no leg outlives it, and no caller is left alone."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from .baresip import Baresip
from .conftest import Run
from .edge_stage import EdgeStage, judge, whats
from .peers import longest, stretches, tone

pytestmark = pytest.mark.interop

CALLER = 600.0
ORPHAN_LIMIT = 15.0
"""Seconds that a leg may outlive the death of any one part (DESIGN section 1)."""


@pytest.mark.parametrize(("part", "cause"), [("media", "plane.lost"), ("control", "control.lost")])
def test_a_killed_part_leaves_no_leg(run: Run, edge: EdgeStage, folder: Path, part: str, cause: str) -> None:
    async def body() -> None:
        await edge.agent("talker")
        async with Baresip(folder, tone(CALLER, 40), user="caller") as caller:
            await caller.command("dial", edge.target)
            await caller.event("CALL_ESTABLISHED", within=5)
            await edge.line_connected()
            await asyncio.sleep(1.0)  # they talk
            killed = edge.parts()[part]
            os.kill(killed, signal.SIGKILL)
            await caller.event("CALL_CLOSED", within=ORPHAN_LIMIT)
            await edge.serving()
            assert edge.parts()[part] != killed
        assert longest(stretches(caller.heard()), "660") > 0.5
        record, _ = await edge.record()
        assert (record.cause, record.fault) == (cause, "edge")

    run(body())


def test_a_worker_that_dies_in_its_round_is_replaced_and_the_call_goes_on(
    run: Run, edge: EdgeStage, folder: Path
) -> None:
    async def body() -> None:
        await edge.agent("talker")
        worker = await edge.one_worker("call_alerting")
        os.kill(worker, signal.SIGSTOP)  # so that the round cannot be over before it dies
        async with Baresip(folder, tone(CALLER, 40), user="caller") as caller:
            await caller.command("dial", edge.target)
            await edge.alerted()
            os.kill(worker, signal.SIGKILL)
            await caller.event("CALL_ESTABLISHED", within=10)
            await edge.line_connected()
            await asyncio.sleep(1.5)  # they talk
            await caller.command("hangup")
            await caller.event("CALL_CLOSED", within=2)
        heard = stretches(caller.heard())
        assert longest(heard, "660") > 1.0, heard
        record, place = await edge.record()
        judge(record, place, "caller.hangup")
        assert whats(place, "round")[0] == "CallAlerting crashed"
        assert worker not in edge.workers()

    run(body())


def test_the_end_of_the_supervisor_is_the_end_of_all(run: Run, edge: EdgeStage, folder: Path) -> None:
    """The last test of this file: its edge is gone."""

    async def body() -> None:
        await edge.agent("talker")
        await edge.serving()
        async with Baresip(folder, tone(CALLER, 40), user="caller") as caller:
            await caller.command("dial", edge.target)
            await caller.event("CALL_ESTABLISHED", within=5)
            await edge.line_connected()
            await edge.kill()
            await caller.event("CALL_CLOSED", within=ORPHAN_LIMIT)
        await edge.gone()

    run(body())
