"""A knowledge base for agent programs: a folder of text files, searched for the query's words.

Serves what cartesia-line's `knowledge_base` asks for (reference cartesia-protocols §3.8). All agents share the folder.
Paragraphs are ranked by how rare the query's words in them are; leaves out embeddings, and `filters` other than on
`file`, the name of a paragraph's file.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

MAX_BYTES: Final = 10 * 1024 * 1024
"""Bytes of text that are read; files beyond it are left out by name order."""

MAX_TOP: Final = 50
"""Results of one query."""

SUFFIXES: Final = (".txt", ".md")

_WORD = re.compile(r"\w+")


class _Paragraph(NamedTuple):
    file: str
    text: str
    words: Counter[str]


class Knowledge:
    """The folder, read again for each query: it is small, and its owner edits it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def query(self, text: str, top: int, filters: Mapping[str, Any] | None = None) -> list[str]:
        """The best paragraphs, the best first. Blocks: for a thread. Raises OSError; ValueError for a filter that is
        not known."""
        filters = filters or {}
        if unknown := sorted(set(filters) - {"file"}):
            raise ValueError(f"filters.{unknown[0]}: only `file` is known")
        paragraphs = [each for each in self._read() if filters.get("file") in (None, each.file)]
        wanted = set(_WORD.findall(text.casefold()))
        holders = {word: sum(word in each.words for each in paragraphs) for word in wanted}
        weights = {word: math.log(1 + len(paragraphs) / count) for word, count in holders.items() if count}
        scored = [(sum(weights[word] for word in weights if word in each.words), each) for each in paragraphs]
        best = sorted((item for item in scored if item[0] > 0), key=lambda item: (-item[0], len(item[1].text)))
        return [each.text for _, each in best[: min(top, MAX_TOP)]]

    def _read(self) -> list[_Paragraph]:
        found, left = [], MAX_BYTES
        for path in sorted(self._folder.iterdir()):
            if path.suffix not in SUFFIXES or not path.is_file() or path.stat().st_size > left:
                continue
            text = path.read_text("utf-8", "replace")
            left -= path.stat().st_size
            for piece in re.split(r"\n\s*\n", text):
                if piece.strip():
                    words = Counter(_WORD.findall(piece.casefold()))
                    found.append(_Paragraph(path.name, piece.strip(), words))
        return found
