"""`cordboard replay` over the journals of simulated calls: which differ, exit codes, what is printed."""

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.replay.conftest import SEED, story

from cordboard.cli.main import main
from cordboard.edge.data_dir import JOURNAL, DataDir

CALLS = 12
OLD, NEW = '"+18339906144"', '"+18339906155"'


@pytest.fixture(autouse=True)
def goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process does not end with a replay; what stays closed to its end has a process of its own below."""
    monkeypatch.setattr("cordboard.cli.replay.stay_closed", lambda: None)


@pytest.fixture(scope="module")
def recorded() -> list[bytes]:
    return [journal for seed in (21, 22) for journal in story(SEED, seed, callers=CALLS // 2)]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorded: list[bytes]) -> DataDir:
    """A project: the seed's functions, and calls that were made with them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    shutil.copytree(SEED.parent / "functions", tmp_path / "functions")
    shutil.copy(SEED, tmp_path / "template.yaml")
    data = DataDir(tmp_path / "var")
    data.make()
    for journal in recorded:
        keep(data, journal)
    return data


def keep(data: DataDir, journal: bytes, name: str = "") -> Path:
    began = json.loads(journal.splitlines()[0])
    folder = data.calls / (name or began["session"])
    folder.mkdir()
    facts = {"scenario": began["scenario"], "started_at": began["started_at"], "from": "", "to": ""}
    (folder / "facts.json").write_text(json.dumps(facts))
    (folder / JOURNAL).write_bytes(journal)
    return folder / JOURNAL


def ids(data: DataDir) -> list[str]:
    return sorted(path.name for path in data.calls.iterdir())


def changed(folder: Path, old: str, new: str) -> Path:
    """A copy of the functions with one line changed."""
    shutil.copytree(SEED.parent / "functions", folder)
    code = folder / "line_agent.py"
    text = code.read_text()
    assert text.count(old) == 1
    code.write_text(text.replace(old, new))
    return folder


def transferred(recorded: list[bytes]) -> set[str]:
    """Calls in which the number was dialled, by what the file says."""
    return {json.loads(each.splitlines()[0])["session"] for each in recorded if b'"type":"call.dial"' in each}


def test_unchanged_functions_differ_in_no_call(data: DataDir, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", *ids(data)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 1
    assert out[0].startswith(f"{CALLS} calls, ")
    assert out[0].endswith("events, 0 differ")


def test_one_changed_routing_line_names_exactly_the_calls_that_it_changes(
    data: DataDir, recorded: list[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = changed(tmp_path / "today", OLD, NEW)
    assert main(["replay", "--since", "36500d", "--functions", str(code), "--json"]) == 1
    shown = capsys.readouterr()
    found = [json.loads(line) for line in shown.out.splitlines()]
    expected = transferred(recorded)
    assert 0 < len(expected) < CALLS
    assert {each["call"] for each in found} == expected
    assert all(each["what"] == "command" and each["recorded"]["type"] == "call.dial" for each in found)
    assert {each["today"]["args"]["to"] for each in found} == {json.loads(NEW)}
    last = shown.err.splitlines()[-1]  # a slow machine is told of the progress before
    assert last.startswith(f"{CALLS} calls, ")
    assert last.endswith(f"events, {len(expected)} differ")


def test_a_diff_for_people_shows_both_sides_and_can_hide_numbers(
    data: DataDir, recorded: list[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = changed(tmp_path / "today", OLD, NEW)
    name = min(transferred(recorded))
    assert main(["replay", name, "--functions", str(code)]) == 1
    head, event, then, today, end = capsys.readouterr().out.splitlines()
    assert head.startswith(f"{name}  line-agent  ")
    assert event.strip().endswith("http.request: command")
    assert then.split()[:3] == ["then", "call.dial", "consult"]
    assert json.loads(OLD) in then
    assert json.loads(NEW) in today
    assert "http_request/app.py:" in today
    assert end.startswith("1 calls, ")
    assert main(["replay", name, "--functions", str(code), "--redact", "numbers"]) == 1
    assert "+1833" not in capsys.readouterr().out


def test_a_folder_with_a_template_of_its_own_is_taken(data: DataDir, tmp_path: Path) -> None:
    (tmp_path / "next").mkdir()
    changed(tmp_path / "next" / "functions", OLD, NEW)
    shutil.copy(SEED, tmp_path / "next" / "template.yaml")
    assert main(["replay", "--since", "36500d", "--functions", str(tmp_path / "next")]) == 1


def test_since_and_scenario_choose(data: DataDir, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "--since", "1h"]) == 0
    assert capsys.readouterr().out.startswith("0 calls")  # in virtual time they were long ago
    assert main(["replay", "--since", "36500d", "--scenario", "another"]) == 0
    assert capsys.readouterr().out.startswith("0 calls")
    assert main(["replay", "--since", "36500d", "--scenario", "line-agent"]) == 0
    assert capsys.readouterr().out.startswith(f"{CALLS} calls")


def test_a_poisoned_journal_is_named_and_the_others_go_on(
    data: DataDir, recorded: list[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    bad = keep(data, recorded[0], "s_bad")
    bad.write_bytes(recorded[0] + b"garbage\n")
    torn = keep(data, recorded[0], "s_torn")
    torn.write_bytes(recorded[0][:-5])
    assert main(["replay", "--since", "36500d"]) == 2
    shown = capsys.readouterr()
    lines = len(recorded[0].splitlines())
    assert f"{bad}:{lines + 1}: value: is no JSON" in shown.err
    assert f"{torn}:{lines}: the line is torn" in shown.err
    assert shown.out.startswith(f"{CALLS + 1} calls, ")
    assert shown.out.rstrip().endswith("0 differ, 2 journals unreadable")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "name calls, or all of a time"),
        (["s_", "--since", "7d"], 2, "name calls, or all of a time"),
        (["nobody"], 4, "there is no call 'nobody'"),
        (["s_"], 2, "calls begin with"),
        (["--since", "soon"], 2, "--since 'soon' is no duration"),
        (["--since", "7d", "--functions", "nowhere"], 2, "nowhere is no folder"),
        (["s_without"], 4, "call s_without has no journal"),
    ],
)
def test_what_cannot_be_done_is_said(
    words: list[str], code: int, message: str, data: DataDir, capsys: pytest.CaptureFixture[str]
) -> None:
    (data.calls / "s_without").mkdir()
    assert main(["replay", *words]) == code
    assert message in capsys.readouterr().err


def test_functions_that_cannot_be_loaded_are_no_difference(
    data: DataDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = changed(tmp_path / "today", OLD, f"{OLD} +")
    assert main(["replay", "--since", "7d", "--functions", str(code)]) == 2
    assert "cannot be imported: SyntaxError" in capsys.readouterr().err


def test_a_long_run_says_how_far_it_is(
    data: DataDir, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("cordboard.cli.replay.PROGRESS", -1.0)
    assert main(["replay", *random.Random(1).sample(ids(data), 2)]) == 0
    assert "1 of 2 calls, " in capsys.readouterr().err


def test_what_code_leaves_for_the_end_of_the_process_is_not_performed(data: DataDir, tmp_path: Path) -> None:
    mark = tmp_path / "performed"
    code = changed(tmp_path / "today", OLD, f"{OLD}\nimport atexit\natexit.register(open, {str(mark)!r}, 'w')")
    command = [sys.executable, "-m", "cordboard.cli.main", "replay", ids(data)[0], "--functions", str(code)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 calls, ")
    assert "Offline: open in a replay" in done.stderr
    assert not mark.exists()
