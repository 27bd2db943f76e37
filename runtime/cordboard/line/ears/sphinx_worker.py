"""The recogniser's process: `python -m cordboard.line.ears.sphinx_worker FILE.jsgf`.

pocketsphinx holds the interpreter's lock while it decodes, so in the stand-in's own process it would stop the sound of
all calls. Standard input carries utterances, each a header (rate in Hz and number of bytes, big-endian 32 bits each)
and 16-bit little-endian samples; standard output a line of JSON for each, `{"text": …}`. The end of the input ends the
process.
"""

from __future__ import annotations

import json
import re
import struct
import sys
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from cordboard.media.prompt import change_rate
from cordboard.media.samples import Samples

HEADER = struct.Struct(">II")
"""Before each utterance: rate in Hz, bytes of samples."""

RATE = 16000
"""Hz of the packaged model; telephone sound decodes as well there as at any lower band limit of the features."""

PEAK = 0.7
"""Of full scale, for the loudest sample: the model was trained on close microphones."""

SILENCE = 0.4
"""Seconds on both sides: a grammar begins and ends in silence."""

NOISE = 0.006
"""Standard deviation of the noise floor over full scale, in all of the model's band. Without it the empty band above
4 kHz of a telephone is like nothing the model knows."""

SEED = 1
"""Of the noise: one sound has one text."""


class GrammarError(Exception):
    """A grammar cannot be used; the text says why."""


def prepare(samples: Samples, rate: int) -> Samples:
    """Return an utterance as the model wants it: 16 kHz, loud, with a noise floor, between silences."""
    sound = change_rate(samples, rate, RATE).astype(np.float64) / 32768.0
    loudest = float(np.abs(sound).max(initial=0.0))
    if loudest > 0.0:
        sound *= PEAK / loudest
    edge = np.zeros(round(SILENCE * RATE))
    sound = np.concatenate((edge, sound, edge))
    sound += np.random.default_rng(SEED).normal(0.0, NOISE, sound.size)
    return np.rint(np.clip(sound, -1.0, 1.0) * 32767.0).astype(np.int16)


class Recogniser:
    """A grammar and the model."""

    def __init__(self, grammar: Path) -> None:
        """Raises `GrammarError`, OSError for a file that cannot be read, ImportError without pocketsphinx."""
        pocketsphinx = import_module("pocketsphinx")  # an extra, without types
        try:
            text = grammar.read_text("utf-8")
        except UnicodeDecodeError as exc:
            raise GrammarError("is not UTF-8") from exc
        model = files(pocketsphinx) / "model" / "en-us"
        names = {"hmm": str(model / "en-us"), "dict": str(model / "cmudict-en-us.dict")}
        self._decoder: Any = pocketsphinx.Decoder(lm=None, loglevel="FATAL", **names)
        missing = [word for word in words(text) if self._decoder.lookup_word(word) is None]
        if missing:
            raise GrammarError(f"these words are not in the dictionary: {', '.join(missing)[:200]}")
        try:
            self._decoder.add_jsgf_string("grammar", text)
            self._decoder.activate_search("grammar")
            self._sentences = self._decoder.get_fsg("grammar")
        except (RuntimeError, ValueError) as exc:
            raise GrammarError("is not JSGF with one public rule") from exc

    def text(self, samples: Samples, rate: int) -> str:
        """Return the sentence of the grammar that was said, or "": half a sentence is none."""
        self._decoder.start_utt()
        self._decoder.process_raw(prepare(samples, rate).tobytes(), full_utt=True)
        self._decoder.end_utt()
        found = self._decoder.hyp()
        said = "" if found is None else str(found.hypstr)
        return said if said and self._sentences.accept(said) else ""


def words(grammar: str) -> list[str]:
    """Return the words that a grammar names, each once, in order."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", grammar, flags=re.DOTALL)
    text = re.sub(r"#JSGF[^;]*;|\b(?:grammar|import)\b[^;]*;|<[^>]*>|\{[^}]*\}|/[^/]*/", " ", text)
    found = re.findall(r"[^\s;=|*+()\[\]\"]+", re.sub(r"\bpublic\b(?=\s*=)", " ", text))
    return list(dict.fromkeys(found))


def main() -> None:
    """Serve until the input ends."""
    recogniser = Recogniser(Path(sys.argv[1]))
    while len(header := sys.stdin.buffer.read(HEADER.size)) == HEADER.size:
        rate, size = HEADER.unpack(header)
        samples = np.frombuffer(sys.stdin.buffer.read(size), "<i2").astype(np.int16)
        sys.stdout.write(json.dumps({"text": recogniser.text(samples, rate)}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
