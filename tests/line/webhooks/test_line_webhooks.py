"""The stand-in's webhooks against receivers on real sockets, good and bad, and across a kill -9."""

import asyncio
import contextlib
import json
import logging
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from cordboard.line.webhooks import envelope, options, outbox, sender
from cordboard.line.webhooks.outbox import Outbox, OutboxFull, OutboxUnusable
from cordboard.line.webhooks.sender import Retry, Webhooks, WebhookTargetInvalid

from .receiver import Answer, Receiver, receiver

SEED = Path(__file__).parents[2] / "data" / "cartesia_webhooks"
COMPLETED: dict[str, Any] = json.loads((SEED / "call_completed.json").read_bytes())
ANALYSIS: dict[str, Any] = json.loads((SEED / "post_call_analysis.json").read_bytes())
CALL: dict[str, Any] = COMPLETED["call"]
SECRET = "the webhook's secret"
QUICK = Retry(first=0.01, most=0.02, age=60)


def call(number: int = 1, **more: Any) -> dict[str, Any]:
    return {**CALL, "id": f"ac_{number}", **more}


@contextlib.asynccontextmanager
async def sending(
    url: str, box: Outbox, retry: Retry = QUICK, timeout: float = 5.0, clock: Callable[[], float] | None = None
) -> AsyncIterator[Webhooks]:
    more: dict[str, Any] = {} if clock is None else {"clock": clock}
    webhooks = Webhooks(url, SECRET, box, retry=retry, timeout=timeout, rng=random.Random(1), **more)
    await webhooks.start()
    try:
        yield webhooks
    finally:
        await webhooks.close()


# --- envelope


def test_the_end_of_a_call_is_told_as_the_document_shows_it() -> None:
    made = envelope.call_ended(CALL, COMPLETED["webhook_id"], COMPLETED["timestamp"])
    assert made.pop("body") == CALL["transcript"]  # "also include body": not in the example
    assert made == COMPLETED


def test_an_analysis_is_told_as_the_document_shows_it() -> None:
    ids = (ANALYSIS["call_id"], ANALYSIS["agent_id"])
    made = envelope.post_call_analysis(
        *ids, ANALYSIS["analysis"]["summary"], ANALYSIS["webhook_id"], ANALYSIS["timestamp"]
    )
    assert made == ANALYSIS


def test_a_start_leaves_out_what_has_no_value_yet_and_a_failure_is_one() -> None:
    started = envelope.call_started({**CALL, "end_time": None, "transcript": []}, "w", "t")
    assert set(started) == {"type", "call_id", "agent_id", "webhook_id", "timestamp", "call"}
    assert {"end_time", "transcript"}.isdisjoint(started["call"])
    failed = envelope.call_ended({**CALL, "status": "failed", "end_reason": "error"}, "w", "t")
    assert (failed["type"], failed["end_reason"], failed["body"]) == ("call_failed", "error", CALL["transcript"])


def test_a_summary_says_that_a_rule_made_it() -> None:
    said = envelope.summary_of(CALL["transcript"])
    assert "“I want to schedule an appointment.”" in said
    assert "“Hi there! How can I help you today?”" in said
    assert "not by a model" in said
    assert "said nothing; the agent said nothing" in envelope.summary_of([])
    assert len(envelope.summary_of([{"role": "user", "text": "x" * 10_000}])) < 400


def test_time_is_written_as_the_service_does() -> None:
    assert envelope.rfc3339(1_776_301_730_061_907_836) == "2026-04-16T01:08:50.061907836Z"


# --- delivery


async def emptied(box: Outbox) -> None:
    async with asyncio.timeout(15):
        while len(box):  # noqa: ASYNC110 (the outbox is a file, and tells nobody)
            await asyncio.sleep(0.005)


def tell_all(webhooks: Webhooks, number: int = 1) -> None:
    webhooks.call_started(call(number, status="started", end_time=None))
    webhooks.turn(f"ac_{number}", CALL["agent_id"], CALL["transcript"][0])
    webhooks.turn(f"ac_{number}", CALL["agent_id"], CALL["transcript"][1])
    webhooks.ended(call(number))
    webhooks.analysis(call(number))


