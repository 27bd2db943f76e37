"""Pieces of text become sentences."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.line.voices.sentences import split


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
