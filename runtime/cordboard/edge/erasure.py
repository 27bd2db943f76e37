"""Erases what a call left on disk: sound, words, the timeline, numbers. What remains says who knew when, not what.

Every step may be repeated after a death in its middle. Content goes before the record says so, and once more after it,
for a finisher that was at work reads the record when it is done. Never called for a call that has not ended.
"""

import contextlib
import json
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cordboard.contract.transcript import WORDS
from cordboard.edge.atomic import FILE_MODE, write_atomic, write_json
from cordboard.edge.data_dir import JOURNAL, DataDir

RECORD: Final = "record.json"
FACTS: Final = "facts.json"
UPLOADED: Final = "uploaded.json"
KEPT_OF_RECORD: Final = (
    "session", "scenario", "cause", "fault", "started_at", "ended_at", "duration", "release", "invocations", "erased",
)  # fmt: skip
KEPT_OF_LEG: Final = ("name", "direction", "answered", "duration", "ended_by", "code")
KEPT_OF_FACTS: Final = ("scenario", "started_at", "life", "release", "plane")
"""What a call's erasure leaves: ids, times, causes; a list of what stays, so that a new field goes by itself."""


def erase_recordings(data: DataDir, session: str, at: datetime) -> None:
    """Sound, finished or not, and what the finisher was to do with it. Raises OSError."""
    _twice(data, session, "recordings", at, lambda: _remove_sound(data, session))


def erase_transcript(data: DataDir, session: str, at: datetime) -> None:
    """What was said, in the timeline too, and with the journal all that handlers made of it. Raises OSError."""
    folder = data.calls / session
    for path in (*folder.glob("transcript.*"), folder / JOURNAL):
        path.unlink(missing_ok=True)
    for path in folder.glob("timeline.*"):
        _strip(path)
    _mark(folder, {"transcripts": _text(at)})


def erase_timeline(data: DataDir, session: str, at: datetime) -> None:
    """What happened, and what handlers made of it. Raises OSError."""
    folder = data.calls / session
    for path in (*folder.glob("timeline.*"), folder / JOURNAL):
        path.unlink(missing_ok=True)
    _mark(folder, {"timelines": _text(at)})


def erase_content(data: DataDir, session: str, at: datetime) -> None:
    """Everything but ids, times, causes and durations; copies in S3 go when they can be reached. Raises OSError."""
    folder = data.calls / session
    queue_removal(data, session)

    def remove() -> None:
        _remove_jobs(data, session)
        for path in _files(folder):
            if path.name not in (RECORD, FACTS):
                path.unlink(missing_ok=True)

    remove()
    facts, record = _json(folder / FACTS), _json(folder / RECORD)
    if facts is not None:
        write_json(folder / FACTS, {name: facts[name] for name in KEPT_OF_FACTS if name in facts})
    if (folder / RECORD).exists():  # one that cannot be read is replaced whole
        write_json(folder / RECORD, _bare(record or {"session": session}, at))
    remove()


def erase_call(data: DataDir, session: str, at: datetime) -> None:
    """The folder; its record last, for a folder without one would count as a call that lives. Raises OSError."""
    folder = data.calls / session
    _remove_jobs(data, session)
    for path in sorted(_files(folder), key=lambda path: (path.name == RECORD, path.name == FACTS)):
        path.unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):
        folder.rmdir()


def audit(data: DataDir, session: str, action: str, at: datetime) -> None:
    """A line that says what was erased by hand. Raises OSError."""
    line = json.dumps({"at": _text(at), "call": session, "action": action}) + "\n"
    handle = os.open(data.audit, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, FILE_MODE)
    with open(handle, "w", encoding="utf-8") as file:
        file.write(line)


def queue_removal(data: DataDir, session: str) -> None:
    """Have the copies of a call's recordings removed from S3 (`uploads`). Raises OSError."""
    copies = _json(data.calls / session / UPLOADED)
    if copies:
        write_json(data.upload / f"remove-{session}.json", {"session": session, "remove": sorted(copies.values())})


def keeps_no_sound(folder: Path) -> bool:
    """Whether a call's recordings were erased: one that is finished only now must go too."""
    record = _json(folder / RECORD)
    erased = None if record is None else record.get("erased")
    return not folder.exists() or (isinstance(erased, dict) and "recordings" in erased)


def _twice(data: DataDir, session: str, kind: str, at: datetime, remove: Callable[[], None]) -> None:
    remove()
    _mark(data.calls / session, {kind: _text(at)})
    remove()


def _remove_sound(data: DataDir, session: str) -> None:
    _remove_jobs(data, session)
    for path in _files(data.calls / session):
        if path.name.endswith((".wav", ".wav.part")):
            path.unlink(missing_ok=True)


def _remove_jobs(data: DataDir, session: str) -> None:
    for folder in (data.finish, data.failed, data.upload, data.upload_failed):
        for path in folder.glob(f"{session}.*.json"):
            path.unlink(missing_ok=True)


def _files(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []


def _mark(folder: Path, erased: Mapping[str, str]) -> None:
    record = _json(folder / RECORD)
    if record is not None:
        before = record.get("erased")
        write_json(folder / RECORD, {**record, "erased": {**(before if isinstance(before, dict) else {}), **erased}})


def _bare(record: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    legs = record.get("legs")
    bare = {name: record[name] for name in KEPT_OF_RECORD if name in record}
    kept = [leg for leg in legs if isinstance(leg, dict)] if isinstance(legs, list) else []
    before = record.get("erased")
    return {
        **bare,
        "legs": [{"from": "", "to": "", **{name: leg[name] for name in KEPT_OF_LEG if name in leg}} for leg in kept],
        "erased": {
            **(before if isinstance(before, dict) else {}),
            **dict.fromkeys(("recordings", "transcripts", "timelines", "numbers"), _text(at)),
        },
    }


def _strip(path: Path) -> None:
    """Both forms of a timeline hold an entry a line."""
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return
    write_atomic(path, b"".join(_without_words(line) for line in lines))


def _without_words(line: bytes) -> bytes:
    if not any(name.encode() in line for name in WORDS):
        return line
    body = line.rstrip(b",\n")
    try:
        entry = json.loads(body)
    except ValueError:
        return line
    what = str(entry.get("what", "")) if isinstance(entry, dict) else ""
    if what.partition(":")[0] not in WORDS:
        return line
    shortened = json.dumps({**entry, "data": {"data": "erased"}}, ensure_ascii=False, separators=(",", ":"))
    return shortened.encode() + line[len(body) :]


def _json(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
