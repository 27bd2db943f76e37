"""`cordboard conform`: does a program that polls the Runtime API keep the contract on an edge's worst days."""

import argparse
import asyncio
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from cordboard.cli.errors import BAD, GOOD, NOT_FOUND, USAGE, CliError
from cordboard.cli.live_calls import custom_data
from cordboard.cli.terminal import coloured, note, out, out_json, printable
from cordboard.conform.functions import conform
from cordboard.conform.judge import CHECKS, Row
from cordboard.conform.program import program_of
from cordboard.conform.samples import CUSTOM_DATA, Given, OwnEvent
from cordboard.contract.codec import DecodeError, decode
from cordboard.contract.events import EVENTS
from cordboard.contract.records import MAX_REQUEST
from cordboard.hosts.errors import TemplateError
from cordboard.hosts.template import FunctionSpec, read_template
from cordboard.hosts.worker_process import INIT_TIMEOUT
from cordboard.storage.interface import StorageError

_COLOURS: Final = {"ok": "green", "raised": "yellow", "missing": "yellow", "failed": "red"}
TEMPLATE: Final = "template.yaml"
_HEADER: Final = ("FUNCTION", "CHECK", "RESULT", "DETAIL")


@dataclass(frozen=True, slots=True)
class _EventFile:
    type: str
    target: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the verb takes."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "checks:\n" + "\n".join(f"  {name:<10} {line}" for name, line in CHECKS.items())
    parser.add_argument(
        "path",
        type=Path,
        nargs="?",
        default=Path(),
        help="a template.yaml, a folder with one or with the code of one above it, or a program's folder",
    )
    parser.add_argument("--command", metavar="WORDS", help='any program that polls the Runtime API: "node handler.mjs"')
    parser.add_argument("--key", action="append", default=[], metavar="NAME=VALUE", help="a key of ApplicationStorage")
    parser.add_argument(
        "--secret",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="what reveals a secret; any text, no real one",
    )
    parser.add_argument(
        "--data", action="append", default=[], metavar="K=V|@FILE", help="custom data: a text by name, or a JSON object"
    )
    parser.add_argument(
        "--event", action="append", type=Path, default=[], metavar="FILE", help='one more: {"type", "target", "data"}'
    )
    parser.add_argument("--strict", action="store_true", help=f"exit {BAD} also where a handler raised or missed a key")
    parser.add_argument("--only", metavar="CHECK[,CHECK]", default="", help="play these checks alone")
    parser.add_argument(
        "--timeout", type=_seconds, metavar="SECONDS", help="of a round, in place of the function's own"
    )
    parser.add_argument(
        "--start-timeout", type=_seconds, default=INIT_TIMEOUT, metavar="SECONDS",
        help=f"until a process asks for its first event (default {INIT_TIMEOUT:g})",
    )  # fmt: skip


def main(args: argparse.Namespace) -> int:
    """Play everything, print the table. BAD if a function breaks the contract; with --strict, if anything is amiss."""
    only = frozenset(filter(None, args.only.split(",")))
    if unknown := only - CHECKS.keys():
        raise CliError(USAGE, f"--only: there is no check {', '.join(sorted(unknown))}", f"checks: {', '.join(CHECKS)}")
    given = Given(
        dict(_key("--key", text) for text in args.key),
        dict(_key("--secret", text) for text in args.secret),
        custom_data(args.data) if args.data else CUSTOM_DATA,
        tuple(_event(path) for path in args.event),
    )
    specs = _specs(args.path, args.command)

    def told(function: str, rows: Sequence[Row]) -> None:
        bad = sum(row.result == "failed" for row in rows)
        missing = sum(row.result == "missing" for row in rows)
        found = [f"{count} {what}" for count, what in ((bad, "failed"), (missing, "missing")) if count]
        if not args.quiet:
            note(f"{function}: {', '.join(found) or 'ok'}")

    def said(function: str, request: str, line: str) -> None:
        if args.verbose:
            note(f"{function} {request}: {printable(line)}")

    try:
        rows = asyncio.run(
            conform(
                specs, given=given, only=only, timeout=args.timeout, start_limit=args.start_timeout,
                on_log=said, on_function=told,
            )
        )  # fmt: skip
    except StorageError as error:
        raise CliError(
            USAGE, f"--key, --secret: {error}", "names have 1 to 200 characters, values 2,000 at most"
        ) from None
    if args.json:
        for row in rows:
            out_json(asdict(row))
    else:
        _print(rows)
    bad = ("failed", "raised", "missing") if args.strict else ("failed",)
    return BAD if any(row.result in bad for row in rows) else GOOD


