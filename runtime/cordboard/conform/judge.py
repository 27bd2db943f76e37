"""Rows of the table: what was checked at which function, and what came of it."""

import re
from dataclasses import dataclass
from typing import Final, Literal

from cordboard.contract.codec import DecodeError

CHECKS: Final = {
    "start": "asks for its first event in time",
    "describe": "says what it listens to, the same each time and in each process",
    "answer": "answers each event as the contract asks, cold and warm",
    "replay": "goes on where the journal ends, in another process too, whatever became of its steps",
    "duplicate": "commands the same when an invocation comes again, there or in another process",
    "order": "depends on the invocation alone: not on what came before, nor on another session",
    "crash": "takes over what another process died of in mid-round",
    "newer": "bears events and fields of a newer edge, and an invocation of 256 KB",
    "late": "answers within the round's time",
    "size": "keeps answers within 64 KB",
    "state": "reads and writes the session's state",
    "reply": "replies to requests",
    "tools": "answers calls of its tools, good and bad ones",
    "webhooks": "takes its webhooks",
    "routes": "no other function listens to the same",
}
"""Check → what it asks, in the order of the table."""

Result = Literal["ok", "raised", "missing", "failed"]
"""raised: the handler raised at a plausible event, which the contract allows; what follows could not be played.
missing: it asked for a key or secret that is not there; what it does with one was not played."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    function: str
    """Name in the template."""
    check: str
    """A key of CHECKS."""
    result: Result
    """What came of it."""
    detail: str
    """ok: figures; else the event, and what was expected and what came."""
    advice: str = ""
    """What to do; empty where it is well."""


class Violation(Exception):
    """A function breaks the contract. `detail`: what was expected and what came."""

    def __init__(self, check: str, detail: str, advice: str) -> None:
        super().__init__(detail)
        self.check = check
        self.detail = detail
        self.advice = advice

    def at(self, label: str) -> "Violation":
        """The same, with the event before it."""
        return Violation(self.check, f"{label}: {self.detail}", self.advice)


def refused(error: DecodeError) -> Violation:
    """What the edge refuses in an answer, by the field's path."""
    for pattern, check, advice in _FIELDS:
        if re.match(pattern, error.path):
            return Violation(check, str(error), advice)
    return Violation("answer", str(error), "answer what schemas/answer.json describes, and nothing else")


_FIELDS: Final = (
    (r"(event_id|round|attempt)$", "answer", "echo event.id, round and attempt of the invocation"),
    (r"state", "state", "with done alone: the invocation's version as base_version, all fields in data, 20 KB at most"),
    (r"reply|headers|status$|body$", "reply",
     "reply {status, body, headers}; what is no text as base64; 64 KB at most"),
    (r"(commands|journal)\[\d+\]\.hash", "answer",
     "hash: the first 16 hex digits of SHA-256 over JSON [type, target, args], keys sorted, no spaces, \\u escapes"),
    (r"(commands|journal)\[\d+\]\.id", "answer",
     "number the steps of an event {seq}.0, {seq}.1, … in order, and send those alone that the journal has not"),
    (r"commands\[\d+\]$", "replay", "what may differ between rounds is read from the invocation or from the journal"),
    (r"commands\[\d+\]", "answer", "commands and their arguments stand in schemas/commands.json"),
    (r"waiting", "replay", "wait for steps of this event whose result the journal has not"),
)  # fmt: skip
"""Pattern of a field's path → check, advice."""
