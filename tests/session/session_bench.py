"""A bench for the control engine: real SIP user agents as phones, a scripted plane, scripted functions, one fake clock.

Nothing sleeps: `run(until)` steps to the next timer of anybody. Datagrams and link lines arrive at once.
"""

import itertools
import random
import tempfile
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cordboard.config.load import load
from cordboard.contract.call_record import CallEnded, TimelineEntry
from cordboard.contract.commands import fingerprint
from cordboard.contract.patience import Fallback, Patience
from cordboard.contract.records import Description, EventRoute
from cordboard.contract.release import Release
from cordboard.session import effects as out
from cordboard.session.engine import ControlEngine
from cordboard.sip.uri import Address

from .session_peers import CALLER, EDGE, NUMBER, TRUNK, FakePlane, Phone

Answer = Mapping[str, Any]
Handler = Callable[["Round"], Answer | None]

__all__ = ["CALLER", "EDGE", "NUMBER", "TRUNK", "Bench", "FakePlane", "Phone"]

API_KEY = "sk-never-written"
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)

CONFIG = """
[edge]
planes = 1
[sip]
udp = "192.0.2.10:5060"
rtp = {bind = "192.0.2.10"}
accept = "trunks"
[http.public]
url = "https://voice.example"
[[trunks]]
name = "main"
uri = "sip:192.0.2.50:5060"
identify = ["192.0.2.0/24"]
[[routes]]
to = "+1800*"
scenario = "desk"
[[outbound]]
to = "+1*"
trunk = "main"
[dial]
allow = ["+1*", "sip:*"]
deny = ["+1900*"]
[agents.cartesia]
base_url = "wss://agents.example"
access_token = false
"""


class Round:
    """One invocation, with what it takes to answer it."""

    def __init__(self, invoke: out.Invoke) -> None:
        self.invoke = invoke
        self.payload = invoke.payload
        self.event: Mapping[str, Any] = invoke.payload["event"]
        self.type: str = self.event["type"]
        self.target: str | None = self.event.get("target")
        self.data: Mapping[str, Any] = self.event["data"]
        self.round: int = invoke.payload["round"]
        self.attempt: int = invoke.payload["attempt"]
        self.journal: list[Mapping[str, Any]] = list(invoke.payload["journal"])
        self.commands: list[dict[str, Any]] = []

    def command(self, type_: str, target: str | None = None, /, **args: Any) -> str:
        """Emit a command; its id."""
        step = f"{self.event['seq']}.{len(self.journal) + len(self.commands)}"
        made: dict[str, Any] = {"id": step, "type": type_, "hash": fingerprint(type_, target, args), "args": args}
        if target is not None:
            made["target"] = target
        self.commands.append(made)
        return step

    def _answer(self, status: str, **more: Any) -> dict[str, Any]:
        found = {"event_id": self.event["id"], "round": self.round, "attempt": self.attempt, "status": status}
        return {**found, "commands": self.commands, "schema": "cordboard.answer/1", **more}

    def done(self, **more: Any) -> dict[str, Any]:
        return self._answer("done", **more)

    def wait(self, *ids: str, **more: Any) -> dict[str, Any]:
        return self._answer("suspended", waiting=list(ids), **more)

    def fail(self, type_: str = "KeyError", message: str = "nothing there", **more: Any) -> dict[str, Any]:
        return self._answer("failed", error={"type": type_, "message": message}, **more)

    def outcome(self, index: int = -1) -> Mapping[str, Any]:
        """A journal entry."""
        return self.journal[index]


@dataclass
class Kept:
    """Effects by kind."""

    timeline: list[TimelineEntry] = field(default_factory=list)
    ended: list[CallEnded] = field(default_factory=list)
    logs: list[out.Log] = field(default_factory=list)
    replies: dict[str, out.ReplyHttp] = field(default_factory=dict)
    dialogs: dict[str, Any] = field(default_factory=dict)


