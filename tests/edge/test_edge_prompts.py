"""Prompts in control: files, URLs, tones and texts become sounds in a bounded folder, or a reason that helps."""

import asyncio
import contextlib
import gzip
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cordboard.config.load import load
from cordboard.contract.commands import Sound
from cordboard.edge.control.prompts import MAX_FILE, PromptFailed, Prompts
from cordboard.edge.control.speech import EspeakNg, Sonic, SpeechFailed, speech_of
from cordboard.line.script import parse
from cordboard.line.server import LineServer
from cordboard.line.voices.tones import word_frequency
from cordboard.media.analysis import dominant_tone
from cordboard.media.g711 import ulaw_decode
from cordboard.media.tones import sine
from cordboard.media.wav import form_header, write_pcm16
from cordboard.session.effects import PreparePrompt


class Voice:
    """An engine that counts."""

    def __init__(self) -> None:
        self.spoken: list[str] = []
        self.go = asyncio.Event()
        self.go.set()

    def identity(self, voice: str | None) -> tuple[str, ...]:
        return ("test", voice or "")

    async def speak(self, text: str, voice: str | None) -> bytes:
        await self.go.wait()
        self.spoken.append(text)
        if text == "broken":
            raise SpeechFailed("the voice is hoarse")
        return b"\x10" * 160 * len(text)


Story = Callable[[Prompts, Voice, Path], Awaitable[None]]


def tell(tmp_path: Path, story: Story, **options: Any) -> None:
    async def run() -> None:
        (tmp_path / "prompts").mkdir(exist_ok=True)
        voice = Voice()
        prompts = Prompts(tmp_path / "prompts", voice, tmp_path / "cache", **options)
        try:
            await story(prompts, voice, tmp_path)
        finally:
            await prompts.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:  # a server that a story closed may be about to say goodbye
            assert not (await asyncio.wait(others, timeout=5))[1]

    asyncio.run(run())


def wav(seconds: float = 0.1) -> bytes:
    samples = sine(1000.0, seconds, 16_000)
    return form_header(1, 1, 16_000, 2, samples.nbytes) + samples.tobytes()


@contextlib.asynccontextmanager
async def web(answers: dict[str, bytes]) -> AsyncIterator[tuple[str, list[str]]]:
    """An HTTP server that answers by path; b"" never answers."""
    asked: list[str] = []
    handlers: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handlers.add(task)
        with contextlib.suppress(asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split()[1].decode()
            asked.append(path)
            answer = answers[path.partition("?")[0]]
            if not answer:
                await reader.read()
            writer.write(answer)
            await writer.drain()
        writer.close()
        handlers.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
    finally:
        server.close()
        for task in tuple(handlers):
            task.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)


