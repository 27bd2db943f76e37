"""Players in a simulated world: what the caller hears, in what order, and what the scenario is told."""

from pathlib import Path

import numpy as np
import pytest
from tests.simulator.calls import CALLER, agent_of, control, heard, record_of
from tests.simulator.conftest import Make

from cordboard.media.wav import write_pcm16
from cordboard.simulator.phones import Phone
from cordboard.simulator.simulation import Simulation

TEMPLATE = Path(__file__).parent / "players" / "template.yaml"
TEXT = "a text of three seconds, as long as it lasts"


@pytest.fixture
def players(make: Make, tmp_path: Path) -> Simulation:
    """A world with a prompts folder."""
    folder = tmp_path / "prompts"
    folder.mkdir()
    write_pcm16(folder / "hold.wav", np.zeros(16_000, np.int16), 16_000)
    (tmp_path / "cordboard.toml").write_text('[dial]\nallow = ["*"]\n')
    return make(TEMPLATE, file=tmp_path / "cordboard.toml")


def steps(sim: Simulation, phone: Phone) -> list[str]:
    found: list[str] = sim.session_of(phone).state["steps"]
    return found


def test_a_hang_up_after_playout_hears_out_a_prompt_that_is_not_even_ready(players: Simulation) -> None:
    caller = players.call(CALLER, "goodbye")
    assert caller.state == "answered"
    players.world.advance(6)
    assert caller.state == "ended"
    text = "Thank you for calling. Goodbye."
    assert heard(players, caller) == {text: pytest.approx(len(text) / 15, abs=0.04)}
    assert record_of(players, caller).cause == "handler.terminate"


def test_the_agent_is_back_when_a_prompt_ends(players: Simulation) -> None:
    caller = players.call(CALLER, "agent")
    agent = agent_of(players, caller)
    agent.say("hello", 0.4)
    players.world.advance(1)
    assert control(players, caller, {"do": "say", "text": "one moment"}).status == 204
    players.world.advance(0.2)
    agent.say("into the void", 0.2)
    players.world.advance(1.5)
    agent.say("where were we", 0.4)
    players.world.advance(1)
    assert list(heard(players, caller)) == ["hello", "one moment", "where were we"]
    assert steps(players, caller) == [
        "player.ready say -", "player.started say caller", "player.finished say caller", "playback say on caller",
    ]  # fmt: skip
    caller.hangup()


def test_a_source_that_is_newer_ends_a_prompt(players: Simulation) -> None:
    caller = players.call(CALLER, "agent")
    agent = agent_of(players, caller)
    control(players, caller, {"do": "say", "text": "a long story that nobody hears to its end"})
    players.world.advance(0.5)
    control(players, caller, {"do": "bridge"})
    agent.say("to the point", 0.4)
    players.world.advance(1)
    assert list(heard(players, caller)) == ["a long story that nobody hears to its end", "to the point"]
    assert steps(players, caller)[-1] == "player.stopped say caller replaced"
    caller.hangup()


def test_saying_again_replaces_what_is_said(players: Simulation) -> None:
    caller = players.call(CALLER, "twice")
    players.world.advance(4)
    assert list(heard(players, caller)) == ["first things first, and at length", "second"]
    assert heard(players, caller)["first things first, and at length"] < 1.2
    assert steps(players, caller).count("playback say on caller") == 1
    assert "player.stopped say caller replaced" in steps(players, caller)
    caller.hangup()


def test_hold_music_repeats_until_it_is_stopped(players: Simulation) -> None:
    caller = players.call(CALLER, "hold")
    players.world.advance(3.5)
    assert heard(players, caller) == {"prompts/hold.wav": pytest.approx(3.4, abs=0.2)}
    control(players, caller, {"do": "stop", "name": "music"})
    since = players.world.now
    players.world.advance(1)
    assert heard(players, caller, since + 0.1) == {}
    assert steps(players, caller)[-1] == "player.stopped music caller stop"
    caller.hangup()


