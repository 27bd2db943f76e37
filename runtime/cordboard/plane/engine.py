"""The plane's engine: link messages, datagrams and agent bytes in; packets and effects out. No socket, no clock.

It decides all that must happen within a tick (DESIGN §1): clear, pacing, latching, digits counted once and passed
between agent and leg, silence to the agent on hold. Units of one session never meet those of another.
"""

import random
from collections import deque
from collections.abc import Callable
from typing import Any

from cordboard.agents.line import UnsupportedFormat, WrongState
from cordboard.agents.line_messages import NotJson
from cordboard.agents.websocket import BadAddress
from cordboard.contract import link
from cordboard.contract.codec import DecodeError
from cordboard.contract.records import LedgerEntry
from cordboard.media.dtmf import InvalidDigit

from . import effects
from .agent import MEDIA_ENDED, Agent
from .agent_events import AgentEvents
from .effects import Address, Effect, Packet
from .leg import SILENT_PEER, Leg
from .pacing import FRAME, Wheel
from .recording import Recording
from .switch import RouteRefused, Switch

STOCK = 8
"""RTP port pairs kept open: more calls than arrive in the time a pair takes to open (well under 1 ms)."""

UPKEEP_TICKS = 20
"""Ticks between two upkeeps of a leg or agent: 100 ms, staggered."""

PLAYOUT_LIMIT = 15.0
"""Seconds a hang-up after playout may wait (DESIGN §1)."""

PLAYOUT_MARGIN = 0.1
"""Seconds after the last packet before a playout counts as heard: it lasts 20 ms and waits in the phone's buffer."""


