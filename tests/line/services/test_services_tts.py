"""Sonic's socket as the stand-in serves it, in raw messages and by the plane's own client."""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import AsyncGenerator, Callable
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

from cordboard.agents.sonic import SonicAudio, SonicConnection, SonicDone, SonicError, SonicFlushDone, SonicTimestamps
from cordboard.line.services.tts import MAX_CONTEXTS, TtsService
from cordboard.line.voices.tones import TonesVoice, tone_words
from cordboard.line.voices.voice import Piece, VoiceFailed
from cordboard.media.chain import PCMA_8000, PCMU_8000, decode
from cordboard.media.samples import Samples

from .service_peer import answer, ask, client, serving, until

TARGET = "/tts/websocket?cartesia_version=2026-08-14"
FORMAT = {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 8000}
SPEECH: dict[str, Any] = {"model_id": "sonic-3", "voice": {"mode": "id", "id": "v-1"}, "output_format": FORMAT}


def run(test: Callable[[], Any]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await test()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(bounded())


def audio(messages: list[Any]) -> bytes:
    return b"".join(base64.b64decode(each["data"]) for each in messages if each["type"] == "chunk")


def spoken(*texts: str, rate: int = 8000) -> Samples:
    return np.concatenate([tone_words(text, rate) for text in texts])


def test_a_text_becomes_chunks_and_done() -> None:
    async def test() -> None:
        async with client(TtsService(TonesVoice()).serve, TARGET) as socket:
            await ask(socket, **SPEECH, transcript="Hello there", context_id="c")
            *chunks, done = await until(socket, "done")
            assert done == {"type": "done", "context_id": "c", "status_code": 200, "done": True}
            assert {(each["type"], each["context_id"], each["status_code"], each["done"]) for each in chunks} == {
                ("chunk", "c", 206, False)
            }
            assert all(each["step_time"] >= 0 and "flush_id" not in each for each in chunks)
            assert audio(chunks) == spoken("Hello there").tobytes()
            await ask(socket, **SPEECH, transcript="No id")
            assert len((await until(socket, "done"))[-1]["context_id"]) == 32

    run(test)


def test_pieces_are_joined_verbatim_and_spoken_by_sentences_flushes_and_the_end() -> None:
    async def test() -> None:
        async with client(TtsService(TonesVoice()).serve, TARGET) as socket:
            piece = {**SPEECH, "context_id": "c", "continue": True, "add_timestamps": True}
            await ask(socket, **piece, transcript="For t")
            await ask(socket, **piece, transcript="wo. And")
            first = await until(socket, "chunk")
            assert first[0]["word_timestamps"] == {"words": ["For", "two."], "start": [0.0, 0.25], "end": [0.18, 0.43]}
            await ask(socket, **piece, transcript="", flush=True)
            second = await until(socket, "flush_done")
            assert [each["word_timestamps"]["start"] for each in second if each["type"] == "timestamps"] == [[0.5]]
            assert [each["flush_id"] for each in second if each.get("flush_id")] == [1, 1, 1]
            assert (second[-1]["flush_done"], second[-1]["done"]) == (True, False)
            await ask(socket, **piece, transcript="", flush=True)
            assert (await answer(socket))["flush_id"] == 2
            await ask(socket, **{**piece, "continue": False}, transcript="more")
            third = await until(socket, "done")
            assert audio(first + second + third) == spoken("For two.", "And", "more").tobytes()

    run(test)


def test_text_that_waits_long_enough_is_spoken_and_a_context_that_is_silent_expires(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cordboard.line.services.tts.CONTEXT_SECONDS", 0.05)

    async def test() -> None:
        async with client(TtsService(TonesVoice()).serve, TARGET) as socket:
            await ask(
                socket, **SPEECH, transcript="and so", context_id="c", max_buffer_delay_ms=10, **{"continue": True}
            )
            assert audio(await until(socket, "done")) == spoken("and so").tobytes()

    run(test)


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 24000, 44100, 48000])
@pytest.mark.parametrize("encoding", ["pcm_s16le", "pcm_f32le", "pcm_mulaw", "pcm_alaw"])
def test_every_encoding_at_every_rate(encoding: str, rate: int) -> None:
    async def test() -> None:
        async with client(TtsService(TonesVoice()).serve, TARGET) as socket:
            form = {"container": "raw", "encoding": encoding, "sample_rate": rate}
            await ask(socket, **{**SPEECH, "output_format": form}, transcript="Hi", context_id="c")
            data = audio(await until(socket, "done"))
        match encoding:
            case "pcm_s16le":
                got = np.frombuffer(data, "<i2")
            case "pcm_f32le":
                got = np.rint(np.frombuffer(data, "<f4") * 32768).astype(np.int16)
            case _:
                got = decode(data, PCMU_8000 if encoding == "pcm_mulaw" else PCMA_8000)
        expected = spoken("Hi", rate=rate)
        assert got.size == expected.size
        assert np.abs(got.astype(int) - expected).max() <= (600 if encoding.endswith("law") else 0)

    run(test)


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"model_id": None}, "model_id"),
    ({"transcript": 5}, "transcript"),
    ({"transcript": "x" * 20_001}, "transcript"),
    ({"voice": "v-1"}, "voice"),
    ({"voice": {"mode": "embedding", "embedding": []}}, "voice"),
    ({"voice": {"mode": "id", "id": ""}}, "voice"),
    ({"output_format": None}, "output_format.container"),
    ({"output_format": {**FORMAT, "container": "mp3"}}, "output_format.container"),
    ({"output_format": {**FORMAT, "encoding": "opus"}}, "output_format.encoding"),
    ({"output_format": {**FORMAT, "sample_rate": 11025}}, "output_format.sample_rate"),
    ({"continue": "yes"}, "continue"),
    ({"flush": True}, "flush"),
    ({"max_buffer_delay_ms": 6000}, "max_buffer_delay_ms"),
    ({"language": "en", "locale": "en-GB"}, "locale"),
    ({"language": 5}, "language"),
    ({"generation_config": {"speed": 9}}, "generation_config.speed"),
    ({"generation_config": {"volume": "loud"}}, "generation_config.volume"),
    ({"generation_config": 1}, "generation_config"),
]


