"""`cordboard cartesia`: agents and calls as Cartesia's platform (or the stand-in) tells of them.

The API key comes from CARTESIA_API_KEY or the secret of that name in this machine's store, never from an argument.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from cordboard.cartesia import errors
from cordboard.cartesia.client import Client, Json
from cordboard.cli.errors import BAD, GOOD, NOT_FOUND, USAGE, CliError
from cordboard.cli.options import Verbs
from cordboard.cli.settings import read_config
from cordboard.cli.terminal import note, out, out_json, printable, table
from cordboard.config.model import Config
from cordboard.edge.data_dir import DataDir
from cordboard.edge.stores import store_addresses
from cordboard.storage.addresses import open_secrets
from cordboard.storage.interface import SecretNotFound, StorageError

KEY: Final = "CARTESIA_API_KEY"

_HINTS: Final[Mapping[type[errors.CartesiaError], str]] = {
    errors.Unauthorized: f"check {KEY}: `cordboard keys put --secret {KEY}`",
    errors.NotFound: "`cordboard cartesia agents` lists agents, `cartesia calls AGENT` their calls",
    errors.Conflict: "look at its state first: `cordboard cartesia call ID`",
    errors.RateLimited: "wait, then try again",
    errors.Unreachable: "check [agents.cartesia].base_url and the network, or give --base-url",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    names = "agents|connect|disconnect|deployments|calls|call|transcript|log|recording|cancel|erase|dial|token"
    verbs = Verbs(parser, names)

    def add(name: str, line: str, *operands: str) -> argparse.ArgumentParser:
        verb = verbs.add(name, line)
        verb.add_argument("--base-url", metavar="URL", help="default: [agents.cartesia].base_url")
        for operand in operands:
            verb.add_argument(operand.lower(), metavar=operand)
        return verb

    add("agents", "agents of the account")
    add("connect", "let an agent's calls be answered by cartesia-line code at a URL of yours", "AGENT", "URL")
    add("disconnect", "undo `connect`", "AGENT")
    add("deployments", "an agent's deployments", "AGENT")
    calls = add("calls", "an agent's calls", "AGENT")
    calls.add_argument("--limit", type=int, default=20, metavar="N", help="at most so many (default: %(default)s)")
    add("call", "one call", "CALL")
    add("transcript", "who said what, and when", "CALL")
    add("log", "what the agent's code logged", "CALL")
    recording = add("recording", "fetch a call's WAV", "CALL")
    recording.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    add("cancel", "end a live call", "CALL")
    add("erase", "remove a call's sensitive data there", "CALL")
    dial = add("dial", "let the platform dial", "AGENT")
    dial.add_argument("numbers", nargs="+", metavar="NUMBER")
    dial.add_argument("--from-number-id", required=True, metavar="ID", help="the platform's number that is shown")
    dial.add_argument("--data", action="append", default=[], metavar="K=V", help="metadata of the calls")
    token = add("token", "mint an access token for the agents' socket")
    token.add_argument("--expires-in", type=int, default=600, metavar="SECONDS", help="at most 3600")


def main(args: argparse.Namespace) -> int:
    """Run one verb."""
    config = read_config(args)
    base_url = args.base_url or config.agents.cartesia.base_url
    try:
        with Client(_key(config), base_url=base_url) as client:
            return _run(args, client)
    except errors.CartesiaError as error:
        hint = _HINTS.get(type(error), "see `cordboard cartesia --help`")
        code = NOT_FOUND if isinstance(error, errors.NotFound) else BAD
        raise CliError(code, printable(str(error)), hint) from None
    except ValueError as error:
        raise CliError(USAGE, str(error), "see `cordboard cartesia --help`") from None


def _run(args: argparse.Namespace, client: Client) -> int:
    match args.action:
        case "agents":
            _show(args, client.agents(), ("id", "name", "self_hosted_deployment_url", "deployment_count"))
        case "connect":
            _result(args, client.connect_agent(args.agent, args.url))
            note(f"calls of {args.agent} are answered by {args.url}")
        case "disconnect":
            _result(args, client.connect_agent(args.agent, None))
            note(f"{args.agent} is disconnected")
        case "deployments":
            _show(args, client.deployments(args.agent), ("id", "status", "is_live", "created_at"))
        case "calls":
            _show(args, list(client.calls(args.agent, limit=args.limit)), ("id", "start_time", "status", "end_reason"))
        case "call":
            out(json.dumps(client.call(args.call), ensure_ascii=False, indent=None if args.json else 2))
        case "transcript":
            _transcript(args, client.call(args.call))
        case "log":
            out(json.dumps(client.call_log(args.call), ensure_ascii=False, indent=None if args.json else 2))
        case "recording":
            _recording(args, client)
        case "cancel":
            client.cancel_call(args.call)
            note(f"call {args.call} is ended")
        case "erase":
            client.erase_call(args.call)
            note(f"call {args.call} is erased there")
        case "dial":
            return _dial(args, client)
        case _:
            token = client.access_token(expires_in=args.expires_in)
            out_json({"token": token}) if args.json else out(token)
    return GOOD


def _key(config: Config) -> str:
    if found := os.environ.get(KEY):
        return found
    data = DataDir(config.edge.data_dir)
    with suppress(SecretNotFound, StorageError, OSError):
        if config.storage.backend == "aws" or data.secrets.exists():
            with open_secrets(store_addresses(config, data).secrets, time.time) as secrets:
                return secrets.resolve(KEY).value
    raise CliError(USAGE, f"there is no API key: neither {KEY} nor a secret of that name", _HINTS[errors.Unauthorized])


def _show(args: argparse.Namespace, rows: list[Json], columns: tuple[str, ...]) -> None:
    if args.json:
        for row in rows:
            out_json(row)
    else:
        cells = [tuple("" if row.get(name) is None else str(row[name]) for name in columns) for row in rows]
        table(tuple(name.upper() for name in columns), cells)


def _result(args: argparse.Namespace, answer: Json) -> None:
    if args.json:
        out_json(answer)


def _transcript(args: argparse.Namespace, call: Json) -> None:
    turns = call.get("transcript") or []
    for turn in (turn for turn in turns if isinstance(turn, dict)):
        if args.json:
            out_json(turn)
        elif turn.get("text"):
            cut = "  (interrupted)" if turn.get("end_reason") == "interrupted" else ""
            began = turn.get("start_timestamp")
            at = f"{began:8.2f}" if isinstance(began, int | float) else " " * 8
            out(f"{at}  {printable(str(turn.get('role', '')))}: {printable(str(turn['text']))}{cut}")


def _recording(args: argparse.Namespace, client: Client) -> None:
    """A file of that name is replaced only by a whole recording."""
    path: Path = args.output
    part = path.with_name(f".{path.name}.part")
    try:
        with open(part, "wb") as file:
            size = client.recording(args.call, file)
        part.replace(path)
    except OSError as error:
        raise CliError(USAGE, f"{path}: {error.strerror}", "give a file in a folder that you may write to") from None
    finally:
        part.unlink(missing_ok=True)
    note(f"{path}: {size} bytes")


def _dial(args: argparse.Namespace, client: Client) -> int:
    metadata: dict[str, Any] = {}
    for pair in args.data:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise CliError(USAGE, f"--data {pair!r} is not K=V", "write --data order=9")
        metadata[name] = value
    answers = client.start_calls(args.agent, args.numbers, from_number_id=args.from_number_id, metadata=metadata)
    for answer in answers:
        if args.json:
            out_json(answer)
        else:
            out(f"{answer.get('number', '')}  {answer.get('agent_call_id') or answer.get('error', '')}")
    failed = [answer for answer in answers if "error" in answer]
    if failed:
        sys.stderr.write(f"{len(failed)} of {len(answers)} calls could not be placed\n")
    return BAD if failed else GOOD
