"""Calls over a bad network: whatever is lost, late or doubled, each leg ends exactly once on both sides."""

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.sip.events import Answered, Ended, Event, Failed, HungUp, IncomingInvite, Provisional, Traced

from .sip_wire import ALICE, ANSWER, BOB, OFFER, Network, Party

ENDS = (Ended, Failed, HungUp)


def play(seed: int, loss: float, plan: str) -> tuple[Network, Party, Party]:
    """One call: `plan` says who hangs up and when. Losses stop after 40 s, so that an end can be agreed on."""
    rng = random.Random(seed)
    net = Network()

    def fate(data: bytes) -> list[float]:
        if net.now < 40 and rng.random() < loss:
            return []
        copies = 2 if rng.random() < 0.1 else 1
        return [rng.uniform(0.005, 0.9) for _ in range(copies)]

    net = Network(fate)
    alice, bob = net.join(ALICE, seed), net.join(BOB, seed + 1)

    def bob_acts(event: Event, now: float) -> None:
        if isinstance(event, IncomingInvite):
            bob.agent.respond(event.leg, 180, now=now)
            if plan != "cancel":
                bob.agent.respond(event.leg, 200, sdp=ANSWER, now=now)
            if plan in ("callee", "both"):
                bob.agent.hangup(event.leg, now)

    def alice_acts(event: Event, now: float) -> None:
        if (isinstance(event, Answered) and plan in ("caller", "both")) or (
            isinstance(event, Provisional) and plan in ("cancel", "glare")
        ):
            alice.agent.hangup(event.leg, now)

    bob.on_event, alice.on_event = bob_acts, alice_acts
    leg = alice.agent.invite(to="sip:bob@192.0.2.2", from_="sip:alice@192.0.2.1", sdp=OFFER, now=0)
    net.run(30)
    alice.agent.hangup(leg, net.now)
    net.run(180)
    for ringing in bob.agent.legs:
        bob.agent.hangup(ringing, net.now)  # whoever lets a call ring must know when to stop
    net.run(400)
    return net, alice, bob


@settings(max_examples=120, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32),
    loss=st.sampled_from([0.0, 0.1, 0.3, 0.6]),
    plan=st.sampled_from(["caller", "callee", "both", "cancel", "glare", "nobody"]),
)
def test_each_leg_ends_exactly_once(seed: int, loss: float, plan: str) -> None:
    _, alice, bob = play(seed, loss, plan)
    for party in (alice, bob):
        ends = Counter(event.leg for event in party.events if isinstance(event, ENDS))
        begun = {event.leg for event in party.events if isinstance(event, IncomingInvite)}
        assert set(ends.values()) <= {1}
        assert begun <= set(ends)
        assert party.agent.legs == ()
        assert party.agent.next_timer() is None
        last = {event.leg: index for index, event in enumerate(party.events) if isinstance(event, ENDS)}
        for index, event in enumerate(party.events):
            leg = None if isinstance(event, Traced) else getattr(event, "leg", None)
            assert leg is None or index <= last[leg]
    assert sum(isinstance(event, ENDS) for event in alice.events) == 1


def test_the_same_seed_gives_the_same_bytes() -> None:
    first, second = play(7, 0.3, "both")[1], play(7, 0.3, "both")[1]
    assert [e.data for e in first.events if isinstance(e, Traced)] == [
        e.data for e in second.events if isinstance(e, Traced)
    ]


def test_many_calls_at_once_keep_apart() -> None:
    net = Network()
    alice, bob = net.join(ALICE, 1), net.join(BOB, 2)

    def bob_acts(event: Event, now: float) -> None:
        if isinstance(event, IncomingInvite):
            code = 200 if int(event.callee) % 2 else 486
            bob.agent.respond(event.leg, code, sdp=ANSWER if code == 200 else None, now=now)

    bob.on_event = bob_acts
    legs = [alice.agent.invite(to=f"sip:{n}@192.0.2.2", from_="sip:a@192.0.2.1", sdp=OFFER, now=0) for n in range(80)]
    net.run(1)
    assert {event.leg for event in alice.events if isinstance(event, Failed)} == set(legs[::2])
    assert {event.leg for event in alice.events if isinstance(event, Answered)} == set(legs[1::2])
    for leg in legs:
        alice.agent.hangup(leg, net.now)
    net.run(100)
    assert sum(isinstance(event, Ended) for event in bob.events) == 40
    assert alice.agent.legs == bob.agent.legs == ()
