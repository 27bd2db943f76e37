"""A cord: the audio of one source on its way to one sink, with its queue, its chain and its ledger.

Bytes wait as they came (lazy decoding: a burst of a second must not be decoded between two ticks, performance.md §3)
and are converted when their frame is due. A cord without a sink keeps what an agent says before its route exists.
"""

from collections import deque
from typing import NamedTuple

from cordboard.contract.call_record import LedgerEntry
from cordboard.media.chain import Chain, Format, build_chain

from .ledger import Ledger, Reason, Turn

FLOOD_SECONDS = 60.0
"""Audio one cord may hold; the newest is dropped as overflow (DESIGN §6: an agent that floods)."""

LEG_SECONDS = 0.4
"""The same for a phone's audio, which comes in real time: more is the drift of two clocks, heard as delay."""

MAX_CHUNKS = 12_000
"""Pieces in which that audio may wait: pieces of 5 ms; one of a sample each would cost a hundred times its size."""

WAIT_FOR_ROUTE = 10.0
"""Seconds of audio kept for a route that does not exist yet (HANDLERS §1.1, `start`)."""

LAST_FRAME = 0.040
"""Seconds without more audio after which a part of a frame is filled with silence and sent: two frames."""


class _Chunk(NamedTuple):
    data: bytes
    turn: Turn
    at: float


class Cord:
    """Audio of `source` for `sink`."""

    __slots__ = (
        "_bytes",
        "_chain",
        "_frame",
        "_head",
        "_ledger",
        "_limit",
        "_queue",
        "_width",
        "last_push",
        "live",
        "sink",
        "source",
    )

    def __init__(
        self, source: str, sink: str, form: Format, *, live: bool = False, seconds: float = FLOOD_SECONDS
    ) -> None:
        """`form` is the source's; `live`: a phone's audio, which comes in real time and must not pile up; `seconds`:
        how much of other audio may wait."""
        self.source = source
        self.live = live
        self.sink = sink
        self._width = form.bytes_per_sample
        self._chain: Chain = build_chain(form, form)
        self._ledger = Ledger(source, sink, form.rate)
        self._queue: deque[_Chunk] = deque()
        self._head = 0
        """Bytes of the first chunk that are gone."""
        self._bytes = 0
        self._frame = form.bytes_per_frame
        self._limit = int((LEG_SECONDS if live else seconds) * form.rate) * self._width
        self.last_push = 0.0

    @property
    def form(self) -> Format:
        """The source's format."""
        return self._chain.source

    @property
    def chain(self) -> Chain:
        """What happens between source and sink."""
        return self._chain

    @property
    def queued(self) -> int:
        """Samples that wait, measured."""
        return (sum(len(chunk.data) for chunk in self._queue) - self._head) // self._width

    @property
    def empty(self) -> bool:
        """Nothing waits."""
        return self._bytes == 0

    @property
    def waiting(self) -> int:
        """Samples that wait, as counted on the way; the ledger measures them."""
        return self._bytes // self._width

    @property
    def seconds(self) -> float:
        """Seconds that wait."""
        return self.waiting / self.form.rate

    @property
    def sent(self) -> int:
        """Samples of the source that left."""
        return self._ledger.sent

    def connect(self, sink: str, form: Format) -> None:
        """Give a cord its sink, or its sink another format. Raises UnsupportedConversion."""
        if self._chain.sink != form or not sink:
            self._chain = build_chain(self.form, form)
        self.sink = self._ledger.sink = sink

    def push(self, data: bytes, now: float, turn: str = "") -> int:
        """Audio from the source; returns the samples dropped as overflow (the newest)."""
        entry = self._ledger.turn(turn)
        self._ledger.receive(len(data) // self._width, entry)
        self.last_push = now
        room = self._limit - self._bytes if len(self._queue) < MAX_CHUNKS else 0
        lost = max(0, len(data) - room)
        if lost:
            data = data[: max(0, room)]
            self._ledger.discard(lost // self._width, entry, "overflow", newest=True)
        if data:
            self._queue.append(_Chunk(data, entry, now))
            self._bytes += len(data)
        return lost // self._width

    def refuse(self, data: bytes, turn: str, reason: Reason) -> None:
        """Audio that came and goes nowhere."""
        entry = self._ledger.turn(turn)
        samples = len(data) // self._width
        self._ledger.receive(samples, entry)
        self._ledger.discard(samples, entry, reason, newest=True)

    def ready(self, now: float) -> bool:
        """A frame is there, or a last part that nothing will complete."""
        if self._bytes >= self._frame:
            return True
        return self._bytes > 0 and now - self.last_push >= LAST_FRAME

    def pull(self, now: float) -> bytes | None:
        """The next 20 ms for the sink, in its format; None if nothing is ready."""
        if not self.ready(now):
            return None
        size = self._frame
        frame = self._take(min(size, self._bytes), None)
        if len(frame) < size:
            missing = size - len(frame)
            self._ledger.padded += missing // self._width
            frame += self.form.silence[:missing]
        return self._chain.process(frame)

    def pass_through(self, data: bytes, now: float) -> bytes:
        """Audio that goes to the sink at once, without waiting (a phone's audio to an agent)."""
        entry = self._ledger.turn("")
        samples = len(data) // self._width
        self._ledger.receive(samples, entry)
        self._ledger.send(samples, entry)
        self.last_push = now
        return self._chain.process(data)

    def take_all(self) -> bytes:
        """All that waits, for the sink, in its format."""
        return self._chain.process(self._take(self._bytes, None))

    def drop_due(self, reason: Reason) -> None:
        """What is due now goes elsewhere than to the sink (digits are being sent, the sink is on hold)."""
        self._take(min(self._frame, self._bytes), reason)

    def clear(self, before: float | None = None) -> int:
        """Drop what waits, or what came up to the moment `before`; returns the samples.

        Filters start anew, unless later audio is being heard already: that goes on unbroken.
        """
        dropped = 0
        while self._queue and (before is None or self._queue[0].at <= before):
            chunk = self._queue.popleft()
            samples = (len(chunk.data) - self._head) // self._width
            self._bytes -= len(chunk.data) - self._head
            self._head = 0
            self._ledger.clear(samples, chunk.turn)
            dropped += samples
        if dropped or not self._queue:
            self._chain.reset()
        return dropped

    def discard(self, reason: Reason) -> int:
        """Drop all that waits for another reason than clear; returns the samples."""
        before = self._bytes
        self._take(self._bytes, reason)
        self._chain.reset()
        return before // self._width

    def entry(self) -> LedgerEntry:
        """The ledger's record. Raises LedgerError if it does not balance."""
        return self._ledger.entry(self.queued)

    def _take(self, size: int, reason: Reason | None) -> bytes:
        parts: list[bytes] = []
        left = size
        while left:
            chunk = self._queue[0]
            part = chunk.data[self._head : self._head + left]
            samples = len(part) // self._width
            if reason is None:
                self._ledger.send(samples, chunk.turn)
                parts.append(part)
            else:
                self._ledger.discard(samples, chunk.turn, reason)
            left -= len(part)
            self._head += len(part)
            if self._head == len(chunk.data):
                self._queue.popleft()
                self._head = 0
        self._bytes -= size
        return b"".join(parts) if len(parts) != 1 else parts[0]
