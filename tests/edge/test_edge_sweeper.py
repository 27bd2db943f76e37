"""What [retention] no longer keeps goes, of calls that have ended alone, whatever happens in between."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cordboard.config.kept import Retention
from cordboard.contract.call_record import CallEnded
from cordboard.contract.codec import decode
from cordboard.edge import atomic, erasure
from cordboard.edge.data_dir import DataDir
from cordboard.edge.finisher import work_off
from cordboard.edge.sweeper import HOURLY, MINUTELY, Sweeper, from_argument, to_argument
from cordboard.media.recorder import header

DAY = 86_400.0
END = datetime(2026, 11, 1, 12, tzinfo=UTC).timestamp()
NONE: dict[str, float | None] = dict.fromkeys(("recordings", "transcripts", "timelines", "records"))
KEPT = Retention(30 * DAY, 30 * DAY, 30 * DAY, 365 * DAY)
SOUND = {"recording.wav", "other.raw.wav", ".third.wav.part"}
WORDS = {"transcript.txt", "transcript.jsonl"}
EVENTS = {"timeline.json", "timeline.jsonl"}
SECRETS = (b"+15551234567", b"my account number", b"1234 5678")
ENTRIES: list[dict[str, Any]] = [
    {"at": 0.0, "kind": "sip", "what": "INVITE from +15551234567", "data": {}},
    {"at": 1.0, "kind": "event", "what": "agent.turn_ended:agent", "data": {"data": {"text": "my account number"}}},
    {"at": 2.0, "kind": "log", "what": "says agent.turn_ended", "data": {"kept": True}},
]


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    data = DataDir(tmp_path)
    data.make()
    return data


def make_call(data: DataDir, name: str, *, ended: bool = True) -> Path:
    folder = data.calls / name
    folder.mkdir()
    began = {"scenario": "s", "from": SECRETS[0].decode(), "to": "+1800", "started_at": "2026-11-01T11:55:00.000Z"}
    (folder / "facts.json").write_text(json.dumps({**began, "life": "x", "custom_data": {"card": "1234 5678"}}))
    (folder / "timeline.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in ENTRIES))
    for file in SOUND:
        (folder / file).write_bytes(b"sound")
    if ended:
        leg = {"name": "caller", "direction": "in", "from": "+15551234567", "to": "+1800", "answered": True,
               "duration": 299.0, "ended_by": "them", "code": 200, "call_id": "a@192.0.2.1"}  # fmt: skip
        record = {"session": name, **began, "ended_at": "2026-11-01T12:00:00Z", "cause": "caller.hangup",
                  "fault": "none", "duration": 300.0, "legs": [leg], "recordings": ["recording.wav"]}  # fmt: skip
        (folder / "record.json").write_text(json.dumps(record))
        lines = ",\n".join(json.dumps(entry) for entry in ENTRIES)
        (folder / "timeline.json").write_text(f'{{"record": {json.dumps(record)}, "entries": [\n{lines}\n]}}\n')
        for file in WORDS:
            (folder / file).write_text("my account number")
        for place in (data.finish, data.failed):
            (place / f"{name}.0.json").write_text(json.dumps({"session": name, "path": str(folder / "other.raw.wav")}))
    return folder


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def record(folder: Path) -> CallEnded:
    return decode(CallEnded, json.loads((folder / "record.json").read_bytes()))


def test_each_kind_goes_when_its_time_is_over(data: DataDir) -> None:
    folder = make_call(data, "s_1")
    sweeper = Sweeper(data, Retention(1 * DAY, 2 * DAY, 3 * DAY, 4 * DAY))
    whole = names(folder)
    assert not sweeper.turn(END + DAY - 1)
    assert names(folder) == whole
    assert sweeper.turn(END + DAY + HOURLY) == {"recordings": 1}
    assert names(folder) == whole - SOUND
    assert [*data.finish.glob("*.json"), *data.failed.glob("*.json")] == []
    assert sweeper.turn(END + 2 * DAY) == {"transcripts": 1}
    assert names(folder) == whole - SOUND - WORDS
    assert sweeper.turn(END + 3 * DAY) == {"timelines": 1}
    assert names(folder) == {"facts.json", "record.json"}
    assert record(folder).erased == {
        "recordings": "2026-11-02T13:00:00Z",
        "transcripts": "2026-11-03T12:00:00Z",
        "timelines": "2026-11-04T12:00:00Z",
    }
    assert sweeper.turn(END + 4 * DAY) == {"records": 1}
    assert names(data.calls) == set()
    assert not sweeper.turn(END + 5 * DAY)


@pytest.mark.parametrize("kind", ["recordings", "records"])
def test_sound_that_waits_for_its_copy_stays_until_it_is_there_and_a_line_a_day_says_so(
    data: DataDir, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    folders = [make_call(data, f"s_{number}") for number in range(7)]
    for job in (*data.finish.glob("*.json"), *data.failed.glob("*.json")):
        job.unlink()
    in_finish, in_upload = data.finish / "s_0.0.json", [data.upload / f"s_{number}.1.json" for number in range(1, 6)]
    for job in (in_finish, *in_upload, data.upload / "remove-s_6.json"):
        job.write_text("{}")
    sweeper = Sweeper(data, Retention(**{**NONE, kind: DAY}), copies=True)
    for hour in range(48):
        assert sweeper.turn(END + 2 * DAY + hour * HOURLY) == ({kind: 1} if hour == 0 else {})
    assert all("recording.wav" in names(folder) for folder in folders[:6])
    line = (
        "recordings of 6 calls stay longer than [retention] says: they wait for their copies in S3 "
        "(s_0, s_1, s_2, s_3, s_4, …)"
    )
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [line, line]
    erasure.erase_content(data, "s_1", datetime(2026, 11, 5, tzinfo=UTC))  # by hand it goes at once
    assert "recording.wav" not in names(folders[1])
    assert not in_upload[0].exists()
    for job in in_upload[1:]:
        job.unlink()
    assert sweeper.turn(END + 5 * DAY) == {kind: 5}
    assert "recording.wav" in names(folders[0])
    assert Sweeper(data, Retention(**{**NONE, kind: DAY})).turn(END + 5 * DAY)[kind] >= 1  # nobody copies any more
    assert not folders[0].exists() or "recording.wav" not in names(folders[0])


def test_sound_that_is_not_kept_at_all_is_copied_first(data: DataDir) -> None:
    """A call's record appears before its recordings are queued."""
    folder = make_call(data, "s_1")
    for job in (*data.finish.glob("*.json"), *data.failed.glob("*.json")):
        job.unlink()
    sweeper = Sweeper(data, Retention(**{**NONE, "recordings": 0.0}), copies=True)
    assert not sweeper.turn(END + 1)
    assert "recording.wav" in names(folder)
    assert sweeper.turn(END + 1 + MINUTELY) == {"recordings": 1}


