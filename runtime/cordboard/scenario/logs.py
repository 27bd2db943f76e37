"""Log lines of a turn: `Logger.write` and the standard library's logging, each line once although code is replayed.

The edge says in `Invocation.logged` how many lines earlier rounds have brought; a replay logs the same lines again, so
the first that many are dropped. An event keeps MAX_LOG_LINES lines; what comes later is counted in the last one.
Leaves out: `print`, which goes to the worker's standard output.
"""

import logging
from collections.abc import Collection, Mapping
from typing import Any, Final

from cordboard.contract.codec import DecodeError, check_json
from cordboard.contract.records import MAX_LOG_LINES, LogLine

from .secret import ControlUrl, Secret, redact
from .turn import Turn

MAX_LINE: Final = 2_000  # characters of one line or one field; an answer of 64 KB must hold its commands, too


class TurnLog:
    """The lines of one round."""

    def __init__(self, already: int, revealed: Collection[str] = ()) -> None:
        """`already`: lines that earlier rounds brought; `revealed`: values that no line may hold, as they grow."""
        self._skip = already
        self._revealed = revealed
        self._room = MAX_LOG_LINES - already
        self._lines: list[LogLine] = []
        self._lost = 0

    def add(self, level: str, message: str, fields: Mapping[str, Any]) -> None:
        """Keep a line, unless an earlier round brought it."""
        if self._skip > 0:
            self._skip -= 1
        elif len(self._lines) < self._room:
            shown = {self._cut(str(key)): self._shown(value) for key, value in fields.items()}
            self._lines.append(LogLine(level, self._cut(message), shown))
        elif self._lines:
            self._lost += 1

    def lines(self) -> tuple[LogLine, ...]:
        """What the answer carries."""
        if not self._lost:
            return tuple(self._lines)
        last = LogLine("WARNING", f"{self._lost + 1} more lines of this event were dropped (limit {MAX_LOG_LINES})")
        return (*self._lines[:-1], last)

    def _cut(self, text: str) -> str:
        """Masked first: half of a secret is one, too."""
        return redact(text, self._revealed)[:MAX_LINE]

    def _shown(self, value: object) -> Any:
        if isinstance(value, ControlUrl | Secret):
            return repr(value) if isinstance(value, Secret) else str(value)
        if isinstance(value, str):
            return self._cut(value)
        if isinstance(value, Mapping):
            return {self._cut(str(key)): self._shown(item) for key, item in list(value.items())[:MAX_LOG_LINES]}
        if isinstance(value, list | tuple):
            return [self._shown(item) for item in value[:MAX_LOG_LINES]]
        try:
            return check_json(value, "")
        except DecodeError:
            return self._cut(repr(value))


def taking() -> TurnLog | None:
    """The log that takes a line written now: only the handler's own task has one, until its answer is fixed."""
    turn = Turn.current()
    if turn is None or turn.muted or not turn.in_own_task():
        return None
    return turn.log


class _Capture(logging.Handler):
    """First of the root's handlers; takes the lines of a turn before others print them."""

    def emit(self, record: logging.LogRecord) -> None:
        log = taking()
        if log is None:
            return
        try:
            message = record.getMessage()
        except (TypeError, ValueError) as error:
            message = f"{record.msg!r} could not be formatted: {error}"
        if record.exc_info:
            message += "\n" + logging.Formatter().formatException(record.exc_info)
        log.add(record.levelname, message, {"logger": record.name})


def _not_taken(record: logging.LogRecord) -> bool:
    return taking() is None


_capture: Final = _Capture()


def install() -> None:
    """Put the capture in place; idempotent. Root's other handlers of this moment no longer print a turn's lines."""
    root = logging.getLogger()
    if _capture in root.handlers:
        return
    for handler in root.handlers:
        if handler.__class__.__module__.startswith("awslambdaric"):
            handler.addFilter(_not_taken)
            root.setLevel(min(root.level, logging.INFO))  # Lambda's own default; WARNING would lose log.info
    root.addHandler(_capture)