class PlaneEngine:
    """Everything that one media plane does."""

    def __init__(self, *, index: int, pid: int, rng: random.Random, now: float, connect_timeout: float = 5.0) -> None:
        self._index = index
        self._pid = pid
        self._rng = rng
        self._connect_timeout = connect_timeout
        self._wall: Callable[[float], float] = lambda moment: moment
        self._effects: deque[Effect] = deque()
        self._packets: list[Packet] = []
        self._wheel: Wheel[Leg] = Wheel(now)
        self._ports: dict[int, Leg | None] = {}
        self._opening = 0
        self._legs: dict[str, Leg] = {}
        self._agents: dict[str, Agent] = {}
        self._recordings: dict[str, tuple[Recording, str]] = {}
        self._gaps: set[Leg] = set()
        self._talking: list[Agent] = []
        """Agents whose socket is closed and whose last words are still queued."""
        self._playouts: list[tuple[str, str, float, float | None]] = []
        self._life = ""
        self._lease = 10.0
        self._heard_control = now
        self._linked = False
        self._late = 0.0
        self._past: dict[str, list[LedgerEntry]] = {}
        self._figures: dict[str, dict[str, Any]] = {}
        self.unreadable_lines = 0
        self._switch = Switch(self._legs, self._agents, self._note_replaced, self._keep_ledger)
        self._agent_events = AgentEvents(self)
        self._handlers: dict[type, Callable[[Any, float], None]] = {
            link.Hello: self._hello,
            link.Ping: self._ping,
            link.LegMedia: self._leg_media,
            link.LegClose: self._leg_close,
            link.LegFallback: self._leg_fallback,
            link.LegDigits: self._leg_digits,
            link.LegInfoDigit: self._leg_info_digit,
            link.LegPlayout: self._leg_playout,
            link.Route: self._route,
            link.Unroute: self._unroute,
            link.AgentOpen: self._agent_open,
            link.AgentBegin: self._agent_begin,
            link.AgentSend: self._agent_send,
            link.AgentDigits: self._agent_digits,
            link.AgentClear: self._agent_clear,
            link.AgentClose: self._agent_close,
            link.RecordBegin: self._record_begin,
            link.RecordEnd: self._record_end,
            link.SessionClose: self._session_close,
        }
        self._stock(now)

    # --- the shell's side

    def set_wall_clock(self, wall: Callable[[float], float]) -> None:
        """Unix time of a monotonic moment, for RTCP sender reports."""
        self._wall = wall

    @property
    def live(self) -> int:
        """Live legs."""
        return len(self._legs)

    def packets_to_send(self) -> list[Packet]:
        """Datagrams that leave now; drain after every call."""
        packets, self._packets = self._packets, []
        return packets

    def next_effect(self) -> Effect | None:
        """The oldest effect; drain after every call."""
        return self._effects.popleft() if self._effects else None

    def tick_late(self, seconds: float) -> None:
        """How late a tick was; the worst since the last pong is reported."""
        self._late = max(self._late, seconds)

    def link_opened(self, now: float) -> None:
        """Control connected."""
        self._linked = True
        self._heard_control = now
        self.send(link.Ready(self._index, self._pid, tuple(p for p, leg in self._ports.items() if leg is None)))

    def link_closed(self, now: float) -> None:
        """Control is gone; the lease runs."""
        self._linked = False

    def receive_link(self, line: bytes, now: float) -> None:
        """One line of control. An unreadable one is counted: control and plane are of one release."""
        self._heard_control = now
        try:
            message = link.from_line(line)
        except DecodeError as error:
            self.unreadable_lines += 1
            self.note("", "media", "unreadable link message", {"problem": str(error)}, now)
            return
        handler = self._handlers.get(type(message))
        if handler is not None:
            handler(message, now)

    def port_opened(self, port: int, now: float) -> None:
        """A port pair is open."""
        self._ports[port] = None
        self._opening -= 1
        if self._linked:
            self.send(link.Ports((port,)))

    def rtp_in(self, port: int, data: bytes, source: Address, now: float) -> None:
        """A datagram on an RTP port."""
        leg = self._ports.get(port)
        if leg is None:
            return
        frames, digit = leg.rtp_in(data, source, now)
        if frames:
            self._heard(leg, frames, now)
        else:
            self._check_gap(leg, now)
        if digit is not None:
            self._digit(leg, digit, "rtp", now)

    def rtcp_in(self, port: int, data: bytes, source: Address, now: float) -> None:
        """A datagram on the RTCP port of an RTP port."""
        leg = self._ports.get(port)
        if leg is not None:
            leg.rtcp_in(data, source, now)

    def agent_connected(self, agent: str, now: float) -> None:
        """TCP (and TLS) to the agent's service is up."""
        self._with_agent(agent, now, lambda each: each.line.connected(now))

    def agent_data(self, agent: str, data: bytes, now: float) -> None:
        """Bytes from the agent's service."""
        self._with_agent(agent, now, lambda each: each.line.receive_data(data, now))

    def agent_eof(self, agent: str, now: float) -> None:
        """The agent's service ended its side."""
        self._with_agent(agent, now, lambda each: each.line.receive_eof(now))

    def agent_lost(self, agent: str, reason: str, now: float) -> None:
        """The connection could not be made or broke."""
        self._with_agent(agent, now, lambda each: each.line.connection_lost(reason, now))

    def file_failed(self, recording: str, reason: str, now: float) -> None:
        """A recording's file cannot be written; the call goes on."""
        held = self._recordings.get(recording)
        if held is not None and not held[0].failed:
            held[0].failed = reason
            self.note(recording.split("/")[0], "media", "recording failed", {"reason": reason}, now)

    def next_timer(self) -> float:
        """When `on_timer` wants to be called: at each tick of the wheel, the plane's only clock."""
        return self._wheel.tick_at

    def on_timer(self, now: float) -> None:
        """Every tick that is due."""
        self.wheel(now)

    def wheel(self, now: float) -> None:
        """Every tick that is due: frames, gaps of jitter buffers, upkeep."""
        while (due := self._wheel.due(now)) is not None:
            moment, legs = due
            for leg in legs:
                if not leg.tick(moment, self._packets) and not leg.wants_tick(moment):
                    self._wheel.remove(leg)
            for leg in list(self._gaps):
                self._check_gap(leg, now)
            if self._playouts:
                self._check_playouts(now)
            self._upkeep(self._wheel.count % UPKEEP_TICKS, now)

    # --- what parts of the engine share

    def effect(self, effect: Effect) -> None:
        """Ask the shell for something."""
        self._effects.append(effect)

    def send(self, message: Any) -> None:
        """Send a message to control, if there is one."""
        if self._linked:
            self._effects.append(effects.SendLink(link.to_line(message)))

    def done(self, confirm: str | None, **fields: Any) -> None:
        """Confirm a message."""
        if confirm is not None:
            self.send(link.Done(confirm, **fields))

    def fail(self, confirm: str | None, code: str, message: str) -> None:
        """Refuse a message."""
        if confirm is not None:
            self.send(link.Done(confirm, ok=False, code=code, message=message))

    def note(self, session: str, kind: str, what: str, data: dict[str, Any], now: float) -> None:
        """A line for a session's timeline."""
        self.send(link.PlaneNote(session, kind, what, data, now))

    def figure(self, session: str, name: str, value: object) -> None:
        """Another value of a session's figure; at most 100 are kept."""
        figures = self._figures.setdefault(session, {})
        values = figures.setdefault(name, [])
        if len(values) < 100:
            values.append(value)

    def kick(self, unit: str, now: float) -> None:
        """Sound is there for a leg: begin its spurt if it may."""
        leg = self._legs.get(unit)
        if leg is None or leg in self._wheel:
            return
        if leg.may_send and leg.may_start(now) and leg.tick(now, self._packets):
            self._wheel.put(leg, leg.next_due)
        elif leg.wants_tick(now):
            patience = FRAME if leg.cord is not None and leg.cord.live else 0.0
            self._wheel.put(leg, max(leg.next_due, now + patience))

    def digits_to_leg(self, unit: str, digits: str, now: float) -> bool:
        """Send digits on a leg; False when its peer takes none."""
        leg = self._legs.get(unit)
        if leg is None or leg.media.dtmf_send is None:
            return False
        leg.send_digits(digits)
        self.kick(unit, now)
        return True

    def drop_agent(self, agent: Agent, now: float) -> None:
        """Its socket is gone; what it said stays queued for its listener."""
        agent.closed = True
        del self._agents[agent.unit]
        if agent.ear is not None:
            self._keep_ledger(agent.ear.entry(), agent.session)
            agent.ear = None
        if agent.cord is not None and not agent.cord.sink:
            agent.detach("ended")
        self._switch.agent_gone(agent)
        for cord in agent.cords():
            if cord is not agent.cord:
                self._keep_ledger(cord.entry(), agent.session)
        if agent.cord is None:
            self._media_over(agent, now)
        else:
            self._talking.append(agent)

    # --- link messages

    def _hello(self, message: link.Hello, now: float) -> None:
        self._lease = message.lease
        if message.life != self._life:
            if self._life:
                self._drop_all(now)
            self._life = message.life

    def _ping(self, message: link.Ping, now: float) -> None:
        self.send(link.Pong(message.n, len(self._legs), round(self._late * 1000, 3)))
        self._late = 0.0

    def _leg_media(self, message: link.LegMedia, now: float) -> None:
        leg = self._legs.get(message.leg)
        if leg is None:
            if self._ports.get(message.port, self) is not None:
                self.fail(message.confirm, "no_port", f"port {message.port} is not in stock")
                return
            leg = Leg(message.leg, message.port, self._rng, now, self._wall)
            self._legs[message.leg] = leg
            self._ports[message.port] = leg
            self._stock(now)
        leg.set_media(message, now)
        self._switch.form_changed(leg)
        if leg.holds and leg.cord is not None:
            leg.cord.discard("hold")
        self.kick(leg.unit, now)
        self.done(message.confirm)

    def _leg_close(self, message: link.LegClose, now: float) -> None:
        leg = self._legs.get(message.leg)
        if leg is not None:
            self._close_leg(leg, now)

    def _leg_fallback(self, message: link.LegFallback, now: float) -> None:
        leg = self._legs.get(message.leg)
        if leg is not None:
            self._switch.set_fallback(leg, message.source)
            self.kick(leg.unit, now)

    def _leg_digits(self, message: link.LegDigits, now: float) -> None:
        try:
            if self.digits_to_leg(message.leg, message.digits, now):
                self.done(message.confirm)
            else:
                self.fail(message.confirm, "refused", "the peer has not negotiated telephone-event")
        except InvalidDigit as error:
            self.fail(message.confirm, "invalid", str(error))

    def _leg_info_digit(self, message: link.LegInfoDigit, now: float) -> None:
        leg = self._legs.get(message.leg)
        if leg is not None and leg.info_digit(message.digit, now):
            self._digit(leg, message.digit, "info", now)

    def _leg_playout(self, message: link.LegPlayout, now: float) -> None:
        self._playouts.append((message.leg, message.confirm, now + PLAYOUT_LIMIT, None))
        self._check_playouts(now)

    def _route(self, message: link.Route, now: float) -> None:
        try:
            self._switch.route(message.source, message.sink)
        except RouteRefused as error:
            self.note(message.sink.split("/")[0], "media", "route refused", {"problem": str(error)}, now)
            return
        self.kick(message.sink, now)

    def _unroute(self, message: link.Unroute, now: float) -> None:
        self._switch.unroute(message.source, message.sink, "unbridged")

    def _agent_open(self, message: link.AgentOpen, now: float) -> None:
        try:
            agent = Agent(message, self._rng, now, self._connect_timeout)
        except (BadAddress, UnsupportedFormat, ValueError) as error:
            self.fail(message.confirm, "invalid", str(error))
            self.send(link.AgentGone(message.agent, 1006, str(error), "error", False))
            return
        self._agents[message.agent] = agent
        line = agent.line
        self.effect(effects.AgentConnect(agent.unit, line.host, line.port, line.secure))

    def _agent_begin(self, message: link.AgentBegin, now: float) -> None:
        agent = self._agents.get(message.agent)
        if agent is None:
            self.fail(message.confirm, "object_ended", "the agent's socket is closed")
            return
        try:
            agent.line.start(metadata=message.metadata, config=message.config, agent=message.overrides or None, now=now)
        except WrongState as error:
            self.fail(message.confirm, "invalid", str(error))
            return
        except (UnsupportedFormat, NotJson) as error:
            self.fail(message.confirm, "invalid", str(error))
            return
        agent.starting = message.confirm
        self._switch.agent_form_changed(agent)
        self._agent_events.pump(agent, now)

    def _agent_send(self, message: link.AgentSend, now: float) -> None:
        self._to_agent(message.agent, message.confirm, now, lambda agent: agent.line.custom(message.metadata, now))

    def _agent_digits(self, message: link.AgentDigits, now: float) -> None:
        def send(agent: Agent) -> None:
            for digit in message.digits.upper():
                agent.line.dtmf(digit, now)

        self._to_agent(message.agent, message.confirm, now, send)

    def _agent_clear(self, message: link.AgentClear, now: float) -> None:
        agent = self._agents.get(message.agent) or next((a for a in self._talking if a.unit == message.agent), None)
        if agent is not None:
            self.clear_agent(agent, message.at, now, "command")
        self.done(message.confirm)

    def clear_agent(self, agent: Agent, before: float | None, now: float, why: str) -> None:
        """Drop what an agent said and nobody has heard (up to `before`); tell the timeline."""
        if agent.cord is None:
            return
        cord = agent.cord
        position = cord.sent
        dropped = cord.clear(before)
        rate = cord.form.rate
        leg = self._legs.get(cord.sink)
        facts: dict[str, Any] = {"by": why, "cleared_ms": round(dropped * 1000 / rate), "position": position}
        if leg is not None and leg.last_sent >= 0:
            facts["last_rtp_before_ms"] = round((now - leg.last_sent) * 1000, 2)
        self.figure(agent.session, "clears", facts)
        self.note(agent.session, "ledger", "clear", {"agent": agent.unit.split("/")[1], **facts}, now)

    def _agent_close(self, message: link.AgentClose, now: float) -> None:
        agent = self._agents.get(message.agent)
        if agent is not None:
            agent.line.close(reason=message.reason, now=now)
            self._agent_events.pump(agent, now)

    def _record_begin(self, message: link.RecordBegin, now: float) -> None:
        leg = self._legs.get(message.leg)
        if leg is None or leg.recording is not None:
            why = "the leg is over" if leg is None else "the leg is being recorded"
            self.send(link.RecordOver(message.recording, 0.0, why))
            return
        leg.recording = Recording(message.recording, message.path, now)
        self._recordings[message.recording] = (leg.recording, leg.unit)

    def _record_end(self, message: link.RecordEnd, now: float) -> None:
        self._stop_recording(message.recording, now)

    def _session_close(self, message: link.SessionClose, now: float) -> None:
        self._end_session(message.session, now)

    # --- inside

    def _heard(self, leg: Leg, frames: list[bytes], now: float) -> None:
        """Audio of a leg's peer goes to whoever hears it."""
        if not leg.audible:
            leg.audible = True
            self.send(link.LegAudible(leg.unit))
        utterance = leg.voice(frames, now)
        if utterance is not None:
            self.send(link.Speech(leg.unit, round(utterance[1], 3), utterance[0]))
        for agent in self._switch.agents_hearing(leg.unit):
            if agent.ear is not None and not leg.media.on_hold:
                for frame in frames:
                    agent.hear(agent.ear.pass_through(frame, now), now)
                self._agent_events.flush(agent, now)
        for cord in self._switch.cords_from_leg(leg.unit):
            for frame in frames:
                sink = self._legs[cord.sink]
                if sink.holds:
                    cord.refuse(frame, "", "hold")
                else:
                    cord.push(frame, now)
            self.kick(cord.sink, now)

    def _digit(self, leg: Leg, digit: str, method: str, now: float) -> None:
        """A digit, counted once: to the agents and legs that hear the leg, and to control."""
        self.send(link.LegDigit(leg.unit, digit))
        for agent in self._switch.agents_hearing(leg.unit):
            try:
                agent.line.dtmf(digit, now)
            except WrongState:
                self.note(leg.session, "media", "digit came before the agent's ack", {"method": method}, now)
            self._agent_events.flush(agent, now)
        for cord in self._switch.cords_from_leg(leg.unit):
            self.digits_to_leg(cord.sink, digit, now)

    def _with_agent(self, unit: str, now: float, act: Callable[[Agent], None]) -> None:
        agent = self._agents.get(unit)
        if agent is not None:
            act(agent)
            self._agent_events.pump(agent, now)

    def _to_agent(self, unit: str, confirm: str | None, now: float, act: Callable[[Agent], None]) -> None:
        agent = self._agents.get(unit)
        if agent is None:
            self.fail(confirm, "object_ended", "the agent's socket is closed")
            return
        try:
            act(agent)
        except WrongState:
            self.fail(confirm, "invalid", "the agent has not acked start yet")
            return
        except (NotJson, ValueError) as error:
            self.fail(confirm, "invalid", str(error))
            return
        self._agent_events.flush(agent, now)
        self.done(confirm)

    def _check_gap(self, leg: Leg, now: float) -> None:
        """A jitter buffer that waits for a packet is looked at in every tick."""
        moment = leg.jitter_timer()
        if moment is None:
            self._gaps.discard(leg)
            return
        self._gaps.add(leg)
        if moment <= now and (frames := leg.frames_ready(now)):
            self._heard(leg, frames, now)

    def _upkeep(self, place: int, now: float) -> None:
        """What a twentieth of the legs and agents needs each 100 ms."""
        for leg in list(self._legs.values())[place::UPKEEP_TICKS]:
            self._leg_upkeep(leg, now)
        for agent in list(self._agents.values())[place::UPKEEP_TICKS]:
            self._agent_upkeep(agent, now)
        if place == 0:
            for agent in list(self._talking):
                self._media_over(agent, now)
                if agent.cord is None or (agent.cord.empty and not agent.speaking):
                    self._talking.remove(agent)
            if (self._legs or self._agents) and now >= self._heard_control + self._lease:
                self._drop_all(now)

    def _leg_upkeep(self, leg: Leg, now: float) -> None:
        leg.upkeep(now, self._packets, self._switch.keep_alive_cord(leg))
        if leg.recording is not None and (block := leg.recording.upkeep(now)) is not None:
            self.effect(block)
        if (
            leg.media.answered
            and leg.media.direction in ("sendrecv", "recvonly")
            and not leg.media.on_hold
            and not leg.reported_silent
            and now - leg.last_heard >= SILENT_PEER
        ):
            leg.reported_silent = True
            self.send(link.LegSilent(leg.unit))
        if leg not in self._wheel:
            self.kick(leg.unit, now)

    def _agent_upkeep(self, agent: Agent, now: float) -> None:
        agent.feed_silence(now)
        moment = agent.line.next_timer()
        if moment is not None and moment <= now:
            agent.line.on_timer(now)
        self._agent_events.pump(agent, now)
        self._media_over(agent, now)

    def _media_over(self, agent: Agent, now: float) -> None:
        quiet = agent.cord is None or agent.cord.empty
        if agent.speaking and quiet and (agent.closed or now - agent.last_audio >= MEDIA_ENDED):
            agent.speaking = False
            self.send(link.MediaNote("media.ended", agent.unit, agent.cord.sink if agent.cord else ""))

    def _check_playouts(self, now: float) -> None:
        left: list[tuple[str, str, float, float | None]] = []
        for unit, confirm, deadline, over_at in self._playouts:
            leg = self._legs.get(unit)
            agent = self._switch.agent_heard_by(unit)
            heard = leg is None or leg.source is None or leg.source.empty
            if leg is not None and heard and agent is not None:
                heard = agent.over(now, leg.last_sent)
            if heard and over_at is None:
                over_at = (
                    now if leg is None or now - leg.last_sent >= PLAYOUT_MARGIN else leg.last_sent + PLAYOUT_MARGIN
                )
            if now >= deadline or (heard and over_at is not None and now >= over_at):
                self.done(confirm, message="" if heard else f"not heard out within {PLAYOUT_LIMIT:g} s")
            else:
                left.append((unit, confirm, deadline, over_at if heard else None))
        self._playouts = left

    def _close_leg(self, leg: Leg, now: float) -> None:
        if leg.recording is not None:
            self._stop_recording(leg.recording.unit, now)
        utterance = leg.end_voice()
        if utterance is not None:
            self.send(link.Speech(leg.unit, round(utterance[1], 3), utterance[0]))
        leg.farewell(self._packets)
        self._wheel.remove(leg)
        self._gaps.discard(leg)
        self._switch.leg_gone(leg)
        figures = self._figures.setdefault(leg.session, {}).setdefault("legs", {})
        figures[leg.unit.split("/")[1]] = {
            "rtp_samples_sent": leg.samples_sent,
            "packets_received": leg.stats.received,
            "packets_lost": leg.stats.lost,
            "jitter_ms": round(leg.stats.jitter * 1000, 2),
            "strangers": leg.strangers,
            "unreadable": leg.unreadable,
        }
        del self._legs[leg.unit]
        del self._ports[leg.port]
        self.effect(effects.ClosePort(leg.port))

    def _stop_recording(self, unit: str, now: float) -> None:
        held = self._recordings.pop(unit, None)
        if held is None:
            return
        recording, leg_unit = held
        for effect in recording.finish(now):
            self.effect(effect)
        leg = self._legs.get(leg_unit)
        if leg is not None:
            leg.recording = None
        self.send(link.RecordOver(unit, round(recording.seconds(), 3), recording.failed))

    def _end_session(self, session: str, now: float) -> None:
        for agent in [a for a in self._agents.values() if a.session == session]:
            agent.line.close(reason="session completed", now=now)
            self._agent_events.pump(agent, now)
        for leg in [each for each in self._legs.values() if each.session == session]:
            self._close_leg(leg, now)
        for agent in [a for a in self._agents.values() if a.session == session]:
            agent.line.connection_lost("session ended", now)  # no time for the peer's close frame
            self._agent_events.pump(agent, now)
        self._switch.forget(session)
        ledger = tuple(self._past.pop(session, ()))
        self.send(link.SessionClosed(session, ledger, self._figures.pop(session, {})))

    def _drop_all(self, now: float) -> None:
        """The lease ran out, or another control began: no audio, no agents, nothing of the former life."""
        sessions = {leg.session for leg in self._legs.values()} | {a.session for a in self._agents.values()}
        for session in sorted(sessions):
            self._end_session(session, now)
        self._playouts.clear()

    def _stock(self, now: float) -> None:
        free = sum(1 for leg in self._ports.values() if leg is None)
        missing = STOCK - free - self._opening
        if missing > 0:
            self._opening += missing
            self.effect(effects.OpenPorts(missing))

    def _keep_ledger(self, entry: LedgerEntry, session: str) -> None:
        if entry.received:
            self._past.setdefault(session, []).append(entry)

    def _note_replaced(self, source: str, sink: str, by: str) -> None:
        self.send(link.MediaNote("media.replaced", source, sink, by))
