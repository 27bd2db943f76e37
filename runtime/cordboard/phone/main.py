"""`cordboard phone call URI` and `cordboard phone answer`: a softphone for the command line.

Follows HANDLERS §2.1: progress on stderr, the result on stdout, exit 0 good, 1 when the call is refused or what was
expected is not heard, 2 for usage, 130 when interrupted (after hanging up).

Left out: a microphone and a loudspeaker.
"""

import argparse
import asyncio
import json
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cordboard.media.analysis import dominant_tone
from cordboard.media.dtmf import DtmfSender, InvalidDigit
from cordboard.media.prompt import change_rate
from cordboard.media.samples import Samples
from cordboard.media.tones import sine
from cordboard.media.wav import WavError, read_wav
from cordboard.phone.call import CallOver, CallStateError, PhoneCall
from cordboard.phone.heard import RATE
from cordboard.phone.hearing import NotHeard
from cordboard.phone.softphone import Softphone
from cordboard.sip.uri import SipUri, parse_uri

ANSWER_SECONDS = 180.0
"""How long a call may ring: timer C of RFC 3261 section 16.6."""

END_SECONDS = 33.0
"""How long the end of a call may take: timer F of RFC 3261, 64 * T1, and a little."""

LISTEN_SECONDS = 3600.0
"""How long an expected tone is waited for without --for: as long as sound is kept."""

_TONE_DBFS = -12.0
"""Level of --tone: loud, and clear of clipping when two tones are mixed."""


class UsageError(Exception):
    """Something about the command line; the second argument says what to do."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a call is to do, read from the command line."""

    sound: Samples | None
    """--play, at 8 kHz."""
    tone: int | None
    """--tone in Hz."""
    digits: str
    """--dtmf."""
    seconds: float | None
    """--for."""
    expected: float | None
    """--expect-tone in Hz."""
    record: Path | None
    """--record."""
    stereo: bool
    """--stereo."""


