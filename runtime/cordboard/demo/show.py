"""A call's timeline in short, for people."""

import sys
from pathlib import Path
from typing import TextIO

from .verdict import timeline

SHOWN = {"sip", "event", "command", "ledger", "cause", "http", "media"}
"""Kinds that tell the story; rounds and logs stand in timeline.json."""
QUIET = ("first RTP", "OPTIONS")


def show(folder: Path, stream: TextIO | None = None) -> None:
    """One line an entry: seconds, kind, what."""
    out = stream or sys.stdout
    for entry in timeline(folder):
        data = entry.get("data", {})
        if entry["kind"] not in SHOWN or data.get("retransmission") or entry["what"].startswith(QUIET):
            continue
        extra = ""
        if entry["kind"] == "command" and data.get("target"):
            extra = f" {data['target']}"
        elif entry["kind"] == "sip" and data.get("leg"):
            extra = f" [{data['leg']}]"
        elif entry["kind"] == "ledger":
            extra = " " + " ".join(f"{k}={v}" for k, v in data.items() if v and k not in ("rate", "agent"))
        out.write(f"    {entry['at']:7.3f}  {entry['kind']:<8} {entry['what'][:90]}{extra}\n")
