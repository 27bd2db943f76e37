"""Recordings: blocks of a second, both sides in their place, playable wherever they are cut."""

import struct
from pathlib import Path

import pytest
from tests.plane.plane_stage import Stage, rtp

from cordboard.contract import link
from cordboard.media.recorder import repair
from cordboard.media.wav import read_wav


def test_a_recording_is_written_in_blocks_of_a_second_and_holds_both_sides(tmp_path: Path) -> None:
    stage = Stage()
    service = stage.agent(hears=stage.leg(), heard_by="s/caller")
    stage.tell(link.RecordBegin("s/r", "s/caller", "/r.wav"))
    begin = stage.now
    service.speak(b"\x20" * 160 * 100)
    stage.drain()
    stage.talk("s/caller", 150, payload=b"\x30" * 160)
    stage.run(1.0)
    stage.tell(link.RecordEnd("s/r"))
    due = range(1, len(stage.blocks))
    assert [at - begin for at, _ in stage.blocks[:-1]] == [pytest.approx(each, abs=0.11) for each in due]
    assert len(stage.blocks) >= 4
    (over,) = stage.told(link.RecordOver)
    assert over.seconds == pytest.approx(4.0, abs=0.001)
    assert over.error == ""
    path = tmp_path / "r.wav"
    path.write_bytes(stage.files["/r.wav"])
    assert repair(path) == 32000
    body = bytes(stage.files["/r.wav"])[-64000:]
    left, right = body[0::2], body[1::2]
    assert left.count(b"\x30") == 150 * 160
    assert right.count(b"\x20") == 100 * 160
    assert right[:16000] == b"\x20" * 16000
    assert stage.closed_files == ["/r.wav"]


def test_a_recording_cut_anywhere_is_playable_and_pauses_are_silence(tmp_path: Path) -> None:
    stage = Stage()
    stage.leg()
    stage.tell(link.RecordBegin("s/r", "s/caller", "/r.wav"))
    stage.talk("s/caller", 25, payload=b"\x30" * 160)
    stage.run(1.0)  # the phone pauses: sequence numbers go on, timestamps jump
    for each in range(25, 50):
        stage.rtp_in("s/caller", rtp(each, b"\x31" * 160, timestamp=(each + 50) * 160))
        stage.run(0.02)
    stage.tell(link.LegClose("s/caller"))
    (over,) = stage.told(link.RecordOver)
    assert over.seconds == pytest.approx(2.0, abs=0.001)
    data = bytes(stage.files["/r.wav"])
    left = data[-32000:][0::2]
    assert left == b"\x30" * 4000 + b"\xff" * 8000 + b"\x31" * 4000
    path = tmp_path / "cut.wav"
    for length in (len(data), len(data) - 1, 5001, 60):
        path.write_bytes(data[:length])
        repair(path)
        read_wav(path)


def test_lost_packets_leave_a_gap_of_silence_in_their_place() -> None:
    stage = Stage()
    stage.leg()
    stage.tell(link.RecordBegin("s/r", "s/caller", "/r.wav"))
    for each in range(50):
        if each not in (20, 21):
            stage.rtp_in("s/caller", rtp(each, b"\x30" * 160))
        stage.run(0.02)
    stage.tell(link.RecordEnd("s/r"))
    left = bytes(stage.files["/r.wav"])[-16000:][0::2]
    assert left == b"\x30" * 3200 + b"\xff" * 320 + b"\x30" * 4480


def test_a_file_that_cannot_be_written_is_noted_once_and_the_call_goes_on() -> None:
    stage = Stage()
    stage.leg()
    stage.tell(link.RecordBegin("s/r", "s/caller", "/r.wav"))
    stage.talk("s/caller", 5)
    for _ in range(2):
        stage.engine.file_failed("s/r", "no space left", stage.now)
    stage.drain()
    stage.files.clear()
    stage.run(3.0)
    assert stage.files == {}
    assert len(stage.notes("recording failed")) == 1
    stage.closed()
    assert [each.error for each in stage.told(link.RecordOver)] == ["no space left"]
    assert stage.closed_files == ["/r.wav"]


def test_recordings_that_cannot_begin_are_over_at_once() -> None:
    stage = Stage()
    stage.tell(link.RecordBegin("s/r", "s/caller", "/r.wav"))
    stage.leg()
    stage.tell(link.RecordBegin("s/r2", "s/caller", "/r2.wav"))
    stage.tell(link.RecordBegin("s/r3", "s/caller", "/r3.wav"))
    assert [(each.recording, each.error) for each in stage.told(link.RecordOver)] == [
        ("s/r", "the leg is over"),
        ("s/r3", "the leg is being recorded"),
    ]


def test_a_recording_of_nothing_has_a_header() -> None:
    stage = Stage()
    stage.leg()
    stage.tell(link.RecordBegin("s/r", "s/caller", "/r.wav"))
    stage.tell(link.RecordEnd("s/r"))
    assert stage.files["/r.wav"][:4] == b"RIFF"
    assert struct.unpack_from("<I", stage.files["/r.wav"], 4) == (0xFFFFFFFF,)
