"""Control URLs (HANDLERS §2.3): a token before all else, then rate, method, size and type, and a reply within 5 s."""

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.session.control_url import BURST, MAX_BODY, MAX_TOKEN, ControlKey, ControlKeys, Grant, make_nonce

from .session_bench import Answer, Bench, Round, with_agent

KEYS = ControlKeys([b"k" * 32])
NONCE = "0123456789abcdef" * 2
GRANT = Grant("s_1", NONCE)
WALL = 1_767_225_600.0
TOKEN = KEYS.mint("s_1", NONCE, WALL + 60)


def live(handler: Callable[[Round], Answer | None] = lambda made: made.done(), **handlers: Any) -> Bench:
    bench = Bench(call_alerting=with_agent, http_request=handler, **handlers)
    bench.caller.call()
    return bench


def body_of(bench: Bench, request: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(bench.kept.replies[request].body)
    return found


# --- tokens


def test_a_token_names_its_session_until_it_expires() -> None:
    assert KEYS.verify(TOKEN, WALL) == GRANT
    assert KEYS.verify(TOKEN, WALL + 59.9) == GRANT
    assert KEYS.verify(TOKEN, WALL + 60) is None


def test_no_two_nonces_are_alike() -> None:
    rng = random.Random(1)
    assert len({make_nonce(rng) for _ in range(50)}) == 50


def test_a_token_of_another_key_is_none_of_ours() -> None:
    assert ControlKeys([b"x" * 32]).verify(TOKEN, WALL) is None


def test_a_rotated_key_mints_no_more_and_its_urls_are_good_until_it_is_taken_away() -> None:
    rotated = ControlKeys([b"n" * 32, b"k" * 32])
    assert rotated.verify(TOKEN, WALL) == GRANT
    fresh = rotated.mint("s_2", NONCE, WALL + 60)
    assert KEYS.verify(fresh, WALL) is None
    assert rotated.verify(fresh, WALL) == Grant("s_2", NONCE)
    assert ControlKeys([b"n" * 32]).verify(TOKEN, WALL) is None


def test_a_short_key_is_refused_and_no_key_is_printed() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        ControlKeys([b"k" * 32, b"short"])
    with pytest.raises(ValueError, match="no control key"):
        ControlKeys([])
    assert "kkkk" not in repr(ControlKey(b"k" * 32))


@settings(max_examples=150, deadline=None)
@given(position=st.integers(0, len(TOKEN) - 1), byte=st.characters(min_codepoint=1, max_codepoint=0x2FF))
def test_a_token_with_one_character_changed_is_refused(position: int, byte: str) -> None:
    changed = TOKEN[:position] + byte + TOKEN[position + 1 :]
    assert (KEYS.verify(changed, WALL) is None) is (changed != TOKEN)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=2 * MAX_TOKEN))
def test_no_text_is_a_token_by_chance(text: str) -> None:
    assert KEYS.verify(text, WALL) is None
    assert KEYS.verify(f"{text}.{TOKEN.partition('.')[2]}", WALL) is None
    assert KEYS.verify(f"{TOKEN.partition('.')[0]}.{text}", WALL) is None


@pytest.mark.parametrize("text", ["", ".", TOKEN + "=", TOKEN + " ", " " + TOKEN, TOKEN[:-1], TOKEN + ".x", "\ud800.x"])
def test_what_is_almost_a_token_is_none(text: str) -> None:
    assert KEYS.verify(text, WALL) is None


# --- requests


def test_bad_expired_ended_and_unknown_are_told_apart_by_nobody() -> None:
    bench = live()
    path = bench.control_path
    bad = bench.http("nonsense")
    unknown = bench.http(KEYS.mint("s_none", NONCE, WALL + 9e9))
    tampered = bench.http(path[:-1] + ("A" if path[-1] != "A" else "B"))
    expired = bench.http(KEYS.mint(bench.sid, NONCE, WALL - 1))
    bench.caller.hang_up()
    bench.run(1)
    ended = bench.http(path)
    replies = [bench.kept.replies[request] for request in (bad, unknown, tampered, expired, ended)]
    assert {reply.status for reply in replies} == {404}
    assert len({(reply.body, tuple(reply.headers.items())) for reply in replies}) == 1


def test_the_token_is_checked_before_all_else() -> None:
    bench = live()
    assert bench.status(bench.http("nonsense", "DELETE", b"x" * 99_999, "text/plain")) == 404


@pytest.mark.parametrize(
    ("method", "body", "kind", "status"),
    [
        ("PUT", b"{}", "application/json", 405),
        ("DELETE", b"", "", 405),
        ("POST", b"x" * (MAX_BODY + 1), "application/json", 413),
        ("POST", b"x" * MAX_BODY, "application/json", 204),
        ("POST", b"a=b", "application/x-www-form-urlencoded", 415),
        ("POST", b"a=b", "", 415),
        ("POST", b"{}", "application/json; charset=utf-8", 204),
        ("POST", b"\xff", "application/json", 400),
        ("POST", b"", "", 204),
        ("GET", b"", "", 204),
        ("HEAD", b"", "", 405),
    ],
)
def test_what_is_taken(method: str, body: bytes, kind: str, status: int) -> None:
    bench = live()
    request = bench.http(bench.control_path, method, body, kind)
    reply = bench.kept.replies[request]
    assert reply.status == status
    assert reply.headers["Cache-Control"] == "no-store"
    if status == 405:
        assert reply.headers["Allow"] == "GET, POST"
    if status >= 400:
        assert reply.headers["Content-Type"] == "application/problem+json"
        assert {"code", "detail", "status"} <= set(body_of(bench, request))
    assert len(bench.of("http.request")) == (status == 204)


