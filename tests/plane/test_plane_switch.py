"""Who hears whom: one source a sink, replacements aloud, fallbacks, joined legs, units of two sessions."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.plane.plane_stage import OTHER, PHONE, Stage, rtp, ulaw

from cordboard.contract import link
from cordboard.media import g711
from cordboard.media.tones import ToneSource

ADDRESS = {"s/caller": PHONE, "s/consult": OTHER, "s/third": ("192.0.2.30", 6000)}


def legs(stage: Stage, *units: str, **media: str) -> None:
    for unit in units or ("s/caller", "s/consult"):
        stage.leg(unit, remote=ADDRESS[unit], **media)


def ringback(frames: int) -> bytes:
    tone = ToneSource.ringback()
    return b"".join(tone.next_frame() for _ in range(frames))


def replaced(stage: Stage) -> list[tuple[str, str, str]]:
    return [(each.source, each.sink, each.by) for each in stage.told(link.MediaNote) if each.type == "media.replaced"]


def test_two_joined_legs_hear_each_other_after_one_frame_of_patience() -> None:
    stage = Stage()
    legs(stage)
    stage.tell(link.Route("s/caller", "s/consult"))
    stage.tell(link.Route("s/consult", "s/caller"))
    begin = stage.now
    for each in range(20):
        stage.rtp_in("s/caller", rtp(each, ulaw(each)), PHONE)
        stage.rtp_in("s/consult", rtp(each, ulaw(each + 50)), OTHER)
        stage.run(0.02)
    stage.run(0.1)
    assert stage.payload("s/consult") == ulaw(0, 20)
    assert stage.payload("s/caller") == ulaw(50, 20)
    assert stage.audio("s/consult")[0].at - begin <= 0.0201


def test_a_leg_of_another_law_is_joined_by_conversion() -> None:
    stage = Stage()
    legs(stage, "s/caller")
    legs(stage, "s/consult", codec="PCMA")
    stage.tell(link.Route("s/caller", "s/consult"))
    stage.talk("s/caller", 5)
    stage.run(0.1)
    assert stage.payload("s/consult") == g711.ulaw_to_alaw(ulaw(0, 5))


def test_a_phones_audio_does_not_pile_up() -> None:
    stage = Stage()
    legs(stage)
    stage.tell(link.Route("s/caller", "s/consult"))
    for each in range(100):
        stage.rtp_in("s/caller", rtp(each, ulaw(each)))
    stage.run(3.0)
    assert len(stage.audio("s/consult")) == 20
    assert stage.closed().ledger[0].discarded == {"overflow": 80 * 160}


def test_a_second_source_replaces_the_first_and_says_so() -> None:
    stage = Stage()
    legs(stage)
    first = stage.agent("s/one", heard_by="s/caller")
    second = stage.agent("s/two", heard_by="s/caller")
    first.speak(ulaw(0, 5))
    second.speak(ulaw(40, 5))
    stage.drain()
    stage.run(0.2)
    assert stage.payload("s/caller") == ulaw(40, 5)
    assert replaced(stage) == [("s/one", "s/caller", "s/two")]
    stage.tell(link.Route("s/consult", "s/caller"))
    assert replaced(stage)[1:] == [("s/two", "s/caller", "s/consult")]
    stage.closed()
    assert sum(each.discarded.get("unbridged", 0) for each in stage.entries("s/one", "")) == 800


def test_what_was_queued_of_a_replaced_source_is_discarded_as_replaced() -> None:
    stage = Stage()
    legs(stage)
    service = stage.agent(heard_by="s/caller")
    service.speak(ulaw(0, 50))
    stage.drain()
    stage.tell(link.Route("s/consult", "s/caller"))
    stage.run(0.5)
    assert len(stage.audio("s/caller")) == 1
    stage.closed()
    (entry,) = stage.entries("s/agent", "s/caller")
    assert (entry.sent, entry.discarded) == (160, {"replaced": 49 * 160})


def test_the_same_route_again_changes_nothing() -> None:
    stage = Stage()
    legs(stage)
    service = stage.agent(hears="s/caller", heard_by="s/consult")
    stage.tell(link.Route("s/caller", "s/caller"))
    service.speak(ulaw(0, 10))
    stage.drain()
    for route in (("s/agent", "s/consult"), ("s/caller", "s/agent")):
        stage.tell(link.Route(*route))
    stage.run(0.5)
    assert stage.payload("s/consult") == ulaw(0, 10)
    assert replaced(stage) == []


def test_an_agent_speaks_to_one_leg_and_moves_with_its_route() -> None:
    stage = Stage()
    legs(stage)
    service = stage.agent(heard_by="s/caller")
    service.speak(ulaw(0))
    stage.drain()
    stage.tell(link.Route("s/agent", "s/consult"))
    service.speak(ulaw(1))
    stage.drain()
    assert (stage.payload("s/caller"), stage.payload("s/consult")) == (ulaw(0), ulaw(1))


def test_a_leg_without_a_source_hears_ringback_until_it_has_one_and_again_after() -> None:
    stage = Stage()
    legs(stage, "s/caller")
    stage.tell(link.LegFallback("s/caller", "ringback"))
    begin = stage.now
    assert stage.audio("s/caller")[0].at == begin
    stage.run(0.199)
    service = stage.agent(heard_by="s/caller")
    assert stage.payload("s/caller") == ringback(10)
    stage.run(0.2)
    assert len(stage.audio("s/caller")) == 10
    service.speak(ulaw(0))
    stage.drain()
    stage.tell(link.Unroute("s/agent", "s/caller"))
    stage.run(0.05)
    assert stage.payload("s/caller").startswith(ringback(10) + ulaw(0) + ringback(13)[1600:1920])
    stage.tell(link.LegFallback("s/caller", ""))
    sent = len(stage.sent)
    stage.run(0.5)
    assert len(stage.sent) == sent


def test_early_media_are_heard_until_a_source_comes_and_are_never_old() -> None:
    stage = Stage()
    legs(stage)
    stage.tell(link.LegFallback("s/caller", "s/consult"))
    for each in range(5):
        stage.rtp_in("s/consult", rtp(each, ulaw(each)), OTHER)
        stage.run(0.02)
    stage.run(0.1)
    assert stage.payload("s/caller") == ulaw(0, 5)
    service = stage.agent(heard_by="s/caller")
    for each in range(5, 10):
        stage.rtp_in("s/consult", rtp(each, ulaw(each)), OTHER)
        stage.run(0.02)
    service.speak(ulaw(100))
    stage.drain()
    stage.tell(link.Unroute("s/agent", "s/caller"))
    for each in range(10, 15):
        stage.rtp_in("s/consult", rtp(each, ulaw(each)), OTHER)
        stage.run(0.02)
    stage.run(0.1)
    assert stage.payload("s/caller") == ulaw(0, 5) + ulaw(100) + ulaw(10, 5)
    stage.closed()
    (entry,) = stage.entries("s/consult", "s/caller")
    assert entry.discarded == {"unbridged": 5 * 160}


def test_early_media_that_wait_when_a_source_comes_are_not_heard_after_it() -> None:
    stage = Stage()
    legs(stage)
    stage.tell(link.LegFallback("s/caller", "s/consult"))
    stage.rtp_in("s/consult", rtp(0, ulaw(0)), OTHER)
    service = stage.agent(heard_by="s/caller")
    stage.tell(link.Unroute("s/agent", "s/caller"))
    stage.run(0.1)
    assert stage.payload("s/caller") == b""
    assert service.heard == b""


def test_ringback_goes_on_in_the_moment_a_source_leaves() -> None:
    stage = Stage()
    legs(stage, "s/caller")
    stage.agent(heard_by="s/caller")
    stage.tell(link.LegFallback("s/caller", "ringback"))
    stage.run(0.0333)
    assert stage.sent == []
    stage.tell(link.Unroute("s/agent", "s/caller"))
    assert [each.at for each in stage.sent] == [stage.now]


def test_early_media_that_change_their_law_stay_a_fallback() -> None:
    stage = Stage()
    legs(stage)
    service = stage.agent(heard_by="s/caller")
    stage.tell(link.LegFallback("s/caller", "s/consult"))
    legs(stage, "s/consult", codec="PCMA")
    service.speak(ulaw(7))
    stage.drain()
    assert stage.payload("s/caller") == ulaw(7)
    assert replaced(stage) == []


def test_early_media_become_the_source_when_the_legs_are_joined() -> None:
    stage = Stage()
    legs(stage)
    stage.tell(link.LegFallback("s/caller", "s/consult"))
    stage.tell(link.Route("s/consult", "s/caller"))
    stage.tell(link.LegFallback("s/caller", ""))
    for each in range(5):
        stage.rtp_in("s/consult", rtp(each, ulaw(each)), OTHER)
        stage.run(0.02)
    stage.run(0.1)
    assert stage.payload("s/caller") == ulaw(0, 5)


def test_the_end_of_a_leg_ends_its_cords_and_the_other_hears_its_fallback() -> None:
    stage = Stage()
    legs(stage)
    stage.tell(link.Route("s/consult", "s/caller"))
    stage.tell(link.Route("s/caller", "s/consult"))
    stage.tell(link.LegFallback("s/caller", "ringback"))
    stage.rtp_in("s/consult", rtp(0, ulaw(0)), OTHER)
    stage.tell(link.LegClose("s/consult"))
    stage.rtp_in("s/caller", rtp(0, ulaw(0)))
    stage.run(0.3)
    assert stage.payload("s/caller")[:160] == ringback(1)
    stage.closed()
    (entry,) = stage.entries("s/consult", "s/caller")
    assert entry.discarded == {"ended": 160}


def test_digits_pass_between_joined_legs() -> None:
    stage = Stage()
    legs(stage)
    stage.leg("s/consult", remote=OTHER, dtmf_send=96)
    stage.tell(link.Route("s/caller", "s/consult"))
    stage.tell(link.LegInfoDigit("s/caller", "5"))
    stage.run(0.3)
    assert {each.packet.payload[0] for each in stage.sent if each.packet.payload_type == 96} == {5}


@pytest.mark.parametrize(
    ("source", "sink"),
    [("s/caller", "s/none"), ("s/none", "s/caller"), ("s/caller", "s/caller"), ("t/caller", "s/caller"), ("", "")],
)
def test_routes_that_cannot_be_are_refused_and_noted(source: str, sink: str) -> None:
    stage = Stage()
    legs(stage, "s/caller")
    stage.leg("t/caller", remote=OTHER)
    stage.tell(link.Route(source, sink))
    assert stage.notes("route refused")
    stage.tell(link.Unroute(source, sink))


@pytest.mark.parametrize("source", ["t/caller", "s/none", "s/caller"])
def test_fallbacks_that_cannot_be_are_refused_and_noted(source: str) -> None:
    stage = Stage()
    legs(stage, "s/caller")
    stage.leg("t/caller", remote=OTHER)
    stage.tell(link.LegFallback("s/caller", source))
    assert stage.notes("route refused")


UNITS = ["s/caller", "s/consult", "s/third", "s/one", "s/two", "s/none"]
STEP = st.one_of(
    st.tuples(st.sampled_from(["route", "unroute"]), st.sampled_from(UNITS), st.sampled_from(UNITS)),
    st.tuples(st.just("fallback"), st.sampled_from(UNITS[:3]), st.sampled_from(["ringback", "", *UNITS[:3]])),
    st.tuples(st.just("media"), st.sampled_from(UNITS[:3]), st.sampled_from(["PCMU", "PCMA", "hold"])),
    st.tuples(st.just("rtp"), st.sampled_from(UNITS[:3]), st.just("")),
    st.tuples(st.sampled_from(["speak", "clear", "end"]), st.sampled_from(UNITS[3:5]), st.just("")),
    st.tuples(st.just("close"), st.sampled_from(UNITS[:3]), st.just("")),
    st.tuples(st.just("digit"), st.sampled_from(UNITS[:3]), st.just("7")),
    st.tuples(st.just("playout"), st.sampled_from(UNITS[:3]), st.just("")),
)


@given(steps=st.lists(st.tuples(STEP, st.sampled_from([0.0, 0.02, 0.15])), max_size=40))
@settings(max_examples=80, deadline=None)
def test_any_order_of_routes_and_ends_balances_and_answers_once(
    steps: list[tuple[tuple[str, str, str], float]],
) -> None:
    stage = Stage()
    legs(stage, *UNITS[:3], dtmf_send=101)  # type: ignore[arg-type]
    services = {"s/one": stage.agent("s/one"), "s/two": stage.agent("s/two", input_format="pcm_16000")}
    gone: set[str] = set()
    sequence = 0
    playouts = 0
    for (verb, unit, other), wait in steps:
        match verb:
            case "route":
                stage.tell(link.Route(unit, other))
            case "unroute":
                stage.tell(link.Unroute(unit, other))
            case "fallback":
                stage.tell(link.LegFallback(unit, other))
            case "media" if unit not in gone:
                codec = {"on_hold": True} if other == "hold" else {"codec": other}
                stage.leg(unit, remote=ADDRESS[unit], **codec)
            case "rtp" if unit not in gone:
                sequence += 1
                stage.rtp_in(unit, rtp(sequence, ulaw(sequence)), ADDRESS[unit])
            case "speak" if unit not in gone:
                services[unit].speak(ulaw(sequence, 6))
                stage.drain()
            case "clear" if unit not in gone:
                services[unit].event("clear")
                stage.drain()
            case "end" if unit not in gone:
                services[unit].close()
                stage.drain()
                gone.add(unit)
            case "close":
                stage.tell(link.LegClose(unit))
                gone.add(unit)
            case "digit":
                stage.tell(link.LegInfoDigit(unit, other))
            case "playout":
                playouts += 1
                stage.tell(link.LegPlayout(unit, f"p{playouts}"))
        stage.run(wait)
    answer = stage.closed()
    assert all(each.received for each in answer.ledger)
    assert len(stage.told(link.AgentGone)) == 2
    assert [stage.done(f"p{each + 1}") is not None for each in range(playouts)] == [True] * playouts
    sent = len(stage.sent)
    stage.run(0.5)
    assert len(stage.sent) == sent
    assert stage.engine.live == 0
