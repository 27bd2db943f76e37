"""`cordboard calls start` and `hangup`: calls of a running edge, through its API (HANDLERS §2.1)."""

import argparse
import json
import secrets
import time
from pathlib import Path
from typing import Any, Final

from cordboard.cli.api import Api, add_options
from cordboard.cli.call_lines import POLL
from cordboard.cli.errors import BAD, GOOD, USAGE, CliError
from cordboard.cli.options import Verbs
from cordboard.cli.terminal import note, out, out_json, printable

MAX_FILE: Final = 64 * 1024  # bytes of a file of data; the edge takes 8 KB


def add_verbs(verbs: Verbs) -> None:
    """Declare them."""
    start = verbs.add("start", "begin a scenario without a call: it dials")
    start.add_argument("scenario", metavar="SCENARIO")
    start.add_argument(
        "--data", action="append", default=[], metavar="K=V|@FILE", help="custom data: a text by name, or a JSON object"
    )
    start.add_argument("--wait", action="store_true", help="wait for its end; exit 1 if that was somebody's fault")
    start.add_argument("--idempotency-key", metavar="KEY", help="the same key starts nothing twice within a day")
    add_options(start)
    hangup = verbs.add("hangup", "end a live call at once")
    hangup.add_argument("id", metavar="ID", help="or what a single live call's id begins with")
    add_options(hangup)


def start(args: argparse.Namespace) -> int:
    """Print the id; with --wait the cause, too."""
    body = {"scenario": args.scenario, "custom_data": custom_data(args.data)}
    with Api(args) as api:
        key = args.idempotency_key or secrets.token_hex(16)
        found = api.post("/v1/sessions", body, {"Idempotency-Key": key})
        id_ = str(found["id"])
        if not args.wait:
            out_json(found) if args.json else out(id_)
            return GOOD
        note(f"{id_} began")
        ended = _until_ended(api, id_)
    if args.json:
        out_json(ended)
    else:
        out(f"{id_}  {printable(str(ended.get('cause', '')))}  {float(ended.get('duration', 0)):.1f} s")
    return GOOD if ended.get("fault", "none") == "none" else BAD


def hangup(args: argparse.Namespace) -> int:
    """End one call."""
    with Api(args) as api:
        found = api.post(f"/v1/sessions/{api.whole_id(args.id)}/end")
    out_json(found) if args.json else note(f"{found['id']} is {found['state']}")
    return GOOD


def custom_data(words: list[str]) -> dict[str, Any]:
    """What `--data` says, later words over earlier ones. Raises CliError."""
    found: dict[str, Any] = {}
    for word in words:
        if word.startswith("@"):
            found.update(_file(Path(word[1:])))
            continue
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise CliError(USAGE, f"--data {word!r} has no name", "write --data to=+15551234567, or --data @file.json")
        found[name] = value
    return found


def _file(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_FILE + 1)
        value = json.loads(text) if len(text) <= MAX_FILE else None
    except OSError as error:
        raise CliError(USAGE, f"--data @{path}: {error.strerror}", "name a file with a JSON object") from None
    except (ValueError, RecursionError) as error:
        raise CliError(USAGE, f"--data @{path} is no JSON: {error}", "name a file with a JSON object") from None
    if not isinstance(value, dict):
        raise CliError(USAGE, f"--data @{path} holds no JSON object of at most {MAX_FILE} bytes", 'write {"to": "+1…"}')
    return value


def _until_ended(api: Api, id_: str) -> dict[str, Any]:
    while True:
        found = api.get(f"/v1/sessions/{id_}")
        if found["state"] == "ended":
            return found
        time.sleep(POLL)
