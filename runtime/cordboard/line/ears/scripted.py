"""The scripted ear of exact tests: hears what was written down before, whatever the sound.

A script is TOML, one list of utterances per call or one for all of them; each turn of the caller takes the next, and
when none is left the turn carries no text:

    utterances = ["hello", "transfer me please"]    # of every call

    [[calls]]                                       # or: of the first call, of the second, …
    utterances = ["goodbye"]
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

from cordboard.line.ears.ear import Ear
from cordboard.line.tables import ScriptError, Table
from cordboard.media.samples import Samples

MAX_UTTERANCE = 2000
"""Characters of one utterance: two minutes of speech."""


class ScriptedEar:
    """Gives one utterance per turn."""

    turns = None

    def __init__(self, utterances: Sequence[str]) -> None:
        self._left = list(reversed(utterances))

    def receive_audio(self, samples: Samples) -> None:
        """Ignored."""

    def use_language(self, language: str) -> bool:
        """Text is heard as it is written."""
        return False

    def start(self) -> None:
        """Ignored."""

    async def finish(self) -> str:
        """Return the next utterance, "" when none is left."""
        return self._left.pop() if self._left else ""

    async def close(self) -> None:
        """Nothing to do."""


class ScriptedEars:
    """Ears for the calls in their order; calls beyond `calls` hear `everyone`."""

    def __init__(self, everyone: Sequence[str] = (), calls: Sequence[Sequence[str]] = ()) -> None:
        self._everyone = tuple(everyone)
        self._calls = list(reversed(calls))

    def open(self, rate: int, language: str = "") -> Ear:
        """Return the next call's ear."""
        return ScriptedEar(self._calls.pop() if self._calls else self._everyone)


def load_script(path: Path) -> ScriptedEars:
    """Read a script of utterances; raise `ScriptError` (also for a file that cannot be read)."""
    try:
        root = Table("", tomllib.loads(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise ScriptError(f"{path}: {exc}") from exc
    everyone = _utterances(root)
    tables = [Table(f"calls[{at}]", value) for at, value in enumerate(root.take("calls", list, []), 1)]
    calls = [_utterances(table) for table in tables]
    root.done("utterances, calls")
    for table in tables:
        table.done("utterances")
    return ScriptedEars(everyone, calls)


def _utterances(table: Table) -> tuple[str, ...]:
    found = table.take("utterances", list, [])
    if not all(isinstance(item, str) and len(item) <= MAX_UTTERANCE for item in found):
        raise table.fault("utterances", f"must be a list of texts of at most {MAX_UTTERANCE} characters")
    return tuple(found)
