"""A client of Cartesia's REST API: tokens, agents, deployments, calls with transcript, recording and log.

Follows reference cartesia-protocols §4. Answers are the service's JSON objects as they came, unknown fields included.
Leaves out retries (the caller knows what may be repeated), phone-number providers, templates and evaluation metrics.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO, Final, TypeAlias
from urllib.parse import quote

import httpx

from cordboard.cartesia.errors import BadAnswer, Unreachable, refusal

Json: TypeAlias = dict[str, Any]

VERSION: Final = "2026-03-01"
"""The version that knows self-hosted code, outbound calls and end reasons (§4.3, §4.5)."""

BASE_URL: Final = "https://api.cartesia.ai"

TIMEOUT: Final = 15.0
"""Seconds between two bytes of an answer."""

MAX_ANSWER: Final = 16 * 1024 * 1024
"""Bytes of an answer that is no recording: the transcripts of a hundred long calls."""

PAGE: Final = 100
"""Calls a page, the service's most (§4.5)."""

_SCHEMES: Final = {"ws": "http", "wss": "https"}


def rest_address(base_url: str) -> str:
    """The REST API beside an agents' socket: wss://host → https://host."""
    scheme, colon, rest = base_url.partition("://")
    return f"{_SCHEMES.get(scheme, scheme)}{colon}{rest}".rstrip("/")


