"""Pieces of text become sentences; a scripted ear gives its utterances."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.line.harness.ear import Ear, load_ears
from cordboard.line.harness.mouth import split
from cordboard.line.tables import ScriptError


@pytest.mark.parametrize(
    ("text", "whole", "rest"),
    [
        ("", [], ""),
        ("Hello", [], "Hello"),
        ("Hello.", [], "Hello."),
        ("Hello. ", ["Hello."], ""),
        ("Hello. How are you? I", ["Hello.", "How are you?"], "I"),
        ("At 7.30 p.m. sharp", ["At 7.30 p.m."], "sharp"),
        ("word " * 3, [], "word word word "),
        ("abcd efgh ijkl", ["abcd ", "efgh "], "ijkl"),
        ("abcdefghijklmnop", ["abcdefgh"], "ijklmnop"),
    ],
)
def test_sentences(text: str, whole: list[str], rest: str) -> None:
    assert split(text, 8 if text.startswith("abcd") else 400) == (whole, rest)


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet="ab.!? \n", max_size=60), limit=st.integers(1, 20))
def test_nothing_but_spaces_is_lost_and_nothing_is_too_long(text: str, limit: int) -> None:
    whole, rest = split(text, limit)
    assert "".join("".join([*whole, rest]).split()) == "".join(text.split())
    assert len(rest) <= limit


def ears(tmp_path: Path, text: str) -> list[list[str]]:
    """What three calls hear in three turns each."""
    (tmp_path / "ear.toml").write_text(text)
    made = load_ears(tmp_path / "ear.toml")

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
        load_ears(tmp_path / "no.toml")
