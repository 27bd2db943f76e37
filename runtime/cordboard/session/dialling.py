"""Outbound legs: whether they may be dialled, over which trunk, and what becomes of them."""

from typing import TYPE_CHECKING

from cordboard.config.model import Trunk
from cordboard.config.numbers import dial_allowed, outbound_for, read_target
from cordboard.contract import commands
from cordboard.contract.events import CallFailed, CallProgress
from cordboard.sip import events as sip
from cordboard.sip.offer import NotAcceptable, accept_answer, offer
from cordboard.sip.sdp import SdpError
from cordboard.sip.uri import Address

from .objects import Leg, visible
from .steps import Step

if TYPE_CHECKING:
    from .legs import Legs
    from .session import Session


CANCEL_LIMIT = 2.0
"""Seconds that a leg which rang too long may take to be cancelled before its handler is told: a CANCEL waits for a
provisional response, which a dead host never sends (RFC 3261 §9.1)."""


class Refusal(Exception):
    """A leg that is not dialled; becomes call.failed with this code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Dialling:
    """Dials for one session."""

    def __init__(self, session: "Session", legs: "Legs") -> None:
        self._session = session
        self._legs = legs

    def dial(self, step: Step, args: commands.CallDial, now: float) -> None:
        """Dial; the outcome is call.connected or call.failed of the name, never the command's."""
        name = step.command.target or ""
        if not self._session.name_is_free(step, name):
            return
        step.done({"name": name})
        self.place(name, args, now)

    def place(self, name: str, args: commands.CallDial, now: float) -> Leg:
        """Dial; a leg that is over already was refused."""
        leg = Leg(
            name=name,
            unit=self._legs.unit_for(name),
            sip="",
            incoming=False,
            port=0,
            local=None,
            number=args.to,
            callerid=args.callerid,
            display_name=args.display_name,
            client_type="sip" if args.to.lower().startswith(("sip:", "sips:")) else "pstn",
            began=now,
        )
        try:
            self._send_invite(leg, args, now)
        except Refusal as refusal:
            self._refused(leg, refusal, now)
        else:
            self._legs.cords.update_fallbacks(now)
        return leg

    def _send_invite(self, leg: Leg, args: commands.CallDial, now: float) -> None:
        """Raises Refusal."""
        session, services = self._session, self._session.services
        config = services.config
        if not dial_allowed(config, args.to):
            raise Refusal(403, f"{args.to} is not in [dial].allow, or is in [dial].deny")
        dialled = sum(1 for each in self._legs.all() if not each.incoming and each.sip)
        if dialled >= config.dial.max_per_call:
            raise Refusal(403, f"a session may dial {config.dial.max_per_call} legs ([dial].max_per_call)")
        to, host, destination, trunk = self._whither(args)
        if trunk is not None and trunk.max_calls is not None and services.over_trunk(trunk) >= trunk.max_calls:
            raise Refusal(503, f"trunk {trunk.name!r} has {trunk.max_calls} calls (its max_calls)")
        port = services.planes.port(session.plane)
        if port is None:
            raise Refusal(503, "the media plane has no open port in stock")
        leg.port = port
        leg.local = services.local_media(destination, port, trunk)
        leg.trunk = trunk.name if trunk is not None else None
        self._legs.add(leg)
        self._legs.cords.send_media(leg, now)
        headers = list(args.headers.items())
        called = next((each.number for each in self._legs.all() if each.incoming), "")
        if args.follow_diversion and called:
            headers.append(("Diversion", f"<sip:{called}@{host}>;reason=unconditional"))
        user = args.callerid or "anonymous"
        ours = f"[{leg.local.host}]" if ":" in leg.local.host else leg.local.host
        try:
            leg.sip = services.ua.invite(
                to=to,
                from_=f"sip:{user}@{ours}",
                sdp=offer(leg.local),
                now=now,
                destination=destination,
                headers=headers,
                display_name=args.display_name,
            )
        except ValueError as error:
            raise Refusal(400, str(error)) from error
        self._legs.register(leg)
        state = services.ua.dialog(leg.sip)
        leg.call_id = state.call_id if state is not None else ""
        self._legs.keep_dialog(leg, now)
        leg.no_answer = services.timers.set(now + args.timeout, lambda at: self._timed_out(leg, at))

    def _whither(self, args: commands.CallDial) -> tuple[str, str, Address | None, Trunk | None]:
        """(Request-URI, host, next hop, trunk). Raises Refusal."""
        config = self._session.services.config
        if args.trunk is None and args.to.lower().startswith(("sip:", "sips:")):
            target = read_target(args.to)
            if target is None:
                raise Refusal(484, f"{args.to} cannot be read")
            host = target.text.removeprefix("sips:").removeprefix("sip:").rpartition("@")[2]
            return target.text, host, _next_hop(host), None
        try:
            trunk = config.trunk(args.trunk) if args.trunk is not None else outbound_for(config, args.to)
        except KeyError:
            raise Refusal(404, f"there is no trunk {args.trunk!r}") from None
        if trunk is None or trunk.uri is None:
            raise Refusal(404, f"no [[outbound]] trunk takes {args.to}")
        target = read_target(args.to)
        if target is None:
            raise Refusal(484, f"{args.to} cannot be read")
        host = trunk.uri.removeprefix("sip:")
        return f"sip:{target.text}@{host}", host, _next_hop(host), trunk

    def _refused(self, leg: Leg, refusal: Refusal, now: float) -> None:
        session = self._session
        session.note("sip", f"not dialled: {refusal.reason}", {"to": leg.number, "code": refusal.code}, now)
        if leg in self._legs.all():
            leg.end_code = refusal.code
            self._legs.over(leg, "edge", refusal.code, refusal.reason, now)
            return
        leg.state = "TERMINATED"
        leg.end_code, leg.ended_at, leg.end_cause = refusal.code, now, f"{leg.name}.failed"
        self._legs.add(leg)
        self._legs.last_over = leg
        session.post(
            "call.failed",
            CallFailed(refusal.code, refusal.reason),
            now,
            target=leg.name,
            cause=leg.end_cause,
        )

    def _timed_out(self, leg: Leg, now: float) -> None:
        if leg.live and not leg.answered:
            leg.end_code = 408
            self._legs.end_leg(leg, f"{leg.name}.failed", "edge", now)
            self._legs.give_up_after(leg, CANCEL_LIMIT, now)

    # --- what becomes of it

    def provisional(self, leg: Leg, event: sip.Provisional, now: float) -> None:
        """It rings, or early media begins."""
        session = self._session
        leg.headers = visible(event.response.headers)
        had_media = leg.early_media
        if event.sdp is not None and leg.local is not None:
            try:
                leg.media = accept_answer(event.sdp, leg.local)
            except (SdpError, NotAcceptable) as error:
                session.note("sip", "unusable early media", {"problem": str(error)}, now)
            else:
                leg.early_media = True
                self._legs.cords.send_media(leg, now)
        if leg.state == "ALERTING":
            leg.state = "PROGRESSING"
            session.post("call.ringing", CallProgress(leg.headers), now, target=leg.name)
        if leg.early_media and not had_media:
            session.post("call.audio_started", CallProgress(leg.headers), now, target=leg.name)
        self._legs.cords.update_fallbacks(now)

    def answered(self, leg: Leg, event: sip.Answered, now: float) -> None:
        """It is up."""
        session = self._session
        leg.headers = visible(event.response.headers)
        if event.sdp is not None and leg.local is not None:
            try:
                leg.media = accept_answer(event.sdp, leg.local)
            except (SdpError, NotAcceptable) as error:
                session.note("sip", "unusable answer", {"problem": str(error)}, now)
                leg.end_code = 488
                self._legs.end_leg(leg, f"{leg.name}.failed", "edge", now)
                return
        if leg.media is None:
            leg.end_code = 488
            self._legs.end_leg(leg, f"{leg.name}.failed", "edge", now)
            return
        self._legs.connected(leg, leg.headers, now)


def _next_hop(host_port: str) -> Address:
    """Where a request to `host[:port]` goes; a name is resolved by the shell."""
    host, colon, port = host_port.rpartition(":")
    if not colon or host_port.endswith("]"):
        host, port = host_port, "5060"
    return host.strip("[]"), int(port)
