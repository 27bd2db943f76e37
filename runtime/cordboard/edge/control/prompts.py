"""Makes prompts ready: texts are spoken, files read, URLs fetched, tones drawn, all into µ-law at 8 kHz in one folder.

A sound that was made before is a file named by the hash of what it was made from; one that is being made is made once
for all who want it. What costs time (decoding, changing the rate, the disk) is done by threads, and no sound passes
control. Leaves out formats but WAV, and what a server says of caching: a URL is asked again after five minutes.
"""

import asyncio
import hashlib
import json
import logging
import os
import ssl
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

import httpx

from cordboard.contract.commands import Sound
from cordboard.edge.atomic import private_directory, write_atomic
from cordboard.edge.control.speech import Speech, SpeechFailed
from cordboard.media.chain import PCMU_8000, encode
from cordboard.media.prompt import NoSuchPrompt, load_prompt, prompt_path
from cordboard.media.tone_script import ToneScriptError, render
from cordboard.media.wav import WavError
from cordboard.session.effects import PreparePrompt

MAX_FILE: Final = 10 * 1024 * 1024  # bytes of a sound's file or download (VoxEngine's limit)
FETCH_LIMIT: Final = 5.0  # seconds of a download, redirects included
MAX_REDIRECTS: Final = 3
FRESH: Final = 300.0  # seconds for which a URL's sound is not asked for again
MAX_KNOWN: Final = 1_000  # URLs remembered for that
MAX_CACHE: Final = 256 * 1024 * 1024  # bytes kept: nine hours of µ-law
IN_USE: Final = (
    600.0  # seconds since its last use in which a file is never thrown away: a plane may be about to read it
)

log = logging.getLogger(__name__)


class PromptFailed(Exception):
    """A sound cannot be made ready; the text says why and names no secret."""


class PromptSink(Protocol):
    """Who asked."""

    def prompt_ready(self, request: str, path: str) -> None:
        """It stands in a file."""

    def prompt_failed(self, request: str, reason: str) -> None:
        """It does not."""