def test_words_leave_the_timeline_with_the_transcript(data: DataDir) -> None:
    folder = make_call(data, "s_1")
    Sweeper(data, Retention(None, DAY, None, None)).turn(END + DAY)
    for path in (folder / "timeline.json", folder / "timeline.jsonl"):
        assert b"my account number" not in path.read_bytes()
    entries = json.loads((folder / "timeline.json").read_bytes())["entries"]
    assert entries == [json.loads(line) for line in (folder / "timeline.jsonl").read_text().splitlines()]
    assert entries == [ENTRIES[0], {**ENTRIES[1], "data": {"data": "erased"}}, ENTRIES[2]]


def test_a_call_that_lives_is_never_touched(data: DataDir) -> None:
    folder = make_call(data, "s_live", ended=False)
    before = names(folder)
    assert not Sweeper(data, Retention(0.0, 0.0, 0.0, 0.0)).turn(END + 900 * DAY)
    assert names(folder) == before


def test_for_ever_is_for_ever(data: DataDir) -> None:
    folder = make_call(data, "s_1")
    before = names(folder)
    assert not Sweeper(data, Retention(None, None, None, None)).turn(END + 36_500 * DAY)
    assert names(folder) == before


def test_it_comes_at_start_and_hourly_and_each_minute_for_what_is_not_kept(data: DataDir) -> None:
    sweeper = Sweeper(data, Retention(0.0, DAY, DAY, None))
    assert not sweeper.turn(END + 10 * DAY)
    make_call(data, "s_1")
    assert not sweeper.turn(END + 10 * DAY + MINUTELY - 1)
    assert sweeper.turn(END + 10 * DAY + MINUTELY) == {"recordings": 1}
    assert not sweeper.turn(END + 10 * DAY + HOURLY - 1)
    assert sweeper.turn(END + 10 * DAY + HOURLY + MINUTELY) == {"transcripts": 1, "timelines": 1}


