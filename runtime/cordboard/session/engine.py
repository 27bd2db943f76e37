"""The control engine: SIP datagrams, plane messages, answers of functions and HTTP requests in; effects out.

No socket, no clock, no thread. It finds the session that something concerns and lets it act; what concerns none
(a new call, a plane's death, a former life's dialogs) is decided here.
"""

import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from cordboard.config.model import Config
from cordboard.contract import link
from cordboard.contract.call_record import CallEnded, DialogRecord
from cordboard.contract.codec import DecodeError
from cordboard.contract.release import Release
from cordboard.sip import events as sip
from cordboard.sip.dialog import DialogState
from cordboard.sip.message import Request, make_response
from cordboard.sip.parser import MessageError
from cordboard.sip.parser import parse as parse_message
from cordboard.sip.ua import UserAgent
from cordboard.sip.uri import Address

from .control_requests import ControlRequests
from .control_url import ControlKeys
from .effects import (
    Effect,
    KillPlane,
    Log,
    SendPlane,
    SendSip,
    SessionEnded,
)
from .intake import Intake
from .operations import Operations
from .planes import Planes
from .request_signature import RequestSignatures
from .services import Services
from .session import Session
from .timeline import Clock
from .timers import Timers

T = TypeVar("T")


class ControlEngine:
    """Everything that control decides."""

    def __init__(
        self,
        *,
        config: Config,
        release: Release,
        resolve_secret: Callable[[str], tuple[str, str]],
        rng: random.Random,
        now: float,
        started_at: datetime,
        life: str,
        control_keys: Sequence[bytes],
        public_url: str,
        request_key: bytes | None = None,
        media_host: Callable[[Address | None], str] | None = None,
        advertise: Callable[[Address], str] | None = None,
    ) -> None:
        self._config = config
        self._effects: deque[Effect] = deque()
        self._timers = Timers()
        self._sessions: dict[str, Session] = {}
        self._restored: dict[str, str] = {}
        self.draining = False
        udp = config.sip.udp
        self._ua = UserAgent(address=(udp.host, udp.port), advertise=advertise, rng=rng)
        self._planes = Planes(lambda index, line: self._emit(SendPlane(index, line)), life, config.edge.lease)
        self._services = Services(
            config=config,
            ua=self._ua,
            planes=self._planes,
            timers=self._timers,
            clock=Clock(started_at, now),
            rng=rng,
            emit=self._emit,
            resolve_secret=resolve_secret,
            media_host=media_host or (lambda peer: udp.host),
            request_signatures=None if request_key is None else RequestSignatures(request_key),
            control_keys=ControlKeys(control_keys),
            public_url=public_url.rstrip("/"),
            legs={},
            traced={},
            trunk_of={},
        )
        self._intake = Intake(self._services, self._sessions, release)
        self._ua.accept = self._intake.accepts
        self._requests = ControlRequests(self._services, self._sessions)
        self._operations = Operations(self._services, self._sessions, self._intake)
        self._came: list[sip.Traced] = []
        """The last INVITE and its 100, traced before the session that they begin is there."""
        self._beat_at = now + link.HEARTBEAT
        self._timers.set(self._beat_at, self._beat)

    # --- what the shell asks

    @property
    def live(self) -> int:
        """Sessions that are not over, and dialogs of a former life that are being ended."""
        return len(self._sessions) + len(self._restored)

    @property
    def ready(self) -> bool:
        """A call would be accepted now."""
        return self._planes.ready and not self.draining

    def next_timer(self) -> float | None:
        """When `on_timer` has something to do."""
        due = [moment for moment in (self._timers.next(), self._ua.next_timer()) if moment is not None]
        return min(due, default=None)

    def on_timer(self, now: float) -> None:
        """Everything that is due."""
        self._at(now)
        self._timers.run(now)
        self._ua.on_timer(now)
        self._read_ua(now)

    def next_effect(self) -> Effect | None:
        """The oldest effect; drain after every call."""
        return self._effects.popleft() if self._effects else None

    # --- in

    def receive_datagram(self, data: bytes, source: Address, now: float) -> None:
        """A SIP datagram."""
        self._at(now)
        self._ua.receive_datagram(data, source, now)
        self._read_ua(now)

    def plane_connected(self, index: int, now: float) -> None:
        """The link to a plane is up."""
        self._at(now)
        if self._planes.known(index):
            self.plane_lost(index, "linked again", now)
        self._planes.connected(index, now)

    def plane_lost(self, index: int, reason: str, now: float) -> None:
        """The link to a plane is gone: its sessions end."""
        self._at(now)
        for session_id in sorted(self._planes.lost(index)):
            session = self._sessions.get(session_id)
            if session is not None:
                session.note("cause", "plane lost", {"plane": index, "reason": reason}, now)
                session.plane_lost = True
                session.end("plane.lost", now)
        self._emit(Log("warning", "media plane lost", {"plane": index, "reason": reason}))
        self._read_ua(now)

    def receive_link(self, index: int, line: bytes, now: float) -> None:
        """A line of a plane."""
        self._at(now)
        try:
            message = link.from_line(line)
        except DecodeError as error:
            self._emit(Log("error", "unreadable message of a media plane", {"plane": index, "problem": str(error)}))
            return
        self._planes.heard(index, message, now)
        session = self._session_of(message)
        if session is not None:
            self._tell(session, message, now)
        self._read_ua(now)

    def receive_http(
        self, request: str, method: str, path: str, headers: Mapping[str, str], body: bytes, now: float
    ) -> None:
        """A request to `/control/` + `path`. The token is checked before all else (HANDLERS §2.3)."""
        self._at(now)
        self._requests.receive(request, method, path, headers, body, now)
        self._read_ua(now)

    def http_gone(self, request: str, now: float) -> None:
        """The client went away; its event runs all the same."""

    def operate(self, act: Callable[[Operations], T], now: float) -> T:
        """What an operator asks for; raises what `act` does."""
        self._at(now)
        try:
            return act(self._operations)
        finally:
            self._read_ua(now)

    def turn_answered(self, token: str, answer: Mapping[str, Any], now: float) -> None:
        """A function answered."""
        self._at(now)
        session = self._sessions.get(token.split(":", 1)[0])
        if session is not None:
            session.turns.answered(token, answer, now)
        self._read_ua(now)

    def turn_failed(self, token: str, kind: str, message: str, now: float) -> None:
        """A function brought no answer: timeout, crashed, raised, too_large, no_such_function."""
        self._at(now)
        session = self._sessions.get(token.split(":", 1)[0])
        if session is not None:
            session.turns.lost(token, kind, message, now)
        self._read_ua(now)

    def fetched(self, token: str, status: int, body: bytes, now: float) -> None:
        """An HTTP request was answered."""
        self._at(now)
        session = self._sessions.get(token.partition("#")[0])
        if session is not None:
            session.fetched(token, status, body, now)
        self._read_ua(now)

    def fetch_failed(self, token: str, reason: str, now: float) -> None:
        """An HTTP request got no answer: refused, timed out, too large."""
        self.fetched(token, 0, reason.encode(), now)

    def prompt_ready(self, request: str, path: str, now: float) -> None:
        """Sounds are ready in a file."""
        self._at(now)
        session = self._sessions.get(request.partition("#")[0])
        if session is not None:
            session.players.prepared(request, path, now)
        self._read_ua(now)

    def prompt_failed(self, request: str, reason: str, now: float) -> None:
        """Sounds could not be made ready."""
        self._at(now)
        session = self._sessions.get(request.partition("#")[0])
        if session is not None:
            session.players.not_prepared(request, reason, now)
        self._read_ua(now)

    def set_release(self, release: Release) -> None:
        """New sessions take this release."""
        self._intake.release = release

    def restore(self, records: Iterable[DialogRecord], now: float) -> None:
        """End every dialog of a former life (DESIGN §1)."""
        ended: dict[str, DialogRecord] = {}
        for record in records:
            ended.setdefault(record.session, record)
            if "invite" in record.dialog:
                self._refuse_orphan(record)
                continue
            try:
                leg = self._ua.restore(DialogState.from_json(str(record.dialog.get("state", ""))), now)
            except ValueError as error:
                self._emit(Log("error", "a dialog on disk cannot be read", {"problem": str(error)}))
                continue
            self._restored[leg] = record.session
            self._ua.hangup(leg, now)
        wall = self._services.clock.text(now)
        for session, record in ended.items():
            lost = CallEnded(session, "", "control.lost", "edge", record.started_at or wall, wall, 0.0)
            self._emit(SessionEnded(lost))
        if ended:
            self._emit(Log("warning", "ended the calls of a former life", {"sessions": len(ended)}))
        self._read_ua(now)

    def send_failed(self, address: Address, now: float) -> None:
        """Nothing can be sent to an address (its name is not found): what was begun there fails at once."""
        self._at(now)
        self._ua.transport_failed(address, now)
        self._read_ua(now)

    def shutdown(self, now: float) -> None:
        """503 to new calls, BYE to all."""
        self._at(now)
        self.draining = self._intake.draining = True
        self._ua.refuse_new(503)
        for session in list(self._sessions.values()):
            session.end("edge.shutdown", now)
        self._read_ua(now)

    # --- inside

    def _refuse_orphan(self, record: DialogRecord) -> None:
        """A caller of a former life still hears ringing: 503 to its INVITE."""
        try:
            request = parse_message(str(record.dialog["invite"]).encode("utf-8", "surrogateescape"))
            host, port = record.dialog["source"]
            address = str(host), int(port)
        except (MessageError, KeyError, TypeError, ValueError) as error:
            self._emit(Log("error", "an unanswered call on disk cannot be read", {"problem": str(error)}))
            return
        if isinstance(request, Request):
            response = make_response(request, 503, to_tag=self._services.identifier())
            self._emit(SendSip(response.to_bytes(), address))

    def _emit(self, effect: Effect) -> None:
        self._effects.append(effect)
        if isinstance(effect, SessionEnded):
            ended = self._sessions.pop(effect.record.session, None)
            if ended is not None:
                for plane in self._planes.all():
                    plane.sessions.discard(ended.id)
                for leg in ended.legs.all():
                    self._services.traced.pop(leg.sip, None)

    def _at(self, now: float) -> None:
        self._services.now = now

    def _read_ua(self, now: float) -> None:
        while (event := self._ua.next_event()) is not None:
            self._sip_event(event, now)
        for data, address in self._ua.data_to_send(now):
            self._emit(SendSip(data, address))
        while (event := self._ua.next_event()) is not None:  # what was traced while sending
            self._sip_event(event, now)

    def _sip_event(self, event: sip.Event, now: float) -> None:
        match event:
            case sip.IncomingInvite():
                self._intake.invited(event, now)
                came, self._came = self._came, []
                for traced in came:
                    self._traced(traced, now)
            case sip.Traced():
                self._traced(event, now)
            case sip.Dropped():
                self._intake.dropped(event, now)
            case _:
                session = self._sessions.get(self._services.legs.get(event.leg, ""))
                leg = session.legs.by_sip(event.leg) if session is not None else None
                if session is not None and leg is not None:
                    session.legs.sip_event(event, leg, now)
                elif isinstance(event, (sip.HungUp, sip.Ended, sip.Failed)):
                    self._restored.pop(event.leg, None)

    def _traced(self, event: sip.Traced, now: float) -> None:
        session = self._sessions.get(self._services.traced.get(event.leg or "", ""))
        if session is None:
            self._came = [*(each for each in self._came[-3:] if each.leg == event.leg), event]
            return
        leg = session.legs.by_sip(event.leg or "")
        arrow = "→" if event.direction == "out" else "←"
        text = event.data.decode("utf-8", "replace")
        if leg is not None and leg.secret_keys and text.startswith("INFO "):
            text = text.partition("\r\n\r\n")[0]  # its body may be a key, also when it comes again
        data = {
            "leg": leg.name if leg is not None else "",
            "peer": f"{event.address[0]}:{event.address[1]}",
            "text": text,
            **({"retransmission": True} if event.retransmission else {}),
        }
        session.note("sip", f"{arrow} {event.summary}", data, now)

    def _session_of(self, message: Any) -> Session | None:
        for name in ("session", "leg", "agent", "player", "recording", "source", "confirm"):
            unit = getattr(message, name, None)
            if isinstance(unit, str):
                return self._sessions.get(unit.partition("/")[0].partition("#")[0])
        return None

    def _tell(self, session: Session, message: Any, now: float) -> None:
        match message:
            case link.Done():
                session.done(message, now)
            case link.AgentSaid():
                session.agents.said(message, now)
            case link.AgentGone():
                session.agents.gone(message, now)
            case link.PlayerSaid():
                session.players.said(message, now)
            case link.LegDigit():
                session.legs.digit(message, now)
            case link.LegSilent():
                session.legs.silent(message, now)
            case link.LegAudible():
                session.note("media", f"first RTP of {message.leg.partition('/')[2]}", {}, now)
            case link.MediaNote():
                session.agents.media(message, now)
            case link.Speech():
                name = message.leg.partition("/")[2]
                session.transcript.spoke(name, message.seconds, message.began)
            case link.TurnCut():
                session.agents.cut(message)
            case link.RecordOver():
                session.recordings.over(message, now)
            case link.PlaneNote():
                session.note(message.kind, message.what, message.data, message.at or now)
            case link.SessionClosed():
                session.closed(message.ledger, message.figures, now)
            case _:
                pass

    def _beat(self, now: float) -> None:
        late, self._beat_at = max(0.0, now - self._beat_at), now + link.HEARTBEAT
        self._timers.set(self._beat_at, self._beat)
        for plane in self._planes.beat(now, late):
            self._emit(KillPlane(plane.index, plane.pid))
            self.plane_lost(plane.index, f"no message for {self._config.edge.lease:g} s", now)
        for session in list(self._sessions.values()):
            session.check_unbridged(now)
