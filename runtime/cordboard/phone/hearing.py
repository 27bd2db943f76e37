"""Waiting for what a call hears: tones, voice, silence, digits. Driven by the packets that arrive.

Each wait considers what arrives from its start on, or from `since` on, so that what was heard earlier does not count
unless asked for.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Callable

from cordboard.media.analysis import dominant_tone
from cordboard.media.samples import Samples
from cordboard.phone.heard import RATE, HeardPacket, Piece
from cordboard.phone.listening import TONE_WINDOW, Listener, ToneListener, VoiceListener, is_quiet
from cordboard.phone.media import PERIOD, PhoneMedia


class NotHeard(TimeoutError):
    """What was waited for was not heard in time or before the end of the call; the message says what was."""


class Hearing:
    """The hearing half of a call."""

    def __init__(self, media: PhoneMedia) -> None:
        self._loop = asyncio.get_running_loop()
        self._media = media
        self._changed = asyncio.Event()

    @property
    def over(self) -> bool:
        """Whether nothing more can be heard."""
        raise NotImplementedError

    @property
    def packets(self) -> list[HeardPacket]:
        """Every RTP packet in order of arrival."""
        return self._media.heard.packets

    @property
    def rtp_samples_received(self) -> int:
        """Audio samples over all packets, digits excluded, exactly as received."""
        return self._media.heard.samples_received

    @property
    def digits_received(self) -> str:
        """Digits from telephone events and INFO, each once."""
        return self._media.heard.digits

    @property
    def last_packet_at(self) -> float | None:
        """Monotonic arrival of the last RTP packet."""
        return self._media.last_packet_at

    @property
    def packets_sent(self) -> int:
        """RTP packets sent so far."""
        return self._media.packets_sent

    def heard(self) -> Samples:
        """All that was heard, int16 at 8 kHz, in its place in time; gaps are silence."""
        return self._media.heard.samples()

    def heard_since(self, moment: float) -> Samples:
        """What was heard in packets that arrived at `moment` (monotonic seconds) or later."""
        return self._media.heard.samples(moment)

    async def hears_tone(self, hz: float, share: float = 0.8, *, within: float, since: float | None = None) -> float:
        """Until 200 ms of sound hold `share` of their energy at `hz`: when, in monotonic seconds. NotHeard."""
        return await self._hears(ToneListener(hz, share), within, since, f"tone of {hz:g} Hz")

    async def hears_voice(self, within: float, *, since: float | None = None) -> float:
        """Until somebody makes sound, by energy: when, in monotonic seconds. NotHeard."""
        return await self._hears(VoiceListener(), within, since, "voice")

    async def hears_silence(self, seconds: float, *, within: float, since: float | None = None) -> float:
        """Until nothing but silence, or no packet, came for `seconds`: when it began. NotHeard."""
        quiet_since = self._loop.time() if since is None else since
        index = self._index(quiet_since)
        try:
            async with asyncio.timeout(within):
                while True:
                    for piece in self._pieces[index:]:
                        if not is_quiet(piece):
                            quiet_since = piece.arrival + PERIOD
                    index = len(self._pieces)
                    if self._loop.time() >= quiet_since + seconds:
                        return quiet_since
                    if self.over:
                        raise self._not_heard(f"silence of {seconds} s", "before the end of the call")
                    await self._change_or(quiet_since + seconds)
        except TimeoutError as error:
            raise self._late(error, f"silence of {seconds} s", within) from None

    async def hears_audio(self, seconds: float, *, within: float) -> None:
        """Until the packets of the whole call hold `seconds` of audio, of any kind. NotHeard."""
        await self._counts(lambda: self.rtp_samples_received >= seconds * RATE, within, f"{seconds} s of audio")

    async def hears_digits(self, digits: str, *, within: float) -> None:
        """Until `digits` stand at the end of all digits received. NotHeard."""
        await self._counts(lambda: self.digits_received.endswith(digits), within, f"digits {digits}")

    @property
    def _pieces(self) -> list[Piece]:
        return self._media.heard.pieces

    def _index(self, since: float) -> int:
        """The first piece that arrived at `since` or later."""
        return bisect_left(self._pieces, since, key=lambda piece: piece.arrival)

    async def _hears(self, listener: Listener, within: float, since: float | None, wanted: str) -> float:
        index = self._index(self._loop.time() if since is None else since)
        try:
            async with asyncio.timeout(within):
                while True:
                    while index < len(self._pieces):
                        piece = self._pieces[index]
                        index += 1
                        if listener.feed(piece):
                            return piece.arrival
                    if self.over:
                        raise self._not_heard(wanted, "before the end of the call")
                    await self._change()
        except TimeoutError as error:
            raise self._late(error, wanted, within) from None

    async def _counts(self, ready: Callable[[], bool], within: float, wanted: str) -> None:
        try:
            async with asyncio.timeout(within):
                while not ready():
                    if self.over:
                        raise self._not_heard(wanted, "before the end of the call")
                    await self._change()
        except TimeoutError as error:
            raise self._late(error, wanted, within) from None

    def _late(self, error: TimeoutError, wanted: str, within: float) -> NotHeard:
        return error if isinstance(error, NotHeard) else self._not_heard(wanted, f"within {within} s")

    def _not_heard(self, wanted: str, limit: str) -> NotHeard:
        hz, share = dominant_tone(self.heard()[-TONE_WINDOW:], RATE)
        sound = f"{hz:.0f} Hz with share {share:.2f}" if share else "silence"
        total = self.rtp_samples_received / RATE
        return NotHeard(f"no {wanted} {limit}; heard {total:.2f} s of audio, at its end {sound}")

    # How waiting works: every change wakes all who wait, and each looks for itself.

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _change(self) -> None:
        await self._changed.wait()

    async def _change_or(self, deadline: float) -> None:
        """Until something changes or the loop's time is `deadline`."""
        try:
            async with asyncio.timeout_at(deadline):
                await self._change()
        except TimeoutError:
            return

    def _now(self) -> float:
        return self._loop.time()
