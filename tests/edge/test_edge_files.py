"""Private files of the edge: atomic writing, control.key, dialogs, folders of calls, the lock of the data folder."""

import json
import os
import stat
import threading
from pathlib import Path

import pytest

from cordboard.contract.call_record import CallEnded, DialogRecord, TimelineEntry
from cordboard.contract.codec import decode
from cordboard.contract.transcript import TranscriptEntry
from cordboard.edge.atomic import private_directory, write_atomic
from cordboard.edge.control.calls import CallFiles
from cordboard.edge.control.dialogs import DialogFiles
from cordboard.edge.control.keys import KEY_BYTES, KeyUnusable, load_control_key
from cordboard.edge.data_dir import DataDir, EdgeRuns

FACTS = {"scenario": "line-agent", "from": "+1555", "to": "+1800", "started_at": "2026-11-01T10:00:00+00:00"}


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    data = DataDir(tmp_path / "var")
    data.make()
    return data


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _record(session: str = "s_1", cause: str = "caller.hangup") -> CallEnded:
    return CallEnded(session, "line-agent", cause, "none", FACTS["started_at"], FACTS["started_at"], 1.0)


# --- atomic


def test_a_file_is_replaced_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    path.chmod(0o644)
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert _mode(path) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space"):
        write_atomic(path, b"new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_open_folder_is_closed_to_others(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir(mode=0o755)
    assert _mode(private_directory(folder)) == 0o700


# --- control.key


def test_the_key_is_made_once_and_kept(data: DataDir) -> None:
    key = load_control_key(data.control_key)
    assert len(key) == KEY_BYTES
    assert _mode(data.control_key) == 0o600
    assert load_control_key(data.control_key) == key


def test_an_exposed_key_is_refused(data: DataDir) -> None:
    load_control_key(data.control_key)
    data.control_key.chmod(0o640)
    with pytest.raises(KeyUnusable, match="chmod 600"):
        load_control_key(data.control_key)


def test_a_short_key_is_refused(data: DataDir) -> None:
    write_atomic(data.control_key, b"short")
    with pytest.raises(KeyUnusable, match="5 bytes"):
        load_control_key(data.control_key)


# --- dialogs


def test_a_dialog_is_there_for_the_next_life_and_then_gone(data: DataDir) -> None:
    record = DialogRecord("s_1", "caller", {"state": "{}"}, FACTS["started_at"])
    files = DialogFiles(data.dialogs)
    files.keep("a/../b", record)
    files.keep("other", record)
    files.drop("other")
    files.drop("never kept")
    assert [_mode(path) for path in data.dialogs.iterdir()] == [0o600]
    assert DialogFiles(data.dialogs).restore() == [record]
    assert DialogFiles(data.dialogs).restore() == []
    assert not list(data.dialogs.iterdir())


@pytest.mark.parametrize("damage", [b"", b"[]", b'{"session": 5}', b"\xff"])
def test_a_damaged_dialog_stops_no_start(data: DataDir, damage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    (data.dialogs / "x.json").write_bytes(damage)
    (data.dialogs / ".y.json.1.part").write_bytes(b"half")
    DialogFiles(data.dialogs).keep("good", DialogRecord("s_1", "caller", {}))
    assert [record.session for record in DialogFiles(data.dialogs).restore()] == ["s_1"]
    assert "x.json" in caplog.text
    assert not list(data.dialogs.iterdir())


# --- calls


def test_a_call_s_folder_from_begin_to_end(data: DataDir) -> None:
    files = CallFiles(data, "life-1")
    files.began("s_1", FACTS)
    folder = data.calls / "s_1"
    assert _mode(folder) == 0o700
    files.timeline("s_1", TimelineEntry(0.0, "sip", "call — ü", {"n": 1}))
    assert json.loads((folder / "timeline.jsonl").read_text()) == {
        "at": 0.0, "kind": "sip", "what": "call — ü", "data": {"n": 1},
    }  # fmt: skip
    said = TranscriptEntry(0.5, 1.0, "agent", "agent", "hello\nthere", "hello")
    files.transcript("s_1", said, "agent: hello\nthere")
    raw = folder / "recording.raw.wav"
    files.ended(_record(), ({"path": str(raw), "name": "recording", "stereo": False, "hd_audio": True},))
    files.close()
    assert json.loads((folder / "record.json").read_text())["cause"] == "caller.hangup"
    whole = json.loads((folder / "timeline.json").read_text())
    assert (whole["record"]["session"], len(whole["entries"])) == ("s_1", 1)
    assert (folder / "transcript.txt").read_text() == "agent: hello there\n"
    assert decode(TranscriptEntry, json.loads((folder / "transcript.jsonl").read_text())) == said
    job = json.loads((data.finish / "s_1.0.json").read_text())
    assert job == {"session": "s_1", "path": str(raw), "name": "recording", "stereo": False, "hd_audio": True}
    assert {_mode(path) for path in folder.iterdir()} == {0o600}


def test_a_long_timeline_is_written_off_the_loop_and_before_the_record(
    data: DataDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = CallFiles(data, "life-1")
    files.began("s_1", FACTS)
    for number in range(2_000):
        files.timeline("s_1", TimelineEntry(number / 10, "sip", 'says "ü"\r\n', {"n": number}))
    written: list[tuple[str, int]] = []
    may_write = threading.Event()

    def slow(path: Path, content: bytes) -> None:
        assert may_write.wait(10)
        written.append((path.name, threading.get_ident()))
        write_atomic(path, content)

    monkeypatch.setattr("cordboard.edge.control.calls.write_atomic", slow)
    monkeypatch.setattr("cordboard.edge.atomic.write_atomic", slow)
    files.ended(_record(), ({"path": str(data.calls / "s_1" / "r.raw.wav"), "name": "r"},))
    assert written == []  # the caller did not wait
    may_write.set()
    files.close()
    assert [name for name, _ in written] == ["timeline.json", "record.json", "s_1.0.json"]
    assert threading.get_ident() not in {thread for _, thread in written}
    folder = data.calls / "s_1"
    whole = json.loads((folder / "timeline.json").read_bytes())
    assert whole["record"] == json.loads((folder / "record.json").read_bytes())
    assert whole["entries"] == [json.loads(line) for line in (folder / "timeline.jsonl").read_bytes().splitlines()]
    assert len(whole["entries"]) == 2_000


def test_a_call_without_entries_has_a_timeline_all_the_same(data: DataDir) -> None:
    files = CallFiles(data, "life-1")
    files.began("s_1", FACTS)
    files.ended(_record(), ())
    files.close()
    assert json.loads((data.calls / "s_1" / "timeline.json").read_bytes())["entries"] == []


def test_a_line_that_the_disk_took_half_is_said_and_the_rest_kept(
    data: DataDir, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    files = CallFiles(data, "life-1")
    files.began("s_1", FACTS)
    files.timeline("s_1", TimelineEntry(0.0, "sip", "first"))
    whole_write = os.write
    with monkeypatch.context() as patch:
        patch.setattr("os.write", lambda handle, content: whole_write(handle, content[:9]))
        files.timeline("s_1", TimelineEntry(1.0, "sip", "cut off"))
    for what in ("behind it", "last"):
        files.timeline("s_1", TimelineEntry(2.0, "sip", what))
    files.ended(_record(), ())
    files.close()
    assert caplog.text.count("timeline.jsonl took 9 of") == 1
    entries = json.loads((data.calls / "s_1" / "timeline.json").read_bytes())["entries"]
    assert [entry["what"] for entry in entries] == ["first", "a line of this timeline is damaged", "last"]


def test_a_mistake_in_the_thread_is_logged(
    data: DataDir, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    files = CallFiles(data, "life-1")
    files.began("s_1", FACTS)
    monkeypatch.setattr("cordboard.edge.control.calls.encode", lambda _: 1 / 0)
    files.ended(_record(), ())
    files.close()
    assert "files of call s_1 cannot be written" in caplog.text


def test_a_former_life_s_call_gets_its_record_and_its_recording(data: DataDir) -> None:
    former = CallFiles(data, "life-1")
    former.began("s_old", FACTS)
    former.timeline("s_old", TimelineEntry(0.0, "sip", "call"))
    former.close()
    folder = data.calls / "s_old"
    with (folder / "timeline.jsonl").open("a") as file:
        file.write('{"at": 1.0, "kin')
    (folder / "recording.raw.wav").write_bytes(b"x")
    files = CallFiles(data, "life-2")
    files.began("s_new", FACTS)
    files.ended(_record("s_old", "control.lost"), ())  # the engine's early word waits for the planes
    assert not (folder / "record.json").exists()
    assert files.end_former_lives() == ["s_old"]
    assert files.end_former_lives() == []
    record = json.loads((folder / "record.json").read_text())
    assert (record["cause"], record["fault"], record["from"]) == ("control.lost", "edge", "+1555")
    assert record["recordings"] == ["recording.wav"]
    assert json.loads((data.finish / "s_old.0.json").read_text())["name"] == "recording"
    entries = json.loads((folder / "timeline.json").read_text())["entries"]
    assert [entry["what"] for entry in entries] == ["call", "a line of this timeline is damaged"]
    assert not (data.calls / "s_new" / "record.json").exists()
    files.close()


def test_a_folder_without_facts_is_left_alone(data: DataDir, caplog: pytest.LogCaptureFixture) -> None:
    (data.calls / "stray").mkdir()
    assert CallFiles(data, "life").end_former_lives() == []
    assert "stray" in caplog.text


def test_a_full_disk_costs_files_and_not_the_call(
    data: DataDir, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    files = CallFiles(data, "life")
    files.began("s_1", FACTS)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.write", full)
        for _ in range(5):
            files.timeline("s_1", TimelineEntry(0.0, "sip", "call"))
    assert caplog.text.count("incomplete") == 1
    files.ended(_record(), ())
    files.close()
    assert (data.calls / "s_1" / "record.json").exists()


@pytest.mark.parametrize("session", ["../x", "", "a/b", "x" * 81])
def test_a_session_id_is_no_path(data: DataDir, session: str, caplog: pytest.LogCaptureFixture) -> None:
    files = CallFiles(data, "life")
    files.began(session, FACTS)
    assert "incomplete" in caplog.text
    assert not list(data.calls.iterdir())
    assert not (data.root / "x").exists()


# --- the lock


def test_one_edge_holds_a_folder(data: DataDir) -> None:
    assert not data.edge_runs()
    handle = data.hold()
    assert data.edge_runs()
    with pytest.raises(EdgeRuns, match=str(data.root)):
        data.hold()
    os.close(handle)
    assert not data.edge_runs()
    os.close(data.hold())


def test_nothing_runs_where_nothing_is(tmp_path: Path) -> None:
    assert not DataDir(tmp_path / "none").edge_runs()