def ok(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def to(place: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nConnection: close\r\nContent-Length: 0\r\nLocation: {place}\r\n\r\n".encode()


def test_each_kind_becomes_a_private_file_of_mu_law(tmp_path: Path) -> None:
    async def story(prompts: Prompts, voice: Voice, here: Path) -> None:
        write_pcm16(here / "prompts" / "a.wav", sine(1000.0, 0.1, 44_100), 44_100)
        file = await prompts.path_of([Sound("url", "a.wav")])
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        heard = dominant_tone(ulaw_decode(file.read_bytes()), 8000)
        assert heard.hz == pytest.approx(1000, abs=10)
        tones = await prompts.path_of([Sound("tones", "1000@-19;.1(*/0/1)")])
        assert len(tones.read_bytes()) == 800
        text = await prompts.path_of([Sound("text", "hello")])
        both = await prompts.path_of([Sound("text", "hello"), Sound("tones", "1000@-19;.1(*/0/1)")])
        assert both.read_bytes() == text.read_bytes() + tones.read_bytes()
        assert voice.spoken == ["hello"]

    tell(tmp_path, story)


def test_a_file_that_changes_is_another_sound(tmp_path: Path) -> None:
    async def story(prompts: Prompts, voice: Voice, here: Path) -> None:
        path = here / "prompts" / "a.wav"
        found = set()
        for size in (800, 1600):
            write_pcm16(path, np.zeros(size, np.int16), 8000)
            found.add(await prompts.path_of([Sound("url", "prompts/a.wav")]))
        assert sorted(each.stat().st_size for each in found) == [800, 1600]

    tell(tmp_path, story)


def test_a_text_is_spoken_once_for_all_who_want_it_at_the_same_time(tmp_path: Path) -> None:
    async def story(prompts: Prompts, voice: Voice, here: Path) -> None:
        voice.go.clear()
        waiting = [asyncio.ensure_future(prompts.path_of([Sound("text", "hello")])) for _ in range(5)]
        await asyncio.sleep(0)
        waiting.pop().cancel()
        voice.go.set()
        assert len(set(await asyncio.gather(*waiting))) == 1
        assert voice.spoken == ["hello"]

    tell(tmp_path, story)


@pytest.mark.parametrize(
    ("sound", "reason"),
    [
        (Sound("url", "../secret.wav"), "prompts folder"),
        (Sound("url", "nowhere.wav"), "prompts folder"),
        (Sound("url", "text.wav"), "prompts are WAV files"),
        (Sound("url", "huge.wav"), "more than 10485760"),
        (Sound("tones", "x"), "ToneScript"),
        (Sound("text", "broken"), "hoarse"),
        (Sound("url", "http://127.0.0.1:1/a.wav"), "cannot be fetched"),
        (Sound("url", "http://[::1/a.wav"), "is no URL"),
    ],
)
def test_what_cannot_be_made_ready_says_why(tmp_path: Path, sound: Sound, reason: str) -> None:
    async def story(prompts: Prompts, voice: Voice, here: Path) -> None:
        (here / "prompts" / "text.wav").write_text("no sound")
        with (here / "prompts" / "huge.wav").open("wb") as file:
            file.truncate(MAX_FILE + 1)
        with pytest.raises(PromptFailed, match=reason):
            await prompts.path_of([sound])

    tell(tmp_path, story)


def test_a_url_is_fetched_once_in_a_while_and_its_secrets_stay_out_of_reasons(tmp_path: Path) -> None:
    async def story(prompts: Prompts, voice: Voice, here: Path) -> None:
        answers = {"/a.wav": ok(wav()), "/b": to("/a.wav"), "/c": ok(b"no sound"), "/loop": to("/loop")}
        answers["/gone"] = b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        answers["/big"] = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"\0" * (MAX_FILE + 1)
        bomb = gzip.compress(b"\0" * 10 * MAX_FILE)
        answers["/bomb"] = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Encoding: gzip\r\n\r\n" + bomb
        async with web(answers) as (base, asked):
            first = await prompts.path_of([Sound("url", f"{base}/b")])
            assert await prompts.path_of([Sound("url", f"{base}/b")]) == first
            assert await prompts.path_of([Sound("url", f"{base}/a.wav")]) == first
            assert asked == ["/b", "/a.wav", "/a.wav"]
            first.unlink()
            assert (await prompts.path_of([Sound("url", f"{base}/b")])).exists()
            for path, reason in (
                ("/c?token=hidden", "is no WAV file"),
                ("/gone?token=hidden", "answered 404"),
                ("/big?token=hidden", "more than 10485760"),
                ("/bomb", "is no WAV file"),
                ("/loop", "more than 3 times"),
            ):
                with pytest.raises(PromptFailed, match=reason) as failed:
                    await prompts.path_of([Sound("url", f"{base}{path}")])
                assert "hidden" not in str(failed.value)

    tell(tmp_path, story)


def test_a_server_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cordboard.edge.control.prompts.FETCH_LIMIT", 0.2)

    async def story(prompts: Prompts, voice: Voice, here: Path) -> None:
        async with web({"/a": b""}) as (base, _):
            with pytest.raises(PromptFailed, match=r"within 0\.2 s"):
                await prompts.path_of([Sound("url", f"{base}/a")])

    tell(tmp_path, story)


def test_the_cache_is_bounded_and_keeps_what_is_in_use(tmp_path: Path) -> None:
    async def story(prompts: Prompts, voice: Voice, here: Path) -> None:
        old = [await prompts.path_of([Sound("text", text)]) for text in ("a" * 10, "b" * 10)]
        os.utime(old[0], (1, 1))
        fresh = await prompts.path_of([Sound("text", "c" * 10)])
        assert [path.exists() for path in (*old, fresh)] == [False, True, True]
        assert await prompts.path_of([Sound("text", "a" * 10)]) == old[0]
        assert voice.spoken == ["a" * 10, "b" * 10, "c" * 10, "a" * 10]

    tell(tmp_path, story, max_cache=3_000)


def test_the_engine_hears_of_each_request_once(tmp_path: Path) -> None:
    async def story(prompts: Prompts, voice: Voice, here: Path) -> None:
        told: list[tuple[str, str]] = []
        both = asyncio.Event()

        class Sink:
            def prompt_ready(self, request: str, path: str) -> None:
                told.append((request, Path(path).suffix))
                both.set()

            def prompt_failed(self, request: str, reason: str) -> None:
                told.append((request, reason))

        prompts.prepare(PreparePrompt("s#1", (Sound("text", "broken"),)), Sink())
        prompts.prepare(PreparePrompt("s#2", (Sound("text", "a"), Sound("text", "b"))), Sink())
        async with asyncio.timeout(5):
            await both.wait()
        assert told == [("s#1", "the voice is hoarse"), ("s#2", ".ulaw")]
        voice.go.clear()
        prompts.prepare(PreparePrompt("s#3", (Sound("text", "never"),)), Sink())
        await asyncio.sleep(0)

    tell(tmp_path, story)


# --- engines


def program(folder: Path, script: str) -> str:
    path = folder / "speaker"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_espeak_ng_speaks() -> None:
    sound = asyncio.run(EspeakNg("en").speak("Good morning.", "en-gb"))
    assert 4_000 < len(sound) < 24_000
    assert len(sound) % 160 == 0


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exec sleep 60", "longer than 0.3 s"),
        ("echo 'no such voice' >&2; exit 1", "ended with 1: no such voice"),
        ("exit 0", "no sound"),
        ('for last; do :; done; echo garbage > "$last"', "no readable sound"),
    ],
)
def test_an_engine_that_fails_or_hangs_is_named_and_left_nowhere(tmp_path: Path, script: str, reason: str) -> None:
    engine = EspeakNg("en", program(tmp_path, script), limit=0.3 if "sleep" in script else 5.0)
    with pytest.raises(SpeechFailed, match=reason):
        asyncio.run(engine.speak("Hello.", None))


