"""`phone call` and `phone answer` as processes."""

import asyncio
import json
import random
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cordboard.media.analysis import dominant_tone
from cordboard.media.tones import sine
from cordboard.media.wav import read_wav, write_pcm16
from cordboard.phone.heard import RATE
from cordboard.phone.softphone import Softphone

Run = Callable[[Coroutine[object, object, None]], None]

SOON = 15.0
"""Seconds that a process may take to start and call on a busy machine; none is waited out."""


@asynccontextmanager
async def command(*args: str) -> AsyncIterator[Process]:
    """A running `python -m cordboard.phone …`, ended at the latest with the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-m", "cordboard.phone", *args, stdout=PIPE, stderr=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def outcome(process: Process) -> tuple[int, str, str]:
    out, err = await asyncio.wait_for(process.communicate(), SOON)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def line_with(process: Process, text: str) -> str:
    """The next line on stderr that holds `text`."""
    assert process.stderr is not None
    async with asyncio.timeout(SOON):
        while True:
            line = (await process.stderr.readline()).decode()
            assert line, f"the process ended without saying {text!r}"
            if text in line:
                return line


def bob(auto_answer: float | None = 0) -> Softphone:
    return Softphone(user="bob", auto_answer=auto_answer, rng=random.Random(2))


def test_a_call_plays_presses_records_and_hears_the_expected_tone(run: Run, tmp_path: Path) -> None:
    async def body() -> None:
        # 16 kHz in two channels: the phone changes rate and mixes.
        played = sine(440, 0.4, 16000)
        write_pcm16(tmp_path / "play.wav", played.repeat(2).reshape(-1, 2), 16000)
        record = tmp_path / "heard.wav"
        async with bob(None) as phone:
            wishes = ["--play", str(tmp_path / "play.wav"), "--record", str(record), "--dtmf", "12#"]
            async with command(
                "call", phone.uri, *wishes, "--expect-tone", "880", "--from", "carol", "--json"
            ) as process:
                call = await phone.incoming()
                assert call.invite is not None
                assert call.invite.caller == "carol"
                call.ring()
                call.answer()
                await call.hears_digits("12#", within=SOON)
                await call.hears_tone(440, within=SOON)
                call.play(sine(880, 10, RATE))
                code, out, err = await outcome(process)
            await call.wait_ended(SOON)
            assert (call.ended_by, call.ended_count) == ("them", 1)
        assert code == 0, err
        result = json.loads(out)
        assert result["answered"] is True
        assert result["code"] == 200
        assert result["ended_by"] == "us"
        assert [entry[0] for entry in result["progress"]] == [180, 200]
        assert result["expected_tone"] == {"hz": 880, "heard": True}
        assert abs(result["heard"]["tone"] - 880) < 5
        assert result["recording"] == str(record)
        assert abs(dominant_tone(read_wav(record).mono(), RATE).hz - 880) < 5
        told = err.splitlines()
        assert told[:2] == ["ringing", "answered (PCMU)"]
        assert set(told[2:]) == {"heard 880 Hz", "ended by us"}

    run(body())


def test_a_call_fails_when_the_expected_tone_is_not_heard(run: Run) -> None:
    async def body() -> None:
        async with bob() as phone, command("call", phone.uri, "--tone", "500", "--expect-tone", "880") as process:
            call = await phone.incoming()
            await call.hears_tone(500, within=SOON)
            call.hangup()
            code, out, err = await outcome(process)
            assert code == 1
            assert "no tone of 880 Hz before the end of the call" in err
            assert out.startswith("answered: heard ")
            assert "silence" in out
            assert "ended by them" in out

    run(body())


def test_a_call_lasts_as_long_as_it_is_told(run: Run) -> None:
    async def body() -> None:
        async with bob() as phone, command("call", phone.uri, "--for", "1.3", "--tone", "500") as process:
            call = await phone.incoming()
            await call.wait_ended(SOON)
            assert call.ended_by == "them"
            assert call.rtp_samples_received > 1.2 * RATE
            assert dominant_tone(call.heard()[round(1.05 * RATE) : round(1.2 * RATE)], RATE).share > 0.9
            code, _, err = await outcome(process)
            assert code == 0, err

    run(body())


def test_a_refused_call_exits_1_with_its_code(run: Run) -> None:
    async def body() -> None:
        async with bob(None) as phone, command("call", phone.uri) as process:
            (await phone.incoming()).reject(486)
            code, out, _ = await outcome(process)
            assert code == 1
            assert out.startswith("not answered: 486")

    run(body())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_call_is_hung_up_first(run: Run, number: signal.Signals) -> None:
    async def body() -> None:
        async with bob() as phone, command("call", phone.uri, "--json") as process:
            call = await phone.incoming()
            await line_with(process, "answered")
            process.send_signal(number)
            await call.wait_ended(SOON)
            assert (call.ended_by, call.ended_count) == ("them", 1)
            code, out, _ = await outcome(process)
            assert code == 130
            assert json.loads(out)["ended_by"] == "us"

    run(body())


def test_an_interrupted_wait_for_a_call_ends_at_once(run: Run) -> None:
    async def body() -> None:
        async with command("answer") as process:
            await line_with(process, "waiting for a call")
            process.send_signal(signal.SIGINT)
            assert (await outcome(process))[:2] == (130, "")

    run(body())


def test_answer_rings_answers_and_hears(run: Run) -> None:
    async def body() -> None:
        wishes = ("--ring", "0.1", "--tone", "880", "--expect-tone", "440", "--from", "bob", "--json")
        async with command("answer", *wishes) as process, Softphone(rng=random.Random(1)) as alice:
            call = await alice.call((await line_with(process, "waiting")).split()[-1])
            await call.wait_answered(SOON)
            assert [code for code, _ in call.progress] == [180, 200]
            await call.hears_tone(880, within=SOON)
            call.play(sine(440, 10, RATE))  # it hangs up as soon as it has heard this
            await call.wait_ended(SOON)
            assert (call.ended_by, call.ended_count) == ("them", 1)
            code, out, err = await outcome(process)
            assert code == 0, err
            assert json.loads(out)["expected_tone"]["heard"] is True

    run(body())


def test_answer_exits_1_when_the_caller_gives_up(run: Run) -> None:
    async def body() -> None:
        async with command("answer", "--ring", "30") as process, Softphone(rng=random.Random(1)) as alice:
            call = await alice.call((await line_with(process, "waiting")).split()[-1])
            await call.wait_ringing(SOON)
            call.hangup()
            code, out, _ = await outcome(process)
            assert code == 1
            assert out.startswith("not answered: 487")

    run(body())


USAGE: list[tuple[tuple[str, ...], str]] = [
    ((), "required"),
    (("call",), "URI"),
    (("call", "bob"), "sip:user@host"),
    (("call", "tel:+15550100"), "only sip:"),
    (("call", "sip:bob@127.0.0.1", "--play", "/nowhere.wav"), "--play"),
    (("call", "sip:bob@127.0.0.1", "--dtmf", "12x"), "--dtmf"),
    (("call", "sip:bob@127.0.0.1", "--expect-tone", "9000"), "3999"),
    (("call", "sip:bob@127.0.0.1", "--for", "-1"), "seconds"),
    (("call", "sip:bob@127.0.0.1", "--tone", "440", "--play", "x.wav"), "not allowed with"),
    (("call", "sip:bob@127.0.0.1", "--record", "/nowhere/at/all.wav"), "--record"),
    (("call", "sip:bob@127.0.0.1", "--host", "192.0.2.1"), "--host"),
    (("answer", "--host", "192.0.2.1"), "cannot use 192.0.2.1:0"),
]


def test_usage_errors_exit_2_and_name_the_argument(run: Run) -> None:
    async def check(args: tuple[str, ...], named: str) -> None:
        async with command(*args) as process:
            code, out, err = await outcome(process)
        assert (code, out) == (2, ""), args
        assert named in err, args
        assert "Traceback" not in err

    async def body() -> None:
        for args, named in USAGE:
            await check(args, named)

    run(body())
