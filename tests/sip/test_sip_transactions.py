"""The four transaction machines: their tables, and exact times under a fake clock (RFC 3261 §17, RFC 6026)."""

import pytest

from cordboard.sip.client_invite import ClientInvite, hop_by_hop
from cordboard.sip.client_non_invite import ClientNonInvite
from cordboard.sip.machine import Machine
from cordboard.sip.message import Headers, Request, Response, make_response
from cordboard.sip.server_invite import ServerInvite
from cordboard.sip.server_non_invite import ServerNonInvite
from cordboard.sip.timers import Intervals, TimerQueue
from cordboard.sip.transactions import mark_received, response_address, server_key

from .sip_wire import ALICE, BOB

MACHINES: list[type[Machine]] = [ClientInvite, ClientNonInvite, ServerInvite, ServerNonInvite]


def make_request(method: str, via: str = "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKt", to: str = "<sip:b@h>") -> Request:
    lines = [("Via", via), ("From", "<sip:a@h>;tag=1"), ("To", to), ("Call-ID", "c"), ("CSeq", f"3 {method}")]
    return Request(Headers(lines), b"", method, "sip:b@h")


class Bench:
    """Runs one machine and writes down what it does."""

    def __init__(self, kind: type[Machine], method: str, state: str, t1: float = 0.5) -> None:
        self.timers = TimerQueue()
        self.sent: list[tuple[float, str, bool]] = []
        self.ended: list[float] = []
        self.told: list[str] = []
        self.now = 0.0
        self.request = make_request(method)
        self.machine = kind(
            self.request,
            BOB,
            state=state,
            intervals=Intervals(t1),
            timers=self.timers,
            transmit=self._transmit,
            on_end=lambda machine: self.ended.append(self.now),
        )
        if isinstance(self.machine, ClientInvite | ClientNonInvite):
            self.machine.on_response = lambda response, at: self.told.append(str(response.code))
            self.machine.on_failure = lambda code, at: self.told.append(f"no answer: {code} at {at}")

    def _transmit(self, machine: Machine, message: Request | Response, data: bytes, again: bool) -> None:
        assert data == message.to_bytes()
        name = message.method if isinstance(message, Request) else str(message.code)
        self.sent.append((self.now, name, again))

    def run(self, until: float) -> None:
        while (due := self.timers.next()) is not None and due <= until:
            self.now = due
            self.timers.fire(due)
        self.now = until

    def response(self, code: int) -> Response:
        return make_response(self.request, code, to_tag="t")

    def times(self, name: str) -> list[float]:
        return [when for when, what, _ in self.sent if what == name]


@pytest.mark.parametrize("kind", MACHINES, ids=lambda kind: kind.__name__)
def test_tables_are_whole(kind: type[Machine]) -> None:
    """Each action exists, each state can be reached and left, each timer that is started has a row."""
    states = {state for state, _ in kind.TABLE}
    targets = {row[0] for row in kind.TABLE.values()}
    assert targets - states == {"terminated"}
    started = set()
    for _, actions in kind.TABLE.values():
        for action in actions:
            assert callable(getattr(kind, f"_{action}"))
            started |= {action} if action.startswith("start_") else set()
    assert {f"timer_{name.removeprefix('start_')}" for name in started} == {
        what for _, what in kind.TABLE if what.startswith("timer_")
    }


def test_an_invite_is_repeated_without_ceiling_until_timer_b() -> None:
    bench = Bench(ClientInvite, "INVITE", "initial")
    bench.machine.feed("start", 0)
    bench.run(100)
    assert bench.times("INVITE") == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert [again for _, _, again in bench.sent] == [False] + [True] * 6
    assert (bench.told, bench.ended) == (["no answer: 408 at 32.0"], [32.0])


def test_t1_scales_every_interval() -> None:
    bench = Bench(ClientInvite, "INVITE", "initial", t1=0.1)
    bench.machine.feed("start", 0)
    bench.run(100)
    assert bench.times("INVITE") == pytest.approx([0, 0.1, 0.3, 0.7, 1.5, 3.1, 6.3])
    assert bench.ended == pytest.approx([6.4])


