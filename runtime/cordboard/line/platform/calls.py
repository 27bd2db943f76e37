"""Follows calls: writes each into the store, tells webhooks of it, keeps its recording, and can end it.

Follows reference cartesia-protocols §4.5 and §4.7. Leaves out a longest call, which no document gives.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from cordboard.line.platform.agents import Agents
from cordboard.line.platform.deployments import Deployments
from cordboard.line.platform.store import Store
from cordboard.line.platform.values import CallRow, Line, call_object, telephony
from cordboard.line.platform.worker import Worker
from cordboard.line.recording import Recording
from cordboard.line.records import CallRecord
from cordboard.line.transcript import Entry
from cordboard.line.webhooks.outbox import Outbox
from cordboard.line.webhooks.sender import Webhooks

MAX_METADATA: Final = 65_536
"""Characters of a call's metadata that are kept, as many as a message of REST may bring."""

_CONTROL_TOKEN: Final = re.compile(r"(/control/)[^/?#]+")
"""Of a URL by which an agent's tools steer the call, and so may whoever reads it."""

MAX_CREATED: Final = 1000
"""Outbound calls that are being dialled."""

log = logging.getLogger("cordboard.line")


class Calls:
    """All calls of one stand-in; an observer of each (`records.CallObserver`)."""

    def __init__(
        self,
        worker: Worker,
        store: Store,
        agents: Agents,
        deployments: Deployments,
        *,
        recordings: Path | None = None,
        webhooks: Webhooks | None = None,
        outbox: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`recordings` is their folder; without one nothing is recorded. `outbox`: where webhooks of an earlier life
        may wait while there is no receiver. `clock`: wall clock."""
        self._worker = worker
        self._store = store
        self._agents = agents
        self._deployments = deployments
        self._recordings = recordings
        self._webhooks = webhooks
        self._outbox = outbox
        self._clock = clock
        self._live: dict[str, tuple[CallRecord, CallRow]] = {}
        self._created: dict[str, tuple[CallRow, asyncio.TimerHandle]] = {}
        self._told: dict[str, set[int]] = {}
        self._finishing: set[asyncio.Task[None]] = set()

    async def load(self) -> None:
        """Calls that an earlier life of the program left open have failed."""
        if self._recordings is not None:
            await self._worker.run(self._recordings.mkdir, 0o700, parents=True, exist_ok=True)
        for row in await self._worker.run(self._store.unfinished):
            failed = row._replace(
                status="failed",
                end_reason="error" if row.status == "started" else "dial_failed",
                error_message="the stand-in ended during the call",
                end_time=self._clock(),
            )
            await self._worker.run(self._store.put_call, failed)

    async def close(self) -> None:
        """All calls are over; finish their recordings."""
        for _, timer in self._created.values():
            timer.cancel()
        if self._finishing:
            await asyncio.wait(self._finishing)

    # What happens (`CallObserver`)

    def claim_call(self, agent_id: str, call_id: object) -> bool:
        """Whether this is the outbound call that waits for its socket."""
        created = self._created.get(call_id) if isinstance(call_id, str) else None
        return created is not None and created[0].agent_id == agent_id

    def call_started(self, record: CallRecord) -> None:
        """See `CallObserver`."""
        created = self._created.pop(record.call_id, None)
        if created is not None:
            created[1].cancel()
        deployment = self._deployments.current(record.agent_id)
        row = CallRow(
            record.call_id,
            record.agent_id,
            "started",
            record.begun_at,
            deployment_id=None if deployment is None else deployment.id,
            telephony=telephony(record.metadata, "inbound" if created is None else "outbound", record.stream_id),
            metadata=_kept(record.metadata),
        )
        self._live[row.id] = record, row
        self._told[row.id] = set()
        if self._recordings is not None and record.input_format:
            try:
                record.recording = Recording(self._path(row.id), record.input_format, record.seconds)
            except OSError as exc:
                record.warn(f"no recording: {exc.strerror or exc}")
        self._worker.post(self._store.put_call, row)
        if self._webhooks is not None and self._tells(row.agent_id):
            self._webhooks.call_started(self._object(row, []))

    def call_turn(self, record: CallRecord, at: int, entry: Entry) -> None:
        """See `CallObserver`."""
        told = entry.as_json()
        self._worker.post(self._store.put_entry, record.call_id, at, told)
        seen = self._told.get(record.call_id, set())
        fresh = entry.role != "system" and at not in seen
        if self._webhooks is not None and fresh and self._tells(record.agent_id):
            seen.add(at)
            self._webhooks.turn(record.call_id, record.agent_id, told)

    def call_ended(self, record: CallRecord) -> None:
        """See `CallObserver`."""
        _, row = self._live.pop(record.call_id)
        del self._told[record.call_id]
        failed = record.end_reason == "error"
        row = row._replace(
            status="failed" if failed else "completed",
            end_time=record.ended_at,
            end_reason=record.end_reason,
            error_message=record.end_detail if failed else None,
        )
        self._finished(row, record.transcript.as_json())
        self._worker.post(self._store.add_lines, row.id, [Line(at, text) for at, text in record.lines])
        if record.recording is not None:
            task = asyncio.get_running_loop().create_task(self._finish_recording(record.recording, row))
            self._finishing.add(task)
            task.add_done_callback(self._finishing.discard)

    def _finished(self, row: CallRow, transcript: list[dict[str, Any]]) -> None:
        self._worker.post(self._store.put_call, row)
        self._worker.post(self._trim)
        if self._webhooks is not None and self._tells(row.agent_id):
            told = self._object(row, transcript)
            self._webhooks.ended(told)
            self._webhooks.analysis(told)

    async def _finish_recording(self, recording: Recording, row: CallRow) -> None:
        try:
            await asyncio.to_thread(recording.finish)
        except OSError as exc:
            log.error("recording of call %s is lost: %s", row.id, exc.strerror or exc)
        else:
            await self._worker.run(self._recorded, row.id)

    def _recorded(self, call_id: str) -> None:
        row = self._store.call(call_id)
        if row is None or row.redacted_at is not None:
            self._unlink(call_id)
        else:
            self._store.put_call(row._replace(recorded=True))

    # Outbound calls, which begin as a plan

    def create(self, agent_id: str, call_id: str, parties: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
        """An outbound call is planned: its socket is to show its id. Raises OverflowError for too many."""
        if len(self._created) >= MAX_CREATED:
            raise OverflowError(f"{MAX_CREATED} calls are being dialled already")
        row = CallRow(call_id, agent_id, "created", telephony=dict(parties), metadata=_kept(metadata))
        timer = asyncio.get_running_loop().call_later(1 << 20, lambda: None)
        self._created[call_id] = row, timer
        self._worker.post(self._store.put_call, row)

    def dialling(self, call_id: str, seconds: float) -> None:
        """It rings for so long at most."""
        if call_id in self._created:
            row, timer = self._created[call_id]
            timer.cancel()
            loop = asyncio.get_running_loop()
            timer = loop.call_later(seconds, self.not_dialled, call_id, "dial_no_answer", "nobody answered in time")
            self._created[call_id] = row, timer

    def not_dialled(self, call_id: str, end_reason: str, message: str) -> None:
        """It came to nothing."""
        if call_id in self._created:
            row, timer = self._created.pop(call_id)
            timer.cancel()
            row = row._replace(
                status="failed", end_reason=end_reason, error_message=message[:1000], end_time=self._clock()
            )
            self._finished(row, [])

    # What is asked

    async def call(self, call_id: str) -> CallRow | None:
        """One call."""
        return await self._worker.run(self._store.call, call_id)

    async def page(
        self, agent_id: str, limit: int, after: str | None, before: str | None
    ) -> tuple[list[CallRow], bool]:
        """See `Store.calls`. Raises KeyError for a cursor that is none."""
        return await self._worker.run(self._store.calls, agent_id, limit, after=after, before=before)

    async def transcript(self, call_id: str) -> list[dict[str, Any]]:
        """A call's transcript so far."""
        if call_id in self._live:
            return self._live[call_id][0].transcript.as_json()
        return await self._worker.run(self._store.transcript, call_id)

    async def log_lines(self, row: CallRow) -> list[tuple[Line, str]]:
        """A call's log, `call`, and what its agent's program printed in that time, `agent`: also for other calls."""
        if row.id in self._live:
            own = [Line(at, text) for at, text in self._live[row.id][0].lines]
        else:
            own = await self._worker.run(self._store.lines, row.id)
        printed: list[Line] = []
        if row.deployment_id is not None and row.start_time is not None and row.redacted_at is None:
            until = self._clock() if row.end_time is None else row.end_time
            printed = await self._worker.run(self._store.lines, row.deployment_id, row.start_time, until)
        both = [*((line, "call") for line in own), *((line, "agent") for line in printed)]
        return sorted(both, key=lambda item: item[0].at)

    def recording(self, row: CallRow) -> Path | None:
        """The file of a call's recording."""
        return self._path(row.id) if row.recorded and self._recordings is not None else None

    async def cancel(self, call_id: str) -> bool:
        """End a call that is under way; False: it is not."""
        if call_id not in self._live:
            return False
        record, _ = self._live[call_id]
        if record.cancel is not None:
            await record.cancel()
        return True

    async def redact(self, call_id: str) -> None:
        """Forget what was said in a call that is over: transcript, log, metadata, recording, webhooks that wait.

        Raises OutboxUnusable, sqlite3.Error, OSError: then the call is not redacted.
        """
        if self._webhooks is not None:
            self._webhooks.forget(call_id)
        await self._worker.run(self._redact, call_id)

    async def sweep(self, seconds: float) -> int:
        """Redact the calls that ended longer ago than that; how many there were."""
        expired = await self._worker.run(self._store.ended_before, self._clock() - seconds)
        for call_id in expired:
            await self.redact(call_id)
        return len(expired)

    def _redact(self, call_id: str) -> None:
        if self._webhooks is None and self._outbox is not None and self._outbox.exists():
            with contextlib.closing(Outbox(self._outbox)) as outbox:
                outbox.forget(call_id)
        self._unlink(call_id)
        self._store.redact(call_id, self._clock())

    def _trim(self) -> None:
        for call_id in self._store.trim_calls():
            self._unlink(call_id)

    def _unlink(self, call_id: str) -> None:
        if self._recordings is not None:
            self._path(call_id).unlink(missing_ok=True)

    def _path(self, call_id: str) -> Path:
        assert self._recordings is not None
        return self._recordings / f"{call_id}.wav"

    def _tells(self, agent_id: str) -> bool:
        row = self._agents.get(agent_id)
        return row is not None and self._agents.webhook_of(row) is not None

    def _object(self, row: CallRow, transcript: list[dict[str, Any]]) -> dict[str, Any]:
        return call_object(row, self._agents.name(row.agent_id), transcript)


def _kept(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """A call's metadata as it is stored and told: bounded, and without what steers the call."""
    kept: dict[str, Any] = {name: _harmless(name, value) for name, value in metadata.items()}
    size = len(json.dumps(kept))
    return kept if size <= MAX_METADATA else {"_truncated": True, "_characters": size}


def _harmless(name: str, value: object) -> object:
    if isinstance(value, str) and name.endswith("url"):
        return _CONTROL_TOKEN.sub(r"\1***", value)
    return {key: _harmless(key, item) for key, item in value.items()} if isinstance(value, dict) else value
