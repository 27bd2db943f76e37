"""What all requests have in common: bodies, errors, agents, and what is left out."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from cordboard.line.platform import requests as requests_module

from ..harness.fake_agent import FakeAgent
from ..line_peer import Peer, calling, calling_managed
from .platform_peer import Stage, play


def test_agents_are_listed_shown_changed_and_deleted() -> None:
    async def test(ready: Stage) -> None:
        listed = (await ready.json("GET", "/agents"))["summaries"]
        assert [agent["id"] for agent in listed] == ["a"]
        assert listed[0] == await ready.json("GET", "/agents/a")
        changes = {"name": "Front desk", "tts_language": "de", "llm_introduce": "Guten Tag"}
        changed = await ready.json("PATCH", "/agents/a", json=changes)
        assert changes.items() <= changed.items()
        assert changed["updated_at"] > changed["created_at"]
        async with calling(ready.server) as peer:
            await peer.start()
            ended, _ = await peer.until("turn_ended")
            assert ended["turn_ended"]["text"] == "Guten Tag"
        assert (await ready.http.delete("/agents/a")).status_code == 204
        assert (await ready.fault("GET", "/agents/a", 404))[0] == "agent_not_found"
        assert (await ready.json("GET", "/agents"))["summaries"] == []

    play(test)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": 7}, "name"),
        ({"name": "x" * 257}, "name"),
        ({"id": "b"}, "id"),
        ({"webhook_id": "agent_webhook_x"}, "webhook_id"),
        ({"self_hosted_deployment_url": "ftp://x"}, "self_hosted_deployment_url"),
        ({"self_hosted_deployment_url": "https://x/path"}, "self_hosted_deployment_url"),
        ({"self_hosted_deployment_url": "user@x"}, "self_hosted_deployment_url"),
    ],
)
def test_a_change_that_cannot_be_is_refused_by_its_field(body: dict[str, object], field: str) -> None:
    async def test(ready: Stage) -> None:
        code, message = await ready.fault("PATCH", "/agents/a", 422, json=body)
        assert (code, message.startswith(f"{field}: ")) == ("invalid_field", True), message

    play(test)


def test_an_address_makes_an_agents_next_call_a_programs() -> None:
    async def test(ready: Stage) -> None:
        agent = FakeAgent()
        listener = await asyncio.start_server(agent.serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        told = await ready.json("PATCH", "/agents/a", json={"self_hosted_deployment_url": url, "llm_introduce": "Hi"})
        assert (told["self_hosted_deployment_url"], told["deployment_count"]) == (url, 1)
        async with calling(ready.server) as peer:
            await peer.start()
            await peer.until("ack")
            start = await (await agent.sessions.get()).until(type="start")
            assert start["agent"]["introduction"] == "Hi"
        await ready.ended()
        (deployment,) = await ready.json("GET", "/agents/a/deployments")
        assert (deployment["status"], deployment["is_live"]) == ("ready", True)
        assert (await ready.json("GET", f"/agents/calls/{ready.server.calls[0].call_id}"))["deployment_id"] == (
            deployment["id"]
        )
        await ready.json("PATCH", "/agents/a", json={"self_hosted_deployment_url": None})
        (deployment,) = await ready.json("GET", "/agents/a/deployments")
        assert (deployment["status"], deployment["is_live"]) == ("inactive", False)
        async with calling(ready.server) as peer:
            await peer.start()
            ended, _ = await peer.until("turn_ended")
            assert ended["turn_ended"]["text"] == "Hi"  # of the script again, with the introduction that was set
        listener.close()
        await listener.wait_closed()

    play(test)


def test_an_agent_is_made_in_the_short_form_and_greets() -> None:
    async def test(ready: Stage) -> None:
        config = {"initial_message": "Hello there", "instructions": "Be kind", "language": {"primary": "en"}}
        made = await ready.json("POST", "/v1/agents", 201, json={"name": "New", "config": config})
        assert made["config"]["initial_message"] == "Hello there"
        path = f"/v1/agents/{made['id']}"
        voice = {"config": {"audio": {"output": {"voice_id": "v-1"}}}}
        changed = await ready.json("PATCH", path, json=voice)
        assert changed["config"]["audio"]["output"]["voice_id"] == "v-1"
        assert changed == await ready.json("GET", path)
        assert [agent["id"] for agent in (await ready.json("GET", "/v1/agents"))["data"]] == ["a", made["id"]]
        async with calling_managed(ready.server, made["id"]) as peer:
            await peer.create()
            ended, _ = await peer.until("turn_ended")
            assert ended["text"] == "Hello there"
        assert (await ready.fault("POST", "/v1/agents", 422, json={}))[1] == "name: is missing"

    play(test)


def test_agents_survive_a_restart_of_the_program(tmp_path: Path) -> None:
    async def change(ready: Stage) -> None:
        await ready.json("PATCH", "/agents/a", json={"name": "Front desk"})

    async def look(ready: Stage) -> None:
        assert (await ready.json("GET", "/agents/a"))["name"] == "Front desk"

    play(change, folder=tmp_path)
    play(look, folder=tmp_path)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("PUT", "/agents/a", 405),
        ("GET", "/agents/b", 404),
        ("GET", "/agents/calls/ac_x", 404),
        ("GET", "/agents/deployments/ad_x", 404),
        ("GET", "/agents/stream/a", 426),
        ("GET", "/agents/metrics", 501),
        ("POST", "/agents/webhooks", 501),
        ("GET", "/agents/phone-numbers", 501),
        ("GET", "/agents/a/documents/query?query=x", 501),
    ],
)
def test_what_is_not_there_is_told(method: str, path: str, status: int) -> None:
    async def test(ready: Stage) -> None:
        await ready.fault(method, path, status)

    play(test)


def test_bodies_are_bounded_and_json() -> None:
    async def test(ready: Stage) -> None:
        assert (await ready.fault("PATCH", "/agents/a", 413, content=b" " * 70_000))[0] == "body_too_large"
        assert (await ready.fault("PATCH", "/agents/a", 400, content=b"{"))[0] == "invalid_json"
        assert (await ready.fault("PATCH", "/agents/a", 400, content=b"[]"))[0] == "invalid_json"
        assert (await ready.fault("PATCH", "/agents/a", 400, content=b"[" * 60_000))[0] == "invalid_json"
        for value, told in ((b"NaN", "is no finite number"), (b'"\\ud800"', "holds half a character")):
            refused = await ready.fault("PATCH", "/agents/a", 400, content=b'{"name":%s}' % value)
            assert refused == ("invalid_json", f"name {told}")
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        assert (await ready.fault("PATCH", "/agents/a", 415, content=b"a=b", headers=form))[0] == (
            "unsupported_media_type"
        )

    play(test)


def test_a_body_that_does_not_come_is_408(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests_module, "BODY_TIMEOUT", 0.05)

    async def test(ready: Stage) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", ready.server.port)
        head = "PATCH /agents/a HTTP/1.1\r\nHost: x\r\nX-API-Key: k\r\nCartesia-Version: 2026-03-01\r\n"
        writer.write(f"{head}Content-Length: 10\r\n\r\n{{".encode())
        assert b" 408 " in await reader.readline()
        writer.transport.abort()

    play(test)


def test_the_knowledge_is_asked_with_the_programs_token(tmp_path: Path) -> None:
    (tmp_path / "hours.md").write_text("# Hours\n\nWe open at nine.\n\nThe shop closes at six on Sunday.\n")
    (tmp_path / "menu.txt").write_text("Pizza is served from noon.\n\nSunday has a special menu.\n")
    (tmp_path / "binary.bin").write_bytes(b"Sunday")

    async def test(ready: Stage) -> None:
        agent = FakeAgent()
        listener = await asyncio.start_server(agent.serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        await ready.json("PATCH", "/agents/a", json={"self_hosted_deployment_url": url})
        async with calling(ready.server) as peer:
            await peer.start()
            await peer.until("ack")
            start = await (await agent.sessions.get()).until(type="start")
        listener.close()
        await listener.wait_closed()
        token = {"Authorization": f"Bearer {start['agent_token']}", "Cartesia-Version": ""}
        path = f"{start['api_base_url']}/agents/a/documents/query"
        found = await ready.json("GET", path, params={"query": "when close on Sunday?", "top_k": 1}, headers=token)
        assert found == {"results": [{"content": "The shop closes at six on Sunday."}]}
        filters = {"query": "Sunday", "filters": '{"file": "menu.txt"}'}
        found = await ready.json("GET", path, params=filters, headers=token)
        assert found == {"results": [{"content": "Sunday has a special menu."}]}
        assert await ready.json("GET", path, params={"query": "zebra"}, headers=token) == {"results": []}
        for bad in ({"query": ""}, {"query": "x", "top_k": "0"}, {"query": "x", "filters": '{"a": 1}'}):
            await ready.fault("GET", path, 422, params=bad, headers=token)
        await ready.fault("GET", path.replace("/a/", "/b/"), 403, params={"query": "x"}, headers=token)
        await ready.fault("GET", "/agents", 403, headers={"Authorization": token["Authorization"]})

    play(test, knowledge=tmp_path)


def test_a_peer_is_told_apart_from_a_request() -> None:
    async def test(ready: Stage) -> None:
        async with calling(ready.server) as peer:
            assert isinstance(peer, Peer)
            await ready.json("GET", "/agents")

    play(test)
