"""Raw recordings become files that any program plays, whatever dies in between."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from cordboard.edge import finisher
from cordboard.edge.data_dir import DataDir
from cordboard.edge.finisher import BadJob, finish, read_job, work_off
from cordboard.media.g711 import ulaw_decode, ulaw_encode
from cordboard.media.recorder import header
from cordboard.media.wav import read_wav


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    data = DataDir(tmp_path)
    data.make()
    return data


def _raw(data: DataDir, seconds: float = 1.0, name: str = "recording", cut: int = 0) -> tuple[Path, bytes]:
    count = int(8000 * seconds)
    left = (8000 * np.sin(np.arange(count) * 2 * np.pi * 440 / 8000)).astype(np.int16)
    right = (4000 * np.sin(np.arange(count) * 2 * np.pi * 660 / 8000)).astype(np.int16)
    sound = np.frombuffer(ulaw_encode(np.stack((left, right), axis=1).reshape(-1)), np.uint8).tobytes()
    folder = data.calls / "s_1"
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.raw.wav"
    path.write_bytes(header() + sound[: len(sound) - cut])
    return path, sound


def _queue(data: DataDir, raw: Path, **more: object) -> Path:
    job = data.finish / "s_1.0.json"
    job.write_text(json.dumps({"session": "s_1", "path": str(raw), "name": "recording", **more}))
    return job


def test_both_channels_are_kept_sample_by_sample(data: DataDir) -> None:
    raw, sound = _raw(data)
    job = _queue(data, raw, stereo=True, hd_audio=False)
    assert work_off(data) == 1
    wav = read_wav(raw.with_name("recording.wav"))
    assert (wav.rate, wav.channels) == (8000, 2)
    assert np.array_equal(wav.samples.reshape(-1), ulaw_decode(sound))
    assert not raw.exists()
    assert not job.exists()
    assert os.stat(raw.with_name("recording.wav")).st_mode & 0o777 == 0o600


@pytest.mark.parametrize("stereo", [True, False])
def test_high_definition_has_16_khz_and_the_same_length(data: DataDir, stereo: bool) -> None:
    raw, _ = _raw(data, seconds=9.5)
    _queue(data, raw, stereo=stereo, hd_audio=True)
    work_off(data)
    wav = read_wav(raw.with_name("recording.wav"))
    assert (wav.rate, wav.channels) == (16_000, 2 if stereo else 1)
    assert abs(len(wav.samples) - 16_000 * 9.5) <= 2
    spectrum = np.abs(np.fft.rfft(wav.samples[:16_000, 0].astype(float)))
    assert int(np.argmax(spectrum)) == 440


def test_one_channel_holds_both_sides(data: DataDir) -> None:
    raw, sound = _raw(data)
    _queue(data, raw, stereo=False)
    work_off(data)
    both = ulaw_decode(sound).reshape(-1, 2).astype(np.int32).sum(axis=1)
    assert np.array_equal(read_wav(raw.with_name("recording.wav")).samples[:, 0], both)


def test_loud_sides_are_limited_not_wrapped() -> None:
    loud = np.array([[30_000, 30_000], [-30_000, -30_000]], np.int16)
    assert finisher.mix(loud).reshape(-1).tolist() == [32_767, -32_768]


@pytest.mark.parametrize("cut", [1, 3, 7999, 15_999])
def test_a_file_cut_anywhere_is_finished(data: DataDir, cut: int) -> None:
    raw, _ = _raw(data, cut=cut)
    _queue(data, raw)
    assert work_off(data) == 1
    assert len(read_wav(raw.with_name("recording.wav")).samples) == (16_000 - cut) // 2


@pytest.mark.parametrize("step", ["before", "converted", "raw gone"])
def test_a_job_begun_again_gives_the_same_file(data: DataDir, step: str) -> None:
    raw, _ = _raw(data)
    content = raw.read_bytes()
    _queue(data, raw)
    work_off(data)
    once = raw.with_name("recording.wav").read_bytes()
    job = _queue(data, raw)  # as if the process had died before it removed the job
    if step != "raw gone":
        raw.write_bytes(content)
    if step == "before":
        raw.with_name("recording.wav").unlink()
    assert work_off(data) == 1
    assert raw.with_name("recording.wav").read_bytes() == once
    assert not job.exists()
    assert sorted(path.name for path in raw.parent.iterdir()) == ["recording.wav"]


def test_a_file_that_is_no_recording_is_set_aside(data: DataDir) -> None:
    raw, _ = _raw(data)
    raw.write_bytes(b"not a sound at all" * 10)
    job = _queue(data, raw)
    assert work_off(data) == 0
    assert (data.failed / job.name).exists()
    assert raw.exists()
    assert work_off(data) == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"session": "s_1", "path": 5}',
        b'{"session": "s_1", "path": "/etc/passwd"}',
        b'{"session": "s_1", "path": "CALLS/s_1/../../control.key"}',
        b'{"session": "s_1", "path": "CALLS/s_1/a.raw.wav", "name": "../../x"}',
    ],
)
def test_a_job_that_names_no_recording_is_refused(data: DataDir, body: bytes) -> None:
    path = data.finish / "x.json"
    path.write_bytes(body.replace(b"CALLS", str(data.calls).encode()))
    with pytest.raises(BadJob):
        read_job(path, data)
    assert work_off(data) == 0
    assert (data.failed / "x.json").exists()


def test_a_missing_raw_file_is_no_success(data: DataDir) -> None:
    raw, _ = _raw(data)
    job = _queue(data, raw)
    raw.unlink()
    assert not finish(read_job(job, data))
