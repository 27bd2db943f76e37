"""`cordboard calls` over a made-up data folder, with no edge running."""

import fcntl
import json
import os
import re
import select
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cordboard.cli.main import main
from cordboard.edge.data_dir import DataDir

NOW = datetime.now(UTC)


def _make_call(
    data: DataDir, name: str, *, hours: float, record: dict[str, object] | None = None, who: str = "+1555"
) -> Path:
    folder = data.calls / name
    folder.mkdir(parents=True)
    started = (NOW - timedelta(hours=hours)).isoformat()
    facts = {"scenario": "line-agent", "from": who, "to": "+18005550100", "started_at": started, "life": "x"}
    (folder / "facts.json").write_text(json.dumps(facts))
    entries = [
        {"at": 0.0, "kind": "sip", "what": "call from \x1b[31mred", "data": {"source": "127.0.0.1"}},
        {"at": 1.25, "kind": "cause", "what": "caller.hangup", "data": {}},
    ]
    (folder / "timeline.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    if record is not None:
        whole = {"session": name, "started_at": started, "from": who, "to": "+18005550100", **record}
        (folder / "record.json").write_text(json.dumps(whole))
    return folder


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataDir:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    data = DataDir(tmp_path / "var")
    data.make()
    ended = {
        "cause": "caller.hangup",
        "fault": "none",
        "duration": 12.5,
        "legs": [
            {"name": "caller", "direction": "in", "from": "+1555", "to": "+1800", "answered": True,
             "duration": 12.0, "ended_by": "them"},
            {"name": "consult", "direction": "out", "from": "+1800", "to": "+1777", "answered": False,
             "code": 486, "ended_by": "them"},
        ],
        "ledger": [{"source": "agent", "sink": "caller", "rate": 8000, "received": 16000, "sent": 8000}],
        "figures": {"clear_to_silence_ms": [12.0]},
        "recordings": ["recording.wav"],
    }  # fmt: skip
    _make_call(data, "s_aaa1", hours=30, record=ended)
    _make_call(data, "s_aab2", hours=1.5, record={"cause": "agent.error", "fault": "agent"}, who="+1666")
    _make_call(data, "s_live", hours=0.02)
    return data


def test_ls_shows_the_newest_first(data: DataDir, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calls", "ls"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["ID", "FROM", "TO", "STATE", "AGE", "CAUSE"]
    assert [line.split()[0] for line in lines[1:]] == ["s_live", "s_aab2", "s_aaa1"]
    state, age = lines[1].split()[3:]
    assert state == "lost"
    assert re.fullmatch(r"[1-9]m", age)  # as long ago as this module was imported
    assert lines[3].split() == ["s_aaa1", "+1555", "+18005550100", "ended", "1d", "caller.hangup"]


@pytest.mark.parametrize(
    ("flags", "ids"),
    [
        (["--number", "666"], ["s_aab2"]),
        (["--number", "1800"], ["s_live", "s_aab2", "s_aaa1"]),
        (["--cause", "caller.hangup"], ["s_aaa1"]),
        (["--since", "2h"], ["s_live", "s_aab2"]),
        (["--since", "5m"], ["s_live"]),
        (["--limit", "1"], ["s_live"]),
        (["--limit", "0"], []),
        (["--live"], []),
    ],
)
def test_ls_filters(data: DataDir, capsys: pytest.CaptureFixture[str], flags: list[str], ids: list[str]) -> None:
    assert main(["--json", "calls", "ls", *flags]) == 0
    assert [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()] == ids


def test_a_call_without_record_is_live_while_an_edge_runs(data: DataDir, capsys: pytest.CaptureFixture[str]) -> None:
    handle = data.hold()
    try:
        assert main(["calls", "ls", "--live", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["state"] == "live"
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)
        os.close(handle)


def test_show_tells_how_it_ended(data: DataDir, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calls", "show", "s_aaa"]) == 0
    text = capsys.readouterr().out
    for part in ("s_aaa1  ended", "caller.hangup", "12.0 s", "not answered (486)", "agent → caller: 1.0 s of 2.0 s",
                 "clear_to_silence_ms [12.0]", "recording.wav"):  # fmt: skip
        assert part in text
    assert main(["calls", "show", "s_aaa1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cause"] == "caller.hangup"


def test_log_prints_the_timeline_without_control_characters(data: DataDir, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calls", "timeline", "s_aaa1"]) == 0
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert "1.250  cause    caller.hangup" in text
    assert main(["calls", "timeline", "s_aaa1", "--json"]) == 0
    assert [json.loads(line)["at"] for line in capsys.readouterr().out.splitlines()] == [0.0, 1.25]


def test_log_follows_to_the_end(data: DataDir) -> None:
    handle = data.hold()
    folder = data.calls / "s_live"
    process = subprocess.Popen(
        [sys.executable, "-m", "cordboard.cli.main", "calls", "timeline", "-f", "s_live"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert "call from" in process.stdout.readline()
        process.stdout.readline()
        with (folder / "timeline.jsonl").open("a") as file:
            file.write('{"at": 2.0, "kind": "log", "what": "half')
            file.flush()
            file.write(' and whole", "data": {}}\n')
        assert "half and whole" in process.stdout.readline()
        (folder / "record.json").write_text("{}")
        assert process.wait(10) == 0
        assert process.stdout.read() == ""
    finally:
        process.kill()
        process.communicate()
        os.close(handle)


def test_log_follows_new_calls(data: DataDir) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "cordboard.cli.main", "calls", "timeline", "-f"], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        give_up = time.monotonic() + 20
        number = 0
        while not select.select([process.stdout], [], [], 0.3)[0]:  # until it has begun to look, calls are old ones
            assert time.monotonic() < give_up
            number += 1
            _make_call(data, f"s_new{number}", hours=0)
        assert process.stdout.readline().startswith(b"s_new")
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["calls", "show", "s_zzz"], 4, "there is no call 's_zzz'"),
        (["calls", "timeline", "s_aa"], 2, "2 calls begin with 's_aa'"),
        (["calls", "log"], 2, "needs an ID"),
        (["calls", "ls", "--since", "soon"], 2, "--since 'soon'"),
    ],
)
def test_errors_have_two_lines(
    data: DataDir, capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    assert main(words) == code
    captured = capsys.readouterr()
    assert said in captured.err
    assert len(captured.err.splitlines()) == 2
    assert captured.out == ""


def test_damaged_files_are_said_and_passed_over(data: DataDir, capsys: pytest.CaptureFixture[str]) -> None:
    (data.calls / "s_aab2" / "record.json").write_text("{")
    with (data.calls / "s_aaa1" / "timeline.jsonl").open("a") as file:
        file.write("nonsense\n[]\n")
    assert main(["calls", "ls"]) == 0
    captured = capsys.readouterr()
    assert "record.json cannot be read" in captured.err
    assert len(captured.out.splitlines()) == 4
    assert main(["calls", "timeline", "s_aaa1"]) == 0
    captured = capsys.readouterr()
    assert captured.err.count("a line is damaged") == 2
    assert len(captured.out.splitlines()) == 2


def test_an_empty_machine_has_no_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["calls", "ls"]) == 0
    assert capsys.readouterr().out.split() == ["ID", "FROM", "TO", "STATE", "AGE", "CAUSE"]
    assert list(tmp_path.iterdir()) == []
