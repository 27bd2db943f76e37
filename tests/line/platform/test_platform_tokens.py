"""Keys, access tokens and session tokens, at REST and at both sockets' handshakes."""

from __future__ import annotations

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from cordboard.line.platform import gate as gate_module

from ..line_peer import ManagedPeer, Peer
from .platform_peer import KEY, Stage, play

LINE, MANAGED = "/agents/stream/a?cartesia_version=2025-04-16", "/v1/agents/websocket/a?cartesia_version=2026-08-14"


async def opens(ready: Stage, path: str, token: str, *, bearer: bool = False) -> int:
    """The status of a handshake with a token."""
    url = f"ws://127.0.0.1:{ready.server.port}{path}"
    headers = {"Authorization": f"Bearer {token}"} if bearer else {}
    try:
        async with connect(url if bearer else f"{url}&access_token={token}", additional_headers=headers, proxy=None):
            return 101
    except InvalidStatus as exc:
        response = exc.response
    assert response.headers["Content-Type"] == "application/json"
    return response.status_code


async def mint(ready: Stage, **body: object) -> str:
    told = await ready.json("POST", "/access-token", json={"grants": {"agent": True}, "expires_in": 60, **body})
    assert set(told) == {"token"}
    return str(told["token"])


def test_a_token_opens_both_sockets_again_and_again_but_not_rest() -> None:
    async def test(ready: Stage) -> None:
        token = await mint(ready)
        for _ in range(2):
            assert await opens(ready, LINE, token) == 101
            assert await opens(ready, LINE, token, bearer=True) == 101
            assert await opens(ready, MANAGED, token) == 101
        headers = {"Authorization": f"Bearer {token}"}
        code, message = await ready.fault("GET", "/agents", 403, headers=headers)
        assert (code, "API key" in message) == ("api_key_required", True)
        await ready.fault("POST", "/access-token", 403, headers=headers, json={"grants": {"agent": True}})

    play(test)


def test_a_wrong_an_expired_and_a_grantless_token_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(ready: Stage) -> None:
        token = await mint(ready, expires_in=1)
        speaking = await mint(ready, grants={"tts": True})
        for path in (LINE, MANAGED):
            assert await opens(ready, path, gate_module.PREFIX + "forged") == 401
            assert await opens(ready, path, speaking) == 403
            assert await opens(ready, path, token) == 101
        platform_gate = ready.server.platform.gate
        platform_gate._clock = lambda: 4_000_000_000.0
        for path in (LINE, MANAGED):
            assert await opens(ready, path, token) == 401
        headers = {"Authorization": f"Bearer {token}"}
        assert (await ready.fault("GET", "/agents", 401, headers=headers))[0] == "token_expired"

    play(test)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"grants": {}}, "grants"),
        ({"grants": {"agent": "yes"}}, "grants.agent"),
        ({"grants": {"admin": True}}, "grants.admin"),
        ({"grants": []}, "grants"),
        ({"grants": {"agent": True}, "expires_in": 3601}, "expires_in"),
        ({"grants": {"agent": True}, "expires_in": True}, "expires_in"),
        ({"grants": {"agent": True}, "scope": "all"}, "scope"),
    ],
)
def test_a_token_that_cannot_be_is_refused_by_its_field(body: dict[str, object], field: str) -> None:
    async def test(ready: Stage) -> None:
        code, message = await ready.fault("POST", "/access-token", 422, json=body)
        assert (code, message.startswith(f"{field}: ")) == ("invalid_field", True), message

    play(test)


def test_only_the_key_of_the_file_is_taken() -> None:
    async def test(ready: Stage) -> None:
        await ready.json("GET", "/agents")
        await ready.json("GET", "/agents", headers={"Authorization": "", "X-API-Key": KEY})
        wrong = {"Authorization": "Bearer sk_other"}
        assert await ready.fault("GET", "/agents", 401, headers=wrong) == ("unauthorized", "the API key is wrong")
        assert await opens(ready, LINE, "sk_other", bearer=True) == 401
        assert await opens(ready, LINE, KEY, bearer=True) == 101
        assert await opens(ready, LINE, await mint(ready)) == 101

    play(test, api_key=KEY)


