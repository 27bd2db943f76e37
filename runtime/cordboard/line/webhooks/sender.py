"""Delivers webhooks: POST with `x-webhook-secret`, at least once, in the order of each call, from the outbox.

Cartesia documents neither time-out nor retries (reference cartesia-protocols §4.7); ours are the constants below. Any
answer but 2xx is a failed attempt; a 4xx that time does not mend ends the event, and the call's next one follows.
Leaves out signatures (the service has none) and redirects.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import httpx

from cordboard.line.webhooks import envelope
from cordboard.line.webhooks.bounds import TRUNCATED, bounded
from cordboard.line.webhooks.outbox import Outbox, OutboxFull, Waiting

TIMEOUT: Final = 5.0
"""Seconds for a receiver to answer (§4.7, what an emulator shall take)."""

MAX_AT_ONCE: Final = 8
"""Deliveries at once, each of another call: a receiver under test is one small program."""

SECRET_HEADER: Final = "x-webhook-secret"  # noqa: S105 (a name)
"""Header that carries the secret, in clear (§4.7)."""

PASSING: Final = frozenset({401, 404, 408, 409, 425, 429})
"""4xx that a receiver being set up, started or overloaded answers, tried again; any other refuses the event itself."""

log = logging.getLogger("cordboard.line.webhooks")


class _Problem(NamedTuple):
    """Why a delivery was not taken."""

    text: str
    """What went wrong."""
    final: bool = False
    """The receiver refuses the event: it is not sent again."""


@dataclass(frozen=True, slots=True)
class Retry:
    """When a failed delivery is tried again, and until when."""

    first: float = 1.0
    """Seconds before the second attempt; doubled for each further one."""
    most: float = 60.0
    """Seconds between two attempts at most: a receiver that is back is not kept waiting longer."""
    age: float = 86_400.0
    """Seconds after which an event is given up: who is away for a day reads the call's record."""

    def delay(self, attempts: int, rng: random.Random) -> float:
        """Seconds after `attempts` failures; half of it by chance, so that calls do not come all at once."""
        whole = min(self.most, self.first * 2.0 ** min(attempts - 1, 30))
        return whole * rng.uniform(0.5, 1.0)


class WebhookTargetInvalid(ValueError):
    """The URL or the secret cannot be used; the message says why, without the secret."""


