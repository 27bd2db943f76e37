"""Where a turn's words stand in its audio, by how its service delivers them; moments in seconds, samples at 8 kHz."""

import pytest

from cordboard.contract.transcript import Mark
from cordboard.plane.spoken import MAX_MARKS, MAX_TEXT, Spoken

RATE = 8000
WORDS = ["one ", "two ", "three ", "four ", "five ", "six "]
"""Half a second each."""


def places(spoken: Spoken) -> list[float]:
    """Seconds of each mark."""
    return [round(mark.sample / RATE, 3) for mark in spoken.marks()]


def opened() -> Spoken:
    spoken = Spoken()
    spoken.begin(is_open=True)
    return spoken


def test_audio_at_speaking_pace_a_little_ahead_of_the_words() -> None:
    spoken = opened()
    for step in range(30):  # 0.1 s each, 0.2 s ahead
        spoken.audio(RATE // 10 if step else 3 * RATE // 10, RATE, 10 + step / 10)
        if step % 5 == 0:
            spoken.delta(WORDS[step // 5], 10 + step / 10)
    assert places(spoken) == [0, 0.5, 1.0, 1.5, 2.0, 2.5]
    assert [mark.chars for mark in spoken.marks()] == [0, 4, 8, 14, 19, 24]
    assert spoken.text == "".join(WORDS)


def test_audio_all_at_once_and_words_as_they_would_be_spoken() -> None:
    spoken = opened()
    spoken.audio(3 * RATE, RATE, 10.0)
    for index, word in enumerate(WORDS):
        spoken.delta(word, 10 + index / 2)
    assert places(spoken) == [0, 0.5, 1.0, 1.5, 2.0, 2.5]


@pytest.mark.parametrize("pace", [2, 4, 1000])
def test_audio_and_words_interleaved_and_faster_than_speech(pace: int) -> None:
    spoken = opened()
    for index, word in enumerate(WORDS):
        at = 10 + index / 2 / pace
        spoken.delta(word, at)
        spoken.audio(RATE // 2, RATE, at)
    assert places(spoken) == [0, 0.5, 1.0, 1.5, 2.0, 2.5]


def test_a_pause_in_the_turn_moves_no_word() -> None:
    spoken = opened()
    spoken.audio(RATE, RATE, 10.0)
    spoken.delta("one ", 10.0)
    spoken.delta("two ", 10.5)
    spoken.audio(RATE, RATE, 15.0)  # the program thought for four seconds
    spoken.delta("three ", 15.0)
    spoken.delta("four ", 15.5)
    assert places(spoken) == [0, 0.5, 1.0, 1.5]


@pytest.mark.parametrize("text_first", [True, False])
def test_words_in_a_lump_are_nowhere(text_first: bool) -> None:
    spoken = opened()
    if not text_first:
        spoken.audio(3 * RATE, RATE, 10.0)
    for word in WORDS:
        spoken.delta(word, 10.001)
    spoken.audio(3 * RATE, RATE, 10.01)
    assert spoken.marks() == ()
    assert spoken.text == "".join(WORDS)


def test_one_piece_or_no_audio_tells_nothing() -> None:
    spoken = opened()
    spoken.audio(RATE, RATE, 10.0)
    spoken.delta("all of it at once", 10.0)
    assert spoken.marks() == ()
    silent = opened()
    for index, word in enumerate(WORDS):
        silent.delta(word, 10 + index)
    assert silent.marks() == ()


def test_another_turn_begins_anew() -> None:
    spoken = opened()
    spoken.audio(RATE, RATE, 10.0)
    spoken.delta("one ", 10.0)
    spoken.begin(is_open=True)
    spoken.audio(RATE, RATE, 20.0)
    spoken.delta("two ", 20.0)
    spoken.delta("three ", 20.5)
    assert spoken.marks() == (Mark(0, 0), Mark(4, RATE // 2))
    assert spoken.text == "two three "


def test_a_flood_of_text_is_bounded() -> None:
    spoken = opened()
    spoken.audio(RATE, RATE, 10.0)
    for index in range(2 * MAX_TEXT):
        spoken.delta("x", 10 + index / 50)
        spoken.audio(160, RATE, 10 + index / 50)
    assert spoken.text == "x" * MAX_TEXT
    assert len(spoken.marks()) == MAX_MARKS