@pytest.mark.parametrize("version", ["2024-11-13", "2026-03-01"])
def test_a_request_that_cannot_be_served_is_told_in_the_clients_shape(version: str) -> None:
    async def test() -> None:
        async with client(TtsService(TonesVoice()).serve, f"/tts/websocket?cartesia_version={version}") as socket:
            for fields, name in FAULTS:
                await ask(socket, **{**SPEECH, "transcript": "Hi", "context_id": "c", **fields})
                told = await answer(socket)
                head = {"type": "error", "context_id": "c", "done": True, "status_code": told["status_code"]}
                assert told["status_code"] in (400, 413)
                if version == "2024-11-13":
                    assert told == {**head, "error": told["error"]}
                    assert told["error"].startswith(f"{name}: ")
                else:
                    rest = {key: value for key, value in told.items() if key not in head}
                    assert {*rest} == {"title", "message", "error_code", "doc_url", "request_id"}
                    assert rest["message"].startswith(f"{name}: ")
            for text in ("[]", "{", "5"):
                await socket.send(text)
                assert "context_id" not in await answer(socket)
            await socket.send(b"\x00")
            assert (await answer(socket))["status_code"] == 400
            await ask(socket, **SPEECH, transcript="Hi", **{"continue": True})
            assert "context_id: is needed" in str(await answer(socket))
            await ask(socket, **SPEECH, transcript="Hi", context_id="")
            assert "context_id: must be" in str(await answer(socket))

    run(test)


@pytest.mark.parametrize("voice", ["v-1", {"id": "v-1"}, {"mode": "id", "id": "v-1"}])
def test_the_newest_version_takes_short_voices(voice: object) -> None:
    async def test() -> None:
        async with client(TtsService(TonesVoice()).serve, TARGET) as socket:
            await ask(socket, **{**SPEECH, "voice": voice}, transcript="Hi", context_id="c", unknown_field={"a": 1})
            await until(socket, "done")

    run(test)


