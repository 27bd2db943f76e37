"""The engine and control: ports, lives, leases, ends of sessions, playouts, recordings, lines nobody understands."""

import random

import pytest
from tests.plane.plane_stage import OPENING, OTHER, PHONE, START, Service, Stage, rtp, ulaw

from cordboard.contract import link
from cordboard.plane import effects
from cordboard.plane.engine import PlaneEngine
from cordboard.plane.legs import STOCK

# --- ports, heartbeat, lines


def test_a_stock_of_ports_is_kept_and_told() -> None:
    stage = Stage()
    assert len(stage.stock()) == STOCK
    stage.leg()
    stage.leg("s/consult", remote=OTHER)
    assert len(stage.stock()) == STOCK
    stage.tell(link.LegClose("s/caller"))
    assert stage.closed_ports == [stage.ports["s/caller"]]


def test_pairs_that_could_not_be_opened_are_asked_for_again_when_one_is_given_back() -> None:
    engine = PlaneEngine(index=0, pid=1, rng=random.Random(1), now=START)
    assert engine.next_effect() == effects.OpenPorts(STOCK)
    engine.port_opened(20000, START)
    engine.ports_refused(STOCK - 1, START)
    engine.receive_link(link.to_line(link.LegMedia("s/caller", 20000)), START)
    assert engine.next_effect() == effects.OpenPorts(STOCK)
    engine.ports_refused(STOCK, START)
    engine.receive_link(link.to_line(link.LegClose("s/caller")), START)
    assert engine.next_effect() == effects.ClosePort(20000)
    assert engine.next_effect() == effects.OpenPorts(STOCK)


def test_ports_opened_before_control_came_stand_in_ready() -> None:
    engine = PlaneEngine(index=3, pid=77, rng=random.Random(1), now=START)
    assert engine.next_effect() == effects.OpenPorts(STOCK)
    for port in (20000, 20002):
        engine.port_opened(port, START)
    assert engine.next_effect() is None
    engine.link_opened(START)
    effect = engine.next_effect()
    assert isinstance(effect, effects.SendLink)
    assert link.from_line(effect.line) == link.Ready(3, 77, (20000, 20002))


@pytest.mark.parametrize("port", [1, 19999])
def test_a_leg_on_a_port_that_is_not_in_stock_is_refused(port: int) -> None:
    stage = Stage()
    done = stage.ask(link.LegMedia("s/caller", port, confirm="c"))
    assert done is not None
    assert (done.ok, done.code) == (False, "no_port")
    assert stage.engine.live == 0


def test_a_port_has_one_leg_and_a_leg_one_port() -> None:
    stage = Stage()
    stage.leg()
    taken = stage.ask(link.LegMedia("s/consult", stage.ports["s/caller"], confirm="taken"))
    moved = stage.ask(link.LegMedia("s/caller", stage.stock()[0], confirm="moved"))
    assert taken is not None
    assert moved is not None
    assert (taken.code, moved.code) == ("no_port", "invalid")
    assert stage.engine.live == 1


def test_datagrams_on_a_port_in_stock_or_of_nobody_are_nothing() -> None:
    stage = Stage()
    for port in (stage.stock()[0], 4):
        stage.engine.rtp_in(port, rtp(0), PHONE, stage.now)
        stage.engine.rtcp_in(port, rtp(0), PHONE, stage.now)
    stage.drain()
    assert stage.sent == []


def test_a_ping_is_answered_with_the_worst_lateness_since_the_last() -> None:
    stage = Stage()
    stage.leg()
    stage.engine.tick_late(0.004)
    stage.engine.tick_late(0.002)
    stage.tell(link.Ping(1))
    stage.tell(link.Ping(2))
    assert stage.told(link.Pong) == [link.Pong(1, 1, 4.0), link.Pong(2, 1, 0.0)]


@pytest.mark.parametrize(
    "line",
    [b"", b"{", b"[]", b"\xff\xfe", b'{"m":1}', b'{"m":"Nothing"}', b'{"m":"Ping"}', b'{"m":"Ping","n":"x"}',
     b'{"m":"LegMedia","leg":"s/a","port":1,"codec":"OPUS"}', b'{"m":"Pong","n":1}'],
)  # fmt: skip
def test_lines_that_are_no_message_to_a_plane_are_counted(line: bytes) -> None:
    stage = Stage()
    stage.engine.receive_link(line, stage.now)
    stage.drain()
    assert stage.engine.unreadable_lines == 1
    assert len(stage.notes("unreadable link message")) == 1
    stage.tell(link.Ping(1))
    assert stage.told(link.Pong)


def test_messages_about_units_that_are_not_here_harm_nothing() -> None:
    stage = Stage()
    for message in (
        link.LegClose("s/x"),
        link.LegFallback("s/x", "ringback"),
        link.LegInfoDigit("s/x", "1"),
        link.Unroute("s/x", "s/y"),
        link.AgentClose("s/x"),
        link.RecordEnd("s/x"),
    ):
        stage.tell(message)
    for confirmed in (link.LegDigits("s/x", "1", confirm="d"), link.LegPlayout("s/x", "p")):
        assert stage.ask(confirmed) is not None
    stage.engine.file_failed("s/x", "no space", stage.now)
    stage.engine.agent_connected("s/x", stage.now)
    stage.run(0.2)
    assert stage.engine.live == 0


# --- lives and leases


def busy(stage: Stage) -> Service:
    """A call in the middle of a sentence, recorded."""
    service = stage.agent(hears=stage.leg(), heard_by="s/caller")
    stage.tell(link.RecordBegin("s/r", "s/caller", "/r.wav"))
    service.speak(ulaw(0, 100))
    stage.drain()
    stage.talk("s/caller", 5)
    return service


