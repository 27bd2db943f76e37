"""`cordboard replay`: today's functions asked again about recorded calls, offline; the diff of what they command.

Exit codes: 0 nothing differs, 1 something does, 2 usage, or a journal that cannot be read, 4 no such call or journal.
"""

import argparse
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cordboard.cli.call_folders import age, find, folders, read_folder
from cordboard.cli.errors import BAD, GOOD, NOT_FOUND, USAGE, CliError
from cordboard.cli.settings import read_config
from cordboard.cli.terminal import coloured, note, out, out_json, printable
from cordboard.config.model import Config
from cordboard.contract.release import RouteConflict
from cordboard.edge.data_dir import JOURNAL, DataDir
from cordboard.hosts.errors import FunctionError, TemplateError
from cordboard.replay.call import CallReport, Replay
from cordboard.replay.differences import Difference, to_json, to_text
from cordboard.replay.offline import stay_closed
from cordboard.replay.recorded import JournalUnreadable, RecordedCall, read_journal

PROGRESS: Final = 1.0  # seconds between two lines on standard error
_NUMBER: Final = re.compile(r"\+?\d[\d ().-]{5,}\d")  # seven digits at least: a local telephone number
TEMPLATE: Final = "template.yaml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("ids", metavar="ID", nargs="*", help="calls, by id or a prefix that no other has")
    parser.add_argument("--since", metavar="7d", help="all calls begun within this time (m, h, d)")
    parser.add_argument("--scenario", metavar="NAME", help="only calls of this scenario")
    parser.add_argument(
        "--functions", type=Path, metavar="DIR",
        help=f"functions to ask: a folder with a {TEMPLATE}, or with code for that of the configuration",
    )  # fmt: skip
    parser.add_argument(
        "--follow-state", action="store_true", help="give each event the state that today's handlers made before it"
    )
    parser.add_argument("--redact", choices=("numbers",), help="mask telephone numbers in what is printed")


def main(args: argparse.Namespace) -> int:
    """Run it."""
    if bool(args.ids) == (args.since is not None):
        raise CliError(USAGE, "name calls, or all of a time", "cordboard replay ID…, or cordboard replay --since 7d")
    config = read_config(args)
    since = None if args.since is None else datetime.now(UTC) - age("--since", args.since)
    paths = list(_paths(args, DataDir(config.edge.data_dir), since))
    printer = _Printer(args.json, args.redact == "numbers")
    try:
        _replay(args, config, paths, printer)
    finally:
        stay_closed()  # what today's code left for later is not performed, either
    return printer.end()


def _replay(args: argparse.Namespace, config: Config, paths: list[Path], printer: "_Printer") -> None:
    told = began = time.monotonic()
    try:
        replay = _functions(args, config)
    except (TemplateError, FunctionError, RouteConflict) as error:
        raise CliError(
            USAGE, f"the functions cannot be loaded: {error}", "`cordboard functions list` tries it"
        ) from None
    with replay:
        for number, path in enumerate(paths):
            if (now := time.monotonic()) - told > PROGRESS and not args.quiet:
                told = now
                note(f"{number} of {len(paths)} calls, {now - began:.0f} s")
            call = printer.read(path)
            if call is not None:
                printer.report(call, replay.call(call))


def _paths(args: argparse.Namespace, data: DataDir, since: datetime | None) -> Iterator[Path]:
    named = [find(data, prefix) for prefix in args.ids]
    for call in named or map(read_folder, folders(data)):
        path = call.path / JOURNAL
        if named and not path.exists():
            hint = "[privacy] journal or [retention] timelines is off, or the journal was erased with the timeline"
            raise CliError(NOT_FOUND, f"call {call.id} has no journal", hint)
        wanted = args.scenario in (None, call.get("scenario"))
        if wanted and path.exists() and (since is None or _begun_since(call.get("started_at"), since)):
            yield path


def _functions(args: argparse.Namespace, config: Config) -> Replay:
    """Raises TemplateError, FunctionError, RouteConflict."""
    folder: Path | None = args.functions
    follow = args.follow_state
    if folder is None:
        return Replay(config.functions.template, follow_state=follow)
    if not folder.is_dir():
        raise CliError(USAGE, f"--functions {folder} is no folder", f"name one with a {TEMPLATE}, or with code")
    if (folder / TEMPLATE).exists():
        return Replay(folder / TEMPLATE, follow_state=follow)
    return Replay(config.functions.template, code=folder, follow_state=follow)


@dataclass(slots=True)
class _Printer:
    """What is said, and what it amounts to."""

    json: bool
    redacts: bool
    calls: int = 0
    events: int = 0
    unanswered: int = 0
    differ: int = 0
    masked: int = 0
    unreadable: int = 0

    def read(self, path: Path) -> RecordedCall | None:
        """The call; None, and said, where its journal cannot be read."""
        try:
            call = read_journal(path)
        except (JournalUnreadable, FileNotFoundError) as error:
            self.unreadable += 1
            note(printable(str(error)))
            return None
        if call.torn is not None:
            self.unreadable += 1
            note(f"{call.torn}; what stands before it is replayed")
        if call.full:
            note(f"{path}: reached its limit; what came later is not in it")
        return call

    def report(self, call: RecordedCall, found: CallReport) -> None:
        """One call."""
        self.calls += 1
        self.events += found.events
        self.unanswered += found.unanswered
        self.differ += found.differs
        self.masked += sum(1 for each in found.differences if not each.differs)
        if self.json:
            for each in found.differences:
                whole = to_json(each)
                out_json({**self._json(whole), "call": whole["call"]})
        elif found.differences:
            began = call.began
            out(coloured(found.session, "bold") + printable(f"  {began.scenario}  {began.started_at}"))
            for each in found.differences:
                self._text(each)

    def end(self) -> int:
        """The sum, and the exit code."""
        more = ""
        if self.masked:
            more += f", {self.masked} events not replayable"
        if self.unanswered:
            more += f", {self.unanswered} events had no answer to compare"
        if self.unreadable:
            more += f", {self.unreadable} journals unreadable"
        line = f"{self.calls} calls, {self.events} events, {self.differ} differ{more}"
        (note if self.json else out)(line)
        if self.unreadable:
            return USAGE
        return BAD if self.differ else GOOD

    def _text(self, difference: Difference) -> None:
        for line in to_text(difference):
            out(f"  {self._masked(printable(line))}")

    def _json(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._masked(value)
        if isinstance(value, dict):
            return {key: self._json(item) for key, item in value.items()}
        return [self._json(item) for item in value] if isinstance(value, list | tuple) else value

    def _masked(self, text: str) -> str:
        return _NUMBER.sub("***", text) if self.redacts else text


def _begun_since(started_at: str, since: datetime) -> bool:
    try:
        return datetime.fromisoformat(started_at) >= since
    except (ValueError, TypeError):  # no time, or one without a zone: better one call too many
        return True
