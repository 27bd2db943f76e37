"""What strangers send can be written again as JSON, whatever they sent, and what was changed is told by name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.line.json_values import MAX_DEPTH, read


def said(text: str | bytes) -> tuple[Any, list[str]]:
    complaints: list[str] = []
    return read(text, complaints.append), complaints


@pytest.mark.parametrize(
    ("text", "value", "complaint"),
    [
        ('{"value":NaN}', {"value": None}, "value is no finite number, null stands in its place"),
        ('{"a":{"b":[1,-Infinity]}}', {"a": {"b": [1, None]}}, "a.b[1] is no finite number, null stands in its place"),
        ('{"a":1e999}', {"a": None}, "a is no finite number, null stands in its place"),
        ("[NaN,NaN,NaN]", [None] * 3, "[0] is no finite number, null stands in its place (and 2 more)"),
        ("NaN", None, "the value is no finite number, null stands in its place"),
        (r'{"a":"\ud800 b"}', {"a": "? b"}, "a holds half a character, ? stands in its place"),
        (r'{"\udfff\n":1}', {"?\n": 1}, "?? holds half a character, ? stands in its place"),
        (r'{"a":"\ud83d\ude00","b":1e308,"c":null}', {"a": "😀", "b": 1e308, "c": None}, None),
    ],
)
def test_what_is_no_json_is_replaced_and_told(text: str, value: object, complaint: str | None) -> None:
    assert said(text) == (value, [] if complaint is None else [complaint])


@pytest.mark.parametrize("text", ["", "{", "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "[" * 100_000, b"\xff"])
def test_what_cannot_be_read_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        said(text)


def test_as_deep_as_allowed_is_read() -> None:
    text = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert json.dumps(said(text)[0]) == text


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(), max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(anything)
def test_what_was_read_can_be_written(value: Any) -> None:
    plain, complaints = said(json.dumps(value))
    written = json.dumps(plain, allow_nan=False, ensure_ascii=False).encode()
    assert said(written) == (plain, [])
    if not complaints:
        assert plain == value
