"""`cordboard calls transcript`, `recording` and `rm`: what was said, how it sounded, and the end of both."""

import argparse
import json
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cordboard.cli.call_folders import CallFolder, age, find, read_folder
from cordboard.cli.errors import BAD, GOOD, NOT_FOUND, USAGE, CliError
from cordboard.cli.terminal import note, out, out_json, printable
from cordboard.edge import erasure
from cordboard.edge.call_index import CallIndex
from cordboard.edge.data_dir import RAW_SUFFIX, DataDir
from cordboard.media.wav import WavError, read_layout
from cordboard.storage.interface import StorageUnavailable

_LEFT: Final = "`calls show` says what is left"
_COPY: Final = 1 << 20  # bytes written to a pipe at a time


def transcript(args: argparse.Namespace, data: DataDir) -> int:
    """Print what was said, and what of it was heard."""
    call = find(data, args.id)
    path = call.path / ("transcript.jsonl" if args.json else "transcript.txt")
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        raise _no_transcript(call, data) from None
    for line in lines:
        if args.json:
            out_json(_entry(path, line))
        else:
            out(printable(line))
    return GOOD


def _entry(path: Path, line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        raise CliError(BAD, f"{path}: a line is damaged", "`calls transcript` without --json prints the text") from None


def _no_transcript(call: CallFolder, data: DataDir) -> CliError:
    if call.record is None and data.edge_runs():
        return CliError(
            BAD, f"call {call.id} has not ended", "its transcript is written at its end; `calls show -f` waits"
        )
    if (when := call.erased.get("transcripts")) is not None:
        return CliError(
            NOT_FOUND, f"the transcript of call {call.id} was erased at {when}", "`calls show` says what is left"
        )
    if (call.path / "transcript.txt").exists():
        return CliError(NOT_FOUND, f"call {call.id} has a transcript as text only", "leave out --json")
    hint = "nobody spoke but prompts, which are not listed, or [privacy] or [retention] transcripts is off"
    return CliError(NOT_FOUND, f"call {call.id} has no transcript", hint)


def recording(args: argparse.Namespace, data: DataDir) -> int:
    """Write one recording to a file or a pipe, or list them as JSON."""
    call = find(data, args.id)
    found = {path.stem: path for path in sorted(call.path.glob("*.wav")) if not path.name.endswith(RAW_SUFFIX)}
    if args.json and args.output is None:
        for name, path in found.items():
            out_json({"id": call.id, "name": name, "path": str(path), **_size(path)})
        return GOOD
    path = _chosen(call, found, args.name)
    if args.output is not None and str(args.output) != "-":
        try:
            shutil.copyfile(path, args.output)
        except OSError as error:
            raise CliError(
                BAD, f"{args.output} cannot be written: {error.strerror}", "name another file: -o FILE"
            ) from None
        note(f"{args.output}: {path.stem} of call {call.id}")
        return GOOD
    if sys.stdout.isatty():
        raise CliError(USAGE, "a recording is no text for a terminal", f"write it to a file: -o {path.name}")
    with path.open("rb") as file:
        shutil.copyfileobj(file, sys.stdout.buffer, _COPY)
    sys.stdout.buffer.flush()
    return GOOD


def _chosen(call: CallFolder, found: dict[str, Path], wanted: str | None) -> Path:
    if wanted is not None and wanted.removesuffix(".wav") in found:
        return found[wanted.removesuffix(".wav")]
    raw = [path.name.removesuffix(RAW_SUFFIX) for path in call.path.glob(f"*{RAW_SUFFIX}")]
    if raw and (wanted is None or wanted in raw) and not found:
        raise CliError(
            BAD, f"recording {raw[0]} of call {call.id} is not finished", "try again once the call has ended"
        )
    if wanted is not None:
        names = ", ".join(found) or "none"
        raise CliError(NOT_FOUND, f"call {call.id} has no recording {wanted!r}", f"it has: {names}")
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        raise CliError(USAGE, f"call {call.id} has {len(found)} recordings", f"name one of: {', '.join(found)}")
    if (when := call.erased.get("recordings")) is not None:
        raise CliError(
            NOT_FOUND, f"the recordings of call {call.id} were erased at {when}", "`calls show` says what is left"
        )
    raise CliError(NOT_FOUND, f"call {call.id} has no recording", "a handler records with call.record()")


def _size(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            layout = read_layout(file, path.name)
    except (OSError, WavError) as error:
        return {"problem": str(error)}
    seconds = round(layout.size / layout.block / layout.rate, 3)
    return {"bytes": path.stat().st_size, "seconds": seconds, "rate": layout.rate, "channels": layout.channels}


def remove(args: argparse.Namespace, data: DataDir) -> int:
    """Erase calls but for ids, times and causes; each leaves a line in audit.jsonl."""
    if bool(args.ids) == (args.older_than is not None):
        raise CliError(USAGE, "calls rm needs IDs, or --older-than", "as in: cordboard calls rm --older-than 30d --yes")
    try:
        with CallIndex(data) as index:
            index.sync()
            calls = [find(data, each) for each in args.ids] if args.ids else _older(index, data, args.older_than)
            _refuse_live(calls, data)
            if calls and not args.yes:
                _ask(calls)
            for call in calls:
                _erase(index, data, call)
                if args.json:
                    out_json({"id": call.id, "erased": True})
                else:
                    out(f"{call.id} erased")
            if calls:
                index.forget_numbers()
    except (StorageUnavailable, OSError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise CliError(
            BAD, f"not everything is erased: {error}", "put that right and give the same command again"
        ) from None
    if not calls:
        note("no call is that old")
    return GOOD


def _erase(index: CallIndex, data: DataDir, call: CallFolder) -> None:
    now = datetime.now(UTC)
    erasure.erase_content(data, call.id, now)
    erasure.audit(data, call.id, "calls rm", now)
    index.reread(call.id)


def _older(index: CallIndex, data: DataDir, text: str) -> list[CallFolder]:
    before = (datetime.now(UTC) - age("--older-than", text)).timestamp()
    calls = [read_folder(data.calls / each.id) for each in index.due(0, before)]
    return [call for call in calls if "numbers" not in call.erased]


def _refuse_live(calls: list[CallFolder], data: DataDir) -> None:
    if not data.edge_runs():
        return
    for call in calls:
        if call.record is None and not (call.path / erasure.RECORD).exists():
            raise CliError(BAD, f"call {call.id} has not ended", "nothing was erased; wait for its end: calls show -f")


def _ask(calls: list[CallFolder]) -> None:
    if not sys.stdin.isatty():
        raise CliError(USAGE, "erasing needs a yes", "add --yes")
    what = calls[0].id if len(calls) == 1 else f"{len(calls)} calls"
    sys.stderr.write(f"erase sound, words, timeline and numbers of {what}? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise CliError(BAD, "nothing was erased", "answer y, or add --yes")