class Slow(TonesVoice):
    """Speaks when it is let; records what it was asked for."""

    def __init__(self) -> None:
        self.let = asyncio.Event()
        self.asked: list[str] = []
        self.stopped = 0

    def open(self, rate: int, *, name: str = "", language: str = "", pronunciation: str = "") -> Any:
        self.asked.append(f"{rate} {name} {language}")
        return SlowReading(self, rate)


class SlowReading:
    def __init__(self, voice: Slow, rate: int) -> None:
        self._voice = voice
        self._tones = TonesVoice().open(rate)

    async def speak(self, text: str) -> AsyncGenerator[Piece]:
        if "fail" in text:
            raise VoiceFailed("the voice is hoarse")
        try:
            await self._voice.let.wait()
        except asyncio.CancelledError:
            self._voice.stopped += 1
            raise
        async for piece in self._tones.speak(text):
            yield piece

    async def close(self) -> None:
        """Nothing to do."""


def test_a_cancelled_context_ends_without_a_word_and_others_go_on() -> None:
    async def test() -> None:
        voice = Slow()
        async with client(TtsService(voice).serve, TARGET) as socket:
            await ask(socket, **SPEECH, transcript="A long story.", context_id="a", language="de")
            await ask(socket, **SPEECH, transcript="Short", context_id="b")
            await ask(socket, context_id="a", cancel=True)
            await ask(socket, context_id="a", cancel=True)
            told = await answer(socket)
            assert (told["context_id"], told["message"]) == ("a", "Invalid context ID")
            voice.let.set()
            assert {each["context_id"] for each in await until(socket, "done")} == {"b"}
        assert voice.asked == ["8000 v-1 de", "8000 v-1 "] or voice.asked == ["8000 v-1 "]

    run(test)


def test_a_voice_that_fails_costs_its_context_alone() -> None:
    async def test() -> None:
        voice = Slow()
        voice.let.set()
        async with client(TtsService(voice).serve, TARGET) as socket:
            await ask(socket, **SPEECH, transcript="fail", context_id="a")
            told = await answer(socket)
            assert (told["context_id"], told["status_code"], told["message"]) == ("a", 500, "the voice is hoarse")
            assert told["error_code"] == "generation_failed"
            await ask(socket, **SPEECH, transcript="Hi", context_id="a")
            assert (await until(socket, "done"))[-1]["context_id"] == "a"

    run(test)


def test_a_context_must_not_change_its_voice_nor_go_on_after_its_end() -> None:
    async def test() -> None:
        voice = Slow()
        async with client(TtsService(voice).serve, TARGET) as socket:
            await ask(socket, **SPEECH, transcript="One ", context_id="a", **{"continue": True})
            await ask(socket, **{**SPEECH, "model_id": "sonic-2"}, transcript="two", context_id="a")
            assert "must stay the same" in (await answer(socket))["message"]
            await ask(socket, **SPEECH, transcript="One", context_id="b")
            await ask(socket, **SPEECH, transcript="two", context_id="b")
            assert "finished before" in (await answer(socket))["message"]

    run(test)


def test_contexts_and_waiting_text_are_bounded() -> None:
    async def test() -> None:
        async with client(TtsService(Slow()).serve, TARGET) as socket:
            for number in range(MAX_CONTEXTS + 1):
                await ask(socket, **SPEECH, transcript="Hi", context_id=f"c{number}")
            told = await answer(socket)
            assert (told["context_id"], told["status_code"]) == (f"c{MAX_CONTEXTS}", 429)
            await ask(socket, context_id="c0", cancel=True)
            for _ in range(3):
                await ask(socket, **SPEECH, transcript="x. " * 3000, context_id="long", **{"continue": True})
            told = await answer(socket)
            assert (told["context_id"], told["error_code"]) == ("long", "too_much_text")

    run(test)


