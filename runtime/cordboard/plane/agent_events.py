"""What an agent's service says, turned into what the plane does at once and what control is told."""

from typing import TYPE_CHECKING, Any

from cordboard.agents import events
from cordboard.contract import link

from . import effects
from .agent import Agent

if TYPE_CHECKING:
    from .engine import PlaneEngine


class AgentEvents:
    """Reads an agent's protocol object dry and acts."""

    def __init__(self, engine: "PlaneEngine") -> None:
        self._engine = engine

    def pump(self, agent: Agent, now: float) -> None:
        """Handle everything that its protocol object has to say, and write what it wants written."""
        heard = False
        while (event := agent.line.next_event()) is not None:
            if isinstance(event, events.Audio):
                heard = True
                if agent.said(event.payload, now):
                    sink = agent.cord.sink if agent.cord is not None else ""
                    self._engine.send(link.MediaNote("media.started", agent.unit, sink))
            else:
                if heard and agent.cord is not None and agent.cord.sink:
                    self._engine.kick(agent.cord.sink, now)
                    heard = False
                self._tell(agent, event, now)
        if heard and agent.cord is not None and agent.cord.sink:
            self._engine.kick(agent.cord.sink, now)
        self.flush(agent, now)

    def flush(self, agent: Agent, now: float) -> None:
        """Write what the protocol object wants written."""
        for data in agent.line.data_to_send(now):
            self._engine.effect(effects.AgentWrite(agent.unit, data))

    def _tell(self, agent: Agent, event: Any, now: float) -> None:
        engine = self._engine
        match event:
            case events.Opened():
                engine.done(agent.opening, result={"web_socket_id": event.web_socket_id})
                agent.opening = None
            case events.HttpResponse():
                data = {"status": event.status, "body": event.body}
                engine.send(link.AgentSaid(agent.unit, "agent.http_response", data, now))
            case events.Acked():
                agent.release_held(now)
                engine.done(agent.starting, result={"call_id": event.call_id, "stream_id": event.stream_id})
                agent.starting = None
                engine.send(link.AgentSaid(agent.unit, "agent.ack", event.data, now))
            case events.Clear():
                engine.clear_agent(agent, None, now, "agent")
                engine.send(link.AgentSaid(agent.unit, "agent.clear", event.data, now))
            case events.Dtmf():
                if agent.cord is not None and agent.cord.sink:
                    engine.digits_to_leg(agent.cord.sink, event.digit, now)
                engine.send(link.AgentSaid(agent.unit, "agent.dtmf", event.data, now))
            case events.Custom():
                engine.send(link.AgentSaid(agent.unit, "agent.custom", event.data, now))
            case events.Transfer():
                engine.send(link.AgentSaid(agent.unit, "agent.transfer", event.data, now))
            case events.TurnStarted():
                if event.role == "assistant":
                    agent.turn_event("started", event.id)
                engine.send(link.AgentSaid(agent.unit, "agent.turn_started", event.data, now))
            case events.TurnEnded():
                if event.role == "assistant":
                    agent.turn_event("ended", event.id)
                engine.send(link.AgentSaid(agent.unit, "agent.turn_ended", event.data, now))
            case events.TextDelta():
                agent.text_delta(event.text)  # not told word by word: the text stands in turn_ended
            case events.ErrorMessage():
                data = {"message": event.message, "fatal": event.fatal, **event.data}
                engine.send(link.AgentSaid(agent.unit, "agent.websocket_error", data, now))
            case events.Unknown():
                engine.send(link.AgentSaid(agent.unit, "agent.unknown", event.data, now))
            case events.Closed():
                self._closed(agent, event, now)

    def _closed(self, agent: Agent, event: events.Closed, now: float) -> None:
        engine = self._engine
        self.flush(agent, now)
        engine.effect(effects.AgentDisconnect(agent.unit))
        problem = f"the agent's socket closed: {event.code} {event.reason}".rstrip()
        engine.fail(agent.opening, "connect_failed", problem)
        engine.fail(agent.starting, "not_acked", problem)
        agent.opening = agent.starting = None
        if agent.text:
            engine.send(link.TurnCut(agent.unit, agent.turn, agent.text, now))
        engine.drop_agent(agent, now)
        engine.send(link.AgentGone(agent.unit, event.code, event.reason, event.by, event.expected))
