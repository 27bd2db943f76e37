import random

import numpy as np
import pytest

from cordboard.media.samples import Samples
from cordboard.media.tones import sine
from cordboard.phone.heard import RATE, Piece
from cordboard.phone.listening import Listener, ToneListener, VoiceListener, is_quiet

FRAME = 160


def pieces(samples: Samples, start: int = 0) -> list[Piece]:
    return [
        Piece((start + place) / RATE, start + place, samples[place : place + FRAME])
        for place in range(0, samples.size, FRAME)
    ]


def heard_at(listener: Listener, line: list[Piece]) -> int | None:
    """Place of the first piece at which the listener heard what it waits for."""
    return next((piece.position for piece in line if listener.feed(piece)), None)


def noise(seconds: float) -> Samples:
    rng = np.random.default_rng(1)
    return np.asarray(rng.normal(0, 3000, round(seconds * RATE)), np.int16)


SILENCE = np.zeros(RATE, np.int16)

TONES: list[tuple[str, Samples, int | None]] = [
    ("the tone itself, after 200 ms", sine(440, 1, RATE), 1440),
    ("a tone after silence", np.concatenate((SILENCE, sine(440, 1, RATE))), RATE + 1440),
    ("another tone", sine(880, 1, RATE), None),
    ("a neighbour", sine(480, 1, RATE), None),
    ("silence", SILENCE, None),
    ("hardly audible", sine(440, 1, RATE, -60), None),
    ("noise", noise(1), None),
    ("too short", np.concatenate((sine(440, 0.1, RATE), SILENCE)), None),
]


@pytest.mark.parametrize(("name", "sound", "place"), TONES, ids=[case[0] for case in TONES])
def test_a_tone_is_told_from_other_sounds(name: str, sound: Samples, place: int | None) -> None:
    assert heard_at(ToneListener(440, 0.9), pieces(sound)) == place


def test_a_gap_between_pieces_breaks_a_tone() -> None:
    tone = sine(440, 0.12, RATE)
    assert heard_at(ToneListener(440, 0.9), pieces(tone) + pieces(tone, start=RATE * 60)) is None
    assert heard_at(ToneListener(440, 0.9), pieces(tone) + pieces(tone, start=tone.size)) is not None


def test_an_overtaken_piece_disturbs_nothing() -> None:
    line = pieces(sine(440, 0.4, RATE))
    late = line.pop(3)
    line.insert(6, late)
    assert heard_at(ToneListener(440, 0.5), line) is not None


@pytest.mark.parametrize(("hz", "share"), [(0, 0.8), (4000, 0.8), (-1, 0.8), (440, 0), (440, 1.1)])
def test_impossible_tones_are_refused(hz: float, share: float) -> None:
    with pytest.raises(ValueError, match="not between"):
        ToneListener(hz, share)


def test_a_voice_is_heard_and_silence_is_not() -> None:
    assert heard_at(VoiceListener(), pieces(SILENCE)) is None
    found = heard_at(VoiceListener(), pieces(np.concatenate((SILENCE, noise(0.5)))))
    assert found is not None
    assert RATE <= found < RATE + 800


@pytest.mark.parametrize(("level", "quiet"), [(-20.0, False), (-45.0, False), (-55.0, True)])
def test_what_is_quiet(level: float, quiet: bool) -> None:
    assert is_quiet(pieces(sine(500, 0.02, RATE, level))[0]) is quiet


def test_fuzz_of_positions_never_raises() -> None:
    rng = random.Random(5)
    tone, voice = ToneListener(1000, 0.8), VoiceListener()
    for _ in range(300):
        piece = Piece(0.0, rng.randrange(-8000, 10**9), noise(0.02)[: rng.randrange(1, FRAME)])
        tone.feed(piece)
        voice.feed(piece)
    assert tone.feed(pieces(noise(0.02), start=2 * 10**9)[0]) is False
