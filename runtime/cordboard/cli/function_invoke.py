"""`cordboard functions invoke`: one round of one function, asked as an edge asks (compare `sam local invoke`).

The file holds an invocation (`cordboard.invocation/1`), or its event alone: `{"type": …, "target": …, "data": {…}}`, to
which a made-up session with a caller and an agent is added. The answer is printed; nothing of it is executed.
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from cordboard.cli.errors import BAD, NOT_FOUND, USAGE, CliError
from cordboard.config.model import Config
from cordboard.contract.codec import DecodeError, decode, encode
from cordboard.contract.events import EVENTS, Event
from cordboard.contract.records import INVOCATION_SCHEMA, Invocation, ObjectRecord, SessionInfo
from cordboard.edge.control.functions import function_host
from cordboard.edge.data_dir import DataDir
from cordboard.hosts.errors import FunctionError

SESSION: Final = "s_invoked"
MAX_EVENT: Final = 256 * 1024
"""Bytes of the file: an invocation has no more."""
TIMEOUT: Final = 10.0
"""Seconds for the round, its function's cold start included."""


def read_event(path: str) -> Mapping[str, Any]:
    """The file's JSON object; `-` is standard input. Raises CliError."""
    try:
        if path == "-":
            data = sys.stdin.buffer.read(MAX_EVENT + 1)
        else:
            with open(path, "rb") as file:
                data = file.read(MAX_EVENT + 1)
        found = json.loads(data) if len(data) <= MAX_EVENT else None
    except OSError as error:
        raise CliError(USAGE, f"{path}: {error.strerror}", "name a file with -e, or - for standard input") from None
    except ValueError as error:
        raise CliError(USAGE, f"{path}: is no JSON: {error}", f"write {EXAMPLE}") from None
    if not isinstance(found, dict):
        raise CliError(USAGE, f"{path}: is no JSON object of at most {MAX_EVENT} bytes", f"write {EXAMPLE}")
    return found


EXAMPLE: Final = '{"type": "http.request", "data": {"method": "POST", "path": "/", "headers": {}, "content": "{}"}}'


def invocation_of(given: Mapping[str, Any], scenario: str, path: str) -> Invocation:
    """What to ask. Raises CliError that names what does not fit."""
    try:
        if given.get("schema") == INVOCATION_SCHEMA:
            return decode(Invocation, given)
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        event = decode(Event, {"id": f"{SESSION}:1", "seq": 1, "at": now, **given})
        if event.type not in EVENTS:
            raise DecodeError("type", f"there is no event {event.type!r}; there are {', '.join(sorted(EVENTS))}")
        decode(EVENTS[event.type], event.data)
    except DecodeError as error:
        raise CliError(USAGE, f"{path}: {error}", f"write {EXAMPLE}") from None
    objects = (
        ObjectRecord("caller", "call", f"{SESSION}/caller", "CONNECTED", "+18005550100", "+15551234567", incoming=True),
        ObjectRecord("agent", "agent", f"{SESSION}/agent", "STARTED"),
    )
    session = SessionInfo(SESSION, scenario, f"https://edge.example/control/{SESSION}", now)
    return Invocation(session, event, now, objects=objects)


def invoke(config: Config, function: str, given: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The function's answer. Raises CliError, FunctionsBroken."""
    return asyncio.run(_invoke(config, function, given, path))


async def _invoke(config: Config, function: str, given: Mapping[str, Any], path: str) -> dict[str, Any]:
    data = DataDir(config.edge.data_dir)
    data.make()
    async with function_host(config, data) as (host, release):
        described = release.functions.get(function)
        if described is None:
            known = ", ".join(release.functions)
            raise CliError(NOT_FOUND, f"there is no function {function!r}", f"functions: {known}")
        asked = invocation_of(given, described.scenario, path)
        payload = encode(asked)
        assert isinstance(payload, Mapping)
        try:
            return await host.invoke(release.id, function, payload, timeout=TIMEOUT)
        except FunctionError as error:
            raise CliError(BAD, str(error), "the function's own output stands above") from None
