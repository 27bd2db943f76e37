"""`cordboard calls timeline` and `calls log`: all entries of a call's timeline, or what its handlers logged."""

import argparse
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from cordboard.cli.call_folders import CallFolder, find, folders
from cordboard.cli.errors import GOOD, NOT_FOUND, USAGE, CliError
from cordboard.cli.terminal import coloured, note, out, out_json, printable
from cordboard.edge.data_dir import DataDir

POLL: Final = 0.2  # seconds between two looks of a follow
MAX_DETAIL: Final = 60  # characters of one detail in a timeline; -v shows whole ones, SIP messages above all


def lines(args: argparse.Namespace, data: DataDir) -> int:
    """Print one call's entries, or with -f and no ID those of all new calls."""
    if args.id is not None:
        return _one(args, data)
    if not args.follow:
        raise CliError(USAGE, f"calls {args.action} needs an ID", "or -f to follow all new calls")
    return _all(args, data)


def _one(args: argparse.Namespace, data: DataDir) -> int:
    call = find(data, args.id)
    reader = _Lines(call.path / "timeline.jsonl")
    if not reader.path.exists() and call.record is not None:
        raise _gone(call)
    while True:
        over = not args.follow or (call.path / "record.json").exists() or not data.edge_runs()
        for entry in reader.read():
            _print_entry(entry, args)
        if over:
            return GOOD
        time.sleep(POLL)


def _gone(call: CallFolder) -> CliError:
    when = call.erased.get("timelines")
    if when is None:
        return CliError(NOT_FOUND, f"call {call.id} has no timeline", "nothing was written of it")
    return CliError(NOT_FOUND, f"the timeline of call {call.id} was erased at {when}", "`calls show` says what is left")


def _all(args: argparse.Namespace, data: DataDir) -> int:
    known = {path.name for path in folders(data)}
    readers: dict[str, _Lines] = {}
    while True:
        for path in folders(data):
            if path.name not in known and path.name not in readers:
                readers[path.name] = _Lines(path / "timeline.jsonl")
        for name, reader in tuple(readers.items()):
            over = (reader.path.parent / "record.json").exists()
            for entry in reader.read():
                _print_entry(entry, args, name)
            if over:
                known.add(name)
                del readers[name]
        time.sleep(POLL)


class _Lines:
    """Whole lines of a growing file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._place = 0

    def read(self) -> Iterator[Mapping[str, Any]]:
        """Entries added since the last time; a damaged line is said and passed over."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._place)
                added = file.read()
        except FileNotFoundError:
            return
        whole = added[: added.rfind(b"\n") + 1]
        self._place += len(whole)
        for line in whole.splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                entry = None
            if isinstance(entry, dict):
                yield entry
            else:
                note(f"{self.path}: a line is damaged")


def _clip(text: str) -> str:
    return text if len(text) <= MAX_DETAIL else f"{text[:MAX_DETAIL]}…"


def _print_entry(entry: Mapping[str, Any], args: argparse.Namespace, call: str | None = None) -> None:
    log_only = args.action == "log"
    if log_only and entry.get("kind") != "log":
        return
    if args.json:
        out_json(entry if call is None else {"id": call, **entry})
        return
    at = entry.get("at", 0.0)
    data = entry.get("data")
    fields = dict(data) if isinstance(data, dict) else {}
    kind = str(fields.pop("level", "INFO") if log_only else entry.get("kind", ""))
    shown = ((key, json.dumps(value, ensure_ascii=False)) for key, value in fields.items())
    details = " ".join(f"{key}={text if args.verbose or log_only else _clip(text)}" for key, text in shown)
    prefix = "" if call is None else f"{call[:10]} "
    clock = f"{at:9.3f}" if isinstance(at, (int, float)) else "        ?"
    what = printable(str(entry.get("what", "")))
    label = coloured(f"{printable(kind):<8}", "green")
    out(f"{prefix}{clock}  {label} {what}  {coloured(printable(details), 'dim')}".rstrip())
