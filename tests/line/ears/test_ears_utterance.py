"""An utterance has its pre-roll, an end, and a limit."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.line.ears.ear import MAX_UTTERANCE_SECONDS, PRE_ROLL, Utterance

RATE = 100
BEFORE = round(PRE_ROLL * RATE)
LIMIT = BEFORE + round(MAX_UTTERANCE_SECONDS * RATE)


@settings(max_examples=200, deadline=None)
@given(before=st.lists(st.integers(0, 100), max_size=6), during=st.lists(st.integers(0, 1500), max_size=6))
def test_an_utterance_is_the_end_of_what_came_before_and_all_since_up_to_its_limit(
    before: list[int], during: list[int]
) -> None:
    utterance = Utterance(RATE)
    position = 0
    for at, size in enumerate(before + during):
        if at == len(before):
            utterance.start()
        utterance.receive_audio(np.arange(position, position + size, dtype=np.int16))
        position += size
    if not during:
        utterance.start()
    first = max(sum(before) - BEFORE, position - LIMIT, 0)
    assert utterance.take().tolist() == list(range(first, position))


def test_what_was_taken_is_not_heard_twice() -> None:
    utterance = Utterance(RATE)
    utterance.receive_audio(np.ones(10, np.int16))
    utterance.start()
    assert utterance.take().size == 10
    utterance.receive_audio(np.zeros(5, np.int16))
    utterance.start()
    assert utterance.take().tolist() == [0] * 5
    assert utterance.take().size == 0
