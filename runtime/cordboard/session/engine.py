"""The control engine: SIP datagrams, plane messages, answers of functions and HTTP requests in; effects out.

No socket, no clock, no thread. It finds the session that something concerns and lets it act; what concerns none
(a new call, a plane's death, a former life's dialogs) is decided here.
"""

import ipaddress
import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from cordboard.config.model import Config, Trunk
from cordboard.config.numbers import route_for
from cordboard.contract import link
from cordboard.contract.codec import DecodeError
from cordboard.contract.events import CallAlerting, HttpRequest, SessionStarted
from cordboard.contract.records import CallEnded, DialogRecord
from cordboard.contract.release import Release
from cordboard.sip import events as sip
from cordboard.sip.dialog import DialogState
from cordboard.sip.offer import NotAcceptable
from cordboard.sip.sdp import SdpError
from cordboard.sip.ua import UserAgent
from cordboard.sip.uri import Address

from .control_url import MAX_BODY, ControlKey
from .effects import (
    Effect,
    KillPlane,
    Log,
    ReplyHttp,
    RetainRelease,
    SendPlane,
    SendSip,
    SessionBegan,
    SessionEnded,
)
from .objects import visible
from .planes import Planes
from .services import Services
from .session import Session
from .timeline import Clock
from .timers import Timers

HTTP_HEADERS = ("content-type", "user-agent", "x-request-id", "x-cartesia-call-id")
"""Request headers that handlers see."""