class Client:
    """One connection pool; use it as a context manager. Every method raises the kinds of `CartesiaError`."""

    def __init__(
        self,
        api_key: str,
        *,
        base_url: str = BASE_URL,
        version: str = VERSION,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Raises ValueError for a key that no header carries."""
        if not re.fullmatch(r"[!-~]{1,4096}", api_key):
            raise ValueError("the API key is empty or holds characters that no header carries")
        self._http = httpx.Client(
            base_url=rest_address(base_url),
            headers={"Authorization": f"Bearer {api_key}", "Cartesia-Version": version, "Accept": "application/json"},
            timeout=TIMEOUT,
            trust_env=False,
            verify=ssl.create_default_context(),
            transport=transport,
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    # --- tokens (§4.1, §2.1)

    def access_token(self, *, agent: bool = True, tts: bool = False, stt: bool = False, expires_in: int = 600) -> str:
        """Mint a token for at most 3,600 s."""
        grants = {"agent": agent, "tts": tts, "stt": stt}
        answer = self._json("POST", "/access-token", {"grants": grants, "expires_in": expires_in})
        return _text(answer, "token")

    def managed_session(
        self,
        agent_id: str,
        *,
        dynamic_variables: Mapping[str, Any] | None = None,
        config_overrides: Mapping[str, Any] | None = None,
    ) -> Json:
        """Begin a browser's session with a Managed agent: its token is bound to one call (§2.1)."""
        body: Json = {}
        if dynamic_variables:
            body["dynamic_variables"] = dict(dynamic_variables)
        if config_overrides:
            body["config_overrides"] = dict(config_overrides)
        return self._json("POST", f"/v1/agents/websocket/{_segment(agent_id)}/sessions", body)

    # --- agents and their deployments (§4.2 to §4.4)

    def agents(self) -> list[Json]:
        """All agents of the account."""
        return _objects(self._json("GET", "/agents"), "summaries")

    def agent(self, agent_id: str) -> Json:
        """One agent."""
        return self._json("GET", f"/agents/{_segment(agent_id)}")

    def update_agent(self, agent_id: str, **changes: Any) -> Json:
        """Change fields such as `name`, `webhook_id`, `llm_introduce`."""
        return self._json("PATCH", f"/agents/{_segment(agent_id)}", changes)

    def connect_agent(self, agent_id: str, url: str | None) -> Json:
        """Let the agent's calls be answered by code at `url`, hosted by oneself; None disconnects (§4.3)."""
        return self.update_agent(agent_id, self_hosted_deployment_url=url)

    def deployments(self, agent_id: str) -> list[Json]:
        """An agent's deployments; the service answers a list, bare or in `data`."""
        answer = self._request("GET", f"/agents/{_segment(agent_id)}/deployments")
        return _objects({"data": answer} if isinstance(answer, list) else answer, "data")

    def deployment(self, deployment_id: str) -> Json:
        """One deployment."""
        return self._json("GET", f"/agents/deployments/{_segment(deployment_id)}")

    # --- calls (§4.5)

    def calls(self, agent_id: str, *, transcript: bool = False, limit: int | None = None) -> Iterator[Json]:
        """An agent's calls in the service's order, page by page, at most `limit`."""
        after: str | None = None
        left = limit
        while left is None or left > 0:
            size = PAGE if left is None else min(PAGE, left)
            params: dict[str, str | int] = {"agent_id": agent_id, "limit": size}
            if transcript:
                params["expand"] = "transcript"
            if after is not None:
                params["starting_after"] = after
            answer = self._json("GET", "/agents/calls", params=params)
            found = _objects(answer, "data")
            yield from found
            more = answer.get("next_page")
            if not more or not found:
                return
            last = _text(found[-1], "id")
            if last == after:
                raise BadAnswer("the service gives the same page again")
            after = last
            left = None if left is None else left - len(found)

    def call(self, call_id: str) -> Json:
        """One call with its transcript."""
        return self._json("GET", f"/agents/calls/{_segment(call_id)}")

    def call_log(self, call_id: str) -> Any:
        """What the agent's code logged during the call."""
        return self._request("GET", f"/agents/calls/{_segment(call_id)}/logs")

    def recording(self, call_id: str, to: BinaryIO) -> int:
        """Write the call's WAV to a file; return its bytes."""
        return self._stream(f"/agents/calls/{_segment(call_id)}/audio", to)

    def cancel_call(self, call_id: str) -> None:
        """End a live call; its end_reason is `api_cancelled`."""
        self._request("POST", f"/agents/calls/{_segment(call_id)}/cancel", {})

    def erase_call(self, call_id: str) -> None:
        """Remove a call's sensitive data at the service."""
        self._request("DELETE", f"/agents/calls/{_segment(call_id)}")

    def start_calls(
        self,
        agent_id: str,
        numbers: Sequence[str],
        *,
        from_number_id: str,
        metadata: Mapping[str, Any] | None = None,
        ringing_timeout: int = 30,
    ) -> list[Json]:
        """Let the service dial; each number's answer holds `agent_call_id` or `error`. `ringing_timeout` in seconds."""
        body = {
            "from_number_id": from_number_id,
            "agent_id": agent_id,
            "ringing_timeout_seconds": ringing_timeout,
            "outbound_calls": [{"to_number": number, "metadata": dict(metadata or {})} for number in numbers],
        }
        return _objects(self._json("POST", "/agents/calls", body), "calls")

    # --- within

    def _json(self, method: str, path: str, body: Any = None, params: Mapping[str, str | int] | None = None) -> Json:
        answer = self._request(method, path, body, params)
        if not isinstance(answer, dict):
            raise BadAnswer(f"{method} {path} was not answered by a JSON object")
        return answer

    def _request(self, method: str, path: str, body: Any = None, params: Mapping[str, str | int] | None = None) -> Any:
        """The JSON of a success; None for an empty one."""
        request = self._http.build_request(method, path, json=body, params=params)
        try:
            response = self._http.send(request, stream=True)
            try:
                content = _read(response, MAX_ANSWER)
            finally:
                response.close()
        except httpx.HTTPError as error:
            raise Unreachable(f"{self._http.base_url.host}: {str(error) or type(error).__name__}") from None
        if not response.is_success:
            raise refusal(response, content)
        if not content:
            return None
        try:
            return httpx.Response(200, content=content).json()
        except ValueError:
            raise BadAnswer(f"{method} {path} was not answered by JSON") from None

    def _stream(self, path: str, to: BinaryIO) -> int:
        size = 0
        try:
            with self._http.stream("GET", path, headers={"Accept": "audio/wav"}) as response:
                if not response.is_success:
                    raise refusal(response, _read(response, MAX_ANSWER))
                for piece in response.iter_bytes():
                    to.write(piece)
                    size += len(piece)
        except httpx.HTTPError as error:
            raise Unreachable(f"{self._http.base_url.host}: {str(error) or type(error).__name__}") from None
        return size


def _read(response: httpx.Response, limit: int) -> bytes:
    body = bytearray()
    for piece in response.iter_bytes():
        body += piece
        if len(body) > limit:
            raise Unreachable(f"the answer has more than {limit} bytes")
    return bytes(body)


def _segment(identifier: str) -> str:
    """An id as one segment of a path. Raises ValueError for one that would be another path."""
    if not identifier or identifier in (".", ".."):
        raise ValueError(f"{identifier!r} is no id")
    return quote(identifier, safe="")


def _objects(answer: Any, name: str) -> list[Json]:
    found = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise BadAnswer(f"the answer holds no list {name!r}")
    return found


def _text(answer: Json, name: str) -> str:
    found = answer.get(name)
    if not isinstance(found, str) or not found:
        raise BadAnswer(f"the answer holds no {name!r}")
    return found
