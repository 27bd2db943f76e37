"""The wheel: absolute deadlines, phases, catching up, never drifting."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.plane.pacing import FRAME, MAX_CATCH_UP, SLOTS, TICK, Wheel

START = 5.0


def turn(wheel: Wheel[str], until: float) -> list[tuple[float, str]]:
    """(the tick's own moment, leg) of every service until then."""
    served = []
    while (due := wheel.due(until)) is not None:
        served += [(due[0], leg) for leg in due[1]]
    return served


def test_ticks_do_not_drift_over_an_hour() -> None:
    wheel: Wheel[str] = Wheel(START)
    wheel.put("leg", START)
    served = 0
    for second in range(1, 3601):
        served += len(turn(wheel, START + second))
    assert wheel.tick_at == pytest.approx(START + 3600 + TICK, abs=1e-6)
    assert served == 3600 * 50 + 1
    assert wheel.skipped == 0


@given(
    offset=st.floats(0.0, 2.0),
    lateness=st.lists(st.floats(0.0, 0.015), min_size=5, max_size=5),
)
@settings(max_examples=60, deadline=None)
def test_a_leg_is_served_15_to_20_ms_after_it_is_put_and_then_every_20_ms(offset: float, lateness: list[float]) -> None:
    wheel: Wheel[str] = Wheel(START)
    now = START + offset
    turn(wheel, now)
    wheel.put("leg", now + FRAME)
    moments = []
    for late in lateness:
        now += 0.04
        moments += [at for at, _ in turn(wheel, now + late)]
    assert FRAME - TICK - 1e-6 <= moments[0] - (START + offset) <= FRAME + 1e-6
    gaps = [after - before for before, after in pairwise(moments)]
    assert gaps == [pytest.approx(FRAME)] * len(gaps)


def test_phases_spread_over_the_slots() -> None:
    wheel: Wheel[str] = Wheel(START)
    for each in range(8):
        wheel.put(f"leg{each}", START + each * TICK)
    served = turn(wheel, START + FRAME - TICK)
    assert [leg for _, leg in served] == ["leg0", "leg4", "leg1", "leg5", "leg2", "leg6", "leg3", "leg7"]


def test_a_short_stop_is_made_up_for_tick_by_tick() -> None:
    wheel: Wheel[str] = Wheel(START)
    wheel.put("leg", START)
    served = turn(wheel, START + 0.5)
    assert [at for at, _ in served] == [pytest.approx(START + each * FRAME) for each in range(26)]
    assert wheel.skipped == 0


def test_a_long_stop_is_made_up_for_one_second_and_phases_stay() -> None:
    wheel: Wheel[str] = Wheel(START)
    wheel.put("leg", START + TICK)
    served = turn(wheel, START + 60.01)
    assert len(served) == pytest.approx(MAX_CATCH_UP / FRAME, abs=2)
    assert wheel.skipped % SLOTS == 0
    assert wheel.skipped > 0
    for at, _ in served:
        assert (at - START - TICK) / FRAME == pytest.approx(round((at - START - TICK) / FRAME), abs=1e-6)
    assert turn(wheel, START + 60.01) == []


def test_what_is_removed_is_served_no_more_and_removing_twice_is_nothing() -> None:
    wheel: Wheel[str] = Wheel(START)
    wheel.put("leg", START)
    assert "leg" in wheel
    wheel.remove("leg")
    wheel.remove("leg")
    assert "leg" not in wheel
    assert turn(wheel, START + 1.0) == []


def test_a_due_time_in_the_past_is_the_next_tick() -> None:
    wheel: Wheel[str] = Wheel(START)
    turn(wheel, START + 1.0)
    wheel.put("leg", START)
    assert [at for at, _ in turn(wheel, START + 1.0 + TICK)] == [pytest.approx(START + 1.0 + TICK)]


def test_putting_a_leg_again_moves_it() -> None:
    wheel: Wheel[str] = Wheel(START)
    wheel.put("leg", START)
    wheel.put("leg", START + 2 * TICK)
    assert [at for at, _ in turn(wheel, START + 0.02)] == [pytest.approx(START + 2 * TICK)]