STORY = ["call_started", "call_turn", "call_turn", "call_completed", "post_call_analysis"]


def deliver(answer: Answer, calls: int = 1, **more: Any) -> Receiver:
    """Tell whole calls to a receiver that answers so, until it has taken all."""

    async def story() -> Receiver:
        box = Outbox(None)
        async with receiver(answer) as there, sending(there.url, box, **more) as webhooks:
            for number in range(calls):
                tell_all(webhooks, number)
            await there.until(lambda: len(there.taken) >= len(STORY) * calls)
        return there

    return asyncio.run(story())


def test_a_calls_events_arrive_in_order_with_the_secret() -> None:
    there = deliver(lambda event: 204)
    assert there.types() == STORY
    assert {headers["x-webhook-secret"] for headers in there.headers} == {SECRET}
    assert {headers["content-type"] for headers in there.headers} == {"application/json"}
    assert len({event["webhook_id"] for event in there.came}) == 1


@pytest.mark.parametrize("status", [500, 503, 401, 404, 408, 409, 425, 302, 429])
def test_what_time_may_mend_is_tried_again_with_the_same_body(status: int) -> None:
    refused: list[dict[str, Any]] = []

    def answer(event: dict[str, Any]) -> int:
        if event["type"] == "call_turn" and refused.count(event) < 2:
            refused.append(event)
            return status
        return 200

    there = deliver(answer)
    assert there.types() == STORY
    assert len(there.came) == len(STORY) + 4
    turns = [event for event in there.came if event["type"] == "call_turn"]
    assert turns[0] == turns[1] == turns[2]


