"""What an agent's service says, turned into what the plane does at once and what control is told."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cordboard.agents import events
from cordboard.contract import link

from . import effects
from .agent import MESSAGE_RATE, Agent
from .board import Board
from .cord import FLOOD_SECONDS
from .spoken import MAX_TEXT

if TYPE_CHECKING:
    from .agents import Agents

ALWAYS_TOLD = (events.Opened, events.HttpResponse, events.Acked, events.Closed, events.TextDelta)
"""Come once in a connection, or tell control nothing."""


class AgentEvents:
    """Reads an agent's protocol object dry and acts."""

    def __init__(self, board: Board, agents: "Agents") -> None:
        self._board = board
        self._agents = agents

    def pump(self, agent: Agent, now: float) -> None:
        """Handle everything that its protocol object has to say, and write what it wants written."""
        heard = False
        while (event := agent.line.next_event()) is not None:
            at = agent.stamp(now)
            if isinstance(event, events.Audio):
                heard = True
                self._said(agent, event.payload, at)
            else:
                if heard and not isinstance(event, events.Clear):  # what is cleared at once is not begun
                    self._kick(agent, now)
                heard = False
                self._tell(agent, event, at, now)
        if heard:
            self._kick(agent, now)
        self.flush(agent, now)

    def _said(self, agent: Agent, audio: bytes, at: float) -> None:
        flooded = agent.flooded
        if agent.said(audio, at):
            sink = agent.cord.sink if agent.cord is not None else ""
            self._board.send(link.MediaNote("media.started", agent.unit, sink))
        if agent.flooded and not flooded:
            problem = {"agent": agent.name, "limit_s": FLOOD_SECONDS}
            self._board.note(agent.session, "ledger", "the agent floods: audio is dropped", problem, at)

    def _kick(self, agent: Agent, now: float) -> None:
        if agent.cord is not None and agent.cord.sink:
            self._board.kick(agent.cord.sink, now)

    def flush(self, agent: Agent, now: float) -> None:
        """Write what the protocol object wants written."""
        for data in agent.line.data_to_send(now):
            self._board.effect(effects.AgentWrite(agent.unit, data))

    def _tell(self, agent: Agent, event: Any, at: float, now: float) -> None:
        board = self._board
        if not isinstance(event, ALWAYS_TOLD) and not self._may_tell(agent, at):
            if isinstance(event, events.Clear):
                self._agents.drop_unheard(agent, None)
            return
        match event:
            case events.Opened():
                board.done(agent.opening, result={"web_socket_id": event.web_socket_id})
                agent.opening = None
            case events.HttpResponse():
                data = {"status": event.status, "body": event.body}
                self._tell_control(agent, "agent.http_response", data, at)
            case events.Acked():
                agent.release_held(now)
                board.done(agent.starting, result={"call_id": event.call_id, "stream_id": event.stream_id})
                agent.starting = None
                self._tell_control(agent, "agent.ack", event.data, at)
            case events.Clear():
                self._agents.clear(agent, None, now, "agent")
                self._tell_control(agent, "agent.clear", event.data, at)
            case events.Dtmf():
                if agent.cord is not None and agent.cord.sink:
                    board.pass_digit(agent.cord.sink, event.digit, now)
                self._tell_control(agent, "agent.dtmf", event.data, at)
            case events.Custom():
                self._tell_control(agent, "agent.custom", event.data, at)
            case events.Transfer():
                self._tell_control(agent, "agent.transfer", event.data, at)
            case events.TurnStarted():
                if event.role == "assistant":
                    self._cut(agent, at)  # one that its service never ended
                    agent.turn_event("started", event.id, at)
                self._tell_control(agent, "agent.turn_started", event.data, at, role=event.role, turn=agent.turn)
            case events.TurnEnded():
                turn: dict[str, Any] = {"role": event.role, "turn": agent.turn, "text": event.text[:MAX_TEXT]}
                if event.role == "assistant":
                    turn |= {"told": agent.spoken.text, "marks": agent.spoken.marks()}
                    agent.turn_event("ended", event.id, at)
                interrupted = event.interrupted
                self._tell_control(agent, "agent.turn_ended", event.data, at, **turn, interrupted=interrupted)
            case events.ToolCall():
                call: dict[str, Any] = {"id": event.id, "name": event.name, "parameters": event.parameters}
                call["expects_response"] = event.expects_response
                self._tell_control(agent, "agent.tool_call", call, at)
            case events.TextDelta():
                agent.spoken.delta(event.text, at)  # not told word by word: the text stands in turn_ended
            case events.ErrorMessage():
                data = {"message": event.message, "fatal": event.fatal, **event.data}
                self._tell_control(agent, "agent.websocket_error", data, at)
            case events.Unknown():
                self._tell_control(agent, "agent.unknown", event.data, at)
            case events.Closed():
                self._closed(agent, event, now)

    def _may_tell(self, agent: Agent, at: float) -> bool:
        """An agent that sends more than a call can need is heard in part, and that is noted once."""
        if agent.may_tell(at):
            return True
        if agent.untold == 1:
            problem = {"agent": agent.name, "limit_per_s": MESSAGE_RATE}
            self._board.note(agent.session, "agent", "the agent floods: messages are dropped", problem, at)
        return False

    def _tell_control(self, agent: Agent, type_: str, data: Mapping[str, Any], at: float, **turn: Any) -> None:
        self._board.send(link.AgentSaid(agent.unit, type_, data, at, **turn))

    def _cut(self, agent: Agent, at: float) -> None:
        """The open turn has no end of its own."""
        spoken = agent.spoken
        if spoken.is_open or spoken.text:
            self._board.send(link.TurnCut(agent.unit, agent.turn, spoken.text, at, spoken.marks()))

    def _closed(self, agent: Agent, event: events.Closed, now: float) -> None:
        board = self._board
        self.flush(agent, now)
        board.effect(effects.AgentDisconnect(agent.unit))
        problem = f"the agent's socket closed: {event.code} {event.reason}".rstrip()
        board.fail(agent.opening, "connect_failed", problem)
        board.fail(agent.starting, "not_acked", problem)
        agent.opening = agent.starting = None
        self._cut(agent, now)
        talking = self._agents.drop(agent, now)
        board.send(link.AgentGone(agent.unit, event.code, event.reason, event.by, event.expected, talking))
