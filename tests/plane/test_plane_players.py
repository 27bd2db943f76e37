"""Players on a plane: frames in their time, the source beneath, pause, markers, and a ledger that balances."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.contract import link

from .plane_stage import OTHER, Stage, ulaw

LEG, PLAYER = "s/caller", "s/say"


def said(stage: Stage, unit: str = PLAYER) -> list[tuple[str, float, str]]:
    return [(each.type, each.seconds, each.reason) for each in stage.told(link.PlayerSaid) if each.player == unit]


def replaced(stage: Stage) -> list[tuple[str, str, str]]:
    return [(each.source, each.sink, each.by) for each in stage.told(link.MediaNote) if each.type == "media.replaced"]


def test_a_sound_is_heard_once_and_to_its_end() -> None:
    stage = Stage()
    stage.leg(LEG)
    sound = ulaw(1, 5)
    stage.player(PLAYER, sound, over=LEG)
    done = stage.done(f"load-{PLAYER}")
    assert done is not None
    assert done.result == {"seconds": 0.1}
    stage.run(0.05)
    assert said(stage) == [("started", 0.0, "")]
    stage.run(0.13)
    assert stage.payload(LEG) == sound
    assert said(stage) == [("started", 0.0, "")]  # the last frame has left and sounds yet
    stage.run(0.05)
    assert said(stage) == [("started", 0.0, ""), ("finished", 0.1, "")]
    stamps = [each.at for each in stage.audio(LEG)]
    assert all(later - sooner == pytest.approx(0.02, abs=0.006) for sooner, later in itertools.pairwise(stamps))
    assert [entry.sent for entry in stage.closed().ledger] == [len(sound)]


def test_a_last_part_of_a_frame_is_filled_with_silence() -> None:
    stage = Stage()
    stage.leg(LEG)
    stage.player(PLAYER, b"\x10" * 200, over=LEG)
    stage.run(0.3)
    assert stage.payload(LEG) == b"\x10" * 200 + b"\xff" * 120


def test_an_a_law_leg_hears_a_law() -> None:
    stage = Stage()
    stage.leg(LEG, codec="PCMA")
    stage.player(PLAYER, b"\xff" * 160, over=LEG)
    stage.run(0.3)
    assert stage.payload(LEG) == b"\xd5" * 160


def test_the_agent_comes_back_when_a_prompt_over_it_ends() -> None:
    stage = Stage()
    stage.leg(LEG)
    service = stage.agent("s/agent", hears=LEG, heard_by=LEG)
    service.speak(ulaw(1, 50))
    stage.drain()
    stage.run(0.1)
    stage.player(PLAYER, b"\x20" * 800, over=LEG)
    assert replaced(stage) == [("s/agent", LEG, PLAYER)]
    stage.run(0.05)
    service.speak(b"\x30" * 160)  # goes nowhere
    stage.drain()
    stage.run(0.3)
    service.speak(b"\x40" * 160)
    stage.drain()
    stage.run(0.2)
    heard = stage.payload(LEG)
    assert heard.count(b"\x20" * 160) == 5
    assert b"\x30" not in heard
    assert heard.endswith(b"\x40" * 160)
    assert [note.data for note in stage.notes("back")] == [{"leg": "caller", "source": "agent"}]
    entries = {entry.source: entry for entry in stage.closed().ledger if entry.sink == LEG and entry.discarded}
    assert entries["s/agent"].discarded["replaced"] > 0


def test_two_legs_hear_each_other_again_after_a_prompt() -> None:
    stage = Stage()
    stage.leg(LEG)
    stage.leg("s/consult", OTHER)
    stage.tell(link.Route("s/consult", LEG))
    stage.tell(link.Route(LEG, "s/consult"))
    stage.talk("s/consult", 10, payload=b"\x11" * 160, source=OTHER)
    stage.player(PLAYER, b"\x20" * 800, over=LEG)
    stage.talk("s/consult", 20, first=10, payload=b"\x12" * 160, source=OTHER)
    stage.run(0.2)
    heard = stage.payload(LEG)
    assert heard.count(b"\x20" * 160) == 5
    after = heard.rindex(b"\x20" * 160) + 160
    assert b"\x12" * 1600 in heard[after:]
    stage.closed()


def test_a_newer_source_takes_the_place_of_a_prompt_for_good() -> None:
    stage = Stage()
    stage.leg(LEG)
    first = stage.agent("s/one", heard_by=LEG)
    stage.player(PLAYER, b"\x20" * 16_000, over=LEG)
    stage.run(0.1)
    second = stage.agent("s/two", heard_by=LEG)
    assert replaced(stage) == [("s/one", LEG, PLAYER), (PLAYER, LEG, "s/two")]
    stage.tell(link.PlayerClose(PLAYER, "replaced"))
    first.speak(b"\x30" * 320)
    second.speak(b"\x40" * 320)
    stage.drain()
    stage.run(0.3)
    assert said(stage)[-1][::2] == ("stopped", "replaced")
    assert stage.payload(LEG).endswith(b"\x40" * 320)
    assert b"\x30" not in stage.payload(LEG)
    stage.closed()


def test_a_second_prompt_replaces_the_first_and_the_source_beneath_stays() -> None:
    stage = Stage()
    stage.leg(LEG)
    service = stage.agent("s/agent", heard_by=LEG)
    stage.player("s/a", b"\x20" * 16_000, over=LEG)
    stage.run(0.1)
    stage.player("s/b", b"\x21" * 320, over=LEG)
    stage.tell(link.PlayerClose("s/a", "replaced"))
    stage.run(0.3)
    service.speak(b"\x40" * 160)
    stage.drain()
    stage.run(0.1)
    assert stage.payload(LEG).endswith(b"\x21" * 320 + b"\x40" * 160)
    assert replaced(stage) == [("s/agent", LEG, "s/a"), ("s/a", LEG, "s/b")]


def test_what_was_unrouted_beneath_a_prompt_does_not_come_back() -> None:
    stage = Stage()
    stage.leg(LEG)
    service = stage.agent("s/agent", heard_by=LEG)
    stage.player(PLAYER, b"\x20" * 800, over=LEG)
    stage.tell(link.Unroute("s/agent", LEG))
    stage.run(0.3)
    service.speak(b"\x40" * 160)
    stage.drain()
    stage.run(0.2)
    assert stage.payload(LEG) == b"\x20" * 800


def test_a_closed_agent_beneath_a_prompt_does_not_come_back() -> None:
    stage = Stage()
    stage.leg(LEG)
    service = stage.agent("s/agent", heard_by=LEG)
    stage.player(PLAYER, b"\x20" * 800, over=LEG)
    service.close()
    stage.drain()
    stage.run(0.5)
    assert said(stage)[-1][0] == "finished"
    assert stage.payload(LEG) == b"\x20" * 800
    assert not stage.notes("back")


def test_a_looped_sound_repeats_until_it_is_closed() -> None:
    stage = Stage()
    stage.leg(LEG)
    sound = ulaw(1, 3)
    stage.player(PLAYER, sound, heard_by=LEG, loop=True)
    stage.run(1.0)
    assert stage.payload(LEG).startswith(sound * 15)
    stage.tell(link.PlayerClose(PLAYER, "stop"))
    sent = len(stage.payload(LEG))
    stage.run(0.5)
    assert len(stage.payload(LEG)) == sent
    assert said(stage) == [("started", 0.0, ""), ("stopped", sent / 8000, "stop")]


def test_a_paused_player_keeps_its_place() -> None:
    stage = Stage()
    stage.leg(LEG)
    sound = ulaw(1, 20)
    stage.player(PLAYER, sound, heard_by=LEG, paused=True)
    stage.run(0.2)
    assert stage.payload(LEG) == b""
    stage.tell(link.PlayerPause(PLAYER, False))
    stage.run(0.1)
    stage.tell(link.PlayerPause(PLAYER, True))
    first = len(stage.payload(LEG))
    stage.run(1.0)
    assert 0 < len(stage.payload(LEG)) == first < len(sound)
    stage.tell(link.PlayerPause(PLAYER, False))
    stage.run(0.6)
    assert stage.payload(LEG) == sound


def test_a_player_goes_on_at_its_place_for_another_listener() -> None:
    stage = Stage()
    stage.leg(LEG)
    stage.leg("s/consult", OTHER)
    sound = ulaw(1, 20)
    stage.player(PLAYER, sound, heard_by=LEG)
    stage.run(0.1)
    stage.tell(link.Route(PLAYER, "s/consult"))
    stage.run(0.6)
    assert stage.payload(LEG) + stage.payload("s/consult") == sound
    ledger = stage.closed().ledger
    assert sum(entry.sent for entry in ledger if entry.source == PLAYER) == len(sound)


def test_markers_are_told_when_they_are_heard_in_order() -> None:
    stage = Stage()
    stage.leg(LEG)
    stage.player(PLAYER, ulaw(1, 50), paused=True, heard_by=LEG)
    for number, offset in enumerate((0.5, -0.1, 0.2)):
        assert stage.ask(link.PlayerMark(PLAYER, offset, f"m{number}")) == link.Done(f"m{number}")
    stage.tell(link.PlayerPause(PLAYER, False))
    stage.run(0.3)
    assert said(stage) == [("started", 0.0, ""), ("marker", 0.2, "")]
    stage.run(1.0)
    assert said(stage)[2:] == [("marker", 0.5, ""), ("marker", 0.9, ""), ("finished", 1.0, "")]
    late = stage.ask(link.PlayerMark(PLAYER, 0.1, "late"))
    assert late is not None
    assert late.code == "object_ended"


def test_markers_are_bounded() -> None:
    stage = Stage()
    stage.player(PLAYER, ulaw(1, 5))
    for number in range(101):
        stage.tell(link.PlayerMark(PLAYER, 0.02, f"m{number}"))
    refused = stage.done("m100")
    assert refused is not None
    assert refused.code == "refused"


def test_a_file_that_cannot_be_read_fails_its_player_and_the_source_goes_on() -> None:
    stage = Stage()
    stage.leg(LEG)
    service = stage.agent("s/agent", heard_by=LEG)
    stage.tell(link.SoundOpen(PLAYER, "/nowhere", confirm="c"))
    stage.tell(link.PlayOver(PLAYER, LEG))
    done = stage.done("c")
    assert done is not None
    assert (done.ok, done.code) == (False, "sound_lost")
    assert said(stage) == [("failed", 0.0, "no such file")]
    service.speak(b"\x40" * 160)
    stage.drain()
    stage.run(0.1)
    assert stage.payload(LEG) == b"\x40" * 160


def test_an_empty_file_fails_its_player() -> None:
    stage = Stage()
    stage.player(PLAYER, b"")
    assert said(stage)[0][0] == "failed"


def test_players_of_one_file_share_it_until_the_last_one_ends() -> None:
    stage = Stage()
    stage.sounds["/cache/hold"] = ulaw(1, 50)
    for session in ("s", "t"):
        stage.tell(link.SoundOpen(f"{session}/hold", "/cache/hold", loop=True))
    assert stage.loads == ["/cache/hold"]
    stage.closed("s")
    stage.tell(link.SoundOpen("t/again", "/cache/hold"))
    assert stage.loads == ["/cache/hold"]
    stage.closed("t")
    stage.tell(link.SoundOpen("u/hold", "/cache/hold"))
    assert stage.loads == ["/cache/hold"] * 2


def test_a_hang_up_after_playout_hears_the_prompt_out_and_nothing_comes_back() -> None:
    stage = Stage()
    stage.leg(LEG)
    service = stage.agent("s/agent", heard_by=LEG)
    stage.player(PLAYER, ulaw(1, 50), over=LEG)
    stage.run(0.1)
    stage.tell(link.LegPlayout(LEG, "gone"))
    stage.run(0.8)
    assert stage.done("gone") is None
    service.speak(b"\x40" * 16_000)
    stage.drain()
    stage.run(0.3)
    assert stage.done("gone") == link.Done("gone")
    assert b"\x40" * 160 not in stage.payload(LEG)


def test_a_looped_sound_does_not_hold_up_a_hang_up() -> None:
    stage = Stage()
    stage.leg(LEG)
    stage.player(PLAYER, ulaw(1, 50), over=LEG, loop=True)
    stage.run(0.5)
    stage.tell(link.LegPlayout(LEG, "gone"))
    stage.run(0.2)
    assert stage.done("gone") == link.Done("gone")


def test_digits_take_the_place_of_frames() -> None:
    stage = Stage()
    stage.leg(LEG, dtmf_send=101)
    stage.player(PLAYER, ulaw(1, 50), over=LEG)
    stage.run(0.2)
    stage.tell(link.LegDigits(LEG, "5"))
    stage.run(1.2)
    [entry] = stage.closed().ledger
    assert entry.discarded["dtmf"] > 0
    assert entry.sent == len(stage.payload(LEG))
    assert said(stage)[-1] == ("finished", 1.0, "")


def test_a_held_leg_hears_the_rest_afterwards() -> None:
    stage = Stage()
    stage.leg(LEG)
    stage.player(PLAYER, ulaw(1, 20), over=LEG)
    stage.run(0.1)
    stage.leg(LEG, on_hold=True, direction="recvonly")
    held = len(stage.payload(LEG))
    stage.run(1.0)
    assert len(stage.payload(LEG)) == held
    stage.leg(LEG)
    stage.run(0.6)
    assert stage.payload(LEG) == ulaw(1, 20)


def test_the_end_of_a_session_drops_players_without_a_word() -> None:
    stage = Stage()
    stage.leg(LEG)
    stage.player(PLAYER, ulaw(1, 50), over=LEG)
    stage.run(0.1)
    before = said(stage)
    [entry] = stage.closed().ledger
    assert entry.sent == len(stage.payload(LEG))
    stage.run(2.0)
    assert said(stage) == before
    assert stage.engine._board.players == {}
    assert stage.engine._players._sounds == {}


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("open"), st.integers(0, 3), st.integers(1, 30), st.booleans()),
        st.tuples(st.just("over"), st.integers(0, 3), st.integers(0, 1)),
        st.tuples(st.just("route"), st.sampled_from(["s/p0", "s/p1", "s/agent", "s/b"]), st.integers(0, 1)),
        st.tuples(st.just("unroute"), st.sampled_from(["s/p0", "s/p1", "s/agent", "s/b"]), st.integers(0, 1)),
        st.tuples(st.just("pause"), st.integers(0, 3), st.booleans()),
        st.tuples(st.just("close"), st.integers(0, 3)),
        st.tuples(st.just("say"), st.integers(1, 20)),
        st.tuples(st.just("hold"), st.booleans()),
        st.tuples(st.just("run"), st.floats(0.001, 0.4)),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(ACTS)
def test_whatever_happens_every_sample_is_accounted_for(acts: list[tuple[object, ...]]) -> None:
    stage = Stage()
    legs = [stage.leg("s/a"), stage.leg("s/b", OTHER)]
    service = stage.agent("s/agent")
    for act in acts:
        match act:
            case ("open", int(number), int(frames), bool(loop)):
                stage.player(f"s/p{number}", ulaw(1, frames), loop=loop)
            case ("over", int(number), int(place)):
                stage.tell(link.PlayOver(f"s/p{number}", legs[place]))
            case ("route", str(unit), int(place)):
                stage.tell(link.Route(unit, legs[place]))
            case ("unroute", str(unit), int(place)):
                stage.tell(link.Unroute(unit, legs[place]))
            case ("pause", int(number), bool(on)):
                stage.tell(link.PlayerPause(f"s/p{number}", on))
            case ("close", int(number)):
                stage.tell(link.PlayerClose(f"s/p{number}", "stop"))
            case ("say", int(frames)):
                service.speak(ulaw(1, frames))
                stage.drain()
            case ("hold", bool(on)):
                stage.leg("s/a", on_hold=on, direction="recvonly" if on else "sendrecv")
            case ("run", float(seconds)):
                stage.run(seconds)
    stage.run(0.2)
    ledger = stage.closed().ledger
    for leg in legs:
        assert sum(entry.sent + entry.padded for entry in ledger if entry.sink == leg) == len(stage.payload(leg))
    assert stage.engine._board.players == {}
    assert stage.engine._players._sounds == {}
