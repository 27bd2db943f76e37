"""`cordboard calls`: what `data_dir` holds of calls, whether an edge runs or not (DESIGN §6).

`start` and `hangup` ask a running edge.

A call is named by its id or a prefix that no other call has. Numbers and names are printed without control characters.
"""

import argparse
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cordboard.cli import call_content, live_calls
from cordboard.cli.call_folders import age, find, read_folder, state_of
from cordboard.cli.call_lines import POLL, lines
from cordboard.cli.errors import BAD, GOOD, CliError
from cordboard.cli.options import Verbs
from cordboard.cli.settings import read_config
from cordboard.cli.terminal import coloured, note, out, out_json, printable, table
from cordboard.edge.call_index import CallIndex
from cordboard.edge.data_dir import DataDir
from cordboard.storage.interface import StorageUnavailable

MOST_CALLS: Final = 1_000_000_000  # of --limit; SQLite counts further


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    verbs = Verbs(parser, "ls|start|show|transcript|log|timeline|recording|hangup|rm")
    ls = verbs.add("ls", "calls, newest first")
    ls.add_argument("--live", action="store_true", help="only calls that have not ended")
    ls.add_argument("--number", metavar="TEXT", help="only calls from or to a number that contains this")
    ls.add_argument("--cause", metavar="CAUSE", help="only calls with this cause, as caller.hangup")
    ls.add_argument("--since", metavar="2h", help="only calls begun within this time (m, h, d)")
    ls.add_argument("--limit", type=int, default=50, metavar="N", help="at most so many (default %(default)s)")
    live_calls.add_verbs(verbs)
    show = verbs.add("show", "one call: who, when, how it ended, what was heard")
    show.add_argument("id", metavar="ID")
    show.add_argument("-f", "--follow", action="store_true", help="wait for its end")
    transcript = verbs.add("transcript", "what was said in one call, and what of it was heard")
    transcript.add_argument("id", metavar="ID")
    for name, line in (("log", "what the handlers of one call logged"), ("timeline", "all that happened in one call")):
        verb = verbs.add(name, f"{line}, or with -f of all new ones")
        verb.add_argument("id", metavar="ID", nargs="?")
        verb.add_argument("-f", "--follow", action="store_true", help="print new entries as they come")
    recording = verbs.add("recording", "the sound of one call, as a wav file; --json lists what there is")
    recording.add_argument("id", metavar="ID")
    recording.add_argument("name", metavar="NAME", nargs="?", help="which, where there are several")
    recording.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: standard output")
    rm = verbs.add("rm", "erase sound, words, timeline and numbers of calls that have ended")
    rm.add_argument("ids", metavar="ID", nargs="*")
    rm.add_argument("--older-than", metavar="30d", help="calls that ended before this time (m, h, d)")
    rm.add_argument("--yes", action="store_true", help="do not ask")


def main(args: argparse.Namespace) -> int:
    """Run one verb."""
    if args.action in ("start", "hangup"):
        return live_calls.start(args) if args.action == "start" else live_calls.hangup(args)
    data = DataDir(read_config(args).edge.data_dir)
    match args.action:
        case "ls":
            return _ls(args, data)
        case "show":
            return _show(args, data)
        case "transcript":
            return call_content.transcript(args, data)
        case "recording":
            return call_content.recording(args, data)
        case "rm":
            return call_content.remove(args, data)
        case _:
            return lines(args, data)


def _ls(args: argparse.Namespace, data: DataDir) -> int:
    runs = data.edge_runs()
    since = None if args.since is None else (datetime.now(UTC) - age("--since", args.since)).timestamp()
    if not data.calls.is_dir():
        calls = []
    else:
        try:
            with CallIndex(data) as index:
                index.sync()
                if index.rebuilt:
                    note(f"the list of calls was made anew: {index.rebuilt}")
                for problem in index.problems:
                    note(problem)
                limit = min(max(0, args.limit), MOST_CALLS)
                wanted = {"number": args.number, "cause": args.cause, "since": since}
                calls = index.newest(**wanted, open_only=args.live, limit=limit) if runs or not args.live else []
        except StorageUnavailable as error:
            hint = f"free the disk, or remove {data.index.name}*: it is made anew from the calls"
            raise CliError(BAD, f"the list of calls cannot be read: {error}", hint) from None
    if args.json:
        for call in calls:
            folder = read_folder(data.calls / call.id)
            out_json({"id": call.id, "state": folder.state(runs), **(folder.record or folder.facts)})
        return GOOD
    now = datetime.now(UTC).timestamp()
    rows = [
        (
            call.id,
            call.from_number,
            call.to_number,
            state_of(call.ended is not None, runs),
            _short(timedelta(seconds=now - call.started)) if call.started else "",
            call.cause,
        )
        for call in calls
    ]
    table(("ID", "FROM", "TO", "STATE", "AGE", "CAUSE"), rows)
    return GOOD


def _show(args: argparse.Namespace, data: DataDir) -> int:
    call = find(data, args.id)
    while args.follow and call.record is None and data.edge_runs():
        time.sleep(POLL)
        call = read_folder(call.path)
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
    for kind, when in call.erased.items():
        out(f"  {'erased':<11} {printable(f'{kind} at {when}')}")
    return GOOD


def _short(age: timedelta) -> str:
    seconds = max(0, int(age.total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
