"""The demo passes, and its checks can fail: each is seen to notice the thing it is there for."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import wave
from pathlib import Path

import pytest

SABOTAGE = Path(__file__).parent / "sabotage"
ROOT = Path(__file__).parent.parent.parent


def run_demo(out: Path, *words: str, sabotage: str = "", folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NO_COLOR": "1"}
    if sabotage:
        environment |= {"PYTHONPATH": str(SABOTAGE), "CORDBOARD_SABOTAGE": sabotage}
    command = [sys.executable, "-m", "cordboard.cli.main", "demo", "--out", str(out), *words]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False
    )


def test_the_demo_passes_and_leaves_what_it_promises(tmp_path: Path) -> None:
    done = run_demo(tmp_path / "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.strip().splitlines()[-1]
    assert re.fullmatch(r"demo: \d+ checks passed", last)
    assert re.search(r"clear → last agent RTP at the phone: -?\d+\.\d ms", done.stdout)
    for name in ("1-transfer", "2-farewell", "3-lost"):
        folder = tmp_path / "demo" / name
        with wave.open(str(folder / "recording.wav")) as recording:
            assert (recording.getnchannels(), recording.getframerate()) == (2, 16_000)
            assert recording.getnframes() > 16_000
        kinds = {entry["kind"] for entry in json.loads((folder / "timeline.json").read_text())["entries"]}
        assert {"sip", "event", "round", "command", "ledger"} <= kinds
        assert (folder / "transcript.txt").read_text()


def test_the_same_functions_talk_to_a_managed_agent_by_changing_the_version(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "functions", tmp_path / "functions", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "template.yaml", tmp_path)
    shutil.copytree(ROOT / "samples" / "agents", tmp_path / "samples" / "agents")
    (tmp_path / "var").symlink_to(ROOT / "var")  # where the agent's libraries are
    shared = tmp_path / "functions" / "line_agent.py"
    text = shared.read_text(encoding="utf-8")
    assert text.count('CARTESIA_VERSION: Final = "2025-04-16"') == 1
    shared.write_text(text.replace('Final = "2025-04-16"', 'Final = "2026-08-14"'), encoding="utf-8")
    done = run_demo(tmp_path / "demo", "--only", "transfer", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    entries = json.loads((tmp_path / "demo" / "1-transfer" / "timeline.json").read_text())["entries"]
    acks = [entry for entry in entries if entry["what"] == "agent.ack:agent"]
    assert [entry["data"]["data"]["type"] for entry in acks] == ["session_ready"]


@pytest.mark.parametrize(
    ("sabotage", "noticed"),
    [
        ("clear", "the agent falls silent"),
        ("bridge", "the consult phone hears the caller"),
        ("ringback", "the caller hears ringback"),
    ],
)
def test_the_demo_notices_what_is_broken(tmp_path: Path, sabotage: str, noticed: str) -> None:
    done = run_demo(tmp_path / "demo", "--only", "transfer", sabotage=sabotage)
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(rf"FAIL {noticed}", done.stdout), done.stdout


def test_a_demo_that_is_killed_leaves_no_process(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cordboard.cli.main", "demo", "--out", str(tmp_path / "demo"), "--only", "lost"]
    demo = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert demo.stdout is not None
    with demo.stdout:
        for line in demo.stdout:
            if "the edge answers" in line:
                break
        assert processes_of(tmp_path) != []
        demo.kill()
        demo.wait(10)
    deadline = time.monotonic() + 15  # the edge promises to be gone 10 s after its signal
    while processes_of(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert processes_of(tmp_path) == []


def processes_of(folder: Path) -> list[str]:
    """Command lines that name the folder."""
    found = []
    ours = {str(os.getpid()), str(os.getppid())}  # pytest and its parent name the folder's parents
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(folder) in words and path.parent.name not in ours:
                found.append(words)
    return found


def test_a_demo_clears_nothing_that_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    done = run_demo(tmp_path)
    assert done.returncode == 2
    assert "--out DIR" in done.stderr
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