class Webhooks:
    """What happens to calls, told to one receiver. `call` is the object of `GET /agents/calls/{call_id}`: `id`,
    `agent_id` and `status` at least.

    The telling methods never wait and never raise: the event is on disk when they return; what cannot be kept is
    logged. `start` begins to send, also what an earlier life left.
    """

    def __init__(
        self,
        url: str,
        secret: str,
        outbox: Outbox,
        *,
        retry: Retry | None = None,
        timeout: float = TIMEOUT,
        rng: random.Random | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock`: wall clock, seconds since 1970. Raises WebhookTargetInvalid. `close` closes the outbox."""
        self._url = _check_url(url)
        self._secret = _check_secret(secret)
        self._outbox = outbox
        self._retry = retry or Retry()
        self._timeout = timeout
        self._rng = rng or random.Random()
        self._clock = clock
        self._added = asyncio.Event()
        self._sending: dict[str, asyncio.Task[None]] = {}
        self._run: asyncio.Task[None] | None = None
        self.webhook_id = outbox.webhook_id

    async def start(self) -> None:
        """Send from now on."""
        self._run = asyncio.get_running_loop().create_task(self._deliver_all(), name="webhooks")

    async def close(self) -> None:
        """Stop sending; what was not taken waits in the outbox."""
        if self._run is not None:
            self._run.cancel()
            await asyncio.wait({self._run})
            self._run = None
        self._outbox.close()

    # --- what happens

    def call_started(self, call: Mapping[str, Any]) -> None:
        """A call began."""
        self._tell(envelope.call_started(call, self.webhook_id, self._now()))

    def turn(self, call_id: str, agent_id: str, turn: Mapping[str, Any]) -> None:
        """Somebody has spoken."""
        self._tell(envelope.call_turn(call_id, agent_id, turn, self.webhook_id, self._now()))

    def ended(self, call: Mapping[str, Any]) -> None:
        """A call is over: call_failed where its `status` is `failed`, else call_completed."""
        self._tell(envelope.call_ended(call, self.webhook_id, self._now()))

    def analysis(self, call: Mapping[str, Any]) -> None:
        """An ended call's summary: the call's own, else one made by the rule of `envelope.summary_of`."""
        summary = call.get("summary") or envelope.summary_of(call.get("transcript") or ())
        self._tell(envelope.post_call_analysis(call["id"], call["agent_id"], summary, self.webhook_id, self._now()))

    def forget(self, call_id: str) -> None:
        """Drop what waits of a call that is redacted, also what is being sent. Raises sqlite3.Error."""
        sending = self._sending.get(call_id)
        if sending is not None:
            sending.cancel()
        if count := self._outbox.forget(call_id):
            log.info("%d webhooks of call %s are dropped: it is redacted", count, call_id)

    def _now(self) -> str:
        return envelope.rfc3339(int(self._clock() * 1_000_000) * 1000)

    def _tell(self, event: Mapping[str, Any]) -> None:
        told, body = bounded(event)
        if cuts := told.get(TRUNCATED):
            log.warning("webhook %s of call %s is cut: %s", event["type"], event["call_id"], ", ".join(cuts))
        try:
            self._outbox.add(event["call_id"], event["type"], body, self._clock())
        except (OutboxFull, sqlite3.Error) as error:
            log.error("webhook %s of call %s is lost: %s", event["type"], event["call_id"], error)
            return
        self._added.set()

    # --- delivery

    async def _deliver_all(self) -> None:
        limits = httpx.Limits(max_connections=MAX_AT_ONCE)
        headers = {"Content-Type": "application/json", SECRET_HEADER: self._secret, "User-Agent": "cordboard-line"}
        async with httpx.AsyncClient(headers=headers, timeout=self._timeout, limits=limits, trust_env=False) as client:
            try:
                while True:
                    self._added.clear()
                    wait = self._begin_due(client)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(wait):
                            await self._added.wait()
            finally:
                sending = list(self._sending.values())
                for task in sending:
                    task.cancel()
                await asyncio.gather(*sending, return_exceptions=True)

    def _begin_due(self, client: httpx.AsyncClient) -> float | None:
        """Begin what is due; seconds until the next is. None: until something happens."""
        now = self._clock()
        try:
            found = self._outbox.first_of_calls(self._sending, MAX_AT_ONCE - len(self._sending))
        except sqlite3.Error as error:
            log.error("the outbox of webhooks: %s", error)
            return self._retry.most
        for waiting in found:
            wait = waiting.next_at - now
            if 0 < wait <= self._retry.most:  # more: the wall clock was set back since
                return wait
            task = asyncio.get_running_loop().create_task(self._deliver(client, waiting))
            self._sending[waiting.call_id] = task
        return None

    async def _deliver(self, client: httpx.AsyncClient, waiting: Waiting) -> None:
        try:
            self._judge(waiting, await self._post(client, waiting.body))
        except sqlite3.Error as error:  # a full disk: what was taken stays in the outbox, and is sent once more
            log.error("the outbox of webhooks: %s", error)
            await asyncio.sleep(self._retry.most)
        finally:
            del self._sending[waiting.call_id]
            self._added.set()

    def _judge(self, waiting: Waiting, problem: _Problem | None) -> None:
        now = self._clock()
        attempts = waiting.attempts + 1
        if problem is None:
            self._outbox.drop(waiting)
        elif problem.final:
            self._outbox.drop(waiting)
            log.error("webhook %s of call %s is given up: %s", waiting.type, waiting.call_id, problem.text)
        elif now - waiting.created_at >= self._retry.age:
            self._outbox.drop(waiting)
            log.error(
                "webhook %s of call %s is given up after %d attempts in %.0f s: %s",
                waiting.type, waiting.call_id, attempts, now - waiting.created_at, problem.text,
            )  # fmt: skip
        else:
            delay = self._retry.delay(attempts, self._rng)
            self._outbox.postpone(waiting, now + delay)
            log.warning(
                "webhook %s of call %s, attempt %d: %s; again in %.1f s",
                waiting.type, waiting.call_id, attempts, problem.text, delay,
            )  # fmt: skip

    async def _post(self, client: httpx.AsyncClient, body: bytes) -> _Problem | None:
        """What is wrong with the delivery; None: it was taken. The answer's body is nobody's."""
        try:
            async with asyncio.timeout(self._timeout), client.stream("POST", self._url, content=body) as response:
                if response.is_success:
                    return None
                status = response.status_code
                if response.is_client_error and status not in PASSING:
                    return _Problem(f"the receiver refuses it with status {status}", final=True)
                return _Problem(f"status {status}")
        except TimeoutError:
            return _Problem(f"no answer within {self._timeout:g} s")
        except httpx.HTTPError as error:
            return _Problem(f"{type(error).__name__}: {error}")


def _check_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        port_fits = parts.port != 0
    except ValueError:
        raise WebhookTargetInvalid(f"the webhook's URL {url!r} cannot be read") from None
    if parts.username is not None or parts.password is not None:
        raise WebhookTargetInvalid("the webhook's URL holds credentials; the receiver checks x-webhook-secret")
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_fits:
        raise WebhookTargetInvalid(f"the webhook's URL {url!r} is not http://… or https://…")
    return url


def _check_secret(secret: str) -> str:
    if not secret or not secret.isascii() or not secret.isprintable() or secret != secret.strip():
        raise WebhookTargetInvalid(
            "the webhook's secret is not 1 or more printable ASCII characters without spaces at its ends"
        )
    return secret
