"""`cordboard functions check` and `invoke`: state in modules, handlers that never run, one round asked by hand."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from cordboard.cli.main import main
from cordboard.edge.control.functions import FunctionsBroken

TEMPLATE = """
Resources:
  Desk:
    Type: AWS::Serverless::Function
    Properties: {Handler: desk.app.handler, CodeUri: functions/}
"""

CODE = """
from dataclasses import dataclass
from typing import Final

from shared import PRICES, scenario
from cordboard.scenario import AppEvents, CallEvents, HttpReply, HttpResponse, Session, VoxEngine, events

NAMES: Final = {"a": 1}
KEYS = ("1", "2")


@scenario.on(AppEvents.CallAlerting)
async def alerting(session: Session[None], event: events.CallAlerting) -> None:
    prices = []
    prices.append(PRICES["tea"])
    event.call.answer()
    VoxEngine.set_timeout("bye", seconds=3.0)


@scenario.on(AppEvents.HttpRequest)
async def request(session: Session[None], event: events.HttpRequest) -> HttpReply:
    if event.json() == {}:
        raise RuntimeError("nothing asked")
    session.calls["caller"].hangup()
    return {"ok": True}


@scenario.on(AppEvents.Timer, target="bye")
async def bye(session: Session[None], event: events.Timer) -> None:
    session.calls["caller"].hangup()


handler = scenario.lambda_handler()
"""

SHARED = """
from cordboard.scenario import Scenario

PRICES = frozenset()
scenario = Scenario("desk")
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "functions" / "desk").mkdir(parents=True)
    (tmp_path / "functions" / "desk" / "__init__.py").touch()
    (tmp_path / "functions" / "desk" / "app.py").write_text(CODE)
    (tmp_path / "functions" / "shared.py").write_text(SHARED)
    (tmp_path / "functions" / "never_imported.py").write_text("seen = []\n")
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    (tmp_path / "cordboard.toml").write_text(
        '[functions]\nhost = "in_process"\n[[routes]]\nto = "*"\nscenario = "desk"\n'
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def change(project: Path, old: str, new: str, file: str = "desk/app.py") -> None:
    path = project / "functions" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_good_code_has_nothing_to_correct(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["functions", "check"]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "1 function, nothing to correct\n")


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ('KEYS = ("1", "2")', 'KEYS = ["1", "2"]', 9, "'KEYS' may change and no other process sees it"),
        ('KEYS = ("1", "2")', "KEYS: dict[str, int] = dict()", 9, "'KEYS' may change"),
        ("    prices = []\n", '    NAMES["b"] = 2\n    prices = []\n', 14, "changes 'NAMES' of the module"),
        ("    prices = []\n", "    NAMES.update(b=2)\n    prices = []\n", 14, "changes 'NAMES' of the module"),
        ("    prices = []\n", "    global KEYS\n    KEYS = ()\n    prices = []\n", 14, "global KEYS"),
        ('target="bye"', 'target="by"', 28, "target='by': nothing is named so; the handler never runs"),
    ],
)
def test_what_fails_on_another_process_is_told_by_line(
    project: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, line: int, message: str
) -> None:
    change(project, old, new)
    assert main(["functions", "check"]) == 1
    [told] = capsys.readouterr().out.splitlines()
    assert told.startswith(f"{Path('functions/desk/app.py')}:{line}: ") or f"/functions/desk/app.py:{line}: " in told
    assert message in told


def test_a_name_that_is_computed_may_be_any(project: Path) -> None:
    change(project, 'set_timeout("bye"', 'set_timeout(f"b{1}e"')
    change(project, 'target="bye"', 'target="b1e"')
    assert main(["functions", "check"]) == 0


