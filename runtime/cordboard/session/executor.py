"""Executes commands: each id once, started in order, results settled when known (DESIGN §4)."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cordboard.contract import commands, link
from cordboard.contract.codec import DecodeError, decode
from cordboard.contract.events import Timer

from .objects import Leg
from .player import Player
from .playing import Playing
from .steps import LIMIT, LIMITS, Step

if TYPE_CHECKING:
    from .session import Session

MAX_TIMERS = 100
"""Timers of one session (VoxEngine's limit)."""

IDEMPOTENT = frozenset({"call.hangup", "agent.close", "timer.clear", "media.stop", "media.unbridge", "player.stop",
                        "record.stop", "session.terminate"})  # fmt: skip
"""Commands that are done, and never fail, when there is nothing left to do (HANDLERS §1.2, row 9)."""


class Executor:
    """Turns steps into what legs, agents and planes do."""

    def __init__(self, session: "Session") -> None:
        self._session = session
        playing = Playing(session)
        self._table: dict[str, Callable[[Step, Any, float], None]] = {
            "call.ring": lambda s, a, now: session.legs.inbound.respond(s, a, 180, now),
            "call.early_media": lambda s, a, now: session.legs.inbound.respond(s, a, 183, now),
            "call.answer": lambda s, a, now: session.legs.inbound.answer(s, a, now),
            "call.reject": lambda s, a, now: session.legs.inbound.reject(s, a, now),
            "call.hangup": lambda s, a, now: session.legs.hang_up(s, a, now),
            "call.dial": lambda s, a, now: session.legs.dialling.dial(s, a, now),
            "call.send_digits": self._send_digits,
            "call.handle_tones": self._handle_tones,
            "call.gather": lambda s, a, now: session.gathering.start(s, a, now),
            "call.record": lambda s, a, now: session.recordings.record(s, a, now),
            "record.pause": lambda s, a, now: session.recordings.pause(s, a, now),
            "record.resume": lambda s, a, now: session.recordings.resume(s, a, now),
            "record.stop": lambda s, a, now: session.recordings.stop(s, a, now),
            "media.send": lambda s, a, now: self._route(s, a.source, a.sink, False, now),
            "media.bridge": lambda s, a, now: self._route(s, a.a, a.b, True, now),
            "media.stop": lambda s, a, now: self._unroute(s, a.source, a.sink, False, now),
            "media.unbridge": lambda s, a, now: self._unroute(s, a.a, a.b, True, now),
            "agent.create": lambda s, a, now: session.agents.create(s, a, now),
            "agent.start": lambda s, a, now: session.agents.start(s, a, now),
            "agent.custom": lambda s, a, now: session.agents.custom(s, a, now),
            "agent.tool_result": lambda s, a, now: session.agents.tool_result(s, a, now),
            "agent.dtmf": lambda s, a, now: session.agents.digits(s, a, now),
            "agent.clear": lambda s, a, now: session.agents.clear(s, now),
            "agent.close": lambda s, a, now: session.agents.close(s, now),
            "call.say": lambda s, a, now: playing.play(s, a, now),
            "call.play": lambda s, a, now: playing.play(s, a, now),
            "player.create": lambda s, a, now: playing.create(s, a, now),
            "player.create_realtime": lambda s, a, now: session.speaking.create(s, a, now),
            "player.generate": lambda s, a, now: session.speaking.generate(s, a, now),
            "player.cancel_context": lambda s, a, now: session.speaking.cancel(s, a, now),
            "player.clear": lambda s, a, now: session.speaking.clear(s, a, now),
            "player.stop": lambda s, a, now: playing.stop(s, a, now),
            "player.pause": lambda s, a, now: playing.pause(s, True, now),
            "player.resume": lambda s, a, now: playing.pause(s, False, now),
            "player.add_marker": lambda s, a, now: playing.add_marker(s, a, now),
            "control_url.mint": lambda s, a, now: session.capabilities.mint(s, a, now),
            "timer.set": self._timer_set,
            "timer.clear": self._timer_clear,
            "session.terminate": lambda s, a, now: session.ending.terminate(s, now),
        }
        self._pending: dict[str, Step] = {}

    def start_all(self, steps: list[Step], now: float) -> None:
        """A round's commands, in order; one that fails at once fails the round's later ones on the same object,
        since the handler could not know."""
        broken: dict[str, str] = {}
        for step in steps:
            target = step.command.target or ""
            if target in broken and step.command.type not in IDEMPOTENT:
                step.fail("earlier_failed", f"{broken[target]} on {target!r} failed before it")
                continue
            self.start(step, now)
            if step.status == "failed" and target:
                broken[target] = step.command.type

    def start(self, step: Step, now: float) -> None:
        """Begin one command; whatever is wrong with it fails it by name."""
        session, command = self._session, step.command
        given = dict(command.args)
        if isinstance(given.get("api_key"), str):
            session.redactor.add(given["api_key"])  # a key that is no reference must not be written either
        shown = session.speaking.shown(command, given)
        session.note("command", command.type, {"id": command.id, "target": command.target, "args": shown}, now)
        if session.ending.begun and command.type not in IDEMPOTENT:
            step.fail("call_ended", "the session has ended")
            return
        kind = commands.COMMANDS.get(command.type)
        act = self._table.get(command.type)
        if kind is None or act is None:
            step.fail("not_supported", f"{command.type} is not built yet")
            return
        try:
            args: Any = decode(kind, command.args)
        except DecodeError as error:
            step.fail("invalid", f"{command.type}: {error}")
            return
        step.limit = session.services.timers.set(
            now + LIMITS.get(command.type, LIMIT), lambda at: self._timed_out(step, at)
        )
        self._pending[step.id] = step
        act(step, args, now)
        self._forget_settled()

    def fail_pending(self, code: str, message: str) -> None:
        """The last live leg ended: nobody waits for anything any more."""
        for step in list(self._pending.values()):
            if step.command.type not in IDEMPOTENT:
                step.fail(code, message)
        self._forget_settled()

    @property
    def pending(self) -> list[Step]:
        """Steps without a result."""
        self._forget_settled()
        return list(self._pending.values())

    def _forget_settled(self) -> None:
        for step in [step for step in self._pending.values() if step.status != "pending"]:
            del self._pending[step.id]

    def _timed_out(self, step: Step, now: float) -> None:
        if step.command.type in IDEMPOTENT:
            step.done()
        else:
            limit = LIMITS.get(step.command.type, LIMIT)
            step.fail("timeout", f"{step.command.type} took longer than {limit:g} s")
        self._forget_settled()

    # --- media

    def _unit(self, name: str) -> str | None:
        leg = self._session.legs.get(name)
        if leg is not None:
            return leg.unit
        agent = self._session.agents.get(name)
        return agent.unit if agent is not None else None

    def _player_in(self, step: Step, a: str, b: str, both: bool) -> tuple[Player, Leg] | None:
        """The player and the leg of a pair; the step fails for a player without one."""
        session = self._session
        for source, sink in ((a, b), (b, a)) if both else ((a, b),):
            player = session.players.get(source)
            if player is None:
                continue
            leg = session.legs.get(sink)
            if leg is not None:
                return player, leg
            if step.command.type not in IDEMPOTENT:
                step.fail("refused", f"player {source!r} cannot be heard by {sink!r}: only live calls hear players")
            return None
        if session.players.get(b) is not None and step.command.type not in IDEMPOTENT:
            step.fail("refused", f"player {b!r} hears nobody")
        return None

    def _route(self, step: Step, a: str, b: str, both: bool, now: float) -> None:
        found = self._player_in(step, a, b, both)
        if found is not None:
            self._session.players.route(*found, now)
            step.done()
        if step.status != "pending":
            return
        units = self._unit(a), self._unit(b)
        for name, unit in zip((a, b), units, strict=True):
            if unit is None:
                step.fail("object_ended", f"{name!r} is not live")
                return
        first, second = units
        assert first is not None
        assert second is not None
        self._session.legs.cords.route(first, second, now)
        if both:
            self._session.legs.cords.route(second, first, now)
        step.done()

    def _unroute(self, step: Step, a: str, b: str, both: bool, now: float) -> None:
        first, second = self._unit(a), self._unit(b)
        found = self._player_in(step, a, b, both)
        if found is not None:
            self._session.players.unroute(*found, now)
        elif first is not None and second is not None:
            self._session.legs.cords.unroute(first, second, now)
            if both:
                self._session.legs.cords.unroute(second, first, now)
        step.done()

    def _send_digits(self, step: Step, args: commands.Digits, now: float) -> None:
        leg = self._answered(step)
        if leg is not None:

            def sent(done: link.Done, at: float) -> None:
                if done.ok:
                    step.done()
                else:
                    step.fail(done.code, done.message)

            self._session.send_plane(link.LegDigits(leg.unit, args.digits, self._session.confirm(sent)))

    def _handle_tones(self, step: Step, args: commands.CallHandleTones, now: float) -> None:
        leg = self._session.legs.get(step.command.target or "")
        if leg is None:
            step.fail("object_ended", f"call {step.command.target!r} is over")
            return
        leg.tones = args.on
        step.done()

    # --- timers

    def _timer_set(self, step: Step, args: commands.TimerSet, now: float) -> None:
        session = self._session
        name = step.command.target or ""
        if name not in session.user_timers and len(session.user_timers) >= MAX_TIMERS:
            step.fail("refused", f"a session may have {MAX_TIMERS} timers")
            return
        self._stop_timer(name)

        def ran_out(at: float) -> None:
            session.user_timers.pop(name, None)
            session.note("timer", name, {}, at)
            session.post("timer", Timer(name), at, target=name)
            session.ending.idle(at)

        session.user_timers[name] = session.services.timers.set(now + args.seconds, ran_out)
        step.done()

    def forget_timers(self) -> None:
        """The handler's timers do not run out any more."""
        for name in list(self._session.user_timers):
            self._stop_timer(name)

    def _timer_clear(self, step: Step, args: commands.TimerClear, now: float) -> None:
        self._stop_timer(step.command.target or "")
        step.done()

    def _stop_timer(self, name: str) -> None:
        timer = self._session.user_timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    def _answered(self, step: Step) -> Leg | None:
        leg = self._session.legs.get(step.command.target or "")
        if leg is None or not leg.answered:
            step.fail("object_ended", f"call {step.command.target!r} is not connected")
            return None
        return leg
