"""Who speaks the texts of `say`, `create_tts_player` and prompts: espeak-ng as a process, or Sonic over its socket.

Follows reference cartesia-protocols §5.1 for Sonic (`agents.sonic`). Leaves out engines inside this process: espeak-ng
is under the GPL and stays a program of its own.
"""

import asyncio
import contextlib
import random
import shutil
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from cordboard.agents.events import Closed, HttpResponse
from cordboard.agents.sonic import SonicAudio, SonicConnection, SonicDone, SonicError
from cordboard.agents.websocket import BadAddress
from cordboard.config.model import Config
from cordboard.media.chain import PCMU_8000
from cordboard.media.prompt import load_prompt
from cordboard.media.wav import WavError

SPEAK_LIMIT: Final = 8.0  # seconds for one text; espeak-ng takes 50 ms for a sentence, Sonic half a second
AT_ONCE: Final = 2  # processes of espeak-ng at a time: calls must keep the cores; others wait within their limit
READ: Final = 65_536  # bytes of one read
MAX_SPEECH: Final = 4_800_000  # octets of µ-law: ten minutes, as for any prompt


class SpeechFailed(Exception):
    """Nothing was spoken; the text says why and what to do, and holds no secret."""


class Speech(Protocol):
    """Speaks."""

    def identity(self, voice: str | None) -> tuple[str, ...]:
        """What, beside the text, decides how it sounds: texts are kept by it."""

    async def speak(self, text: str, voice: str | None) -> bytes:
        """µ-law at 8 kHz. Raises SpeechFailed."""


def speech_of(config: Config, reveal_key: Callable[[], str]) -> Speech:
    """The engine of [speech]; `reveal_key` gives Sonic's key at the moment of use, or raises what has a text."""
    if config.speech.engine == "sonic":
        return Sonic(config, reveal_key)
    return EspeakNg(config.speech.voice)


class EspeakNg:
    """The program espeak-ng."""

    def __init__(self, voice: str, program: str = "espeak-ng", limit: float = SPEAK_LIMIT) -> None:
        self._voice = voice
        self._program = program
        self._limit = limit
        self._free = asyncio.Semaphore(AT_ONCE)

    def identity(self, voice: str | None) -> tuple[str, ...]:
        """See Speech."""
        return ("espeak-ng", voice or self._voice)

    async def speak(self, text: str, voice: str | None) -> bytes:
        """See Speech."""
        program = shutil.which(self._program)
        if program is None:
            raise SpeechFailed(f"{self._program} is not installed; install it, or set another [speech] engine")
        try:
            async with asyncio.timeout(self._limit), self._free:
                return await self._run(program, text, voice or self._voice)
        except TimeoutError:
            raise SpeechFailed(f"{self._program} took longer than {self._limit:g} s") from None

    async def _run(self, program: str, text: str, voice: str) -> bytes:
        with tempfile.TemporaryDirectory(prefix="cordboard-speech-") as folder:
            path = Path(folder) / "speech.wav"
            process = await asyncio.create_subprocess_exec(
                *(program, "--stdin", "-b", "1", "-v", voice, "-w", str(path)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
            try:
                _, complaint = await process.communicate(text.encode())
            finally:
                if process.returncode is None:
                    with contextlib.suppress(ProcessLookupError):
                        process.kill()
                    await process.wait()
            if process.returncode != 0 or not path.exists():
                said = complaint.decode("utf-8", "replace").strip()[:200]
                raise SpeechFailed(f"{self._program} ended with {process.returncode}: {said or 'no sound'}")
            try:
                return await asyncio.to_thread(load_prompt, path, PCMU_8000)
            except (WavError, OSError) as error:
                raise SpeechFailed(f"{self._program} made no readable sound: {error}") from error


class Sonic:
    """Cartesia's Sonic: a socket per text, µ-law as it comes."""

    def __init__(self, config: Config, reveal_key: Callable[[], str], limit: float = SPEAK_LIMIT) -> None:
        self._speech = config.speech
        self._base_url = config.agents.cartesia.base_url
        self._reveal_key = reveal_key
        self._limit = limit

    def identity(self, voice: str | None) -> tuple[str, ...]:
        """See Speech."""
        return ("sonic", self._base_url, self._speech.model, self._speech.language, voice or self._speech.voice)

    async def speak(self, text: str, voice: str | None) -> bytes:
        """See Speech."""
        settings: dict[str, object] = {"model_id": self._speech.model, "max_buffer_delay_ms": 0}
        settings["voice"] = {"mode": "id", "id": voice or self._speech.voice}
        if self._speech.language:
            settings["language"] = self._speech.language
        now = asyncio.get_running_loop().time
        try:
            line = SonicConnection(
                base_url=self._base_url,
                api_key=self._reveal_key(),
                settings=settings,
                rng=random.SystemRandom(),
                now=now(),
                connect_timeout=self._limit,
            )
            line.speak(text, now=now())
        except (BadAddress, ValueError, LookupError) as error:
            raise SpeechFailed(f"Sonic: {error}") from error
        try:
            async with asyncio.timeout(self._limit):
                return await self._talk(line, now)
        except TimeoutError:
            raise SpeechFailed(f"Sonic took longer than {self._limit:g} s") from None
        except OSError as error:
            raise SpeechFailed(f"no connection to {line.host}:{line.port}: {error}") from error

    async def _talk(self, line: SonicConnection, now: Callable[[], float]) -> bytes:
        context = ssl.create_default_context() if line.secure else None
        reader, writer = await asyncio.open_connection(line.host, line.port, ssl=context)
        heard = bytearray()
        try:
            line.connected(now())
            while True:
                for data in line.data_to_send(now()):
                    writer.write(data)
                await writer.drain()
                while (event := line.next_event()) is not None:
                    match event:
                        case SonicAudio():
                            heard += event.payload
                        case SonicDone() if heard:
                            return bytes(heard)
                        case SonicDone():
                            raise SpeechFailed("Sonic made no sound of the text")
                        case SonicError() | HttpResponse() | Closed():
                            raise SpeechFailed(f"Sonic: {_complaint(event)}")
                        case _:
                            pass
                if len(heard) > MAX_SPEECH:
                    raise SpeechFailed("Sonic made more than ten minutes of one text")
                data = await reader.read(READ)
                if data:
                    line.receive_data(data, now())
                else:
                    line.receive_eof(now())
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def _complaint(event: SonicError | HttpResponse | Closed) -> str:
    match event:
        case SonicError():
            return event.message
        case HttpResponse():
            return f"HTTP {event.status}"
        case Closed():
            return f"the socket closed: {event.code} {event.reason}".rstrip()