def test_a_provisional_response_stops_the_repetition_for_good() -> None:
    bench = Bench(ClientInvite, "INVITE", "initial")
    assert isinstance(bench.machine, ClientInvite)
    bench.machine.feed("start", 0)
    bench.machine.receive(bench.response(180), 0.1)
    bench.run(500)
    assert bench.times("INVITE") == [0]
    assert bench.machine.state == "proceeding"


def test_a_refusal_is_acked_each_time_until_timer_d() -> None:
    bench = Bench(ClientInvite, "INVITE", "initial")
    assert isinstance(bench.machine, ClientInvite)
    bench.machine.feed("start", 0)
    for _ in range(3):
        bench.machine.receive(bench.response(486), 0)
    bench.run(100)
    assert bench.sent[1:] == [(0, "ACK", False), (0, "ACK", True), (0, "ACK", True)]
    assert (bench.told, bench.ended) == (["486"], [32.0])
    assert not bench.machine.receive(bench.response(486), 100)


def test_accepted_passes_each_2xx_up_until_timer_m() -> None:
    bench = Bench(ClientInvite, "INVITE", "initial")
    assert isinstance(bench.machine, ClientInvite)
    bench.machine.feed("start", 0)
    bench.machine.receive(bench.response(200), 1)
    bench.run(32.9)
    bench.machine.receive(bench.response(200), bench.now)
    assert not bench.machine.receive(bench.response(486), bench.now)
    assert not bench.machine.receive(bench.response(180), bench.now)
    bench.run(100)
    assert (bench.told, bench.ended) == (["200", "200"], [33.0])


def test_a_non_invite_is_repeated_up_to_t2_until_timer_f() -> None:
    bench = Bench(ClientNonInvite, "BYE", "initial")
    bench.machine.feed("start", 0)
    bench.run(100)
    assert bench.times("BYE") == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert (bench.told, bench.ended) == (["no answer: 408 at 32.0"], [32.0])


def test_a_provisional_response_slows_a_non_invite_to_t2() -> None:
    bench = Bench(ClientNonInvite, "BYE", "initial")
    assert isinstance(bench.machine, ClientNonInvite)
    bench.machine.feed("start", 0)
    bench.machine.receive(bench.response(100), 0.2)
    bench.run(10)
    assert bench.times("BYE") == [0, 0.5, 4.5, 8.5]
    bench.machine.receive(bench.response(200), 10)
    assert not bench.machine.receive(bench.response(200), 11)
    bench.run(100)
    assert (bench.told, bench.ended) == (["200"], [15.0])  # timer K = T4


def test_a_refused_invite_is_repeated_up_to_t2_until_timer_h() -> None:
    bench = Bench(ServerInvite, "INVITE", "proceeding")
    assert isinstance(bench.machine, ServerInvite)
    bench.machine.respond(bench.response(486), 0)
    bench.run(100)
    assert bench.times("486") == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert bench.ended == [32.0]


def test_ack_stops_a_refusal_and_timer_i_ends_it() -> None:
    bench = Bench(ServerInvite, "INVITE", "proceeding")
    assert isinstance(bench.machine, ServerInvite)
    bench.machine.respond(bench.response(486), 0)
    bench.run(0.7)
    assert bench.machine.acknowledged(make_request("ACK"), 0.7)
    assert not bench.machine.acknowledged(make_request("ACK"), 0.8)
    bench.machine.repeated(0.9)
    bench.run(100)
    assert bench.times("486") == [0, 0.5]
    assert bench.ended == [5.7]


def test_the_last_provisional_response_answers_a_repeated_invite() -> None:
    bench = Bench(ServerInvite, "INVITE", "proceeding")
    assert isinstance(bench.machine, ServerInvite)
    bench.machine.repeated(0)
    bench.machine.respond(bench.response(100), 0)
    bench.machine.respond(bench.response(180), 1)
    bench.machine.repeated(2)
    assert [what for _, what, _ in bench.sent] == ["100", "180", "180"]


