"""A leg: one INVITE usage, ours or theirs, from its first message to its last (RFC 3261 §13-15)."""

from dataclasses import dataclass, field
from enum import Enum

from cordboard.sip.client_invite import ClientInvite
from cordboard.sip.dialog import Dialog
from cordboard.sip.message import Request, Response
from cordboard.sip.server_invite import ServerInvite
from cordboard.sip.server_non_invite import ServerNonInvite
from cordboard.sip.uri import Address


class State(Enum):
    """Where a leg stands. CALLING to CANCELLING are the caller's, RINGING and ANSWERED the callee's."""

    CALLING = "calling"  # INVITE sent, nothing heard
    PROCEEDING = "proceeding"  # a provisional response came
    CANCELLING = "cancelling"  # CANCEL sent
    RINGING = "ringing"  # INVITE came, no final response sent
    ANSWERED = "answered"  # 2xx sent, ACK awaited
    CONFIRMED = "confirmed"
    ENDING = "ending"  # BYE sent
    OVER = "over"


class LegState(Exception):
    """The leg cannot do that now. `state` says where it stands; "unknown" when there is no such leg."""

    def __init__(self, leg: str, verb: str, state: str) -> None:
        super().__init__(f"leg {leg}: cannot {verb}, it is {state}")
        self.leg = leg
        self.verb = verb
        self.state = state


@dataclass(slots=True, eq=False)
class Leg:
    """Live data of a leg. `uac` and `uas` change it; nothing outside the room sees it."""

    id: str
    uac: bool
    state: State
    peer: Address
    """Next hop (ours) or source (theirs) of the INVITE."""
    local_tag: str
    invite: Request | None = None
    """None for a restored dialog."""
    client: ClientInvite | None = None
    server: ServerInvite | None = None
    """The initial INVITE while it is unanswered, then the INVITE whose 2xx awaits its ACK."""
    dialog: Dialog | None = None
    early: dict[str, Dialog] = field(default_factory=dict)
    """Caller: dialogs by To tag before an answer."""
    acks: dict[str, tuple[Request, Address]] = field(default_factory=dict)
    """Caller: the ACK sent to each fork's 2xx, by To tag."""
    offer: ServerInvite | ServerNonInvite | None = None
    """The open re-INVITE or UPDATE of the other side."""
    accepted: Response | None = None
    """Our 2xx that awaits its ACK."""
    interval: float = 0.0
    """Seconds to the next copy of `accepted`."""
    hanging_up: bool = False
    """hangup was called and could not act at once, or acts."""
    bye_headers: tuple[tuple[str, str], ...] = ()

    @property
    def answered(self) -> bool:
        return self.state in (State.CONFIRMED, State.ENDING, State.ANSWERED)
