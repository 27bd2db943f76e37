"""A key or secret that a function asks for and nobody gave has a row of its own, whatever the handler does without."""

from pathlib import Path

import pytest

from cordboard.cli.main import main

TEMPLATE = """
Resources:
  Calls:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: .
      Handler: app.handler
      Runtime: python3.12
"""
CODE = """
from cordboard.scenario import AppEvents, ApplicationStorage, KeyNotFound, Scenario, Session, VoxEngine, events
from cordboard.storage.interface import StorageError

scenario = Scenario("desk")


@scenario.on(AppEvents.CallAlerting)
async def alerting(session: Session[None], event: events.CallAlerting) -> None:
    try:
        agent = await ApplicationStorage.require("AGENT_ID")
        key = await session.secret("CRM_KEY").reveal()
    except (KeyNotFound, StorageError):
        VoxEngine.terminate()
        return
    assert (agent, key) == ("agent_1", "made up")
    await event.call.answer()
    event.call.hangup()


handler = scenario.lambda_handler()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    (tmp_path / "app.py").write_text(CODE)
    return tmp_path


@pytest.mark.parametrize(
    ("given", "rows", "advice", "strict"),
    [
        ([], ["missing", "ok"], "add --key AGENT_ID=VALUE", 1),
        (["--key", "AGENT_ID=agent_1"], ["missing", "ok"], "add --secret CRM_KEY=VALUE", 1),
        (["--key", "AGENT_ID=agent_1", "--secret", "CRM_KEY=made up"], ["ok"], "", 0),
    ],
)
def test_what_is_missing_has_its_row_and_says_what_to_add(
    given: list[str], rows: list[str], advice: str, strict: int, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["conform", str(folder), *given, "--only", "answer,replay"]
    assert main([*words, "--strict"]) == strict
    out, err = capsys.readouterr()
    found = [line.split(maxsplit=3) for line in out.splitlines() if line.startswith("Calls")]
    assert [row[2] for row in found if row[1] == "answer"] == rows
    assert advice in out
    assert err == ("Calls: 1 missing\n" if advice else "Calls: ok\n")
    (played,) = [row[3] for row in found if row[1] == "replay"]
    assert played.endswith("without what is missing") is bool(advice)


def test_what_is_missing_breaks_no_contract(folder: Path) -> None:
    assert main(["conform", str(folder), "--only", "answer", "--quiet"]) == 0
