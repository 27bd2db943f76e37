"""The folders of calls in `data_dir`, as verbs name and read them, whether an edge runs or not (DESIGN §6)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from cordboard.cli.errors import NOT_FOUND, USAGE, CliError
from cordboard.cli.terminal import note
from cordboard.config.values import parse_duration
from cordboard.edge.data_dir import DataDir


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

    @property
    def erased(self) -> Mapping[str, Any]:
        """Kind → when it was erased."""
        found = (self.record or {}).get("erased")
        return found if isinstance(found, dict) else {}

    def get(self, name: str) -> str:
        """A field of the record or else of the facts, as text."""
        value = (self.record or {}).get(name, self.facts.get(name, ""))
        return str(value)

    def state(self, edge_runs: bool) -> str:
        """ended, live, or lost: no record and no edge."""
        return state_of(self.record is not None, edge_runs)


def state_of(ended: bool, edge_runs: bool) -> str:
    """ended, live, or lost: no record and no edge."""
    if ended:
        return "ended"
    return "live" if edge_runs else "lost"


def folders(data: DataDir) -> list[Path]:
    """Every call's folder, by name."""
    return sorted(path for path in data.calls.iterdir() if path.is_dir()) if data.calls.is_dir() else []


def read_folder(path: Path) -> CallFolder:
    """A call; what cannot be read is said and left out."""
    facts = _json_object(path / "facts.json")
    return CallFolder(path, facts or {}, _json_object(path / "record.json"))


def find(data: DataDir, prefix: str) -> CallFolder:
    """The call of an id, or of a prefix that no other has. Raises CliError."""
    found = [path for path in folders(data) if path.name.startswith(prefix)]
    exact = [path for path in found if path.name == prefix]
    if exact or (prefix and len(found) == 1):
        return read_folder((exact or found)[0])
    if found:
        names = ", ".join(path.name for path in found[:5])
        raise CliError(USAGE, f"{len(found)} calls begin with {prefix!r}", f"write more of one of: {names}")
    raise CliError(NOT_FOUND, f"there is no call {prefix!r} in {data.calls}", "`cordboard calls ls` lists all")


def age(flag: str, text: str) -> timedelta:
    """A duration given by a flag. Raises CliError."""
    try:
        return timedelta(seconds=parse_duration(text))
    except (ValueError, OverflowError):
        raise CliError(USAGE, f"{flag} {text!r} is no duration", "write 15m, 2h or 7d") from None


def _json_object(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        note(f"{path} cannot be read: {error}")
        return None
    return value if isinstance(value, dict) else None
