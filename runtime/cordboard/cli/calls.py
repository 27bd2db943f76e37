"""`cordboard calls`: what `data_dir` holds of calls, whether an edge runs or not (DESIGN §6).

A call is named by its id or a prefix that no other call has. Numbers and names are printed without control characters.
"""

import argparse
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cordboard.cli.errors import GOOD, NOT_FOUND, USAGE, CliError
from cordboard.cli.options import Verbs
from cordboard.cli.settings import read_config
from cordboard.cli.terminal import coloured, note, out, out_json, printable, table
from cordboard.edge.data_dir import DataDir

POLL: Final = 0.2  # seconds between two looks of a follow
MAX_DETAIL: Final = 60  # characters of one detail in a log; -v shows whole ones, SIP messages above all
_SINCE: Final = {"m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True, slots=True)
class CallFolder:
    """A call as its files tell it."""

    path: Path
    """calls/<id>"""
    facts: Mapping[str, Any]
    """facts.json, or empty."""
    record: Mapping[str, Any] | None
    """record.json; None: the call has not ended in order."""

    @property
    def id(self) -> str:
        """Session id."""
        return self.path.name

    def get(self, name: str) -> str:
        """A field of the record or else of the facts, as text."""
        value = (self.record or {}).get(name, self.facts.get(name, ""))
        return str(value)

    def state(self, edge_runs: bool) -> str:
        """ended, live, or lost: no record and no edge."""
        if self.record is not None:
            return "ended"
        return "live" if edge_runs else "lost"

    def started(self) -> datetime | None:
        """When it began."""
        try:
            moment = datetime.fromisoformat(self.get("started_at"))
        except ValueError:
            return None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    verbs = Verbs(parser, "ls|show|log")
    ls = verbs.add("ls", "calls, newest first")
    ls.add_argument("--live", action="store_true", help="only calls that have not ended")
    ls.add_argument("--number", metavar="TEXT", help="only calls from or to a number that contains this")
    ls.add_argument("--cause", metavar="CAUSE", help="only calls with this cause, as caller.hangup")
    ls.add_argument("--since", metavar="2h", help="only calls begun within this time (m, h, d)")
    ls.add_argument("--limit", type=int, default=50, metavar="N", help="at most so many (default %(default)s)")
    show = verbs.add("show", "one call: who, when, how it ended, what was heard")
    show.add_argument("id", metavar="ID")
    show.add_argument("-f", "--follow", action="store_true", help="wait for its end")
    log = verbs.add("log", "the timeline of one call, or with -f of all new ones")
    log.add_argument("id", metavar="ID", nargs="?")
    log.add_argument("-f", "--follow", action="store_true", help="print new entries as they come")


def main(args: argparse.Namespace) -> int:
    """Run one verb."""
    data = DataDir(read_config(args).edge.data_dir)
    if args.action == "ls":
        return _ls(args, data)
    if args.action == "show":
        return _show(args, data)
    if args.id is None:
        if not args.follow:
            raise CliError(USAGE, "calls log needs an ID", "or -f to follow all new calls")
        return _follow_all(args, data)
    return _log(args, data)


def _ls(args: argparse.Namespace, data: DataDir) -> int:
    runs = data.edge_runs()
    since = None if args.since is None else datetime.now(UTC) - _age(args.since)
    rows: list[tuple[str, ...]] = []
    for call in sorted(_all(data), key=lambda each: each.get("started_at"), reverse=True):
        started = call.started()
        if (
            (args.live and call.state(runs) != "live")
            or (args.number and args.number not in call.get("from") and args.number not in call.get("to"))
            or (args.cause and call.get("cause") != args.cause)
            or (since is not None and (started is None or started < since))
        ):
            continue
        if len(rows) >= args.limit:
            break
        if args.json:
            out_json({"id": call.id, "state": call.state(runs), **(call.record or call.facts)})
        age = "" if started is None else _short(datetime.now(UTC) - started)
        rows.append((call.id, call.get("from"), call.get("to"), call.state(runs), age, call.get("cause")))
    if not args.json:
        table(("ID", "FROM", "TO", "STATE", "AGE", "CAUSE"), rows)
    return GOOD


def _show(args: argparse.Namespace, data: DataDir) -> int:
    call = _find(data, args.id)
    while args.follow and call.record is None and data.edge_runs():
        time.sleep(POLL)
        call = _read(call.path)
    state = call.state(data.edge_runs())
    if args.json:
        out_json({"id": call.id, "state": state, **(call.record or call.facts)})
        return GOOD
    out(f"{coloured(call.id, 'bold')}  {state}")
    for name in ("scenario", "from", "to", "started_at", "ended_at", "duration", "cause", "fault", "release"):
        if text := call.get(name):
            out(f"  {name:<11} {printable(text)}")
    record = call.record or {}
    for leg in record.get("legs", ()):
        answered = f"{leg.get('duration', 0):.1f} s" if leg.get("answered") else f"not answered ({leg.get('code')})"
        line = f"{leg.get('name')} {leg.get('direction')} {leg.get('from')} → {leg.get('to')}: {answered}"
        out(f"  {'leg':<11} {printable(line)}, ended by {leg.get('ended_by')}")
    for cord in record.get("ledger", ()):
        rate = cord.get("rate") or 1
        heard, got = cord.get("sent", 0) / rate, cord.get("received", 0) / rate
        line = f"{cord.get('source')} → {cord.get('sink')}: {heard:.1f} s of {got:.1f} s"
        out(f"  {'heard':<11} {printable(line)}")
    for name, value in record.get("figures", {}).items():
        out(f"  {'figure':<11} {name} {json.dumps(value)}")
    for name in record.get("recordings", ()):
        out(f"  {'recording':<11} {call.path / Path(str(name)).name}")
    return GOOD


def _log(args: argparse.Namespace, data: DataDir) -> int:
    call = _find(data, args.id)
    reader = _Lines(call.path / "timeline.jsonl")
    while True:
        over = not args.follow or (call.path / "record.json").exists() or not data.edge_runs()
        for entry in reader.read():
            _print_entry(entry, args)
        if over:
            return GOOD
        time.sleep(POLL)


def _follow_all(args: argparse.Namespace, data: DataDir) -> int:
    known = {path.name for path in _folders(data)}
    readers: dict[str, _Lines] = {}
    while True:
        for path in _folders(data):
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
    verbose = args.verbose
    if args.json:
        out_json(entry if call is None else {"id": call, **entry})
        return
    at = entry.get("at", 0.0)
    data = entry.get("data")
    details = ""
    if isinstance(data, dict):
        shown = ((key, json.dumps(value, ensure_ascii=False)) for key, value in data.items())
        details = " ".join(f"{key}={text if verbose else _clip(text)}" for key, text in shown)
    prefix = "" if call is None else f"{call[:10]} "
    clock = f"{at:9.3f}" if isinstance(at, (int, float)) else "        ?"
    kind = coloured(f"{printable(str(entry.get('kind', ''))):<8}", "green")
    what = printable(str(entry.get("what", "")))
    out(f"{prefix}{clock}  {kind} {what}  {coloured(printable(details), 'dim')}".rstrip())


def _folders(data: DataDir) -> list[Path]:
    return sorted(path for path in data.calls.iterdir() if path.is_dir()) if data.calls.is_dir() else []


def _all(data: DataDir) -> Iterator[CallFolder]:
    return (_read(path) for path in _folders(data))


def _read(path: Path) -> CallFolder:
    facts = _json_object(path / "facts.json")
    return CallFolder(path, facts or {}, _json_object(path / "record.json"))


def _json_object(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        note(f"{path} cannot be read: {error}")
        return None
    return value if isinstance(value, dict) else None


def _find(data: DataDir, prefix: str) -> CallFolder:
    found = [path for path in _folders(data) if path.name.startswith(prefix)]
    exact = [path for path in found if path.name == prefix]
    if len(found) == 1 or exact:
        return _read((exact or found)[0])
    if found:
        names = ", ".join(path.name for path in found[:5])
        raise CliError(USAGE, f"{len(found)} calls begin with {prefix!r}", f"write more of one of: {names}")
    raise CliError(NOT_FOUND, f"there is no call {prefix!r} in {data.calls}", "`cordboard calls ls` lists all")


def _age(text: str) -> timedelta:
    found = re.fullmatch(r"(\d{1,6})([mhd])", text)
    if found is None:
        raise CliError(USAGE, f"--since {text!r} is no duration", "write 15m, 2h or 7d")
    return timedelta(**{_SINCE[found[2]]: int(found[1])})


def _short(age: timedelta) -> str:
    seconds = max(0, int(age.total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
