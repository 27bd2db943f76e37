"""What must be true of a finished call: one record, its cause, a ledger that balances and fits the phone's socket."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cordboard.contract.call_record import CallEnded
from cordboard.contract.codec import decode
from cordboard.media.energy import VoiceActivity
from cordboard.media.wav import read_wav
from cordboard.phone.call import PhoneCall

from .checks import Checks

AGENT_CHANNEL = 1
"""Of the recording's two."""

TURN_PAUSE_MS = 700
"""Silence between two turns; espeak-ng pauses for half as long at a comma."""

WORDS_A_SECOND = 1.5
"""The least that a voice says: espeak-ng says two, tones four."""


def judge(checks: Checks, folder: Path, raw: Mapping[str, Any], cause: str, heard: Mapping[str, int]) -> None:
    """`heard`: leg name → audio samples in the RTP packets that its phone received."""
    record = decode(CallEnded, raw)
    checks.that(f"the record says {cause}", record.cause == cause, record.cause)
    entries = timeline(folder)
    ended = [entry for entry in entries if entry["what"] == "call.ended"]
    checks.that("the call ended exactly once", len(ended) == 1, len(ended))
    checks.that(
        "every ledger balances, nothing is left queued", all(e.balanced() and not e.queued for e in record.ledger)
    )
    for leg, samples in heard.items():
        told = sum((e.sent + e.padded) * 8000 // e.rate for e in record.ledger if e.sink.partition("/")[2] == leg)
        what = f"the ledger's sent is what the {leg}'s socket received"
        checks.that(what, told == samples, f"{told} and {samples} samples")


def understood(checks: Checks, folder: Path, words: str) -> None:
    """The agent was told what the caller said."""
    turns = [
        entry["data"]["data"]["turn_ended"] for entry in timeline(folder) if entry["what"] == "agent.turn_ended:agent"
    ]
    said = [turn["text"] for turn in turns if turn["role"] == "user"]
    checks.that("the agent was told what the caller said", said == [words], ", ".join(map(repr, said)))


def told(checks: Checks, folder: Path) -> None:
    """The transcript has at least the words that the length of the agent's last turn in the wav implies."""
    wav = read_wav(folder / "recording.wav")
    finder = VoiceActivity(wav.rate, release_ms=TURN_PAUSE_MS)
    events = [*finder.process(wav.samples[:, AGENT_CHANNEL]), *finder.finish()]
    last = [event.sample for event in events][-2:]
    seconds = (last[1] - last[0]) / wav.rate if len(last) == 2 else 0.0
    lines = (folder / "transcript.jsonl").read_text(encoding="utf-8").splitlines()
    turns = [entry for entry in map(json.loads, lines) if entry["role"] == "agent"]
    words = len((turns[-1].get("heard") or "").split()) if turns else 0
    good = seconds > 0 and words >= int(seconds * WORDS_A_SECOND)
    checks.that("the transcript has the words that are in the recording", good, f"{words} words in {seconds:.1f} s")


def closed_with(checks: Checks, folder: Path, code: int) -> None:
    """The timeline says why the agent's socket closed."""
    closes = [entry["data"] for entry in timeline(folder) if entry["what"] == "websocket.close:agent"]
    told = len(closes) == 1 and closes[0]["code"] == code
    checks.that("the timeline says why the agent went", told, closes[0]["reason"] if closes else "nothing")


def cleared(raw: Mapping[str, Any]) -> int:
    """Samples dropped by clear."""
    return sum(entry.get("cleared", 0) for entry in raw.get("ledger", ()))


def timeline(folder: Path) -> list[dict[str, Any]]:
    """The call's timeline."""
    found = json.loads((folder / "timeline.json").read_text(encoding="utf-8"))
    entries = found["entries"] if isinstance(found, dict) else found
    return list(entries)


def clear_to_silence(folder: Path, call: PhoneCall) -> float | None:
    """Milliseconds from the agent's `clear` at the edge to the last packet of its audio at the phone.

    Both ends of the machine read one monotonic clock. The packets of the interrupted turn are those before the
    first pause of 100 ms.
    """
    facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    clears = [e for e in timeline(folder) if e["kind"] == "ledger" and e["what"] == "clear"]
    if not clears or "monotonic" not in facts:
        return None
    moment = facts["monotonic"] + clears[0]["at"]
    last = None
    for packet in call.packets:
        if packet.arrival > moment + 0.1 and (last is None or packet.arrival - last > 0.1):
            break
        last = packet.arrival
    return None if last is None else (last - moment) * 1000
