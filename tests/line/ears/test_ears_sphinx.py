"""Telephone speech through pocketsphinx in its own process, with the front desk's grammar."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cordboard.line.ears import sphinx as sphinx_ears
from cordboard.line.ears import sphinx_worker
from cordboard.line.ears.ear import Ear, EarFault
from cordboard.line.ears.sphinx import SphinxEars
from cordboard.line.ears.sphinx_worker import RATE, Recogniser, prepare, words
from cordboard.line.tables import ScriptError
from cordboard.media.prompt import change_rate
from cordboard.media.samples import Samples

from .speech import SENTENCES, VOICES, spoken

GRAMMAR = Path(__file__).parents[3] / "samples" / "agents" / "front_desk" / "front_desk.jsgf"
LIMIT = 30.0


def run(test: Coroutine[Any, Any, None]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(LIMIT):
            await test
        await asyncio.sleep(0)
        assert not asyncio.all_tasks() - {asyncio.current_task()}

    asyncio.run(limited())


def say(ear: Ear, sound: Samples) -> None:
    """As a call does: some silence, then the utterance in frames."""
    ear.receive_audio(np.zeros(800, np.int16))
    ear.receive_audio(sound[:320])
    ear.start()
    for at in range(320, sound.size, 160):
        ear.receive_audio(sound[at : at + 160])


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    """The model with the front desk's grammar, in this process."""
    return Recogniser(GRAMMAR)


@pytest.mark.parametrize("voice", VOICES)
def test_every_sentence_of_every_voice_is_understood(recogniser: Recogniser, voice: str) -> None:
    assert [recogniser.text(spoken(voice, sentence), 8000) for sentence in SENTENCES] == list(SENTENCES)


def test_without_level_floor_and_silence_fewer_are(recogniser: Recogniser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sphinx_worker, "prepare", lambda samples, rate: change_rate(samples, rate, RATE))
    understood = [
        recogniser.text(spoken(voice, sentence), 8000) == sentence for voice in VOICES for sentence in SENTENCES
    ]
    assert sum(understood) < len(understood) - 4


@pytest.mark.parametrize("rate", [16000, 24000, 44100])
def test_other_rates_of_the_wire_are_understood(recogniser: Recogniser, rate: int) -> None:
    sound = change_rate(spoken("flite-slt", "transfer me please"), 8000, rate)
    assert recogniser.text(sound, rate) == "transfer me please"


@pytest.mark.parametrize("level", [0.02, 1.0])
def test_a_quiet_caller_is_understood_as_a_loud_one(recogniser: Recogniser, level: float) -> None:
    sound = (spoken("espeak-us", "transfer me please") * level).astype(np.int16)
    assert recogniser.text(sound, 8000) == "transfer me please"


@pytest.mark.parametrize(
    "sound",
    [
        np.empty(0, np.int16),
        np.zeros(8000, np.int16),
        np.full(8000, -32768, np.int16),
        np.random.default_rng(5).normal(0, 3000, 8000).astype(np.int16),
        (8000 * np.sin(np.arange(8000) * 0.345)).astype(np.int16),
    ],
    ids=["nothing", "silence", "a constant", "noise", "a tone"],
)
def test_what_is_no_speech_is_no_text(recogniser: Recogniser, sound: Samples) -> None:
    assert recogniser.text(sound, 8000) == ""