def test_a_client_that_leaves_leaves_nothing_and_an_idle_one_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def leaving() -> None:
        voice = Slow()
        async with client(TtsService(voice).serve, TARGET) as socket:
            await ask(socket, **SPEECH, transcript="Hi", context_id="c")
            await ask(socket, context_id="none", cancel=True)
            await answer(socket)
        assert voice.stopped == 1

    async def idle() -> None:
        async with client(TtsService(TonesVoice()).serve, TARGET) as socket:
            with pytest.raises(ConnectionClosed):
                await socket.recv()
            assert (socket.close_code, socket.close_reason) == (1000, "connection idle timeout")

    run(leaving)
    monkeypatch.setattr("cordboard.line.services.tts.IDLE_SECONDS", 0.05)
    run(idle)


async def drive(sonic: SonicConnection, url: str, act: Callable[[SonicConnection, Any, float], bool]) -> list[Any]:
    """Run the plane's client over TCP until `act` is true for an event; return all events."""
    loop, events = asyncio.get_running_loop(), []
    reader, writer = await asyncio.open_connection(urlsplit(url).hostname, urlsplit(url).port)
    sonic.connected(loop.time())
    done = False
    try:
        while not done:
            while (event := sonic.next_event()) is not None:
                events.append(event)
                done |= act(sonic, event, loop.time())
            for data in sonic.data_to_send(loop.time()):
                writer.write(data)
            if not done:
                due = sonic.next_timer()
                try:
                    async with asyncio.timeout_at(due):
                        sonic.receive_data(await reader.read(65536), loop.time())
                except TimeoutError:
                    sonic.on_timer(loop.time())
    finally:
        writer.close()
        await writer.wait_closed()
    return events


def plane_client(url: str, **more: Any) -> SonicConnection:
    now = asyncio.get_running_loop().time()
    settings = {"voice": {"mode": "id", "id": "v-1"}, "language": "en", "add_timestamps": True}
    return SonicConnection(base_url=url, api_key="k", settings=settings, rng=random.Random(1), now=now, **more)


def test_the_planes_client_and_the_stand_in_understand_each_other() -> None:
    async def test() -> None:
        async with serving(TtsService(TonesVoice()).serve) as url:
            sonic = plane_client(url)
            now = asyncio.get_running_loop().time()
            sonic.speak("Hello ", context_id="c", continue_=True, now=now)
            sonic.speak("there. ", context_id="c", continue_=True, now=now)
            sonic.flush("c", now)
            sonic.speak("Bye", context_id="c", now=now)
            cancelled = sonic.speak("never heard", now=now)
            sonic.cancel(cancelled, now)
            _, *events = await drive(sonic, url, lambda _, event, __: isinstance(event, SonicDone))
        payload = b"".join(event.payload for event in events if isinstance(event, SonicAudio))
        assert decode(payload, PCMU_8000).size == spoken("Hello there.", "Bye").size
        words = [word for event in events if isinstance(event, SonicTimestamps) for word in event.words]
        assert [(word.word, word.start) for word in words] == [("Hello", 0.0), ("there.", 0.25), ("Bye", 0.5)]
        assert [event.flush_id for event in events if isinstance(event, SonicFlushDone)] == [1]
        assert events[-1] == SonicDone("c", 0.75)

    run(test)


@pytest.mark.parametrize("version", ["2024-11-13", "2026-08-14"])
def test_the_planes_client_reads_the_stand_ins_errors(version: str) -> None:
    async def test() -> None:
        voice = Slow()
        async with serving(TtsService(voice).serve) as url:
            sonic = plane_client(url, version=version, audio_timeout=0.2)
            sonic.speak("fail", context_id="a", now=asyncio.get_running_loop().time())
            *_, error = await drive(sonic, url, lambda _, event, __: isinstance(event, SonicError))
            assert (error.context_id, error.message, error.status_code) == ("a", "the voice is hoarse", 500)
            silent = plane_client(url, version=version, audio_timeout=0.1)
            silent.speak("Hello", context_id="b", now=asyncio.get_running_loop().time())
            *_, error = await drive(silent, url, lambda _, event, __: isinstance(event, SonicError))
            assert (error.context_id, error.error_code) == ("b", "audio_timeout")

    run(test)
