"""What a program may send: no more than the rate allows over any time, and all that a real one sends."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.line.harness.allowance import AT_ONCE, MESSAGE, PER_SECOND, Allowance


class Clock:
    """Seconds that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_allowed_and_one_more_is_not() -> None:
    clock = Clock()
    allowance = Allowance(clock)
    assert all(allowance.take(40) for _ in range(AT_ONCE))
    assert not allowance.take(40)
    clock.now += 2.0
    assert all(allowance.take(40) for _ in range(2 * PER_SECOND - 1))
    assert not allowance.take(40)


@pytest.mark.parametrize(("size", "most"), [(MESSAGE - 1, AT_ONCE), (180_000, 11), (1 << 18, 7)])
def test_a_long_message_counts_as_several(size: int, most: int) -> None:
    allowance = Allowance(Clock())
    assert [allowance.take(size) for _ in range(most + 1)] == [True] * most + [False]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 3), st.integers(0, 3 * MESSAGE)), max_size=60))
def test_no_more_is_allowed_than_rate_and_burst(steps: list[tuple[float, int]]) -> None:
    clock = Clock()
    allowance = Allowance(clock)
    cost = 0.0
    for pause, size in steps:
        clock.now += pause
        cost += 40 * (1 + size // MESSAGE)
        allowed = sum(allowance.take(size) for _ in range(40)) == 40
        if allowed:
            assert cost <= AT_ONCE + PER_SECOND * (clock.now - 100.0) + 1e-6
        else:
            return
