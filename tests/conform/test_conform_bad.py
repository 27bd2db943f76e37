"""Each way to break the contract is found by the check that is there for it, and told so that it can be mended."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from cordboard.conform.functions import conform
from cordboard.conform.judge import CHECKS, Row
from cordboard.conform.program import program_of
from cordboard.hosts.template import FunctionSpec

HERE = Path(__file__).parent


def spec(behaviour: str) -> FunctionSpec:
    return program_of((sys.executable, "-I", "-S", "program.py", behaviour), HERE)


def rows(
    behaviour: str,
    *only: str,
    timeout: float | None = None,
    start_limit: float = 10,
    others: Sequence[FunctionSpec] = (),
) -> list[Row]:
    async def story() -> list[Row]:
        specs = [spec(behaviour), *others]
        found = await conform(specs, only=frozenset(only), timeout=timeout, start_limit=start_limit)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return found

    return asyncio.run(story())


def test_a_program_without_our_package_passes_every_check() -> None:
    found = rows("good")
    assert [(row.check, row.result, row.advice) for row in found] == [
        (check, "ok", "") for check in CHECKS if check != "routes"
    ]


def test_a_tool_of_a_loose_schema_is_called_all_the_same() -> None:
    (row,) = rows("describes_loosely", "tools")
    assert (row.check, row.result, row.detail) == ("tools", "ok", "5 rounds of 5 calls: find")


@pytest.mark.parametrize(
    ("behaviour", "check", "detail"),
    [
        ("dies_at_start", "start", "ended with code 1; it said: no database"),
        ("reports_start", "start", "Config: no key"),
        ("describes_nothing", "describe", "events: is empty, and so is webhooks"),
        ("describes_typo", "describe", "events[0].type: 'call.alertin' is sent by no edge"),
        ("describes_twice", "describe", "both listen to timer"),
        ("describes_no_scenario", "describe", "scenario: is empty"),
        ("describes_time", "describe", "two descriptions of one process differ"),
        ("describes_process", "describe", "another process of the same code describes itself differently"),
        ("describes_text", "describe", "expected a description, but the answer is no JSON"),
        ("describes_log", "describe", "log_only[0]: 'agent.akc' is sent by no edge"),
        ("describes_tool", "describe", "tools[0].parameters.properties: is no object"),
        ("describes_state", "describe", "more than 20480"),
        ("no_handler", "describe", "no handler for what it says it listens to"),
        ("event_id", "answer", "call.alerting: event_id: is 's_other:7', the edge asked for 's_conformance:7'"),
        ("more_fields", "answer", "speech: unknown field of Answer"),
        ("hash", "answer", "commands[0].hash: does not fit call.answer"),
        ("id_gap", "answer", "commands[0].id: is 7.5; the round's new steps are 7.0"),
        ("id_twice", "answer", "commands[1].id: '7.0' is not a new id of event 7"),
        ("id_order", "answer", "commands[1].id: 7.0 stands after 7.1"),
        ("unknown_command", "answer", "commands[0].type: 'call.teleport' is no command"),
        ("arguments", "answer", "commands[0].args.code: 99 is not between 300 and 699"),
        ("no_target", "answer", "commands[0].target: is missing"),
        ("text", "answer", "the answer is no JSON"),
        ("reports", "answer", "reported an error instead of an answer: ValueError: out of tables"),
        ("exits", "answer", "ended with code 5"),
        ("one_shot", "answer", "ended after its answer"),
        ("large", "size", "bytes; the limit is 65536"),
        ("huge", "size", "the answer was cut off at 6292480 bytes"),
        ("re_emits", "replay", "7.0 is in the journal, and comes again"),
        ("differs", "replay", "non-determinism: step 7.0 was call.answer"),
        ("says_it_differs", "replay", "the replay differs: step 7.0 was another"),
        ("waits_again", "replay", "waiting: 7.0 has its result in the journal"),
        ("endless", "replay", "still suspended after 16 rounds"),
        ("counts", "duplicate", "again in the same process: expected the same answer, but one command was"),
        (
            "process",
            "duplicate",
            "as the first event of another process: expected the same answer, but one command was",
        ),
        ("seq", "order", "event 7 after event 9: expected the same answer, but"),
        ("session", "order", "two sessions by turns: expected the same answer as alone, but one command was"),
        ("attempt", "answer", "attempt: is 1, the edge asked for 2"),
        ("one_attempt", "crash", "attempt 2: expected the answer of attempt 1, but one command was"),
        ("lock", "crash", "after another process died of it: expected the same, but commands were 1 and then 0"),
        ("strict", "newer", "with unknown fields, 262144 bytes in all: expected the same answer, but"),
        ("takes_all", "newer", "an unknown event: expected failed with not_found, or no commands; some came"),
        ("dies_of_new", "newer", "an unknown event: the worker ended with code 6"),
        ("early_state", "state", "state: comes with 'suspended'"),
        ("big_state", "state", "state.data: has 30008 bytes, more than 20480"),
        ("state_version", "state", "state.base_version: is 0, not 5"),
        ("reply_text", "reply", "reply.body: is no JSON"),
        ("reply_header", "reply", "reply.headers.X-A: is not a valid HTTP header"),
        ("reply_status", "reply", "reply.status: 99 is not between 200 and 599"),
        ("tool_twice", "tools", "expected one agent.tool_result; 2 came"),
        ("tool_silent", "tools", "expected one agent.tool_result; 0 came"),
        ("tool_id", "tools", "id: expected 'tc_conformance'; 'other' came"),
        ("tool_trusting", "tools", "expected an error for arguments that do not fit"),
        ("tool_raises", "tools", "expected bad arguments to be answered; it raised KeyError: day"),
        ("webhook_answer", "webhooks", "call_completed: ok: unknown field of WebhookAnswer"),
    ],
)
def test_a_breach_is_named_by_its_check(behaviour: str, check: str, detail: str) -> None:
    played = {"attempt": "crash"}.get(behaviour, check)
    found = rows(behaviour, played)
    failed = [row for row in found if row.result == "failed"]
    assert {row.check for row in failed} == {check}
    assert check not in {row.check for row in found if row.result == "ok"}
    assert detail in failed[0].detail
    assert failed[0].advice


def test_who_hangs_is_late_and_is_asked_no_more_after_three_events() -> None:
    found = rows("hangs", timeout=0.4)
    late = [row for row in found if row.result == "failed"]
    assert [row.check for row in late] == ["late"] * 3
    assert late[0].detail == "call.alerting: no answer within 0.4 s; the worker was killed"


def test_a_start_beyond_its_limit_is_named() -> None:
    (row,) = rows("slow_start", start_limit=0.3)
    assert (row.check, row.result, row.detail) == ("start", "failed", "asked for no event within 0.3 s")


def test_a_program_that_stops_polling_is_named() -> None:
    found = [row for row in rows("stops_polling", "describe", start_limit=1.5) if row.result == "failed"]
    assert [row.detail for row in found] == ["asked for no further event within 1.5 s"]


def test_two_functions_that_listen_to_the_same_are_named() -> None:
    found = rows("good", "routes", others=[replace(spec("good"), name="twin")])
    assert [(row.function, row.check, row.result) for row in found] == [("*", "routes", "failed")]
    assert "'program' and 'twin' both listen to call.alerting" in found[0].detail
