"""Calls through the harness: a fake program on one side, a raw client of the Line wire on the other."""

from __future__ import annotations

from typing import Any

import pytest

from cordboard.line.harness import caller_side
from cordboard.line.harness import mouth as harness_mouth
from cordboard.line.server import LineServer

from ..line_peer import LIMIT, LOUD, SILENCE, Peer, calling, calling_managed
from .fake_agent import FakeAgent, Session, harnessing
from .harness_talk import FAST, run, talk


def test_the_opening_tells_the_caller_in_both_spellings_and_merges_metadata() -> None:
    async def test() -> None:
        async with harnessing() as (server, agent), calling(server) as peer:
            agent.answer = {
                "websocket_url": "/ws",
                "cartesia_version": "2026-04-03",
                "metadata": {"k": 2, "more": True},
                "config": {"tts": {"voice_id": "v-1", "language": None}},
            }
            await peer.start(
                stream_id="edge-1",
                agent={"introduction": "Hi", "system_prompt": "p"},
                metadata={"from": "+390698765432", "to": "+390612345678", "k": 1},
            )
            ack = await peer.receive()
            session = await agent.sessions.get()
            start = await session.until(type="start")
            described = {"id": "a", "system_prompt": "p", "introduction": "Hi"}
            assert agent.chats == [
                {
                    "call_id": "edge-1",
                    "from": "+390698765432",
                    "from_": "+390698765432",
                    "to": "+390612345678",
                    "agent_call_id": ack["call_id"],
                    "agent": described,
                    "metadata": {"from": "+390698765432", "to": "+390612345678", "k": 1},
                }
            ]
            assert start == {
                "type": "start",
                "call_id": "edge-1",
                "from": "+390698765432",
                "to": "+390612345678",
                "agent_call_id": ack["call_id"],
                "agent": described,
                "metadata": {"from": "+390698765432", "to": "+390612345678", "k": 2, "more": True},
                "agent_token": None,
                "api_base_url": f"http://127.0.0.1:{server.port}",
            }
            assert server.calls[0].agent_config == {"tts.voice_id": "v-1"}

    run(test())


@pytest.mark.parametrize(
    ("answer", "wants_start"),
    [
        ({"websocket_url": "/ws?call_id=x&metadata=%7B%7D"}, False),
        ({"websocket_url": "/ws?call_id=x&cartesia_version=2026-04-03"}, True),
        ({"websocket_url": "/ws", "cartesia_version": "2027-01-01"}, True),
    ],
)
def test_start_is_sent_if_and_only_if_a_version_is_named(answer: dict[str, str], wants_start: bool) -> None:
    async def test() -> None:
        async with harnessing(settings=FAST) as (server, agent), calling(server) as peer:
            agent.answer = answer
            await peer.start()
            await peer.until("ack")
            session = await agent.sessions.get()
            assert agent.targets == [answer["websocket_url"]]
            await peer.send({"event": "custom", "metadata": {"k": 1}})
            first = await session.until()
            assert first["type"] == ("start" if wants_start else "custom")

    run(test())


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"type": "dtmf", "button": "5"}, {"event": "dtmf", "dtmf": "5"}),
        ({"type": "custom", "metadata": {"stage": "pay"}}, {"event": "custom", "metadata": {"stage": "pay"}}),
        (
            {"type": "transfer", "transfer_destination": {"type": "phone", "value": "+14155550123"}},
            {"event": "transfer_call", "transfer": {"target_phone_number": "+14155550123"}},
        ),
        (
            {"type": "transfer", "target_phone_number": "+14155550123"},
            {"event": "transfer_call", "transfer": {"target_phone_number": "+14155550123"}},
        ),
        (
            {"type": "transfer", "transfer_destination": {"type": "sip_uri", "value": "sip:desk@pbx.example"}},
            {
                "event": "transfer_call",
                "transfer": {"target_sip_uri": "sip:desk@pbx.example"},
                "transfer_destination": {"type": "sip", "value": "sip:desk@pbx.example"},
            },
        ),
    ],
)
def test_what_the_program_does_reaches_the_client(sent: dict[str, Any], expected: dict[str, Any]) -> None:
    async def test(server: LineServer, agent: FakeAgent, peer: Peer, session: Session) -> None:
        session.send({"responding_to": "of-its-own", "interruptible": True, "id": None, **sent})
        message = await peer.receive()
        message.pop("stream_id")
        assert message == expected

    talk(test)


