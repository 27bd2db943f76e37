"""The engine and control: ports, lives, leases, ends of sessions, playouts, recordings, lines nobody understands."""

import random
import struct
from pathlib import Path

import pytest
from tests.plane.plane_stage import OTHER, PHONE, START, Service, Stage, rtp, ulaw

from cordboard.contract import link
from cordboard.media.recorder import repair
from cordboard.media.wav import read_wav
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
    opening = {"base_url": "ws://agents.example", "agent_id": "a", "api_key": "k", "version": "v"}
    stage.tell(link.AgentOpen("s/agent", **opening, confirm="o"))  # type: ignore[arg-type]
    stage.closed()
    assert len(stage.told(link.AgentGone)) == 1
    assert stage.disconnected == ["s/agent"]


# --- playouts


def asked(stage: Stage) -> float:
    stage.tell(link.LegPlayout("s/caller", "p"))
    return stage.now


def over_at(stage: Stage, limit: float = 20.0) -> float:
    """When the playout was over."""
    end = stage.now + limit
    while stage.done("p") is None:
        assert stage.now < end
        stage.run(0.01)
        if round(stage.now * 100) % 100 == 0:
            stage.tell(link.Ping(1))
    return stage.now


def turn(service: Service, verb: str) -> None:
    service.event(f"turn_{verb}", **{f"turn_{verb}": {"id": "t", "role": "assistant", "text": ""}})


def test_a_playout_is_over_when_the_turn_is_over_and_heard() -> None:
    stage = Stage()
    service = stage.agent(heard_by=stage.leg())
    turn(service, "started")
    service.speak(ulaw(0, 50))
    turn(service, "ended")
    stage.drain()
    begin = asked(stage)
    assert over_at(stage) - begin == pytest.approx(0.98 + 0.1, abs=0.03)
    assert stage.payload("s/caller") == ulaw(0, 50)


def test_a_playout_without_an_end_of_turn_waits_400_ms_for_more() -> None:
    stage = Stage()
    service = stage.agent(heard_by=stage.leg())
    turn(service, "started")
    service.speak(ulaw(0, 10))
    stage.drain()
    begin = asked(stage)
    stage.run(0.5)
    service.speak(ulaw(10, 10))
    stage.drain()
    assert over_at(stage) - begin == pytest.approx(0.5 + 0.18 + 0.4, abs=0.03)


def test_a_playout_asked_before_the_turns_first_audio_waits_for_it() -> None:
    stage = Stage()
    service = stage.agent(heard_by=stage.leg())
    stage.run(5.0)
    turn(service, "started")
    stage.drain()
    asked(stage)
    stage.run(0.3)
    service.speak(ulaw(0, 10))
    turn(service, "ended")
    stage.drain()
    over_at(stage)
    assert stage.payload("s/caller") == ulaw(0, 10)


def test_a_playout_ends_after_15_seconds_and_says_that_it_was_not_heard_out() -> None:
    stage = Stage()
    service = stage.agent(heard_by=stage.leg())
    service.speak(bytes(8000 * 30))
    stage.drain()
    begin = asked(stage)
    assert over_at(stage) - begin == pytest.approx(15.0, abs=0.03)
    done = stage.done("p")
    assert done is not None
    assert "15 s" in done.message


@pytest.mark.parametrize("silent", ["no source", "cleared", "on hold", "closed agent", "leg closed"])
def test_a_playout_of_nothing_is_over_at_once(silent: str) -> None:
    stage = Stage()
    stage.leg()
    if silent != "no source":
        service = stage.agent(heard_by="s/caller")
        turn(service, "started")
        service.speak(ulaw(0, 100))
        turn(service, "ended")
        stage.drain()
        stage.run(0.1)
        if silent == "cleared":
            service.event("clear")
        elif silent == "closed agent":
            service.event("clear")
            service.close(1011, "broken")
        elif silent == "on hold":
            stage.leg(on_hold=True)
        else:
            stage.tell(link.LegClose("s/caller"))
        stage.drain()
    begin = asked(stage)
    assert over_at(stage) - begin <= 0.13


# --- recordings


