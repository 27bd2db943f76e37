"""Digits of a leg: heard once by whatever method, sent as events in place of audio."""

import struct
from typing import Any

import pytest
from tests.plane.plane_stage import Stage, rtp, ulaw

from cordboard.contract import link
from cordboard.plane.digits import Digits


def event(digit: int, *, duration: int = 160, end: bool = False) -> bytes:
    """A telephone-event payload (RFC 4733 section 2.3)."""
    return struct.pack("!BBH", digit, 0x80 if end else 0, duration)


def key(stage: Stage, digit: int, sequence: int, timestamp: int) -> None:
    """A pressed key: three updates and three ends."""
    for each in range(6):
        payload = event(digit, duration=160 * min(each + 1, 4), end=each >= 3)
        stage.rtp_in("s/caller", rtp(sequence + each, payload, kind=101, timestamp=timestamp))


def digits(stage: Stage) -> str:
    return "".join(each.digit for each in stage.told(link.LegDigit))


def test_a_key_is_told_once_to_control_and_agent() -> None:
    stage = Stage()
    service = stage.agent(hears=stage.leg())
    key(stage, 5, 0, 1000)
    key(stage, 11, 6, 9000)
    assert digits(stage) == "5#"
    assert [each["dtmf"] for each in service.messages if each["event"] == "dtmf"] == ["5", "#"]


@pytest.mark.parametrize("first", ["rtp", "info"])
def test_a_key_that_comes_by_rfc_4733_and_by_info_counts_once(first: str) -> None:
    stage = Stage()
    stage.leg()
    for method in (first, "info" if first == "rtp" else "rtp"):
        if method == "rtp":
            key(stage, 7, 0, 1000)
        else:
            stage.tell(link.LegInfoDigit("s/caller", "7"))
        stage.run(0.2)
    assert digits(stage) == "7"


PRESSES: dict[str, tuple[list[tuple[float, str, str]], str]] = {
    "one method alone counts every press": ([(0, "rtp", "1"), (0.1, "rtp", "1"), (0.2, "rtp", "1")], "111"),
    "two quick presses by both": ([(0, "rtp", "1"), (0.1, "info", "1"), (0.4, "rtp", "1"), (0.5, "info", "1")], "11"),
    "info lags by a press": ([(0, "rtp", "1"), (0.2, "rtp", "1"), (0.3, "info", "1"), (0.5, "info", "1")], "11"),
    "two keys, interleaved": ([(0, "rtp", "1"), (0.1, "rtp", "2"), (0.2, "info", "1"), (0.3, "info", "2")], "12"),
    "other keys": ([(0, "rtp", "1"), (0.1, "info", "2")], "12"),
    "a second later it is another press": ([(0, "rtp", "1"), (1.1, "info", "1")], "11"),
}


@pytest.mark.parametrize("name", PRESSES)
def test_presses_of_both_methods_are_paired(name: str) -> None:
    presses, expected = PRESSES[name]
    keys = Digits()
    heard = "".join(digit for at, method, digit in presses if keys.fresh(digit, method, at))  # type: ignore[arg-type]
    assert heard == expected


def test_a_flood_of_info_is_remembered_in_bounds() -> None:
    keys = Digits()
    assert all(keys.fresh("1", "info", 0.0) for _ in range(1000))
    assert len(keys.single) == 32


@pytest.mark.parametrize("digit", ["", "12", "x", "🎹"])
def test_what_is_no_digit_in_info_is_noted_and_told_to_nobody(digit: str) -> None:
    stage = Stage()
    stage.agent(hears=stage.leg())
    stage.tell(link.LegInfoDigit("s/caller", digit))
    assert digits(stage) == ""
    assert stage.notes("no digit in INFO")


def test_digits_are_sent_as_events_in_place_of_audio_which_is_discarded_for_them() -> None:
    stage = Stage()
    service = stage.agent(heard_by=stage.leg(dtmf_send=96))
    service.speak(ulaw(0, 40))
    stage.drain()
    done = stage.ask(link.LegDigits("s/caller", "1#", confirm="d"))
    assert done is not None
    assert done.ok
    stage.run(1.0)
    events = [each.packet for each in stage.sent if each.packet.payload_type == 96]
    assert [packet.payload[0] for packet in events if packet.marker] == [1, 11]
    assert len({packet.timestamp for packet in events}) == 2
    entry = stage.closed().ledger[0]
    assert entry.discarded["dtmf"] > 2 * 160 * 8
    assert entry.sent + entry.discarded["dtmf"] == entry.received == 40 * 160


@pytest.mark.parametrize(
    ("digits_asked", "media", "code"),
    [("1", {}, "refused"), ("x", {"dtmf_send": 96}, "invalid"), ("1" * 65, {"dtmf_send": 96}, "invalid")],
)
def test_digits_that_cannot_be_sent_are_refused(digits_asked: str, media: dict[str, Any], code: str) -> None:
    stage = Stage()
    stage.leg(**media)
    done = stage.ask(link.LegDigits("s/caller", digits_asked, confirm="d"))
    assert done is not None
    assert (done.ok, done.code) == (False, code)
