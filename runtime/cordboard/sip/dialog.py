"""Dialogs: identity, route set, remote target, sequence numbers (RFC 3261 §12), and their form on disk.

Routing: next hop of a request in a dialog is its first route, else its remote target, when that is an IP address that
can be reached from here; otherwise the address that the other side's messages came from. So a phone behind NAT with a
private Contact is reached, and no DNS is asked (a resolver is the shell's).
"""

import ipaddress
import json
from dataclasses import asdict, dataclass

from cordboard.sip.grammar import GrammarError, parameter
from cordboard.sip.message import Headers, Message, Request
from cordboard.sip.uri import DEFAULT_PORT, Address, SipUri, parse_name_addr, parse_uri

RESTORED_CSEQ_GAP = 100  # numbers skipped after a restart: requests sent after the state was stored; gaps are legal


@dataclass(frozen=True, slots=True)
class DialogState:
    """A dialog as it is kept on disk: enough to send BYE, or CANCEL while nobody has answered."""

    call_id: str
    local_uri: str
    """Our From or To as a name-addr, without tag."""
    local_tag: str
    remote_uri: str
    """The other side's name-addr, without tag."""
    remote_tag: str
    """"" while nobody has answered."""
    route_set: tuple[str, ...]
    """Name-addrs in the order of use."""
    remote_target: str
    """URI that requests go to."""
    local_cseq: int
    destination: Address
    """Next hop."""
    uac: bool
    """Whether we sent the INVITE."""
    invite_via: str = ""
    """Via of the INVITE while nobody has answered: what CANCEL must repeat. "" otherwise."""

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=True)

    @classmethod
    def from_json(cls, text: str) -> "DialogState":
        """The inverse of `to_json`. Raises ValueError naming the field that is missing or of another type."""
        found = json.loads(text)
        if not isinstance(found, dict):
            raise ValueError("a dialog must be a JSON object")
        kinds: dict[str, type] = {"uac": bool, "local_cseq": int, "route_set": list, "destination": list}
        for name in cls.__slots__:
            if name == "invite_via" and name not in found:
                found[name] = ""
            if not isinstance(found.get(name), kinds.get(name, str)):
                raise ValueError(f"a dialog's {name} is missing or of another type")
        host, port = found["destination"]
        values = {name: found[name] for name in cls.__slots__}
        values |= {"route_set": tuple(map(str, found["route_set"])), "destination": (str(host), int(port))}
        return cls(**values)


@dataclass(slots=True, eq=False)
class Dialog:
    """A live dialog, early or confirmed."""

    call_id: str
    local_uri: str
    local_tag: str
    remote_uri: str
    remote_tag: str
    route_set: tuple[str, ...]
    remote_target: str
    local_cseq: int
    uac: bool
    source: Address
    """Where the other side's messages come from."""
    remote_cseq: int | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        return self.call_id, self.local_tag, self.remote_tag

    @property
    def destination(self) -> Address:
        return next_hop(self.route_set, self.remote_target, self.source)

    def state(self) -> DialogState:
        return DialogState(
            self.call_id,
            self.local_uri,
            self.local_tag,
            self.remote_uri,
            self.remote_tag,
            self.route_set,
            self.remote_target,
            self.local_cseq,
            self.destination,
            self.uac,
        )

    def refresh_target(self, message: Message) -> None:
        """Take the Contact of a target refresh request or its 2xx (§12.2)."""
        self.remote_target = message.contact or self.remote_target

    def request(self, method: str, via: str, *, cseq: int | None = None) -> Request:
        """A request in the dialog (§12.2.1.1): strict routers included. `cseq`: for ACK, which repeats the INVITE's."""
        if cseq is None:
            self.local_cseq += 1
            cseq = self.local_cseq
        uri, routes = self.remote_target, list(self.route_set)
        if routes and not _is_loose(routes[0]):
            uri = parse_name_addr(routes.pop(0)).uri.partition("?")[0]
            routes.append(f"<{self.remote_target}>")
        headers = Headers([("Via", via), ("Max-Forwards", "70")])
        headers.add("From", _tagged(self.local_uri, self.local_tag))
        headers.add("To", _tagged(self.remote_uri, self.remote_tag))
        headers.add("Call-ID", self.call_id)
        headers.add("CSeq", f"{cseq} {method}")
        for route in routes:
            headers.add("Route", route)
        return Request(headers, b"", method, uri)


def restore_dialog(state: DialogState) -> Dialog:
    """A dialog from disk; our next requests skip RESTORED_CSEQ_GAP numbers."""
    return Dialog(
        state.call_id,
        state.local_uri,
        state.local_tag,
        state.remote_uri,
        state.remote_tag,
        state.route_set,
        state.remote_target,
        state.local_cseq + RESTORED_CSEQ_GAP,
        state.uac,
        state.destination,
    )


def dialog_of_client(invite: Request, response: Message, source: Address) -> Dialog:
    """The dialog that a 1xx with a tag or a 2xx forms at the caller (§12.1.2): route set reversed."""
    ours, theirs = invite.from_, response.to
    return Dialog(
        invite.call_id,
        str(ours.with_tag("")),
        ours.tag,
        str(theirs.with_tag("")),
        theirs.tag,
        tuple(reversed(response.headers.listed("Record-Route"))),
        response.contact or invite.uri,
        invite.cseq.number,
        True,
        source,
    )


def dialog_of_server(invite: Request, to_tag: str, source: Address) -> Dialog:
    """The dialog that our response to an INVITE forms (§12.1.1): route set in order."""
    ours, theirs = invite.to, invite.from_
    return Dialog(
        invite.call_id,
        str(ours.with_tag("")),
        to_tag,
        str(theirs.with_tag("")),
        theirs.tag,
        tuple(invite.headers.listed("Record-Route")),
        invite.contact or theirs.uri,
        0,
        False,
        source,
        invite.cseq.number,
    )


def next_hop(routes: tuple[str, ...] | list[str], target: str, fallback: Address | None) -> Address:
    """Where a request with these routes and this target goes. Without a fallback a host name raises ValueError."""
    uri = target
    try:
        if routes:
            uri = parse_name_addr(routes[0]).uri
        parsed = parse_uri(uri)
    except GrammarError:
        parsed = None
    if isinstance(parsed, SipUri):
        host = parameter(parsed.parameters, "maddr") or parsed.host
        transport = parameter(parsed.parameters, "transport") or "udp"
        if fallback is None and (transport.lower() != "udp" or parsed.scheme != "sip"):
            raise ValueError(f"destination: {uri!r} asks for another transport than UDP")
        if transport.lower() == "udp" and _usable(host, fallback):
            return host, parsed.port or DEFAULT_PORT
    if fallback is None:
        raise ValueError(f"destination: {uri!r} names no IP address, give a destination")
    return fallback


def _usable(host: str, seen: Address | None) -> bool:
    """Whether `host` is an IP address that can be meant, given where the other side was seen."""
    try:
        address = ipaddress.ip_address(host)
        other = ipaddress.ip_address(seen[0]) if seen else address
    except ValueError:
        return False
    if address.is_unspecified or address.is_multicast or address.version != other.version:
        return False
    if other.is_loopback or address.is_loopback:
        return other.is_loopback and address.is_loopback
    return not other.is_global or address.is_global  # a private Contact of a public source is behind NAT


def _is_loose(route: str) -> bool:
    try:
        uri = parse_uri(parse_name_addr(route).uri)
    except GrammarError:
        return True  # cannot become a Request-URI
    return not isinstance(uri, SipUri) or uri.loose


def _tagged(address: str, tag: str) -> str:
    return f"{address};tag={tag}" if tag else address
