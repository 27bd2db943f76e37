"""Control stands still for two seconds: the caller's sound does not, and what must happen within a tick does."""

import asyncio
import os
import signal
from itertools import pairwise

import pytest

from cordboard.phone.softphone import Softphone

from .conftest import Run
from .edge_stage import EdgeStage, digits, judge
from .peers import tone

pytestmark = pytest.mark.interop

STALL = 2.0
"""Seconds that control stands still; its lease is ten."""

GAP_LIMIT = 0.060
"""Seconds between two packets of the caller's sound: three frames, which a phone's jitter buffer rides out."""


class Lag:
    """How late this test's own loop was: what came late because we looked late is not the edge's fault."""

    def __init__(self) -> None:
        self.worst = 0.0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Lag":
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + 0.005
            await asyncio.sleep(0.005)
            self.worst = max(self.worst, loop.time() - due)


def test_the_caller_does_not_notice(run: Run, edge: EdgeStage) -> None:
    async def body() -> None:
        loop = asyncio.get_running_loop()
        await edge.agent("polite")
        control = edge.parts()["control"]
        async with Softphone() as phone:
            call = await phone.call(edge.target)
            await call.wait_answered(5)
            agent = await edge.line_connected()
            await call.hears_tone(660.0, 0.9, within=5)
            stalled = loop.time()
            os.kill(control, signal.SIGSTOP)
            try:
                async with Lag() as lag:
                    await asyncio.sleep(0.6)
                    await call.send_digits("5")
                    await edge.line_heard(agent, "5")
                    last_before = len(call.packets)
                    speaking = call.play(tone(500.0, 0.6))
                    quiet = await call.hears_silence(0.3, within=1.5, since=loop.time() + 0.1)
                    await speaking
            finally:
                moved_on = loop.time()
                os.kill(control, signal.SIGCONT)
            assert moved_on - stalled < STALL
            assert quiet < moved_on, "the agent was cleared while control stood still"
            arrivals = [packet.arrival for packet in call.packets[:last_before] if packet.arrival >= stalled - 0.5]
            gaps = [after - before for before, after in pairwise(arrivals)]
            assert max(gaps) < GAP_LIMIT + lag.worst
            assert len(arrivals) > 40
            call.hangup()
            await call.wait_ended(3)
        record, place = await edge.record()
        judge(record, place, "caller.hangup")
        assert digits(agent) == "5"
        assert agent.events("out").count("clear") == 1

    run(body())
