"""The voices that are programs, and the tones; failing programs of every kind."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
import time
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest

from cordboard.line.script import parse
from cordboard.line.speech import Spoken, Studio
from cordboard.line.steps import Text, Tone
from cordboard.line.voices.choice import choose
from cordboard.line.voices.espeak import EspeakVoice
from cordboard.line.voices.piper import PiperVoice
from cordboard.line.voices.sonic import SonicVoice
from cordboard.line.voices.tones import TonesVoice, tone_words, word_frequency
from cordboard.line.voices.voice import Piece, Voice, VoiceFailed, VoiceUnavailable, speak
from cordboard.media.analysis import dominant_tone
from cordboard.media.chain import PCMU_8000, decode
from cordboard.media.samples import level_dbfs
from cordboard.media.tones import sine
from cordboard.media.wav import write_pcm16

Install = Callable[[str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a program of a name on the path, before all others."""

    def put(name: str, body: str) -> None:
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return put


async def read(voice: Voice, *texts: str, rate: int = 8000) -> list[Piece]:
    """What a started voice makes of a reply."""
    await voice.start()
    reading = voice.open(rate)
    try:
        return [piece for text in texts async for piece in speak(reading, text)]
    finally:
        await reading.close()
        await voice.close()


def test_each_word_is_its_own_tone_at_its_time() -> None:
    first, second = asyncio.run(read(TonesVoice(), "Hello, world", "Again"))
    assert [(word.word, word.start) for word in first.words] == [("Hello,", 0.0), ("world", 0.25)]
    for word in first.words:
        hz, _ = dominant_tone(first.samples[round(word.start * 8000) : round(word.end * 8000)], 8000)
        assert abs(hz - word_frequency(word.word)) < 8
    assert word_frequency("Hello,") == word_frequency("hello") != word_frequency("world")
    assert [word.start for word in second.words] == [0.0]


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 44100])
def test_espeak_speaks_at_every_rate(rate: int) -> None:
    text = "Good morning, this is the front desk."
    (piece,) = asyncio.run(read(EspeakVoice(), text, rate=rate))
    assert 1.5 < piece.samples.size / rate < 4.0
    assert level_dbfs(piece.samples) > -30
    assert " ".join(word.word for word in piece.words) == text
    assert 0.0 <= piece.words[0].start < 0.2
    assert piece.words[-1].end < piece.samples.size / rate


def test_text_goes_to_the_program_by_stdin(tmp_path: Path, install: Install) -> None:
    install("espeak-ng", f'cat > "{tmp_path}/text"; echo "$@" > "{tmp_path}/words"; echo "no such voice" >&2; exit 3')
    with pytest.raises(VoiceFailed, match="ended with 3: no such voice"):
        asyncio.run(collect(EspeakVoice("en", 120), "Hello there"))
    assert (tmp_path / "text").read_text() == "Hello there"
    assert (tmp_path / "words").read_text() == "--stdin --stdout -b 1 -v en -s 120\n"


async def collect(voice: Voice, text: str) -> list[Piece]:
    """As `read`, for a voice that is not asked whether it works."""
    return [piece async for piece in speak(voice.open(8000), text)]


FAILING = [
    ("exit 0", "no audio was made"),
    ("echo this is no sound", "RIFF"),
    ("kill -9 $$", "ended with -9"),
    ("exec cat /dev/zero", "said more than 33554432 bytes"),
]


@pytest.mark.parametrize(("body", "complaint"), FAILING)
def test_a_program_that_fails_is_told(body: str, complaint: str, install: Install) -> None:
    install("espeak-ng", body)
    with pytest.raises(VoiceFailed, match=complaint):
        asyncio.run(collect(EspeakVoice(), "Hello"))


def test_a_program_that_cannot_be_run_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(VoiceFailed, match="espeak-ng: No such file"):
        asyncio.run(collect(EspeakVoice(), "Hello"))


