"""The edge's own log: one line per entry on stderr, as text or as one JSON object ([log] of cordboard.toml).

Numbers and names come from callers: in text, what a terminal or a reader of lines would obey is escaped, so that no
caller writes a line of his own. Tracebacks of the edge's own mistakes follow in indented lines.
"""

import json
import logging
import re
import sys
import time
from collections.abc import Mapping
from typing import Any, Literal

LEVELS: Mapping[str, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def set_up(process: str, form: Literal["text", "json"], level: str) -> None:
    """Send the log of this process to stderr; `process` stands in every line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json(process) if form == "json" else _Text(process))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[level])
    for noisy in ("uvicorn", "asyncio", "httpx"):
        logging.getLogger(noisy).setLevel(max(LEVELS[level], logging.WARNING))


def write(logger: logging.Logger, level: str, message: str, fields: Mapping[str, Any]) -> None:
    """One line with fields."""
    logger.log(LEVELS[level], "%s", message, extra={"fields": dict(fields)})


_OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""C0 and C1 controls, line and paragraph separators, and what turns the direction of writing."""


def escaped(text: str) -> str:
    """One line without control characters; each stands as its escape."""
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class _Text(logging.Formatter):
    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        fields = "".join(f" {key}={value}" for key, value in getattr(record, "fields", {}).items())
        text = escaped(f"{clock} {self._process} {record.levelname.lower()}: {record.getMessage()}{fields}")
        if not record.exc_info:
            return text
        trace = self.formatException(record.exc_info).split("\n")  # its last lines may quote a caller
        return "\n".join([text, *(f"  | {escaped(line)}" for line in trace)])


class _Json(_Text):
    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        entry: dict[str, object] = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "process": self._process,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False, default=str)