def add_arguments(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the verb `phone`; its `run` default is `main`."""
    phone = subparsers.add_parser("phone", help="a softphone: call, answer, play, record, check a tone")
    verbs = phone.add_subparsers(dest="phone_verb", required=True, metavar="call|answer")
    call = verbs.add_parser("call", help="call a SIP URI")
    call.add_argument("uri", metavar="URI", help="sip:user@host:port")
    answer = verbs.add_parser("answer", help="wait for one call and answer it")
    answer.add_argument("--ring", type=_seconds, default=0.0, metavar="S", help="ring so many seconds first")
    for parser, host in ((call, "0.0.0.0"), (answer, "127.0.0.1")):
        source = parser.add_mutually_exclusive_group()
        source.add_argument("--play", metavar="F", help="play this WAV file once")
        source.add_argument("--tone", type=_hertz, metavar="HZ", help="send a tone for the whole call")
        parser.add_argument("--record", type=Path, metavar="G", help="write what is heard to this WAV file")
        parser.add_argument("--stereo", action="store_true", help="with --record: what is said on the left")
        parser.add_argument("--dtmf", default="", metavar="12#", help="digits to send after the answer")
        parser.add_argument("--for", type=_seconds, dest="seconds", metavar="S", help="hang up after so many seconds")
        parser.add_argument("--expect-tone", type=_hertz, metavar="HZ", help="exit 1 unless this tone is heard")
        parser.add_argument("--from", dest="user", default="alice", metavar="USER", help="user part of our URI")
        parser.add_argument("--host", default=host, help="IPv4 address to bind (default %(default)s)")
        parser.add_argument("--sip-port", type=int, default=0, metavar="N", help="SIP port (default: a free one)")
        parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="result as one JSON object")
        parser.set_defaults(run=main)


def main(args: argparse.Namespace) -> int:
    """Runs `phone call` or `phone answer`; the exit code."""
    try:
        wishes = _wishes(args)
        return asyncio.run(_run(args, wishes))
    except UsageError as error:
        problem, remedy = error.args
        print(f"cordboard phone: {problem}\n  {remedy}", file=sys.stderr)  # noqa: T201 - a command prints
        return 2


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= LISTEN_SECONDS:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and {LISTEN_SECONDS:.0f} seconds")
    return value


def _hertz(text: str) -> int:
    value = int(text)
    if not 0 < value < RATE // 2:
        raise argparse.ArgumentTypeError(f"{text} Hz is not between 1 and {RATE // 2 - 1}")
    return value


def _wishes(args: argparse.Namespace) -> Wishes:
    sound = None
    if args.play is not None:
        try:
            wav = read_wav(args.play)
        except (OSError, WavError) as error:
            raise UsageError(f"--play: {error}", "give a WAV file of PCM, A-law or µ-law") from None
        sound = change_rate(wav.mono(), wav.rate, RATE)
    try:
        DtmfSender(args.dtmf)
    except InvalidDigit as error:
        raise UsageError(f"--dtmf: {error}", "keys are 0-9 * # and A-D") from None
    if args.record is not None and not args.record.absolute().parent.is_dir():
        raise UsageError(f"--record: there is no folder {args.record.parent}", "make it first, or name another file")
    if args.phone_verb == "call":
        try:
            uri = parse_uri(args.uri)
        except ValueError as error:
            raise UsageError(str(error), "write it as sip:user@host or sip:user@host:port") from None
        if not isinstance(uri, SipUri) or uri.scheme != "sip":
            raise UsageError(f"cannot call {args.uri}", "only sip: over UDP can be called")
    return Wishes(sound, args.tone, args.dtmf, args.seconds, args.expect_tone, args.record, args.stereo)


async def _run(args: argparse.Namespace, wishes: Wishes) -> int:
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    phone = Softphone(host=args.host, sip_port=args.sip_port, user=args.user)
    conversation = _Conversation(wishes, getattr(args, "json", False))
    try:
        try:
            await phone.start()
        except OSError as error:
            raise UsageError(f"cannot use {args.host}:{args.sip_port}: {error}", "see --host and --sip-port") from None
        if args.phone_verb == "call":
            try:
                conversation.begin(await phone.call(args.uri))
            except (OSError, ValueError) as error:
                raise UsageError(f"cannot call {args.uri}: {error}", "check the host and --from") from None
        else:
            _tell(f"waiting for a call to {phone.uri}")
            call = await phone.incoming()
            conversation.begin(call)
            await conversation.pick_up(call, args.ring)
        await conversation.hold()
        code = conversation.verdict()
    except asyncio.CancelledError:
        code = 130
    finally:
        await phone.close()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
    conversation.report()
    return code


class _Conversation:
    """One call from its first message to its report."""

    def __init__(self, wishes: Wishes, as_json: bool) -> None:
        self._wishes = wishes
        self._as_json = as_json
        self._call: PhoneCall | None = None
        self._heard_at: float | None = None
        self._begun = 0.0

    def begin(self, call: PhoneCall) -> None:
        self._call = call
        self._begun = asyncio.get_running_loop().time()
        if self._wishes.record is not None:
            call.record(self._wishes.record, stereo=self._wishes.stereo)

    async def pick_up(self, call: PhoneCall, seconds: float) -> None:
        """Rings and answers an incoming call, unless the caller gives up."""
        assert call.invite is not None
        _tell(f"call from {call.invite.from_uri}")
        if seconds:
            call.ring()
            with suppress(TimeoutError):
                await call.wait_ended(seconds)
        if not call.over:
            call.answer()

    async def hold(self) -> None:
        """Holds the conversation to its end."""
        call = self._call
        assert call is not None
        background = [asyncio.create_task(self._narrate(call))]
        expecting = asyncio.create_task(self._expect(call))
        try:
            await call.wait_answered(ANSWER_SECONDS)
            if self._wishes.tone is not None:
                background.append(asyncio.create_task(_repeat(call, self._wishes.tone)))
            await self._talk(call, expecting)
        except CallOver:
            pass  # refused or given up: the report tells
        except TimeoutError as error:
            _tell(str(error))
        except CallStateError as error:
            _tell(f"--dtmf: {error}")
        finally:
            call.hangup()
            await _end(call)
            # The end of the call ends what still waits in it.
            await asyncio.gather(*background, expecting, return_exceptions=True)

    async def _talk(self, call: PhoneCall, expecting: "asyncio.Task[None]") -> None:
        wishes = self._wishes
        jobs: list[asyncio.Future[bool] | asyncio.Task[None]] = []
        if wishes.sound is not None:
            jobs.append(call.play(wishes.sound))
        if wishes.digits:
            jobs.append(call.send_digits(wishes.digits))
        if wishes.expected is not None:
            jobs.append(expecting)
        if wishes.seconds is not None:
            with suppress(TimeoutError):
                await call.wait_ended(wishes.seconds)
        elif jobs:
            await asyncio.wait(jobs)
        else:
            await call.wait_ended()

    async def _expect(self, call: PhoneCall) -> None:
        if self._wishes.expected is None:
            return
        try:
            self._heard_at = await call.hears_tone(self._wishes.expected, within=LISTEN_SECONDS, since=0.0)
        except NotHeard as error:
            _tell(str(error))
        else:
            _tell(f"heard {self._wishes.expected:g} Hz")

    async def _narrate(self, call: PhoneCall) -> None:
        try:
            await call.wait_ringing()
            _tell("ringing")
            await call.wait_answered()
            codec = "" if call.negotiated is None else f" ({call.negotiated.codec})"
            _tell(f"answered{codec}")
        except CallOver:
            pass
        await call.wait_ended()
        _tell(f"ended by {call.ended_by}{f': {call.end_reason}' if call.end_reason else ''}")

    def verdict(self) -> int:
        """Exit code of a call that has ended."""
        call = self._call
        assert call is not None
        missed = self._wishes.expected is not None and self._heard_at is None
        return 1 if call.answered_at is None or missed or call.recording_error is not None else 0

    def report(self) -> None:
        """Prints the result to stdout."""
        call = self._call
        if call is None:
            return
        sound = call.heard()
        hz, share = dominant_tone(sound, RATE)
        expected = self._wishes.expected
        result = {
            "answered": call.answered_at is not None,
            "code": call.final_code,
            "ended_by": call.ended_by,
            "reason": call.end_reason,
            "progress": [[code, round(moment - self._begun, 3)] for code, moment in call.progress],
            "codec": None if call.negotiated is None else call.negotiated.codec,
            "heard": {
                "seconds": round(call.rtp_samples_received / RATE, 3),
                "tone": round(hz, 1),
                "share": round(share, 3),
                "digits": call.digits_received,
            },
            "expected_tone": None if expected is None else {"hz": expected, "heard": self._heard_at is not None},
            "recording": None if self._wishes.record is None or call.recording_error else str(self._wishes.record),
        }
        if self._as_json:
            print(json.dumps(result))  # noqa: T201
            return
        if call.answered_at is None:
            print(f"not answered: {call.final_code} {call.end_reason}".rstrip())  # noqa: T201
            return
        digits = f", digits {call.digits_received}" if call.digits_received else ""
        tone = f", strongest tone {hz:.0f} Hz (share {share:.2f})" if np.any(sound) else ", silence"
        seconds = call.rtp_samples_received / RATE
        print(f"answered: heard {seconds:.2f} s{tone}{digits}; ended by {call.ended_by}")  # noqa: T201


async def _end(call: PhoneCall) -> None:
    try:
        await call.wait_ended(END_SECONDS)
    except TimeoutError:
        _tell("no answer to our hang-up")


async def _repeat(call: PhoneCall, hz: int) -> None:
    """A tone without end: one second holds whole periods, and the next waits before the last is over."""
    second = sine(hz, 1.0, RATE, _TONE_DBFS)
    playing = call.play(second)
    while not call.over:
        following = call.play(second)
        if not await playing:
            return
        playing = following


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201
