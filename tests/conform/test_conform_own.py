"""The functions of this repository pass, and everything in them is played: none raises at a plausible event."""

import asyncio
from pathlib import Path

import pytest

from cordboard.conform.functions import conform
from cordboard.conform.samples import Given
from cordboard.hosts.template import read_template

ROOT = Path(__file__).parents[2]
KEYS = {"CARTESIA_AGENT_ID": "agent_1", "PSTN_CALLER_ID": "+15550100", "TRANSFER_SALES": "+15550111"}


@pytest.mark.parametrize("template", ["template.yaml", "samples/functions/template.yaml"])
def test_they_keep_the_contract(template: str) -> None:
    specs = read_template(ROOT / template)
    rows = asyncio.run(conform(specs, given=Given(KEYS)))
    assert [row for row in rows if row.result != "ok"] == []
    assert {row.function for row in rows} == {*(spec.name for spec in specs), "*"}
    replayed = [row for row in rows if row.check == "replay" and row.detail != "nothing to play"]
    assert replayed
