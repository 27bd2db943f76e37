"""Calls as REST tells of them: their object, transcript, times, tools, logs, recording, pages, end and redaction."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from cordboard.line.platform.store import FILE, Store, StoreUnusable
from cordboard.line.platform.values import CallRow, DeploymentRow, call_object, telephony
from cordboard.line.transcript import Entry
from cordboard.line.webhooks.outbox import FILE as OUTBOX
from cordboard.line.webhooks.outbox import Outbox
from cordboard.line.webhooks.sender import Webhooks
from cordboard.media.analysis import dominant_tone
from cordboard.media.wav import read_wav

from ..harness.fake_agent import harnessing
from ..line_peer import LOUD, SILENCE, calling
from .platform_peer import Stage, play, stage

EXAMPLE = Path(__file__).parent / "call_completed.json"


def test_the_call_object_is_that_of_the_documents_example() -> None:
    told = json.loads(EXAMPLE.read_text())["call"]
    row = CallRow(
        told["id"],
        told["agent_id"],
        "completed",
        1776301717.413659,
        1776301730.036327,
        "client_hangup",
        telephony=telephony(told["telephony_params"], "inbound", "s"),
    )
    agent = Entry("assistant", 0.41, "Hi there! How can I help you today?", end=3.2, tts_ttfb=0.065)
    user = Entry("user", 3.5, "I want to schedule an appointment.", end=5.8)
    made = call_object(row, told["agent_name"], [agent.as_json(), user.as_json()])
    extra = made["telephony_params"].keys() - told["telephony_params"].keys()
    assert extra == {"call_sid", "direction"}
    for name in extra:
        del made["telephony_params"][name]
    assert told.items() <= made.items()
    assert {name for name, value in made.items() if name not in told and value} == set()


async def talk(ready: Stage, *, times: int = 1) -> list[str]:
    """So many calls that hear the greeting and hang up; their ids."""
    ids = []
    for _ in range(times):
        async with calling(ready.server) as peer:
            await peer.start(metadata={"from": "+1", "to": "+2", "order": 7})
            await peer.until("turn_ended")
        ids.append(await ready.ended())
    return ids


def test_a_call_has_its_transcript_and_its_end() -> None:
    async def test(ready: Stage) -> None:
        (id,) = await talk(ready)
        call = await ready.json("GET", f"/agents/calls/{id}")
        assert id.startswith("ac_")
        assert (call["status"], call["end_reason"], call["error_message"]) == ("completed", "client_hangup", None)
        assert call["metadata"] == {"from": "+1", "to": "+2", "order": 7}
        parties = {"from": "+1", "to": "+2", "direction": "inbound", "connection_type": "websocket"}
        assert parties.items() <= call["telephony_params"].items()
        assert call["start_time"] < call["end_time"]
        (turn,) = call["transcript"]
        assert (turn["role"], turn["text"], turn["end_reason"]) == ("assistant", "Hello", "tts_completed")
        assert [chunk["text"] for chunk in turn["text_chunks"]] == ["Hello"]
        assert 0 <= turn["start_timestamp"] <= turn["text_chunks"][0]["start_timestamp"] < turn["end_timestamp"]
        assert turn["tts_ttfb"] >= 0

    play(test)


def test_the_words_for_a_calls_state_are_the_versions() -> None:
    async def test(ready: Stage) -> None:
        old = {"Cartesia-Version": "2025-04-16"}
        async with calling(ready.server) as peer:
            await peer.start()
            await peer.until("ack")
            id = ready.server.calls[0].call_id
            path = f"/agents/calls/{id}"
            assert (await ready.json("GET", path))["status"] == "started"
            told = await ready.json("GET", path, headers=old)
            assert told["status"] == "active"
            assert "end_reason" not in told
            assert (await ready.json("POST", f"{path}/cancel"))["end_reason"] in (None, "api_cancelled")
            assert await peer.closed() == (1000, "connection cancelled")
        await ready.ended()
        told = await ready.json("GET", path)
        assert (told["status"], told["end_reason"]) == ("completed", "api_cancelled")
        assert (await ready.json("GET", path, headers=old))["status"] == "cancelled"
        assert (await ready.fault("POST", f"{path}/cancel", 409))[0] == "call_not_started"

    play(test)


def test_pages_go_both_ways_without_gap_or_repetition() -> None:
    async def test(ready: Stage) -> None:
        ids = (await talk(ready, times=5))[::-1]
        path = "/agents/calls?agent_id=a"
        first = await ready.json("GET", f"{path}&limit=2")
        assert [call["id"] for call in first["data"]] == ids[:2]
        assert "transcript" not in first["data"][0]
        assert first["next_page"] == ids[1]
        second = await ready.json("GET", f"{path}&limit=2&starting_after={first['next_page']}&expand=transcript")
        assert [call["id"] for call in second["data"]] == ids[2:4]
        assert second["data"][0]["transcript"][0]["text"] == "Hello"
        last = await ready.json("GET", f"{path}&limit=2&starting_after={second['next_page']}")
        assert ([call["id"] for call in last["data"]], last["next_page"]) == (ids[4:], None)
        back = await ready.json("GET", f"{path}&limit=2&ending_before={ids[4]}")
        assert ([call["id"] for call in back["data"]], back["next_page"]) == (ids[2:4], ids[2])
        assert len((await ready.json("GET", path))["data"]) == 5

    play(test)


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [
        ("", 422, "agent_id"),
        ("?agent_id=a&limit=0", 422, "limit"),
        ("?agent_id=a&limit=101", 422, "limit"),
        ("?agent_id=a&limit=x", 422, "limit"),
        ("?agent_id=a&expand=audio", 422, "expand"),
        ("?agent_id=a&starting_after=ac_x", 422, "starting_after"),
        ("?agent_id=a&ending_before=ac_x", 422, "ending_before"),
        ("?agent_id=a&starting_after=x&ending_before=y", 422, "ending_before"),
        ("?agent_id=a&page=2", 422, "page"),
        ("?agent_id=b", 404, "no such agent"),
    ],
)
def test_a_page_that_cannot_be_is_refused_by_its_field(query: str, status: int, field: str) -> None:
    async def test(ready: Stage) -> None:
        _, message = await ready.fault("GET", f"/agents/calls{query}", status)
        assert message.startswith(field)

    play(test)


def test_what_a_program_does_stands_in_the_transcript_and_the_log() -> None:
    async def test() -> None:
        async with harnessing("a table for two") as (server, agent), calling(server) as peer:
            await peer.start()
            await peer.until("ack")
            session = await agent.sessions.get()
            await session.until(type="start")
            await peer.audio(LOUD, 10)
            await peer.audio(SILENCE, 80)
            event = (await session.until(type="user_state", value="idle"))["event_id"]
            call = {"type": "tool_call", "name": "find", "arguments": {"n": 2}, "id": None, "responding_to": event}
            session.send({**call, "result": None})
            session.send({**call, "result": "19:30"})
            session.send({"type": "message", "content": "At half past seven.", "responding_to": event})
            session.send({"type": "response_end", "responding_to": event})
            metadata = {"level": "info", "message": "placed", "metadata": {"n": 1}}
            session.send({"type": "log_event", "event": "order", "metadata": metadata, "responding_to": event})
            session.send({"type": "log_metric", "name": "ms", "value": 8.5, "responding_to": event})
            session.send({**call, "name": "late", "result": None})
            await session.until(type="agent_state", value="idle")
            session.send({"type": "end_call", "reason": "agent_ended", "responding_to": event})
            assert await peer.closed() == (1000, "call ended by agent")
            record = server.calls[0]
            await record.finished.wait()
            assert record.end_reason == "agent_hangup"
            user, *rest = record.transcript.as_json()
            assert (user["role"], user["text"]) == ("user", "a table for two")
            assert user["vad_buffer_ms"] == 600
            assert user["stt_ttfb"] >= 0
            by_role: dict[str, list[dict[str, Any]]] = {"assistant": [], "system": []}
            for entry in rest:
                by_role[entry["role"]].append(entry)
            said, *_ = by_role["assistant"]
            assert said["text"] == "At half past seven."
            assert said["tool_calls"][0] == {"id": None, "name": "find", "arguments": {"n": 2}, "result": "19:30"}
            assert [tool["name"] for entry in by_role["assistant"] for tool in entry.get("tool_calls", ())] == [
                "find",
                "late",
            ]
            event_logged, metric = by_role["system"]
            assert (event_logged["log_event"]["event"], event_logged["log_event"]["metadata"]) == ("order", metadata)
            assert (metric["log_metric"]["name"], metric["log_metric"]["value"]) == ("ms", 8.5)

    asyncio.run(test())


def test_an_interrupted_turn_holds_what_was_spoken_and_the_recording_ends_with_it(tmp_path: Path) -> None:
    words = " ".join(f"word{number}" for number in range(40))

    async def test(ready: Stage) -> None:
        async with calling(ready.server) as peer:
            await peer.start()
            for _ in range(4):
                await peer.until("turn_output_text_delta")
            await peer.audio(LOUD, 10)
            await peer.until("clear")
            await peer.audio(SILENCE, 80)
            await peer.until("turn_ended")
        id = await ready.ended()
        call = await ready.json("GET", f"/agents/calls/{id}")
        agent, user = call["transcript"]
        assert (agent["end_reason"], user["role"]) == ("interrupted", "user")
        spoken = agent["text"].split()
        assert spoken == words.split()[: len(spoken)]
        assert 4 <= len(spoken) < 12
        await asyncio.gather(*ready.server.platform.calls._finishing)
        response = await ready.http.get(f"/agents/calls/{id}/audio")
        assert (response.status_code, response.headers["content-type"]) == (200, "audio/wav")
        path = tmp_path / "heard.wav"
        path.write_bytes(response.content)
        wav = read_wav(path)
        assert (wav.rate, wav.channels) == (8000, 2)
        caller, right = wav.samples[:, 0], wav.samples[:, 1]
        assert dominant_tone(caller[caller != 0][:800], 8000)[0] == pytest.approx(4000, abs=20)
        last = max(at for at, sample in enumerate(right) if abs(int(sample)) > 50) / 8000
        assert last == pytest.approx(agent["end_timestamp"], abs=0.15)

    play(test, f'[agents.a]\ngreeting = "{words}"\n', folder=tmp_path)


def stored(folder: Path) -> bytes:
    """All of the databases, their logs included."""
    return b"".join(file.read_bytes() for file in folder.glob("*.sqlite*"))


def test_a_redacted_call_keeps_id_times_and_end_reason(tmp_path: Path) -> None:
    async def test(ready: Stage) -> None:
        (id,) = await talk(ready)
        await asyncio.gather(*ready.server.platform.calls._finishing)
        path = f"/agents/calls/{id}"
        before = await ready.json("GET", path)
        assert (await ready.json("GET", f"{path}/logs"))["data"]
        after = await ready.json("DELETE", path)
        same = ("id", "agent_id", "status", "start_time", "end_time", "end_reason")
        assert [after[name] for name in same] == [before[name] for name in same]
        assert (after["transcript"], after["metadata"], after["telephony_params"]) == ([], None, None)
        assert after["redacted_at"] is not None
        assert (await ready.json("GET", f"{path}/logs"))["data"] == []
        assert "redacted" in (await ready.fault("GET", f"{path}/audio", 404))[1]
        assert list((tmp_path / "recordings").iterdir()) == []
        assert not any(word in stored(tmp_path) for word in (b"Hello", b"order"))  # while the program runs

    play(test, folder=tmp_path)


def test_what_steers_a_call_is_told_to_its_agent_and_kept_nowhere(tmp_path: Path) -> None:
    url = "https://edge.example/control/TOKEN.x-y_z"
    kept = {"from": "+1", "to": "+2", "note": "/control/room", "n": 1}
    metadata = {**kept, "vox_session_control_url": url, "deep": {"url": f"{url}/end?a=1"}}

    async def test(ready: Stage) -> None:
        async with calling(ready.server) as peer:
            await peer.start(metadata=metadata)
            await peer.until("turn_ended")
        id = await ready.ended()
        assert ready.server.calls[-1].metadata == metadata
        assert (await ready.json("GET", f"/agents/calls/{id}"))["metadata"] == {
            **kept,
            "vox_session_control_url": "https://edge.example/control/***",
            "deep": {"url": "https://edge.example/control/***/end?a=1"},
        }
        assert b"TOKEN" not in stored(tmp_path)

    webhooks = Webhooks("http://127.0.0.1:9/", "secret", Outbox(tmp_path / OUTBOX))
    play(test, folder=tmp_path, webhooks=webhooks)
    asyncio.run(webhooks.close())


@pytest.mark.parametrize("same_life", [True, False])
def test_a_redacted_calls_webhooks_that_wait_are_gone(same_life: bool, tmp_path: Path) -> None:
    """With a receiver that is away, and in a later life of the stand-in that has none."""

    async def story() -> None:
        webhooks = Webhooks("http://127.0.0.1:9/", "secret", Outbox(tmp_path / OUTBOX))
        await webhooks.start()
        try:
            async with stage(folder=tmp_path, webhooks=webhooks) as ready:
                (id,) = await talk(ready)
                path = f"/agents/calls/{id}"
                assert b"Hello" in stored(tmp_path)
                if same_life:
                    await ready.json("DELETE", path)
                    assert b"Hello" not in stored(tmp_path)
        finally:
            await webhooks.close()
        async with stage(folder=tmp_path) as ready:
            if not same_life:
                assert b"Hello" in stored(tmp_path)
                await ready.json("DELETE", path)
            assert b"Hello" not in stored(tmp_path)

    asyncio.run(story())


def test_a_live_call_is_not_redacted() -> None:
    async def test(ready: Stage) -> None:
        async with calling(ready.server) as peer:
            await peer.start()
            await peer.until("ack")
            path = f"/agents/calls/{ready.server.calls[0].call_id}"
            assert (await ready.fault("DELETE", path, 409))[0] == "call_not_ended"

    play(test)


def test_old_calls_are_redacted_at_the_start_and_an_open_one_has_failed(tmp_path: Path) -> None:
    store = Store(tmp_path / FILE)
    store.put_call(CallRow("ac_old", "a", "completed", 1.0, 2.0, "client_hangup", metadata={"x": 1}))
    store.put_call(CallRow("ac_open", "a", "started", 4_000_000_000.0))
    store.close()

    async def test(ready: Stage) -> None:
        sweeper = ready.server.platform._sweeping
        assert sweeper is not None
        while (await ready.json("GET", "/agents/calls/ac_old"))["redacted_at"] is None:
            assert not sweeper.done()
        told = await ready.json("GET", "/agents/calls/ac_open")
        assert (told["status"], told["end_reason"], told["redacted_at"]) == ("failed", "error", None)
        assert told["error_message"] == "the stand-in ended during the call"

    play(test, folder=tmp_path, retain=3600.0)


def test_two_programs_do_not_share_a_folder_and_a_newer_schema_is_left_alone(tmp_path: Path) -> None:
    first = Store(tmp_path / FILE)
    with pytest.raises(StoreUnusable, match="another --data-dir"):
        Store(tmp_path / FILE)
    first._db.execute("PRAGMA user_version=99")
    first.close()
    with pytest.raises(StoreUnusable, match="schema 99"):
        Store(tmp_path / FILE)
    (tmp_path / "x").write_bytes(b"nonsense" * 1000)
    with pytest.raises(StoreUnusable, match="not a database"):
        Store(tmp_path / "x")


def test_the_store_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    module = "cordboard.line.platform.store"
    monkeypatch.setattr(f"{module}.MAX_CALLS", 3)
    monkeypatch.setattr(f"{module}.MAX_LINES", 3)
    monkeypatch.setattr(f"{module}.MAX_DEPLOYMENTS", 3)
    store = Store(None)
    for number in range(5):
        store.put_call(CallRow(f"ac_{number}", "a", "completed", 1.0, 2.0))
        store.put_entry(f"ac_{number}", 0, {"text": "x"})
        store.put_deployment(DeploymentRow(f"ad_{number}", "a", "ready", True, 1.0, 1.0))
        store.add_lines("ac_4", [(float(number), "x")])  # type: ignore[list-item]
    assert store.trim_calls() == ["ac_0", "ac_1"]
    assert [call.id for call in store.calls("a", 10)[0]] == ["ac_4", "ac_3", "ac_2"]
    assert (store.transcript("ac_1"), len(store.transcript("ac_2"))) == ([], 1)
    assert [line.at for line in store.lines("ac_4")] == [2.0, 3.0, 4.0]
    deployments = store.deployments("a")
    assert [(each.id, each.is_live) for each in deployments] == [("ad_4", True), ("ad_3", False), ("ad_2", False)]
    store.close()