@pytest.mark.parametrize(
    "note",
    [
        {"type": "tool_call", "name": "find_slot", "arguments": {"size": 2}, "result": None, "id": None},
        {"type": "tool_call", "name": "find_slot", "arguments": {"size": 2}, "result": '{"slot": "19:30"}', "id": None},
        {"type": "log_metric", "name": "agent_turn_ms", "value": 812.4},
        {
            "type": "log_event",
            "event": "order",
            "metadata": {"level": "info", "message": "placed", "metadata": {"n": 1}},
        },
        {"type": "brand_new", "x": 1},
    ],
)
def test_notes_are_kept_in_the_record(note: dict[str, Any]) -> None:
    async def test(server: LineServer, agent: FakeAgent, peer: Peer, session: Session) -> None:
        session.send({"responding_to": "e4", **note})
        session.send({"type": "custom", "metadata": {}, "responding_to": "e4"})
        await peer.until("custom")
        kept = [item.message for item in server.calls[0].agent_messages if item.direction == "in"]
        assert kept[0] == {"responding_to": "e4", **note}

    talk(test)


def test_configuration_is_noted_and_said_to_have_no_effect() -> None:
    async def test(server: LineServer, agent: FakeAgent, peer: Peer, session: Session) -> None:
        tts = {"voice_id": "v-es", "pronunciation_dict_id": None, "language": "es"}
        session.send({"type": "config", "tts": tts, "stt": {"language": "es"}, "language": "es", "responding_to": None})
        session.send({"type": "config", "mood": "cheerful", "responding_to": None})
        session.send({"type": "custom", "metadata": {}})
        await peer.until("custom")
        record = server.calls[0]
        assert record.agent_config == {
            "tts.voice_id": "v-es",
            "tts.language": "es",
            "stt.language": "es",
            "language": "es",
            "mood": "cheerful",
        }
        assert record.warnings == [
            "agent: tts.language, tts.voice_id noted; local speech has one voice",
            "agent: stt.language noted; this ear has one language",
            "agent: mood noted; it is not known here",
        ]

    talk(test)


def test_speech_is_one_turn_and_history_is_told_as_it_is_heard() -> None:
    async def test(server: LineServer, agent: FakeAgent, peer: Peer, session: Session) -> None:
        for piece in ("For ", "two, cert", "ainly. At ", "eight?"):
            session.send({"type": "message", "content": piece, "interruptible": True, "responding_to": "x"})
        session.send({"type": "response_end", "responding_to": "x"})
        ended, before = await peer.until("turn_ended")
        assert ended["turn_ended"]["text"] == "For two, certainly. At eight?"
        assert [m["event"] for m in before if m["event"] != "media_output"] == [
            "turn_started",
            *["turn_output_text_delta"] * 5,
        ]
        told = [await session.until() for _ in range(7)]
        assert [m.get("value") or m["content"] for m in told] == [
            *("speaking", "For", "two,", "certainly.", "At", "eight?", "idle"),
        ]
        assert {m["type"] for m in told[1:-1]} == {"agent_speech"}

    talk(test, settings=FAST)


def test_the_end_waits_for_queued_speech() -> None:
    async def test(server: LineServer, agent: FakeAgent, peer: Peer, session: Session) -> None:
        session.send({"type": "message", "content": "Good bye.", "interruptible": True, "responding_to": "x"})
        session.send({"type": "end_call", "reason": "voicemail_detected", "interruptible": True, "responding_to": "x"})
        ended, _ = await peer.until("turn_ended")
        assert ended["turn_ended"]["was_interrupted"] is False
        assert await peer.closed() == (1000, "call ended by agent, reason: voicemail_detected")
        assert await session.closed() == 1000

    talk(test, settings=FAST)


def test_a_plain_end_has_no_reason() -> None:
    async def test(server: LineServer, agent: FakeAgent, peer: Peer, session: Session) -> None:
        session.send({"type": "end_call", "reason": "agent_ended", "interruptible": True, "responding_to": "x"})
        assert await peer.closed() == (1000, "call ended by agent")

    talk(test)


