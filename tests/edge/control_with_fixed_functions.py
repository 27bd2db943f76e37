"""Control's process with functions that are plain coroutines of this file: no template, no import of user code."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from cordboard.config.model import Config
from cordboard.contract.commands import fingerprint
from cordboard.contract.records import Description, EventRoute
from cordboard.contract.release import Release
from cordboard.edge.control import __main__ as control
from cordboard.edge.data_dir import DataDir

ALERTING = (EventRoute("call.alerting", "caller"),)
SCENARIOS = {"answering": "line-agent", "dialling": "dialler", "ringing": "ringer"}
RELEASE = Release("r1", {name: Description(scenario, ALERTING) for name, scenario in SCENARIOS.items()})


def _command(id_: str, type_: str, args: dict[str, Any], target: str = "caller") -> dict[str, Any]:
    return {"id": id_, "type": type_, "target": target, "hash": fingerprint(type_, target, args), "args": args}


def _answering(seq: int) -> list[dict[str, Any]]:
    return [_command(f"{seq}.0", "call.answer", {}), _command(f"{seq}.1", "call.record", {"stereo": True})]


def _dialling(seq: int) -> list[dict[str, Any]]:
    return [
        _command(f"{seq}.0", "call.answer", {}),
        _command(f"{seq}.1", "call.dial", {"to": "+14155550100", "trunk": "here"}, "found"),
        _command(f"{seq}.2", "call.dial", {"to": "+14155550100", "trunk": "nowhere"}, "lost"),
    ]


def _ringing(seq: int) -> list[dict[str, Any]]:
    return [_command(f"{seq}.0", "call.ring", {})]


COMMANDS = {"answering": _answering, "dialling": _dialling, "ringing": _ringing}


class FixedFunctions:
    """Functions that answer each call and record it, that dial over two trunks, or that let it ring."""

    @property
    def current(self) -> Release:
        return RELEASE

    async def start(self) -> Release:
        return RELEASE

    async def reload(self) -> Release:
        return RELEASE

    async def invoke(
        self, release_id: str, function: str, payload: Mapping[str, Any], *, timeout: float
    ) -> dict[str, Any]:
        await asyncio.sleep(0)
        event = payload["event"]
        return {
            "schema": "cordboard.answer/1",
            "event_id": event["id"],
            "round": payload["round"],
            "attempt": payload["attempt"],
            "status": "done",
            "commands": COMMANDS[function](int(event["seq"])),
        }

    def retain(self, release_id: str) -> None:
        return None

    def done(self, release_id: str) -> None:
        return None

    async def close(self) -> None:
        return None


@asynccontextmanager
async def fixed_host(config: Config, data: DataDir) -> AsyncIterator[tuple[FixedFunctions, Release]]:
    """Stands for `function_host`."""
    yield FixedFunctions(), RELEASE


if __name__ == "__main__":
    control.function_host = fixed_host  # type: ignore[attr-defined]
    sys.exit(control.main())
