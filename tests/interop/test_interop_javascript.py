"""The JavaScript handler keeps the contract, in a real Node; and a slip in it is found."""

import asyncio
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from cordboard.conform.functions import conform
from cordboard.conform.judge import CHECKS, Row
from cordboard.conform.program import program_of

from . import peers

pytestmark = pytest.mark.interop

HANDLER = peers.ROOT / "samples" / "functions" / "javascript" / "handler.mjs"


def played(folder: Path, *only: str) -> list[Row]:
    spec = program_of((peers.require("node"), HANDLER.name), folder)
    return asyncio.run(conform([spec], only=frozenset(only)))


def test_it_passes_every_check() -> None:
    rows = played(HANDLER.parent)
    assert [row for row in rows if row.result != "ok"] == []
    assert {row.check for row in rows} == CHECKS.keys() - {"tools", "webhooks", "routes"}


@pytest.mark.parametrize(
    ("right", "wrong", "check", "detail"),
    [
        ("slice(0, 16)", "slice(0, 15)", "answer", "commands[0].hash: does not fit call.answer"),
        (".replace(/[\\u007f-\\uffff]/g, escaped)", "", "answer", "hash: does not fit agent.start"),
        ("this.journal[this.#steps++]", "(this.#steps++, null)", "replay", "7.0 is in the journal, and comes again"),
        ('"2025-04-16"', "`${process.hrtime.bigint()}`", "replay", "the replay differs: step 7.1 was agent.create"),
    ],
)
def test_a_slip_is_found(tmp_path: Path, right: str, wrong: str, check: str, detail: str) -> None:
    text = HANDLER.read_text()
    assert right in text
    (tmp_path / HANDLER.name).write_text(text.replace(right, wrong))
    failed = [row for row in played(tmp_path, "answer", "replay", "duplicate") if row.result != "ok"]
    assert failed
    assert (failed[0].check, detail in failed[0].detail) == (check, True), failed[0]


def test_lambda_gets_its_handler_from_the_same_file(tmp_path: Path) -> None:
    node = peers.require("node")
    shutil.copy(HANDLER, tmp_path)
    ask = """
        const { handler } = await import("./handler.mjs");
        console.log(JSON.stringify(await handler({ schema: "cordboard.describe/1" })));
    """
    done = subprocess.run(
        [node, "--input-type=module", "-e", ask], cwd=tmp_path, capture_output=True, text=True, timeout=20, check=True
    )
    assert json.loads(done.stdout)["scenario"] == "javascript"