class Prompts:
    """All prompts of an edge."""

    def __init__(self, folder: Path, speech: Speech, cache: Path, *, max_cache: int = MAX_CACHE) -> None:
        """`folder`: [media] prompts; `cache`: a folder of its own. Raises OSError."""
        self._folder = folder
        self._speech = speech
        self._cache = private_directory(cache)
        self._max_cache = max_cache
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._making: dict[str, asyncio.Future[Path]] = {}
        """Hash → the file in the making."""
        self._fetched: dict[str, tuple[float, str]] = {}
        """URL → (when, hash) of its last download."""
        self._client: httpx.AsyncClient | None = None

    def prepare(self, effect: PreparePrompt, sink: PromptSink) -> None:
        """Begin; the sink hears of it exactly once, unless `close` comes first."""
        task = self._loop.create_task(self._serve(effect, sink))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Drop what is being made."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        making = tuple(self._making.values())
        for future in making:
            future.cancel()
        await asyncio.gather(*making, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    async def path_of(self, sounds: Sequence[Sound]) -> Path:
        """The file that holds all sounds, one after the other. Raises PromptFailed."""
        parts = [await self._part(sound) for sound in sounds]
        if len(parts) == 1:
            return parts[0]
        name = _hash("join", *(part.stem for part in parts))
        return await self._made(name, lambda: asyncio.to_thread(_joined, parts))

    async def _serve(self, effect: PreparePrompt, sink: PromptSink) -> None:
        try:
            path = await self.path_of(effect.sounds)
        except PromptFailed as error:
            sink.prompt_failed(effect.request, str(error))
        except Exception:  # a mistake of ours must not leave a caller waiting for its limit
            log.exception("a prompt cannot be made ready")
            sink.prompt_failed(effect.request, "the edge failed to make it ready; its log says how")
        else:
            sink.prompt_ready(effect.request, str(path))

    async def _part(self, sound: Sound) -> Path:
        match sound.kind:
            case "text":
                name = _hash("text", *self._speech.identity(sound.voice), sound.content)
                return await self._made(name, lambda: self._speech.speak(sound.content, sound.voice))
            case "tones":
                return await self._made(_hash("tones", sound.content), lambda: asyncio.to_thread(_drawn, sound.content))
            case "url" if sound.content.startswith(("http://", "https://")):
                return await self._remote(sound.content)
            case "url":
                path, name = await asyncio.to_thread(self._local, sound.content)
                return await self._made(name, lambda: asyncio.to_thread(_read, path))

    def _local(self, given: str) -> tuple[Path, str]:
        """The file of a path below the prompts' folder, and the hash that changes with it."""
        try:
            path = prompt_path(self._folder, given)
            facts = path.stat()
        except NoSuchPrompt as error:
            raise PromptFailed(str(error)) from error
        except OSError as error:
            raise PromptFailed(f"{given!r} cannot be read: {error.strerror}") from error
        if facts.st_size > MAX_FILE:
            raise PromptFailed(f"{given!r} has {facts.st_size} bytes, more than {MAX_FILE}")
        return path, _hash("file", str(path), str(facts.st_mtime_ns), str(facts.st_size))

    async def _remote(self, url: str) -> Path:
        try:
            httpx.URL(url)
        except httpx.InvalidURL as error:
            raise PromptFailed(f"what is given is no URL: {error}") from None
        known = self._fetched.get(url)
        if known is not None and self._loop.time() - known[0] < FRESH and self._file(known[1]).exists():
            return await self._made(known[1], _never)
        try:
            async with asyncio.timeout(FETCH_LIMIT):
                body = await self._download(url)
        except TimeoutError:
            raise PromptFailed(f"{_shown(url)} did not answer within {FETCH_LIMIT:g} s") from None
        except httpx.TooManyRedirects:
            raise PromptFailed(f"{_shown(url)} redirects more than {MAX_REDIRECTS} times") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise PromptFailed(f"{_shown(url)} cannot be fetched: {str(error) or type(error).__name__}") from error
        name = _hash("body", hashlib.sha256(body).hexdigest())
        path = await self._made(name, lambda: asyncio.to_thread(_decoded, body, _shown(url)))
        self._fetched.pop(url, None)
        self._fetched[url] = (self._loop.time(), name)
        if len(self._fetched) > MAX_KNOWN:
            del self._fetched[next(iter(self._fetched))]
        return path

    async def _download(self, url: str) -> bytes:
        if self._client is None:
            self._client = httpx.AsyncClient(
                trust_env=False,
                verify=ssl.create_default_context(),
                follow_redirects=True,
                max_redirects=MAX_REDIRECTS,
                timeout=FETCH_LIMIT,
            )
        headers = {"Accept": "audio/wav, audio/*", "Accept-Encoding": "identity"}
        async with self._client.stream("GET", url, headers=headers) as response:
            if response.status_code != 200:
                raise PromptFailed(f"{_shown(url)} answered {response.status_code} {response.reason_phrase}")
            body = bytearray()
            async for piece in response.aiter_raw():  # unpacked, a small answer may be larger than memory
                body += piece
                if len(body) > MAX_FILE:
                    raise PromptFailed(f"{_shown(url)} has more than {MAX_FILE} bytes")
            return bytes(body)

    # --- the cache

    def _file(self, name: str) -> Path:
        return self._cache / f"{name}.ulaw"

    async def _made(self, name: str, make: Callable[[], Awaitable[bytes]]) -> Path:
        """The file of that name, made now unless it is there or in the making. Raises PromptFailed."""
        making = self._making.get(name)
        if making is None:  # entered before anything is waited for: whoever comes meanwhile waits for this one
            making = self._making[name] = self._loop.create_task(self._make(self._file(name), make))
            making.add_done_callback(lambda done: self._forget(name, done))
        return await asyncio.shield(making)

    def _forget(self, name: str, done: "asyncio.Future[Path]") -> None:
        self._making.pop(name, None)
        if not done.cancelled():
            done.exception()  # whoever waited has it; where nobody waits any more it is nobody's

    async def _make(self, path: Path, make: Callable[[], Awaitable[bytes]]) -> Path:
        if await asyncio.to_thread(_used, path):
            return path
        try:
            data = await make()
        except SpeechFailed as error:
            raise PromptFailed(str(error)) from error
        try:
            await asyncio.to_thread(self._keep, path, data)
        except OSError as error:
            raise PromptFailed(f"the sound cannot be kept in {self._cache}: {error.strerror}") from error
        return path

    def _keep(self, path: Path, data: bytes) -> None:
        """Write a file, and throw away what was not used for longest where the cache has grown too large."""
        write_atomic(path, data)
        found = [(each.stat(), each) for each in self._cache.glob("*.ulaw")]
        excess = sum(facts.st_size for facts, _ in found) - self._max_cache
        newest = path.stat().st_mtime
        for facts, each in sorted(found, key=lambda pair: pair[0].st_mtime):
            if excess <= 0 or newest - facts.st_mtime < IN_USE:
                break
            each.unlink(missing_ok=True)
            excess -= facts.st_size


async def _never() -> bytes:
    raise PromptFailed("the sound went missing; play it again")


def _used(path: Path) -> bool:
    """Whether the file is there; its time says that it was used."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True


def _hash(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _joined(parts: Sequence[Path]) -> bytes:
    try:
        return b"".join(part.read_bytes() for part in parts)
    except OSError as error:
        raise PromptFailed(f"a part of the prompt cannot be read: {error.strerror}") from error


def _drawn(script: str) -> bytes:
    try:
        return encode(render(script, PCMU_8000.rate)[0], PCMU_8000)
    except ToneScriptError as error:
        raise PromptFailed(f"ToneScript: {error}") from error


def _read(path: Path) -> bytes:
    try:
        return load_prompt(path, PCMU_8000)
    except WavError as error:
        raise PromptFailed(f"{error}; prompts are WAV files") from error
    except OSError as error:
        raise PromptFailed(f"{path.name} cannot be read: {error.strerror}") from error


def _decoded(body: bytes, shown: str) -> bytes:
    with tempfile.NamedTemporaryFile(prefix="cordboard-prompt-", suffix=".wav") as file:
        file.write(body)
        file.flush()
        try:
            return load_prompt(file.name, PCMU_8000)
        except WavError as error:
            raise PromptFailed(f"{shown} is no WAV file: {error}") from error


def _shown(url: str) -> str:
    """A URL without what may be secret in it: credentials, query and fragment."""
    parts = httpx.URL(url)
    return str(parts.copy_with(username=None, password=None, query=None, fragment=None))
