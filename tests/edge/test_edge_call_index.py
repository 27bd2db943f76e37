"""The list of calls follows their folders, whatever becomes of either."""

import json
import sqlite3
from pathlib import Path

import pytest

from cordboard.edge.call_index import RECORDINGS, TIMELINES, TRANSCRIPTS, CallIndex, IndexedCall
from cordboard.edge.data_dir import DataDir
from cordboard.storage.interface import StorageUnavailable


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    data = DataDir(tmp_path)
    data.make()
    return data


def make_call(data: DataDir, name: str, *, hour: int, ended: bool = True, files: tuple[str, ...] = ()) -> Path:
    folder = data.calls / name
    folder.mkdir()
    told = {"scenario": "s", "from": f"+1555{hour}", "to": "+1800", "started_at": f"2026-11-01T{hour:02}:00:00+00:00"}
    (folder / "facts.json").write_text(json.dumps(told))
    if ended:
        end = {"cause": "caller.hangup", "fault": "none", "ended_at": f"2026-11-01T{hour:02}:05:00Z"}
        (folder / "record.json").write_text(json.dumps({**told, **end}))
    for file in files:
        (folder / file).write_text("x")
    return folder


def ids(data: DataDir) -> list[str]:
    with CallIndex(data) as index:
        index.sync()
        return [call.id for call in index.newest(limit=100)]


def test_it_follows_the_folders(data: DataDir) -> None:
    make_call(data, "s_1", hour=1, files=("recording.wav", "transcript.txt"))
    make_call(data, "s_2", hour=2, ended=False, files=("timeline.jsonl",))
    with CallIndex(data) as index:
        assert index.rebuilt == "there was none"
        assert index.sync() == 2
        assert index.sync() == 0
        newest = index.newest(limit=10)
        assert newest[1] == IndexedCall(
            "s_1", 1793494800.0, 1793495100.0, "+15551", "+1800", "s", "caller.hangup", "none", RECORDINGS | TRANSCRIPTS
        )
        assert (newest[0].id, newest[0].ended, newest[0].content) == ("s_2", None, TIMELINES | TRANSCRIPTS)
        assert [call.id for call in index.newest(open_only=True, limit=10)] == ["s_2"]
        (data.calls / "s_2" / "record.json").write_text('{"ended_at": "2026-11-01T02:10:00Z"}')
        assert index.sync() == 1
        assert index.newest(open_only=True, limit=10) == []
        for file in (data.calls / "s_1").iterdir():
            file.unlink()
        (data.calls / "s_1").rmdir()
        assert index.sync() == 1
    assert ids(data) == ["s_2"]


def test_two_processes_use_it_at_once(data: DataDir) -> None:
    make_call(data, "s_1", hour=1)
    with CallIndex(data) as one, CallIndex(data) as other:
        one.sync()
        assert [call.id for call in other.newest(limit=1)] == ["s_1"]
        other.drop(["s_1"])
        assert one.newest(limit=1) == []


@pytest.mark.parametrize("damage", [b"this is no database, but long enough to be one" * 100, b""])
def test_a_damaged_list_is_made_anew(data: DataDir, damage: bytes) -> None:
    make_call(data, "s_1", hour=1)
    assert ids(data) == ["s_1"]
    data.index.write_bytes(damage)
    assert ids(data) == ["s_1"]


def test_damage_in_its_middle_is_found_and_repaired(data: DataDir) -> None:
    for number in range(300):
        make_call(data, f"s_{number:03}", hour=number % 24)
    assert len(ids(data)) == 100
    with data.index.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 40_000)
    with CallIndex(data) as index:
        assert index.sync() == 300
        assert "malformed" in index.rebuilt


def test_a_list_of_a_newer_version_is_made_anew(data: DataDir) -> None:
    make_call(data, "s_1", hour=1)
    with sqlite3.connect(data.index) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    with CallIndex(data) as index:
        assert "newer" in index.rebuilt
        assert index.sync() == 1


def test_a_list_that_another_writes_is_not_taken_for_damaged(data: DataDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cordboard.edge.call_index.BUSY_TIMEOUT", 0.01)
    make_call(data, "s_1", hour=1)
    with CallIndex(data) as index:
        other = sqlite3.connect(data.index, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageUnavailable, match="locked"):
            index.sync()
        other.execute("ROLLBACK")
        other.close()
        assert index.sync() == 1


def test_a_damaged_record_has_ended_and_is_a_problem(data: DataDir) -> None:
    folder = make_call(data, "s_1", hour=1)
    (folder / "record.json").write_text('{"half')
    with CallIndex(data) as index:
        index.sync()
        (call,) = index.newest(limit=1)
        assert call.ended == (folder / "record.json").stat().st_mtime
        assert call.from_number == "+15551"
        assert index.problems == [f"{folder / 'record.json'} cannot be read"]


def test_filters(data: DataDir) -> None:
    for hour in range(5):
        make_call(data, f"s_{hour}", hour=hour)
    with CallIndex(data) as index:
        index.sync()
        assert [call.id for call in index.newest(number="15553", limit=9)] == ["s_3"]
        assert len(index.newest(number="1800", cause="caller.hangup", limit=9)) == 5
        assert index.newest(number="%", limit=9) == []
        assert [call.id for call in index.newest(since=1793494800.0, limit=2)] == ["s_4", "s_3"]
