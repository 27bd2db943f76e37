"""HTTP requests that the engine asks for (access tokens): one task each, every outcome reported once.

Leaves out proxies, as the planes do, redirects (a key must not follow one) and retries, which are the engine's to ask.
"""

import asyncio
import ssl
from typing import Final, Protocol

import httpx

from cordboard.session.effects import Fetch

MAX_AT_ONCE: Final = 100  # connections; further requests wait within their time
LONGEST: Final = 60.0  # seconds between two bytes; each request has a limit of its own, which is shorter


class FetchSink(Protocol):
    """Who asked."""

    def fetched(self, token: str, status: int, body: bytes) -> None:
        """The answer."""

    def fetch_failed(self, token: str, reason: str) -> None:
        """There is none; the reason holds neither header nor address."""


class Fetches:
    """Requests in flight."""

    def __init__(self, sink: FetchSink) -> None:
        self._sink = sink
        self._tasks: set[asyncio.Task[None]] = set()
        self._client: httpx.AsyncClient | None = None

    def fetch(self, effect: Fetch) -> None:
        """Begin one; the sink hears of it exactly once, unless `close` comes first."""
        task = asyncio.get_running_loop().create_task(self._fetch(effect))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Drop what is in flight."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    async def _fetch(self, effect: Fetch) -> None:
        try:
            async with asyncio.timeout(effect.timeout):
                status, body = await self._perform(effect)
        except TimeoutError:
            self._sink.fetch_failed(effect.token, f"no answer within {effect.timeout:g} s")
        except httpx.InvalidURL as error:
            self._sink.fetch_failed(effect.token, f"not an address: {error}")
        except httpx.HTTPError as error:
            self._sink.fetch_failed(effect.token, str(error) or type(error).__name__)
        except _TooLarge:
            self._sink.fetch_failed(effect.token, f"the answer has more than {effect.limit} bytes")
        else:
            self._sink.fetched(effect.token, status, body)

    async def _perform(self, effect: Fetch) -> tuple[int, bytes]:
        if self._client is None:
            limits = httpx.Limits(max_connections=MAX_AT_ONCE)
            self._client = httpx.AsyncClient(
                trust_env=False, verify=ssl.create_default_context(), limits=limits, timeout=LONGEST
            )
        request = self._client.build_request(
            effect.method, effect.url, headers=dict(effect.headers), content=effect.body or None
        )
        response = await self._client.send(request, stream=True)
        try:
            body = bytearray()
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > effect.limit:
                    raise _TooLarge
            return response.status_code, bytes(body)
        finally:
            await response.aclose()


class _TooLarge(Exception):
    """More bytes than the engine allows."""
