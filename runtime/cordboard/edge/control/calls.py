"""The folder of each call: facts, timeline, journal, transcript, record, and recordings on their way to the finisher.

While a call lives its timeline grows line by line (`timeline.jsonl`); at its end `timeline.json`, then `record.json`
appear whole, then its recordings go to the finisher: who sees a record finds the timeline too. A thread writes them,
one call after the other, for a long timeline takes longer than a caller should wait. A call whose control died gets
its record from the next one. Leaves out redaction: the engine did it.
"""

import errno
import json
import logging
import os
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cordboard.contract.call_record import CallEnded, TimelineEntry
from cordboard.contract.codec import encode
from cordboard.contract.journal import JournalLine
from cordboard.contract.transcript import TranscriptEntry
from cordboard.edge.atomic import FILE_MODE, private_directory, write_atomic, write_json
from cordboard.edge.control.journal import JournalFiles
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
        self._own: set[str] = set()
        self._journals = JournalFiles(self._folder, self._complain)
        self._thread = ThreadPoolExecutor(1, "call-files")

    def began(self, session: str, facts: Mapping[str, Any]) -> None:
        """Make the folder with `facts.json`."""
        self._own.add(session)
        try:
            folder = private_directory(self._folder(session))
            write_json(folder / "facts.json", {**facts, "life": self._life})
        except OSError as error:
            self._complain(session, error)

    def timeline(self, session: str, entry: TimelineEntry) -> None:
        """Append an entry to `timeline.jsonl`."""
        line = json.dumps(encode(entry), ensure_ascii=False, separators=(",", ":"))
        self._append(session, "timeline.jsonl", line)

    def journal(self, session: str, line: JournalLine) -> None:
        """Append a line to `journal.jsonl`."""
        self._journals.write(session, line)

    def transcript(self, session: str, entry: TranscriptEntry, text: str) -> None:
        """Append an utterance to `transcript.jsonl`, and as a line for people to `transcript.txt`."""
        self._append(session, "transcript.jsonl", json.dumps(encode(entry), ensure_ascii=False, separators=(",", ":")))
        self._append(session, "transcript.txt", text.replace("\n", " "))

    def ended(self, record: CallEnded, recordings: tuple[Mapping[str, Any], ...]) -> None:
        """Have the whole timeline and the record written, and the recordings queued; `close` waits for it.

        A call of a former life waits for `end_former_lives`: its files still lack what a plane may be writing.
        """
        session = record.session
        for name in ("timeline.jsonl", "transcript.jsonl", "transcript.txt"):
            handle = self._open.pop((session, name), None)
            if handle is not None:
                os.close(handle)
        self._journals.ended(session)
        if session in self._own or not (self._data.calls / session / "facts.json").exists():
            damaged = session in self._failed
            self._own.discard(session)
            self._failed.discard(session)
            self._thread.submit(self._finish, record, recordings, damaged=damaged)

    def _finish(self, record: CallEnded, recordings: tuple[Mapping[str, Any], ...], *, damaged: bool) -> None:
        """`damaged`: lines of the timeline may be cut off."""
        session = record.session
        try:
            folder = private_directory(self._folder(session))
            body = encode(record)
            write_atomic(folder / "timeline.json", _whole_timeline(body, folder, damaged=damaged))
            write_json(folder / "record.json", body)
            for number, recording in enumerate(recordings):
                self._queue(session, number, recording)
        except OSError as error:
            self._complain(session, error)
        except Exception:  # a thread's mistake would be seen by nobody
            log.exception("files of call %s cannot be written", session)

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
            lost = _lost(folder.name, facts, tuple(f"{each['name']}.wav" for each in raw))
            self._finish(lost, raw, damaged=True)
            ended.append(folder.name)
        return ended

    def close(self) -> None:
        """Wait until the files of all ended calls are written; close what is open."""
        self._thread.shutdown()
        for handle in self._open.values():
            os.close(handle)
        self._open.clear()
        self._journals.close()

    def _append(self, session: str, name: str, line: str) -> None:
        try:
            handle = self._open.get((session, name))
            if handle is None:
                handle = os.open(self._folder(session) / name, _APPEND, FILE_MODE)
                self._open[session, name] = handle
            whole = line.encode() + b"\n"
            written = os.write(handle, whole)
            if written < len(whole):
                raise OSError(errno.ENOSPC, f"{name} took {written} of {len(whole)} bytes")
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


_DAMAGED: Final = b'{"at":0.0,"kind":"log","what":"a line of this timeline is damaged","data":{}}'


def _whole_timeline(record: object, folder: Path, *, damaged: bool) -> bytes:
    """One JSON document of record and entries, an entry a line; the lines are read only where some may be damaged."""
    path = folder / "timeline.jsonl"
    lines = path.read_bytes().splitlines() if path.exists() else []
    if damaged:  # the half line of a life that was killed, or of a full disk
        lines = [line if _is_json(line) else _DAMAGED for line in lines]
    head = json.dumps(record, ensure_ascii=False).encode()
    return b'{"record": ' + head + b', "entries": [\n' + b",\n".join(lines) + b"\n]}\n"


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


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
