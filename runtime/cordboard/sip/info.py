"""Digits in INFO: application/dtmf-relay and application/dtmf (practice, reference §4.51; RFC 6086 frames INFO).

Both are informal: senders write `Signal=5`, `Signal= 5` or a bare digit, and 10 and 11 for * and #.
"""

import re
from dataclasses import dataclass

from cordboard.sip.body import media_type

DEFAULT_DURATION = 160  # ms, what phones write when they write one
MAX_DURATION = 5_000  # ms; a longer key press is cut, as gateways do
_NAMES = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D"}


@dataclass(frozen=True, slots=True)
class InfoDigit:
    """One digit that came in an INFO."""

    digit: str
    """One of 0-9 * # A-D."""
    duration: int
    """Milliseconds."""


def parse_info_digit(content_type: str, body: bytes) -> InfoDigit | None:
    """Read a digit; None when the type is another one or the body names no digit."""
    kind, _ = media_type(content_type)
    text = body[:256].decode("ascii", "replace")
    duration = DEFAULT_DURATION
    if kind == "application/dtmf-relay":
        signal = re.search(r"(?im)^\s*signal\s*=\s*(\S+)", text)
        length = re.search(r"(?im)^\s*duration\s*=\s*(\d{1,6})", text)
        raw = signal[1] if signal else ""
        if length:
            duration = min(int(length[1]), MAX_DURATION)
    elif kind == "application/dtmf":
        raw = text.strip()
    else:
        return None
    digit = _NAMES.get(raw, raw.upper())
    return InfoDigit(digit, duration) if re.fullmatch(r"[0-9*#A-D]", digit) else None


def format_info_digit(digit: str, duration: int = DEFAULT_DURATION) -> tuple[str, bytes]:
    """Content type and body of an INFO for one digit. Raises ValueError for what is no digit."""
    if not re.fullmatch(r"[0-9*#A-D]", digit):
        raise ValueError(f"not a DTMF digit: {digit!r}")
    return "application/dtmf-relay", f"Signal={digit}\r\nDuration={duration}\r\n".encode("ascii")
