"""Cord and ledger: under any interleaving each sample has one fate, and what waits is measured, not derived."""

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cordboard.media.chain import L16_16000, PCMA_8000, PCMU_8000, Format
from cordboard.plane.cord import FLOOD_SECONDS, LAST_FRAME, LEG_SECONDS, Cord
from cordboard.plane.ledger import MAX_TURNS, REASONS, Ledger, LedgerError, Reason

SOURCES = [PCMU_8000, PCMA_8000, L16_16000]
SINKS = [PCMU_8000, PCMA_8000, L16_16000]
REASON: st.SearchStrategy[Reason] = st.sampled_from(REASONS)


class CordMachine(RuleBasedStateMachine):
    """Drives the very class that the pacer writes to, beside a model that keeps a list of samples."""

    @initialize(form=st.sampled_from(SOURCES), live=st.booleans())
    def begin(self, form: Format, live: bool) -> None:
        self.form, self.live = form, live
        self.cord = Cord("s/agent", "", form, live=live)
        self.sink = form
        self.now = 10.0
        self.waiting: list[tuple[float, int]] = []
        """(moment, samples) of what was pushed and not yet taken."""
        self.total = dict.fromkeys(("received", "sent", "cleared", "discarded"), 0)

    def _limit(self) -> int:
        return int((LEG_SECONDS if self.live else FLOOD_SECONDS) * self.form.rate)

    def _take(self, samples: int) -> None:
        while samples:
            at, count = self.waiting[0]
            part = min(count, samples)
            samples -= part
            if part == count:
                self.waiting.pop(0)
            else:
                self.waiting[0] = (at, count - part)

    def _queued(self) -> int:
        return sum(count for _, count in self.waiting)

    @rule(samples=st.integers(0, 1000), step=st.sampled_from([0.0, 0.001, 0.02]), turn=st.sampled_from(["", "a", "b"]))
    def push(self, samples: int, step: float, turn: str) -> None:
        self.now += step
        lost = self.cord.push(bytes(samples * self.form.bytes_per_sample), self.now, turn)
        kept = min(samples, self._limit() - self._queued())
        assert lost == samples - kept
        self.total["received"] += samples
        self.total["discarded"] += lost
        if kept:
            self.waiting.append((self.now, kept))

    @rule(seconds=st.integers(20, 70))
    def flood(self, seconds: int) -> None:
        samples = seconds * self.form.rate
        kept = min(samples, self._limit() - self._queued())
        assert self.cord.push(bytes(samples * self.form.bytes_per_sample), self.now) == samples - kept
        self.total["received"] += samples
        self.total["discarded"] += samples - kept
        if kept:
            self.waiting.append((self.now, kept))

    @rule(wait=st.sampled_from([0.0, 0.02, LAST_FRAME]))
    def pull(self, wait: float) -> None:
        self.now += wait
        queued = self._queued()
        frame = self.cord.pull(self.now)
        size = self.form.samples_per_frame
        if queued < size and (not queued or self.now - self.cord.last_push < LAST_FRAME):
            assert frame is None
            return
        assert frame is not None
        assert len(frame) == self.sink.bytes_per_frame
        self._take(min(size, queued))
        self.total["sent"] += min(size, queued)

    @rule(reason=REASON)
    def drop_due(self, reason: Reason) -> None:
        part = min(self.form.samples_per_frame, self._queued())
        self.cord.drop_due(reason)
        self._take(part)
        self.total["discarded"] += part

    @rule(back=st.sampled_from([None, 0.0, 0.001, 0.02, 1.0]))
    def clear(self, back: float | None) -> None:
        before = None if back is None else self.now - back
        gone = [count for at, count in self.waiting if before is None or at <= before]
        assert self.cord.clear(before) == sum(gone)
        self.waiting = self.waiting[len(gone) :]
        self.total["cleared"] += sum(gone)

    @rule(reason=REASON)
    def discard(self, reason: Reason) -> None:
        assert self.cord.discard(reason) == self._queued()
        self.total["discarded"] += self._queued()
        self.waiting.clear()

    @rule(form=st.sampled_from(SINKS), sink=st.sampled_from(["s/caller", "s/consult"]))
    def connect(self, form: Format, sink: str) -> None:
        self.cord.connect(sink, form)
        self.sink = form

    @rule(samples=st.integers(0, 500), reason=REASON)
    def refuse(self, samples: int, reason: Reason) -> None:
        self.cord.refuse(bytes(samples * self.form.bytes_per_sample), "", reason)
        self.total["received"] += samples
        self.total["discarded"] += samples

    @rule(frames=st.integers(0, 3))
    def pass_through(self, frames: int) -> None:
        out = self.cord.pass_through(bytes(frames * self.form.bytes_per_frame), self.now)
        assert len(out) == frames * self.sink.bytes_per_frame
        self.total["received"] += frames * self.form.samples_per_frame
        self.total["sent"] += frames * self.form.samples_per_frame

    @rule()
    def take_all(self) -> None:
        if self._queued() % 2 == 0:  # an odd sample would wait in the filter
            assert len(self.cord.take_all()) == (
                self._queued() * self.sink.rate // self.form.rate * self.sink.bytes_per_sample
            )
            self.total["sent"] += self._queued()
            self.waiting.clear()

    @invariant()
    def identity(self) -> None:
        entry = self.cord.entry()
        assert entry.balanced()
        assert self.cord.queued == entry.queued == self._queued()
        assert self.cord.empty is (self._queued() == 0)
        assert self.cord.seconds == pytest.approx(self._queued() / self.form.rate)
        assert entry.received == self.total["received"]
        assert entry.sent == self.total["sent"] == self.cord.sent
        assert entry.cleared == self.total["cleared"]
        assert sum(entry.discarded.values()) == self.total["discarded"]
        for fate in ("received", "sent", "cleared"):
            assert sum(turn[fate] for turn in entry.turns) <= self.total[fate]


