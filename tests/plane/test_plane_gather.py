"""Digits of a gather: told to control alone, up to the tick of the last one, and heard nowhere if they are secret."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.plane.plane_stage import OTHER, Service, Stage
from tests.plane.test_plane_digits import key

from cordboard.contract import link
from cordboard.media.dtmf import DIGITS
from cordboard.media.recorder import header
from cordboard.plane.digits import KEY_TAIL, Gathered


def gather(name: str = "g1", **fields: Any) -> link.LegGather:
    return link.LegGather("s/caller", name, **{"max_digits": 3, "finish_on": "#", "confirm": f"c-{name}", **fields})


class Keys:
    """Fingers on a phone's keys: each press is an event of its own, 200 ms long."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.pressed = 0

    def press(self, keys: str) -> None:
        for each in keys:
            key(self.stage, DIGITS.index(each), 10 * self.pressed, 8000 * (self.pressed + 1))
            self.pressed += 1
            self.stage.run(0.2)


def told(stage: Stage) -> list[tuple[str, str, bool]]:
    return [(each.digit, each.gather, each.last) for each in stage.told(link.LegDigit)]


def at_agent(service: Service) -> str:
    return "".join(each["dtmf"] for each in service.messages if each["event"] == "dtmf")


@pytest.mark.parametrize(
    ("fields", "pressed", "gathered", "to_agent"),
    [
        ({}, "12345", "123", "45"),
        ({}, "1#2", "1#", "2"),
        ({}, "#2", "#", "2"),
        ({"finish_on": ""}, "1#2#", "1#2", "#"),
        ({"finish_on": "*0"}, "10#", "10", "#"),
        ({"max_digits": 1}, "A1", "A", "1"),
    ],
)
def test_digits_of_a_gather_do_not_reach_the_agent_and_the_next_ones_do(
    fields: dict[str, Any], pressed: str, gathered: str, to_agent: str
) -> None:
    stage = Stage()
    service = stage.agent(hears=stage.leg())
    keys = Keys(stage)
    keys.press("9")
    done = stage.ask(gather(**fields))
    assert done is not None
    assert done.ok
    keys.press(pressed)
    expected = [("9", "", False), *((each, "g1", False) for each in gathered[:-1]), (gathered[-1], "g1", True)]
    assert told(stage) == [*expected, *((each, "", False) for each in to_agent)]
    assert at_agent(service) == "9" + to_agent


def test_a_leg_that_hears_the_leg_gets_no_digit_of_a_gather_either() -> None:
    stage = Stage()
    stage.leg()
    stage.leg("s/consult", OTHER, dtmf_send=101)
    stage.tell(link.Route("s/caller", "s/consult"))
    stage.ask(gather(max_digits=1))
    Keys(stage).press("12")
    stage.run(0.5)
    sent = {each.packet.payload[0] for each in stage.sent if each.packet.payload_type == 101}
    assert sent == {2}


def test_the_terminator_told_again_by_info_leaks_to_nobody() -> None:
    stage = Stage()
    service = stage.agent(hears=stage.leg())
    stage.ask(gather())
    Keys(stage).press("1#")
    stage.tell(link.LegInfoDigit("s/caller", "#"))
    stage.tell(link.LegInfoDigit("s/caller", "1"))
    assert told(stage) == [("1", "g1", False), ("#", "g1", True)]
    assert at_agent(service) == ""


def test_control_ends_a_gather_after_its_last_digit_and_only_that_one() -> None:
    stage = Stage()
    service = stage.agent(hears=stage.leg())
    stage.ask(gather("g1"))
    stage.ask(gather("g2"))
    keys = Keys(stage)
    stage.ask(link.LegGatherEnd("s/caller", "g1", confirm="e1"))
    keys.press("1")
    stage.ask(link.LegGatherEnd("s/caller", "g2", confirm="e2"))
    keys.press("2")
    assert told(stage) == [("1", "g2", False), ("2", "", False)]
    assert at_agent(service) == "2"
    order = [each for each in stage.messages if isinstance(each, link.LegDigit | link.Done)]
    assert [getattr(each, "confirm", "digit") for each in order][-4:] == ["e1", "digit", "e2", "digit"]


def test_a_gather_of_a_leg_that_is_over_is_refused_and_its_end_is_confirmed() -> None:
    stage = Stage()
    refused, ended = stage.ask(gather()), stage.ask(link.LegGatherEnd("s/caller", "g1", confirm="e"))
    assert refused is not None
    assert ended is not None
    assert (refused.code, ended.ok) == ("object_ended", True)


def test_while_a_secret_gather_runs_nobody_hears_the_peer() -> None:
    stage = Stage()
    service = stage.agent(hears=stage.leg())
    stage.leg("s/consult", OTHER)
    stage.tell(link.Route("s/caller", "s/consult"))
    stage.ask(gather(secret=True, max_digits=1))
    stage.talk("s/caller", 50, payload=b"\x30" * 160)
    assert set(service.heard) <= {0xFF}
    assert len(service.heard) >= 6400  # its own stream goes on
    stage.tell(link.LegInfoDigit("s/caller", "5"))
    stage.talk("s/caller", 50, first=50, payload=b"\x31" * 160)
    heard = service.heard.count(b"\x31" * 160)
    assert heard == pytest.approx(50 - KEY_TAIL / 0.02, abs=1)
    assert stage.payload("s/consult") == b"\x31" * 160 * heard
    stage.closed()
    for sink in ("s/agent", "s/consult"):
        (entry,) = stage.entries("s/caller", sink)
        assert entry.discarded["dtmf"] == (100 - heard) * 160
    assert at_agent(service) == ""


