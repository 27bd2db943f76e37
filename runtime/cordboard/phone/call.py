"""One call of a phone, seen by the program that uses it: states to wait for, things to do, sound to hear.

Follows RFC 3261 sections 13 and 14 as `cordboard.sip` speaks them and RFC 3264 for offers and answers. All waiting is
for what arrives; nothing polls. Times are monotonic seconds of the running loop.

Left out: placing a hold of its own, transfers, redirects and authentication: a 3xx, 401 or 407 is a failed call.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from cordboard.media.samples import Samples
from cordboard.phone.hearing import Hearing
from cordboard.phone.media import PhoneMedia
from cordboard.phone.negotiation import Negotiation, NoAgreement
from cordboard.sip.events import (
    Acked,
    AckMissing,
    Answered,
    Ended,
    Event,
    Failed,
    HungUp,
    IncomingInvite,
    InfoReceived,
    Offered,
    Provisional,
)
from cordboard.sip.info import parse_info_digit
from cordboard.sip.leg import LegState
from cordboard.sip.message import Response
from cordboard.sip.offer import Negotiated
from cordboard.sip.ua import UserAgent

State = Literal["incoming", "dialling", "ringing", "answered", "ended"]

RESPONSES_KEPT = 64
"""Responses and progress entries that are kept: a call has a handful, a hostile peer may send 1xx for ever."""

INFOS_KEPT = 256
"""INFO bodies that are kept, for the same reason."""

_log = logging.getLogger(__name__)


class CallOver(Exception):
    """What is waited for can no longer happen, because the call has ended. Its attributes say how."""

    def __init__(self, wanted: str, ended_by: str, code: int | None) -> None:
        super().__init__(f"{wanted}: the call is over (ended by {ended_by}, code {code})")
        self.ended_by = ended_by
        self.code = code


class CallStateError(RuntimeError):
    """Something was asked of a call or a phone that its state does not allow; the message names both."""


class NoTelephoneEvents(CallStateError):
    """Digits cannot be sent: the other side did not agree to telephone-event (RFC 4733)."""


class PhoneCall(Hearing):
    """One call. Made by `Softphone.call` and `Softphone.incoming`, never directly."""

    def __init__(
        self, agent: UserAgent, flush: Callable[[], None], media_host: str, bind: str, codecs: tuple[str, ...],
        rng: random.Random, invite: IncomingInvite | None, early: bool,
    ) -> None:  # fmt: skip
        """`media_host` stands in our SDP, `bind` is where the RTP socket is bound. OSError as `bind` has it."""
        super().__init__(PhoneMedia(bind, rng, self._notify))
        self._agent = agent
        self._flush = flush
        self._early = early
        self._negotiation = Negotiation(media_host, self._media.port, codecs, rng)
        self._recording: tuple[Path, bool] | None = None
        self._ack_missing = False
        self.leg = "" if invite is None else invite.leg
        """The user agent's id of this call."""
        self.invite = invite
        """The INVITE of an incoming call; None for one that we made."""
        self.state: State = "dialling" if invite is None else "incoming"
        """Where the call stands."""
        self.responses: list[Response] = []
        """Responses to our INVITE, without 100."""
        self.progress: list[tuple[int, float]] = []
        """Code and time of every response that came (or, to an incoming call, that we gave)."""
        self.final_code: int | None = None
        """Final response to the INVITE, ours or theirs; 487 when it was cancelled."""
        self.ended_by: Literal["them", "us", "failed", ""] = ""
        """Who ended the call; "failed" for one that never came about or broke. "" while it lives."""
        self.ended_count = 0
        """How often the user agent said that the call is over. Anything but 1 at the end is a bug."""
        self.end_reason = ""
        """Reason header of their BYE or CANCEL, or why the call failed."""
        self.infos: list[tuple[str, bytes]] = []
        """Content type and body of every INFO."""
        self.recording_error: OSError | None = None
        """Why the recording could not be written, if it could not."""

    def __repr__(self) -> str:
        return f"<PhoneCall {self.leg} {self.state}>"

    @property
    def over(self) -> bool:
        """Whether the call has ended."""
        return self.state == "ended"

    @property
    def negotiated(self) -> Negotiated | None:
        """Outcome of the last offer and answer."""
        return self._negotiation.outcome

    @property
    def on_hold(self) -> bool:
        """Whether the other side holds us."""
        return self.negotiated is not None and self.negotiated.on_hold

    @property
    def answered_at(self) -> float | None:
        """When the call was answered."""
        return next((moment for code, moment in self.progress if 200 <= code < 300), None)

    # Waiting

    async def wait_ringing(self, timeout: float | None = None) -> None:
        """Until a provisional response came (or we gave one), or the answer. CallOver, TimeoutError."""
        await self._until(lambda: bool(self.progress) and self.progress[0][0] < 300, timeout, "ringing")

    async def wait_answered(self, timeout: float | None = None) -> None:
        """Until the call is answered. CallOver when it ended without, TimeoutError."""
        await self._until(lambda: self.answered_at is not None, timeout, "answer")

    async def wait_ended(self, timeout: float | None = None) -> None:
        """Until the call is over on both sides and its recording written. TimeoutError."""
        await self._until(lambda: self.over, timeout, "end of the call")

    async def wait_hold(self, held: bool = True, timeout: float | None = None) -> None:
        """Until the other side holds us, or with `held` False no longer does. CallOver, TimeoutError."""
        await self._until(lambda: self.on_hold == held, timeout, "hold" if held else "end of the hold")

    async def _until(self, ready: Callable[[], bool], timeout: float | None, wanted: str) -> None:
        try:
            async with asyncio.timeout(timeout):
                while not ready():
                    if self.over:
                        raise CallOver(wanted, self.ended_by, self.final_code)
                    await self._change()
        except TimeoutError:
            raise TimeoutError(f"no {wanted} within {timeout} s; the call is {self.state}") from None

    # Doing

    def ring(self, *, early: bool = False) -> None:
        """Answers 180; with `early` 183 and SDP, and what is played is heard before the answer."""
        self._require("ring", "incoming", "ringing")
        if not early:
            self._respond(180, "Ringing")
        elif (sdp := self._prepare_answer()) is not None:
            self._respond(183, "Session Progress", sdp)
            self._media.start()
        self.state = "ringing"
        self._flush()
        self._notify()

    def answer(self) -> None:
        """Answers 200, or 488 with a failed call when the offer suits us not at all."""
        self._require("answer", "incoming", "ringing")
        if (sdp := self._prepare_answer()) is not None:
            self._respond(200, "OK", sdp)
            self.state = "answered"
            self.final_code = 200
            self._media.start()
        self._flush()
        self._notify()

    def reject(self, code: int = 486, reason: str = "") -> None:
        """Refuses the call with 300 … 699. ValueError for another code and for a reason with a line break."""
        self._require("reject", "incoming", "ringing")
        if not 300 <= code <= 699:
            raise ValueError(f"{code} refuses nothing; 300 … 699 do")
        self._respond(code, reason)
        self.final_code = code
        self._flush()

    def hangup(self) -> None:
        """Ends the call by BYE, CANCEL or 480, whichever its state asks for; sending stops at once. Idempotent."""
        if self.over:
            return
        self._media.stop()
        self._agent.hangup(self.leg, self._now())
        self._flush()

    def play(self, samples: Samples) -> asyncio.Future[bool]:
        """Queues a sound (int16, 8 kHz). The future is True when the last of it was sent, False when it was stopped;
        it waits while the call is not answered, held, or sends digits. CallStateError after the end."""
        self._alive("play")
        return self._media.saying.play(samples)

    def stop_playing(self) -> None:
        """Drops the running sound and those that wait."""
        self._media.saying.stop_playing()

    def send_digits(self, digits: str) -> asyncio.Future[bool]:
        """Queues digits (0-9 * # A-D) as telephone events; the future is as that of `play`. CallStateError before the
        answer, NoTelephoneEvents without agreement, InvalidDigit for other characters."""
        self._alive("send digits")
        if self.negotiated is None:
            raise CallStateError("digits need a call with negotiated media")
        if self.negotiated.dtmf_send is None:
            raise NoTelephoneEvents("the other side takes no telephone-event")
        return self._media.saying.press(digits)

    def send_info(self, content_type: str, body: bytes) -> None:
        """Sends INFO in the call. CallStateError unless answered."""
        self._require("send INFO", "answered")
        self._agent.info(self.leg, content_type, body, self._now())
        self._flush()

    def record(self, path: str | Path, *, stereo: bool = False) -> None:
        """Writes what is heard to a 16-bit WAV when the call ends; `stereo` puts what is said on the left."""
        self._alive("record")
        self._recording = (Path(path), stereo)

    # The other side

    def start(self, to: str, from_: str, headers: tuple[tuple[str, str], ...], destination: tuple[str, int]) -> None:
        """Sends the INVITE. For Softphone alone. ValueError as the user agent has it."""
        self.leg = self._agent.invite(
            to=to, from_=from_, sdp=self._negotiation.offer(), now=self._now(), destination=destination, headers=headers
        )

    def receive_event(self, event: Event) -> None:
        """Takes an event of this leg. For Softphone alone."""
        match event:
            case Provisional():
                self._progressed(event.code, event.response)
                if self.state == "dialling":
                    self.state = "ringing"
                if event.sdp is not None and self._take_answer(event.sdp) and self._early:
                    self._media.start()
            case Answered():
                self._answered(event)
            case Acked():
                # It has a description only when our offer was in the 200, and must have one then.
                if not self._take_answer(event.sdp):
                    self._fail("the ACK has no usable answer")
            case Offered():
                self._answer_offer(event.sdp)
            case InfoReceived():
                self._informed(event)
            case AckMissing():
                self._ack_missing = True
                self.end_reason = "no ACK"
            case Failed():
                if event.response is not None:
                    self._progressed(event.code, event.response)
                self._end("failed", event.code, event.reason)
            case Ended():
                self._end("them", 487 if event.by == "cancel" else 200, event.reason)
            case HungUp():
                self._end("failed" if self._ack_missing or self.end_reason else "us", event.code, self.end_reason)
            case _:
                return
        self._notify()

    def abandon(self) -> None:
        """Ends a call whose other side no longer answers, as the phone closes. For Softphone alone."""
        if not self.over:
            self.state = "ended"
            self.ended_by = "us"
            self._finish()
            self._notify()

    def _answered(self, event: Answered) -> None:
        self._progressed(event.response.code, event.response)
        if self._media.stopped:
            return  # the answer crossed our hang-up; the user agent ends it by BYE
        self.state = "answered"
        self.final_code = event.response.code
        if self._take_answer(event.sdp):
            self._media.start()
        else:
            self._fail("the 200 has no usable answer")

    def _informed(self, event: InfoReceived) -> None:
        if len(self.infos) < INFOS_KEPT:
            self.infos.append((event.content_type, event.body))
        digit = parse_info_digit(event.content_type, event.body)
        if digit is not None:
            self._media.heard.digits += digit.digit

    def _answer_offer(self, sdp: bytes | None) -> None:
        body, code = None, 200
        try:
            body = self._negotiation.answer_again(sdp)
        except NoAgreement as error:
            code = error.code
            _log.warning("%r refuses a new offer: %s", self, error)
        self._agreed()
        try:
            self._agent.answer_offer(self.leg, sdp=body, code=code, now=self._now())
        except LegState as error:
            _log.info("an offer was withdrawn: %s", error)

    def _prepare_answer(self) -> bytes | None:
        """Our SDP for an incoming call; None when the call was refused instead."""
        assert self.invite is not None
        try:
            sdp = self._negotiation.answer_first(self.invite.sdp)
        except NoAgreement as error:
            self._respond(error.code, "")
            self.end_reason = str(error)
            self.final_code = error.code
            return None
        self._agreed()
        return sdp

    def _take_answer(self, sdp: bytes | None) -> bool:
        try:
            self._negotiation.take_answer(sdp)
        except NoAgreement as error:
            _log.warning("%r cannot use an answer: %s", self, error)
            return False
        self._agreed()
        return True

    def _agreed(self) -> None:
        if self._negotiation.outcome is not None:
            self._media.negotiated(self._negotiation.outcome)

    def _respond(self, code: int, reason: str, sdp: bytes | None = None) -> None:
        try:
            self._agent.respond(self.leg, code, reason, sdp=sdp, now=self._now())
        except LegState as error:
            raise CallStateError(str(error)) from None
        if len(self.progress) < RESPONSES_KEPT:
            self.progress.append((code, self._now()))

    def _progressed(self, code: int, response: Response) -> None:
        if len(self.responses) < RESPONSES_KEPT:
            self.responses.append(response)
            self.progress.append((code, self._now()))

    def _fail(self, reason: str) -> None:
        self.end_reason = reason
        self._media.stop()
        self._agent.hangup(self.leg, self._now())

    def _end(self, by: Literal["them", "us", "failed"], code: int, reason: str) -> None:
        self.ended_count += 1
        if self.over:
            return
        self.state = "ended"
        self.ended_by = by
        self.end_reason = reason
        if self.final_code is None:
            self.final_code = code
        self._finish()

    def _finish(self) -> None:
        self._media.close()
        if self._recording is not None:
            try:
                self._media.write(*self._recording)
            except OSError as error:
                self.recording_error = error
                _log.warning("%r cannot write its recording: %s", self, error)

    def _require(self, verb: str, *states: State) -> None:
        if self.state not in states:
            raise CallStateError(f"cannot {verb}: the call is {self.state}")

    def _alive(self, verb: str) -> None:
        if self.over:
            raise CallStateError(f"cannot {verb}: the call is over")
