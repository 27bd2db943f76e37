"""sipp calls the edge with exact messages: offers of all kinds, holds, digits, a CANCEL, five calls at once."""

import os
import signal
from pathlib import Path

import pytest

from cordboard.media.g711 import ulaw_decode

from .conftest import Run
from .edge_stage import EdgeStage, digits, judge, whats
from .peers import HOST, RATE, longest, stretches
from .sipp import TONE, run_sipp

pytestmark = pytest.mark.interop

HEARD = f"{TONE:.0f}"
"""What the agent hears of sipp."""


@pytest.mark.parametrize(
    ("scenario", "keys", "seconds"),
    [
        pytest.param("late_offer", {}, 2.0, id="offer in the 200, answer in the ACK"),
        pytest.param("big_invite", {"pad": "x" * 3000}, 1.0, id="3 kB over UDP"),
        pytest.param("fax_stream", {}, 1.0, id="T.38 beside the sound"),
    ],
)
def test_the_call_is_taken_and_the_agent_hears_it(
    run: Run, edge: EdgeStage, folder: Path, scenario: str, keys: dict[str, str], seconds: float
) -> None:
    async def body() -> None:
        await edge.agent("talker")
        await run_sipp(folder, scenario, edge.sipp_target, keys=keys)
        record, place = await edge.record()
        judge(record, place, "caller.hangup")
        agent = await edge.line_call()
        assert longest(stretches(ulaw_decode(bytes(agent.audio_in))), HEARD) > seconds
        assert agent.warnings == []
        assert sum(entry.sent for entry in record.ledger if entry.sink.endswith("/caller")) > 0

    run(body())


HOLD = {"hold": "sendonly", "where": HOST}


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param(HOLD, id="sendonly"),
        pytest.param(HOLD | {"hold": "inactive"}, id="inactive"),
        pytest.param(HOLD | {"where": "0.0.0.0"}, id="the older way, RFC 2543"),
    ],
)
def test_a_hold_and_its_end(run: Run, edge: EdgeStage, folder: Path, keys: dict[str, str]) -> None:
    async def body() -> None:
        await edge.agent("talker")
        await run_sipp(folder, "hold", edge.sipp_target, keys=keys)
        record, place = await edge.record()
        judge(record, place, "caller.hangup")
        assert [name for name in whats(place, "event") if "hold" in name] == ["call.hold:caller", "call.unhold:caller"]
        said = stretches(ulaw_decode(bytes((await edge.line_call()).audio_in)))
        assert [each.name for each in said] == [HEARD, "silence", HEARD], said

    run(body())


@pytest.mark.parametrize(("scenario", "keyed"), [("digits_rfc4733", "57#"), ("digits_info", "5#")])
def test_digits_reach_the_agent_once_each(run: Run, edge: EdgeStage, folder: Path, scenario: str, keyed: str) -> None:
    async def body() -> None:
        await edge.agent("talker")
        await run_sipp(folder, scenario, edge.sipp_target)
        record, place = await edge.record()
        judge(record, place, "caller.hangup")
        assert digits(await edge.line_call()) == keyed

    run(body())


def test_a_cancel_while_the_handler_thinks(run: Run, edge: EdgeStage, folder: Path) -> None:
    async def body() -> None:
        workers = edge.workers()
        assert workers
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        try:
            await run_sipp(folder, "cancel", edge.sipp_target)
        finally:
            for pid in workers:
                os.kill(pid, signal.SIGCONT)
        record, place = await edge.record()
        assert record.cause == "caller.cancelled", record
        assert "call.connected:caller" not in whats(place, "event")

    run(body())


def test_an_unknown_number_is_not_found(run: Run, edge: EdgeStage, folder: Path) -> None:
    async def body() -> None:
        await run_sipp(folder, "unknown_number", edge.sipp_target.replace(edge.number, "+18005559999"))

    run(body())


def test_options_is_answered(run: Run, edge: EdgeStage, folder: Path) -> None:
    async def body() -> None:
        await run_sipp(folder, "options", edge.sipp_target)

    run(body())


def test_five_calls_at_once(run: Run, edge: EdgeStage, folder: Path) -> None:
    async def body() -> None:
        await edge.agent("talker")
        await run_sipp(folder, "hold", edge.sipp_target, keys=HOLD, calls=5)
        sessions = set()
        for _ in range(5):
            record, place = await edge.record()
            judge(record, place, "caller.hangup")
            sessions.add(record.session)
            ways = {(entry.source, entry.sink): entry.sent for entry in record.ledger}
            caller, agent = f"{record.session}/caller", f"{record.session}/agent"
            assert min(ways[caller, agent], ways[agent, caller]) > 2 * RATE, "each was heard and heard the agent"
        assert len(sessions) == 5
        assert edge.new_calls() == []

    run(body())