def test_a_recording_is_written_in_blocks_of_a_second_and_holds_both_sides(tmp_path: Path) -> None:
    stage = Stage()
    service = stage.agent(hears=stage.leg(), heard_by="s/caller")
    stage.tell(link.RecordBegin("s/r", "s/caller", "/r.wav"))
    begin = stage.now
    service.speak(b"\x20" * 160 * 100)
    stage.drain()
    stage.talk("s/caller", 150, payload=b"\x30" * 160)
    stage.run(1.0)
    stage.tell(link.RecordEnd("s/r"))
    due = range(1, len(stage.blocks))
    assert [at - begin for at, _ in stage.blocks[:-1]] == [pytest.approx(each, abs=0.11) for each in due]
    assert len(stage.blocks) >= 4
    (over,) = stage.told(link.RecordOver)
    assert over.seconds == pytest.approx(4.0, abs=0.001)
    assert over.error == ""
    path = tmp_path / "r.wav"
    path.write_bytes(stage.files["/r.wav"])
    assert repair(path) == 32000
    body = bytes(stage.files["/r.wav"])[-64000:]
    left, right = body[0::2], body[1::2]
    assert left.count(b"\x30") == 150 * 160
    assert right.count(b"\x20") == 100 * 160
    assert right[:16000] == b"\x20" * 16000
    assert stage.closed_files == ["/r.wav"]


def test_a_recording_cut_anywhere_is_playable_and_pauses_are_silence(tmp_path: Path) -> None:
    stage = Stage()
    stage.leg()
    stage.tell(link.RecordBegin("s/r", "s/caller", "/r.wav"))
    stage.talk("s/caller", 25, payload=b"\x30" * 160)
    stage.run(1.0)  # the phone pauses: sequence numbers go on, timestamps jump
    for each in range(25, 50):
        stage.rtp_in("s/caller", rtp(each, b"\x31" * 160, timestamp=(each + 50) * 160))
        stage.run(0.02)
    stage.tell(link.LegClose("s/caller"))
    (over,) = stage.told(link.RecordOver)
    assert over.seconds == pytest.approx(2.0, abs=0.001)
    data = bytes(stage.files["/r.wav"])
    left = data[-32000:][0::2]
    assert left == b"\x30" * 4000 + b"\xff" * 8000 + b"\x31" * 4000
    path = tmp_path / "cut.wav"
    for length in (len(data), len(data) - 1, 5001, 60):
        path.write_bytes(data[:length])
        repair(path)
        read_wav(path)


def test_lost_packets_leave_a_gap_of_silence_in_their_place() -> None:
    stage = Stage()
    stage.leg()
    stage.tell(link.RecordBegin("s/r", "s/caller", "/r.wav"))
    for each in range(50):
        if each not in (20, 21):
            stage.rtp_in("s/caller", rtp(each, b"\x30" * 160))
        stage.run(0.02)
    stage.tell(link.RecordEnd("s/r"))
    left = bytes(stage.files["/r.wav"])[-16000:][0::2]
    assert left == b"\x30" * 3200 + b"\xff" * 320 + b"\x30" * 4480


def test_a_file_that_cannot_be_written_is_noted_once_and_the_call_goes_on() -> None:
    stage = Stage()
    busy(stage)
    for _ in range(2):
        stage.engine.file_failed("s/r", "no space left", stage.now)
    stage.drain()
    stage.files.clear()
    stage.run(3.0)
    assert stage.files == {}
    assert len(stage.notes("recording failed")) == 1
    stage.closed()
    assert [each.error for each in stage.told(link.RecordOver)] == ["no space left"]
    assert stage.closed_files == ["/r.wav"]


def test_recordings_that_cannot_begin_are_over_at_once() -> None:
    stage = Stage()
    stage.tell(link.RecordBegin("s/r", "s/caller", "/r.wav"))
    stage.leg()
    stage.tell(link.RecordBegin("s/r2", "s/caller", "/r2.wav"))
    stage.tell(link.RecordBegin("s/r3", "s/caller", "/r3.wav"))
    assert [(each.recording, each.error) for each in stage.told(link.RecordOver)] == [
        ("s/r", "the leg is over"),
        ("s/r3", "the leg is being recorded"),
    ]


def test_a_recording_of_nothing_has_a_header() -> None:
    stage = Stage()
    stage.leg()
    stage.tell(link.RecordBegin("s/r", "s/caller", "/r.wav"))
    stage.tell(link.RecordEnd("s/r"))
    assert stage.files["/r.wav"][:4] == b"RIFF"
    assert struct.unpack_from("<I", stage.files["/r.wav"], 4) == (0xFFFFFFFF,)


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
