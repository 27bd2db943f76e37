"""ToneScript: tones written down, as VoxEngine's `createToneScriptPlayer` takes them (reference voxengine §3.1).

    440@-19,480@-19;*(2/4/1+2)

Frequencies in Hz with a level in dBFS, up to six, then one or more sections of `seconds(on/off/tones,…)`: for so many
seconds (`*`: for ever) the cadence in brackets repeats, each part sounding `on` and pausing `off` seconds (`*` on: to
the section's end) with the tones of those numbers, 0 being silence. The notation is that of the tone settings of
Sipura's and Cisco's telephone adapters, where levels are dBm; here they are dBFS, of each frequency.

Left out: a section that lasts for ever after others, and frequency modulation.
"""

import math
import re
from dataclasses import dataclass

import numpy as np

from cordboard.media.samples import Samples, samples_per_frame
from cordboard.media.tones import sine

MAX_FREQUENCIES = 6
"""As the adapters have it."""

MAX_SECTIONS = 20
"""Sections of a script: a chime has three."""

MAX_PARTS = 6
"""Parts of a cadence, as the adapters have it."""

MAX_SECONDS = 60.0
"""Seconds of a script, or of one round of one that lasts for ever: national cadences repeat within ten."""

_NUMBER = r"[0-9]{0,5}(?:\.[0-9]{1,4})?"
_FREQUENCY = re.compile(rf"(?P<hz>{_NUMBER})@(?P<level>-?{_NUMBER})")
_SECTION = re.compile(r"(?P<seconds>\*|[0-9.]+)\((?P<parts>[^()]*)\)")
_PART = re.compile(rf"(?P<on>\*|{_NUMBER})/(?P<off>{_NUMBER})/(?P<tones>[0-9](?:\+[0-9])*)")


class ToneScriptError(ValueError):
    """A script that cannot be read; says where."""


@dataclass(frozen=True, slots=True)
class _Part:
    on: float
    off: float
    tones: tuple[int, ...]


def render(script: str, rate: int) -> tuple[Samples, bool]:
    """(sound, whether it repeats for ever) of a script; a sound that repeats is a whole number of 20 ms frames.

    Raises ToneScriptError.
    """
    head, *sections = [piece.strip() for piece in script.strip().rstrip(";").split(";")]
    tones = _tones(head, rate)
    if not 1 <= len(sections) <= MAX_SECTIONS:
        raise ToneScriptError(f"{len(sections)} sections follow the frequencies, not 1 to {MAX_SECTIONS}")
    sounds: list[Samples] = []
    for section in sections:
        found = _SECTION.fullmatch(section)
        if found is None:
            raise ToneScriptError(f"section {section!r} is not seconds(on/off/tones,…)")
        forever = found["seconds"] == "*"
        if forever and len(sections) > 1:
            raise ToneScriptError("a section that lasts for ever stands alone")
        parts = _parts(found["parts"], len(tones))
        seconds = _round_of(parts) if forever else _seconds(found["seconds"], section)
        left = MAX_SECONDS - sum(each.size for each in sounds) / rate
        if not 0 < seconds <= left:
            raise ToneScriptError(f"section {section!r} lasts {seconds:g} s; a script lasts {MAX_SECONDS:g} s at most")
        sounds.append(_cadence(parts, tones, seconds, rate))
        if forever:
            return _whole_frames(sounds[0], rate), True
    return np.concatenate(sounds), False


def _tones(head: str, rate: int) -> list[tuple[float, float]]:
    """(Hz, dBFS) of each frequency."""
    written = [each.strip() for each in head.split(",")]
    if len(written) > MAX_FREQUENCIES:
        raise ToneScriptError(f"{len(written)} frequencies are more than {MAX_FREQUENCIES}")
    tones = []
    for each in written:
        found = _FREQUENCY.fullmatch(each)
        if found is None or not found["hz"].strip(".") or not found["level"].strip("-."):
            raise ToneScriptError(f"frequency {each!r} is not Hz@level, as 440@-19")
        hz, level = float(found["hz"]), float(found["level"])
        if not 0 < hz < rate / 2 or not -96 <= level <= 0:
            raise ToneScriptError(f"frequency {each!r} is not below {rate // 2} Hz with a level of -96 to 0")
        tones.append((hz, level))
    if sum(10 ** (level / 20) for _, level in tones) > 1.0001:
        raise ToneScriptError("all frequencies at once would clip: lower their levels")
    return tones


def _parts(text: str, count: int) -> list[_Part]:
    pieces = [each.strip() for each in text.split(",")]
    if len(pieces) > MAX_PARTS:
        raise ToneScriptError(f"{len(pieces)} parts of a cadence are more than {MAX_PARTS}")
    parts = []
    for each in pieces:
        found = _PART.fullmatch(each)
        if found is None or not found["on"]:
            raise ToneScriptError(f"part {each!r} is not on/off/tones, as 2/4/1+2")
        tones = tuple(int(tone) for tone in found["tones"].split("+"))
        if max(tones) > count:
            raise ToneScriptError(f"part {each!r} names tone {max(tones)}; there are {count}")
        on = math.inf if found["on"] == "*" else _seconds(found["on"], each)
        parts.append(_Part(on, _seconds(found["off"] or "0", each), tones))
    return parts


def _seconds(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ToneScriptError(f"{text!r} in {where!r} is no number of seconds") from None


def _round_of(parts: list[_Part]) -> float:
    """Seconds of one round of a cadence; a part that sounds for ever is cut to a second, which repeats."""
    return sum(1.0 if math.isinf(part.on) else part.on + part.off for part in parts)


def _cadence(parts: list[_Part], tones: list[tuple[float, float]], seconds: float, rate: int) -> Samples:
    """The parts over and over for so many seconds."""
    out = np.zeros(round(seconds * rate), np.int16)
    place = 0
    while place < out.size:
        before = place
        for part in parts:
            on = out.size - place if math.isinf(part.on) else min(round(part.on * rate), out.size - place)
            for tone in part.tones:
                if tone and on > 0:
                    hz, level = tones[tone - 1]
                    out[place : place + on] += sine(hz, on / rate, rate, level)[:on]
            place += on + (0 if math.isinf(part.on) else round(part.off * rate))
        if place == before:
            raise ToneScriptError("a cadence of no length")
    return out


def _whole_frames(sound: Samples, rate: int) -> Samples:
    """So that its end meets its begin on the beat of the wire."""
    missing = -sound.size % samples_per_frame(rate)
    return np.concatenate((sound, np.zeros(missing, np.int16)))
