"""The services' sockets at the stand-in's port, beside its agents."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from cordboard.line.script import parse
from cordboard.line.server import LineServer
from cordboard.line.voices.sonic import SonicVoice
from cordboard.line.voices.voice import speak

from .service_peer import answer, until

KEY = {"X-API-Key": "sk-1"}
TTS = "/tts/websocket?cartesia_version=2026-08-14"
STT = "model=ink-2&encoding=pcm_s16le&sample_rate=8000"


async def server() -> LineServer:
    made = LineServer(parse('[speech]\nengine = "tones"\n[agents.a]\n', Path()), port=0)
    await made.start()
    return made


def test_speech_is_made_at_the_stand_ins_port() -> None:
    async def test() -> None:
        line = await server()
        url = f"ws://127.0.0.1:{line.port}"
        try:
            async with connect(url + TTS, additional_headers=KEY, proxy=None) as socket:
                speech = {"model_id": "sonic-3", "voice": "v-1", "transcript": "Hi", "context_id": "c"}
                form = {"container": "raw", "encoding": "pcm_mulaw", "sample_rate": 8000}
                await socket.send(json.dumps({**speech, "output_format": form}))
                assert (await until(socket, "done"))[-1]["context_id"] == "c"
            voice = SonicVoice("sk-1", "v-1", base_url=url)
            words = [word.word async for piece in speak(voice.open(16000), "Hello there.") for word in piece.words]
            assert words == ["Hello", "there."]
            await voice.close()
            for path in ("/stt/websocket", "/stt/turns/websocket"):
                target = f"{url}{path}?{STT}&cartesia_version=2026-08-14"
                async with connect(target, additional_headers=KEY, proxy=None) as socket:
                    assert "--ear" in (await answer(socket))["message"]
        finally:
            await line.close()

    asyncio.run(test())


@pytest.mark.parametrize("path", ["/tts/websocket", "/stt/websocket", "/stt/turns/websocket"])
def test_without_key_or_version_the_handshake_is_refused(path: str) -> None:
    async def test() -> None:
        line = await server()
        try:
            for headers, status in (({}, 401), (KEY, 400)):
                with pytest.raises(InvalidStatus) as caught:
                    await connect(f"ws://127.0.0.1:{line.port}{path}", additional_headers=headers, proxy=None)
                assert caught.value.response.status_code == status
        finally:
            await line.close()

    asyncio.run(test())
