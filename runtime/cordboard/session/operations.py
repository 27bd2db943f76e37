"""What an operator asks of the engine (HANDLERS §2.3): start a session, look at it, end it, pause what it records.

Leaves out sessions that are over: their folders tell of them.
"""

from collections.abc import Mapping
from typing import Any, Literal

from cordboard.contract.codec import encode

from .intake import Intake
from .services import Services
from .session import Session


class NotLive(LookupError):
    """No session of that id lives."""


class NothingRecorded(LookupError):
    """The session records nothing now."""


class Operations:
    """Acts at the moment that the engine was last called at."""

    def __init__(self, services: Services, sessions: Mapping[str, Session], intake: Intake) -> None:
        self._services = services
        self._sessions = sessions
        self._intake = intake

    def start(self, scenario: str, custom_data: Mapping[str, Any]) -> dict[str, Any]:
        """A new session: `id`, its whole `control_url`, `state`. Raises StartRefused."""
        return self.started(self._intake.start(scenario, custom_data, self._services.now).id)

    def started(self, id_: str) -> dict[str, Any]:
        """What `start` told of a session. Raises NotLive."""
        session = self._of(id_)
        return {"id": session.id, "control_url": session.control_url, "state": _state(session)}

    def live(self) -> list[dict[str, Any]]:
        """Every session that is not over, the oldest first."""
        return [_summary(session) for session in self._sessions.values()]

    def describe(self, id_: str) -> dict[str, Any]:
        """All of one session but secrets. Raises NotLive."""
        session = self._of(id_)
        now = self._services.now
        return {
            **_summary(session),
            "release": session.release.id,
            "duration": round(now - session.began, 3),
            "state_version": session.turns.state.version,
            "invocations": session.turns.invocations,
            "legs": [encode(leg.leg_record(now)) for leg in session.legs.all()],
            "objects": [
                {"name": each.name, "kind": each.kind, "state": each.state} for each in session.object_records()
            ],
            "figures": dict(session.figures),
        }

    def end(self, id_: str) -> dict[str, Any]:
        """End a session at once; one that ends already goes on. Raises NotLive."""
        session = self._of(id_)
        session.end("operator.terminate", self._services.now)
        return {"id": id_, "state": "ending"}

    def record(self, id_: str, what: Literal["pause", "resume"], reason: str) -> list[str]:
        """Pause or resume every recording of a session; their names. Raises NotLive, NothingRecorded."""
        recordings = self._of(id_).recordings
        found = recordings.live()
        if not found:
            raise NothingRecorded(id_)
        for each in found:
            if what == "pause":
                recordings.silence(each, reason)
            else:
                recordings.unsilence(each)
        return [each.name for each in found]

    def _of(self, id_: str) -> Session:
        session = self._sessions.get(id_)
        if session is None or session.ending.over:
            raise NotLive(id_)
        return session


def _state(session: Session) -> str:
    return "ending" if session.ending.terminating else "live"


def _summary(session: Session) -> dict[str, Any]:
    first = next(iter(session.legs.all()), None)
    return {
        "id": session.id,
        "state": _state(session),
        "scenario": session.scenario,
        "started_at": session.started_text,
        "from": first.callerid if first is not None else "",
        "to": first.number if first is not None else "",
    }
