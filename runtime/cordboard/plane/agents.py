"""The agents of a plane: link messages, their sockets' bytes, and what they said until it is heard out."""

from collections.abc import Callable
from typing import Any

from cordboard.agents.state import NotSupported, WrongState
from cordboard.contract import link

from . import effects
from .agent import Agent
from .agent_events import AgentEvents
from .board import Board


class Agents:
    """Opens, feeds, clears and closes agents."""

    def __init__(self, board: Board, connect_timeout: float) -> None:
        self._board = board
        self._connect_timeout = connect_timeout
        self._events = AgentEvents(board, self)
        self._talking: list[Agent] = []
        """Agents whose socket is closed and whose last words are still queued."""
        self.handlers: dict[type, Callable[[Any, float], None]] = {
            link.AgentOpen: self._open,
            link.AgentBegin: self._begin,
            link.AgentSend: self._send,
            link.AgentToolResult: self._tool_result,
            link.AgentDigits: self._digits,
            link.AgentClear: self._clear,
            link.AgentClose: self._close,
        }

    # --- the network's side

    def with_agent(self, unit: str, now: float, act: Callable[[Agent], None]) -> None:
        """Do something with an agent whose socket is not closed yet, and handle what follows."""
        agent = self._board.agents.get(unit)
        if agent is not None:
            act(agent)
            self._events.pump(agent, now)

    # --- for the other parts

    def hear(self, agent: Agent, frames: list[bytes], now: float) -> None:
        """Frames of the leg that feeds it."""
        for frame in frames:
            agent.hear(frame, now)
        self._events.flush(agent, now)

    def digit(self, agent: Agent, digit: str, method: str, now: float) -> None:
        """A digit of the leg that feeds it."""
        try:
            agent.line.dtmf(digit, now)
        except WrongState:
            note = "digit came while the agent's stream was not open"
            self._board.note(agent.session, "media", note, {"method": method}, now)
        self._events.flush(agent, now)

    def clear(self, agent: Agent, before: float | None, now: float, why: str) -> None:
        """Drop what an agent said and nobody has heard (up to `before`); tell the timeline."""
        cord = agent.cord
        if cord is None:
            return
        position = cord.sent
        cleared_ms = round(self.drop_unheard(agent, before) * 1000 / cord.form.rate)
        leg = self._board.legs.get(cord.sink)
        facts: dict[str, Any] = {"by": why, "cleared_ms": cleared_ms, "position": position}
        if leg is not None and leg.last_sent >= 0:
            facts["last_rtp_before_ms"] = round((now - leg.last_sent) * 1000, 2)
        self._board.figure(agent.session, "clears", facts)
        self._board.note(agent.session, "ledger", "clear", {"agent": agent.name, **facts}, now)

    def drop_unheard(self, agent: Agent, before: float | None) -> int:
        """Drop what an agent said and nobody has heard (up to `before`); return how many samples."""
        return 0 if agent.cord is None else agent.cord.clear(before)

    def drop(self, agent: Agent, now: float) -> bool:
        """Its socket is gone; what it said stays queued for its listener. True where there is any."""
        board = self._board
        agent.closed = True
        del board.agents[agent.unit]
        board.switch.agent_gone(agent)
        if agent.cord is not None and not agent.cord.sink:
            agent.detach("ended")
        for cord in agent.cords():
            if cord is not agent.cord:
                board.keep_ledger(cord.entry(), agent.session)
        if agent.cord is None:
            self._media_over(agent, now)
            return False
        self._talking.append(agent)
        return not agent.cord.empty

    def upkeep(self, agent: Agent, now: float) -> None:
        """Each 100 ms: silence, timers, the end of its audio."""
        agent.feed_silence(now)
        moment = agent.line.next_timer()
        if moment is not None and moment <= now:
            agent.line.on_timer(now)
        self._events.pump(agent, now)
        self._media_over(agent, now)

    def hear_out(self, now: float) -> None:
        """Each 100 ms: closed agents whose last words are heard leave their listeners."""
        for agent in list(self._talking):
            self._media_over(agent, now)
            if agent.cord is None:
                self._talking.remove(agent)
            elif agent.cord.empty:
                self._talking.remove(agent)
                sink = agent.cord.sink
                self._board.switch.unroute(agent.unit, sink, "ended")
                self._board.kick(sink, now)

    def end_session(self, session: str, now: float) -> None:
        """Say good-bye to all agents of a session."""
        for agent in [each for each in self._board.agents.values() if each.session == session]:
            agent.line.close(reason="session completed", now=now)
            self._events.pump(agent, now)

    def forget_session(self, session: str, now: float) -> None:
        """Nothing of a session's agents is left: there is no time for a peer's close frame. Its legs are gone."""
        for agent in [each for each in self._board.agents.values() if each.session == session]:
            agent.line.connection_lost("session ended", now)
            self._events.pump(agent, now)
        for agent in [each for each in self._talking if each.session == session]:
            self._media_over(agent, now)
            self._talking.remove(agent)

    # --- link messages

    def _open(self, message: link.AgentOpen, now: float) -> None:
        if message.agent in self._board.agents:
            self._board.fail(message.confirm, "invalid", "the agent exists")
            return
        try:
            agent = Agent(message, self._board.rng, now, self._connect_timeout)
        except ValueError as error:  # BadAddress, UnsupportedFormat, UnknownVersion
            self._board.fail(message.confirm, "invalid", str(error))
            self._board.send(link.AgentGone(message.agent, 1006, str(error), "error", False))
            return
        self._board.agents[message.agent] = agent
        line = agent.line
        self._board.effect(effects.AgentConnect(agent.unit, line.host, line.port, line.secure))

    def _begin(self, message: link.AgentBegin, now: float) -> None:
        def start(agent: Agent) -> None:
            overrides = message.overrides or None
            agent.line.start(metadata=message.metadata, config=message.config, agent=overrides, now=now)
            agent.starting = message.confirm

        agent = self._try(message.agent, message.confirm, start)
        if agent is not None:
            self._board.switch.agent_form_changed(agent)
            self._events.pump(agent, now)

    def _send(self, message: link.AgentSend, now: float) -> None:
        agent = self._try(message.agent, message.confirm, lambda agent: agent.line.custom(message.metadata, now))
        self._written(agent, message.confirm, now)

    def _tool_result(self, message: link.AgentToolResult, now: float) -> None:
        def answer(agent: Agent) -> None:
            agent.line.tool_result(
                message.id, message.result, is_error=message.is_error, error_type=message.error_type, now=now
            )

        self._written(self._try(message.agent, message.confirm, answer), message.confirm, now)

    def _digits(self, message: link.AgentDigits, now: float) -> None:
        def send(agent: Agent) -> None:
            if not set(message.digits) <= set("0123456789*#"):
                raise ValueError("an agent takes the digits 0-9, * and #")
            for digit in message.digits:
                agent.line.dtmf(digit, now)

        self._written(self._try(message.agent, message.confirm, send), message.confirm, now)

    def _clear(self, message: link.AgentClear, now: float) -> None:
        talking = next((each for each in self._talking if each.unit == message.agent), None)
        agent = self._board.agents.get(message.agent, talking)
        if agent is not None:
            self.clear(agent, message.at, now, "command")
        self._board.done(message.confirm)

    def _close(self, message: link.AgentClose, now: float) -> None:
        self.with_agent(message.agent, now, lambda agent: agent.line.close(reason=message.reason, now=now))

    # --- inside

    def _try(self, unit: str, confirm: str | None, act: Callable[[Agent], None]) -> Agent | None:
        """The agent for which `act` went well; else the message is refused."""
        agent = self._board.agents.get(unit)
        if agent is None:
            self._board.fail(confirm, "object_ended", "the agent's socket is closed")
            return None
        try:
            act(agent)
        except NotSupported as error:
            self._board.fail(confirm, "not_supported", str(error))
            return None
        except (WrongState, ValueError) as error:  # UnsupportedFormat, BadVariable, NotJson
            self._board.fail(confirm, "invalid", str(error))
            return None
        return agent

    def _written(self, agent: Agent | None, confirm: str | None, now: float) -> None:
        if agent is not None:
            self._events.flush(agent, now)
            self._board.done(confirm)

    def _media_over(self, agent: Agent, now: float) -> None:
        if agent.fell_silent(now):
            self._board.send(link.MediaNote("media.ended", agent.unit, agent.cord.sink if agent.cord else ""))
