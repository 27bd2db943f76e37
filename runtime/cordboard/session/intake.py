"""New sessions: a call's, from whom, to which scenario, on which plane, or the status that refuses it; or one that an
operator starts without a call (VoxEngine's StartScenarios)."""

import ipaddress
from collections.abc import Mapping
from typing import Any, Literal

from cordboard.config.model import Route, Trunk
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
from .planes import Plane
from .services import Services
from .session import Session

UNKNOWN_LOG_INTERVAL = 10.0
"""Seconds between two log lines about calls from addresses of no trunk (DESIGN §6: rate-limited)."""

StartProblem = Literal["unknown_scenario", "not_startable", "full", "no_plane", "draining"]


class StartRefused(Exception):
    """A session that is not started."""

    def __init__(self, problem: StartProblem, detail: str) -> None:
        super().__init__(detail)
        self.problem = problem
        """What kind of reason."""
        self.detail = detail
        """Text for whoever asked."""


class Intake:
    """Lets calls in, and sessions begin."""

    def __init__(self, services: Services, sessions: dict[str, Session], release: Release) -> None:
        self._services = services
        self._config = services.config
        self._sessions = sessions
        self.release = release
        """What new sessions take."""
        self.draining = False
        """No session begins any more."""
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
        session = self._new(route.scenario, plane, now, route=route, facts={"from": event.caller, "to": event.callee})
        session.figures["route"] = route.to
        session.note("sip", f"call from {event.caller} to {event.callee}", {"source": f"{event.source[0]}"}, now)
        session.legs.inbound.incoming(event, local, described, trunk.name if trunk is not None else None, now)
        self._begin(session, event, now)
        return None

    def start(self, scenario: str, custom_data: Mapping[str, Any], now: float) -> Session:
        """A session without a call: its handler of session.started dials. Raises StartRefused."""
        release, limits = self.release, self._config.limits
        if scenario not in release.scenarios():
            there = ", ".join(sorted(release.scenarios())) or "none"
            raise StartRefused("unknown_scenario", f"no function is of scenario {scenario!r}; scenarios there: {there}")
        if release.route(scenario, "session.started", None) is None:
            detail = f"{scenario!r} does not listen to session.started (AppEvents.Started): nothing would be dialled"
            raise StartRefused("not_startable", detail)
        if self.draining:
            raise StartRefused("draining", "the edge is stopping")
        if len(self._sessions) >= limits.max_calls:
            raise StartRefused("full", f"[limits].max_calls = {limits.max_calls}")
        plane = self._services.planes.choose()
        if plane is None:
            raise StartRefused("no_plane", "no media plane is ready")
        session = self._new(scenario, plane, now, custom_data=custom_data)
        session.post("session.started", SessionStarted(session.control_url, custom_data), now)
        session.next_turn(now)
        return session

    def _new(
        self,
        scenario: str,
        plane: Plane,
        now: float,
        *,
        route: Route | None = None,
        custom_data: Mapping[str, Any] | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> Session:
        session = Session(
            self._services,
            scenario=scenario,
            release=self.release,
            plane=plane.index,
            now=now,
            custom_data=custom_data,
            route=route,
        )
        plane.sessions.add(session.id)
        self._sessions[session.id] = session
        told = {
            "scenario": scenario,
            "started_at": session.started_text,
            "release": self.release.id,
            "plane": plane.index,
            "monotonic": now,
        }
        self._services.emit(RetainRelease(self.release.id))
        self._services.emit(SessionBegan(session.id, {**told, **(facts or {})}))
        return session

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
