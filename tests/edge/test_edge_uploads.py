"""Finished recordings are copied to S3 as moto serves it, wait while it is away, and go when they are erased."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from cordboard.config.aws import S3Sink
from cordboard.config.kept import Retention
from cordboard.config.load import load
from cordboard.edge.data_dir import DataDir
from cordboard.edge.erasure import erase_content, erase_recordings
from cordboard.edge.processes import children
from cordboard.edge.sweeper import to_argument
from cordboard.edge.uploads import PART, Uploads
from cordboard.media.recorder import header
from cordboard.media.wav import read_wav

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SINK = S3Sink("acme-recordings", "recordings/eu")
KEY = "recordings/eu/2026/11/20/s_1/recording.wav"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    yield f"http://{host}:{port}"
    moto.stop()


@pytest.fixture
def s3(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator["S3Client"]:
    """S3 with an empty bucket."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "us-east-1",  # as ECS has it, and docs/deploy.md
        "AWS_ENDPOINT_URL_S3": server,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    client = boto3.client("s3", "us-east-1")
    client.create_bucket(Bucket=SINK.bucket)
    yield client
    for found in client.list_objects_v2(Bucket=SINK.bucket).get("Contents", []):
        client.delete_object(Bucket=SINK.bucket, Key=found["Key"])
    client.delete_bucket(Bucket=SINK.bucket)
    client.close()


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    data = DataDir(tmp_path)
    data.make()
    return data


def call(data: DataDir, content: bytes = b"sound", name: str = "recording") -> Path:
    """A finished recording that waits; its job."""
    folder = data.calls / "s_1"
    folder.mkdir(exist_ok=True)
    (folder / "facts.json").write_text(json.dumps({"started_at": "2026-11-20T23:59:59Z"}))
    (folder / "record.json").write_text(json.dumps({"session": "s_1"}))
    (folder / f"{name}.wav").write_bytes(content)
    job = data.upload / f"s_1.{name}.json"
    job.write_text(json.dumps({"session": "s_1", "path": str(folder / f"{name}.wav")}))
    return job


def keys(s3: "S3Client") -> list[str]:
    return [found["Key"] for found in s3.list_objects_v2(Bucket=SINK.bucket).get("Contents", [])]


def waiting(data: DataDir) -> list[str]:
    return [path.name for path in data.upload.glob("*.json")]


def test_a_recording_is_copied_and_the_call_says_where(data: DataDir, s3: "S3Client") -> None:
    job = call(data)
    call(data, b"another", "two")
    assert Uploads(data, SINK).turn() == 2
    assert keys(s3) == [KEY, KEY.replace("recording.wav", "two.wav")]
    found = s3.get_object(Bucket=SINK.bucket, Key=KEY)
    assert (found["Body"].read(), found["ContentType"]) == (b"sound", "audio/wav")
    assert not job.exists()
    assert (data.calls / "s_1" / "recording.wav").exists()
    assert json.loads((data.calls / "s_1" / "uploaded.json").read_text()) == {
        "recording.wav": f"s3://{SINK.bucket}/{KEY}",
        "two.wav": f"s3://{SINK.bucket}/{KEY}".replace("recording.wav", "two.wav"),
    }


def test_a_long_one_goes_in_parts(data: DataDir, s3: "S3Client") -> None:
    content = os.urandom(PART + 1)
    call(data, content)
    assert Uploads(data, SINK).turn() == 1
    found = s3.get_object(Bucket=SINK.bucket, Key=KEY)
    assert found["ETag"].strip('"').endswith("-2")
    assert found["Body"].read() == content


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def refusal(data: DataDir, log: pytest.LogCaptureFixture, sink: S3Sink = SINK) -> str:
    """What the log says of a job that is not done and stays."""
    log.clear()
    assert Uploads(data, sink).turn() == 0
    assert len(list(data.upload.glob("*.json"))) == 1
    return log.text


def test_it_waits_while_the_bucket_is_away(data: DataDir, s3: "S3Client", caplog: pytest.LogCaptureFixture) -> None:
    call(data)
    assert re.search(
        r"s_1\.recording\.json waits, one of 1; next try in 1 s: recording\.wav: .*NoSuchBucket",
        refusal(data, caplog, S3Sink("acme-none", "")),
    )
    assert Uploads(data, SINK).turn() == 1