CordMachine.TestCase.settings = settings(
    max_examples=30, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestCordMachine: Any = CordMachine.TestCase


def test_a_lost_sample_shows() -> None:
    """`queued` is measured: an entry with a wrong one does not balance."""
    ledger = Ledger("s/agent", "s/caller", 8000)
    ledger.receive(160, ledger.turn("t"))
    with pytest.raises(LedgerError, match="does not balance"):
        ledger.entry(159)
    assert ledger.entry(160).balanced()


def test_a_cord_whose_queue_was_robbed_raises() -> None:
    cord = Cord("s/agent", "s/caller", PCMU_8000)
    cord.push(bytes(320), 1.0)
    cord._queue.pop()
    with pytest.raises(LedgerError):
        cord.entry()


def test_turns_are_told_apart_and_bounded() -> None:
    cord = Cord("s/agent", "s/caller", PCMU_8000)
    for turn in range(MAX_TURNS + 50):
        cord.push(bytes(1), 1.0, f"t{turn}")
    entry = cord.entry()
    assert entry.received == MAX_TURNS + 50
    assert len(entry.turns) == MAX_TURNS
    assert entry.turns[0] == {"id": "t0", "received": 1, "sent": 0, "cleared": 0}


def test_a_turn_knows_what_of_it_was_heard_and_cleared() -> None:
    cord = Cord("s/agent", "s/caller", PCMU_8000)
    cord.push(bytes(320), 1.0, "one")
    cord.push(bytes(320), 2.0, "two")
    for _ in range(3):
        assert cord.pull(2.0) is not None
    assert cord.clear() == 160
    assert cord.entry().turns == (
        {"id": "one", "received": 320, "sent": 320, "cleared": 0},
        {"id": "two", "received": 320, "sent": 160, "cleared": 160, "gaps": [[160, 160]]},
    )


def test_the_last_part_of_a_frame_is_filled_after_two_frames_of_quiet() -> None:
    cord = Cord("s/agent", "s/caller", PCMU_8000)
    cord.push(b"\x01" * 100, 1.0)
    assert cord.pull(1.039) is None
    assert cord.pull(1.0401) == b"\x01" * 100 + b"\xff" * 60
    assert (cord.entry().sent, cord.entry().padded) == (100, 60)


def test_clear_forgets_what_the_filter_holds() -> None:
    loud = b"\x00\x40" * 320
    cord = Cord("s/agent", "s/caller", L16_16000)
    cord.connect("s/caller", PCMU_8000)
    cord.push(loud * 3, 1.0)
    assert cord.pull(1.0) != PCMU_8000.silence
    cord.clear()
    cord.push(bytes(640), 2.0)
    assert cord.pull(2.0) == PCMU_8000.silence


def test_a_discard_forgets_what_the_filter_holds() -> None:
    cord = Cord("s/agent", "s/caller", L16_16000)
    cord.connect("s/caller", PCMU_8000)
    cord.push(b"\x00\x40" * 960, 1.0)
    cord.pull(1.0)
    cord.discard("hold")
    cord.push(bytes(640), 2.0)
    assert cord.pull(2.0) == PCMU_8000.silence


def test_a_late_clear_does_not_break_the_sound_that_came_after_it() -> None:
    loud = b"\x00\x40" * 320
    cleared, left = (Cord("s/agent", "s/caller", L16_16000) for _ in range(2))
    for cord in (cleared, left):
        cord.connect("s/caller", PCMU_8000)
        cord.push(loud * 3, 1.0)
        cord.pull(1.0)
    assert cleared.clear(0.5) == 0
    assert cleared.pull(1.02) == left.pull(1.02)


@pytest.mark.parametrize(
    ("source", "sink", "chain"),
    [
        (PCMU_8000, PCMU_8000, "PCMU/8000 → PCMU/8000"),
        (PCMU_8000, PCMA_8000, "PCMU/8000 → µ-law to A-law → PCMA/8000"),
        (L16_16000, PCMA_8000, "L16/16000 → ÷2 → encode → PCMA/8000"),
        (PCMA_8000, L16_16000, "PCMA/8000 → decode → ×2 → L16/16000"),
    ],
)
def test_the_chain_between_source_and_sink(source: Format, sink: Format, chain: str) -> None:
    cord = Cord("a", "", source)
    cord.connect("b", sink)
    assert str(cord.chain) == chain
