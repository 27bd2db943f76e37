"""ToneScript: what is drawn, and what is refused by name."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.media.analysis import dominant_tone, tone_share
from cordboard.media.samples import level_dbfs
from cordboard.media.tone_script import MAX_SECONDS, ToneScriptError, render

RATE = 8000


def test_a_north_american_ringback() -> None:
    sound, forever = render("440@-19,480@-19;*(2/4/1+2)", RATE)
    assert (sound.size, forever) == (6 * RATE, True)
    on, off = sound[: 2 * RATE], sound[2 * RATE :]
    assert not off.any()
    assert tone_share(on, RATE, 440) > 0.45
    assert tone_share(on, RATE, 480) > 0.45
    assert level_dbfs(on) == pytest.approx(-16, abs=0.1)


def test_sections_parts_and_silence() -> None:
    sound, forever = render("350@-19, 600@-10; 1(.1/.1/1,.2/.1/2); .5(*/0/0); 0.25(*/0/2)", RATE)
    assert (sound.size, forever) == (round(1.75 * RATE), False)
    assert dominant_tone(sound[: RATE // 10], RATE).hz == pytest.approx(350, abs=5)
    assert dominant_tone(sound[1600:3200], RATE).hz == pytest.approx(600, abs=5)
    assert not sound[RATE : round(1.5 * RATE)].any()
    assert dominant_tone(sound[round(1.5 * RATE) :], RATE).hz == pytest.approx(600, abs=5)


def test_what_repeats_is_a_whole_number_of_frames() -> None:
    sound, _ = render("425@-18;*(.333/.111/1)", RATE)
    assert sound.size % 160 == 0


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("", "frequency"),
        ("440@-19", "sections"),
        ("440;1(1/1/1)", "frequency"),
        ("440@3;1(1/1/1)", "level"),
        ("5000@-19;1(1/1/1)", "below 4000"),
        ("440@-19;1(1/1/2)", "names tone 2"),
        ("440@-19;1[1/1/1]", "section"),
        ("440@-19;1(1/1)", "part"),
        ("440@-19;1(0/0/1)", "no length"),
        ("440@-19;61(1/1/1)", f"{MAX_SECONDS:g} s at most"),
        ("440@-19;1.2.3(1/1/1)", "number"),
        ("440@-19;*(1/1/1);1(1/1/1)", "stands alone"),
        ("440@-1,450@-1;1(1/0/1+2)", "clip"),
        (",".join(["440@-40"] * 7) + ";1(1/1/1)", "more than 6"),
        ("440@-19;" + ";".join(["1(1/1/1)"] * 21), "not 1 to 20"),
    ],
)
def test_what_cannot_be_read_says_where(script: str, problem: str) -> None:
    with pytest.raises(ToneScriptError, match=problem):
        render(script, RATE)


@given(st.text("0123456789.@-+*/(),; ", max_size=60))
def test_any_text_is_a_sound_or_an_error(script: str) -> None:
    try:
        sound, _ = render(script, RATE)
    except ToneScriptError:
        return
    assert 0 < sound.size <= MAX_SECONDS * RATE + 160
    assert sound.dtype == np.int16
