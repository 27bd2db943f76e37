"""`cordboard calls transcript`, `log`, `recording` and `rm` over a made-up data folder."""

import fcntl
import json
import os
import subprocess
import sys
import wave
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cordboard.cli.main import main
from cordboard.edge.data_dir import DataDir

NOW = datetime.now(UTC)
CALLER = "+15551234567"
ENTRY = {"at": 1.0, "end": 3.0, "role": "agent", "name": "agent", "text": "one two three", "heard": "one",
         "unheard": "two three", "heard_seconds": 0.4, "seconds": 1.5, "interrupted": True, "estimated": False,
         "turn": "t1"}  # fmt: skip
LINE = "    1.00  agent: one — interrupted [two three] (0.4 s of 1.5 s heard)"


def make_call(data: DataDir, name: str, *, days: float = 1.0, ended: bool = True, recordings: int = 1) -> Path:
    folder = data.calls / name
    folder.mkdir()
    started = (NOW - timedelta(days=days)).isoformat()
    facts = {"scenario": "line-agent", "from": CALLER, "to": "+18005550100", "started_at": started, "life": "x"}
    (folder / "facts.json").write_text(json.dumps(facts))
    entries = [
        {"at": 0.5, "kind": "sip", "what": "INVITE", "data": {"text": CALLER}},
        {"at": 1.0, "kind": "log", "what": "looked\x1b up", "data": {"level": "WARNING", "order": 7}},
    ]
    (folder / "timeline.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    if ended:
        ended_at = (NOW - timedelta(days=days) + timedelta(minutes=1)).isoformat()
        record = {"session": name, **facts, "ended_at": ended_at, "cause": "caller.hangup", "fault": "none",
                  "duration": 60.0, "legs": []}  # fmt: skip
        (folder / "record.json").write_text(json.dumps(record))
        (folder / "transcript.jsonl").write_text(json.dumps(ENTRY) + "\n")
        (folder / "transcript.txt").write_text(LINE + "\n")
        for number in range(recordings):
            with wave.open(str(folder / ("recording.wav" if not number else f"second{number}.wav")), "wb") as file:
                file.setparams((2, 2, 8000, 0, "NONE", ""))
                file.writeframes(bytes(4 * 8000))
    return folder


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataDir:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    data = DataDir(tmp_path / "var")
    data.make()
    make_call(data, "s_aaa1")
    return data


@pytest.fixture
def edge(data: DataDir) -> Iterator[None]:
    """An edge runs."""
    handle = data.hold()
    yield
    fcntl.flock(handle, fcntl.LOCK_UN)
    os.close(handle)


def left(data: DataDir, name: str) -> set[str]:
    return {path.name for path in (data.calls / name).iterdir()}


# --- transcript and log


def test_a_transcript_in_text_and_json(data: DataDir, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calls", "transcript", "s_aaa"]) == 0
    assert capsys.readouterr().out == LINE + "\n"
    assert main(["calls", "transcript", "s_aaa1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == ENTRY


def test_a_log_is_what_handlers_logged(data: DataDir, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calls", "log", "s_aaa1"]) == 0
    assert capsys.readouterr().out == "    1.000  WARNING  looked� up  order=7\n"
    assert main(["calls", "log", "s_aaa1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"] == {"level": "WARNING", "order": 7}


def test_a_reader_that_has_enough_is_no_fault(data: DataDir) -> None:
    path = data.calls / "s_aaa1" / "timeline.jsonl"
    path.write_text(path.read_text() * 20_000)
    command = [sys.executable, "-m", "cordboard.cli.main", "calls", "log", "s_aaa1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() != b""
    process.stdout.close()
    assert process.wait(20) == 0
    assert process.stderr is not None
    with process.stderr:
        assert process.stderr.read() == b""


# --- recording


def test_a_recording_goes_to_a_file_or_a_pipe(data: DataDir, tmp_path: Path) -> None:
    sound = (data.calls / "s_aaa1" / "recording.wav").read_bytes()
    assert main(["calls", "recording", "s_aaa1", "-o", str(tmp_path / "x.wav")]) == 0
    assert (tmp_path / "x.wav").read_bytes() == sound
    command = [sys.executable, "-m", "cordboard.cli.main", "calls", "recording", "s_aaa1"]
    assert subprocess.run(command, capture_output=True, check=True).stdout == sound


def test_a_terminal_gets_no_sound(data: DataDir) -> None:
    ours, theirs = os.openpty()
    try:
        command = [sys.executable, "-m", "cordboard.cli.main", "calls", "recording", "s_aaa1"]
        done = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 2
    assert done.stderr.splitlines()[1] == "write it to a file: -o recording.wav"


def test_several_recordings_are_told_apart(data: DataDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_call(data, "s_two", recordings=2)
    assert main(["calls", "recording", "s_two", "-o", str(tmp_path / "x.wav")]) == 2
    assert capsys.readouterr().err.splitlines()[1] == "name one of: recording, second1"
    assert main(["calls", "recording", "s_two", "second1", "-o", str(tmp_path / "x.wav")]) == 0
    capsys.readouterr()
    assert main(["calls", "recording", "s_two", "--json"]) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["name"], second["name"]) == ("recording", "second1")
    assert (first["seconds"], first["rate"], first["channels"], first["bytes"]) == (1.0, 8000, 2, 32_044)


# --- rm


def test_rm_leaves_id_times_and_cause_and_an_audit_line(data: DataDir, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calls", "ls"]) == 0  # the list knows the number
    assert main(["calls", "rm", "s_aaa1", "--yes"]) == 0
    assert capsys.readouterr().out.endswith("s_aaa1 erased\n")
    assert left(data, "s_aaa1") == {"facts.json", "record.json"}
    for path in data.root.rglob("*"):
        assert not path.is_file() or CALLER.encode() not in path.read_bytes(), path
    audit = json.loads(data.audit.read_text())
    assert (audit["call"], audit["action"]) == ("s_aaa1", "calls rm")
    assert datetime.fromisoformat(audit["at"]) >= NOW - timedelta(seconds=2)
    assert data.audit.stat().st_mode & 0o777 == 0o600
    assert main(["calls", "show", "s_aaa1"]) == 0
    text = capsys.readouterr().out
    assert f"numbers at {audit['at']}" in text
    assert "caller.hangup" in text
    assert main(["calls", "ls"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["s_aaa1", "ended", "1d", "caller.hangup"]
    for verb, kind in (("transcript", "transcript"), ("timeline", "timeline"), ("recording", "recordings")):
        assert main(["calls", verb, "s_aaa1"]) == 4
        assert f"{kind} of call s_aaa1 w" in capsys.readouterr().err


def test_rm_refuses_a_call_that_lives_and_then_erases_none(
    data: DataDir, edge: None, capsys: pytest.CaptureFixture[str]
) -> None:
    make_call(data, "s_live", ended=False)
    assert main(["calls", "rm", "s_aaa1", "s_live", "--yes"]) == 1
    assert "call s_live has not ended" in capsys.readouterr().err
    assert "recording.wav" in left(data, "s_aaa1")
    assert not data.audit.exists()


def test_rm_erases_a_call_that_was_lost(data: DataDir) -> None:
    make_call(data, "s_lost", ended=False)
    assert main(["calls", "rm", "s_lost", "--yes"]) == 0
    assert left(data, "s_lost") == {"facts.json"}
    assert CALLER not in (data.calls / "s_lost" / "facts.json").read_text()


def test_rm_of_all_older_calls(data: DataDir, edge: None, capsys: pytest.CaptureFixture[str]) -> None:
    make_call(data, "s_old1", days=31)
    make_call(data, "s_old2", days=40)
    make_call(data, "s_live", days=50, ended=False)
    assert main(["calls", "rm", "--older-than", "30d", "--yes", "--json"]) == 0
    assert {json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()} == {"s_old1", "s_old2"}
    assert "recording.wav" in left(data, "s_aaa1")
    assert "timeline.jsonl" in left(data, "s_live")
    assert main(["calls", "rm", "--older-than", "30d", "--yes"]) == 0
    assert capsys.readouterr().err == "no call is that old\n"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["rm", "s_aaa1"], 2, "add --yes"),
        (["rm"], 2, "--older-than"),
        (["rm", "s_aaa1", "--older-than", "1d"], 2, "--older-than"),
        (["rm", "--older-than", "soon", "--yes"], 2, "write 15m"),
        (["rm", "", "--yes"], 2, "write more of one of"),
        (["rm", "s_zzz", "--yes"], 4, "there is no call"),
        (["transcript", "s_bare"], 4, "has no transcript"),
        (["recording", "s_bare"], 4, "has no recording"),
        (["recording", "s_raw"], 1, "is not finished"),
        (["recording", "s_aaa1", "third"], 4, "it has: recording"),
        (["recording", "s_aaa1", "-o", "no/such/folder"], 1, "cannot be written"),
    ],
)
def test_errors_say_what_to_do_and_erase_nothing(
    data: DataDir, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    words: list[str], code: int, said: str,
) -> None:  # fmt: skip
    for name in ("s_bare", "s_raw"):
        make_call(data, name, recordings=0)
        for file in ("transcript.txt", "transcript.jsonl"):
            (data.calls / name / file).unlink()
    (data.calls / "s_raw" / "recording.raw.wav").write_bytes(b"")
    monkeypatch.setattr("sys.stdin", open(os.devnull))  # noqa: SIM115
    assert main(["calls", *words]) == code
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 2
    assert "recording.wav" in left(data, "s_aaa1")
    sys.stdin.close()


def test_a_transcript_of_a_call_that_lives_comes_at_its_end(
    data: DataDir, edge: None, capsys: pytest.CaptureFixture[str]
) -> None:
    make_call(data, "s_live", ended=False)
    assert main(["calls", "transcript", "s_live"]) == 1
    assert "has not ended" in capsys.readouterr().err