def test_half_a_sentence_is_none(recogniser: Recogniser) -> None:
    whole = spoken("flite-slt", "i want to speak to a person")
    assert recogniser.text(whole[: whole.size // 2], 8000) == ""


def test_an_utterance_is_prepared_for_the_model() -> None:
    sound = prepare(np.array([0, 100, -50, 0] * 2000, np.int16), 8000)
    edge = sound[: round(sphinx_worker.SILENCE * RATE)]
    assert sound.size == round((1.0 + 2 * sphinx_worker.SILENCE) * RATE)
    assert 0 < np.abs(edge).max() < 0.05 * 32767
    assert 0.65 * 32767 < np.abs(sound).max() < 0.75 * 32767
    assert (sound == prepare(np.array([0, 100, -50, 0] * 2000, np.int16), 8000)).all()


@pytest.mark.parametrize(
    ("grammar", "found"),
    [
        ("#JSGF V1.0; grammar g; public <a> = yes | no;", ["yes", "no"]),
        ("#JSGF V1.0 UTF-8 en; grammar a.b; import <c.*>; <x> = one;", ["one"]),
        (
            "public <a> = (/3/ yes | /0.5/ no) {tag me} [please]* <b>+; // never\n/* nor this */",
            ["yes", "no", "please"],
        ),
        ('public <a> = "well" yes yes;', ["well", "yes"]),
    ],
)
def test_the_words_of_a_grammar(grammar: str, found: list[str]) -> None:
    assert words(grammar) == found


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b"#JSGF V1.0; grammar g; public <a> = yes | xyzzyx;", "not in the dictionary: xyzzyx"),
        (b"#JSGF V1.0; grammar g; public <a> = yes | (no;", "not JSGF"),
        (b"", "not JSGF"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_a_bad_grammar_is_named(tmp_path: Path, text: bytes, complaint: str) -> None:
    (tmp_path / "bad.jsgf").write_bytes(text)
    with pytest.raises(ScriptError, match=rf"bad\.jsgf: .*{complaint}"):
        SphinxEars(tmp_path / "bad.jsgf")


def test_a_missing_grammar_and_a_missing_program_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ScriptError, match=r"no\.jsgf: No such file"):
        SphinxEars(tmp_path / "no.jsgf")
    monkeypatch.setattr(sphinx_ears, "is_installed", lambda: False)
    with pytest.raises(ScriptError, match=r"pip install"):
        SphinxEars(GRAMMAR)


def test_one_process_serves_all_calls_and_ends_with_the_last() -> None:
    async def test() -> None:
        ears = SphinxEars(GRAMMAR)
        one, two = ears.open(8000), ears.open(8000)
        say(one, spoken("flite-slt", "when is breakfast"))
        say(two, spoken("espeak-us", "goodbye"))
        assert list(await asyncio.gather(one.finish(), two.finish())) == ["when is breakfast", "goodbye"]
        process = ears._process
        assert process is not None
        await one.close()
        assert process.returncode is None
        say(two, spoken("espeak-us", "thank you very much"))
        hearing = asyncio.ensure_future(two.finish())
        say(two, spoken("espeak-gb", "goodbye"))
        assert await hearing == "thank you very much", "what is said while the ear thinks is another utterance"
        assert await two.finish() == "goodbye"
        assert ears._process is process
        await two.close()
        assert process.returncode == 0

    run(test())


def test_a_call_that_ends_at_once_leaves_no_process() -> None:
    async def test() -> None:
        ears = SphinxEars(GRAMMAR)
        await ears.open(8000).close()
        assert ears._process is None

    run(test())


def test_a_process_that_died_is_a_fault_once() -> None:
    async def test() -> None:
        ears = SphinxEars(GRAMMAR)
        ear = ears.open(8000)
        say(ear, spoken("espeak-us", "goodbye"))
        assert await ear.finish() == "goodbye"
        process = ears._process
        assert process is not None
        process.kill()
        say(ear, spoken("espeak-us", "goodbye"))
        with pytest.raises(EarFault, match="process failed"):
            await ear.finish()
        say(ear, spoken("espeak-us", "goodbye"))
        assert await ear.finish() == "goodbye"
        await ear.close()

    run(test())


def test_a_process_that_hangs_is_killed_when_nobody_waits_any_more(tmp_path: Path) -> None:
    program = tmp_path / "hang"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o700)

    async def test() -> None:
        ears = SphinxEars(GRAMMAR)
        real, ears._command = ears._command, (str(program),)
        ear = ears.open(8000)
        ear.start()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await ear.finish()
        assert ears._process is None
        ears._command = real
        say(ear, spoken("espeak-us", "goodbye"))
        assert await ear.finish() == "goodbye"
        await ear.close()

    run(test())


def test_a_process_that_cannot_start_is_a_fault() -> None:
    async def test() -> None:
        ears = SphinxEars(GRAMMAR)
        ears._command = ("/nowhere/at/all",)
        ear = ears.open(8000)
        ear.start()
        with pytest.raises(EarFault, match="does not start"):
            await ear.finish()
        await ear.close()

    run(test())
