"""The caller's side of a program's call: their turns by voice and by digits, and what the program is told of them.

Follows reference cartesia-protocols §3.3 and §3.7. The program learns of the caller's turns from voice activity, of
their words from an ear, and of its own speech only what was heard. Digits outside a turn make one of their own (§3.7),
unless `dtmf_turns` is false. Leaves out what the program does: `call`.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from typing import Literal

from cordboard.line import wire
from cordboard.line.call import Call, Connection
from cordboard.line.ears.ear import EAR_TIMEOUT, Ear, EarFault
from cordboard.line.ears.turns import END_OF_SPEECH_MS
from cordboard.line.harness import messages
from cordboard.line.harness.answers import Answers
from cordboard.line.harness.harness import Harness
from cordboard.line.harness.link import AgentLink
from cordboard.line.harness.mouth import Mouth
from cordboard.line.harness.patience import Patience
from cordboard.line.records import CallRecord, Logged
from cordboard.line.script import Agent
from cordboard.line.speech import Studio
from cordboard.media.samples import Samples

DIGIT_PAUSE = 2.0
"""Seconds without a digit after which a turn of digits is over (§3.7)."""

log = logging.getLogger("cordboard.line")


class CallerSide(Call):
    """A call whose caller is heard for a program; what the program does is its subclass's."""

    def __init__(
        self,
        socket: Connection,
        agent: Agent,
        studio: Studio,
        record: CallRecord,
        rng: random.Random,
        harness: Harness,
        service: wire.Wire | None = None,
        preset: Callable[[wire.Start], wire.Start] = lambda start: start,
    ) -> None:
        super().__init__(socket, agent, studio, record, rng, service, preset)
        self._harness = harness
        self._link: AgentLink | None = None
        self._mouth: Mouth | None = None
        self._ear: Ear | None = None
        self._answers = Answers()
        self._user_speaks = False
        self._digits: asyncio.TimerHandle | None = None
        self._patience = Patience(record.warn)
        self._group: asyncio.TaskGroup | None = None
        self._texts: list[str] = []
        self._hearing: set[asyncio.Future[str]] = set()

    # The client

    def _receive_custom(self, metadata: wire.Message) -> None:
        if self._link is None:
            self._record.warn("custom before the ack is ignored")
        self._raise_event(lambda event_id: messages.custom(metadata, event_id))

    async def _receive_digit(self, digit: str) -> None:
        if self._link is None:
            self._record.warn("a digit before the ack is ignored")
            return
        wrap = self._harness.dtmf_turns and not self._voice_speaks()
        if wrap and not self._user_speaks:
            await self._begin_user_turn()
        self._raise_event(lambda event_id: messages.dtmf(digit, event_id))
        if wrap:
            self._stop_digits()
            if digit == "#":
                self._end_user_turn()
            else:
                self._digits = asyncio.get_running_loop().call_later(DIGIT_PAUSE, self._end_user_turn)

    def _voice_speaks(self) -> bool:
        """Whether a turn of speech is open: the caller speaks, or what they said is not understood yet."""
        return bool(self._hearing) or (self._voice is not None and self._voice.speaking)

    def _stop_digits(self) -> None:
        if self._digits is not None:
            self._digits.cancel()
            self._digits = None

    def _hear(self, samples: Samples) -> None:
        if self._ear is not None:
            self._ear.receive_audio(samples)

    async def _voice_started(self) -> None:
        assert self._speaker is not None
        self._stop_digits()
        if not self._user_speaks:
            await self._begin_user_turn()
        if not self._user_turn:
            self._user_turn = self._speaker.next_turn_id()
            if self._agent.turn_events:
                await self._send(wire.turn_started(self._user_turn, "user"))
        if self._ear is not None:
            self._ear.start()

    async def _voice_stopped(self) -> None:
        """The caller fell silent. While the ear thinks the call goes on, and so does the turn if they speak again."""
        waited = END_OF_SPEECH_MS / 1000 if self._ear is None or self._ear.turns is None else 0.0  # else not known
        self._record.transcript.user_silent(waited)
        if self._ear is None:
            self._record.warn("there is no ear: the caller's turns carry no text")
        if self._ear is None or self._group is None:
            await self._speech_understood("")
            return
        hearing = asyncio.ensure_future(self._ear.finish())
        self._hearing.add(hearing)
        self._group.create_task(self._understand(hearing))

    async def _understand(self, hearing: asyncio.Future[str]) -> None:
        text, began = "", time.monotonic()
        try:
            async with asyncio.timeout(EAR_TIMEOUT):
                text = await hearing
        except TimeoutError:
            self._record.warn(f"the ear took longer than {EAR_TIMEOUT:g} s")
        except EarFault as exc:
            self._record.warn(f"ear: {exc}")
        except Exception as exc:
            self._record.warn(f"the ear failed: {type(exc).__name__}")
            log.exception("call %s: the ear failed", self._record.number)
        finally:
            self._hearing.discard(hearing)
        self._record.transcript.user_text(text, time.monotonic() - began)
        await self._speech_understood(text)

    async def _speech_understood(self, text: str) -> None:
        if text:
            self._record.say("the caller says %r", text[:80])
            self._texts.append(text)
            self._raise_event(lambda event_id: messages.transcript(text, event_id))
        if self._voice_speaks():
            return
        turn, self._user_turn = self._user_turn, ""
        whole = " ".join(self._texts)
        self._texts.clear()
        if self._agent.turn_events:
            await self._send(wire.turn_ended(turn, "user", whole, interrupted=False))
        self._end_user_turn()

    async def _begin_user_turn(self) -> None:
        assert self._speaker is not None
        interrupted = False
        if self._agent.barge_in:
            interrupted = await self._speaker.interrupt()  # words heard were told when their sound began
            if self._mouth is not None:
                self._mouth.cut()
        if interrupted:
            self._record.say("the caller interrupts")
        self._patience.stop()
        self._user_speaks = True
        self._record.transcript.user_started()
        self._answers.cut()
        self._raise_event(lambda event_id: messages.user_state("speaking", event_id))
        if interrupted:
            self._raise_event(lambda event_id: messages.agent_state("idle", event_id))

    def _end_user_turn(self) -> None:
        self._digits = None
        if not self._user_speaks:
            return
        self._user_speaks = False
        if self._mouth is not None and not self._mouth.ends_are_told:
            self._answers.hear_opening()
        self._record.transcript.user_ended()
        self._answers.expect(self._raise_event(lambda event_id: messages.user_state("idle", event_id)))
        self._patience.asked()

    async def _stop_hearing(self) -> None:
        """The call is over."""
        self._group = None
        self._stop_digits()
        self._patience.stop()
        for hearing in self._hearing:
            hearing.cancel()
        await asyncio.gather(*self._hearing, return_exceptions=True)
        if self._ear is not None:
            await self._ear.close()

    # Speech, as it is heard

    async def speech_started(self) -> None:
        """See `Listener`."""
        await super().speech_started()
        self._raise_event(lambda event_id: messages.agent_state("speaking", event_id))

    async def word_spoken(self, word: str, ahead: float = 0.0) -> None:
        """See `Listener`."""
        await super().word_spoken(word, ahead)
        self._raise_event(lambda event_id: messages.agent_speech(word, event_id))

    async def speech_ended(self, *, interrupted: bool, ahead: float = 0.0) -> None:
        """See `Listener`. After an interruption the caller's turn has to come first (§3.7)."""
        await super().speech_ended(interrupted=interrupted, ahead=ahead)
        if not interrupted:
            self._raise_event(lambda event_id: messages.agent_state("idle", event_id))

    # Sending

    def _raise_event(self, make: Callable[[str], messages.Message]) -> str:
        """Send an event with an id of its own, which is returned."""
        event_id = self._answers.next_id()
        self._pass_on(make(event_id))
        return event_id

    def _pass_on(self, message: messages.Message) -> None:
        if self._link is not None:
            self._log("out", message)
            self._link.send(message)

    def _log(self, direction: Literal["in", "out"], message: messages.Message) -> None:
        self._record.agent_messages.append(Logged(time.monotonic(), direction, message))
