"""The scripted ear gives its utterances; a bad script is named."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from cordboard.line.ears.ear import Ear
from cordboard.line.ears.scripted import load_script
from cordboard.line.tables import ScriptError


def ears(tmp_path: Path, text: str) -> list[list[str]]:
    """What three calls hear in three turns each."""
    (tmp_path / "ear.toml").write_text(text)
    made = load_script(tmp_path / "ear.toml")

    async def turns(ear: Ear) -> list[str]:
        ear.start()
        return [await ear.finish() for _ in range(3)]

    return [asyncio.run(turns(made.open(8000))) for _ in range(3)]


def test_every_call_hears_the_same(tmp_path: Path) -> None:
    assert ears(tmp_path, 'utterances = ["a", "b"]') == [["a", "b", ""]] * 3


def test_calls_hear_their_own_in_order(tmp_path: Path) -> None:
    text = 'utterances = ["z"]\n[[calls]]\nutterances = ["a"]\n[[calls]]\nutterances = []\n'
    assert ears(tmp_path, text) == [["a", "", ""], ["", "", ""], ["z", "", ""]]


@pytest.mark.parametrize(
    "text",
    [
        "utterances = [1]",
        "utterance = []",
        "[[calls]]\nother = 1",
        "calls = [1]",
        "x",
        f'utterances = ["{"x" * 2001}"]',
    ],
)
def test_a_bad_script_of_an_ear_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(ScriptError):
        ears(tmp_path, text)


def test_a_missing_script_of_an_ear_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match=r"no\.toml"):
        load_script(tmp_path / "no.toml")
