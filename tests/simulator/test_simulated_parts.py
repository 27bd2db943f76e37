"""Heap, alarm, network, voices and the handlers' loop, each alone."""

import asyncio
from pathlib import Path

import pytest

from cordboard.hosts.errors import FunctionError
from cordboard.scenario import Stores
from cordboard.simulator.functions import Functions, NotInVirtualTime, VirtualLoop
from cordboard.simulator.network import Conditions, Network
from cordboard.simulator.simulation import simulated_config
from cordboard.simulator.voices import COUNT, Voices, tone_ulaw, tones_in
from cordboard.simulator.world import Alarm, NeverSettles, World

TWO = """
Resources:
  One: {Type: AWS::Serverless::Function, Properties: {Handler: one.handler, CodeUri: .}}
  Two: {Type: AWS::Serverless::Function, Properties: {Handler: two.handler, CodeUri: .}}
"""
FUNCTION = """
from cordboard.scenario import Scenario

handler = Scenario("{name}").lambda_handler()
"""


def test_acts_come_in_order_of_time_and_then_of_setting() -> None:
    world, done = World(), list[str]()
    for moment, name in ((2.0, "c"), (1.0, "a"), (1.0, "b"), (3.5, "d")):
        world.at(world.start + moment, lambda name=name: done.append(name))  # type: ignore[misc]
    world.advance(3.0)
    assert (done, world.now) == (["a", "b", "c"], world.start + 3.0)


def test_settle_does_what_is_in_transit_and_leaves_timers() -> None:
    world, done = World(), list[str]()
    world.after(0.5, lambda: world.after(0.5, lambda: done.append("message")))
    world.after(2.0, lambda: done.append("timer"), transit=False)
    world.settle()
    assert (done, world.now) == (["message"], world.start + 1.0)


def test_a_message_that_goes_round_for_ever_is_told() -> None:
    world = World()

    def again() -> None:
        world.after(0.1, again)

    again()
    with pytest.raises(NeverSettles, match="5 s"):
        world.settle()


def test_an_alarm_rings_at_its_last_setting_alone() -> None:
    world, rung = World(), list[float]()
    alarm = Alarm(world, lambda: rung.append(world.now - world.start))
    for due in (5.0, 1.0, 3.0):
        alarm.set(world.start + due)
    world.advance(10.0)
    assert rung == [3.0]
    alarm.set(world.start + 12.0)
    alarm.set(None)
    world.advance(10.0)
    assert rung == [3.0]
    alarm.set(world.start)  # already past
    world.advance(0.0)
    assert rung == [3.0, 20.0]


@pytest.mark.parametrize(
    ("conditions", "least", "most"),
    [
        (Conditions(), 1000, 1000),
        (Conditions(loss=1.0), 0, 0),
        (Conditions(loss=0.2), 700, 900),
        (Conditions(duplicate=0.5), 1400, 1600),
    ],
)
def test_the_network_does_what_its_conditions_say(conditions: Conditions, least: int, most: int) -> None:
    world = World(seed=1)
    network, came = Network(world, conditions), list[bytes]()
    network.bind(("192.0.2.2", 1), lambda data, source: came.append(data))
    for number in range(1000):
        network.send(b"%d" % number, ("192.0.2.3", 2), ("192.0.2.2", 1))
    network.send(b"lost", ("192.0.2.3", 2), ("192.0.2.9", 1))
    world.advance(1.0)
    assert least <= len(came) <= most
    with pytest.raises(ValueError, match="in use"):
        network.bind(("192.0.2.2", 1), lambda data, source: None)


@pytest.mark.parametrize("wrong", [{"loss": 1.1}, {"reorder": -0.1}, {"latency": 0.0}, {"reorder_by": -1.0}])
def test_conditions_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        Conditions(**wrong)


def test_reordered_datagrams_overtake_each_other() -> None:
    world = World(seed=2)
    network, came = Network(world, Conditions(reorder=0.5)), list[int]()
    network.bind(("192.0.2.2", 1), lambda data, source: came.append(int(data)))
    for number in range(100):
        world.after(number * 0.01, lambda n=number: network.send(b"%d" % n, ("192.0.2.3", 2), ("192.0.2.2", 1)))  # type: ignore[misc]
    world.advance(2.0)
    assert sorted(came) == list(range(100)) != came


def test_every_tone_is_told_from_the_others() -> None:
    voices = Voices()
    said = [voices.utterance("agent", f"text {number}") for number in range(COUNT)]
    frames: list[bytes] = []
    for each in said:
        sound = tone_ulaw(each.hz, 0.1)
        frames += [sound[at : at + 160] for at in range(0, len(sound), 160)]
    heard = tones_in(frames)
    assert [hz for hz, _ in heard] == [each.hz for each in said]
    assert [round(seconds, 2) for _, seconds in heard] == [0.1] * COUNT
    assert tones_in([b"\xff" * 160] * 10) == []


def test_a_sleep_in_virtual_time_takes_none_of_ours() -> None:
    loop = VirtualLoop()
    try:
        loop.run_until_complete(asyncio.sleep(86_400.0))
        assert loop.time() == pytest.approx(86_400.0)
    finally:
        loop.close()


def test_what_only_real_time_brings_is_refused() -> None:
    loop = VirtualLoop()
    try:
        with pytest.raises(NotInVirtualTime, match="thread"):
            loop.run_until_complete(asyncio.to_thread(print))
        with pytest.raises(NotInVirtualTime, match="nothing in virtual time"):
            loop.run_until_complete(loop.create_future())
    finally:
        loop.close()


def test_several_scenarios_need_a_choice(tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text(TWO, "utf-8")
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text(FUNCTION.format(name=name), "utf-8")
    functions = Functions(tmp_path / "template.yaml", Stores())
    try:
        with pytest.raises(ValueError, match="the scenarios one, two: say which"):
            simulated_config(functions)
        assert [route.scenario for route in simulated_config(functions, "two").routes] == ["two"]
    finally:
        functions.close()


@pytest.mark.parametrize("code", ["1 / 0", "handler = 1"])
def test_functions_that_cannot_be_loaded_are_named(tmp_path: Path, code: str) -> None:
    (tmp_path / "template.yaml").write_text(TWO, "utf-8")
    (tmp_path / "one.py").write_text(code, "utf-8")
    (tmp_path / "two.py").write_text(FUNCTION.format(name="two"), "utf-8")
    with pytest.raises(FunctionError, match="One"):
        Functions(tmp_path / "template.yaml", Stores())
