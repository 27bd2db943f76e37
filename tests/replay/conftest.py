"""Calls in a simulated world, whose journals are then replayed."""

import json
import random
import shutil
from pathlib import Path

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


def reports(replay: Replay, journals: list[bytes], folder: Path) -> list[CallReport]:
    """What a replay finds of journals."""
    found = []
    for number, journal in enumerate(journals):
        path = folder / f"{number}.jsonl"
        path.write_bytes(journal)
        found.append(replay.call(read_journal(path)))
    return found


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the seed's functions, to be changed."""
    shutil.copytree(SEED.parent / "functions", tmp_path / "changed" / "functions")
    shutil.copy(SEED, tmp_path / "changed" / "template.yaml")
    return tmp_path / "changed"
