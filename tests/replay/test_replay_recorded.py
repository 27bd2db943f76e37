"""A journal that is torn, made up or damaged is refused by file and line, and never breaks its reader."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.contract.journal import MAX_JOURNAL, MAX_LINE
from cordboard.replay import recorded as module
from cordboard.replay.recorded import JournalUnreadable, read_journal

from .conftest import SEED, story

WHOLE: bytes = story(SEED, 1)[0]


def test_a_whole_one_is_read(tmp_path: Path) -> None:
    (tmp_path / "j").write_bytes(WHOLE)
    call = read_journal(tmp_path / "j")
    assert (call.began.scenario, call.torn, call.full) == ("line-agent", None, False)
    assert [event.told.event.seq for event in call.events] == list(range(1, len(call.events) + 1))
    assert not any(event.unanswered for event in call.events)


def test_a_torn_last_line_is_told_and_costs_itself_alone(tmp_path: Path) -> None:
    whole = len(WHOLE.splitlines())
    (tmp_path / "j").write_bytes(WHOLE[:-9])
    call = read_journal(tmp_path / "j")
    assert call.torn is not None
    assert (call.torn.line, call.torn.path) == (whole, tmp_path / "j")
    assert "torn" in str(call.torn)


def _lines(change: Callable[[list[Any]], Any]) -> bytes:
    lines = [json.loads(line) for line in WHOLE.splitlines()]
    change(lines)
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def _set(line: int, **fields: Any) -> bytes:
    return _lines(lambda lines: lines[line].update(fields))


POISON: list[tuple[str, bytes, int, str]] = [
    ("empty", b"", 0, "is empty"),
    ("no newline", b"{", 1, "torn after 1 bytes"),
    ("garbage", WHOLE + b"\x00\xff garbage\n", -1, "is no JSON"),
    ("a list", b"[]\n", 1, "no JSON object"),
    ("deep", b"[" * 100_000 + b"\n", 1, "is no JSON"),
    ("another version", _set(0, schema="cordboard.journal/2"), 1, "schema: 'cordboard.journal/2' is not"),
    ("no version", _lines(lambda lines: lines[0].pop("schema")), 1, "schema: None is not"),
    ("unknown kind", _set(3, kind="surprise"), 4, "kind: 'surprise' is none of"),
    ("kind of no text", _set(3, kind=[]), 4, "kind: [] is none of"),
    ("field missing", _lines(lambda lines: lines[0].pop("session")), 1, "session: missing"),
    ("wrong type", _set(0, custom_data=7), 1, "custom_data: expected an object"),
    ("begins twice", _lines(lambda lines: lines.insert(2, lines[0])), 3, "a second 'began'"),
    ("no begin", _lines(lambda lines: lines.pop(0)), 1, "the first line is"),
    ("a round of no event", _lines(lambda lines: lines.insert(1, {"kind": "round", "event_id": "e", "round": 0,
                                                                "attempt": 1})), 2, "event_id: 'e' is not the event"),
    ("an answer nobody asked for", _lines(lambda lines: lines.append(
        next(line for line in lines if line["kind"] == "answer"))), -1, "answer"),
    ("a state nobody made", _lines(lambda lines: next(
        line for line in lines if line["kind"] == "event").update(state_version=9)), 0, "no answer before"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "line", "problem"), [each[1:] for each in POISON], ids=[each[0] for each in POISON]
)
def test_a_poisoned_one_is_refused_by_file_and_line(content: bytes, line: int, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(content)
    with pytest.raises(JournalUnreadable) as caught:
        read_journal(path)
    assert str(path) in str(caught.value)
    assert problem in caught.value.problem
    if line > 0:
        assert caught.value.line == line
    elif line < 0:
        assert caught.value.line == len(content.splitlines())


def test_absurd_sizes_are_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal.jsonl"
    with path.open("wb") as file:
        file.truncate(MAX_JOURNAL + MAX_LINE + 1)
    with pytest.raises(JournalUnreadable, match="more than"):
        read_journal(path)
    path.write_bytes(WHOLE.splitlines()[0] + b"\n" + b'{"a": "' + b"x" * MAX_LINE + b'"}\n')
    with pytest.raises(JournalUnreadable, match=r":2: .*more than"):
        read_journal(path)
    monkeypatch.setattr(module, "MOST", 10)
    path.write_bytes(WHOLE)
    with pytest.raises(JournalUnreadable, match="more than 10"):
        read_journal(path)


def test_none_is_no_journal(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_journal(tmp_path / "none")
    with pytest.raises(JournalUnreadable, match="directory"):
        read_journal(tmp_path)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=3))
def test_bytes_changed_anywhere_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, at: int, new: bytes
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "j"
    path.write_bytes(WHOLE[:at] + new + WHOLE[at + len(new) :])
    with contextlib.suppress(JournalUnreadable):
        assert read_journal(path).began.schema == "cordboard.journal/1"
