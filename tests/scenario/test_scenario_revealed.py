"""What a handler revealed stands in no text of its answer, and the answer names it however much else it read."""

import logging

import pytest
from tests.scenario.rounds import Played, invocation, played

from cordboard.contract.codec import encode
from cordboard.contract.records import MAX_ANSWER, Answer, size_of
from cordboard.scenario import AppEvents, Logger, Scenario, Session, Stores, events
from cordboard.scenario.runner import MAX_MESSAGE, MAX_TRACEBACK
from cordboard.storage.memory import MemorySecrets

NAMES = ("CRM_KEY", *(f"KEY_{number}" for number in range(10)))
VALUE = "crm_0123456789abcdef"
REQUEST = {"method": "POST", "path": "/", "headers": {}, "content": "{}"}


def request(scenario: Scenario[None]) -> Played:
    secrets = MemorySecrets()
    for name in NAMES:
        secrets.put(name, VALUE)
    return played(scenario, invocation("http.request", None, REQUEST), stores=Stores(secrets=secrets))


def names(answer: Answer) -> list[str | None]:
    return [read.target for read in answer.journal if read.type == "secret.reveal"]


@pytest.mark.parametrize("reads", [0, 10])
def test_a_failed_answer_names_what_it_revealed_however_much_else_it_read(reads: int) -> None:
    scenario: Scenario[None] = Scenario("s")

    async def much() -> str:
        return "x" * 7_500

    @scenario.on(AppEvents.HttpRequest)
    async def on_request(session: Session[None], event: events.HttpRequest) -> None:
        key = await session.secret("CRM_KEY").reveal()
        for number in range(reads):
            await session.once(f"k{number}", much)
        raise RuntimeError("upstream refused " + key)

    answer = request(scenario).last
    assert answer.error is not None
    assert answer.error.message == "upstream refused ***"
    assert names(answer) == ["CRM_KEY"]
    assert VALUE not in str(answer)
    assert len(answer.journal) == (1 if reads else 1 + reads)
    assert size_of(encode(answer)) <= MAX_ANSWER


def test_where_logs_leave_no_room_for_the_names_the_logs_go() -> None:
    scenario: Scenario[None] = Scenario("s")

    @scenario.on(AppEvents.HttpRequest)
    async def on_request(session: Session[None], event: events.HttpRequest) -> None:
        for number in range(10):
            await session.secret(f"KEY_{number}").reveal()
            await session.secret(f"KEY_{number}").reveal()
        for _ in range(50):
            Logger.write("y" * 2_000)
        raise RuntimeError("upstream refused")

    answer = request(scenario).last
    assert (answer.status, answer.logs) == ("failed", ())
    assert names(answer) == [f"KEY_{number}" for number in range(10)]


@pytest.mark.parametrize("before", range(len(VALUE)))
def test_a_text_is_cut_after_what_was_revealed_is_masked(before: int) -> None:
    scenario: Scenario[None] = Scenario("s")

    @scenario.on(AppEvents.HttpRequest)
    async def on_request(session: Session[None], event: events.HttpRequest) -> None:
        key = await session.secret("CRM_KEY").reveal()
        text = "x" * (MAX_MESSAGE - before) + key
        Logger.write(text, fields={"field": text, key: 1})
        logging.getLogger("crm").warning("%s", text)
        raise RuntimeError(text + "z" * (MAX_TRACEBACK - before))

    answer = request(scenario).last
    assert answer.error is not None
    assert len(answer.logs) == 2
    assert "crm" not in str(answer).replace("CRM_KEY", "").replace("'logger': 'crm'", "")
    assert "cdef" not in str(answer)