def _print(rows: Sequence[Row]) -> None:
    """The table; what to do stands below a row that is not ok."""
    lines = [(row.function, row.check, row.result) for row in rows]
    widths = [max(len(line[column]) for line in [_HEADER, *lines]) for column in range(3)]
    out(
        coloured(
            "  ".join([*(word.ljust(width) for word, width in zip(_HEADER, widths, strict=False)), _HEADER[3]]), "bold"
        )
    )
    for row, line in zip(rows, lines, strict=True):
        function, check, result = (word.ljust(width) for word, width in zip(line, widths, strict=True))
        out(f"{function}  {check}  {coloured(result, _COLOURS[row.result])}  {printable(row.detail)}".rstrip())
        if row.advice:
            out(f"{'':{sum(widths) + 6}}→ {printable(row.advice)}")


def _specs(path: Path, command: str | None) -> tuple[FunctionSpec, ...]:
    if not path.exists():
        raise CliError(NOT_FOUND, f"{path}: there is no such file or folder", "name a template.yaml, or give --command")
    if command is not None:
        words = _words(command)
        if not path.is_dir():
            raise CliError(USAGE, f"{path}: with --command it is the folder that the program runs in", "name a folder")
        return (program_of(words, path),)
    try:
        if not path.is_dir() or (path / TEMPLATE).is_file():
            return read_template(path / TEMPLATE if path.is_dir() else path)
        return _of_folder(path.resolve())
    except TemplateError as error:
        hint = 'name a template of functions, or a program: --command "node handler.mjs"'
        raise CliError(USAGE, str(error), hint) from None


def _of_folder(folder: Path) -> tuple[FunctionSpec, ...]:
    """Functions whose code stands in the folder, by the nearest template above it."""
    for above in folder.parents:
        if (above / TEMPLATE).is_file():
            found = tuple(
                spec for spec in read_template(above / TEMPLATE) if spec.code.resolve().is_relative_to(folder)
            )
            if found:
                return found
            raise TemplateError(f"{above / TEMPLATE}: Resources: no function has its code in {folder}")
    return read_template(folder / TEMPLATE)  # which says that there is none


def _words(command: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(command))
    except ValueError as error:
        raise CliError(USAGE, f"--command: {error}", "write it as in a shell") from None
    if not words:
        raise CliError(USAGE, "--command: is empty", 'write a program and its arguments: "node handler.mjs"')
    return words


def _key(option: str, text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found or not name:
        raise CliError(
            USAGE, f"{option}: {text!r} is not NAME=VALUE", f"write for instance {option} PSTN_CALLER_ID=+15550100"
        )
    return name, value


def _event(path: Path) -> OwnEvent:
    """An event of a file. Raises CliError that names the field."""
    hint = 'write {"type": "http.request", "data": {"method": "POST", "path": "/", "content": "{}"}}'
    try:
        with path.open("rb") as file:
            text = file.read(MAX_REQUEST + 1)
        found = decode(_EventFile, json.loads(text) if len(text) <= MAX_REQUEST else None)
        if found.type not in EVENTS:
            raise DecodeError("type", f"{found.type!r} is no event; there are: {', '.join(sorted(EVENTS))}")
        decode(EVENTS[found.type], found.data, path="data")
    except OSError as error:
        raise CliError(NOT_FOUND, f"--event {path}: {error.strerror}", hint) from None
    except (ValueError, RecursionError) as error:  # DecodeError is one
        raise CliError(USAGE, f"--event {path}: {error}", hint) from None
    return OwnEvent(path.name, found.type, found.target, found.data)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.01 <= seconds <= 900:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0.01 and 900 seconds")
    return seconds
