"""The stand-in as a program, its speech, and its tools' HTTP."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cordboard.line.main import add_arguments, main
from cordboard.line.records import CallRecord
from cordboard.line.script import parse
from cordboard.line.speech import Studio, tone_words, word_frequency
from cordboard.line.steps import Text, Tone
from cordboard.line.tool import post_json
from cordboard.media.analysis import dominant_tone
from cordboard.media.chain import PCMU_8000, decode

PROGRAM = """
import argparse, sys
from cordboard.line.main import add_arguments, main
parser = argparse.ArgumentParser()
add_arguments(parser)
sys.exit(main(parser.parse_args()))
"""


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_program_listens_and_ends_by_a_signal(tmp_path: Path, number: int) -> None:
    script = tmp_path / "s.toml"
    script.write_text('[speech]\nengine = "tones"\n[agents.a]\ngreeting = "Hello"\n')
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "--script", str(script), "--port", "0"], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        try:
            assert "listening on ws://127.0.0.1:" in process.stderr.readline()
            process.send_signal(number)
            assert process.wait(10) == 0
            assert "stopping" in process.stderr.read()
        finally:
            process.kill()


def test_a_bad_script_ends_with_2_and_names_the_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "s.toml"
    script.write_text("[agents.a]\nloud = 1\n")
    assert main(arguments("--script", str(script))) == 2
    assert "agents.a.loud: unknown key" in capsys.readouterr().err
    (tmp_path / "x.wav").write_bytes(b"no sound")
    script.write_text('[agents.a]\ngreeting = {wav = "x.wav"}\n')
    assert main(arguments("--script", str(script))) == 2
    assert "x.wav" in capsys.readouterr().err


def test_a_port_in_use_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import socket

    script = tmp_path / "s.toml"
    script.write_text("[agents.a]\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(arguments("--script", str(script), "--port", str(taken.getsockname()[1]))) == 1
    assert "cannot listen" in capsys.readouterr().err


def test_each_word_is_its_own_tone() -> None:
    sound = tone_words("Hello, world", 8000)
    assert len(sound) == 4000
    for at, word in enumerate(("hello", "world")):
        hz, _ = dominant_tone(sound[at * 2000 : at * 2000 + 1440], 8000)
        assert abs(hz - word_frequency(word)) < 8
    assert word_frequency("Hello,") == word_frequency("hello") != word_frequency("world")


def studio(engine: str) -> Studio:
    return Studio(parse(f'[speech]\nengine = "{engine}"\n[agents.a]\ngreeting = "Hello there"\n', Path()))


def fake_speaker(folder: Path, body: str) -> None:
    program = folder / "espeak-ng"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def test_text_goes_to_the_speaking_program_by_stdin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_speaker(tmp_path, f'cat > "{tmp_path}/text"; echo "$@" > "{tmp_path}/words"; exit 1')
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    audio = asyncio.run(studio("espeak-ng").audio(Text("Hello there"), "mulaw_8000"))
    assert len(audio) == 4000  # it failed, so two tones stand in
    assert (tmp_path / "text").read_text() == "Hello there"
    assert "Hello" not in (tmp_path / "words").read_text()


def test_a_speaking_program_that_hangs_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_speaker(tmp_path, f'echo $$ > "{tmp_path}/pid"; exec sleep 60')
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr("cordboard.line.speech.SPEAK_TIMEOUT", 0.5)
    assert len(asyncio.run(studio("auto").audio(Text("Hello there"), "pcm_16000"))) == 16000
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_what_the_program_wrote_becomes_audio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cordboard.media.tones import sine
    from cordboard.media.wav import write_pcm16

    write_pcm16(tmp_path / "made.wav", sine(500, 1.0, 22050), 22050)
    fake_speaker(tmp_path, f'for last; do :; done; cp "{tmp_path}/made.wav" "$last"')
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    audio = asyncio.run(studio("auto").audio(Text("x"), "mulaw_8000"))
    assert len(audio) == 8000
    assert abs(dominant_tone(decode(audio, PCMU_8000), 8000)[0] - 500) < 3


def test_sounds_are_made_before_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        made = studio("tones")
        await made.prepare()
        first = await made.audio(Text("Hello there"), "mulaw_8000")
        assert await made.audio(Text("Hello there"), "mulaw_8000") is first
        assert len(await made.audio(Tone(500, 0.1), "pcm_16000")) == 3200

    asyncio.run(test())


@pytest.mark.parametrize(
    "url", ["ftp://x/", "http://", "http://[::1", "http://h:99999/", "http://h/a b", "http://h/\r\nX: y", "http://h/ü"]
)
def test_odd_urls_are_results_not_exceptions(url: str) -> None:
    result = asyncio.run(post_json(url, {}))
    assert result.status == 0
    assert "URL" in result.error


@pytest.mark.parametrize(
    ("answer", "status", "error"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
        (b"SSH-2.0\r\n", 0, "the answer is not HTTP"),
        (b"", 0, "the answer is not HTTP"),
        (None, 0, "no answer within 0.2 s"),
    ],
)
def test_answers_of_every_kind(answer: bytes | None, status: int, error: str) -> None:
    async def test() -> None:
        done = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n{}")
            if answer is None:
                await done.wait()
            else:
                writer.write(answer)
            writer.close()
            await writer.wait_closed()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            result = await post_json(f"http://127.0.0.1:{port}/secret", {}, timeout=0.2 if answer is None else 5.0)
            done.set()
        assert (result.status, result.error) == (status, error)

    asyncio.run(test())


def test_records_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cordboard.line.records.MAX_AUDIO", 300)

    async def test() -> None:
        record = CallRecord(1, "a")
        for _ in range(3):
            record.hear(bytes(160))
            record.warn("same")
        for number in range(200):
            record.warn(f"other {number}")
        assert (len(record.audio_in), record.audio_in_bytes, len(record.warnings)) == (300, 480, 100)

    asyncio.run(test())
