"""Wires one ControlEngine to its world: SIP, planes, functions, control URLs, files (DESIGN §1 and §6).

Every call into the engine is followed by a drain of its effects, performed in order; its timer is re-armed then.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from cordboard.contract.call_record import DialogRecord
from cordboard.contract.release import Release
from cordboard.edge import log as edge_log
from cordboard.edge.control.calls import CallFiles
from cordboard.edge.control.dialogs import DialogFiles
from cordboard.edge.control.fetches import Fetches
from cordboard.edge.control.http import ControlUrl
from cordboard.edge.control.metrics import Metrics
from cordboard.edge.control.planes import PlaneLinks
from cordboard.edge.control.prompts import Prompts
from cordboard.edge.control.sip_socket import Address, SipSocket
from cordboard.edge.control.turns import FunctionHost, Turns
from cordboard.session.effects import (
    DropDialog,
    Effect,
    Fetch,
    Invoke,
    KeepDialog,
    KillPlane,
    Log,
    PreparePrompt,
    ReleaseDone,
    ReplyHttp,
    RetainRelease,
    SendPlane,
    SendSip,
    SessionBegan,
    SessionEnded,
    WriteJournal,
    WriteTimeline,
    WriteTranscript,
)
from cordboard.session.operations import Operations

RETRY_TIMER: Final = 0.1  # seconds after a failed timer: one that stays due must not take the whole core
GOOD_BYE: Final = 7.5  # seconds for all calls to end at shutdown, silent peers given up; the supervisor kills after 8
FORMER_LIFE: Final = 2.0  # seconds beyond the lease after which no plane writes for a former life

T = TypeVar("T")
log = logging.getLogger(__name__)
engine_log = logging.getLogger("cordboard.session")


class Engine(Protocol):
    """What the process needs of `session.engine.ControlEngine`."""

    def receive_datagram(self, data: bytes, source: Address, now: float) -> None: ...
    def send_failed(self, address: Address, now: float) -> None: ...
    def plane_connected(self, index: int, now: float) -> None: ...
    def plane_lost(self, index: int, reason: str, now: float) -> None: ...
    def receive_link(self, index: int, line: bytes, now: float) -> None: ...
    def receive_http(
        self, request: str, method: str, path: str, headers: Mapping[str, str], body: bytes, now: float
    ) -> None: ...
    def http_gone(self, request: str, now: float) -> None: ...
    def operate(self, act: Callable[[Operations], T], now: float) -> T: ...
    def turn_answered(self, token: str, answer: Mapping[str, Any], now: float) -> None: ...
    def turn_failed(self, token: str, kind: str, message: str, now: float) -> None: ...
    def fetched(self, token: str, status: int, body: bytes, now: float) -> None: ...
    def fetch_failed(self, token: str, reason: str, now: float) -> None: ...
    def prompt_ready(self, request: str, path: str, now: float) -> None: ...
    def prompt_failed(self, request: str, reason: str, now: float) -> None: ...
    def set_release(self, release: Release) -> None: ...
    def restore(self, records: Iterable[DialogRecord], now: float) -> None: ...
    def shutdown(self, now: float) -> None: ...
    def next_timer(self) -> float | None: ...
    def on_timer(self, now: float) -> None: ...
    def next_effect(self) -> Effect | None: ...
    @property
    def live(self) -> int: ...
    @property
    def draining(self) -> bool: ...
    @property
    def ready(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the effects act upon."""

    host: FunctionHost
    """Where functions run, started."""
    calls: CallFiles
    """Folders of calls."""
    dialogs: DialogFiles
    """Dialogs on disk."""
    kill_plane: Callable[[int, int, str], None]
    """Asks the supervisor to kill plane (index, pid, reason)."""
    metrics: Metrics
    """What `/metrics` tells."""
    prompts: Prompts
    """Sounds for players."""


