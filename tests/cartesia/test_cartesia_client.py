"""The REST client: what leaves for each method, and what every answer means (reference cartesia-protocols §4)."""

import io
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from cordboard.cartesia import errors
from cordboard.cartesia.client import VERSION, Client, rest_address

KEY = "sk_never_shown"


class Service:
    """Answers in turn and remembers what came."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.came: list[httpx.Request] = []
        self._answers = list(answers)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.came.append(request)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def client(self) -> Client:
        return Client(KEY, base_url="wss://api.example", transport=httpx.MockTransport(self))

    def body(self, index: int = -1) -> Any:
        return json.loads(self.came[index].content)


def answers(value: Any, status: int = 200) -> httpx.Response:
    return httpx.Response(status, json=value)


ROWS: list[tuple[Callable[[Client], Any], str, str, Any, Any]] = [
    # what is called, method, path and query, body that leaves, answer that comes
    (
        lambda c: c.access_token(),
        "POST",
        "/access-token",
        {"grants": {"agent": True, "tts": False, "stt": False}, "expires_in": 600},
        {"token": "eyJ"},
    ),
    (
        lambda c: c.managed_session("agent_1", dynamic_variables={"tier": 2}),
        "POST",
        "/v1/agents/websocket/agent_1/sessions",
        {"dynamic_variables": {"tier": 2}},
        {"token": "t"},
    ),
    (lambda c: c.agents(), "GET", "/agents", None, {"summaries": [{"id": "agent_1"}]}),
    (lambda c: c.agent("agent 1/x"), "GET", "/agents/agent%201%2Fx", None, {"id": "agent 1/x"}),
    (
        lambda c: c.connect_agent("agent_1", "https://agent.example"),
        "PATCH",
        "/agents/agent_1",
        {"self_hosted_deployment_url": "https://agent.example"},
        {"id": "agent_1"},
    ),
    (
        lambda c: c.connect_agent("agent_1", None),
        "PATCH",
        "/agents/agent_1",
        {"self_hosted_deployment_url": None},
        {"id": "agent_1"},
    ),
    (lambda c: c.deployments("agent_1"), "GET", "/agents/agent_1/deployments", None, {"data": [{"id": "d"}]}),
    (lambda c: c.deployments("agent_1"), "GET", "/agents/agent_1/deployments", None, [{"id": "d"}]),
    (lambda c: c.deployment("dep_1"), "GET", "/agents/deployments/dep_1", None, {"id": "dep_1"}),
    (lambda c: c.call("ac_1"), "GET", "/agents/calls/ac_1", None, {"id": "ac_1", "transcript": []}),
    (lambda c: c.call_log("ac_1"), "GET", "/agents/calls/ac_1/logs", None, [{"message": "x"}]),
    (lambda c: c.cancel_call("ac_1"), "POST", "/agents/calls/ac_1/cancel", {}, None),
    (lambda c: c.erase_call("ac_1"), "DELETE", "/agents/calls/ac_1", None, None),
    (
        lambda c: c.start_calls("agent_77", ["+14155550123"], from_number_id="ap_1", metadata={"order": "9"}),
        "POST",
        "/agents/calls",
        {
            "from_number_id": "ap_1",
            "agent_id": "agent_77",
            "ringing_timeout_seconds": 30,
            "outbound_calls": [{"to_number": "+14155550123", "metadata": {"order": "9"}}],
        },
        {"calls": [{"number": "+14155550123", "agent_call_id": "ac_01ab"}]},
    ),
]


@pytest.mark.parametrize(("ask", "method", "path", "body", "answer"), ROWS)
def test_each_method_sends_what_the_documents_say(
    ask: Callable[[Client], Any], method: str, path: str, body: Any, answer: Any
) -> None:
    service = Service(httpx.Response(204) if answer is None else answers(answer))
    with service.client as client:
        ask(client)
    (request,) = service.came
    assert (request.method, request.url.raw_path.decode()) == (method, path)
    assert request.url.host == "api.example"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["cartesia-version"] == VERSION
    assert (json.loads(request.content) if request.content else None) == body


def test_calls_come_page_by_page_up_to_the_limit() -> None:
    first = {"data": [{"id": f"ac_{n}"} for n in range(100)], "next_page": "p2"}
    service = Service(answers(first), answers({"data": [{"id": "ac_100"}, {"id": "ac_101"}], "next_page": None}))
    with service.client as client:
        assert [call["id"] for call in client.calls("agent_1")] == [f"ac_{n}" for n in range(102)]
    assert dict(service.came[0].url.params) == {"agent_id": "agent_1", "limit": "100"}
    assert dict(service.came[1].url.params) == {"agent_id": "agent_1", "limit": "100", "starting_after": "ac_99"}
    service = Service(answers({"data": [{"id": "a"}, {"id": "b"}], "next_page": "x"}))
    with service.client as client:
        assert len(list(client.calls("agent_1", limit=2, transcript=True))) == 2
    assert service.came[0].url.params["expand"] == "transcript"


def test_a_service_that_repeats_a_page_is_not_asked_for_ever() -> None:
    page = {"data": [{"id": "a"}], "next_page": "again"}
    with Service(*(answers(page) for _ in range(3))).client as client, pytest.raises(errors.BadAnswer):
        list(client.calls("agent_1"))


def test_a_recording_is_written_as_it_comes() -> None:
    service = Service(httpx.Response(200, content=b"RIFF" + b"\0" * 5000))
    file = io.BytesIO()
    with service.client as client:
        assert client.recording("ac_1", file) == 5004
    assert file.getvalue().startswith(b"RIFF")
    assert service.came[0].url.path == "/agents/calls/ac_1/audio"


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (answers({"title": "Unauthorized", "message": "bad key"}, 401), errors.Unauthorized, "Unauthorized, bad key"),
        (answers({"error": "forbidden"}, 403), errors.Unauthorized, "forbidden"),
        (httpx.Response(404, text="no such call"), errors.NotFound, "no such call"),
        (answers({"message": "over"}, 409), errors.Conflict, "over"),
        (answers({"error": {"message": "limit must be at most 100"}}, 422), errors.Refused, "limit must be"),
        (httpx.Response(500), errors.Refused, "Internal Server Error"),
        (httpx.Response(200, text="<html>"), errors.BadAnswer, "JSON"),
        (answers([1]), errors.BadAnswer, "JSON object"),
        (httpx.ConnectError("refused"), errors.Unreachable, "refused"),
        (httpx.ReadTimeout(""), errors.Unreachable, "ReadTimeout"),
    ],
)
def test_every_failure_has_its_kind_and_no_key_in_its_text(
    answer: httpx.Response | Exception, kind: type[errors.CartesiaError], says: str
) -> None:
    with Service(answer).client as client, pytest.raises(kind) as caught:
        client.call("ac_1")
    assert says in str(caught.value)
    assert KEY not in str(caught.value)


def test_a_rate_limit_says_how_long_to_wait() -> None:
    answer = httpx.Response(429, headers={"Retry-After": "7"}, text="slow down")
    with Service(answer).client as client, pytest.raises(errors.RateLimited) as caught:
        client.agents()
    assert caught.value.retry_after == 7.0


@pytest.mark.parametrize("answer", [{}, {"summaries": {}}, {"summaries": [1]}])
def test_a_list_that_is_none_is_a_bad_answer(answer: Any) -> None:
    with Service(answers(answer)).client as client, pytest.raises(errors.BadAnswer):
        client.agents()


@pytest.mark.parametrize("key", ["", "a b", "a\nb", "ü"])
def test_a_key_that_no_header_carries_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="API key"):
        Client(key)


@pytest.mark.parametrize("identifier", ["", ".", ".."])
def test_an_id_never_becomes_another_path(identifier: str) -> None:
    service = Service()
    with service.client as client, pytest.raises(ValueError, match="is no id"):
        client.agent(identifier)
    assert not service.came


@pytest.mark.parametrize(
    ("socket", "rest"),
    [
        ("wss://api.cartesia.ai", "https://api.cartesia.ai"),
        ("ws://127.0.0.1:8090/", "http://127.0.0.1:8090"),
        ("https://x/y", "https://x/y"),
    ],
)
def test_the_rest_api_is_beside_the_socket(socket: str, rest: str) -> None:
    assert rest_address(socket) == rest