def test_a_gather_that_is_no_secret_is_heard_by_all() -> None:
    stage = Stage()
    service = stage.agent(hears=stage.leg())
    stage.ask(gather())
    stage.talk("s/caller", 25, payload=b"\x30" * 160)
    assert service.heard == b"\x30" * 4000


def sides(stage: Stage, path: str = "/r.wav") -> tuple[bytes, bytes]:
    """Left and right of a raw recording."""
    body = bytes(stage.files[path])[len(header()) :]
    return body[0::2], body[1::2]


def recorded() -> Stage:
    """A recorded leg that hears an agent."""
    stage = Stage()
    service = stage.agent(hears=stage.leg(), heard_by="s/caller")
    stage.tell(link.RecordBegin("s/r", "s/caller", "/r.wav"))
    service.speak(b"\x20" * 8000 * 10)
    stage.drain()
    return stage


def test_a_paused_recording_is_silent_on_both_sides_to_the_sample_and_as_long_as_ever() -> None:
    stage = recorded()
    stage.talk("s/caller", 40, payload=b"\x30" * 160)
    stage.run(0.0033)  # no frame begins or ends here
    for _ in range(2):
        stage.tell(link.RecordPause("s/r", "card number"))
    stage.talk("s/caller", 60, first=40, payload=b"\x30" * 160)
    stage.run(0.0021)
    for _ in range(2):
        stage.tell(link.RecordResume("s/r"))
    stage.talk("s/caller", 50, first=100, payload=b"\x30" * 160)
    stage.tell(link.RecordEnd("s/r"))
    left, right = sides(stage)
    begin, end = 40 * 160 + 26, 100 * 160 + 43  # 3.3 ms, 5.4 ms
    assert len(left) == len(right) == 150 * 160 + 43
    for side, sound in ((left, b"\x30"), (right, b"\x20")):
        assert side[begin:end] == b"\xff" * (end - begin)
        assert side[begin - 160 : begin] == sound * 160
        assert side[end : end + 160] == sound * 160
    assert stage.told(link.RecordOver)[0].error == ""
    notes = [(each.what, dict(each.data)) for each in stage.told(link.PlaneNote) if "recording" in each.what]
    assert notes == [
        ("recording paused",
         {"recording": "r", "reason": "card number", "position": 0.803, "paused_by": ["handler"]}),
        ("recording goes on", {"recording": "r", "reason": "", "position": 2.005, "paused_by": []}),
    ]  # fmt: skip


def test_a_secret_gather_and_the_handlers_own_pause_are_two_reasons() -> None:
    stage = recorded()
    stage.run(0.1)
    stage.tell(link.RecordPause("s/r", "mine"))
    stage.run(0.1)
    stage.ask(gather(secret=True))
    stage.tell(link.RecordResume("s/r"))
    stage.run(1.0)
    assert {each.what: each.data["paused_by"] for each in stage.notes("recording goes on")} == {
        "recording goes on": ["gather"]
    }
    stage.ask(link.LegGatherEnd("s/caller", "g1", confirm="e"))
    ended = stage.now
    stage.run(1.5)
    stage.tell(link.RecordEnd("s/r"))
    _, right = sides(stage)
    silent = right.rindex(b"\xff" * 160) + 160
    assert right[:800] == b"\x20" * 800
    assert set(right[800:silent]) == {0xFF}
    assert (silent - 800) / 8000 == pytest.approx(ended - stage.now + 1.5 + 0.1 + 1.0 + KEY_TAIL, abs=0.11)
    assert set(right[silent:]) == {0x20}


def test_a_recording_that_begins_in_a_secret_gather_begins_silent() -> None:
    stage = Stage()
    service = stage.agent(hears=stage.leg(), heard_by="s/caller")
    stage.ask(gather(secret=True))
    stage.tell(link.RecordBegin("s/r", "s/caller", "/r.wav"))
    service.speak(b"\x20" * 8000 * 4)
    stage.drain()
    stage.run(2.0)
    stage.tell(link.RecordEnd("s/r"))
    assert set(b"".join(sides(stage))) == {0xFF}


@given(
    steps=st.lists(
        st.one_of(st.sampled_from(DIGITS), st.just("begin"), st.just("end"), st.floats(0.0, 1.0)), max_size=40
    ),
    most=st.integers(1, 4),
    finish_on=st.sampled_from(["", "#", "*#"]),
)
@settings(max_examples=200, deadline=None)
def test_every_digit_is_either_a_gathers_or_everybodys(steps: list[Any], most: int, finish_on: str) -> None:
    """Against a model of three lines, whatever the order."""
    keys, now, open_, left = Gathered(), 0.0, "", 0
    for number, step in enumerate(steps):
        if step == "begin":
            open_, left = f"g{number}", most
            keys.begin(gather(open_, max_digits=most, finish_on=finish_on, secret=True), now)
        elif step == "end":
            keys.end(open_ or "none", now)
            keys.end("another", now)
            open_ = ""
        elif isinstance(step, float):
            now += step
        else:
            belongs, last = keys.take(step, now)
            assert belongs == open_
            left -= 1
            assert last == (bool(open_) and (left == 0 or step in finish_on))
            open_ = "" if last else open_
        if open_:
            assert keys.withheld(now)
    assert not keys.withheld(now + KEY_TAIL) or open_
