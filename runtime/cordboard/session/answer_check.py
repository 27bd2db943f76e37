"""Whether the edge may take an answer: its size, its fence, and what a round may not do (DESIGN §4).

Leaves out the arguments of its commands: a command that does not fit fails by name when it is executed.
"""

from collections.abc import Mapping
from typing import Any

from cordboard.contract.codec import DecodeError, encode
from cordboard.contract.commands import Command, fingerprint
from cordboard.contract.records import MAX_ANSWER, MAX_COMMANDS, MAX_ROUNDS, MAX_STATE, Answer, size_of

from .steps import Journal, Step


def check_size(raw: Mapping[str, Any]) -> None:
    """Raises DecodeError for an answer above MAX_ANSWER, or one that JSON cannot carry."""
    try:
        size = size_of(raw)
    except (TypeError, ValueError, RecursionError) as error:
        raise DecodeError("", f"has no JSON form: {error}") from error
    if size > MAX_ANSWER:
        raise DecodeError("", f"has {size} bytes, more than {MAX_ANSWER}")


def check_answer(
    answer: Answer, journal: Journal, *, event_id: str, round_: int, attempt: int, state_version: int
) -> None:
    """Compare an answer with what was asked and the event's `journal`. Raises DecodeError that names the field."""
    for name, got, want in (
        ("event_id", answer.event_id, event_id),
        ("round", answer.round, round_),
        ("attempt", answer.attempt, attempt),
    ):
        if got != want:
            raise DecodeError(name, f"is {got!r}, the edge asked for {want!r}")
    if journal.commands() + len(answer.commands) > MAX_COMMANDS:
        raise DecodeError("commands", f"an event may emit {MAX_COMMANDS}")
    if answer.status == "suspended" and round_ + 1 >= MAX_ROUNDS:
        raise DecodeError("round", f"an event may take {MAX_ROUNDS} rounds")
    if answer.state is not None:
        if answer.state.base_version != state_version:
            raise DecodeError("state.base_version", f"is {answer.state.base_version}, not {state_version}")
        if (size := size_of(encode(answer.state.data))) > MAX_STATE:
            raise DecodeError("state.data", f"has {size} bytes, more than {MAX_STATE}")
    if answer.reply is not None:
        answer.reply.content()
    seen: set[str] = set()
    for index, entry in enumerate(answer.journal):
        journal.check_read(entry, f"journal[{index}]")
        if entry.id in seen:
            raise DecodeError(f"journal[{index}].id", f"{entry.id!r} stands twice")
        seen.add(entry.id)
    for index, command in enumerate(answer.commands):
        _check_command(command, journal, f"commands[{index}]", seen)
    known = seen | {entry.id for entry in journal.entries()} | {entry.id for entry in answer.journal}
    for waiting in answer.waiting:
        if waiting not in known:
            raise DecodeError("waiting", f"{waiting} is no step of this event")


def _check_command(command: Command, journal: Journal, path: str, seen: set[str]) -> None:
    if journal.number(command.id) is None or command.id in seen:
        raise DecodeError(f"{path}.id", f"{command.id!r} is not a new id of event {journal.seq}")
    if command.hash != fingerprint(command.type, command.target, command.args):
        raise DecodeError(f"{path}.hash", f"does not fit {command.type}")
    before = journal.get(command.id)
    if before is not None:
        was = before.command if isinstance(before, Step) else before
        if was.hash != command.hash:
            raise DecodeError(
                path,
                f"non-determinism: step {command.id} was {was.type} at {was.line or '?'}, "
                f"now it is {command.type} at {command.line or '?'}",
            )
    seen.add(command.id)