def test_a_request_without_credentials_or_version_is_refused() -> None:
    async def test(ready: Stage) -> None:
        assert (await ready.fault("GET", "/agents", 401, headers={"Authorization": ""}))[1] == "no credentials"
        assert (await ready.fault("GET", "/agents", 400, headers={"Cartesia-Version": ""}))[0] == "version_missing"
        assert (await ready.fault("GET", "/agents", 400, headers={"Cartesia-Version": "new"}))[0] == "version_invalid"
        await ready.json("GET", "/agents?cartesia_version=2025-04-16", headers={"Cartesia-Version": ""})
        await ready.fault("GET", "/agents", 401, headers={"Authorization": "Bearer " + "x" * 9000})

    play(test)


def test_tokens_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cordboard.line.platform.store.MAX_TOKENS", 2)

    async def test(ready: Stage) -> None:
        await mint(ready)
        await mint(ready)
        body = {"grants": {"agent": True}}
        assert (await ready.fault("POST", "/access-token", 429, json=body))[0] == "limit_reached"

    play(test)


SESSION = "/v1/agents/websocket/a/sessions"


def test_a_session_is_for_one_call_and_brings_its_variables_and_words() -> None:
    async def test(ready: Stage) -> None:
        body = {
            "dynamic_variables": {"name": "Ada"},
            "config_overrides": {"initial_message": "Hello Ada", "language": "en", "audio": {"output": {"speed": 1}}},
        }
        token = (await ready.json("POST", SESSION, 201, json=body))["token"]
        url = f"ws://127.0.0.1:{ready.server.port}{MANAGED}&access_token={token}"
        async with connect(url, proxy=None) as socket:
            peer = ManagedPeer(socket)
            await peer.create()
            assert (await peer.receive())["type"] == "session_ready"
            ended, _ = await peer.until("turn_ended")
            assert ended["text"] == "Hello Ada"
        assert ready.server.calls[0].metadata == {"name": "Ada"}
        assert await opens(ready, MANAGED, token) == 401

    play(test, TALKER_OF_ADA)


TALKER_OF_ADA = '[agents.a]\ngreeting = "Hello"\nvariables = ["name"]\n[agents.b]\n'


def test_a_session_is_for_its_agent_and_sets_all_variables() -> None:
    async def test(ready: Stage) -> None:
        token = (await ready.json("POST", SESSION, 201, json={"dynamic_variables": {"name": "Ada"}}))["token"]
        assert await opens(ready, MANAGED.replace("/a?", "/b?"), token) == 403
        url = f"ws://127.0.0.1:{ready.server.port}{MANAGED}&access_token={token}"
        async with connect(url, proxy=None) as socket:
            peer = ManagedPeer(socket)
            await peer.create(dynamic_variables={"name": "Eve"})
            assert (await peer.receive())["code"] == "dynamic_variables_not_allowed"

    play(test, TALKER_OF_ADA)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"dynamic_variables": {"system__x": 1}}, "dynamic variable 'system__x'"),
        ({"dynamic_variables": []}, "dynamic_variables"),
        ({"config_overrides": {"model": "x"}}, "config_overrides.model"),
        ({"config_overrides": {"audio": {"output": {"speed": 9}}}}, "config_overrides.audio.output.speed"),
        ({"variables": {}}, "variables"),
    ],
)
def test_a_session_that_cannot_be_is_refused_by_its_field(body: dict[str, object], field: str) -> None:
    async def test(ready: Stage) -> None:
        _, message = await ready.fault("POST", SESSION, 422, json=body)
        assert message.startswith(f"{field}: "), message

    play(test)


def test_a_socket_outlives_its_token() -> None:
    async def test(ready: Stage) -> None:
        token = await mint(ready)
        url = f"ws://127.0.0.1:{ready.server.port}{LINE}&access_token={token}"
        async with connect(url, proxy=None) as socket:
            ready.server.platform.gate._clock = lambda: 4_000_000_000.0
            peer = Peer(socket)
            await peer.start()
            assert (await peer.receive())["event"] == "ack"

    play(test)