def nothing_left(stage: Stage, service: Service) -> None:
    assert stage.engine.live == 0
    assert service.closes == [(1000, "session completed")]
    assert stage.disconnected == ["s/agent"]
    assert stage.closed_files == ["/r.wav"]
    assert stage.closed_ports == [stage.ports["s/caller"]]
    sent, heard = len(stage.sent), len(service.heard)
    stage.run(1.0)
    assert (len(stage.sent), len(service.heard)) == (sent, heard)


def test_without_control_all_audio_ends_with_the_lease() -> None:
    stage = Stage()
    service = busy(stage)
    service.speak(bytes(8000 * 20))
    stage.drain()
    silent_since = stage.now
    stage.engine.link_closed(stage.now)
    stage.run(9.8)
    assert stage.sent[-1].at == pytest.approx(stage.now, abs=0.03)
    stage.run(0.4)
    assert stage.sent[-1].at - silent_since == pytest.approx(10.0, abs=0.15)
    nothing_left(stage, service)


def test_any_line_of_control_renews_the_lease_which_hello_sets() -> None:
    stage = Stage()
    stage.tell(link.Hello("life-1", lease=2.0))
    stage.leg()
    for _ in range(4):
        stage.run(1.9)
        stage.tell(link.Ping(1))
    assert stage.engine.live == 1
    stage.run(2.2)
    assert stage.engine.live == 0


def test_a_new_life_of_control_ends_what_the_former_left() -> None:
    stage = Stage()
    service = busy(stage)
    stage.tell(link.Hello("life-1"))
    assert stage.engine.live == 1
    stage.tell(link.LegPlayout("s/caller", "former"))
    stage.engine.link_closed(stage.now)
    stage.engine.link_opened(stage.now)
    stage.drain()
    assert set(stage.told(link.Ready)[-1].ports) == set(stage.stock())
    stage.tell(link.Hello("life-2"))
    nothing_left(stage, service)
    assert stage.done("former") is None
    stage.leg("t/caller")
    assert stage.engine.live == 1


def test_a_new_life_forgets_ledgers_of_sessions_whose_units_are_gone() -> None:
    stage = Stage()
    service = stage.agent(heard_by=stage.leg())
    service.speak(ulaw(0))
    stage.drain()
    stage.tell(link.LegClose("s/caller"))
    stage.tell(link.AgentClose("s/agent"))
    stage.tell(link.Hello("life-2"))
    assert stage.closed().ledger == ()


# --- the end of a session


def test_a_closed_session_is_answered_once_with_ledgers_that_balance_and_nothing_stays() -> None:
    stage = Stage()
    service = busy(stage)
    stage.tell(link.LegPlayout("s/caller", "p"))
    answer = stage.closed()
    nothing_left(stage, service)
    pairs = {(each.source, each.sink) for each in answer.ledger}
    assert pairs == {("s/caller", "s/agent"), ("s/agent", "s/caller")}
    (spoken,) = [each for each in answer.ledger if each.source == "s/agent"]
    assert spoken.sent + spoken.discarded["ended"] == 16000
    assert stage.done("p") is not None
    assert [each.by for each in stage.told(link.AgentGone)] == ["us"]
    kinds = [type(each) for each in stage.messages]
    assert kinds.index(link.SessionClosed) > kinds.index(link.RecordOver)
    assert kinds.index(link.SessionClosed) > kinds.index(link.AgentGone)
    assert answer.figures["legs"]["caller"]["packets_received"] == 5
    again = stage.closed()
    assert (again.ledger, again.figures) == ((), {})


def test_closing_one_session_leaves_another_alone() -> None:
    stage = Stage()
    stage.agent(heard_by=stage.leg())
    other = stage.agent("t/agent", heard_by=stage.leg("t/caller", remote=OTHER))
    stage.closed("s")
    other.speak(ulaw(3))
    stage.drain()
    assert stage.payload("t/caller") == ulaw(3)
    assert len(stage.closed("t").ledger) == 1


def test_an_agent_that_is_still_heard_out_ends_with_its_session() -> None:
    stage = Stage()
    service = stage.agent(heard_by=stage.leg())
    service.speak(ulaw(0, 50))
    service.close()
    stage.drain()
    answer = stage.closed()
    assert len(answer.ledger) == 1
    told = len(stage.messages)
    stage.run(2.0)
    assert stage.messages[told:] == []
    assert stage.told(link.MediaNote)[-1].type == "media.ended"


def test_an_agent_that_is_still_connecting_ends_with_its_session() -> None:
    stage = Stage(connects=False)
    stage.tell(link.AgentOpen("s/agent", **OPENING, confirm="o"))
    stage.closed()
    assert len(stage.told(link.AgentGone)) == 1
    assert stage.disconnected == ["s/agent"]


# --- a plane full of calls


def test_a_hundred_calls_are_each_heard_whole_and_spread_over_the_ticks() -> None:
    stage = Stage()
    services = []
    for call in range(100):
        stage.run(0.0013)
        services.append(
            stage.agent(f"c{call}/agent", heard_by=stage.leg(f"c{call}/caller", remote=(f"10.0.0.{call}", 4000)))
        )
        services[-1].speak(ulaw(call, 10))
        stage.drain()
    stage.run(0.5)
    for call in range(100):
        assert stage.payload(f"c{call}/caller") == ulaw(call, 10)
    at_one_tick = [sum(1 for each in stage.sent if each.at == moment) for moment in {each.at for each in stage.sent}]
    assert max(at_one_tick) <= 40
    for call in range(100):
        stage.closed(f"c{call}")
    assert stage.engine.live == 0