@pytest.mark.parametrize("status", [400, 403, 413, 415, 422])
def test_what_is_refused_for_good_is_given_up_and_the_calls_next_event_follows(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> Receiver:
        def answer(event: dict[str, Any]) -> int:
            return status if event["type"] == "call_completed" else 204

        box = Outbox(None)
        async with receiver(answer) as there, sending(there.url, box) as webhooks:
            tell_all(webhooks)
            await emptied(box)
        return there

    with caplog.at_level(logging.ERROR, "cordboard.line.webhooks"):
        there = asyncio.run(story())
    assert there.types() == [type_ for type_ in STORY if type_ != "call_completed"]
    assert [event["type"] for event in there.came] == STORY
    assert caplog.messages == [
        f"webhook call_completed of call ac_1 is given up: the receiver refuses it with status {status}"
    ]


def contents(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


def test_a_redacted_calls_events_leave_the_file_and_are_not_sent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Also the one that is on its way, and those that were sent before and stand in the file's log."""

    def answer(event: dict[str, Any]) -> int | None:
        return None if event["type"] == "call_completed" else 204

    async def story() -> Receiver:
        box = Outbox(tmp_path / outbox.FILE)
        async with receiver(answer) as there, sending(there.url, box) as webhooks:
            tell_all(webhooks)
            tell_all(webhooks, 2)
            await there.until(lambda: "call_completed" in [event["type"] for event in there.came])
            webhooks.forget("ac_1")
            await there.until(lambda: len(there.came) >= 8)
            assert b"ac_1" not in contents(tmp_path)
            assert [waiting.call_id for waiting in box.first_of_calls((), 9)] == ["ac_2"]
        return there

    with caplog.at_level(logging.INFO, "cordboard.line.webhooks"):
        there = asyncio.run(story())
    assert [event["type"] for event in there.came if event["call_id"] == "ac_1"] == STORY[:4]
    assert "2 webhooks of call ac_1 are dropped: it is redacted" in caplog.messages


def test_a_receiver_that_does_not_answer_is_left_and_tried_again() -> None:
    slow = iter((None, None))
    there = deliver(lambda event: next(slow, 200), timeout=0.2)
    assert there.types() == STORY
    assert len(there.came) == len(STORY) + 2


def test_one_call_that_is_refused_holds_up_no_other() -> None:
    async def story() -> Receiver:
        stuck = True

        def answer(event: dict[str, Any]) -> int:
            return 500 if stuck and event["call_id"] == "ac_0" else 204

        async with receiver(answer) as there, sending(there.url, Outbox(None)) as webhooks:
            for number in range(4):
                tell_all(webhooks, number)
            await there.until(lambda: len(there.taken) == 3 * len(STORY))
            assert {event["call_id"] for event in there.taken} == {"ac_1", "ac_2", "ac_3"}
            stuck = False
            await there.until(lambda: len(there.taken) == 4 * len(STORY))
        return there

    there = asyncio.run(story())
    for number in range(4):
        assert [event["type"] for event in there.taken if event["call_id"] == f"ac_{number}"] == STORY


def test_deliveries_at_once_are_bounded_and_one_for_each_call() -> None:
    there = deliver(lambda event: 204, calls=3 * sender.MAX_AT_ONCE)
    assert 1 < there.most_at_once <= sender.MAX_AT_ONCE


def test_a_receiver_that_is_down_for_a_minute_gets_all_once_it_is_back(caplog: pytest.LogCaptureFixture) -> None:
    """The minute is the clock's: a hundredth of a second of sleep counts as one second."""
    caplog.set_level(logging.WARNING, "cordboard.line.webhooks")

    async def story() -> tuple[Receiver, int]:
        loop = asyncio.get_running_loop()
        began = loop.time()

        def clock() -> float:
            return 1_800_000_000.0 + (loop.time() - began) * 100

        there = Receiver()
        await there.open()
        await there.close()  # the port is known, and nobody listens
        scaled = Retry(first=0.01, most=0.6, age=864)  # 1 s, 60 s, a day
        async with sending(there.url, Outbox(None), scaled, clock=clock) as webhooks:
            tell_all(webhooks)
            await asyncio.sleep(0.6)  # the minute itself
            missed = len(caplog.records)
            await there.open()
            await there.until(lambda: len(there.taken) == len(STORY))
            await there.close()
        return there, missed

    there, missed = asyncio.run(story())
    assert there.types() == STORY
    assert missed >= 3


def test_pauses_grow_to_a_limit_and_differ_by_chance() -> None:
    retry, rng = Retry(), random.Random(1)
    for attempts in range(1, 200):
        whole = min(60.0, 2.0 ** (attempts - 1))
        assert whole / 2 <= retry.delay(attempts, rng) <= whole
    assert retry.delay(10, rng) != retry.delay(10, rng)


def test_what_is_too_old_is_given_up_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        passed = 0.0

        def clock() -> float:
            return 1_800_000_000.0 + passed + asyncio.get_running_loop().time()

        async with receiver(lambda event: 500) as there, sending(there.url, box, clock=clock) as webhooks:
            webhooks.ended(call())
            await there.until(lambda: len(there.came) >= 3)
            passed = 60
            await emptied(box)

    box = Outbox(None)
    with caplog.at_level(logging.ERROR, "cordboard.line.webhooks"):
        asyncio.run(story())
    (line,) = caplog.messages
    assert line.startswith("webhook call_completed of call ac_1 is given up after ")
    assert line.endswith("status 500")
    assert SECRET not in caplog.text


# --- outbox


def test_the_outbox_outlives_the_program_that_is_killed(tmp_path: Path) -> None:
    """A receiver is down, the program is killed with -9, and the next one delivers: at least once, in order."""
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from cordboard.line.webhooks.outbox import Outbox\n"
        "from cordboard.line.webhooks.sender import Webhooks\n"
        "async def main():\n"
        "    webhooks = Webhooks('http://127.0.0.1:9/', 'secret', Outbox(Path(sys.argv[1])))\n"
        "    await webhooks.start()\n"
        "    call = {'id': 'ac_1', 'agent_id': 'agent_1', 'status': 'completed', 'transcript': []}\n"
        "    webhooks.call_started(call); webhooks.ended(call); webhooks.analysis(call)\n"
        "    print('told', flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    path = tmp_path / "line" / "webhooks.sqlite"
    with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"told\n"
            with pytest.raises(OutboxUnusable, match="another program sends from it"):
                Outbox(path)
        finally:
            process.send_signal(signal.SIGKILL)
    assert path.stat().st_mode & 0o777 == 0o600

    async def story() -> Receiver:
        box = Outbox(path)
        async with receiver() as there, sending(there.url, box):
            await there.until(lambda: len(there.taken) == 3)
            await emptied(box)
        return there

    there = asyncio.run(story())
    assert there.types() == ["call_started", "call_completed", "post_call_analysis"]
    left = Outbox(path)
    assert (len(left), left.webhook_id) == (0, there.taken[0]["webhook_id"])
    left.close()


def test_what_is_in_delivery_when_the_sender_closes_is_sent_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with receiver(lambda event: None) as there:
            async with sending(there.url, Outbox(tmp_path / "box")) as webhooks:
                webhooks.ended(call())
                await there.until(lambda: there.came)
            there.answer = lambda event: 200
            async with sending(there.url, Outbox(tmp_path / "box")):
                await there.until(lambda: there.taken)
            assert there.came[0] == there.came[1]

    asyncio.run(story())


def test_the_outbox_is_bounded_and_a_lost_event_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(outbox, "MAX_EVENTS", 2)
    box = Outbox(None)
    webhooks = Webhooks("http://127.0.0.1:9/", SECRET, box)
    with caplog.at_level(logging.ERROR, "cordboard.line.webhooks"):
        for number in range(3):
            webhooks.ended(call(number))
    assert caplog.messages == ["webhook call_completed of call ac_2 is lost: 2 events wait already"]
    assert [each.call_id for each in box.first_of_calls((), 9)] == ["ac_0", "ac_1"]
    with pytest.raises(OutboxFull, match="the limit is"):
        box.add("ac_9", "call_turn", b"x" * (outbox.MAX_BODY + 1), 0)
    box.close()


def test_a_clock_that_was_set_back_holds_nothing_up() -> None:
    async def story() -> None:
        box = Outbox(None)
        box.add("ac_1", "call_turn", b"{}", 2_000_000_000.0)
        async with receiver() as there, sending(there.url, box, clock=lambda: 1_800_000_000.0):
            await there.until(lambda: there.taken)

    asyncio.run(story())


def test_a_file_that_is_none_or_newer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no").write_bytes(b"no database" * 100)
    with pytest.raises(OutboxUnusable, match="not a database"):
        Outbox(tmp_path / "no")
    with contextlib.closing(sqlite3.connect(tmp_path / "newer")) as connection:
        connection.execute("PRAGMA user_version=99")
    with pytest.raises(OutboxUnusable, match="newer"):
        Outbox(tmp_path / "newer")


# --- options


@pytest.mark.parametrize(
    ("url", "secret", "part"),
    [
        ("ftp://h/", "s", "is not http"),
        ("http://u:p@h/", "s", "credentials"),
        ("http://h:99999/", "s", "cannot be read"),
        ("http://", "s", "is not http"),
        ("http://h/", "", "secret"),
        ("http://h/", "s\nx", "secret"),
        ("http://h/", "é", "secret"),
    ],
)
def test_a_target_that_cannot_be_used_is_refused(url: str, secret: str, part: str) -> None:
    box = Outbox(None)
    with pytest.raises(WebhookTargetInvalid, match=part):
        Webhooks(url, secret, box)
    box.close()


def test_options(tmp_path: Path) -> None:
    import argparse

    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", type=Path, default=tmp_path / "var")
    options.add_arguments(parser)
    file = tmp_path / "secret"
    file.write_text("s3cret\n")
    assert options.open_webhooks(parser.parse_args([])) is None
    with pytest.raises(WebhookTargetInvalid, match="--webhook-secret-file: is missing"):
        options.open_webhooks(parser.parse_args(["--webhook", "http://h/"]))
    with pytest.raises(WebhookTargetInvalid, match="No such file"):
        options.open_webhooks(parser.parse_args(["--webhook", "http://h/", "--webhook-secret-file", "/nowhere/x"]))
    found = options.open_webhooks(parser.parse_args(["--webhook", "http://h/", "--webhook-secret-file", str(file)]))
    assert found is not None
    assert found.webhook_id.startswith("agent_webhook_")
    asyncio.run(found.close())