def test_a_pause_keeps_the_place(players: Simulation) -> None:
    caller = players.call(CALLER, "paused")
    players.world.advance(2)
    assert heard(players, caller) == {}
    control(players, caller, {"do": "resume", "name": "text"})
    players.world.advance(0.3)
    control(players, caller, {"do": "pause", "name": "text"})
    players.world.advance(1)
    control(players, caller, {"do": "resume", "name": "text"})
    players.world.advance(1)
    assert heard(players, caller) == {"wait for it": pytest.approx(0.74, abs=0.03)}
    assert steps(players, caller)[-1] == "player.finished text caller"
    caller.hangup()


def test_a_player_without_a_listener_waits_for_another(players: Simulation) -> None:
    caller = players.call(CALLER, "markers")
    players.world.advance(0.5)
    control(players, caller, {"do": "unroute", "name": "text"})
    players.world.advance(1)
    assert heard(players, caller) == {TEXT: pytest.approx(0.5, abs=0.06)}
    caller.hangup()


def test_markers_are_told_in_order(players: Simulation) -> None:
    caller = players.call(CALLER, "markers")
    players.world.advance(4)
    assert steps(players, caller)[2:] == ["marker 1", "marker 2.44", "player.finished text caller"]
    caller.hangup()


def test_the_newest_of_two_that_are_not_ready_wins(players: Simulation) -> None:
    caller = players.call(CALLER, "newest")
    players.world.advance(2)
    assert heard(players, caller) == {"the newest": pytest.approx(0.66, abs=0.03)}
    assert "player.stopped say caller replaced" in steps(players, caller)
    caller.hangup()


@pytest.mark.parametrize(("number", "reason"), [("missing", "prompts folder"), ("remote", "404")])
def test_what_cannot_be_played_is_told_and_a_lonely_caller_does_not_wait_for_ever(
    players: Simulation, number: str, reason: str
) -> None:
    players.edge.prompts.urls["https://sounds.test/a.wav"] = "404 Not Found"
    caller = players.call(CALLER, number)
    players.world.advance(1)
    told = steps(players, caller)
    assert told[0].startswith("player.failed ")
    assert reason in told[0]
    assert told[1].startswith("playback playback on caller ")
    players.world.advance(12)
    assert record_of(players, caller).cause == "limit.unbridged"


def test_a_session_has_ten_players(players: Simulation) -> None:
    caller = players.call(CALLER, "many")
    players.world.advance(0.5)
    assert steps(players, caller).count("player.create refused") == 1
    assert sum(step.startswith("player.ready") for step in steps(players, caller)) == 10
    caller.hangup()


def test_a_progress_tone_repeats(players: Simulation) -> None:
    caller = players.call(CALLER, "tones")
    players.world.advance(12)
    assert list(heard(players, caller).values()) == [pytest.approx(11.9, abs=0.2)]
    caller.hangup()


def test_a_plane_that_dies_takes_its_players_along(players: Simulation) -> None:
    caller = players.call(CALLER, "hold")
    players.world.advance(1)
    players.edge.kill_plane(0)
    players.world.advance(1)
    assert record_of(players, caller).cause == "plane.lost"


def test_a_phone_that_hangs_up_ends_what_it_hears(players: Simulation) -> None:
    caller = players.call(CALLER, "goodbye")
    players.world.advance(0.5)
    caller.hangup()
    players.world.advance(0.5)
    assert caller.state == "ended"
    assert record_of(players, caller).cause == "caller.hangup"


