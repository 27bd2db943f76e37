"""Narrower control URLs: their scope, their uses, their life, and what the timeline says of each request."""

import json
from typing import Any

import pytest

from cordboard.contract import link
from cordboard.session.control_url import BURST

from .session_bench import Answer, Bench, Round, answered


class Desk:
    """A call whose handler minted one narrow URL."""

    def __init__(self, **scope: Any) -> None:
        self.url = ""
        self.outcome: Any = None

        def alerting(made: Round) -> Answer:
            if made.round == 0:
                made.command("call.answer", "caller")
                return made.wait(made.command("control_url.mint", **scope))
            self.outcome = made.outcome()
            if self.outcome["status"] == "done":
                self.url = self.outcome["result"]["url"]
            return made.done()

        self.bench = Bench(call_alerting=alerting, http_request=lambda made: made.done())
        self.bench.caller.call()

    def ask(self, body: Any = None, verb: str = "") -> int | None:
        path = self.url.partition("/control/")[2] + (f"/{verb}" if verb else "")
        self.bench.run(1)  # the rate of requests is not what is tried here
        return self.bench.status(self.bench.http(path, "POST", json.dumps(body or {}).encode()))


@pytest.mark.parametrize(
    ("body", "verb", "status"),
    [
        ({}, "end_call", 204),
        ({"action": "end_call"}, "", 204),
        ({"tool": "find_table"}, "", 204),
        ({}, "call_transfer", 403),
        ({"action": "call_transfer"}, "", 403),
        ({"action": "end_call"}, "call_transfer", 403),
        ({"action": "call_transfer"}, "end_call", 403),
        ({"tool": "call_transfer"}, "end_call", 403),
        ({"action": "end_call", "tool": "call_transfer"}, "", 403),
        ({"action": None}, "end_call", 403),
        ({"action": "end_call", "tool": "find_table"}, "end_call", 204),
        ({}, "", 403),
        ({"action": ["end_call"]}, "", 403),
        ([1], "", 403),
    ],
)
def test_a_url_for_some_verbs_lets_no_other_through(body: Any, verb: str, status: int) -> None:
    desk = Desk(verbs=["end_call", "find_table"])
    assert desk.ask(body, verb) == status
    assert len(desk.bench.of("http.request")) == (status == 204)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"to": "+15550001111"}, 204),
        ({"number": "+1 (555) 000-1111"}, 204),
        ({"action": "x"}, 204),
        ({"to": "+449001"}, 403),
        ({"to": "+15550001111", "number": "+449001"}, 403),
        ({"destination": "sip:desk@evil.example"}, 403),
        ({"destination": "sip:desk@pbx.example"}, 204),
        ({"to": 15550001111}, 403),
        ({"to": None}, 403),
        ({"to": ""}, 403),
    ],
)
def test_a_url_for_some_destinations_reaches_no_other(body: Any, status: int) -> None:
    assert Desk(to=["+1555*", "sip:desk@pbx.example"]).ask(body) == status


def test_a_used_up_url_is_as_unknown_as_any() -> None:
    desk = Desk(uses=2, verbs=["a"])
    assert desk.ask(verb="b") == 403
    assert [desk.ask(verb="a") for _ in range(3)] == [204, 204, 404]
    assert desk.ask(verb="b") == 404


def test_an_expired_url_is_as_unknown_as_any() -> None:
    desk = Desk(expires_in=10)
    assert desk.ask() == 204
    desk.bench.run(7)
    assert desk.ask() == 204
    desk.bench.run(1)
    assert desk.ask() == 404


def test_a_dead_url_takes_nothing_from_the_rate_of_the_living_one() -> None:
    desk = Desk(uses=1)
    assert desk.ask() == 204
    path = desk.url.partition("/control/")[2]
    statuses = [desk.bench.status(desk.bench.http(path)) for _ in range(int(BURST) + 2)]
    assert statuses == [404] * int(BURST) + [429, 429]
    assert desk.bench.status(desk.bench.http(desk.bench.control_path)) == 204


def test_a_request_that_no_handler_is_asked_about_is_no_use() -> None:
    desk = Desk(uses=1)
    desk.bench.run(1)
    path = desk.url.partition("/control/")[2]
    assert desk.bench.status(desk.bench.http(path, "POST", b"\xff")) == 400
    assert [desk.ask(), desk.ask()] == [204, 404]


def test_a_narrow_url_dies_with_its_session() -> None:
    desk = Desk()
    assert desk.ask() == 204
    desk.bench.caller.hang_up()
    assert desk.ask() == 404


def test_the_full_url_is_not_narrowed_by_another() -> None:
    desk = Desk(verbs=["a"], uses=1)
    assert desk.bench.status(desk.bench.http(desk.bench.control_path + "/anything")) == 204


def test_each_request_stands_in_the_timeline_and_no_token_does() -> None:
    desk = Desk(verbs=["a"], uses=5)
    desk.ask(verb="a")
    desk.ask(verb="b")
    told = [(entry.what, entry.data) for entry in desk.bench.kept.timeline if entry.kind == "http"]
    words = [what for what, _ in told]
    assert [w for w in words if "control URL " in w and "POST" not in w] == [
        "control URL minted", "narrow control URL used", "control URL refused: out_of_scope",
    ]  # fmt: skip
    names = {data["capability"] for _, data in told if "capability" in data}
    assert len(names) == 1
    token = desk.url.partition("/control/")[2]
    assert token not in repr(desk.bench.kept.timeline)


@pytest.mark.parametrize(
    ("scope", "code", "says"),
    [
        ({"verbs": []}, "invalid", "verbs"),
        ({"verbs": ["v" * 129]}, "invalid", "verbs"),
        ({"to": ["("]}, "ok", ""),
        ({"to": ["/(/"]}, "invalid", "to"),
        ({"uses": 0}, "invalid", "uses"),
        ({"uses": 1001}, "invalid", "uses"),
        ({"expires_in": 0.5}, "invalid", "expires_in"),
        ({"expires_in": 20_000}, "invalid", "expires_in"),
    ],
)
def test_a_scope_that_cannot_be_is_refused_by_its_field(scope: Any, code: str, says: str) -> None:
    desk = Desk(**scope)
    if code == "ok":
        assert desk.url
    else:
        assert desk.outcome["error"]["code"] == code
        assert says in desk.outcome["error"]["message"]


def test_a_session_has_a_hundred_narrow_urls_at_most() -> None:
    errors: list[str] = []

    def tone(made: Round) -> Answer:
        if made.round == 0:
            return made.wait(*[made.command("control_url.mint") for _ in range(40)])
        errors.extend(entry["error"]["code"] for entry in made.journal if entry["status"] == "failed")
        return made.done()

    bench = Bench(call_alerting=answered, call_tone=tone)
    bench.caller.call()
    for _ in range(3):
        bench.plane.tell(link.LegDigit(f"{bench.sid}/caller", "1"))
    assert errors == ["refused"] * 20