def test_an_engine_that_is_not_installed_says_what_to_do() -> None:
    with pytest.raises(SpeechFailed, match="install it, or set another"):
        asyncio.run(EspeakNg("en", "no-such-program").speak("Hello.", None))


def config(folder: Path, port: int) -> Any:
    path = folder / "cordboard.toml"
    path.write_text(
        f'[speech]\nengine = "sonic"\nvoice = "v-1"\napi_key = {{secret = "K"}}\n'
        f'[agents.cartesia]\nbase_url = "ws://127.0.0.1:{port}"\n'
    )
    return load(path, {}, {})


def test_sonic_speaks_over_its_socket(tmp_path: Path) -> None:
    async def run() -> bytes:
        script = '[speech]\nengine = "tones"\n[agents.a]\ngreeting = "x"\n'
        server = LineServer(parse(script, tmp_path), "127.0.0.1", 0)
        await server.start()
        try:
            engine = speech_of(config(tmp_path, server.port), lambda: "key")
            assert isinstance(engine, Sonic)
            return await engine.speak("nevermore", None)
        finally:
            await server.close()

    sound = asyncio.run(run())
    assert dominant_tone(ulaw_decode(sound[: 160 * 8]), 8000).hz == pytest.approx(word_frequency("nevermore"), abs=10)


def test_sonic_that_is_not_there_or_has_no_key_fails_by_name(tmp_path: Path) -> None:
    def no_key() -> str:
        raise LookupError("no secret 'K'")

    with pytest.raises(SpeechFailed, match="no secret 'K'"):
        asyncio.run(Sonic(config(tmp_path, 1), no_key).speak("x", None))
    with pytest.raises(SpeechFailed, match=r"no connection to 127\.0\.0\.1:1"):
        asyncio.run(Sonic(config(tmp_path, 1), lambda: "key").speak("x", None))
