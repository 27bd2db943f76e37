"""Gathers on a whole edge: whose each key is, what a secret leaves behind, what a recording holds."""

import random
from pathlib import Path

import pytest
from tests.simulator.calls import CALLER, NUMBER, agent_of, control, heard, heard_by_agent, record_of
from tests.simulator.conftest import Make

from cordboard.media.recorder import header
from cordboard.simulator.phones import Phone
from cordboard.simulator.simulation import Simulation

TEMPLATE = Path(__file__).parent / "gather" / "template.yaml"
CARD = "4929123456781234"


@pytest.fixture
def sim(make: Make) -> Simulation:
    return make(TEMPLATE)


def gathered(sim: Simulation, phone: Phone) -> list[list[str]]:
    found: list[list[str]] = sim.session_of(phone).state.get("gathered", [])
    return found


def tones(sim: Simulation, phone: Phone) -> str:
    return str(sim.session_of(phone).state.get("tones", ""))


def at_agent(sim: Simulation, phone: Phone) -> str:
    return "".join(str(each["dtmf"]) for each in agent_of(sim, phone).messages if each.get("event") == "dtmf")


def press(sim: Simulation, phone: Phone, keys: str) -> None:
    phone.press(keys)
    sim.world.advance(0.22 * len(keys) + 0.1)


def recorded(sim: Simulation, name: str = "all") -> tuple[bytes, bytes]:
    """Left and right of a raw recording."""
    [data] = [data for path, data in sim.edge.files.items() if path.endswith(f"/{name}.raw.wav")]
    body = bytes(data)[len(header()) :]
    return body[0::2], body[1::2]


def test_a_secret_number_is_the_handlers_alone(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    agent = agent_of(sim, caller)
    press(sim, caller, "7")
    ask = {"do": "gather", "name": "card", "max_digits": 16, "timeout": 3.0, "secret": True, "prompt": "Your card."}
    assert control(sim, caller, ask).status == 200
    began = sim.world.now
    caller.say("my number is", 1.0)
    sim.world.advance(1.2)
    press(sim, caller, CARD)
    ended = sim.world.now
    sim.world.advance(3.0)
    press(sim, caller, "8")
    caller.say("thank you", 0.5)
    sim.world.advance(1.0)
    assert gathered(sim, caller) == [[CARD, "complete"]]
    assert (tones(sim, caller), at_agent(sim, caller)) == ("78", "78")
    assert heard_by_agent(sim, agent) == {"thank you": 0.5}
    caller.hangup()
    sim.world.advance(1.0)
    session = sim.session_of(caller)
    written = repr((session.timeline, session.transcript, session.ended, sim.edge.log))
    assert CARD not in written
    assert "'digits': '***'" in written
    whole = record_of(sim, caller).duration
    for side in recorded(sim):
        first, last = (round((moment - ended) * 8000) for moment in (began + 0.01, ended))
        at = len(side) - round((sim.world.now - 1.0 - ended) * 8000)
        assert set(side[at + first : at + last]) == {0xFF}
    assert len(recorded(sim)[0]) == pytest.approx(whole * 8000, abs=800)
    assert set(recorded(sim)[0][-8000:]) > {0xFF}


def test_a_pause_leaves_silence_of_its_length_and_says_why(sim: Simulation) -> None:
    caller = sim.call(CALLER, NUMBER)
    agent = agent_of(sim, caller)
    agent.say("a long story", 6.0)
    caller.say("told at the same time", 6.0)
    sim.world.advance(2.0)
    control(sim, caller, {"do": "pause", "reason": "card number"})
    sim.world.advance(2.0)
    control(sim, caller, {"do": "resume"})
    sim.world.advance(2.0)
    caller.hangup()
    sim.world.advance(1.0)
    told = [entry for entry in sim.session_of(caller).timeline if entry.what.startswith("recording ")]
    assert [(entry.what, entry.data["reason"]) for entry in told] == [
        ("recording paused", "card number"),
        ("recording goes on", ""),
    ]
    begin, end = (round(entry.data["position"] * 8000) for entry in told)
    for side in recorded(sim):
        assert set(side[begin + 8 : end - 8]) == {0xFF}
        assert len(set(side[begin - 800 : begin - 8])) > 2
        assert len(set(side[end + 8 : end + 800])) > 2


def announced(make: Make, tmp_path: Path, announce: str) -> Simulation:
    file = tmp_path / "cordboard.toml"
    file.write_text(f'[dial]\nallow = ["*"]\n[recording]\nannounce = "{announce}"\nrequired_for = ["+1*"]\n')
    return make(TEMPLATE, file=file)


def test_an_announcement_is_heard_out_before_the_recording_and_the_agent(make: Make, tmp_path: Path) -> None:
    sim = announced(make, tmp_path, "This call is recorded for your safety.")
    caller = sim.call(CALLER, NUMBER)
    agent_of(sim, caller).say("Hello, how can I help?", 1.0)
    sim.world.advance(1.0)
    assert sim.edge.files == {}
    sim.world.advance(4.0)
    assert list(heard(sim, caller)) == ["This call is recorded for your safety.", "Hello, how can I help?"]
    assert heard(sim, caller)["Hello, how can I help?"] == 1.0
    caller.hangup()
    sim.world.advance(1.0)
    record = record_of(sim, caller)
    assert record.recordings == ("all.wav",)
    left, right = recorded(sim)
    assert 2.0 < len(left) / 8000 < record.duration - 2.4
    assert len(set(right)) > 2


def test_an_announcement_that_is_missing_costs_the_recording_and_not_the_call(make: Make, tmp_path: Path) -> None:
    sim = announced(make, tmp_path, "consent.wav")
    caller = sim.call(CALLER, NUMBER)
    sim.world.advance(1.0)
    agent_of(sim, caller).say("Hello!", 1.0)
    sim.world.advance(2.0)
    assert heard(sim, caller) == {"Hello!": 1.0}
    caller.hangup()
    sim.world.advance(1.0)
    assert record_of(sim, caller).recordings == ()
    assert sim.edge.files == {}
    [failed] = [entry for entry in sim.session_of(caller).timeline if entry.what == "record.failed:all"]
    assert "consent.wav" in failed.data["reason"]


@pytest.mark.parametrize("seed", range(30))
def test_every_key_is_told_once_to_its_gather_or_to_handler_and_agent(make: Make, seed: int) -> None:
    """Keys at random moments about the begin, the prompt, the time-out and the end of gathers."""
    rng = random.Random(seed)
    sim = make(TEMPLATE, seed=seed)
    caller = sim.call(CALLER, NUMBER)
    pressed, asked = "", 0
    for _ in range(12):
        if rng.random() < 0.4:
            asked += 1
            prompt = {"prompt": "Please.", "repeat": rng.randrange(2)} if rng.random() < 0.5 else {}
            most, name = rng.randint(1, 4), f"g{asked}"
            ask = {"do": "gather", "name": name, "max_digits": most, "finish_on": "", "timeout": 0.5, **prompt}
            assert control(sim, caller, {**ask, "secret": rng.random() < 0.5}).status == 200
        else:
            keys = "".join(rng.choice("0123456789*#") for _ in range(rng.randint(1, 3)))
            pressed += keys
            caller.press(keys)
        sim.world.advance(rng.choice([0.001, 0.05, 0.3, 0.5, 1.2]))
    sim.world.advance(8.0)
    found = gathered(sim, caller)
    assert len(found) == asked
    outside = tones(sim, caller)
    assert at_agent(sim, caller) == outside
    assert sorted(outside + "".join(digits for digits, _ in found)) == sorted(pressed)
    caller.hangup()
    sim.world.settle()
