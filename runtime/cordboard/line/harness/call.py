"""One call at the stand-in whose agent is a real `cartesia-line` program: turns, interruption and history.

Follows reference cartesia-protocols §3.3-§3.7. The program learns of the caller's turns from voice activity, of their
words from an ear, and of its own speech only what was heard. Digits outside a turn make one of their own (§3.7),
unless `dtmf_turns` is false. Left out: voices that the engine does not have, which are noted only.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

from cordboard.line import wire
from cordboard.line.call import Call, Connection
from cordboard.line.ears.ear import EAR_TIMEOUT, Ear, EarFault
from cordboard.line.ears.turns import END_OF_SPEECH_MS
from cordboard.line.harness import messages
from cordboard.line.harness.answers import Answers
from cordboard.line.harness.harness import Harness
from cordboard.line.harness.link import AgentLink, open_chat
from cordboard.line.harness.messages import (
    AgentFault,
    CallRejected,
    Dtmf,
    EndCall,
    Output,
    Say,
    Transfer,
)
from cordboard.line.harness.mouth import Action, Mouth
from cordboard.line.harness.notes import write_note
from cordboard.line.harness.patience import Patience
from cordboard.line.harness.program import clean
from cordboard.line.records import CallRecord, Logged
from cordboard.line.script import Agent
from cordboard.line.speaker import Speaker
from cordboard.line.speech import FORMATS, ReplyReading, Studio
from cordboard.line.steps import transfer_call
from cordboard.media.samples import Samples

DIGIT_PAUSE = 2.0
"""Seconds without a digit after which a turn of digits is over (§3.7)."""

MAX_FAULTS = 50
"""Messages against the protocol until the program is given up."""

MAX_REASON = 123
"""Bytes of a close frame's reason (RFC 6455 §5.5)."""

MAX_COMPLAINT = 100
"""Characters of a program's traceback that are told: its last line says most."""

MAX_NOTED = 65536
"""Bytes of a program's message that are kept; of a longer one, its type and length."""

log = logging.getLogger("cordboard.line")


