"""The simulated telephone network: an exchange that calls the edge and is called by it, one phone a leg.

SIP is the same user agent as the edge's, on the exchange's one address; each phone has RTP and RTCP ports of its own.
"""

from collections.abc import Sequence

from cordboard.sip import events as sip
from cordboard.sip.parser import parse as parse_sip
from cordboard.sip.ua import UserAgent

from .network import Address, Network
from .phones import Phone
from .voices import Voices
from .world import Alarm, World

FIRST_PORT = 30_000
"""RTP port of the first phone."""


class Exchange:
    """The telephone network: one SIP address, many phones."""

    def __init__(
        self, world: World, network: Network, voices: Voices, *, host: str, edge: Address, elided: bool = True
    ) -> None:
        """`elided`: phones send sound only where they speak."""
        self.world = world
        self.network = network
        self.voices = voices
        self.host = host
        self.edge = edge
        self.elided = elided
        self.codecs: tuple[str, ...] = ("PCMU", "PCMA")
        """Of phones from now on, best first."""
        self.phones: list[Phone] = []
        """Every phone, in the order of their calls."""
        self.rings = True
        """Phones that are called ring at once."""
        self._rng = world.rng("exchange")
        self.ua = UserAgent(address=(host, 5060), contact_user="exchange", product="Exchange", rng=self._rng)
        self._alarm = Alarm(world, self._on_timer)
        network.bind((host, 5060), self._receive)
        self._call_of: dict[str, Phone] = {}

    def call(self, callerid: str, to: str, headers: Sequence[tuple[str, str]] = ()) -> Phone:
        """Call the edge."""
        phone = self._phone(callerid)
        phone.start(to, headers)
        self._call_of[phone.leg] = phone
        self.flush()
        return phone

    def dialed(self, number: str) -> list[Phone]:
        """Phones of a number that the edge called, in order."""
        return [phone for phone in self.phones if phone.invite is not None and phone.number == number]

    def flush(self) -> None:
        """Read what the user agent has to say and send."""
        now = self.world.now
        while True:
            while (event := self.ua.next_event()) is not None:
                self._told(event)
            sent = self.ua.data_to_send(now)
            for data, address in sent:
                self.network.send(data, (self.host, 5060), address, transit=True)
            if not sent:
                break
        self._alarm.set(self.ua.next_timer())

    def _told(self, event: sip.Event) -> None:
        if isinstance(event, sip.IncomingInvite):
            phone = self._phone(event.callee)
            self._call_of[event.leg] = phone
            phone.called(event)
            if self.rings:
                self.ua.respond(event.leg, 180, now=self.world.now)
                phone.responses.append(180)
        elif isinstance(event, sip.Traced | sip.Dropped):
            return
        elif (found := self._call_of.get(event.leg)) is not None:
            found.told(event)

    def _phone(self, number: str) -> Phone:
        port = FIRST_PORT + 2 * len(self.phones)
        phone = Phone(self, number, port, self.world.rng(f"phone {len(self.phones)}"), self.codecs)
        self.phones.append(phone)
        return phone

    def _receive(self, data: bytes, source: Address) -> None:
        if self._dead(data):
            return
        self.ua.receive_datagram(data, source, self.world.now)
        self.flush()

    def _dead(self, data: bytes) -> bool:
        if not any(phone.dead for phone in self.phones):
            return False
        call_id = parse_sip(data).call_id
        return any(phone.dead and phone.call_id == call_id for phone in self.phones)

    def _on_timer(self) -> None:
        self.ua.on_timer(self.world.now)
        self.flush()