def test_empty_speech_is_a_failure(tmp_path: Path, install: Install) -> None:
    write_pcm16(tmp_path / "empty.wav", np.zeros(0, np.int16), 22050)
    install("espeak-ng", f'cat > /dev/null; cat "{tmp_path}/empty.wav"')
    with pytest.raises(VoiceFailed, match="no audio was made"):
        asyncio.run(collect(EspeakVoice(), "Hello"))


def gone(pid_file: Path) -> bool:
    try:
        os.kill(int(pid_file.read_text()), 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("body", ["exec sleep 60", "sleep 60 & wait", "setsid sleep 3 & wait"])
def test_a_program_that_hangs_is_killed(
    body: str, tmp_path: Path, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("espeak-ng", f'echo $$ > "{tmp_path}/pid"; {body}')
    monkeypatch.setattr("cordboard.line.voices.voice.SPEECH_TIMEOUT", 0.5)
    with pytest.raises(VoiceFailed, match=r"no speech within 0\.5 s"):
        asyncio.run(collect(EspeakVoice(), "Hello"))
    assert gone(tmp_path / "pid")


def test_a_reading_that_is_dropped_leaves_no_process(tmp_path: Path, install: Install) -> None:
    fifo = tmp_path / "pid"
    os.mkfifo(fifo)
    install("espeak-ng", f'echo $$ > "{fifo}"; exec sleep 60')

    async def test() -> int:
        async with aclosing(speak(EspeakVoice().open(8000), "Hello")) as pieces:
            speaking = asyncio.ensure_future(anext(pieces))
            pid = int(await asyncio.to_thread(fifo.read_text))
            speaking.cancel()
            await asyncio.wait({speaking})
        return pid

    pid = asyncio.run(test())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


PIPER = """#!{python}
import sys, numpy as np
assert sys.argv[1:] == ["--model", {model!r}, "--output-raw"], sys.argv
text = sys.stdin.read()
assert text == "Hello there\\n", text
sys.stdout.buffer.write((8000 * np.sin(np.arange(16000) * 2 * np.pi * 500 / 16000)).astype("<i2").tobytes())
"""


def test_piper_gives_raw_samples_at_the_voices_rate(tmp_path: Path, install: Install) -> None:
    model = tmp_path / "voice.onnx"
    model.write_bytes(b"")
    (tmp_path / "voice.onnx.json").write_text('{"audio": {"sample_rate": 16000}}')
    install("piper", "")
    (tmp_path / "piper").write_text(PIPER.format(python=sys.executable, model=str(model)))
    (piece,) = asyncio.run(read(PiperVoice(model), "Hello\nthere"))
    assert piece.samples.size == 8000
    assert abs(dominant_tone(piece.samples, 8000)[0] - 500) < 3
    assert [word.word for word in piece.words] == ["Hello", "there"]


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        (None, "voice.onnx.json: No such file"),
        ("{", "no audio.sample_rate"),
        ("[]", "no audio.sample_rate"),
        ('{"audio": {"sample_rate": "fast"}}', "'fast' is not a rate"),
        ('{"audio": {"sample_rate": 1}}', "1 is not a rate"),
    ],
)
def test_piper_without_its_files_names_them(
    config: str | None, complaint: str, tmp_path: Path, install: Install
) -> None:
    install("piper", "exit 1")
    model = tmp_path / "voice.onnx"
    with pytest.raises(VoiceUnavailable, match=r"there is no voice file .*voice\.onnx"):
        asyncio.run(PiperVoice(model).start())
    model.write_bytes(b"")
    if config is not None:
        (tmp_path / "voice.onnx.json").write_text(config)
    with pytest.raises(VoiceUnavailable, match=complaint):
        asyncio.run(PiperVoice(model).start())


def script(engine: str) -> str:
    return f'[speech]\nengine = "{engine}"\n[agents.a]\ngreeting = "Hello there"\n'


def studio(engine: str = "tones", voice: Voice | None = None) -> Studio:
    return Studio(parse(script(engine), Path()), voice)


