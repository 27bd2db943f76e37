"""Realtime players on a plane, with a Sonic that speaks real WebSocket: contexts, pause, clear, errors, the end."""

import base64
import json
from typing import Any

import pytest

from cordboard.contract import link
from cordboard.plane import effects

from .plane_stage import OTHER, Service, Stage

LEG, PLAYER = "s/caller", "s/tts"
REQUEST = {"transcript": "Hello.", "voice": {"mode": "id", "id": "v"}, "continue": False}


class SonicService(Service):
    """Sonic's side: collects requests, says what the test wants."""

    def _message(self, message: dict[str, Any]) -> None:
        self.messages.append(message)

    def chunk(self, audio: bytes, context: str) -> None:
        data = base64.b64encode(audio).decode()
        self.say({"type": "chunk", "context_id": context, "data": data, "done": False, "status_code": 206})

    def done(self, context: str) -> None:
        self.say({"type": "done", "context_id": context, "done": True, "status_code": 200})


def opened(*, heard: bool = True, **fields: Any) -> tuple[Stage, SonicService]:
    """A leg, and a player, routed to it where it is `heard`."""
    stage = Stage(service=SonicService)
    stage.leg(LEG)
    where = {"base_url": "ws://sonic.example", "api_key": "sk_1", "version": "2026-08-14", **fields}
    stage.tell(link.SpeechOpen(PLAYER, **where, confirm="open"))
    if heard:
        stage.tell(link.Route(PLAYER, LEG))
    service = stage.services[PLAYER]
    assert isinstance(service, SonicService)
    return stage, service


def ask(stage: Stage, context: str = "c1", **fields: Any) -> link.Done:
    stage._tokens += 1
    token = f"ask-{stage._tokens}"
    done = stage.ask(link.SpeechRequest(PLAYER, {**REQUEST, "context_id": context, **fields}, token))
    assert done is not None
    return done


def said(stage: Stage) -> list[tuple[str, str, str, bool]]:
    return [(each.type, each.context_id, each.reason, each.last) for each in stage.told(link.PlayerSaid)]


def test_what_is_asked_for_is_heard_and_its_end_told_when_it_is_heard_out() -> None:
    stage, service = opened()
    assert stage.done("open") == link.Done("open")
    assert service.headers["X-API-Key"] == "sk_1"
    assert ask(stage).result == {"context_id": "c1"}
    [request] = service.messages
    assert request["output_format"] == {"container": "raw", "encoding": "pcm_mulaw", "sample_rate": 8000}
    stage.run(0.3)
    service.chunk(b"\x20" * 1600, "c1")
    service.done("c1")
    stage.drain()
    stage.run(0.1)
    assert said(stage) == [("started", "", "", False)]
    stage.run(0.3)
    assert said(stage)[1:] == [("chunks_finished", "c1", "", True)]
    told = stage.told(link.PlayerSaid)[1]
    assert told.seconds == pytest.approx(0.3, abs=0.02)
    assert told.heard == 0.2
    assert stage.payload(LEG) == b"\x20" * 1600
    stage.closed()


def test_speech_that_waited_for_its_listener_or_was_held_starts_when_it_is_heard() -> None:
    stage, service = opened(heard=False)
    ask(stage)
    service.chunk(b"\x20" * 1600, "c1")
    stage.drain()
    stage.run(0.5)
    assert said(stage) == []
    stage.tell(link.PlayerPause(PLAYER, on=True))
    stage.tell(link.Route(PLAYER, LEG))
    stage.run(0.5)
    service.chunk(b"\x20" * 1600, "c1")
    service.done("c1")
    stage.drain()
    assert said(stage) == []
    stage.tell(link.PlayerPause(PLAYER, on=False))
    stage.run(0.7)
    assert said(stage) == [("started", "", "", False), ("chunks_finished", "c1", "", True)]


def test_a_request_before_the_socket_is_open_waits_for_it() -> None:
    stage = Stage(service=SonicService, connects=False)
    stage.leg(LEG)
    stage.tell(link.SpeechOpen(PLAYER, "ws://sonic.example", "sk_1", "2026-08-14", "open"))
    assert ask(stage).ok
    [connect] = stage.connecting
    assert isinstance(connect, effects.SpeechConnect)
    service = stage.services[PLAYER] = SonicService()
    stage.engine.agent_connected(PLAYER, stage.now)
    stage.drain()
    assert [message["transcript"] for message in service.messages] == ["Hello."]


def test_contexts_end_one_by_one_and_the_last_says_so() -> None:
    stage, service = opened()
    for context in ("c1", "c2"):
        ask(stage, context)
        service.chunk(b"\x20" * 800, context)
        service.done(context)
    stage.drain()
    stage.run(0.6)
    assert said(stage)[1:] == [("chunks_finished", "c1", "", False), ("chunks_finished", "c2", "", True)]


def test_an_error_costs_its_context_alone() -> None:
    stage, service = opened()
    ask(stage, "c1")
    service.say({"type": "error", "context_id": "c1", "done": True, "message": "no such voice", "status_code": 400})
    stage.drain()
    assert said(stage) == [("chunks_finished", "c1", "no such voice", True)]
    ask(stage, "c2")
    service.chunk(b"\x21" * 160, "c2")
    stage.drain()
    stage.run(0.1)
    assert stage.payload(LEG) == b"\x21" * 160


def test_a_context_that_never_gives_audio_fails_in_time() -> None:
    stage, _ = opened()
    ask(stage, "c1")
    stage.keep(7)
    [message] = stage.told(link.PlayerSaid)
    assert (message.type, message.context_id) == ("chunks_finished", "c1")
    assert "no audio within" in message.reason


