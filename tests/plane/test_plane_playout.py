"""Playouts: over when the turn is over and heard, after 400 ms without more, or after 15 s."""

import pytest
from tests.plane.plane_stage import Service, Stage, ulaw

from cordboard.contract import link


def asked(stage: Stage) -> float:
    stage.tell(link.LegPlayout("s/caller", "p"))
    return stage.now


def over_at(stage: Stage, limit: float = 20.0) -> float:
    """When the playout was over."""
    end = stage.now + limit
    while stage.done("p") is None:
        assert stage.now < end
        stage.run(0.01)
        if round(stage.now * 100) % 100 == 0:
            stage.tell(link.Ping(1))
    return stage.now


def turn(service: Service, verb: str) -> None:
    service.event(f"turn_{verb}", **{f"turn_{verb}": {"id": "t", "role": "assistant", "text": ""}})


def test_a_playout_is_over_when_the_turn_is_over_and_heard() -> None:
    stage = Stage()
    service = stage.agent(heard_by=stage.leg())
    turn(service, "started")
    service.speak(ulaw(0, 50))
    turn(service, "ended")
    stage.drain()
    begin = asked(stage)
    assert over_at(stage) - begin == pytest.approx(0.98 + 0.1, abs=0.03)
    assert stage.payload("s/caller") == ulaw(0, 50)


def test_a_playout_without_an_end_of_turn_waits_400_ms_for_more() -> None:
    stage = Stage()
    service = stage.agent(heard_by=stage.leg())
    turn(service, "started")
    service.speak(ulaw(0, 10))
    stage.drain()
    begin = asked(stage)
    stage.run(0.5)
    service.speak(ulaw(10, 10))
    stage.drain()
    assert over_at(stage) - begin == pytest.approx(0.5 + 0.18 + 0.4, abs=0.03)


def test_a_playout_asked_before_the_turns_first_audio_waits_for_it() -> None:
    stage = Stage()
    service = stage.agent(heard_by=stage.leg())
    stage.run(5.0)
    turn(service, "started")
    stage.drain()
    asked(stage)
    stage.run(0.3)
    service.speak(ulaw(0, 10))
    turn(service, "ended")
    stage.drain()
    over_at(stage)
    assert stage.payload("s/caller") == ulaw(0, 10)


def test_a_playout_ends_after_15_seconds_and_says_that_it_was_not_heard_out() -> None:
    stage = Stage()
    service = stage.agent(heard_by=stage.leg())
    service.speak(bytes(8000 * 30))
    stage.drain()
    begin = asked(stage)
    assert over_at(stage) - begin == pytest.approx(15.0, abs=0.03)
    done = stage.done("p")
    assert done is not None
    assert "15 s" in done.message


@pytest.mark.parametrize("silent", ["no source", "cleared", "on hold", "closed agent", "leg closed"])
def test_a_playout_of_nothing_is_over_at_once(silent: str) -> None:
    stage = Stage()
    stage.leg()
    if silent != "no source":
        service = stage.agent(heard_by="s/caller")
        turn(service, "started")
        service.speak(ulaw(0, 100))
        turn(service, "ended")
        stage.drain()
        stage.run(0.1)
        if silent == "cleared":
            service.event("clear")
        elif silent == "closed agent":
            service.event("clear")
            service.close(1011, "broken")
        elif silent == "on hold":
            stage.leg(on_hold=True)
        else:
            stage.tell(link.LegClose("s/caller"))
        stage.drain()
    begin = asked(stage)
    assert over_at(stage) - begin <= 0.13


def test_a_playout_asked_in_a_pause_of_the_turn_waits_400_ms_for_its_next_words() -> None:
    stage = Stage()
    service = stage.agent(heard_by=stage.leg())
    turn(service, "started")
    service.speak(ulaw(0, 10))
    stage.drain()
    stage.run(3.0)
    begin = asked(stage)
    stage.run(0.3)
    service.speak(ulaw(10, 10))
    turn(service, "ended")
    stage.drain()
    assert over_at(stage) - begin == pytest.approx(0.3 + 0.18 + 0.1, abs=0.03)


def test_a_turn_that_starts_while_a_playout_waits_has_400_ms_for_its_first_word() -> None:
    stage = Stage()
    service = stage.agent(heard_by=stage.leg())
    turn(service, "started")
    service.speak(ulaw(0, 2))
    stage.drain()
    begin = asked(stage)
    stage.run(0.35)
    turn(service, "started")
    stage.drain()
    assert over_at(stage) - begin == pytest.approx(0.35 + 0.4, abs=0.03)


def test_a_playout_ends_with_its_session_before_the_session_is_closed() -> None:
    stage = Stage()
    stage.leg()
    stage.tell(link.LegFallback("s/caller", "ringback"))
    asked(stage)
    stage.closed()
    kinds = [type(each) for each in stage.messages]
    assert stage.done("p") is not None
    assert kinds[-1] is link.SessionClosed