def test_a_realtime_player_speaks_what_it_is_given(players: Simulation) -> None:
    caller = players.call(CALLER, "sonic")
    players.world.advance(2)
    assert list(heard(players, caller)) == ["hello from sonic"]
    assert steps(players, caller) == [
        "player.ready tts -", "player.started tts caller", "chunks 0.2", "player.finished tts caller",
    ]  # fmt: skip
    assert control(players, caller, {"do": "generate", "text": "and more of it"}).status == 204
    players.world.advance(2)
    assert list(heard(players, caller)) == ["hello from sonic", "and more of it"]
    [speaker] = players.service.speakers
    assert [request["voice"] for request in speaker.requests] == [{"mode": "id", "id": "v1"}] * 2
    control(players, caller, {"do": "stop", "name": "tts"})
    players.world.advance(0.1)
    assert steps(players, caller)[-1] == "player.stopped tts caller stop"
    caller.hangup()
    players.world.advance(1)
    written = repr([each for each in players.session_of(caller).timeline if "http" not in each.what])
    assert "hello from" not in written
    assert "more of it" not in written
    assert "test-key" not in written


def test_a_cancelled_context_is_not_heard(players: Simulation) -> None:
    caller = players.call(CALLER, "sonic")
    players.world.advance(2)
    control(players, caller, {"do": "generate", "text": "never to be heard", "cancel": True, "clear": True})
    players.world.advance(2)
    assert list(heard(players, caller)) == ["hello from sonic"]
    assert steps(players, caller)[-1] == "asked True"
    caller.hangup()


def test_a_context_that_fails_is_told_and_the_player_speaks_on(players: Simulation) -> None:
    caller = players.call(CALLER, "sonic")
    players.world.advance(2)
    players.service.speakers[-1].errors["bad"] = "no such word"
    control(players, caller, {"do": "generate", "text": "bad"})
    players.world.advance(1)
    assert steps(players, caller)[-2:] == ["chunks 0.0 no such word", "player.finished tts caller no such word"]
    control(players, caller, {"do": "generate", "text": "good"})
    players.world.advance(1)
    assert list(heard(players, caller)) == ["hello from sonic", "good"]
    caller.hangup()


def test_a_realtime_player_without_a_voice_or_a_service_fails(players: Simulation) -> None:
    caller = players.call(CALLER, "voiceless")
    players.world.advance(1)
    assert [step for step in steps(players, caller) if "failed" in step] == [
        "player.failed voice: is missing, here and in the settings"
    ]
    caller.hangup()
    players.service.manners.reachable = False
    other = players.call(CALLER, "sonic")
    players.world.advance(1)
    assert any(step.startswith("player.failed ") and "refused" in step for step in steps(players, other))
    other.hangup()


def test_the_sockets_end_is_told_and_requests_fail_from_then_on(players: Simulation) -> None:
    caller = players.call(CALLER, "sonic")
    players.world.advance(2)
    players.service.speakers[-1].drop()
    players.world.advance(0.5)
    assert steps(players, caller)[-1].startswith("player.failed Sonic's socket closed")
    assert control(players, caller, {"do": "generate", "text": "x"}).status == 500
    caller.hangup()


def test_the_agent_is_back_when_a_realtime_player_is_stopped(players: Simulation) -> None:
    caller = players.call(CALLER, "agent")
    agent = agent_of(players, caller)
    control(players, caller, {"do": "speak", "text": "from sonic"})
    players.world.advance(2)
    agent.say("not heard: the player lives on", 0.2)
    players.world.advance(0.5)
    control(players, caller, {"do": "stop", "name": "tts"})
    players.world.advance(0.1)
    agent.say("where were we", 0.4)
    players.world.advance(1)
    assert list(heard(players, caller)) == ["from sonic", "where were we"]
    caller.hangup()


