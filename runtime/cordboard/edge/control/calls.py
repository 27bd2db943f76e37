"""The folder of each call: facts, timeline, transcript, record, and its recordings on their way to the finisher.

While a call lives its timeline grows line by line (`timeline.jsonl`); at its end `record.json` and `timeline.json`
appear whole. A call whose control died gets its record from the next one. Leaves out redaction: the engine did it.
"""

import json
import logging
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cordboard.contract.codec import encode
from cordboard.contract.records import CallEnded, TimelineEntry
from cordboard.edge.atomic import FILE_MODE, private_directory, write_atomic, write_json
from cordboard.edge.data_dir import RAW_SUFFIX, DataDir

_SESSION: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")
_APPEND: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC

log = logging.getLogger(__name__)


class CallFiles:
    """Writes calls' folders. A full disk costs files, never a call: failures are logged once a call."""

    def __init__(self, data: DataDir, life: str) -> None:
        """`life`: identity of this control, by which a later one knows whose calls it finds."""
        self._data = data
        self._life = life
        self._open: dict[tuple[str, str], int] = {}
        self._failed: set[str] = set()

    def began(self, session: str, facts: Mapping[str, Any]) -> None:
        """Make the folder with `facts.json`."""
        try:
            folder = private_directory(self._folder(session))
            write_json(folder / "facts.json", {**facts, "life": self._life})
        except OSError as error:
            self._complain(session, error)

    def timeline(self, session: str, entry: TimelineEntry) -> None:
        """Append an entry to `timeline.jsonl`."""
        line = json.dumps(encode(entry), ensure_ascii=False, separators=(",", ":"))
        self._append(session, "timeline.jsonl", line)

    def transcript(self, session: str, text: str) -> None:
        """Append a line to `transcript.txt`."""
        self._append(session, "transcript.txt", text.replace("\n", " "))

    def ended(self, record: CallEnded, recordings: tuple[Mapping[str, Any], ...]) -> None:
        """Write the record and the whole timeline, queue the recordings.

        A call of a former life waits for `end_former_lives`: its files still lack what a plane may be writing.
        """
        facts = _read_facts(self._data.calls / record.session)
        if facts is None or facts.get("life") == self._life:
            self._finish(record, recordings)

    def _finish(self, record: CallEnded, recordings: tuple[Mapping[str, Any], ...]) -> None:
        session = record.session
        for name in ("timeline.jsonl", "transcript.txt"):
            handle = self._open.pop((session, name), None)
            if handle is not None:
                os.close(handle)
        self._failed.discard(session)
        try:
            folder = private_directory(self._folder(session))
            body = encode(record)
            write_json(folder / "record.json", body)
            write_atomic(folder / "timeline.json", _whole_timeline(body, folder))
            for number, recording in enumerate(recordings):
                self._queue(session, number, recording)
        except OSError as error:
            self._complain(session, error)

    def end_former_lives(self) -> list[str]:
        """Give each call that another life left without a record one, and queue its recordings; their ids.

        Called once planes have dropped that life, so that nothing is written any more.
        """
        ended: list[str] = []
        for folder in sorted(self._data.calls.iterdir()):
            if (folder / "record.json").exists():
                continue
            facts = _read_facts(folder)
            if facts is None or facts.get("life") == self._life:
                continue
            raw = tuple(
                {"path": str(path), "name": path.name.removesuffix(RAW_SUFFIX), "stereo": True, "hd_audio": False}
                for path in sorted(folder.glob(f"*{RAW_SUFFIX}"))
            )
            self._finish(_lost(folder.name, facts, tuple(f"{each['name']}.wav" for each in raw)), raw)
            ended.append(folder.name)
        return ended

    def close(self) -> None:
        """Close what is open."""
        for handle in self._open.values():
            os.close(handle)
        self._open.clear()

    def _append(self, session: str, name: str, line: str) -> None:
        try:
            handle = self._open.get((session, name))
            if handle is None:
                handle = os.open(self._folder(session) / name, _APPEND, FILE_MODE)
                self._open[session, name] = handle
            os.write(handle, line.encode() + b"\n")
        except OSError as error:
            self._complain(session, error)

    def _queue(self, session: str, number: int, recording: Mapping[str, Any]) -> None:
        write_json(self._data.finish / f"{session}.{number}.json", {"session": session, **recording})

    def _complain(self, session: str, error: OSError) -> None:
        if session not in self._failed:
            self._failed.add(session)
            log.error("files of call %s are incomplete: %s", session, error)

    def _folder(self, session: str) -> Path:
        if not _SESSION.fullmatch(session):
            raise FileNotFoundError(f"{session!r} is no session id")
        return self._data.calls / session


def _whole_timeline(record: object, folder: Path) -> bytes:
    entries: list[object] = []
    path = folder / "timeline.jsonl"
    if path.exists():
        for line in path.read_bytes().splitlines():
            try:
                entries.append(json.loads(line))
            except ValueError:  # the half line of a life that was killed
                entries.append({"at": 0.0, "kind": "log", "what": "a line of this timeline is damaged", "data": {}})
    return json.dumps({"record": record, "entries": entries}, ensure_ascii=False, indent=1).encode() + b"\n"


def _read_facts(folder: Path) -> dict[str, Any] | None:
    try:
        facts = json.loads((folder / "facts.json").read_bytes())
    except (OSError, ValueError) as error:
        log.error("call %s has no readable facts: %s", folder.name, error)
        return None
    return facts if isinstance(facts, dict) else None


def _lost(session: str, facts: Mapping[str, Any], recordings: tuple[str, ...]) -> CallEnded:
    """The record of a call whose control died."""
    now = datetime.now(UTC)
    started_at = str(facts.get("started_at", ""))
    try:
        duration = max(0.0, (now - datetime.fromisoformat(started_at)).total_seconds())
    except (ValueError, TypeError):
        duration = 0.0
    return CallEnded(
        session=session,
        scenario=str(facts.get("scenario", "")),
        cause="control.lost",
        fault="edge",
        started_at=started_at,
        ended_at=now.isoformat(timespec="milliseconds"),
        duration=round(duration, 3),
        from_=str(facts.get("from", "")),
        to=str(facts.get("to", "")),
        release=str(facts.get("release", "")),
        recordings=recordings,
    )
