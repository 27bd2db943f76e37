"""Prompts: sound files made ready for a leg, once, before any call needs them.

soxr changes the rate here in high quality; it holds back audio by the tenth of a second, which is why live frames do
not pass through it.

Left out: other containers than WAV.
"""

from pathlib import Path

import numpy as np
import soxr

from cordboard.media.chain import Format, encode
from cordboard.media.samples import Samples
from cordboard.media.wav import WavError, read_wav

MAX_PROMPT_SECONDS = 600
"""Longest prompt. Ten minutes of µ-law are 4.8 MB in memory; longer sounds are hold music that may repeat."""


def change_rate(samples: Samples, source: int, sink: int) -> Samples:
    """All of a sound, one channel, at another rate (Hz), in soxr's high quality and without delay."""
    if source == sink:
        return samples
    return np.asarray(soxr.resample(samples, source, sink, "HQ"), np.int16)


class NoSuchPrompt(ValueError):
    """A name that leads to no file of the prompts' folder."""


def prompt_path(folder: Path, name: str) -> Path:
    """The file of a prompt named `greetings/hello.wav`, or `prompts/greetings/hello.wav`, below `folder`.

    Raises NoSuchPrompt for absolute names, names that lead out of the folder, and files that are not there.
    """
    inner = Path(name.removeprefix("prompts/"))
    if inner.is_absolute() or ".." in inner.parts or "\0" in name:
        raise NoSuchPrompt(f"{name!r} is no path below the prompts folder")
    path = folder / inner
    if not path.is_file() or not path.resolve().is_relative_to(folder.resolve()):
        raise NoSuchPrompt(f"there is no file {inner.as_posix()!r} in the prompts folder, [media] prompts")
    return path


def load_prompt(path: str | Path, form: Format) -> bytes:
    """The WAV file at `path` as octets of `form`, filled with silence to a whole number of 20 ms frames.

    Channels are mixed to one. WavError for an unreadable or too long file, OSError as `open` has it.
    """
    sound = read_wav(path)
    if sound.samples.shape[0] > MAX_PROMPT_SECONDS * sound.rate:
        raise WavError(Path(path).name, "data", f"a prompt lasts {MAX_PROMPT_SECONDS} s at most")
    data = encode(change_rate(sound.mono(), sound.rate, form.rate), form)
    missing = -len(data) % form.bytes_per_frame
    return data + form.silence[:missing]