def test_shared_modules_are_read_too(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(project, "frozenset()", '{"tea": 2}', "shared.py")
    assert main(["--json", "functions", "check"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (Path(told["file"]).name, told["line"]) == ("shared.py", 4)


def test_doubled_events_are_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    function = TEMPLATE.partition("  Desk:")[2]
    (project / "template.yaml").write_text(f"{TEMPLATE}  Twin:{function}")
    assert main(["functions", "check"]) == 1
    assert "'Desk' and 'Twin' both listen to call.alerting" in capsys.readouterr().err


def test_a_route_to_nobody_is_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (project / "cordboard.toml").open("a") as file:
        file.write('[[routes]]\nto = "+49*"\nscenario = "dsk"\n')
    assert main(["functions", "check"]) == 1
    assert "cordboard.toml: [[routes]] to '+49*': no function is of scenario 'dsk'" in capsys.readouterr().out


def test_code_that_is_no_python_is_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(project, "async def bye(", "async def bye((")
    assert main(["functions", "check"]) == 1
    assert "desk/app.py" in capsys.readouterr().err


def ask(project: Path, event: object) -> list[str]:
    (project / "event.json").write_text(json.dumps(event))
    return ["functions", "invoke", "Desk", "-e", "event.json"]


def test_a_round_is_asked_and_nothing_of_it_is_done(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    post = {"method": "POST", "path": "/", "headers": {}, "content": '{"a": 1}'}
    assert main(ask(project, {"type": "http.request", "data": post})) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [(each["type"], each["target"]) for each in answer["commands"]] == [("call.hangup", "caller")]
    assert json.loads(answer["reply"]["body"]) == {"ok": True}


def test_a_failed_round_exits_one(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    post = {"method": "POST", "path": "/", "headers": {}, "content": "{}"}
    assert main(ask(project, {"type": "http.request", "data": post})) == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["status"], answer["error"]["message"]) == ("failed", "nothing asked")


def test_a_whole_invocation_is_taken_as_it_is(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    invocation: dict[str, Any] = {
        "schema": "cordboard.invocation/1",
        "session": {"id": "s_1", "scenario": "desk", "control_url": "", "started_at": "2026-01-01T00:00:00Z"},
        "event": {"id": "s_1:7", "seq": 7, "type": "timer", "at": "2026-01-01T00:00:00Z", "target": "bye"},
        "now": "2026-01-01T00:00:00Z",
        "objects": [{"name": "caller", "kind": "call", "id": "1", "state": "CONNECTED"}],
    }
    invocation["event"] |= {"data": {"timer": "bye"}}
    stdin = io.TextIOWrapper(io.BytesIO(json.dumps(invocation).encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert main(["functions", "invoke", "Desk", "-e", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["event_id"] == "s_1:7"


@pytest.mark.parametrize(
    ("event", "code", "message"),
    [
        ([], 2, "is no JSON object"),
        ({"type": "call.alert"}, 2, "there is no event 'call.alert'"),
        ({"type": "http.request", "data": {"method": 3}}, 2, "method"),
        ({}, 2, "type"),
    ],
)
def test_what_is_no_event_is_named(
    project: Path, capsys: pytest.CaptureFixture[str], event: object, code: int, message: str
) -> None:
    assert main(ask(project, event)) == code
    lines = capsys.readouterr().err.splitlines()
    assert message in lines[0]
    assert lines[1].startswith('write {"type": "http.request"')


def test_files_and_functions_that_are_not_there(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["functions", "invoke", "Desk", "-e", "none.json"]) == 2
    assert "none.json: No such file" in capsys.readouterr().err
    (project / "event.json").write_text("{")
    assert main(["functions", "invoke", "Desk", "-e", "event.json"]) == 2
    (project / "event.json").write_text("{}")
    assert main(["functions", "invoke", "Dsk", "-e", "event.json"]) == 4
    assert "functions: Desk" in capsys.readouterr().err


def test_where_functions_run_on_lambda_the_hint_leads_there(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> object:
        raise FunctionsBroken("AWS Lambda: no region of AWS is known")

    monkeypatch.setattr("cordboard.cli.functions.describe", broken)
    assert main(["functions", "list"]) == 1
    assert "correct it in " in capsys.readouterr().err
    (project / "cordboard.toml").write_text(
        '[functions]\nhost = "lambda"\n[functions.lambda]\nnames = ["Desk"]\n[storage]\nbackend = "aws"\n'
        '[storage.aws]\nprefix = "/desk"\ntable = "desk"\n'
    )
    assert main(["functions", "list"]) == 1
    told = capsys.readouterr().err
    assert "template" not in told
    assert "see [functions.lambda]" in told
