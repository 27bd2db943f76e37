"""The survey sample on a whole edge in virtual time: keys, prompts, silence, a person, and hang-ups anywhere."""

import pytest

from cordboard.testing import Edge, Leg

pytestmark = pytest.mark.cordboard(scenario="survey")

CALLER, NUMBER, DESK = "+15551234567", "+18005550100", "+18339906144"
MENU = "Press 1 to leave a rating, 2 to talk to a person."
QUESTION = "From 1 to 5, how was our service?"
THANKS, GOODBYE, BUSY = "Thank you. Goodbye.", "Goodbye.", "Nobody is free now. Goodbye."


@pytest.fixture
def caller(edge: Edge) -> Leg:
    edge.keys(PSTN_CALLER_ID="+15550001111")
    return edge.call(CALLER, to=NUMBER)


def test_a_caller_who_listens_leaves_a_rating(edge: Edge, caller: Leg) -> None:
    edge.advance(4)
    caller.press("1")
    edge.advance(3)
    caller.press("4")
    edge.advance(3)
    assert list(caller.heard) == [MENU, QUESTION, THANKS]
    assert (caller.state, caller.session.state.score) == ("ended", 4)
    assert edge.stored(f"score:{caller.session.id}") == "4"


def test_keys_cut_the_prompts_short(edge: Edge, caller: Leg) -> None:
    edge.advance(0.5)
    caller.press("1")
    edge.advance(0.5)
    caller.press("5")
    edge.advance(2)
    assert list(caller.heard) == [MENU, QUESTION, THANKS]
    assert (caller.state, caller.session.state.score) == ("ended", 5)


def test_who_presses_nothing_hears_the_menu_three_times(edge: Edge, caller: Leg) -> None:
    edge.advance(40)
    assert list(caller.heard) == [MENU, MENU, MENU, GOODBYE]
    assert caller.state == "ended"


@pytest.mark.parametrize("key", ["9", "#", "*"])
def test_another_key_says_goodbye(edge: Edge, caller: Leg, key: str) -> None:
    edge.advance(1)
    caller.press(key)
    edge.advance(2)
    assert list(caller.heard) == [MENU, GOODBYE]
    assert caller.state == "ended"


@pytest.mark.parametrize("key", ["9", "0", "#"])
def test_a_rating_out_of_range_is_thanked_for_and_not_kept(edge: Edge, caller: Leg, key: str) -> None:
    edge.advance(1)
    caller.press("1")
    caller.press(key)
    edge.advance(3)
    assert caller.heard[-1] == THANKS
    assert caller.session.state.score is None
    assert edge.stored(f"score:{caller.session.id}") is None


def test_two_brings_a_person(edge: Edge, caller: Leg) -> None:
    edge.advance(1)
    caller.press("2")
    desk = edge.dialed(DESK)
    desk.answer()
    assert caller.hears(desk)
    assert desk.hears(caller)
    desk.hangup()
    assert (caller.state, caller.session.cause) == ("ended", "desk.hangup")


def test_a_person_who_is_busy_is_excused(edge: Edge, caller: Leg) -> None:
    edge.advance(1)
    caller.press("2")
    edge.dialed(DESK).refuse(486)
    edge.advance(3)
    assert caller.heard[-1] == BUSY
    assert caller.state == "ended"


@pytest.mark.parametrize("after", [0.01, 1.0, 6.0])
@pytest.mark.parametrize("key", ["", "1"])
def test_who_hangs_up_leaves_nothing_behind(edge: Edge, caller: Leg, after: float, key: str) -> None:
    edge.advance(after)
    if key:
        caller.press(key)
    caller.hangup()
    edge.advance(1)
    assert caller.session.cause == "caller.hangup"
    assert caller.session.state.score is None
