"""`cordboard conform` as one types it: the table, its JSON, the exit code, and what is wrong with its arguments."""

import json
import sys
from pathlib import Path

import pytest

from cordboard.cli.main import main

PROGRAM = Path(__file__).parents[1] / "conform" / "program.py"


def conform(behaviour: str, folder: Path, *more: str) -> int:
    return main(["conform", str(folder), "--command", f"{sys.executable} -I -S {PROGRAM} {behaviour}", *more])


def test_a_good_program_gives_a_table_of_ok(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert conform("good", tmp_path, "--only", "answer,late") == 0
    out, err = capsys.readouterr()
    assert [line.split()[:3] for line in out.splitlines()] == [
        ["FUNCTION", "CHECK", "RESULT"],
        ["program", "answer", "ok"],
        ["program", "late", "ok"],
    ]
    assert err == "program: ok\n"


def test_a_bad_one_says_what_came_and_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert conform("hash", tmp_path, "--only", "answer", "--quiet") == 1
    out, err = capsys.readouterr()
    _, failed, advice, *_ = out.splitlines()
    assert failed.split(maxsplit=3) == [
        "program", "answer", "failed", "call.alerting: commands[0].hash: does not fit call.answer",
    ]  # fmt: skip
    assert advice.strip().startswith("→ hash: the first 16 hex digits of SHA-256 over JSON [type, target, args]")
    assert "\x1b" not in out
    assert err == ""


def test_json_is_one_row_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert conform("reply_text", tmp_path, "--only", "reply", "--json") == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {row["result"] for row in rows} == {"failed"}
    assert rows[0].keys() == {"function", "check", "result", "detail", "advice"}


def test_what_a_program_prints_is_shown_when_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert conform("dies_at_start", tmp_path, "-v") == 1
    assert "program : no database" in capsys.readouterr().err


def test_ones_own_events_are_played_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.json").write_text('{"type": "http.request", "data": {"method": "GET", "path": "/mine"}}')
    (tmp_path / "tone.json").write_text('{"type": "call.tone", "data": {"tone": "1"}}')
    mine, tone = str(tmp_path / "mine.json"), str(tmp_path / "tone.json")
    assert conform("reply_text", tmp_path, "--only", "reply", "--event", mine) == 1
    assert "http.request of mine.json: reply.body: is no JSON" in capsys.readouterr().out
    assert conform("good", tmp_path, "--only", "answer", "--event", tone) == 1
    assert "tone.json: no function listens to call.tone of None" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "mine.json: Expecting property name"),
        ("[]", "expected an object, got a list"),
        ('{"type": "call.tome"}', "type: 'call.tome' is no event"),
        ('{"type": "call.tone", "data": {"tone": 1}}', "data.tone: expected a string"),
        ('{"type": "call.tone", "date": {}}', "date: unknown field"),
    ],
)
def test_an_event_that_no_edge_sends_is_refused(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.json").write_text(text)
    assert conform("good", tmp_path, "--event", str(tmp_path / "mine.json")) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["nowhere"], 4, "nowhere: there is no such file or folder"),
        (["--command", ""], 2, "--command: is empty"),
        (["--command", "'"], 2, "--command: No closing quotation"),
        (["--only", "answer,speed"], 2, "--only: there is no check speed"),
        (["--command", "true", "--key", "NAME"], 2, "--key: 'NAME' is not NAME=VALUE"),
        (["--command", "true", "--key", f"{'x' * 201}=1"], 2, "--key, --secret: the key has 201 characters"),
        (["--command", "true", "--data", "to"], 2, "--data 'to' has no name"),
        (["--command", "true", "--event", "no.json"], 4, "--event no.json: No such file"),
        (["."], 2, "template.yaml: No such file"),
    ],
)
def test_bad_arguments_are_named(
    words: list[str], code: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["conform", *words]) == code
    first, hint = capsys.readouterr().err.splitlines()
    assert message in first
    assert hint


def test_seconds_are_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["conform", str(tmp_path), "--timeout", "0"])
    assert "'0' is not between 0.01 and 900 seconds" in capsys.readouterr().err


def test_a_folder_of_code_goes_by_the_template_above_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = Path(__file__).parent.parent.parent
    assert main(["conform", str(root / "functions"), "--only", "describe", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {row["function"] for row in rows} >= {"CallAlerting", "HttpRequest", "WebsocketClose", "Webhook"}
    assert main(["conform", str(root / "docs")]) == 2
    assert "no function has its code in" in capsys.readouterr().err
