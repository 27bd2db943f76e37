"""A user's own project: its template, its functions, its configuration, its test, in a pytest of its own."""

import subprocess
import sys
from pathlib import Path

from tests.testing.project import run_pytest, write

TEMPLATE = """
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties: {Handler: hello.handler, CodeUri: functions/}
"""

FUNCTION = """
from cordboard.scenario import AppEvents, CallEvents, Scenario, Session, VoxEngine, events

scenario = Scenario("hello")


@scenario.on(AppEvents.CallAlerting)
async def call_alerting(session: Session[None], event: events.CallAlerting) -> None:
    event.call.answer()
    VoxEngine.set_timeout("bye", seconds=3.0)


@scenario.on(AppEvents.Timer)
async def bye(session: Session[None], event: events.Timer) -> None:
    session.calls["caller"].hangup()


handler = scenario.lambda_handler()
"""

CONFIGURATION = """
[[routes]]
to = "+4930*"
scenario = "hello"
"""

TEST = """
def test_hangs_up(edge):
    caller = edge.call("+15551234567", to="+4930123456")
    edge.advance(2.5)
    assert caller.state == "answered"
    edge.advance(1)
    assert (caller.state, caller.session.cause) == ("ended", "handler.terminate")
    other = edge.call("+15551234567", to="+15550001111")
    assert (other.state, other.code) == ("ended", 404)


def test_fails(edge):
    assert edge.call("+15551234567", to="+4930123456").state == "ended"
"""


def test_the_fixture_serves_a_project_of_its_own(tmp_path: Path) -> None:
    files = {"template.yaml": TEMPLATE, "functions/hello.py": FUNCTION}
    write(tmp_path, {**files, "cordboard.toml": CONFIGURATION, "tests/test_hello.py": TEST})
    told = run_pytest(tmp_path, "-q")
    assert "1 failed, 1 passed" in told, told
    assert "test_fails" in told
    assert "timeline of s_" in told


def test_the_plugin_alone_loads_no_simulator() -> None:
    code = "import sys, cordboard.testing.plugin; print([n for n in sys.modules if n in ('numpy', 'websockets')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