def test_requests_come_at_most_at_their_rate() -> None:
    bench = live()
    statuses = [bench.status(bench.http(bench.control_path)) for _ in range(int(BURST) + 2)]
    assert statuses == [204] * int(BURST) + [429, 429]
    last = bench.kept.replies[f"q{int(BURST) + 2}"]
    assert last.headers["Retry-After"] == "1"
    bench.run(1)
    assert bench.status(bench.http(bench.control_path)) == 204


def test_an_event_carries_the_request() -> None:
    bench = live()
    bench.http(f"{bench.control_path}/transfer/now", "POST", b'{"a": 1}')
    (made,) = bench.of("http.request")
    assert (made.data["method"], made.data["path"], made.data["verb"]) == ("POST", "/transfer/now", "transfer")
    assert made.data["content"] == '{"a": 1}'
    assert made.data["headers"] == {"content-type": "application/json"}


def test_a_get_has_no_content() -> None:
    bench = live()
    bench.http(bench.control_path, "GET", b"smuggled", "")
    (made,) = bench.of("http.request")
    assert (made.data["content"], made.data.get("verb")) == ("", None)


def test_the_handler_s_reply_is_sent() -> None:
    def handler(made: Round) -> Answer:
        return made.done(reply={"status": 201, "body": '{"ok": true}', "headers": {"X-A": "b"}})

    bench = live(handler)
    reply = bench.kept.replies[bench.http(bench.control_path)]
    assert (reply.status, reply.body) == (201, b'{"ok": true}')
    assert dict(reply.headers) == {"Cache-Control": "no-store", "X-A": "b", "Content-Type": "application/json"}


def test_a_handler_that_returns_nothing_is_a_204() -> None:
    bench = live()
    reply = bench.kept.replies[bench.http(bench.control_path)]
    assert (reply.status, reply.body) == (204, b"")


def test_a_slow_handler_is_a_202_after_five_seconds_and_its_reply_is_dropped() -> None:
    bench = live()
    bench.hold.add("http.request")
    request = bench.http(bench.control_path)
    bench.run(4.9)
    assert bench.status(request) is None
    bench.run(0.2)
    assert bench.status(request) == 202
    bench.answer(bench.held[0], bench.held[0].done(reply={"status": 200, "body": "late"}))
    assert bench.kept.replies[request].body == b'{"accepted": true}'


def test_a_request_waits_its_turn_behind_other_events() -> None:
    bench = live(agent_custom=None)
    bench.hold.add("http.request")
    first, second = bench.http(bench.control_path), bench.http(bench.control_path)
    assert len(bench.held) == 1
    bench.answer(bench.held[0], bench.held[0].done())
    assert (bench.status(first), bench.status(second)) == (204, None)
    bench.answer(bench.held[1], bench.held[1].done())
    assert bench.status(second) == 204


@pytest.mark.parametrize(("error", "status"), [("bad_request", 400), ("not_found", 404), ("KeyError", 500)])
def test_a_failing_handler_is_a_problem_and_the_call_goes_on(error: str, status: int) -> None:
    bench = live(lambda made: made.fail(error, "the content is no JSON"))
    request = bench.http(bench.control_path, "POST", b"{")
    assert bench.status(request) == status
    problem = body_of(bench, request)
    assert problem["code"] == ("handler_failed" if status == 500 else error)
    assert ("no JSON" in problem["detail"]) is (status == 400), "what went wrong inside is not told outside"
    bench.run(30)
    assert bench.kept.ended == []


def test_a_scenario_that_does_not_listen_has_no_such_page() -> None:
    bench = Bench(call_alerting=with_agent)
    bench.caller.call()
    assert bench.status(bench.http(bench.control_path)) == 404


@pytest.mark.parametrize("reply", [{"status": 99}, {"headers": {"X": "a\r\nb"}}, {"body": "?", "base64": True}])
def test_a_reply_that_is_no_http_fails_its_event(reply: dict[str, Any]) -> None:
    bench = live(lambda made: made.done(reply=reply))
    assert bench.status(bench.http(bench.control_path)) == 500


def test_whoever_waits_when_the_session_ends_is_answered() -> None:
    bench = live()
    bench.hold.add("http.request")
    in_flight, waiting = bench.http(bench.control_path), bench.http(bench.control_path)
    bench.engine.shutdown(bench.now)
    bench.pump()
    bench.run(8)
    assert bench.status(waiting) == 404
    assert bench.status(in_flight) == 202


def test_a_reply_comes_although_its_handler_terminates() -> None:
    def handler(made: Round) -> Answer:
        made.command("session.terminate")
        return made.done(reply={"status": 200, "body": "{}"})

    bench = live(handler, session_terminating=None)
    request = bench.http(bench.control_path)
    bench.run(1)
    assert bench.status(request) == 200
    assert len(bench.of("session.terminating")) == 1
    assert bench.record.cause == "handler.terminate"
