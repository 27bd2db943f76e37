"""What control knows of a session's legs, agents and recordings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from cordboard.contract.call_record import LegRecord
from cordboard.contract.records import ObjectRecord
from cordboard.sip.offer import LocalMedia, Negotiated

from .timers import Timer

CallState = Literal["ALERTING", "PROGRESSING", "CONNECTED", "TERMINATED"]

HANDLER_HEADERS = ("x-", "p-asserted-identity", "remote-party-id", "diversion", "history-info", "reason", "subject",
                   "user-to-user", "identity", "privacy", "p-called-party-id")  # fmt: skip
"""SIP headers that handlers see: prefixes, in lower case."""


@dataclass(slots=True)
class Leg:
    """One leg of a session."""

    name: str
    unit: str
    sip: str
    """The user agent's leg id; empty for one that was never sent."""
    incoming: bool
    port: int
    local: LocalMedia | None
    number: str
    callerid: str
    display_name: str = ""
    client_type: str = "sip"
    headers: Mapping[str, str] = field(default_factory=dict)
    state: CallState = "ALERTING"
    media: Negotiated | None = None
    answer: bytes | None = None
    """Our description for the 183 or 200."""
    late_offer: bool = False
    media_ready: bool = False
    early_media: bool = False
    awaits_agent: bool = False
    """It is answered once an agent is ready; until then nothing is heard on it."""
    began: float = 0.0
    answered_at: float | None = None
    ended_at: float | None = None
    ended_by: str = "edge"
    end_code: int = 0
    end_cause: str = ""
    call_id: str = ""
    trunk: str | None = None
    """Name of the trunk it came or went over."""
    hangup_pending: bool = False
    """A hang-up after playout waits."""
    hanging_up: bool = False
    asked: Timer | None = None
    """Limit of the answer to our OPTIONS."""
    tones: bool = True
    secret_keys: bool = False
    """Keys of its peer were or are gathered in secret."""
    fallback: str = ""
    unbridged_since: float | None = None
    no_answer: Timer | None = None
    dialog_kept: bool = False

    @property
    def live(self) -> bool:
        """Not over."""
        return self.state != "TERMINATED"

    @property
    def answered(self) -> bool:
        """It is up."""
        return self.state == "CONNECTED"

    def record(self) -> ObjectRecord:
        """What a handler sees."""
        return ObjectRecord(
            name=self.name,
            kind="call",
            id=self.unit,
            state=self.state,
            number=self.number,
            callerid=self.callerid,
            display_name=self.display_name,
            incoming=self.incoming,
            client_type=self.client_type,
            headers=self.headers,
        )

    def leg_record(self, now: float) -> LegRecord:
        """What the record of the call says."""
        end = self.ended_at if self.ended_at is not None else now
        return LegRecord(
            name=self.name,
            direction="in" if self.incoming else "out",
            from_=self.callerid,
            to=self.number,
            answered=self.answered_at is not None,
            duration=round(end - self.answered_at, 3) if self.answered_at is not None else 0.0,
            ended_by=self.ended_by,
            code=self.end_code or 200,
            call_id=self.call_id,
        )


@dataclass(slots=True)
class Agent:
    """One agent of a session."""

    name: str
    unit: str
    version: str
    privacy: bool = False
    state: Literal["CONNECTING", "OPEN", "STARTED", "CLOSED"] = "CONNECTING"
    web_socket_id: str = ""
    closing: bool = False
    """The plane was told to close it, or it will never hear of it."""
    fetching: bool = False
    """Its access token is being fetched; the plane does not know it yet."""
    when_gone: list[Callable[[], None]] = field(default_factory=list)
    """Called once it is closed."""

    @property
    def live(self) -> bool:
        """Not closed."""
        return self.state != "CLOSED"

    def record(self) -> ObjectRecord:
        """What a handler sees."""
        return ObjectRecord(
            name=self.name, kind="agent", id=self.unit, state=self.state, web_socket_id=self.web_socket_id
        )


@dataclass(slots=True)
class Recording:
    """One recording of a session."""

    name: str
    unit: str
    leg: str
    path: str
    hd_audio: bool
    stereo: bool
    seconds: float = 0.0
    begun: bool = False
    """The plane was told to record; before that its announcement is heard."""
    over: bool = False
    paused: str | None = None
    """Its handler's reason for a pause; None: it is not paused by it."""

    def record(self) -> ObjectRecord:
        """What a handler sees."""
        return ObjectRecord(name=self.name, kind="recording", id=self.unit, state="ACTIVE")

    def job(self) -> dict[str, Any]:
        """What the finisher needs."""
        return {"name": self.name, "path": self.path, "hd_audio": self.hd_audio, "stereo": self.stereo}


def visible(headers: Any) -> dict[str, str]:
    """The SIP headers of a message that handlers may see; repeated ones joined by a comma, at most 4 KB each."""
    found: dict[str, str] = {}
    for name, value in headers:
        if name.lower().startswith(HANDLER_HEADERS):
            found[name] = f"{found[name]}, {value}"[:4096] if name in found else value[:4096]
    return found
