"""New calls: from whom, to which scenario, on which plane; or the status that refuses them."""

import ipaddress

from cordboard.config.model import Trunk
from cordboard.config.numbers import route_for
from cordboard.contract.events import CallAlerting, SessionStarted
from cordboard.contract.release import Release
from cordboard.sip import events as sip
from cordboard.sip.offer import NotAcceptable
from cordboard.sip.sdp import SdpError
from cordboard.sip.uri import Address

from .effects import Log, RetainRelease, SessionBegan
from .inbound import describe
from .objects import visible
from .services import Services
from .session import Session

UNKNOWN_LOG_INTERVAL = 10.0
"""Seconds between two log lines about calls from addresses of no trunk (DESIGN §6: rate-limited)."""


class Intake:
    """Lets calls in."""

    def __init__(self, services: Services, sessions: dict[str, Session], release: Release) -> None:
        self._services = services
        self._config = services.config
        self._sessions = sessions
        self.release = release
        """What new sessions take."""
        self._told_unknown = -UNKNOWN_LOG_INTERVAL
        self._unknown = 0

    def invited(self, event: sip.IncomingInvite, now: float) -> None:
        """A new call: find its scenario, its plane and its port, or refuse it."""
        refusal = self._place(event, now)
        if refusal is not None:
            code, why = refusal
            self._services.emit(Log("warning", "call refused", {"code": code, "why": why, "to": event.callee}))
            headers = (("Retry-After", "5"),) if code == 503 else ()
            self._services.ua.respond(event.leg, code, headers=headers, now=now)

    def _place(self, event: sip.IncomingInvite, now: float) -> tuple[int, str] | None:
        config = self._config
        trunk = self._trunk_of(event.source)
        route = route_for(config, event.callee, trunk.name if trunk is not None else None)
        if route is None:
            return 404, "no [[routes]] entry takes this number"
        if route.scenario not in self.release.scenarios():
            return 500, f"no function of scenario {route.scenario!r} in release {self.release.id}"
        if self.release.route(route.scenario, "call.alerting", "caller") is None:
            return 480, f"no function of {route.scenario!r} listens to call.alerting"
        if len(self._sessions) >= config.limits.max_calls:
            return 503, f"[limits].max_calls = {config.limits.max_calls}"
        routed = sum(1 for session in self._sessions.values() if session.route is route)
        if route.max_calls is not None and routed >= route.max_calls:
            return 486, f"max_calls of the route is {route.max_calls}"
        if trunk is not None and trunk.max_calls is not None and self._services.over_trunk(trunk) >= trunk.max_calls:
            return 486, f"max_calls of trunk {trunk.name!r} is {trunk.max_calls}"
        plane = self._services.planes.choose()
        if plane is None:
            return 503, "no media plane is ready"
        local = self._services.local_media(event.source, plane.ports[0], trunk)
        try:
            described = describe(event.sdp, local)
        except SdpError as error:
            return 400, str(error)
        except NotAcceptable as error:
            return 488, str(error)
        self._services.planes.port(plane.index)  # it is taken only now: a refused call costs no port
        session = Session(
            self._services, scenario=route.scenario, release=self.release, plane=plane.index, now=now, route=route
        )
        session.figures["route"] = route.to
        plane.sessions.add(session.id)
        self._sessions[session.id] = session
        facts = {
            "scenario": route.scenario,
            "from": event.caller,
            "to": event.callee,
            "started_at": session.started_text,
            "release": self.release.id,
            "plane": plane.index,
            "monotonic": now,
        }
        self._services.emit(RetainRelease(self.release.id))
        self._services.emit(SessionBegan(session.id, facts))
        session.note("sip", f"call from {event.caller} to {event.callee}", {"source": f"{event.source[0]}"}, now)
        session.legs.inbound.incoming(event, local, described, trunk.name if trunk is not None else None, now)
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

    def accepts(self, source: Address) -> bool:
        """Whether requests outside a dialog are taken from there."""
        return self._config.sip.accept == "any" or self._trunk_of(source) is not None

    def dropped(self, event: sip.Dropped, now: float) -> None:
        """Say, not too often, that an address of no trunk tried, and what would let it in."""
        if event.reason != "unknown_source":
            return
        self._unknown += 1
        if now - self._told_unknown >= UNKNOWN_LOG_INTERVAL:
            self._told_unknown = now
            host = event.source[0]
            hint = f'to accept it add to a [[trunks]] entry: identify = ["{host}/{128 if ":" in host else 32}"]'
            self._services.emit(
                Log("warning", f"dropped a call from {host}, of no trunk", {"count": self._unknown, "hint": hint})
            )