def test_who_asks_for_nothing_gets_tones_where_espeak_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made = parse(script("auto"), Path())
    assert isinstance(choose(made), EspeakVoice)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert isinstance(choose(made), TonesVoice)
    assert "espeak-ng is not installed, text becomes tones" in caplog.text
    asked = choose(parse(script("espeak-ng"), Path()))
    with pytest.raises(VoiceUnavailable, match="espeak-ng is not installed: install it"):
        asyncio.run(asked.start())


@pytest.mark.parametrize(
    ("asked", "kind"),
    [("espeak-ng", EspeakVoice), ("tones", TonesVoice), ("sonic", SonicVoice), ("piper:x.onnx", PiperVoice)],
)
def test_the_command_line_is_before_the_script(asked: str, kind: type) -> None:
    assert isinstance(choose(parse(script("tones"), Path()), asked, "v-1"), kind)


@pytest.mark.parametrize("asked", ["auto:x", "parrot", "piper", "piper:", "tones:x", "espeak-ng:x", ":x"])
def test_a_voice_that_there_is_not_is_named(asked: str) -> None:
    with pytest.raises(VoiceUnavailable, match="must be espeak-ng, sonic, piper:FILE or tones"):
        choose(parse(script("tones"), Path()), asked)


@pytest.mark.parametrize(
    ("key", "name", "url", "complaint"),
    [
        ("", "v", "wss://h", "set CARTESIA_API_KEY"),
        ("k", "", "wss://h", "--voice-name"),
        ("k", "v", "https://h", "its address"),
        ("k", "v", "wss://h?x=1", "its address"),
    ],
)
def test_sonic_without_what_it_needs_says_so(key: str, name: str, url: str, complaint: str) -> None:
    with pytest.raises(VoiceUnavailable, match=complaint):
        asyncio.run(SonicVoice(key, name, base_url=url).start())


def test_sounds_are_made_before_they_are_needed() -> None:
    async def test() -> None:
        made = studio()
        await made.prepare()
        first = await made.audio(Text("Hello there"), "mulaw_8000")
        assert await made.audio(Text("Hello there"), "mulaw_8000") is first
        assert (await made.audio(Tone(500, 0.1), "pcm_16000")).words == ()
        assert len((await made.audio(Tone(500, 0.1), "pcm_16000")).audio) == 3200
        await made.close()

    asyncio.run(test())


def test_a_sound_in_a_wires_format_is_what_the_voice_said() -> None:
    spoken = asyncio.run(studio().audio(Text("Hello there"), "mulaw_8000"))
    assert isinstance(spoken, Spoken)
    assert len(spoken.audio) == tone_words("Hello there", 8000).size
    assert abs(dominant_tone(decode(spoken.audio[:1440], PCMU_8000), 8000)[0] - word_frequency("hello")) < 8
    assert [word.word for word in spoken.words] == ["Hello", "there"]


def test_what_fails_beforehand_is_tried_again_when_it_is_needed(
    tmp_path: Path, install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    write_pcm16(tmp_path / "made.wav", sine(500, 1.0, 22050), 22050)
    install("espeak-ng", f'cat > "{tmp_path}/text"; grep -q Hello "{tmp_path}/text" && exit 1; exit 0')

    async def test() -> Spoken:
        made = studio("espeak-ng")
        await made.prepare()
        assert "speech: the program ended with 1" in caplog.text
        install("espeak-ng", f'cat > /dev/null; cat "{tmp_path}/made.wav"')
        return await made.audio(Text("Hello there"), "mulaw_8000")

    audio = asyncio.run(test()).audio
    assert abs(dominant_tone(decode(audio, PCMU_8000), 8000)[0] - 500) < 3


def test_a_sentence_is_made_in_well_under_the_time_it_takes_to_say() -> None:
    began = time.monotonic()
    (piece,) = asyncio.run(read(EspeakVoice(), "I can put you through to a colleague, if you would like me to."))
    assert time.monotonic() - began < piece.samples.size / 8000
