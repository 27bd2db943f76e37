"""What differs between a recorded call and today's functions, for people and for programs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from cordboard.contract.commands import Command
from cordboard.contract.records import JournalEntry

from .masks import same

What: TypeAlias = Literal[
    "command", "waiting", "state", "reply", "failure", "policy", "read", "listens", "listened", "masked"
]
"""command: the first that is another one, is missing or is new; waiting: what the handler awaits; read: a read or an
outside effect of one side alone; listens, listened: only today's, only the recorded functions take the event; masked:
it cannot be compared, for the handler knew what the journal may not say."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first difference of one event."""

    session: str
    """Session id."""
    seq: int
    """The event's number; 0: of no single event."""
    type: str
    """The event's type."""
    target: str | None
    """Its object."""
    what: What
    """In what they differ."""
    recorded: Any = None
    """Then; None: nothing."""
    today: Any = None
    """Now; None: nothing."""

    @property
    def differs(self) -> bool:
        """It is a difference, and not merely unknown."""
        return self.what != "masked"


def shown_command(command: Command) -> dict[str, Any]:
    """A command as a difference shows it."""
    return {"type": command.type, "target": command.target, "args": dict(command.args), "line": command.line}


def shown_read(entry: JournalEntry) -> dict[str, Any]:
    """A read as a difference shows it."""
    return {"type": entry.type, "target": entry.target, "line": entry.line}


def to_json(difference: Difference) -> dict[str, Any]:
    """One JSON object."""
    return {
        "call": difference.session,
        "event": difference.seq,
        "type": difference.type,
        "target": difference.target,
        "what": difference.what,
        "recorded": difference.recorded,
        "today": difference.today,
    }


def to_text(difference: Difference) -> list[str]:
    """Lines for people; the caller makes them printable."""
    each = difference
    name = f"{each.type}:{each.target}" if each.target else each.type
    head = f"event {each.seq} {name}" if each.seq else name
    match each.what:
        case "listens":
            return [f"{head}: today {each.today} takes it, then nobody did"]
        case "listened":
            return [f"{head}: then {each.recorded} took it, today nobody does"]
        case "masked":
            return [f"{head}: not replayable: masked {each.recorded}"]
        case "state" | "reply":
            changed = [f"    {path}: {_value(then)} → {_value(now)}" for path, then, now in each.today]
            return [f"{head}: {each.what}", *changed]
        case _:
            then, today = _shortened(each.recorded, each.today)
            return [f"{head}: {each.what}", f"    then  {_side(then)}", f"    today {_side(today)}"]


def _shortened(then: Any, today: Any) -> tuple[Any, Any]:
    """Of one and the same command only the arguments in which it differs."""
    if not (isinstance(then, Mapping) and isinstance(today, Mapping)) or "args" not in then or "args" not in today:
        return then, today
    if (then["type"], then["target"]) != (today["type"], today["target"]):
        return then, today
    left, right = then["args"], today["args"]
    names = [name for name in {**left, **right} if not same(left.get(name), right.get(name))]
    return (
        {**then, "args": {name: left.get(name) for name in names}},
        {**today, "args": {name: right.get(name) for name in names}},
    )


def _side(value: Any) -> str:
    if value is None:
        return "nothing"
    if not isinstance(value, Mapping) or "type" not in value:
        return _value(value)
    args = value.get("args")
    inside = ", ".join(f"{name}={_value(item)}" for name, item in args.items()) if isinstance(args, Mapping) else ""
    target = f" {value['target']}" if value.get("target") else ""
    at = f"  at {value['line']}" if value.get("line") else ""
    return f"{value.get('type')}{target}{f' ({inside})' if inside else ''}{at}"


def _value(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + "…"


MOST_SHOWN = 200
"""Characters of one value; JSON has it whole."""
