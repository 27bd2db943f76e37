"""A caller that breaks rules or asks for what is not built, as bytes: the edge says no by its right name, or copes."""

import random

import pytest

from .conftest import Run
from .edge_stage import EdgeStage, whats
from .raw_caller import RawCaller

pytestmark = pytest.mark.interop

GARBAGE = 1_000
"""Datagrams of noise in one burst."""


@pytest.mark.parametrize(
    ("media", "headers", "code"),
    [
        pytest.param(("m=audio 9 RTP/SAVP 0",), (), 488, id="SRTP only"),
        pytest.param(("m=audio 9 RTP/AVP 18",), (), 488, id="G.729 only"),
        pytest.param(("m=video 9 RTP/AVP 96", "a=rtpmap:96 H264/90000"), (), 488, id="no sound"),
        pytest.param(("m=audio",), (), 400, id="a description that is none"),
        pytest.param((), ("Require: 100rel, unheard-of",), 420, id="an extension that is unknown"),
        pytest.param((), ("Content-Encoding: gzip",), 415, id="a coded body"),
    ],
)
def test_what_cannot_be_taken_is_refused_by_its_name(
    run: Run, edge: EdgeStage, media: tuple[str, ...], headers: tuple[str, ...], code: int
) -> None:
    async def body() -> None:
        await edge.agent("talker")
        async with RawCaller(edge.number, edge.address) as caller:
            caller.send("INVITE", 1, caller.sdp(*media), headers=headers)
            await caller.answered(code)
            caller.send("ACK", 1)
            caller.send("OPTIONS", 2)
            await caller.answered(200, method="OPTIONS")

    run(body())


@pytest.mark.parametrize(
    ("media", "address"),
    [
        pytest.param(("m=audio 9 RTP/AVP 0 101", "a=ptime:30", "a=maxptime:30"), "127.0.0.1", id="ptime 30"),
        pytest.param(("m=audio 9 RTP/AVP 100", "a=rtpmap:100 PCMU/8000"), "127.0.0.1", id="PCMU at payload type 100"),
        pytest.param(("m=audio 9 RTP/AVP 0", "a=crypto:1 X inline:y"), "127.0.0.1", id="crypto beside RTP/AVP"),
        pytest.param(("m=audio 9 RTP/AVP 0",), "0.0.0.0", id="hold from the start, RFC 2543"),
    ],
)
def test_what_is_odd_but_can_be_taken_is_taken(run: Run, edge: EdgeStage, media: tuple[str, ...], address: str) -> None:
    async def body() -> None:
        await edge.agent("talker")
        async with RawCaller(edge.number, edge.address) as caller:
            caller.send("INVITE", 1, caller.sdp(*media, address=address))
            assert "m=audio" in await caller.answered(200)
            caller.send("ACK", 1)
            await edge.line_connected()
            caller.send("BYE", 2)
            await caller.answered(200, method="BYE")
        record, _ = await edge.record()
        assert record.cause == "caller.hangup"

    run(body())


@pytest.mark.parametrize(("method", "code"), [("REFER", 405), ("SUBSCRIBE", 405), ("PUBLISH", 405), ("TELEPORT", 501)])
def test_a_method_that_is_not_built_is_refused_and_the_call_goes_on(
    run: Run, edge: EdgeStage, method: str, code: int
) -> None:
    """RFC 3261 sections 8.2.1 and 21.5.2: 405 with Allow for what is known, 501 for what is not."""

    async def body() -> None:
        await edge.agent("talker")
        async with RawCaller(edge.number, edge.address) as caller:
            caller.send("INVITE", 1, caller.sdp())
            await caller.answered(200)
            caller.send("ACK", 1)
            caller.send(method, 2)
            refused = await caller.answered(code, method=method)
            assert code != 405 or "\r\nAllow: " in refused
            caller.send("OPTIONS", 3)
            await caller.answered(200, method="OPTIONS")
            caller.send("BYE", 4)
            await caller.answered(200, method="BYE")
            assert caller.requests == []
        record, _ = await edge.record()
        assert record.cause == "caller.hangup"

    run(body())


@pytest.mark.parametrize("method", ["BYE", "CANCEL"])
def test_what_belongs_to_no_call_is_told_so(run: Run, edge: EdgeStage, method: str) -> None:
    async def body() -> None:
        async with RawCaller(edge.number, edge.address) as caller:
            caller.send(method, 1)
            await caller.answered(481, method=method)

    run(body())


def test_a_burst_of_noise_costs_nobody_his_call(run: Run, edge: EdgeStage) -> None:
    async def body() -> None:
        await edge.agent("talker")
        rng = random.Random(4475)
        async with RawCaller(edge.number, edge.address) as caller:
            caller.send("INVITE", 1, caller.sdp())
            await caller.answered(200)
            caller.send("ACK", 1)
            await edge.line_connected()
            parts = edge.parts()
            for _ in range(GARBAGE):
                caller.throw(rng.randbytes(rng.randrange(1, 1400)))
            caller.send("BYE", 2)
            await caller.answered(200, method="BYE")
            assert edge.parts() == parts
        record, _ = await edge.record()
        assert record.cause == "caller.hangup"

    run(body())


def test_bare_line_feeds_in_a_description(run: Run, edge: EdgeStage) -> None:
    async def body() -> None:
        await edge.agent("talker")
        async with RawCaller(edge.number, edge.address) as caller:
            caller.send("INVITE", 1, caller.sdp(line_end="\n"))
            assert "m=audio" in await caller.answered(200)
            caller.send("ACK", 1)
            caller.send("BYE", 2)
            await caller.answered(200, method="BYE")
        record, _ = await edge.record()
        assert record.cause == "caller.hangup"

    run(body())


def test_a_repeated_invite_and_a_late_ack_are_one_call(run: Run, edge: EdgeStage) -> None:
    async def body() -> None:
        await edge.agent("talker")
        async with RawCaller(edge.number, edge.address) as caller:
            caller.send("INVITE", 1, caller.sdp())
            caller.send("INVITE", 1, caller.sdp())
            await caller.answered(200, times=3)  # RFC 3261 13.3.1.4: again after 0.5 s and 1 s more, until the ACK
            caller.send("INVITE", 1, caller.sdp())
            caller.send("ACK", 1)
            caller.send("BYE", 2)
            await caller.answered(200, method="BYE")
            assert {each for each in caller.requests if each != "OPTIONS"} == set()
        record, place = await edge.record()
        assert record.cause == "caller.hangup"
        assert len(record.legs) == 1
        assert whats(place, "event").count("call.alerting:caller") == 1
        assert edge.new_calls() == []

    run(body())
