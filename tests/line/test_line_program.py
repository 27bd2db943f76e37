"""The stand-in as a program, and its tools' HTTP."""

from __future__ import annotations

import argparse
import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cordboard.line.main import add_arguments, main
from cordboard.line.records import CallRecord
from cordboard.line.tool import post_json

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


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--voice", "parrot"], "must be espeak-ng, sonic, piper:FILE or tones"),
        (["--voice", "sonic", "--voice-name", "v-1"], "set CARTESIA_API_KEY"),
        (["--voice", "piper"], "must be espeak-ng, sonic, piper:FILE or tones"),
        (["--voice", "espeak-ng"], "espeak-ng is not installed: install it"),
        (["--voice", "piper:none.onnx"], "piper is not installed: install it"),
        (["--voice", "tones", "--voice-name=-x"], "--voice-name: must be"),
        (["--voice", "tones", "--public-url", "line.example.org"], "--public-url: is not http://host"),
    ],
)
def test_an_option_that_cannot_work_ends_with_2_and_a_remedy(
    options: list[str],
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("CARTESIA_API_KEY", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    script = tmp_path / "s.toml"
    script.write_text('[agents.a]\ngreeting = "Hello"\n')
    assert main(arguments("--script", str(script), "--port", "0", *options)) == 2
    assert complaint in capsys.readouterr().err


def test_a_port_in_use_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import socket

    script = tmp_path / "s.toml"
    script.write_text("[agents.a]\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(arguments("--script", str(script), "--port", str(taken.getsockname()[1]))) == 1
    assert "cannot listen" in capsys.readouterr().err


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