class HarnessCall(Call):
    """Runs from the open socket to its end."""

    def __init__(
        self,
        socket: Connection,
        agent: Agent,
        studio: Studio,
        record: CallRecord,
        rng: random.Random,
        harness: Harness,
        api_base_url: str,
        service: wire.Wire | None = None,
        preset: Callable[[wire.Start], wire.Start] = lambda start: start,
        agent_token: str | None = None,
    ) -> None:
        """`api_base_url` is where a program's calls of the service's API are to go, and `agent_token` opens it."""
        super().__init__(socket, agent, studio, record, rng, service, preset)
        self._agent_token = agent_token
        self._harness = harness
        self._api = api_base_url
        self._link: AgentLink | None = None
        self._mouth: Mouth | None = None
        self._ear: Ear | None = None
        self._answers = Answers()
        self._faults = 0
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

    # The program

    async def _act(self, start: wire.Start, speaker: Speaker) -> None:
        if not self._agent.ack:
            return
        try:
            await self._converse(start, speaker)
        except* CallRejected as group:
            await self._give_up(group, "call_rejected", 1008)
        except* AgentFault as group:
            await self._give_up(group, "agent_failed", 1011)

    async def _give_up(self, group: BaseExceptionGroup[AgentFault], code: str, close_code: int) -> None:
        exc: BaseException = group
        while isinstance(exc, BaseExceptionGroup):
            exc = exc.exceptions[0]
        self._record.warn(f"agent: {exc}")
        self._record.end("error", str(exc))
        await self._end_speech()
        await self._put(self._service.error(str(exc), code, fatal=True))
        await self._socket.close(close_code, str(exc).encode("ascii", "replace").decode()[:100])

    async def _converse(self, start: wire.Start, speaker: Speaker) -> None:
        url = self._harness.host.url
        if not url:
            raise AgentFault("the agent program does not run")
        form = FORMATS[start.input_format]
        caller = self._caller(start)
        opening = await open_chat(url, caller, lambda flaw: self._record.warn(f"agent: POST /chats: {flaw}"))
        self._note_config(opening.config)
        link = await AgentLink.open(url, opening)
        self._mouth = mouth = Mouth(
            speaker,
            lambda: self._open_reading(start.input_format),
            self._do_action,
            synthesized=self._record.transcript.synthesized,
            complain=self._record.warn,
        )
        if self._harness.ears is not None:
            self._ear = self._harness.ears.open(form.rate)
        own = None if self._ear is None else self._ear.turns
        self._voice = own or self._harness.turns(form.rate, self._agent.threshold_dbfs)
        try:
            self._link = link
            if opening.wants_start:
                self._pass_on(
                    messages.start(caller, {**start.metadata, **opening.metadata}, self._api, self._agent_token)
                )
            await self._acknowledge(start)
            async with asyncio.TaskGroup() as group:
                self._group = group
                group.create_task(link.write())
                group.create_task(link.watch())
                group.create_task(mouth.run())
                async for data in link.read():
                    await self._receive_output(data)
        finally:
            self._link = self._group = None
            self._stop_digits()
            self._patience.stop()
            for hearing in self._hearing:
                hearing.cancel()
            await asyncio.gather(*self._hearing, return_exceptions=True)
            if self._ear is not None:
                await self._ear.close()
            await link.close()

    def _caller(self, start: wire.Start) -> messages.Caller:
        agent = {"id": self._agent.name, "system_prompt": start.agent.get("system_prompt")}
        return messages.Caller(
            call_id=self._record.stream_id,
            agent_call_id=self._record.call_id,
            from_=str(start.metadata.get("from", "websocket")),
            to=str(start.metadata.get("to", self._agent.name)),
            agent={**agent, "introduction": start.introduction},
            metadata=start.metadata,
        )

    async def _receive_output(self, data: str | bytes) -> None:
        self._patience.stop()
        flaws: list[str] = []
        try:
            message = messages.parse(data, flaws.append)
            output = messages.decode(message)
        except AgentFault as exc:
            self._faults += 1
            if self._faults > MAX_FAULTS:
                raise
            self._record.warn(f"agent: {exc}")
            text = str(exc)
            self._raise_event(lambda event_id: messages.validation_error(text, event_id))
            return
        for flaw in flaws:
            self._record.warn(f"agent: {str(message.get('type'))[:40]!r}: {flaw}")
        self._log("in", message if len(data) <= MAX_NOTED else {"type": "too_long", "bytes": len(data)})
        assert self._mouth is not None
        key = self._answers.key(output.responding_to)
        if isinstance(output, messages.ResponseEnd):
            self._mouth.ends_are_told = True
            self._answers.end(key)
            self._mouth.end()  # an old answer's end precedes what is said in a new one (§3.5)
        elif (
            self._answers.too_late(key) and getattr(output, "interruptible", True) and isinstance(output, Say | Action)
        ):
            self._record.say("agent: %s came too late", type(output).__name__)
        else:
            self._answers.expect(key)
            await self._obey(output, self._mouth)

    async def _obey(self, output: Output, mouth: Mouth) -> None:
        match output:
            case Say():
                mouth.say(output.content, interruptible=output.interruptible)
            case Dtmf() | EndCall() | Transfer():
                mouth.do(output)
            case messages.Custom():
                await self._send({"event": "custom", "metadata": output.metadata})
            case messages.Config():
                self._note_config(output.changes)
            case messages.Note():
                write_note(self._record.transcript, output)
                name = output.fields.get("name") or output.fields.get("event")
                self._record.say("agent: %s %.80r", output.kind, name)
            case messages.Failed():
                *_, last = output.content.strip().split("\n")
                raise AgentFault(f"the program failed: {clean(last)[:MAX_COMPLAINT]}")
            case messages.Unknown():
                self._record.warn(f"agent: message {output.kind!r} is unknown")

    async def _do_action(self, action: Action) -> None:
        match action:
            case Dtmf():
                await self._send({"event": "dtmf", "dtmf": action.button})
            case Transfer():
                await self._send(transfer_call(action.destination))
            case EndCall():
                own = action.reason not in ("", "agent_ended")
                reason = f"call ended by agent, reason: {action.reason}" if own else "call ended by agent"
                self._record.end("agent_hangup", action.reason if own else "")
                await self._socket.close(1000, reason.encode()[:MAX_REASON].decode("utf-8", "ignore"))

    def _note_config(self, changes: Mapping[str, Any]) -> None:
        if changes:
            self._record.agent_config.update(changes)
            names = ", ".join(sorted(changes))[:200]
            if self._studio.voice.paid:
                self._record.say("agent: %s noted", names)
            else:
                self._record.warn(f"agent: {names} noted; local speech has one voice")

    def _open_reading(self, format_name: str) -> ReplyReading:
        config = self._record.agent_config
        voice, language = (str(config.get(key) or "") for key in ("tts.voice_id", "tts.language"))
        return self._studio.open(format_name, voice=voice, language=language)

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