def test_an_accepted_invite_absorbs_copies_and_passes_acks_until_timer_l() -> None:
    bench = Bench(ServerInvite, "INVITE", "proceeding")
    assert isinstance(bench.machine, ServerInvite)
    acks: list[float] = []

    def on_ack(ack: Request, at: float) -> bool:
        acks.append(at)
        return len(acks) == 1

    bench.machine.on_ack = on_ack
    bench.machine.respond(bench.response(200), 0)
    bench.machine.repeated(0.5)
    assert bench.machine.respond(bench.response(200), 1)
    assert bench.machine.acknowledged(make_request("ACK"), 2)
    assert not bench.machine.acknowledged(make_request("ACK"), 3)
    assert not bench.machine.respond(bench.response(486), 4)
    bench.run(100)
    assert bench.sent == [(0, "200", False), (0, "200", True)]
    assert (acks, bench.ended) == ([2, 3], [32.0])


def test_a_non_invite_answer_is_repeated_on_request_until_timer_j() -> None:
    bench = Bench(ServerNonInvite, "BYE", "trying")
    assert isinstance(bench.machine, ServerNonInvite)
    bench.machine.repeated(0)
    assert bench.machine.respond(bench.response(100), 0)
    bench.machine.repeated(0)
    assert bench.machine.respond(bench.response(200), 1)
    bench.machine.repeated(2)
    assert not bench.machine.respond(bench.response(500), 3)
    bench.run(100)
    assert [(what, again) for _, what, again in bench.sent] == [
        ("100", False),
        ("100", True),
        ("200", False),
        ("200", True),
    ]
    assert bench.ended == [33.0]


def test_keys_of_transactions() -> None:
    """§17.2.3: branch, sent-by and method; ACK is found with its INVITE, CANCEL is its own."""
    invite = make_request("INVITE")
    assert server_key(make_request("ACK")) == server_key(invite)
    assert server_key(make_request("CANCEL")) != server_key(invite)
    assert server_key(make_request("CANCEL"), "INVITE") == server_key(invite)
    other = make_request("INVITE", "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKt")
    assert server_key(other) != server_key(invite)
    assert server_key(make_request("INVITE", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKT")) != server_key(invite)
    old = make_request("INVITE", "SIP/2.0/UDP 192.0.2.1;branch=1")
    tagged = make_request("ACK", "SIP/2.0/UDP 192.0.2.1;branch=1", to="<sip:b@h>;tag=9")
    assert server_key(tagged) == server_key(old)


def test_received_is_written_once_and_other_vias_stay() -> None:
    request = make_request("INVITE", "SIP/2.0/UDP h;rport;branch=z9hG4bKt, SIP/2.0/TCP g:1;branch=z9hG4bKu")
    mark_received(request, ALICE)
    assert request.headers.all("Via") == [
        "SIP/2.0/UDP h;branch=z9hG4bKt;rport=5060;received=192.0.2.1, SIP/2.0/TCP g:1;branch=z9hG4bKu"
    ]
    assert response_address(request, ALICE) == ALICE


def test_hop_by_hop_requests_copy_what_must_be_equal() -> None:
    invite = make_request("INVITE")
    invite.headers.add("Route", "<sip:p;lr>")
    ack = hop_by_hop(invite, "ACK", "<sip:b@h>;tag=z")
    assert [ack.headers.get(name) for name in ("From", "To", "Call-ID", "CSeq", "Route")] == [
        "<sip:a@h>;tag=1",
        "<sip:b@h>;tag=z",
        "c",
        "3 ACK",
        "<sip:p;lr>",
    ]


def test_the_timer_queue() -> None:
    fired: list[tuple[str, float]] = []
    timers = TimerQueue()
    owner = object()
    timers.set(owner, "a", 2.0, lambda at: fired.append(("a", at)))
    timers.set(owner, "b", 1.0, lambda at: fired.append(("b", at)))
    timers.set(owner, "c", 1.0, lambda at: fired.append(("c", at)))
    timers.set(owner, "a", 0.5, lambda at: fired.append(("moved", at)))
    timers.cancel(owner, "c")
    timers.cancel(owner, "never")
    assert (len(timers), timers.next()) == (2, 0.5)
    timers.fire(0.4)
    assert fired == []
    timers.fire(3.0)
    assert fired == [("moved", 3.0), ("b", 3.0)]
    assert timers.next() is None
