"""A Line agent's socket is opened with a token that the key buys; every way in which there is none has one outcome."""

import json
from typing import Any

import pytest

from cordboard.contract import link
from cordboard.session import effects as out

from .session_bench import API_KEY, Answer, Bench, Round, answered, with_agent

MINT = "access_token = false → access_token = true"


def fetches(bench: Bench) -> list[out.Fetch]:
    return [effect for effect in bench.effects if isinstance(effect, out.Fetch)]


def opened(bench: Bench) -> list[link.AgentOpen]:
    return [message for message in bench.plane.got if isinstance(message, link.AgentOpen)]


def answer(bench: Bench, status: int, body: bytes) -> None:
    bench.engine.fetched(fetches(bench)[-1].token, status, body, bench.now)
    bench.pump()


def a_call(**handlers: Any) -> Bench:
    bench = Bench(MINT, call_alerting=with_agent, websocket_close=None, **handlers)
    bench.caller.call()
    return bench


def test_the_key_buys_a_token_and_the_socket_is_opened_with_it() -> None:
    bench = a_call()
    (fetch,) = fetches(bench)
    assert (fetch.method, fetch.url) == ("POST", "https://agents.example/access-token")
    assert fetch.headers["Authorization"] == f"Bearer {API_KEY}"
    assert not opened(bench)
    answer(bench, 200, json.dumps({"token": "eyJ-token"}).encode())
    (message,) = opened(bench)
    assert message.api_key == "eyJ-token"
    assert bench.rounds[-1].round == 2  # created and started
    assert API_KEY not in repr(fetch)
    bench.caller.hang_up()
    bench.run(20)
    assert bench.record.cause == "caller.hangup"
    written = str([each for each in bench.effects if isinstance(each, (out.WriteTimeline, out.SessionEnded, out.Log))])
    assert "eyJ-token" not in written
    assert API_KEY not in written


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [(401, b"", "unauthorized"), (404, b"", "connect_failed"), (200, b"{}", "connect_failed")],
)
def test_without_a_token_create_fails_by_name_and_no_socket_is_opened(status: int, body: bytes, code: str) -> None:
    bench = a_call()
    answer(bench, status, body)
    assert not opened(bench)
    assert bench.rounds[1].outcome(1)["error"]["code"] == code
    assert bench.noted("no access token")


def test_a_service_that_cannot_be_reached_fails_the_create() -> None:
    bench = a_call()
    bench.engine.fetch_failed(fetches(bench)[-1].token, "connection refused", bench.now)
    bench.pump()
    error = bench.rounds[1].outcome(1)["error"]
    assert error["code"] == "connect_failed"
    assert "connection refused" in error["message"]


def test_a_token_that_comes_after_create_timed_out_opens_nothing() -> None:
    bench = a_call()
    bench.run(5.5)
    assert bench.rounds[1].outcome(1)["error"]["code"] == "timeout"
    answer(bench, 200, b'{"token":"late"}')
    assert not opened(bench)


def test_a_call_that_ends_while_the_token_is_fetched_ends_once_and_opens_nothing() -> None:
    bench = a_call()
    bench.caller.hang_up()
    bench.run(20)
    assert bench.record.cause == "caller.hangup"
    answer(bench, 200, b'{"token":"late"}')
    assert not opened(bench)
    assert bench.engine.live == 0


def test_an_agent_closed_while_its_token_is_fetched_is_gone_and_its_name_is_free_again() -> None:
    def alerting(made: Round) -> Answer:
        if made.round == 0:
            made.command("call.answer", "caller")
            made.command("agent.create", "agent", api_key={"secret": "KEY"}, agent_id="a", version="2025-04-16")
            return made.wait(made.command("agent.close", "agent"))
        return made.done()

    bench = Bench(MINT, call_alerting=alerting, call_tone=with_agent)
    bench.caller.call()
    assert len(fetches(bench)) == 1
    answer(bench, 200, b'{"token":"late"}')
    assert not opened(bench)
    assert bench.rounds[-1].outcome()["status"] == "done"
    bench.plane.tell(link.LegDigit(f"{bench.sid}/caller", "1"))
    answer(bench, 200, b'{"token":"second"}')
    assert [message.api_key for message in opened(bench)] == ["second"]


def test_a_managed_agent_gets_the_key_itself() -> None:
    def managed(made: Round) -> Answer:
        if made.round:
            return made.done()
        create = {"api_key": {"secret": "KEY"}, "agent_id": "a", "version": "2026-08-14"}
        return made.wait(made.command("agent.create", "agent", **create))

    bench = Bench(MINT, call_alerting=managed)
    bench.caller.call()
    assert not fetches(bench)
    assert [message.api_key for message in opened(bench)] == [API_KEY]


def test_switched_off_the_line_socket_gets_the_key() -> None:
    bench = Bench(call_alerting=with_agent)
    bench.caller.call()
    assert not fetches(bench)
    assert [message.api_key for message in opened(bench)] == [API_KEY]


def test_a_base_url_of_the_handler_is_where_the_token_is_bought() -> None:
    def elsewhere(made: Round) -> Answer:
        create = {"api_key": "k", "agent_id": "a", "version": "2025-04-16", "base_url": "wss://other.example/x"}
        return made.done() if made.round else made.wait(made.command("agent.create", "agent", **create))

    bench = Bench(MINT, call_alerting=elsewhere, call_connected=answered)
    bench.caller.call()
    assert fetches(bench)[0].url == "https://other.example/x/access-token"