UNKNOWN_LOG_INTERVAL = 10.0
"""Seconds between two log lines about calls from addresses of no trunk (DESIGN §6: rate-limited)."""


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
        control_key: bytes,
        public_url: str,
        media_host: Callable[[Address | None], str] | None = None,
        advertise: Callable[[Address], str] | None = None,
    ) -> None:
        self._config = config
        self._release = release
        self._effects: deque[Effect] = deque()
        self._timers = Timers()
        self._sessions: dict[str, Session] = {}
        self._restored: dict[str, str] = {}
        self._told_unknown = -UNKNOWN_LOG_INTERVAL
        self._unknown = 0
        self.draining = False
        udp = config.sip.udp
        self._ua = UserAgent(address=(udp.host, udp.port), advertise=advertise, rng=rng)
        self._ua.accept = self._accepts
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
            control_key=ControlKey(control_key),
            public_url=public_url.rstrip("/"),
            legs={},
        )
        self._timers.set(now + link.HEARTBEAT, self._beat)

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
        self._planes.connected(index, now)

    def plane_lost(self, index: int, reason: str, now: float) -> None:
        """The link to a plane is gone: its sessions end."""
        self._at(now)
        for session_id in sorted(self._planes.lost(index)):
            session = self._sessions.get(session_id)
            if session is not None:
                session.note("cause", "plane lost", {"plane": index, "reason": reason}, now)
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
        token, _, rest = path.partition("/")
        found = self._services.control_key.verify(token, self._services.clock.at(now).timestamp())
        session = self._sessions.get(found) if found is not None else None
        if session is None or session.ending.terminating:
            self._problem(request, 404, "not_found", "no such session")
            return
        if not session.bucket.take(now):
            self._problem(request, 429, "too_many_requests", "at most 5 a second", {"Retry-After": "1"})
            return
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if method not in ("GET", "POST"):
            self._problem(request, 405, "method_not_allowed", "GET or POST", {"Allow": "GET, POST"})
        elif len(body) > MAX_BODY:
            self._problem(request, 413, "too_large", f"at most {MAX_BODY} bytes")
        elif method == "POST" and body and kind != "application/json":
            self._problem(request, 415, "unsupported_media_type", "send application/json")
        else:
            self._http_event(session, request, method, rest, headers, body, now)
        self._read_ua(now)

    def http_gone(self, request: str, now: float) -> None:
        """The client went away; its event runs all the same."""

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

    def set_release(self, release: Release) -> None:
        """New sessions take this release."""
        self._release = release

    def restore(self, records: Iterable[DialogRecord], now: float) -> None:
        """End every dialog of a former life (DESIGN §1)."""
        ended: dict[str, DialogRecord] = {}
        for record in records:
            try:
                leg = self._ua.restore(DialogState.from_json(str(record.dialog.get("state", ""))), now)
            except ValueError as error:
                self._emit(Log("error", "a dialog on disk cannot be read", {"problem": str(error)}))
                continue
            self._restored[leg] = record.session
            ended[record.session] = record
            self._ua.hangup(leg, now)
        wall = self._services.clock.text(now)
        for session, record in ended.items():
            lost = CallEnded(session, "", "control.lost", "edge", record.started_at or wall, wall, 0.0)
            self._emit(SessionEnded(lost))
        if ended:
            self._emit(Log("warning", "ended the calls of a former life", {"sessions": len(ended)}))
        self._read_ua(now)

    def shutdown(self, now: float) -> None:
        """503 to new calls, BYE to all."""
        self._at(now)
        self.draining = True
        self._ua.refuse_new(503)
        for session in list(self._sessions.values()):
            session.end("edge.shutdown", now)
        self._read_ua(now)

    # --- inside

    def _emit(self, effect: Effect) -> None:
        self._effects.append(effect)
        if isinstance(effect, SessionEnded):
            ended = self._sessions.pop(effect.record.session, None)
            if ended is not None:
                for plane in self._planes.all():
                    plane.sessions.discard(ended.id)

    def _at(self, now: float) -> None:
        for session in self._sessions.values():
            session.at(now)

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
                self._incoming(event, now)
            case sip.Traced():
                self._traced(event, now)
            case sip.Dropped():
                self._dropped(event, now)
            case _:
                session = self._sessions.get(self._services.legs.get(event.leg, ""))
                leg = session.legs.by_sip(event.leg) if session is not None else None
                if session is not None and leg is not None:
                    session.legs.sip_event(event, leg, now)
                elif isinstance(event, (sip.HungUp, sip.Ended, sip.Failed)):
                    self._restored.pop(event.leg, None)

    def _incoming(self, event: sip.IncomingInvite, now: float) -> None:
        """A new call: find its scenario, its plane and its port, or refuse it."""
        refusal = self._place(event, now)
        if refusal is not None:
            code, why = refusal
            self._emit(Log("warning", "call refused", {"code": code, "why": why, "to": event.callee}))
            headers = (("Retry-After", "5"),) if code == 503 else ()
            self._ua.respond(event.leg, code, headers=headers, now=now)

    def _place(self, event: sip.IncomingInvite, now: float) -> tuple[int, str] | None:
        config = self._config
        trunk = self._trunk_of(event.source)
        route = route_for(config, event.callee, trunk.name if trunk is not None else None)
        if route is None:
            return 404, "no [[routes]] entry takes this number"
        if route.scenario not in self._release.scenarios():
            return 500, f"no function of scenario {route.scenario!r} in release {self._release.id}"
        if self._release.route(route.scenario, "call.alerting", "caller") is None:
            return 480, f"no function of {route.scenario!r} listens to call.alerting"
        if len(self._services.legs) >= config.limits.max_calls:
            return 503, f"[limits].max_calls = {config.limits.max_calls}"
        of_route = sum(1 for session in self._sessions.values() if session.figures.get("route") == route.to)
        if route.max_calls is not None and of_route >= route.max_calls:
            return 486, f"max_calls of the route is {route.max_calls}"
        plane = self._planes.choose()
        if plane is None:
            return 503, "no media plane is ready"
        port = self._planes.port(plane.index)
        assert port is not None
        session = Session(self._services, scenario=route.scenario, release=self._release, plane=plane.index, now=now)
        session.figures["route"] = route.to
        plane.sessions.add(session.id)
        self._sessions[session.id] = session
        self._services.legs[event.leg] = session.id
        facts = {
            "scenario": route.scenario,
            "from": event.caller,
            "to": event.callee,
            "started_at": session.started_text,
            "release": self._release.id,
            "plane": plane.index,
            "monotonic": now,
        }
        self._emit(RetainRelease(self._release.id))
        self._emit(SessionBegan(session.id, facts))
        session.note("sip", f"call from {event.caller} to {event.callee}", {"source": f"{event.source[0]}"}, now)
        try:
            session.legs.inbound.incoming(event, port, now)
        except (SdpError, NotAcceptable) as error:
            session.end("caller.refused", now)
            return (400 if isinstance(error, SdpError) else 488), str(error)
        self._begin(session, event, now)
        return None

    def _begin(self, session: Session, event: sip.IncomingInvite, now: float) -> None:
        session.post("session.started", SessionStarted(session.control_url), now)
        data = CallAlerting(
            callerid=event.caller,
            destination=event.callee,
            display_name=event.display_name,
            from_uri=event.from_uri,
            to_uri=event.to_uri,
            headers=visible(event.request.headers),
        )
        session.post("call.alerting", data, now, target="caller", cause="handler.terminate")

    def _trunk_of(self, source: Address) -> Trunk | None:
        try:
            address = ipaddress.ip_address(source[0])
        except ValueError:
            return None
        for trunk in self._config.trunks:
            if any(address in network for network in trunk.identify if network.version == address.version):
                return trunk
        return None

    def _accepts(self, source: Address) -> bool:
        return self._config.sip.accept == "any" or self._trunk_of(source) is not None

    def _traced(self, event: sip.Traced, now: float) -> None:
        session = self._sessions.get(self._services.legs.get(event.leg or "", ""))
        if session is None:
            return
        leg = session.legs.by_sip(event.leg or "")
        arrow = "→" if event.direction == "out" else "←"
        data = {
            "leg": leg.name if leg is not None else "",
            "peer": f"{event.address[0]}:{event.address[1]}",
            "text": event.data.decode("utf-8", "replace"),
            **({"retransmission": True} if event.retransmission else {}),
        }
        session.note("sip", f"{arrow} {event.summary}", data, now)

    def _dropped(self, event: sip.Dropped, now: float) -> None:
        if event.reason != "unknown_source":
            return
        self._unknown += 1
        if now - self._told_unknown >= UNKNOWN_LOG_INTERVAL:
            self._told_unknown = now
            host = event.source[0]
            hint = f'to accept it add to a [[trunks]] entry: identify = ["{host}/32"]'
            self._emit(
                Log("warning", f"dropped a call from {host}, of no trunk", {"count": self._unknown, "hint": hint})
            )

    def _http_event(
        self,
        session: Session,
        request: str,
        method: str,
        rest: str,
        headers: Mapping[str, str],
        body: bytes,
        now: float,
    ) -> None:
        try:
            content = body.decode() if method == "POST" else ""
        except UnicodeDecodeError:
            self._problem(request, 400, "bad_request", "the body is not UTF-8")
            return
        data = HttpRequest(
            method=method,
            path=f"/{rest}",
            headers={name: headers[name] for name in HTTP_HEADERS if name in headers},
            content=content,
            verb=rest.partition("/")[0] or None,
        )
        session.request_came(request, now)
        session.note("http", f"{method} control URL", {"verb": data.verb, "bytes": len(body)}, now)
        if not session.post("http.request", data, now, request=request):
            session.problem(request, 404, "not_found", "the scenario does not listen to http.request", now)

    def _problem(
        self, request: str, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        body = f'{{"title": "{code}", "status": {status}, "code": "{code}", "detail": "{detail}"}}'.encode()
        merged = {"Content-Type": "application/problem+json", "Cache-Control": "no-store", **(headers or {})}
        self._emit(ReplyHttp(request, status, body, merged))

    def _session_of(self, message: Any) -> Session | None:
        for name in ("session", "leg", "agent", "recording", "source", "confirm"):
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
                session.recording_over(message, now)
            case link.PlaneNote():
                session.note(message.kind, message.what, message.data, message.at or now)
            case link.SessionClosed():
                session.closed(message.ledger, message.figures, now)
            case _:
                pass

    def _beat(self, now: float) -> None:
        self._timers.set(now + link.HEARTBEAT, self._beat)
        for plane in self._planes.beat(now):
            self._emit(KillPlane(plane.index, plane.pid))
            self.plane_lost(plane.index, f"no message for {self._config.edge.lease:g} s", now)
        for session in list(self._sessions.values()):
            session.check_unbridged(now)