@pytest.mark.parametrize("kind", ["recordings", "transcripts", "timelines", "records"])
def test_a_sweep_that_is_killed_anywhere_is_finished_by_the_next(
    data: DataDir, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    kept = Retention(*(DAY if each == kind else None for each in ("recordings", "transcripts", "timelines", "records")))
    deaths = 0
    for step in range(40):
        folder = make_call(data, f"s_{step}")
        steps = iter(range(step))

        class Killed(BaseException):
            pass

        def mortal(do: Any, steps: Any = steps, death: type[BaseException] = Killed) -> Any:
            def act(*given: Any, **more: Any) -> Any:
                if next(steps, None) is None:
                    raise death
                return do(*given, **more)

            return act

        with monkeypatch.context() as patch:
            for name in ("unlink", "rmdir"):
                patch.setattr(Path, name, mortal(getattr(Path, name)))
            patch.setattr("os.replace", mortal(__import__("os").replace))
            try:
                Sweeper(data, kept).turn(END + 2 * DAY)
            except Killed:
                deaths += 1
                assert folder.exists()
                assert (folder / "record.json").exists() or names(folder) == set()
            else:
                break
        Sweeper(data, kept).turn(END + 2 * DAY)
        left = names(folder) if folder.exists() else set()
        assert (
            not left
            & {"recordings": SOUND, "transcripts": WORDS, "timelines": EVENTS, "records": {"record.json"}}[kind]
        )
    assert deaths >= 3


def test_a_file_that_vanishes_or_a_full_disk_stops_no_sweep(
    data: DataDir, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    full, fine = make_call(data, "s_full"), make_call(data, "s_fine")
    write = atomic.write_json

    def no_room(path: Path, value: object) -> None:
        if path.parent == full:
            raise OSError(28, "No space left on device")
        write(path, value)

    sweeper = Sweeper(data, Retention(DAY, None, None, None))
    with monkeypatch.context() as patch:
        patch.setattr("cordboard.edge.erasure.write_json", no_room)
        assert sweeper.turn(END + DAY) == {"recordings": 1}
    assert "s_full cannot be erased yet: [Errno 28]" in caplog.text
    assert names(fine) & SOUND == set()
    assert sweeper.turn(END + DAY + HOURLY) == {"recordings": 1}
    assert "recordings" in record(full).erased


def test_a_recording_that_was_being_finished_goes_too(data: DataDir) -> None:
    folder = make_call(data, "s_1")
    for path in folder.glob("*.wav"):
        path.unlink()
    erasure.erase_recordings(data, "s_1", datetime.now(UTC))
    raw = folder / "recording.raw.wav"  # a plane that was late, and the job for it
    raw.write_bytes(header() + b"\xff" * 1600)
    (data.finish / "s_1.0.json").write_text(json.dumps({"session": "s_1", "path": str(raw), "name": "recording"}))
    work_off(data)
    assert names(folder) & {"recording.wav", "recording.raw.wav"} == set()
    assert list(data.finish.glob("*.json")) == []
    assert list(data.failed.glob("*.json")) == []


@pytest.mark.parametrize("damaged", [False, True])
def test_erased_content_leaves_ids_times_and_causes_alone(data: DataDir, damaged: bool) -> None:
    folder = make_call(data, "s_1")
    if damaged:
        (folder / "record.json").write_text('{"from": "+15551234567", half')
    erasure.erase_content(data, "s_1", datetime.fromtimestamp(END, UTC))
    erasure.erase_content(data, "s_1", datetime.fromtimestamp(END, UTC))  # may be repeated
    assert names(folder) == {"facts.json", "record.json"}
    for path in data.root.rglob("*"):
        if path.is_file():
            assert not any(secret in path.read_bytes() for secret in SECRETS), path
    if not damaged:
        left = record(folder)
        assert (left.session, left.cause, left.fault, left.duration) == ("s_1", "caller.hangup", "none", 300.0)
        assert (left.from_, left.to, left.recordings) == ("", "", ())
        assert [(leg.name, leg.from_, leg.duration, leg.call_id) for leg in left.legs] == [("caller", "", 299.0, "")]
        assert set(left.erased) == {"recordings", "transcripts", "timelines", "numbers"}


def test_how_long_things_are_kept_travels_to_another_process() -> None:
    assert from_argument(to_argument(KEPT)) == KEPT
    assert from_argument(to_argument(Retention(None, 0.0, None, None))) == Retention(None, 0.0, None, None)
