"""What must hold after every simulated call: one end, a balanced ledger, and every sample that was sent was heard.

The sum of the ledger towards a leg, in samples of that leg and with its padding, is what the plane says it sent, and
what the phone received, unless the network loses some.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cordboard.contract.call_record import CallEnded

from .observed import SimulatedSession

if TYPE_CHECKING:
    from .simulation import Simulation

LEG_RATE = 8000
"""Samples a second of every leg."""


class CallBroken(AssertionError):
    """Something that must hold after a call does not."""


def check_session(sim: "Simulation", session: SimulatedSession, *, exact: bool) -> None:
    """Assert all of one session that is over. Raises CallBroken."""
    _require(len(session.ended) == 1, session, f"{len(session.ended)} call.ended")
    record = session.ended[0]
    _require(bool(record.cause), session, "no cause")
    planned = {phone.call_id: phone for phone in sim.exchange.phones}
    for leg in record.legs:
        phone = planned.get(leg.call_id)
        if phone is None:
            continue
        _require(phone.ends <= 1, session, f"{leg.name} was ended {phone.ends} times")
        if exact and not phone.dead:
            _require(phone.state == "ended", session, f"{leg.name} is still {phone.state}")
    for entry in record.ledger:
        _require(entry.balanced(), session, f"ledger {entry.source} → {entry.sink} does not balance: {entry}")
        _require(entry.queued == 0, session, f"{entry.queued} samples of {entry.source} wait after the end")
    if "legs" in record.figures:
        _check_samples(sim, session, record, exact)


def _check_samples(sim: "Simulation", session: SimulatedSession, record: CallEnded, exact: bool) -> None:
    figures: Mapping[str, Mapping[str, Any]] = record.figures["legs"]
    for unit, figure in figures.items():
        name = unit.partition("/")[2] or unit
        sent = 0.0
        for entry in record.ledger:
            if (entry.sink.partition("/")[2] or entry.sink) == name:
                sent += (entry.sent + entry.padded) * LEG_RATE / entry.rate
        told = int(figure["rtp_samples_sent"])
        _require(sent == told, session, f"the ledger towards {name} has {sent:g} samples, the leg sent {told}")
        call_id = next((leg.call_id for leg in record.legs if leg.name == name.partition("~")[0]), "")
        phone = next((each for each in sim.exchange.phones if each.call_id == call_id), None)
        again = sum(each.call_id == call_id for each in sim.edge.sessions.values()) > 1
        if phone is None or "~" in name or again:  # the next control took a repeated INVITE for a new call
            continue
        heard = phone.samples
        if exact:
            _require(heard == told, session, f"{name} heard {heard} samples of {told} that were sent")
        _require(heard <= told, session, f"{name} heard {heard} samples, more than the {told} that were sent")


def check_world(sim: "Simulation") -> None:
    """Assert that no call is left anywhere; asked when SIP's timers have run out. Raises CallBroken."""
    edge, control = sim.edge, sim.edge.control
    left: dict[str, Any] = {
        "sessions of control": control.live if control is not None else 0,
        "legs of planes": sum(plane.engine.live for plane in edge.planes),
        "legs of the edge's user agent": len(control._ua.legs) if control is not None else 0,
        "dialogs on disk": len(edge.dialogs),
        "releases held": sum(edge.retained.values()) if edge.life == 1 else 0,
        "sessions without an end": [each.id for each in edge.sessions.values() if not each.ended],
        "open agents": [agent.unit for agent in sim.service.agents if agent.connected],
        "phones": [phone.number for phone in sim.exchange.phones if phone.state != "ended" and not phone.dead],
    }
    if control is not None:
        waiting = [timer for timer in control._timers._heap if timer.act is not None]
        left["timers of control beyond its heartbeat"] = len(waiting) - 1
    for what, found in left.items():
        if found:
            raise CallBroken(f"left after all calls: {what}: {found}")


def _require(holds: bool, session: SimulatedSession, problem: str) -> None:
    if not holds:
        raise CallBroken(f"session {session.id}: {problem}")
