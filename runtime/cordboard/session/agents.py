"""A session's agents: opened, started, spoken with, and closed exactly once."""

from typing import TYPE_CHECKING, Any

from cordboard.agents.access_token import MAX_ANSWER, TokenRefused, token_of, token_request
from cordboard.agents.connection import SPOKEN_VERSIONS, UnknownVersion
from cordboard.agents.line import VERSION as LINE
from cordboard.agents.websocket import BadAddress
from cordboard.contract import link
from cordboard.contract.commands import (
    AgentCreate,
    AgentCustom,
    AgentStart,
    AgentToolResult,
    Digits,
    SecretReference,
    is_tool_call_id,
)
from cordboard.contract.events import EVENTS, AgentEvent, Event, MediaChange, WebSocketClose, tool_called
from cordboard.contract.transcript import WORDS

from . import causes
from .objects import Agent
from .steps import Step

if TYPE_CHECKING:
    from .session import Session

TOKEN_TIMEOUT = 3.0
"""Seconds for an access token: the socket has to open in what is left of create's five (DESIGN §4)."""


class Agents:
    """All agents of one session."""

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._agents: dict[str, Agent] = {}
        self._made = 0

    def all(self) -> list[Agent]:
        """Every agent, closed ones too until their name is used again."""
        return list(self._agents.values())

    @property
    def started(self) -> bool:
        """An agent has acknowledged its start, and lives."""
        return any(agent.state == "STARTED" for agent in self._agents.values())

    def get(self, name: str) -> Agent | None:
        """A live agent."""
        agent = self._agents.get(name)
        return agent if agent is not None and agent.live else None

    def by_unit(self, unit: str) -> Agent | None:
        """The agent a plane speaks of."""
        return next((agent for agent in self._agents.values() if agent.unit == unit), None)

    # --- commands

    def create(self, step: Step, args: AgentCreate, now: float) -> None:
        """Open the socket; done when it is open."""
        session, config = self._session, self._session.services.config.agents.cartesia
        name = step.command.target or "agent"
        if not session.name_is_free(step, name):
            return
        if args.version not in SPOKEN_VERSIONS:
            step.fail("not_supported", str(UnknownVersion(args.version)))
            return
        key = self.key(args.api_key, step)
        if key is None:
            return
        session.redactor.add(key)
        self._made += 1
        unit = f"{session.id}/{name}" if self._made == 1 else f"{session.id}/{name}~{self._made}"
        agent = Agent(name, unit, args.version, args.privacy)
        self._agents[name] = agent

        if args.version == LINE and config.access_token:
            self._fetch_token(agent, step, args, key)
        else:
            self._open(agent, step, args, key)

    def _fetch_token(self, agent: Agent, step: Step, args: AgentCreate, key: str) -> None:
        """Buy a token with the key; the socket is opened with it (reference cartesia-protocols §1.1)."""
        session = self._session
        try:
            request = token_request(
                args.base_url or session.services.config.agents.cartesia.base_url, key, args.version
            )
        except BadAddress as error:
            agent.state = "CLOSED"
            step.fail("invalid", str(error))
            return

        def answered(status: int, body: bytes, now: float) -> None:
            if agent.closing or step.status != "pending":  # nothing is open yet: there is nothing to close
                self._never_opened(agent, step, "closed", "the agent was closed before its socket was open", now)
                return
            try:
                token = token_of(status, body) if status else None
            except TokenRefused as error:
                self._never_opened(agent, step, error.code, str(error), now)
                return
            if token is None:
                reason = body.decode("utf-8", "replace")
                self._never_opened(agent, step, "connect_failed", f"no access token: {reason}", now)
                return
            session.redactor.add(token)
            self._open(agent, step, args, token)

        agent.fetching = True
        session.fetch(
            request.url,
            answered,
            method="POST",
            headers=request.headers,
            body=request.body,
            timeout=TOKEN_TIMEOUT,
            limit=MAX_ANSWER,
        )

    def _never_opened(self, agent: Agent, step: Step, code: str, message: str, now: float) -> None:
        """There was no socket, so no plane will speak of it."""
        agent.state, agent.fetching = "CLOSED", False
        self._session.note("agent", "no access token", {"agent": agent.name, "code": code, "reason": message}, now)
        step.fail(code, message)
        for told in agent.when_gone:
            told()
        self._session.ending.progress(now)

    def _open(self, agent: Agent, step: Step, args: AgentCreate, key: str) -> None:
        session, config = self._session, self._session.services.config.agents.cartesia
        agent.fetching = False

        def opened(done: link.Done, at: float) -> None:
            if done.ok and step.status != "pending":
                self._close(agent)  # its handler was told that it failed
            elif done.ok:
                agent.state = "OPEN"
                agent.web_socket_id = str(done.result.get("web_socket_id", ""))
                step.done({"name": agent.name, "web_socket_id": agent.web_socket_id, "id": agent.unit})
            else:
                agent.state = "CLOSED"
                step.fail(done.code, done.message)

        session.send_plane(
            link.AgentOpen(
                agent=agent.unit,
                base_url=args.base_url or config.base_url,
                agent_id=args.agent_id,
                api_key=key,
                version=args.version,
                confirm=session.confirm(opened),
            )
        )

    def start(self, step: Step, args: AgentStart, now: float) -> None:
        """Send start; done when acked."""
        agent = self._live(step)
        if agent is None:
            return

        def acked(done: link.Done, at: float) -> None:
            if done.ok:
                agent.state = "STARTED"
                self._session.legs.inbound.agent_ready(at)
            self._settle(step, done)
            self._session.shield.look(at)

        self._session.send_plane(
            link.AgentBegin(agent.unit, args.metadata, args.config, args.agent, self._session.confirm(acked))
        )

    def custom(self, step: Step, args: AgentCustom, now: float) -> None:
        """A custom event to the agent."""
        agent = self._live(step)
        if agent is not None:
            self._session.send_plane(link.AgentSend(agent.unit, args.metadata, self._token(step)))

    def tool_result(self, step: Step, args: AgentToolResult, now: float) -> None:
        """The answer to a client tool that the agent called."""
        agent = self._live(step)
        if agent is not None:
            self._session.send_plane(
                link.AgentToolResult(
                    agent.unit, args.id, args.result, args.is_error, args.error_type, self._token(step)
                )
            )

    def tool_failed(self, event: Event, kind: str, now: float) -> None:
        """The handler that an agent called as a tool gave no answer: the agent must not wait for one."""
        agent = self.get(event.target or "")
        name, call = tool_called(event.type, event.data), event.data.get("data", {})
        if agent is None or name is None:
            return
        error_type = "timeout" if kind == "timeout" else "tool_failed"
        text = "the tool took too long" if kind == "timeout" else "the tool failed"
        if event.type == "agent.tool_call" and isinstance(call.get("id"), str) and call.get("expects_response", True):
            self._session.send_plane(link.AgentToolResult(agent.unit, call["id"], text, True, error_type))
        elif event.type == "agent.custom":
            answer: dict[str, Any] = {"tool": name[:64], "error": text, "error_type": error_type}
            if is_tool_call_id(id_ := call["metadata"].get("id")):
                answer["id"] = id_
            self._session.send_plane(link.AgentSend(agent.unit, answer))

    def digits(self, step: Step, args: Digits, now: float) -> None:
        """dtmf to the agent."""
        agent = self._live(step)
        if agent is not None:
            self._session.send_plane(link.AgentDigits(agent.unit, args.digits, self._token(step)))

    def clear(self, step: Step, now: float) -> None:
        """Drop what it said up to the event that asked for it."""
        agent = self._agents.get(step.command.target or "")
        if agent is None:
            step.fail("not_found", f"there is no agent {step.command.target!r}")
            return
        self._session.send_plane(link.AgentClear(agent.unit, step.at, self._token(step)))

    def close(self, step: Step, now: float) -> None:
        """Close the socket; waits only for a hang-up after playout of a leg that it feeds."""
        session = self._session
        agent = self.get(step.command.target or "")
        if agent is None:
            step.done()
            return
        fed = session.legs.cords.hanging_up_after(agent.unit)
        agent.when_gone.append(step.done)
        if fed is None:
            self._close(agent)
        else:
            session.legs.when_over(fed, lambda at: self._close(agent))

    def close_all(self) -> None:
        """The session ends."""
        for agent in self._agents.values():
            self._close(agent)

    def _close(self, agent: Agent) -> None:
        """Once; what it delivered stays queued."""
        if agent.live and not agent.closing:
            agent.closing = True
            if agent.fetching:
                return  # the plane does not know it yet; the answer finds it closing
            self._session.send_plane(link.AgentClose(agent.unit))

    # --- what the plane tells

    def said(self, message: link.AgentSaid, now: float) -> None:
        """A message of the agent's service."""
        agent = self.by_unit(message.agent)
        if agent is None:
            return
        data = dict(message.data)
        type_ = message.type if message.type in EVENTS else "agent.unknown"
        private = agent.privacy
        if self._private(agent):
            private = private or type_ in WORDS
        else:
            self._transcribe(agent, message)
        noted = {"data": "private"} if private else None
        self._session.post(type_, AgentEvent(data), now, target=agent.name, at=message.at, noted=noted)

    def gone(self, message: link.AgentGone, now: float) -> None:
        """The socket is closed."""
        agent = self.by_unit(message.agent)
        if agent is None:
            return
        was_open = agent.state in ("OPEN", "STARTED")
        agent.state = "CLOSED"
        self._session.legs.cords.source_gone(agent.unit, now, talking=message.talking)
        for told in agent.when_gone:
            told()
        data = WebSocketClose(message.code, message.reason, message.by, message.expected)
        if was_open:
            cause = causes.of_agent_close(message.by)
            self._session.post("websocket.close", data, now, target=agent.name, cause=cause)
        else:
            self._session.note("agent", "socket never opened", {"reason": message.reason, "by": message.by}, now)
        self._session.legs.inbound.agent_failed(now)
        self._session.ending.progress(now)

    def media(self, message: link.MediaNote, now: float) -> None:
        """Audio started, ended, or was replaced."""
        if message.type == "media.ended":
            self._session.legs.cords.heard_out(message.source, now)
        names = [unit.partition("/")[2].partition("~")[0] for unit in (message.source, message.sink, message.by)]
        self._session.post(message.type, MediaChange(*names), now, target=names[0])

    def cut(self, message: link.TurnCut) -> None:
        """A turn that its service never ended."""
        agent = self.by_unit(message.agent)
        if agent is not None and not self._private(agent):
            self._session.transcript.turn_ended(
                agent.unit,
                agent.name,
                message.turn,
                text=message.text,
                told=message.text,
                marks=message.marks,
                cut=True,
                at=message.at,
            )

    def _private(self, agent: Agent) -> bool:
        """Its words reach its handler alone."""
        return agent.privacy or not self._session.services.config.transcribes

    def _transcribe(self, agent: Agent, message: link.AgentSaid) -> None:
        transcript = self._session.transcript
        match message.type, message.role:
            case "agent.turn_started", "assistant":
                transcript.turn_started(agent.unit, message.turn, message.at)
            case "agent.turn_ended", "assistant":
                transcript.turn_ended(
                    agent.unit,
                    agent.name,
                    message.turn,
                    text=message.text,
                    told=message.told,
                    marks=message.marks,
                    cut=message.interrupted,
                    at=message.at,
                )
            case "agent.turn_started", "user":
                transcript.user_started(agent.unit, message.at)
            case "agent.turn_ended", "user":
                name = self._session.legs.cords.source_of(agent.unit).partition("/")[2]
                transcript.user_ended(agent.unit, name, message.text, message.at)

    # --- parts

    def key(self, given: SecretReference | str, step: Step) -> str | None:
        """The value of a key that a command gives; the step fails where there is none."""
        if isinstance(given, str):
            return given
        try:
            return self._session.services.resolve_secret(given.secret)[0]
        except KeyError:
            step.fail(
                "secret_not_found",
                f"no secret {given.secret!r}; put it with: cordboard keys put --secret {given.secret}",
            )
            return None

    def _live(self, step: Step) -> Agent | None:
        agent = self.get(step.command.target or "")
        if agent is None:
            step.fail("object_ended", f"agent {step.command.target!r} is closed")
        return agent

    def _token(self, step: Step) -> str:
        return self._session.confirm(lambda done, at: self._settle(step, done))

    def _settle(self, step: Step, done: link.Done) -> None:
        if done.ok:
            step.done()
        else:
            step.fail(done.code, done.message)