def test_it_waits_while_nobody_answers(
    data: DataDir, s3: "S3Client", monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    call(data)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    assert "Could not connect" in refusal(data, caplog)


def test_without_credentials_it_says_so(
    data: DataDir, s3: "S3Client", monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    call(data)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it remembers credentials
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(data.root / "none"))
    assert "redentials" in refusal(data, caplog)


def test_without_a_region_it_says_so_and_takes_the_configured_one(
    data: DataDir, s3: "S3Client", monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    call(data)
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(data.root / "none"))
    assert "no region of AWS is known; set AWS_REGION, or region in [storage.aws]" in refusal(data, caplog)
    assert Uploads(data, SINK, "us-east-1").turn() == 1


def test_a_job_that_s3_refuses_holds_no_other_up_and_is_tried_after_pauses_of_its_own(
    data: DataDir, s3: "S3Client", caplog: pytest.LogCaptureFixture
) -> None:
    """A removal sorts before all copies; that of a bucket which is closed now is never done."""
    removal = data.upload / "remove-s_0.json"
    removal.write_text(json.dumps({"session": "s_0", "remove": ["s3://acme-former/x.wav"]}))
    call(data)
    clock = Clock()
    uploads = Uploads(data, SINK, clock=clock)
    assert uploads.turn() == 1
    assert keys(s3) == [KEY]
    tries = [0.0]
    for _ in range(1_000):
        clock.now += 1
        caplog.clear()
        assert uploads.turn() == 0
        if caplog.records:
            tries.append(clock.now - 1_000)
    assert tries == [0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 811]
    s3.create_bucket(Bucket="acme-former")
    clock.now += 300
    assert uploads.turn() == 1
    assert not removal.exists()
    s3.delete_bucket(Bucket="acme-former")


@pytest.mark.parametrize("error", [ValueError("a part"), KeyError("ETag"), TypeError("bytes"), FileNotFoundError("ca")])
def test_whatever_the_sdk_raises_the_job_stays(
    data: DataDir, s3: "S3Client", monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    call(data)
    uploads = Uploads(data, SINK, clock=(clock := Clock()))

    def broken(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(uploads, "_put", broken)
        assert uploads.turn() == 0
    assert f"{type(error).__name__}: {error}" in caplog.text
    clock.now += 1
    assert uploads.turn() == 1
    assert keys(s3) == [KEY]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"7",
        b'{"remove": 7}',
        b'{"session": "s_1", "path": "/etc/passwd"}',
        b'{"session": "s_1", "path": 7}',
    ],
)
def test_what_is_no_job_is_set_aside_and_nothing_is_copied(
    data: DataDir, s3: "S3Client", body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (data.upload / "s_1.0.json").write_bytes(body)
    assert Uploads(data, SINK).turn() == 0
    assert keys(s3) == []
    assert waiting(data) == []
    assert (data.upload / "failed" / "s_1.0.json").read_bytes() == body
    assert f"s_1.0.json is set aside in {data.upload / 'failed'}: " in caplog.text
    erase_content(data, "s_1", NOON)
    assert list((data.upload / "failed").iterdir()) == []


def test_what_is_erased_before_is_not_copied(data: DataDir, s3: "S3Client") -> None:
    job = call(data)
    erase_recordings(data, "s_1", NOON)
    assert not job.exists()
    call(data)  # one that the finisher had in its hands
    record = data.calls / "s_1" / "record.json"
    record.write_text(json.dumps({"session": "s_1", "erased": {"recordings": "2026-11-20T12:00:00Z"}}))
    Uploads(data, SINK).turn()
    assert keys(s3) == []


def test_erasing_a_call_by_hand_removes_its_copies_and_retention_leaves_them_to_the_bucket(
    data: DataDir, s3: "S3Client"
) -> None:
    call(data)
    Uploads(data, SINK).turn()
    erase_recordings(data, "s_1", NOON)
    Uploads(data, SINK).turn()
    assert keys(s3) == [KEY]
    erase_content(data, "s_1", NOON)
    erase_content(data, "s_1", NOON)  # a second time forgets nothing
    assert not (data.calls / "s_1" / "uploaded.json").exists()
    Uploads(data, SINK).turn()
    assert keys(s3) == []
    assert waiting(data) == []


def test_a_copy_that_is_erased_while_it_is_made_goes_again(
    data: DataDir, s3: "S3Client", monkeypatch: pytest.MonkeyPatch
) -> None:
    call(data)
    put = Uploads._put

    def erased(uploads: Any, *given: Any) -> None:
        put(uploads, *given)
        erase_content(data, "s_1", NOON)

    monkeypatch.setattr(Uploads, "_put", erased)
    Uploads(data, SINK).turn()
    assert keys(s3) == [KEY]
    Uploads(data, SINK).turn()
    assert keys(s3) == []


def test_the_finisher_is_told_place_and_region(tmp_path: Path) -> None:
    file = tmp_path / "cordboard.toml"
    file.write_text(f'[recording]\nsink = "{SINK}"\n[storage.aws]\nregion = "eu-north-1"\n')
    (words,) = (child.argv for child in children(load(file, {}, {}), file, {}) if child.name == "finisher")
    assert words[words.index("--sink") + 1] == str(SINK)
    assert words[words.index("--region") + 1] == "eu-north-1"


def test_the_finishers_process_makes_and_copies_a_recording(
    data: DataDir, s3: "S3Client", monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = data.calls / "s_1"
    folder.mkdir()
    (folder / "facts.json").write_text(json.dumps({"started_at": "2026-11-20T23:59:59Z"}))
    raw = folder / "recording.raw.wav"
    raw.write_bytes(header() + bytes(16_000))
    (data.finish / "s_1.0.json").write_text(json.dumps({"session": "s_1", "path": str(raw), "name": "recording"}))
    words = ["--data-dir", str(data.root), "--retention", to_argument(Retention(None, None, None, None))]
    words += ["--log-format", "text", "--log-level", "info", "--sink", str(SINK), "--region", "us-east-1"]
    monkeypatch.delenv("AWS_REGION")
    process = subprocess.Popen(
        [sys.executable, "-m", "cordboard.edge.finisher", *words], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 20
    try:
        while not (folder / "uploaded.json").exists() and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.05)
    finally:
        process.terminate()
        _, log = process.communicate(timeout=10)
    assert process.returncode == 0
    assert f"recording recording.wav of call s_1 is at s3://{SINK.bucket}/{KEY}" in log.decode()
    sound = s3.get_object(Bucket=SINK.bucket, Key=KEY)["Body"].read()
    assert sound == (folder / "recording.wav").read_bytes()
    assert len(read_wav(folder / "recording.wav").samples) == 8_000
    assert waiting(data) == []
