"""One call at the stand-in whose agent is a real `cartesia-line` program: its opening, what it says and does, its end.

Follows reference cartesia-protocols §3.4-§3.7. Left out: the caller's turns, which are `caller_side`; voices that the
engine does not have, which are noted only.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Any

from cordboard.line import wire
from cordboard.line.call import Connection
from cordboard.line.harness import messages
from cordboard.line.harness.api_address import ApiAddress
from cordboard.line.harness.caller_side import CallerSide
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
from cordboard.line.harness.notes import Notes
from cordboard.line.harness.program import clean
from cordboard.line.records import CallRecord
from cordboard.line.script import Agent
from cordboard.line.speaker import Speaker
from cordboard.line.speech import FORMATS, ReplyReading, Studio
from cordboard.line.steps import transfer_call

MAX_FAULTS = 50
"""Messages against the protocol until the program is given up."""

OF_VOICE = frozenset({"tts.voice_id", "tts.language", "tts.pronunciation_dict_id"})
"""Settings of a program that the voice follows, if it can (§3.4)."""

SETTINGS = OF_VOICE | {"stt.language", "language"}
"""All that are known; `language` stands for both where they are not given."""

MAX_REASON = 123
"""Bytes of a close frame's reason (RFC 6455 §5.5)."""

MAX_COMPLAINT = 100
"""Characters of a program's traceback that are told: its last line says most."""

MAX_NOTED = 8192
"""Bytes of a program's message that are kept beside the transcript; of a longer one, its type and length."""


class HarnessCall(CallerSide):
    """Runs from the open socket to its end."""

    def __init__(
        self,
        socket: Connection,
        agent: Agent,
        studio: Studio,
        record: CallRecord,
        rng: random.Random,
        harness: Harness,
        api: ApiAddress,
        service: wire.Wire | None = None,
        preset: Callable[[wire.Start], wire.Start] = lambda start: start,
        agent_token: str | None = None,
    ) -> None:
        """`api` is where a program's calls of the service's API are to go, and `agent_token` opens it."""
        super().__init__(socket, agent, studio, record, rng, harness, service, preset)
        self._agent_token = agent_token
        self._api = api
        self._faults = 0
        self._notes = Notes(record.transcript, record.warn)

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
        link = await AgentLink.open(url, opening)
        self._mouth = mouth = Mouth(
            speaker,
            lambda: self._open_reading(start.input_format),
            self._do_action,
            synthesized=self._record.transcript.synthesized,
            complain=self._record.warn,
        )
        if self._harness.ears is not None:
            language = opening.config.get("stt.language") or opening.config.get("language") or ""
            self._ear = self._harness.ears.open(form.rate, str(language))
        own = None if self._ear is None else self._ear.turns
        self._voice = own or self._harness.turns(form.rate, self._agent.threshold_dbfs)
        try:
            self._note_config(opening.config)
            self._link = link
            if opening.wants_start:
                metadata, api = {**start.metadata, **opening.metadata}, self._api.url(link.local_host)
                self._pass_on(messages.start(caller, metadata, api, self._agent_token))
                if not self._api.is_reachable(link.local_host):
                    listening = ", ".join(self._api.hosts)
                    self._record.warn(
                        f"agent: its program cannot reach the API at {listening}: give --host or --public-url"
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
            self._link = None
            await self._stop_hearing()
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
            await self._obey(output, self._mouth, len(data))

    async def _obey(self, output: Output, mouth: Mouth, size: int) -> None:
        """Do what a message of `size` bytes says."""
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
                self._notes.write(output, size)
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
        """Follow a configuration from the next text and the next utterance on; what cannot be followed is told."""
        config = self._record.agent_config
        config.update(changes)
        if len(config) > messages.MAX_SETTINGS:
            raise AgentFault(f"config: more than {messages.MAX_SETTINGS} settings")
        language = str(config.get("stt.language") or config.get("language") or "")
        idle = {
            "it is not known here": set(changes) - SETTINGS,
            "local speech has one voice": set() if self._studio.voice.paid else set(changes) & OF_VOICE,
            "this ear has one language": {"stt.language"} & set(changes),
        }
        if self._ear is not None and language and self._ear.use_language(language):
            del idle["this ear has one language"]
        for reason, names in idle.items():
            if names:
                self._record.warn(f"agent: {', '.join(sorted(names))[:200]} noted; {reason}")
        if followed := set(changes).difference(*idle.values()):
            self._record.say("agent: %s noted", ", ".join(sorted(followed)))

    def _open_reading(self, format_name: str) -> ReplyReading:
        config = self._record.agent_config
        return self._studio.open(
            format_name,
            voice=str(config.get("tts.voice_id") or ""),
            language=str(config.get("tts.language") or config.get("language") or ""),
            pronunciation=str(config.get("tts.pronunciation_dict_id") or ""),
        )