class Bench:
    """The engine and everything around it."""

    def __init__(
        self, *changes: str, start: bool = True, request_key: bytes | None = None, **handlers: Handler | None
    ) -> None:
        """`changes` are lines put into the configuration as `old → new`; handlers are named `call_alerting`, or
        `call_connected__consult` for a target. None listens and answers done."""
        self.now = 100.0
        self.effects: list[out.Effect] = []
        self.kept = Kept()
        self.wire: deque[tuple[bytes, Address, Address]] = deque()
        self.lines: deque[tuple[int, bytes]] = deque()
        self.phones: dict[Address, Phone] = {}
        self.planes: dict[int, FakePlane] = {}
        self.rounds: list[Round] = []
        self.held: list[Round] = []
        self.hold: set[str] = set()
        """Event types whose invocations are answered by the test."""
        self.handlers = {_wire(name): handler for name, handler in handlers.items()}
        self.log_only: tuple[str, ...] = ()
        self.on_error: dict[str, Any] = {}
        self.scenario_on_error: Any = None
        self.patience: Patience | None = None
        self.fallback: Fallback | None = None
        self.config = _config(*changes)
        self._numbers = itertools.count(1)
        self.life = 0
        self._request_key = request_key
        self.engine = self.new_engine()
        self.caller = self.phone(CALLER)
        self.callee = self.phone(TRUNK)
        if start:
            self.plane = self.connect(0)

    def new_engine(self) -> ControlEngine:
        self.life += 1
        return ControlEngine(
            config=self.config,
            release=self.release(),
            resolve_secret=self._secret,
            rng=random.Random(self.life),
            now=self.now,
            started_at=BEGAN,
            life=f"life-{self.life}",
            control_keys=[b"k" * 32],
            request_key=self._request_key,
            public_url="https://voice.example",
        )

    def release(self) -> Release:
        events = tuple(EventRoute(type_, target, on_error=self.on_error.get(type_)) for type_, target in self.handlers)
        app = Description(
            "desk",
            events,
            self.log_only,
            on_error=self.scenario_on_error,
            patience=self.patience,
            fallback=self.fallback,
        )
        return Release("r1", {"app": app})

    def retake(self) -> None:
        """New sessions take what `handlers`, `log_only` and `on_error` say now."""
        self.engine.set_release(self.release())

    @staticmethod
    def _secret(name: str) -> tuple[str, str]:
        return {"KEY": (API_KEY, "1")}[name]

    def phone(self, address: Address) -> Phone:
        self.phones[address] = Phone(self, address, len(self.phones) + 1)
        return self.phones[address]

    def connect(self, index: int) -> FakePlane:
        self.planes[index] = FakePlane(self, index)
        self.engine.plane_connected(index, self.now)
        self.pump()
        return self.planes[index]

    # --- stepping

    def pump(self) -> None:
        """Carry everything that is on its way."""
        moved = True
        while moved:
            moved = False
            while (effect := self.engine.next_effect()) is not None:
                moved = True
                self._perform(effect)
            for phone in self.phones.values():
                while (event := phone.agent.next_event()) is not None:
                    phone.take(event)
                for data, address in phone.agent.data_to_send(self.now):
                    moved = True
                    if not phone.dead and (phone.acknowledges or not data.startswith(b"ACK ")):
                        self.wire.append((data, phone.address, address))
                while (event := phone.agent.next_event()) is not None:
                    moved = True
                    phone.take(event)
            if self.wire:
                moved = True
                data, source, address = self.wire.popleft()
                if address == EDGE:
                    self.engine.receive_datagram(data, source, self.now)
                elif address in self.phones and not self.phones[address].dead:
                    self.phones[address].agent.receive_datagram(data, source, self.now)
            elif self.lines:
                moved = True
                index, line = self.lines.popleft()
                self.engine.receive_link(index, line, self.now)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + seconds
        while True:
            due = [self.engine.next_timer(), *(phone.agent.next_timer() for phone in self.phones.values())]
            moment = min((each for each in due if each is not None), default=until)
            if moment > until:
                self.now = until
                self.pump()
                return
            self.now = max(self.now, moment)
            self.engine.on_timer(self.now)
            for phone in self.phones.values():
                phone.agent.on_timer(self.now)
            self.pump()

    def _perform(self, effect: out.Effect) -> None:
        self.effects.append(effect)
        match effect:
            case out.SendSip():
                self.wire.append((effect.data, EDGE, effect.address))
            case out.SendPlane():
                if effect.plane in self.planes:
                    self.planes[effect.plane].take(effect.line)
            case out.Invoke():
                made = Round(effect)
                self.rounds.append(made)
                if made.type in self.hold:
                    self.held.append(made)
                else:
                    self.give(made)
            case out.ReplyHttp():
                assert effect.request not in self.kept.replies, "replied twice"
                self.kept.replies[effect.request] = effect
            case out.WriteTimeline():
                self.kept.timeline.append(effect.entry)
            case out.SessionEnded():
                self.kept.ended.append(effect.record)
            case out.KeepDialog():
                self.kept.dialogs[effect.key] = effect.record
            case out.DropDialog():
                del self.kept.dialogs[effect.key]
            case out.Log():
                self.kept.logs.append(effect)
            case _:
                pass

    def give(self, made: Round) -> None:
        """Let the script answer a round."""
        handler = self.handlers.get((made.type, made.target), self.handlers.get((made.type, None)))
        found = handler(made) if handler is not None else None
        self.engine.turn_answered(made.invoke.token, found if found is not None else made.done(), self.now)

    def answer(self, made: Round, with_: Answer) -> None:
        self.engine.turn_answered(made.invoke.token, with_, self.now)
        self.pump()

    def lose(self, made: Round, kind: str) -> None:
        self.engine.turn_failed(made.invoke.token, kind, "as scripted", self.now)
        self.pump()

    # --- asking

    @property
    def sid(self) -> str:
        return [effect.session for effect in self.effects if isinstance(effect, out.SessionBegan)][-1]

    @property
    def control_path(self) -> str:
        url: str = self.rounds[-1].payload["session"]["control_url"]
        return url.partition("/control/")[2]

    def http(self, path: str, method: str = "POST", body: bytes = b"{}", kind: str = "application/json") -> str:
        request = f"q{next(self._numbers)}"
        headers = {"content-type": kind} if kind else {}
        self.engine.receive_http(request, method, path, headers, body, self.now)
        self.pump()
        return request

    def status(self, request: str) -> int | None:
        reply = self.kept.replies.get(request)
        return reply.status if reply is not None else None

    def of(self, type_: str) -> list[Round]:
        return [made for made in self.rounds if made.type == type_]

    def told(self, kind: str) -> list[str]:
        """Texts of the timeline's entries of a kind."""
        return [entry.what for entry in self.kept.timeline if entry.kind == kind]

    def noted(self, text: str) -> list[TimelineEntry]:
        return [entry for entry in self.kept.timeline if text in entry.what]

    @property
    def record(self) -> CallEnded:
        assert len(self.kept.ended) == 1, [each.cause for each in self.kept.ended]
        return self.kept.ended[0]


def _wire(name: str) -> tuple[str, str | None]:
    type_, _, target = name.partition("__")
    return type_.replace("_", ".", 1), target or None


def _config(*changes: str) -> Any:
    text = CONFIG
    for change in changes:
        old, arrow, new = change.partition(" → ")
        if arrow:
            assert old in text, old
            text = text.replace(old, new)
        else:
            text += change + "\n"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cordboard.toml"
        path.write_text(text)
        return load(path, {}, {})


def answered(made: Round) -> Answer:
    """A handler that answers the call."""
    made.command("call.answer", "caller")
    return made.done()


def with_agent(made: Round) -> Answer:
    """A handler that answers, opens an agent, bridges and starts it."""
    if made.round == 0:
        made.command("call.answer", "caller")
        return made.wait(
            made.command("agent.create", "agent", api_key={"secret": "KEY"}, agent_id="a1", version="2025-04-16")
        )
    if made.round == 1:
        made.command("media.bridge", "caller+agent", a="caller", b="agent")
        return made.wait(made.command("agent.start", "agent"))
    return made.done()
