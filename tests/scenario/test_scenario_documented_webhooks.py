"""The example of the handlers' page that takes webhooks does what the page says of it."""

import asyncio
import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest

from cordboard.contract.webhooks import WEBHOOK_SCHEMA
from cordboard.scenario import CartesiaWebhooks

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "handlers.md"
COMPLETED = json.loads((ROOT / "tests" / "data" / "cartesia_webhooks" / "call_completed.json").read_bytes())


def test_the_example_takes_what_it_names_and_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    section = PAGE.read_text("utf-8").partition("\n## Webhooks\n")[2].partition("\n## ")[0]
    (example,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)
    webhooks = names["webhooks"]
    assert isinstance(webhooks, CartesiaWebhooks)
    assert {(route.type, route.timeout) for route in webhooks.describe().webhooks} == {
        ("call_completed", 10.0),
        ("*", 30.0),
    }
    with caplog.at_level(logging.INFO):
        for event in (COMPLETED, {**COMPLETED, "type": "call_moved"}):
            answer = asyncio.run(webhooks.run({"schema": WEBHOOK_SCHEMA, "event": event}))
            assert answer["status"] == "done"
    turns = [f"{turn['role']}: {len(turn['text'])} characters" for turn in COMPLETED["call"]["transcript"]]
    assert caplog.messages == [*turns, f"call_moved of call {COMPLETED['call_id']}"]