@pytest.mark.parametrize("how", ["unreachable", "refused", "broken"])
def test_the_agent_is_back_when_the_speech_service_fails(players: Simulation, how: str) -> None:
    caller = players.call(CALLER, "agent")
    agent = agent_of(players, caller)
    players.service.manners.reachable = how != "unreachable"
    players.service.manners.status = 401 if how == "refused" else 101
    control(players, caller, {"do": "speak", "text": "hello"})
    if how == "broken":
        players.world.advance(0.3)
        players.service.speakers[-1].drop()
    players.world.advance(0.5)
    agent.say("I am still here", 0.4)
    players.world.advance(1)
    assert list(heard(players, caller))[-1] == "I am still here"
    [failed] = [step for step in steps(players, caller) if step.startswith("player.failed")]
    assert {"unreachable": "refused", "refused": "HTTP 401; is the API key right?", "broken": "1006"}[how] in failed
    assert players.service.speakers == [] or players.service.speakers[-1].gone
    caller.hangup()


def test_pieces_of_one_context_are_heard_one_after_the_other_and_end_once(players: Simulation) -> None:
    caller = players.call(CALLER, "agent")
    control(players, caller, {"do": "speak"})
    control(players, caller, {"do": "go on", "pieces": ["Your table ", "is booked ", "for two."]})
    players.world.advance(4)
    assert list(heard(players, caller)) == ["Your table ", "is booked ", "for two."]
    [speaker] = players.service.speakers
    assert len({request["context_id"] for request in speaker.requests}) == 1
    assert [request["continue"] for request in speaker.requests] == [True, True, False]
    assert [step.partition(" ")[0] for step in steps(players, caller)] == [
        "player.ready", "player.started", "chunks", "player.finished",
    ]  # fmt: skip
    caller.hangup()


def test_a_realtime_player_has_no_markers(players: Simulation) -> None:
    caller = players.call(CALLER, "sonic")
    control(players, caller, {"do": "mark", "name": "tts"})
    players.world.advance(0.5)
    assert "player.add_marker not_supported" in steps(players, caller)
    caller.hangup()


def test_what_is_cleared_in_mid_sentence_is_heard_no_further(players: Simulation) -> None:
    caller = players.call(CALLER, "agent")
    agent = agent_of(players, caller)
    control(players, caller, {"do": "speak", "text": "a sentence that takes three seconds, or so"})
    players.world.advance(1)
    control(players, caller, {"do": "clear"})
    since = players.world.now
    players.world.advance(0.5)
    assert heard(players, caller, since + 0.06) == {}
    assert steps(players, caller)[-1] == "player.finished tts caller"
    control(players, caller, {"do": "stop", "name": "tts"})
    agent.say("as you wish", 0.4)
    players.world.advance(1)
    assert list(heard(players, caller))[-1] == "as you wish"
    caller.hangup()


def test_a_caller_who_hangs_up_leaves_no_socket_to_the_speech_service(players: Simulation) -> None:
    caller = players.call(CALLER, "sonic")
    players.world.advance(0.3)
    assert [speaker.gone for speaker in players.service.speakers] == [False]
    caller.hangup()
    players.world.advance(0.1)
    assert [speaker.gone for speaker in players.service.speakers] == [True]
    assert record_of(players, caller).cause == "caller.hangup"


def test_the_music_goes_on_after_a_text(players: Simulation) -> None:
    caller = players.call(CALLER, "patience")
    players.world.advance(4)
    assert list(heard(players, caller)) == ["prompts/hold.wav", "One moment, please."]
    assert steps(players, caller)[-1] == "playback say on caller"
    since = players.world.now
    players.world.advance(1)
    assert list(heard(players, caller, since)) == ["prompts/hold.wav"]
    caller.hangup()


def test_the_agent_is_heard_until_the_speech_service_is_there(players: Simulation) -> None:
    caller = players.call(CALLER, "agent")
    agent = agent_of(players, caller)
    agent.say("while you wait", 5.0)
    players.service.manners.latency = 1.0  # there are three ways until the socket is open
    control(players, caller, {"do": "speak", "text": "at last"})
    players.world.advance(5)
    assert list(heard(players, caller)) == ["while you wait", "at last"]
    assert heard(players, caller)["while you wait"] == pytest.approx(3.0, abs=0.1)
    caller.hangup()
