import asyncio
from collections.abc import Callable, Coroutine

import numpy as np
import pytest

from cordboard.media.dtmf import InvalidDigit
from cordboard.media.samples import Samples
from cordboard.phone import saying as saying_module
from cordboard.phone.saying import FRAME, Saying

Run = Callable[[Coroutine[object, object, None]], None]


def ramp(count: int, start: int = 1) -> Samples:
    return np.arange(start, start + count, dtype=np.int16)


def sound_of(saying: Saying, frames: int) -> Samples:
    found = []
    for _ in range(frames):
        frame = saying.next_frame()
        assert frame.digit is None
        assert frame.samples is not None
        assert frame.samples.size == FRAME
        found.append(frame.samples)
    return np.concatenate(found)


def test_sounds_follow_each_other_to_the_sample(run: Run) -> None:
    async def body() -> None:
        saying = Saying()
        first, second = saying.play(ramp(200)), saying.play(ramp(250, 1000))
        line = sound_of(saying, 4)
        np.testing.assert_array_equal(line[:450], np.concatenate((ramp(200), ramp(250, 1000))))
        assert not line[450:].any()
        assert await first
        assert await second

    run(body())


def test_a_sound_is_done_with_its_last_frame(run: Run) -> None:
    async def body() -> None:
        saying = Saying()
        done = saying.play(ramp(161))
        saying.next_frame()
        assert not done.done()
        saying.next_frame()
        assert done.result() is True

    run(body())


def test_stopped_sounds_say_so_and_digits_go_on(run: Run) -> None:
    async def body() -> None:
        saying = Saying()
        running, waiting = saying.play(ramp(400)), saying.play(ramp(10))
        saying.next_frame()
        digits = saying.press("5")
        saying.stop_playing()
        assert [running.result(), waiting.result()] == [False, False]
        assert saying.next_frame().digit is not None
        assert not digits.done()
        saying.stop()
        assert digits.result() is False
        assert saying.play(ramp(10)).result() is False
        assert saying.press("1").result() is False

    run(body())


def test_digits_replace_sound_which_waits(run: Run) -> None:
    async def body() -> None:
        saying = Saying()
        sound = saying.play(ramp(2 * FRAME))
        assert saying.next_frame().samples is not None
        digits = saying.press("12")
        packets = 0
        while not digits.done():
            frame = saying.next_frame()
            assert frame.samples is None
            packets += frame.digit is not None
        assert packets == 20  # two tones of 8 frames, each with two more end packets
        assert not sound.done()
        np.testing.assert_array_equal(saying.next_frame().samples, ramp(FRAME, FRAME + 1))
        assert sound.result() is True

    run(body())


def test_nothing_to_say_is_done_at_once_and_silent(run: Run) -> None:
    async def body() -> None:
        saying = Saying()
        assert saying.play(np.zeros(0, np.int16)).result() is True
        assert saying.press("").result() is True
        assert not sound_of(saying, 3).any()

    run(body())


def test_a_cancelled_wait_harms_nobody(run: Run) -> None:
    async def body() -> None:
        saying = Saying()
        gone, kept = saying.play(ramp(10)), saying.play(ramp(10))
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        assert sound_of(saying, 1).any()
        assert kept.result() is True

    run(body())


def test_unfit_sounds_and_digits_are_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body() -> None:
        saying = Saying()
        with pytest.raises(ValueError, match="float64"):
            saying.play(np.zeros(160))  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="one row"):
            saying.play(np.zeros((160, 2), np.int16))
        with pytest.raises(InvalidDigit):
            saying.press("12x")
        monkeypatch.setattr(saying_module, "WAITING_LIMIT", 8000)
        saying.play(np.zeros(7000, np.int16))
        with pytest.raises(ValueError, match="more than 1 s"):
            saying.play(np.zeros(1001, np.int16))

    run(body())