def test_a_turn_of_the_caller_is_told_in_order_and_answered() -> None:
    async def test(server: LineServer, agent: FakeAgent, peer: Peer, session: Session) -> None:
        session.send({"type": "response_end", "responding_to": "own"})
        await peer.audio(LOUD, 10)
        await peer.audio(SILENCE, 40)
        told = [await session.until() for _ in range(3)]
        assert [(m["type"], m.get("value") or m["content"]) for m in told] == [
            ("user_state", "speaking"),
            ("message", "a table for two"),
            ("user_state", "idle"),
        ]
        assert len({m["event_id"] for m in told}) == 3
        ended, _ = await peer.until("turn_ended")
        assert (ended["turn_ended"]["role"], ended["turn_ended"]["text"]) == ("user", "a table for two")
        session.send({"type": "message", "content": "Yes.", "responding_to": told[2]["event_id"]})
        session.send({"type": "response_end", "responding_to": told[2]["event_id"]})
        ended, _ = await peer.until("turn_ended")
        assert ended["turn_ended"]["text"] == "Yes."
        await peer.audio(LOUD, 10)
        await peer.audio(SILENCE, 40)
        await session.until(type="user_state", value="speaking")
        assert (await session.until())["value"] == "idle", "the ear's script is over: a turn without text"

    talk(test, "a table for two", settings=FAST)


def test_without_an_ear_turns_are_empty_and_that_is_said_once() -> None:
    async def test(server: LineServer, agent: FakeAgent, peer: Peer, session: Session) -> None:
        for _ in range(2):
            await peer.audio(LOUD, 10)
            await peer.audio(SILENCE, 80)
            await session.until(type="user_state", value="speaking")
            await session.until(type="user_state", value="idle")
        assert [w for w in server.calls[0].warnings if "no ear" in w] == [
            "there is no ear: the caller's turns carry no text"
        ]

    talk(test, ears=False)


def test_a_barge_in_clears_commits_only_what_was_heard_and_drops_late_text() -> None:
    async def test(server: LineServer, agent: FakeAgent, peer: Peer, session: Session) -> None:
        words = " ".join(f"word{at}" for at in range(60)) + "."
        session.send({"type": "message", "content": words, "interruptible": True, "responding_to": "own"})
        session.send({"type": "message", "content": " Never said.", "interruptible": True, "responding_to": "own"})
        await session.until(type="agent_speech", content="word1")
        await peer.audio(LOUD, 10)
        heard = ["word0", "word1"]
        while (message := await session.until())["type"] == "agent_speech":
            heard.append(message["content"])
        assert (message["type"], message["value"]) == ("user_state", "speaking")
        assert (await session.until())["value"] == "idle"
        ended, before = await peer.until("turn_ended")
        assert "clear" in [m["event"] for m in before]
        assert ended["turn_ended"]["was_interrupted"] is True
        assert ended["turn_ended"]["text"].split() == heard
        assert len(heard) < 60
        session.send({"type": "message", "content": "Too late.", "interruptible": True, "responding_to": "own"})
        session.send({"type": "end_call", "reason": None, "interruptible": True, "responding_to": "own"})
        session.send({"type": "response_end", "responding_to": "own"})
        await peer.audio(SILENCE, 40)
        idle = await session.until(type="user_state", value="idle")
        session.send({"type": "message", "content": "Anew.", "responding_to": idle["event_id"]})
        session.send({"type": "response_end", "responding_to": idle["event_id"]})
        while (turn := (await peer.until("turn_ended"))[0]["turn_ended"])["role"] == "user":
            pass
        assert turn["text"] == "Anew."

    talk(test, "stop", settings=FAST)


def test_what_must_not_be_interrupted_is_heard_to_its_end() -> None:
    async def test(server: LineServer, agent: FakeAgent, peer: Peer, session: Session) -> None:
        text = "This call may be recorded."
        session.send({"type": "message", "content": text, "interruptible": False, "responding_to": "own"})
        session.send({"type": "message", "content": " Now then.", "interruptible": True, "responding_to": "own"})
        session.send({"type": "response_end", "responding_to": "own"})
        await session.until(type="agent_speech", content="This")
        await peer.audio(LOUD, 10)
        await session.until(type="user_state", value="speaking")
        ended, before = await peer.until("turn_ended")
        assert "clear" not in [m["event"] for m in before]
        assert ended["turn_ended"]["text"].startswith(text)
        assert ended["turn_ended"]["was_interrupted"] is False

    talk(test)


@pytest.mark.parametrize("last", ["#", ""])
def test_digits_outside_a_turn_make_one(monkeypatch: pytest.MonkeyPatch, last: str) -> None:
    monkeypatch.setattr(caller_side, "DIGIT_PAUSE", LIMIT if last else 0.05)

    async def test(server: LineServer, agent: FakeAgent, peer: Peer, session: Session) -> None:
        digits = "42" + last
        for digit in digits:
            await peer.send({"event": "dtmf", "dtmf": digit})
        told = [await session.until() for _ in range(len(digits) + 2)]
        assert [m.get("button") or m["value"] for m in told] == ["speaking", *digits, "idle"]

    talk(test)


