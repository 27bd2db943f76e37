"""Calls in a simulated world, whose journals are then replayed."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.simulator.test_simulated_chance import KEYS, act, die

from cordboard.replay.call import CallReport, Replay
from cordboard.replay.recorded import read_journal
from cordboard.simulator.network import Conditions
from cordboard.simulator.phones import Phone
from cordboard.simulator.simulation import Simulation

HERE = Path(__file__).parent
DESK = HERE / "template.yaml"
SEED = HERE.parents[1] / "template.yaml"
CALLER, NUMBER = "+15551234567", "+18005550100"
ACTIONS = ("gather", "call_transfer", "end_call", "bad", "no idea")


def story(template: Path, seed: int, *, callers: int = 1, deaths: bool = False) -> list[bytes]:
    """Calls whose course the seed chooses; their journals."""
    with Simulation(template, seed=seed, conditions=Conditions()) as sim:
        sim.keys(**KEYS)
        chance = random.Random(seed)
        phones = [sim.call(f"{CALLER[:-2]}{number:02}", NUMBER) for number in range(callers)]
        for _ in range(chance.randint(2, 8)):
            act(sim, chance)
            for phone in phones:
                if sim.edge.control is not None and phone.call_id in sim.edge.legs and chance.random() < 0.5:
                    ask(sim, chance, phone)
                if phone.state == "answered" and chance.random() < 0.3:
                    phone.press(chance.choice(("12", "4711")))
            if deaths and sim.edge.control is not None and chance.random() < 0.5:
                die(sim, chance)
            sim.world.advance(chance.choice((0.01, 0.3, 1.0, 4.0)))
        for phone in sim.exchange.phones:
            phone.hangup()
        sim.world.advance(90.0)
        return [bytes(session.journal) for session in sim.edge.sessions.values()]


def ask(sim: Simulation, chance: random.Random, phone: Phone) -> None:
    """The agent's service asks something of the handlers."""
    url = sim.session_of(phone).control_url.rpartition("/")[2]
    path, body = chance.choice(
        [(url, {"action": action}) for action in ACTIONS] + [(f"{url}/opening_hours", {"day": "monday"})]
    )
    sim.edge.request("POST", path, {"content-type": "application/json"}, json.dumps(body).encode())
    sim.world.advance(0.1)


def reports(template: Path, journals: list[bytes], folder: Path) -> list[CallReport]:
    """What a replay finds of journals."""
    paths = [folder / f"{number}.jsonl" for number in range(len(journals))]
    for path, journal in zip(paths, journals, strict=True):
        path.write_bytes(journal)
    with Replay(template) as replay:
        return [replay.call(read_journal(path)) for path in paths]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the seed's functions, to be changed."""
    shutil.copytree(SEED.parent / "functions", tmp_path / "changed" / "functions")
    shutil.copy(SEED, tmp_path / "changed" / "template.yaml")
    return tmp_path / "changed"


def recorded() -> bytes:
    """A call that asks for much, and fails in some of it."""
    with Simulation(DESK, seed=5) as sim:
        sim.keys(CARTESIA_API_KEY="test-key")
        sim.storage.put("hours:monday", "9 to 5", None)
        caller = sim.call(CALLER, NUMBER)
        url = sim.session_of(caller).control_url.rpartition("/")[2]

        def ask(path: str, body: dict[str, Any]) -> None:
            kind = {"content-type": "application/json"}
            sim.edge.request("POST", url + path, kind, json.dumps(body).encode())
            sim.world.advance(0.3)

        ask("/opening_hours", {"day": "monday"})
        ask("", {"action": "bad"})
        ask("", {"action": "no idea"})
        ask("", {"action": "gather"})
        caller.press("1234")
        sim.world.advance(3.0)
        caller.press("7")
        sim.faults.next("function crashed", "http.request")
        ask("", {"action": "call_transfer"})
        sim.world.advance(3.0)
        for phone in sim.exchange.phones[1:]:
            phone.answer()
        sim.world.advance(1.0)
        caller.hangup()
        sim.world.advance(60.0)
        return bytes(sim.session_of(caller).journal)


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    path.write_bytes(recorded())
    return path


def replayed(journal: Path, folder: Path, *changes: tuple[str, str], follow: bool = False) -> CallReport:
    """The call asked again of functions with those changes."""
    shutil.copytree(HERE / "functions", folder / "functions")
    code = folder / "functions" / "desk.py"
    text = code.read_text()
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    code.write_text(text)
    with Replay(DESK, code=folder / "functions", follow_state=follow) as replay:
        return replay.call(read_journal(journal))


def found(report: CallReport) -> list[tuple[str, str]]:
    return [(each.type, each.what) for each in report.differences]