def test_a_cancelled_context_is_heard_no_more_and_cancelling_again_does_nothing() -> None:
    stage, service = opened()
    ask(stage, "c1")
    for token in ("x1", "x2"):
        assert stage.ask(link.SpeechCancel(PLAYER, "c1", token)) == link.Done(token)
    assert service.messages[1:] == [{"context_id": "c1", "cancel": True}]
    service.chunk(b"\x20" * 160, "c1")
    stage.drain()
    stage.run(0.2)
    assert stage.payload(LEG) == b""


def test_clear_drops_what_is_queued() -> None:
    stage, service = opened()
    ask(stage)
    service.chunk(b"\x20" * 16_000, "c1")
    service.done("c1")
    stage.drain()
    stage.run(0.1)
    assert stage.ask(link.SpeechClear(PLAYER, "clear")) == link.Done("clear")
    assert said(stage)[-1] == ("chunks_finished", "c1", "", True)
    heard = len(stage.payload(LEG))
    stage.run(0.5)
    assert len(stage.payload(LEG)) == heard < 1600
    [entry] = [each for each in stage.closed().ledger if each.source == PLAYER]
    assert entry.cleared == 16_000 - heard


def test_a_long_text_that_comes_at_once_is_kept_whole_up_to_five_minutes() -> None:
    stage, service = opened()
    ask(stage)
    for number in range(32):
        service.chunk(b"\x20" * 80_000, "c1")
        stage.drain()
        assert len(stage.notes("floods")) == (number >= 30)
    [entry] = [each for each in stage.closed().ledger if each.source == PLAYER]
    assert entry.discarded["overflow"] == 160_000 - 160  # a frame left at once


def test_a_pause_holds_the_queue() -> None:
    stage, service = opened()
    ask(stage)
    stage.tell(link.PlayerPause(PLAYER, True))
    service.chunk(b"\x20" * 800, "c1")
    stage.drain()
    stage.run(0.5)
    assert stage.payload(LEG) == b""
    stage.tell(link.PlayerPause(PLAYER, False))
    stage.run(0.3)
    assert stage.payload(LEG) == b"\x20" * 800


def test_what_is_said_to_nobody_waits_for_the_first_listener() -> None:
    stage, service = opened()
    stage.tell(link.Unroute(PLAYER, LEG))
    ask(stage)
    service.chunk(b"\x20" * 800, "c1")
    stage.drain()
    stage.run(0.5)
    stage.leg("s/consult", OTHER)
    stage.tell(link.Route(PLAYER, "s/consult"))
    stage.run(0.3)
    assert stage.payload("s/consult") == b"\x20" * 800
    assert stage.payload(LEG) == b""


def test_the_sockets_end_is_the_players() -> None:
    stage, service = opened()
    service.close(1011, "internal error")
    stage.drain()
    [message] = stage.told(link.PlayerSaid)
    assert (message.type, "1011" in message.reason) == ("failed", True)
    assert stage.disconnected == [PLAYER]
    done = stage.ask(link.SpeechRequest(PLAYER, REQUEST, "late"))
    assert done is not None
    assert done.code == "object_ended"


@pytest.mark.parametrize("fields", [{"base_url": "http://x"}, {"api_key": ""}])
def test_an_address_or_key_that_is_none_fails_the_player(fields: dict[str, str]) -> None:
    stage = Stage(service=SonicService)
    where = {"base_url": "ws://sonic.example", "api_key": "sk_1", "version": "2026-08-14", **fields}
    stage.tell(link.SpeechOpen(PLAYER, **where, confirm="open"))
    done = stage.done("open")
    assert done is not None
    assert (done.ok, done.code) == (False, "invalid")
    assert said(stage)[0][0] == "failed"


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"voice": ""}, "voice"), ({"output_format": {}}, "output_format"), ({"max_buffer_delay_ms": 9e9}, "max_buffer")],
)
def test_a_bad_request_is_refused_by_its_field(fields: dict[str, Any], field: str) -> None:
    stage, service = opened()
    done = ask(stage, **fields)
    assert (done.ok, done.code) == (False, "invalid")
    assert field in done.message
    assert service.messages == []


def test_closing_says_good_bye_and_drops_the_socket() -> None:
    stage, service = opened()
    stage.tell(link.PlayerClose(PLAYER, "stop"))
    assert said(stage) == [("stopped", "", "stop", False)]
    assert [code for code, _ in service.closes] == [1000]
    assert stage.disconnected == [PLAYER]
    stage.closed()


def test_a_hang_up_after_playout_waits_for_what_was_asked_for() -> None:
    stage, service = opened()
    ask(stage)
    stage.tell(link.LegPlayout(LEG, "gone"))
    stage.run(1.0)
    assert stage.done("gone") is None
    service.chunk(b"\x20" * 1600, "c1")
    service.done("c1")
    stage.drain()
    stage.run(0.5)
    assert stage.done("gone") == link.Done("gone")
    assert stage.payload(LEG) == b"\x20" * 1600


def test_garbage_of_the_service_costs_nothing_but_a_line() -> None:
    stage, service = opened()
    garbage: tuple[Any, ...] = ([], {"type": 7}, {"type": "chunk", "context_id": "zz", "data": "?"}, {"no": "type"})
    for message in garbage:
        service._protocol.send_text(json.dumps(message).encode())
    stage.drain()
    ask(stage)
    service.chunk(b"\x20" * 160, "c1")
    stage.drain()
    stage.run(0.1)
    assert stage.payload(LEG) == b"\x20" * 160