class ControlProcess:
    """The engine's shell. Attach `sip`, `links` and `control_url`, then `restore`."""

    def __init__(self, engine: Engine, around: Surroundings) -> None:
        self._loop = asyncio.get_running_loop()
        self._engine = engine
        self._around = around
        self._turns = Turns(around.host, self)
        self._fetches = Fetches(self)
        self.sip = SipSocket(self._on_datagram, self._send_failed)
        self.control_url = ControlUrl(self)
        self.links: PlaneLinks | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None
        self._not_before = 0.0
        self._changed = asyncio.Event()
        self._closed = False

    def not_ready(self) -> list[str]:
        """Reasons against taking a call now; empty: it would be taken."""
        reasons = ["draining"] if self._engine.draining else []
        return reasons if self._engine.ready else [*reasons, "no plane"]

    async def until(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Wait for something that the engine brings about."""
        try:
            async with asyncio.timeout(timeout):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def until_ready(self, timeout: float) -> bool:
        """Wait for a plane."""
        return await self.until(lambda: self._engine.ready, timeout)

    def restore(self, records: Iterable[DialogRecord]) -> None:
        """End what a former life left."""
        self._engine.restore(records, self._loop.time())
        self._drain()

    def set_release(self, release: Release) -> None:
        """New sessions take this release."""
        self._engine.set_release(release)
        self._drain()

    async def shutdown(self) -> None:
        """Refuse new calls, end all, wait for their records; then drop what is in flight."""
        self._engine.shutdown(self._loop.time())
        self._drain()
        if not await self.until(lambda: self._engine.live == 0, GOOD_BYE):
            log.error("%d sessions had not ended after %.0f s", self._engine.live, GOOD_BYE)
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        await self._turns.close()
        await self._fetches.close()

    # --- what comes in

    def _on_datagram(self, data: bytes, source: Address) -> None:
        self._engine.receive_datagram(data, source, self._loop.time())
        self._drain()

    def _send_failed(self, address: Address) -> None:
        self._engine.send_failed(address, self._loop.time())
        self._drain()

    def plane_connected(self, index: int) -> None:
        """See PlaneSink, as the two below."""
        self._engine.plane_connected(index, self._loop.time())
        self._drain()

    def plane_lost(self, index: int, reason: str) -> None:
        """A link is gone."""
        self._around.metrics.plane_lost(index)
        self._engine.plane_lost(index, reason, self._loop.time())
        self._drain()

    def receive_link(self, index: int, line: bytes) -> None:
        """A line of a plane."""
        self._around.metrics.of_plane(index, line)
        self._engine.receive_link(index, line, self._loop.time())
        self._drain()

    def receive_http(self, request: str, method: str, path: str, headers: Mapping[str, str], body: bytes) -> None:
        """See ControlRequests, as the one below."""
        self._engine.receive_http(request, method, path, headers, body, self._loop.time())
        self._drain()

    def http_gone(self, request: str) -> None:
        """The client went away."""
        self._engine.http_gone(request, self._loop.time())
        self._drain()

    def operate(self, act: Callable[[Operations], T]) -> T:
        """See Operator."""
        try:
            return self._engine.operate(act, self._loop.time())
        finally:
            self._drain()

    def turn_answered(self, token: str, answer: Mapping[str, Any]) -> None:
        """See TurnSink, as the one below."""
        now = self._loop.time()
        self._around.metrics.answered(token, answer, now)
        self._engine.turn_answered(token, answer, now)
        self._drain()

    def turn_failed(self, token: str, kind: str, message: str) -> None:
        """There is no answer."""
        now = self._loop.time()
        self._around.metrics.round_over(token, kind, now)
        self._engine.turn_failed(token, kind, message, now)
        self._drain()

    def fetched(self, token: str, status: int, body: bytes) -> None:
        """See FetchSink, as the one below."""
        self._engine.fetched(token, status, body, self._loop.time())
        self._drain()

    def fetch_failed(self, token: str, reason: str) -> None:
        """There is no answer."""
        self._engine.fetch_failed(token, reason, self._loop.time())
        self._drain()

    def prompt_ready(self, request: str, path: str) -> None:
        """See PromptSink, as the one below."""
        self._engine.prompt_ready(request, path, self._loop.time())
        self._drain()

    def prompt_failed(self, request: str, reason: str) -> None:
        """There is no such sound."""
        self._engine.prompt_failed(request, reason, self._loop.time())
        self._drain()

    def _on_timer(self) -> None:
        self._timer, self._timer_at = None, None
        now = self._loop.time()
        try:
            self._engine.on_timer(now)
        except BaseException:
            self._not_before = now + RETRY_TIMER
            raise  # to the loop, which logs it
        finally:
            self._drain()

    # --- what goes out

    def _drain(self) -> None:
        while (effect := self._engine.next_effect()) is not None:
            self._perform(effect)
        self._changed.set()
        at = self._engine.next_timer()
        if at is not None and at < self._not_before:
            at = self._not_before
        if at == self._timer_at or self._closed:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = None if at is None else self._loop.call_at(at, self._on_timer)

    def _perform(self, effect: Effect) -> None:
        around = self._around
        match effect:
            case SendSip(data, address):
                self.sip.send(data, address)
            case SendPlane(plane, line):
                around.metrics.to_plane(plane, line)
                if self.links is not None:
                    self.links.write(plane, line)
            case KillPlane(plane, pid):
                around.kill_plane(plane, pid, "it missed its lease")
            case Invoke():
                around.metrics.invoked(effect, self._loop.time())
                self._turns.invoke(effect)
            case Fetch():
                self._fetches.fetch(effect)
            case PreparePrompt():
                around.prompts.prepare(effect, self)
            case ReplyHttp(request, status, body, headers):
                self.control_url.reply(request, status, body, headers)
            case KeepDialog(key, record):
                try:
                    around.dialogs.keep(key, record)
                except OSError as error:  # the call goes on; only the next life could not end it
                    log.error("a dialog cannot be kept on disk: %s", error)
            case DropDialog(key):
                around.dialogs.drop(key)
            case WriteTimeline(session, entry):
                around.metrics.timeline(session, entry)
                around.calls.timeline(session, entry)
            case WriteJournal(session, line):
                around.calls.journal(session, line)
            case WriteTranscript(session, entry, text):
                around.calls.transcript(session, entry, text)
            case RetainRelease(release):
                around.host.retain(release)
            case ReleaseDone(release):
                around.host.done(release)
            case SessionBegan(session, facts):
                around.metrics.began(session)
                around.calls.began(session, facts)
            case SessionEnded(record, recordings):
                around.metrics.ended(record)
                around.calls.ended(record, recordings)
            case Log(level, message, fields):
                edge_log.write(engine_log, level, message, fields)
