"""The legs of a plane: link messages, what their peers send, upkeep and end."""

from collections.abc import Callable
from typing import Any

from cordboard.contract import link
from cordboard.media.dtmf import DIGITS, InvalidDigit

from . import effects
from .agents import Agents
from .board import Board
from .effects import Address
from .leg import SILENT_AGAIN, Leg
from .recordings import Recordings
from .switch import RouteRefused

STOCK = 8
"""RTP port pairs kept open: more calls than arrive in the time a pair takes to open (well under 1 ms)."""


class Legs:
    """Makes legs, spreads what they hear, ends them."""

    def __init__(self, board: Board, agents: Agents, recordings: Recordings) -> None:
        self._board = board
        self._agents = agents
        self._recordings = recordings
        self._ports: dict[int, Leg | None] = {}
        """RTP port → its leg, or None while in stock."""
        self._opening = 0
        self._gaps: set[Leg] = set()
        """Legs whose jitter buffer waits for a packet."""
        self.handlers: dict[type, Callable[[Any, float], None]] = {
            link.LegMedia: self._media,
            link.LegClose: self._close,
            link.LegFallback: self._fallback,
            link.LegDigits: self._digits,
            link.LegInfoDigit: self._info_digit,
            link.LegGather: self._gather,
            link.LegGatherEnd: self._gather_end,
            link.Route: self._route,
            link.Unroute: self._unroute,
        }
        self._stock()

    # --- ports

    @property
    def stock(self) -> tuple[int, ...]:
        """Open ports that no leg has."""
        return tuple(port for port, leg in self._ports.items() if leg is None)

    def port_opened(self, port: int) -> None:
        """A port pair is open."""
        self._ports[port] = None
        self._opening -= 1
        self._board.send(link.Ports((port,)))

    def ports_refused(self, count: int) -> None:
        """So many pairs could not be opened; it is tried again when a leg's pair has been given back."""
        self._opening -= count

    # --- the network's side

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

    # --- time

    def check_gaps(self, now: float) -> None:
        """Jitter buffers that wait for a packet are looked at in every tick."""
        for leg in list(self._gaps):
            self._check_gap(leg, now)

    def upkeep(self, leg: Leg, now: float) -> None:
        """Each 100 ms: keep-alive, reports, a recording's block, a peer that vanished."""
        leg.upkeep(now, self._board.packets, self._board.switch.keep_alive_cord(leg))
        self._recordings.upkeep(leg, now)
        if (
            leg.media.answered
            and leg.media.direction in ("sendrecv", "recvonly")
            and not leg.media.on_hold
            and now >= leg.report_silence_at
        ):
            leg.report_silence_at = now + SILENT_AGAIN
            self._board.send(link.LegSilent(leg.unit))
        self._board.kick(leg.unit, now)

    # --- link messages

    def _media(self, message: link.LegMedia, now: float) -> None:
        board = self._board
        leg = board.legs.get(message.leg)
        if leg is None:
            if self._ports.get(message.port, self) is not None:
                board.fail(message.confirm, "no_port", f"port {message.port} is not in stock")
                return
            leg = Leg(message.leg, message.port, board.rng, now, board.wall)
            board.legs[message.leg] = leg
            self._ports[message.port] = leg
            self._stock()
        elif message.port != leg.port:
            board.fail(message.confirm, "invalid", f"the leg lives on port {leg.port}")
            return
        leg.set_media(message, now)
        board.switch.form_changed(leg)
        if leg.holds and leg.cord is not None:
            leg.cord.discard("hold")
        board.kick(leg.unit, now)
        board.done(message.confirm)

    def _close(self, message: link.LegClose, now: float) -> None:
        leg = self._board.legs.get(message.leg)
        if leg is not None:
            self._end(leg, now)

    def _fallback(self, message: link.LegFallback, now: float) -> None:
        leg = self._board.legs.get(message.leg)
        if leg is None:
            return  # it ended meanwhile
        try:
            self._board.switch.set_fallback(leg, message.source)
        except RouteRefused as error:
            self._refused(leg.session, error, now)
            return
        self._board.kick(leg.unit, now)

    def _digits(self, message: link.LegDigits, now: float) -> None:
        try:
            if self._board.send_digits(message.leg, message.digits, now):
                self._board.done(message.confirm)
            else:
                self._board.fail(message.confirm, "refused", "the peer has not negotiated telephone-event")
        except InvalidDigit as error:
            self._board.fail(message.confirm, "invalid", str(error))

    def _info_digit(self, message: link.LegInfoDigit, now: float) -> None:
        leg = self._board.legs.get(message.leg)
        if leg is None:
            return
        if len(message.digit) != 1 or message.digit not in DIGITS:
            self._board.note(leg.session, "media", "no digit in INFO", {}, now)
        elif leg.info_digit(message.digit, now):
            self._digit(leg, message.digit, "info", now)

    def _gather(self, message: link.LegGather, now: float) -> None:
        leg = self._board.legs.get(message.leg)
        if leg is None:
            self._board.fail(message.confirm, "object_ended", "the leg is over")
            return
        leg.gathered.begin(message, now)
        if message.secret:
            self._recordings.withhold(leg, now)
        self._board.done(message.confirm)

    def _gather_end(self, message: link.LegGatherEnd, now: float) -> None:
        leg = self._board.legs.get(message.leg)
        if leg is not None:
            leg.gathered.end(message.gather, now)
        self._board.done(message.confirm)

    def _route(self, message: link.Route, now: float) -> None:
        try:
            self._board.switch.route(message.source, message.sink)
        except RouteRefused as error:
            self._refused(message.sink.split("/", 1)[0], error, now)
            return
        self._board.kick(message.sink, now)

    def _unroute(self, message: link.Unroute, now: float) -> None:
        self._board.switch.unroute(message.source, message.sink, "unbridged")
        self._board.kick(message.sink, now)  # its fallback

    # --- inside

    def _refused(self, session: str, error: RouteRefused, now: float) -> None:
        self._board.note(session, "media", "route refused", {"problem": str(error)}, now)

    def _heard(self, leg: Leg, frames: list[bytes], now: float) -> None:
        """Audio of a leg's peer goes to whoever hears it."""
        board = self._board
        if not leg.audible:
            leg.audible = True
            board.send(link.LegAudible(leg.unit))
        self._spoke(leg, leg.voice(frames, now))
        withheld = leg.gathered.withheld(now)
        for agent in board.switch.agents_hearing(leg.unit):
            if not leg.media.on_hold and not withheld:
                self._agents.hear(agent, frames, now)
            elif agent.ear is not None:  # it is fed silence
                agent.ear.refuse(b"".join(frames), "", "hold" if leg.media.on_hold else "dtmf")
        for cord in board.switch.cords_from_leg(leg.unit):
            sink = board.legs[cord.sink]
            for frame in frames:
                if sink.holds:
                    cord.refuse(frame, "", "hold")
                elif withheld:
                    cord.refuse(frame, "", "dtmf")
                elif sink.cord is not cord:
                    cord.refuse(frame, "", "unbridged")  # early media behind a source
                else:
                    cord.push(frame, now)
            board.kick(cord.sink, now)

    def _digit(self, leg: Leg, digit: str, method: str, now: float) -> None:
        """A digit, counted once: to control, and unless it is a gather's to the agents and legs that hear the leg."""
        gather, last = leg.gathered.take(digit, now)
        self._board.send(link.LegDigit(leg.unit, digit, gather, last))
        if gather:
            return
        for agent in self._board.switch.agents_hearing(leg.unit):
            self._agents.digit(agent, digit, method, now)
        for cord in self._board.switch.cords_from_leg(leg.unit):
            self._board.pass_digit(cord.sink, digit, now)

    def _check_gap(self, leg: Leg, now: float) -> None:
        moment = leg.jitter_timer()
        if moment is None:
            self._gaps.discard(leg)
            return
        self._gaps.add(leg)
        if moment <= now and (frames := leg.frames_ready(now)):
            self._heard(leg, frames, now)

    def _spoke(self, leg: Leg, utterance: tuple[float, float] | None) -> None:
        if utterance is not None:
            self._board.send(link.Speech(leg.unit, round(utterance[1], 3), utterance[0]))

    def _end(self, leg: Leg, now: float) -> None:
        board = self._board
        if leg.recording is not None:
            self._recordings.stop(leg.recording.unit, now)
        self._spoke(leg, leg.end_voice())
        leg.farewell(board.packets)
        board.wheel.remove(leg)
        self._gaps.discard(leg)
        board.switch.leg_gone(leg)
        figures = board.figures.setdefault(leg.session, {}).setdefault("legs", {})
        figures[leg.name] = {
            "rtp_samples_sent": leg.samples_sent,
            "packets_received": leg.stats.received,
            "packets_lost": leg.stats.lost,
            "jitter_ms": round(leg.stats.jitter * 1000, 2),
            "strangers": leg.strangers,
            "unreadable": leg.unreadable,
        }
        del board.legs[leg.unit]
        del self._ports[leg.port]
        board.effect(effects.ClosePort(leg.port))
        self._stock()

    def end_session(self, session: str, now: float) -> None:
        """End all legs of a session."""
        for leg in [each for each in self._board.legs.values() if each.session == session]:
            self._end(leg, now)

    def _stock(self) -> None:
        missing = STOCK - len(self.stock) - self._opening
        if missing > 0:
            self._opening += missing
            self._board.effect(effects.OpenPorts(missing))
