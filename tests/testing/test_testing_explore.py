"""Seeds: a fragile scenario's failure is shrunk to the fault that it needs, and what is printed fails when pasted."""

import re
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.testing.project import run_pytest, write

from cordboard.simulator.faults import Fault
from cordboard.testing.explore import fewest
from cordboard.testing.story import Story

TEMPLATE = """
Resources:
  Visits:
    Type: AWS::Serverless::Function
    Properties: {Handler: visits.handler, CodeUri: functions/}
"""

FUNCTION = """
from cordboard.scenario import AppEvents, ApplicationStorage, HttpReply, Scenario, Session, VoxEngine, events

scenario = Scenario("visits")


@scenario.on(AppEvents.CallAlerting)
async def call_alerting(session: Session[None], event: events.CallAlerting) -> None:
    event.call.answer()
    VoxEngine.set_timeout("bye", seconds=5.0)


@scenario.on(AppEvents.HttpRequest)
async def visit(session: Session[None], event: events.HttpRequest) -> HttpReply:
    found = await ApplicationStorage.get("visits")
    count = 1 + (int(found.value) if found else 0)
    await ApplicationStorage.put("visits", str(count), ttl=60)  # adds one more where its answer is lost
    return {"visits": count}


@scenario.on(AppEvents.Timer)
async def bye(session: Session[None], event: events.Timer) -> None:
    session.calls["caller"].hangup()


handler = scenario.lambda_handler()
"""

REPAIRED = (
    FUNCTION.replace("Session[None]", "Session[State]")
    .replace("\nscenario = ", "\n\n@dataclass\nclass State:\n    visits: int = 0\n\n\nscenario = ")
    .replace('Scenario("visits")', 'Scenario("visits", state=State)')
    .replace("\nfrom cordboard", "\nfrom dataclasses import dataclass\n\nfrom cordboard", 1)
    .replace('    found = await ApplicationStorage.get("visits")\n', "")
    .replace(
        "count = 1 + (int(found.value) if found else 0)", "count = session.state.visits = session.state.visits + 1"
    )
)
"""It counts in the session's state, which a lost answer leaves as it was."""

FRAGILE = """
import pytest


@pytest.fixture
def empty(edge):
    edge.keys(visits="0")
    return edge


@pytest.mark.cordboard(seeds=40, lost_answers=0.06, packet_loss=0.1, packet_duplicates=0.1)
def test_each_visit_counts_once(empty):
    caller = empty.call("+15551234567", to="+18005550100")
    empty.advance(0.5)
    caller.say("good day", seconds=0.5)
    empty.advance(1)
    for _ in range(3):
        caller.control({"action": "visit"})
    caller.press("1")
    assert empty.stored("visits") == "3"
    empty.advance(6)
    assert caller.state == "ended"


@pytest.mark.cordboard(seeds=3, packet_loss=0.1)
def test_sound_may_be_lost(empty):
    caller = empty.call("+15551234567", to="+18005550100")
    caller.say("good day", seconds=0.5)
    empty.advance(6)
    assert caller.state == "ended"


@pytest.mark.cordboard(seeds=3, lost_answers=0.1)
def test_fails_without_faults(edge):
    assert edge.call("+15551234567", to="+18005550100").state == "ended"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write(tmp_path, {"template.yaml": TEMPLATE, "functions/visits.py": FUNCTION, "tests/test_visits.py": FRAGILE})
    return tmp_path


def test_a_failing_seed_shrinks_to_its_one_fault_and_prints_a_test_to_paste(project: Path) -> None:
    told = run_pytest(project, "-q")
    assert "2 failed, 1 passed" in told, told
    assert re.search(r"Seed \d+ of 40 failed with AssertionError, \d+ faults", told), told
    assert re.search(r"Needed: 1 fault, found in \d+ runs", told), told
    assert re.search(r"answer lost  http\.request #\d  s_", told), told
    assert "It fails without any fault" in told
    assert re.search(r"timeline of s_\w+", told), told
    [found] = re.findall(r"To paste:\n\n(def test_each_visit.*?)\n(?=[-=_\n])", told, re.S)
    lines = found.splitlines()
    assert re.fullmatch(r"def test_each_visit_counts_once_seed_\d+\(empty, edge\):", lines[0])
    assert re.fullmatch(r'    edge\.faults\.next\("answer lost", event="http\.request"(, nth=[23])?\)', lines[1])
    assert [line for line in lines if "say" in line or "press" in line] == []
    assert lines[-1] == '    assert empty.stored("visits") == "3"'
    fixture = FRAGILE[: FRAGILE.index("@pytest.mark")]
    write(project, {"tests/test_visits.py": fixture + found + "\n"})
    pasted = run_pytest(project, "-q")
    assert "1 failed" in pasted, pasted
    assert "AssertionError" in pasted
    write(project, {"functions/visits.py": REPAIRED})
    assert "1 passed" in run_pytest(project, "-q")


@given(st.sets(st.integers(0, 60), max_size=4), st.integers(0, 61))
def test_the_fewest_are_just_those_that_it_takes(needed: set[int], length: int) -> None:
    items = list(range(max(length, max(needed, default=0) + 1)))
    asked = []

    def fails(some: list[int]) -> bool:
        asked.append(some)
        return needed <= set(some)

    assert set(fewest(items, fails)) == needed
    assert len(asked) < 400


def a_test(edge: object) -> None:
    edge.faults(lost_answers=0.1)  # type: ignore[attr-defined]
    for _ in range(2):
        edge.faults(crashes=0.1)  # type: ignore[attr-defined]
    text = textwrap.dedent(
        """
        two lines
        """
    )
    assert text
    text = "behind the failure"


def test_a_story_leaves_out_what_never_ran_and_what_asks_for_chance() -> None:
    failed = a_test.__code__.co_firstlineno + 9
    story = Story(a_test, failed)
    text = story.text([Fault("ack late", "start", 2)], "seed_3")
    assert text.splitlines()[:2] == [
        "def a_test_seed_3(edge: object) -> None:",
        '    edge.faults.next("ack late", event="start", nth=2)',
    ]
    assert "lost_answers" not in text
    assert "crashes" in text, "it is all that its block has"
    assert "behind the failure" not in text
    story.shorten(lambda shorter: "two lines" in shorter.text((), ""))
    assert "for _" not in story.text((), "")
    assert "assert" not in story.text((), "")