def test_bare_digits_and_custom_data_are_told_and_no_more() -> None:
    async def test(server: LineServer, agent: FakeAgent, peer: Peer, session: Session) -> None:
        await peer.send({"event": "dtmf", "dtmf": "7"})
        await peer.send({"event": "custom", "metadata": {"k": 1}})
        assert await session.until() == {"type": "dtmf", "button": "7", "event_id": "ev_1"}
        assert await session.until() == {"type": "custom", "metadata": {"k": 1}, "event_id": "ev_2"}

    talk(test, dtmf_turns=False)


def test_an_old_sdk_ends_its_reply_by_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness_mouth, "REPLY_PAUSE", 0.05)

    async def test(server: LineServer, agent: FakeAgent, peer: Peer, session: Session) -> None:
        session.send({"type": "message", "content": "Yes", "interruptible": True})
        ended, _ = await peer.until("turn_ended")
        assert ended["turn_ended"]["text"] == "Yes"

    talk(test, settings=FAST)


@pytest.mark.parametrize("kind", ["end_call", "transfer"])
@pytest.mark.parametrize("interruptible", [True, False])
def test_a_barge_in_takes_an_end_or_a_transfer_back_unless_it_must_be(kind: str, interruptible: bool) -> None:
    async def test(server: LineServer, agent: FakeAgent, peer: Peer, session: Session) -> None:
        answer = {"responding_to": "own", "interruptible": interruptible}
        text = "Thank you for calling us today, and good bye."
        session.send({"type": "message", "content": text, "responding_to": "own", "interruptible": True})
        session.send({"type": kind, "target_phone_number": "+1415", "reason": None, **answer})
        await session.until(type="agent_speech", content="Thank")
        await peer.audio(LOUD, 10)
        await session.until(type="user_state", value="speaking")
        session.send({"type": "response_end", "responding_to": "own"})
        if not interruptible and kind == "end_call":
            assert await peer.closed() == (1000, "call ended by agent")
            return
        session.send({"type": "custom", "metadata": {}, "responding_to": None})
        names = [message["event"] for message in (await peer.until("custom"))[1]]
        if not interruptible and "transfer_call" not in names:
            await peer.until("transfer_call")
        assert interruptible is False or "transfer_call" not in names

    talk(test, settings=FAST)


def test_late_words_that_must_not_be_interrupted_are_said() -> None:
    async def test(server: LineServer, agent: FakeAgent, peer: Peer, session: Session) -> None:
        await peer.audio(LOUD, 10)
        await session.until(type="user_state", value="speaking")
        session.send({"type": "message", "content": "Lost.", "interruptible": True, "responding_to": "own"})
        session.send({"type": "message", "content": "Kept.", "interruptible": False, "responding_to": "own"})
        session.send({"type": "response_end", "responding_to": "own"})
        ended, _ = await peer.until("turn_ended")
        assert ended["turn_ended"]["text"] == "Kept."

    talk(test, settings=FAST)


def test_without_barge_in_the_caller_is_told_of_and_the_speech_goes_on() -> None:
    async def test(server: LineServer, agent: FakeAgent, peer: Peer, session: Session) -> None:
        session.send({"type": "message", "content": "A long story. ", "responding_to": "own"})
        await session.until(type="agent_speech", content="A")
        await peer.audio(LOUD, 10)
        await session.until(type="user_state", value="speaking")
        session.send({"type": "response_end", "responding_to": "own"})
        ended, before = await peer.until("turn_ended")
        assert ended["turn_ended"]["text"] == "A long story."
        assert "clear" not in [message["event"] for message in before]

    talk(test, settings="barge_in = false\n")


def test_a_managed_client_reaches_the_same_program() -> None:
    async def test() -> None:
        async with harnessing("hello", settings=FAST) as (server, agent), calling_managed(server) as peer:
            await peer.send({"type": "session_create", "audio": {"input_format": "mulaw_8000"}})
            await peer.until("session_ready")
            session = await agent.sessions.get()
            start = await session.until(type="start")
            assert (start["from"], start["to"]) == ("websocket", "a")
            session.send({"type": "message", "content": "Yes.", "responding_to": "x"})
            session.send({"type": "end_call", "reason": None, "responding_to": "x"})
            _, before = await peer.until("turn_ended")
            assert "audio_output" in [message["type"] for message in before]
            assert (await peer.closed())[0] == 1000

    run(test())
