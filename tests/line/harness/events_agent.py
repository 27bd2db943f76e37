"""A real agent program that writes down every event the SDK makes, and says whatever it is told to say."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cordboard.line.harness.program import LEASH

PROGRAM = """
from pathlib import Path
import line
from line import *

LOG = Path(__file__).with_name("received.jsonl").open("a", buffering=1)

class Probe:
    async def process(self, env, event):
        if isinstance(event, CallStarted):
            yield AgentSendText(text="Good day.")
        elif isinstance(event, UserCustomSent):
            for name, fields in event.metadata.get("emit", ()):
                yield getattr(line, name)(**fields)

def heard(event):
    print(event.model_dump_json(), file=LOG)
    return isinstance(event, (CallStarted, UserCustomSent, CallEnded))

async def get_agent(env, request):
    print(request.model_dump_json(), file=LOG)
    return Probe(), heard, lambda event: False

VoiceAgentApp(get_agent).run()
"""

START_LIMIT = 60.0


class EventsAgent:
    """The running program."""

    def __init__(self, url: str, log: Path) -> None:
        self.url = url
        self._log = log

    def received(self) -> list[dict[str, Any]]:
        """Every `CallRequest`, which has no `type`, and every event so far, as JSON."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]


@contextmanager
def events_agent(folder: Path, python: Path, port: int) -> Iterator[EventsAgent]:
    """Run it; `port` is free."""
    (folder / "main.py").write_text(PROGRAM)
    process = subprocess.Popen(
        [python, LEASH, folder / "main.py"],
        env={**os.environ, "PORT": str(port), "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _await_status(f"http://127.0.0.1:{port}", process)
        yield EventsAgent(f"http://127.0.0.1:{port}", folder / "received.jsonl")
    finally:
        process.kill()
        process.communicate()


def _await_status(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_LIMIT
    while True:
        try:
            with urllib.request.urlopen(f"{url}/status", timeout=5):
                return
        except OSError:
            assert process.poll() is None, "the program ended"
            assert time.monotonic() < deadline, "the program does not answer"
            time.sleep(0.05)  # between two looks at a program that imports
