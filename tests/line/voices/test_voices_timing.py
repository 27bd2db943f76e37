"""When words are spoken, found in sounds whose words' times are known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.line.voices.timing import word_times
from cordboard.line.voices.tones import tone_words
from cordboard.media.samples import Samples
from cordboard.media.tones import sine

RATE = 16000

ESPEAK_STARTS = {
    "Hello, and welcome to the trattoria. How can I help you today?": [
        *(0.0, 0.568, 0.767, 1.186, 1.328, 1.45),
        *(2.389, 2.579, 2.722, 2.85, 3.201, 3.314),
    ]
}
"""Begin of each word in seconds as espeak-ng 1.51's library tells it (voice en, 175 words a minute)."""

ESPEAK_SOUND = {
    "Hello, and welcome to the trattoria. How can I help you today?": [(0.0, 0.41), (0.56, 2.03), (2.4, 3.53)]
}
"""Where the sound that the program writes for it is not silent, in seconds."""


def sound(spans: list[tuple[float, float]], length: float) -> Samples:
    made = np.zeros(round(length * RATE), np.int16)
    for begin, end in spans:
        made[round(begin * RATE) : round(end * RATE)] = sine(200, 10.0, RATE)[: round(end * RATE) - round(begin * RATE)]
    return made


@pytest.mark.parametrize("text", ESPEAK_STARTS)
def test_the_count_of_words_begun_is_right_within_one(text: str) -> None:
    starts = ESPEAK_STARTS[text]
    words = word_times(text, sound(ESPEAK_SOUND[text], 4.1), RATE)
    assert [word.word for word in words] == text.split()
    for at in np.arange(0.0, 4.1, 0.01):
        assert abs(sum(word.start <= at for word in words) - sum(start <= at for start in starts)) <= 1
    assert max(abs(word.start - start) for word, start in zip(words, starts, strict=True)) < 0.2


def test_clauses_lie_between_the_longest_silences() -> None:
    words = word_times("One two, three. Four", sound([(0.1, 1.0), (1.1, 1.2), (1.5, 2.0), (2.6, 3.0)], 3.5), RATE)
    assert [(word.word, round(word.start, 2), round(word.end, 2)) for word in words] == [
        ("One", 0.1, 0.59),
        ("two,", 0.59, 1.2),
        ("three.", 1.5, 2.0),
        ("Four", 2.6, 3.0),
    ]


def test_a_comma_without_a_pause_is_no_anchor() -> None:
    first, *_, last = word_times("One, two, three", sound([(0.2, 1.2)], 2.0), RATE)
    assert (round(first.start, 2), round(last.end, 2)) == (0.2, 1.2)


def test_digits_take_longer_than_letters() -> None:
    long, short = word_times("4711 four", sound([(0.0, 2.6)], 2.6), RATE)
    assert (round(long.end, 2), round(short.end - short.start, 2)) == (2.1, 0.5)


def test_silence_and_nothing_have_times_too() -> None:
    silence = np.zeros(RATE, np.int16)
    assert [(word.start, word.end) for word in word_times("a b", silence, RATE)] == [(0.0, 0.5), (0.5, 1.0)]
    assert word_times(" ", silence, RATE) == ()
    assert [word.word for word in word_times("a b", np.zeros(0, np.int16), RATE)] == ["a", "b"]


@settings(max_examples=60, deadline=None)
@given(
    text=st.text(alphabet="ab1,.! ", max_size=40),
    spans=st.lists(st.floats(0.0, 3.0), max_size=10).map(sorted),
    rate=st.sampled_from([8000, 22050]),
)
def test_words_come_in_order_within_the_sound(text: str, spans: list[float], rate: int) -> None:
    samples = np.zeros(3 * rate, np.int16)
    for begin, end in itertools.pairwise(spans):
        samples[round(begin * rate) : round((begin + end) / 2 * rate)] = 8000
    words = word_times(text, samples, rate)
    assert [word.word for word in words] == text.split()
    times = [time for word in words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert all(0 <= time <= 3.02 for time in times)


def test_of_tones_the_times_are_near_the_truth() -> None:
    text = "yes we are open until ten"
    words = word_times(text, tone_words(text, RATE), RATE)
    assert max(abs(word.start - at * 0.25) for at, word in enumerate(words)) < 0.25
