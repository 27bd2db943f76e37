"""Every sentence of DESIGN §4 about the turn, on every host: in this process, through real awslambdaric workers, and
by boto3's Invoke through an endpoint in front of such workers."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.scenario.rounds import CONTROL_URL, Played, Result, Run, invocation, payload, play

from cordboard.contract.records import Answer, JournalEntry, StepError
from cordboard.hosts.aws_lambda import LambdaHost
from cordboard.hosts.host import FunctionHost
from cordboard.hosts.in_process import InProcessHost
from cordboard.hosts.workers import WorkerHost
from cordboard.scenario import Stores
from cordboard.storage.secrets import SecretStore
from cordboard.storage.sqlite import SqliteStorage

from .invoke_endpoint import Endpoint

TEMPLATE = Path(__file__).parent / "template.yaml"


class Desk:
    """A host with its stores, and a loop to run it in."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.secrets = SecretStore(folder / "secrets.db")
        self.secrets.put("API_KEY", "value-of-the-key")
        self.storage = SqliteStorage(folder / "storage.db", time.time, is_secret=self.secrets.is_secret)
        self.storage.put("K", "1", None)
        self.printed: list[tuple[str, str, str]] = []
        self.host: FunctionHost
        if kind == "in_process":
            self.host = InProcessHost(TEMPLATE, stores=Stores(self.storage, self.secrets))
        else:
            variables = {
                "CORDBOARD_STORAGE": f"sqlite:{folder / 'storage.db'}",
                "CORDBOARD_SECRETS": f"sqlite:{folder / 'secrets.db'}",
            }
            self.host = WorkerHost(TEMPLATE, environment=variables, on_log=lambda *line: self.printed.append(line))
        self.loop = asyncio.Runner()
        self.endpoint: Endpoint | None = None
        if kind == "invoke_endpoint":
            self.endpoint = Endpoint(self.host)
            url = self.loop.run(self.endpoint.start())
            self.host = LambdaHost(lambda: ("Turns", "Broken"), region="eu-west-1", endpoint_url=url)
        self.release = self.loop.run(self.host.start()).id

    def close(self) -> None:
        self.loop.run(self.host.close())
        if self.endpoint is not None:
            self.loop.run(self.endpoint.close())
        self.loop.close()
        self.storage.close()
        self.secrets.close()

    async def run(self, request: dict[str, Any]) -> dict[str, Any]:
        return await self.host.invoke(self.release, "Turns", request, timeout=5)

    def play(self, name: str, results: Mapping[str, Result] | None = None, run: Run | None = None) -> Played:
        return self.loop.run(play(run or self.run, invocation("timer", name, {"timer": name}), results))


@pytest.fixture(scope="module", params=["in_process", "workers", "invoke_endpoint"])
def desk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        yield from a_desk(request.param, tmp_path_factory)


def a_desk(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    made = Desk(kind, tmp_path_factory.mktemp("desk"))
    yield made
    made.close()


def error_of(played: Played) -> tuple[str, str]:
    assert played.last.status == "failed"
    assert played.last.error is not None
    return played.last.error.type, played.last.error.message


@pytest.mark.parametrize(
    ("name", "commands"),
    [
        ("bare_except", ["timer.set a", "timer.set b"]),
        ("base_exception", ["timer.set a"]),
        ("finally_block", ["timer.set a", "session.terminate"]),
        ("task_group", ["timer.set a", "session.terminate"]),
        ("time_limit", ["timer.set a"]),
    ],
)
def test_nothing_that_runs_after_parking_changes_the_answer(desk: Desk, name: str, commands: list[str]) -> None:
    event = desk.play(name)
    assert [answer.status for answer in event.answers] == ["suspended", "done"]
    assert event.commands == commands
    assert event.answers[0].waiting == (event.answers[0].commands[-1].id,)
    assert event.last.state is None
    assert not any(answer.replace_worker for answer in event.answers)


def test_ids_count_commands_and_reads_with_one_counter(desk: Desk) -> None:
    event = desk.play("storage_twice")
    assert [(e.id, e.type) for e in event.answers[0].journal] == [("7.0", "storage.get")]
    assert [c.id for c in event.answers[0].commands] == ["7.1"]
    assert [(e.id, e.type) for e in event.answers[1].journal] == [("7.2", "storage.get")]


@pytest.mark.parametrize("name", ["thread", "gather", "wait_for", "task_group_command", "command_in_once"])
def test_a_command_outside_of_the_handlers_own_task_is_refused_and_says_what_to_write(desk: Desk, name: str) -> None:
    event = desk.play(name)
    kind, message = error_of(event)
    assert kind == "OutsideTurn"
    assert "await steps one by one" in message or "before or after" in message
    assert event.commands == []


def test_a_task_that_outlives_its_turn_reaches_no_later_event(desk: Desk) -> None:
    async def story() -> tuple[Played, Played]:
        first = await play(desk.run, invocation("timer", "stray_task", {"timer": "stray_task"}))
        await asyncio.sleep(0.05)
        return first, await play(desk.run, invocation("timer", "one_command", {"timer": "one_command"}, seq=8))

    first, second = desk.loop.run(story())
    assert (first.commands, second.commands) == (["timer.set a"], ["timer.set a"])


def test_a_read_is_performed_once_and_replayed(desk: Desk) -> None:
    rounds = 0

    async def run(request: dict[str, Any]) -> dict[str, Any]:
        nonlocal rounds
        answer = await desk.run(request)
        rounds += 1
        desk.storage.put("K", str(1 + rounds), None)
        return answer

    desk.storage.put("K", "1", None)
    event = desk.play("storage_twice", run=run)
    assert event.last.state is not None
    assert event.last.state.data["names"] == ["1", "2"]


def test_writes_are_performed_once_and_at_once(desk: Desk) -> None:
    event = desk.play("storage_all")
    assert event.last.state is not None
    assert event.last.state.data["names"] == ["ns:x", "None"]
    types = [[e.type for e in answer.journal] for answer in event.answers]
    assert types == [["storage.put", "storage.keys"], ["storage.remove", "storage.get"]]


def test_a_storage_error_is_the_same_in_every_round(desk: Desk) -> None:
    event = desk.play("storage_error")
    assert event.last.state is not None
    assert event.last.state.data["names"] == [
        "IsSecret: 'API_KEY' is stored as a secret; read it with session.secret('API_KEY')"
    ]


def test_once_runs_once_and_its_function_may_have_the_key(desk: Desk) -> None:
    event = desk.play("once")
    assert event.last.state is not None
    (first, second), entries = event.last.state.data["names"], [e for a in event.answers for e in a.journal]
    assert [(e.id, e.type) for e in entries] == [("7.0", "once"), ("7.2", "once")]
    assert (first, second) == (entries[0].result, "7")
    assert first.startswith("s_1:7:crm-")


def test_a_failure_inside_once_is_journalled(desk: Desk) -> None:
    event = desk.play("once_fails")
    entry = event.answers[0].journal[0]
    assert (entry.status, entry.error and entry.error.code) == ("failed", "once_failed")
    assert event.last.state is not None
    assert event.last.state.data["names"] == [entry.error and entry.error.message]


def test_a_round_that_raises_executes_none_of_its_commands(desk: Desk) -> None:
    event = desk.play("three_commands_then_raise")
    assert event.commands == ["timer.set a", "timer.set b"]
    assert (event.last.commands, event.last.state, event.last.journal) == ((), None, ())
    assert error_of(event) == ("ValueError", "see https://edge.example/control/***")
    assert event.last.error is not None
    assert "turns.py" in event.last.error.traceback
    assert CONTROL_URL not in event.last.error.traceback


def test_a_replay_that_differs_names_both_commands_and_lines(desk: Desk) -> None:
    kind, message = error_of(event := desk.play("differs"))
    assert kind == "nondeterminism"
    assert message.count("turns.py:") == 2
    assert message.count("timer.set of 't") == 2
    assert len(event.answers) == 2


def test_a_replay_that_takes_fewer_steps_differs_too(desk: Desk) -> None:
    first = desk.play("one_command").answers[0].commands[0]
    journal = [
        JournalEntry(first.id, first.type, first.hash, target="a", line="functions/turns.py:1"),
        JournalEntry("7.1", "session.terminate", "0" * 16, line="functions/turns.py:2"),
    ]
    asked = invocation("timer", "one_command", {"timer": "one_command"}, journal=journal)
    kind, message = error_of(desk.loop.run(play(desk.run, asked)))
    assert kind == "nondeterminism"
    assert "took 1 steps" in message
    assert "session.terminate at functions/turns.py:2" in message


def test_swallowing_the_cancellation_three_times_costs_the_worker_not_the_answer(desk: Desk) -> None:
    event = desk.play("swallows")
    assert event.answers[0].replace_worker
    assert event.answers[0].status == "suspended"
    assert event.commands == ["timer.set a"]
    assert not event.last.replace_worker
    assert desk.play("one_command").last.status == "done"


def test_random_and_uuid_are_the_same_in_every_round_and_differ_between_events(desk: Desk) -> None:
    async def both() -> list[Played]:
        asked = [invocation("timer", "seeded", {"timer": "seeded"}, seq=seq) for seq in (1, 2, 1)]
        return list(await asyncio.gather(*(play(desk.run, one) for one in asked)))

    one, two, again = desk.loop.run(both())
    assert one.last.status == "done"
    assert one.commands == again.commands
    assert len({*one.commands, *two.commands}) == 4


def test_now_is_the_edges(desk: Desk) -> None:
    assert desk.play("now").commands == ["timer.set t1795204801-200", "timer.set b"]


def test_lines_appear_once_and_without_the_control_url(desk: Desk) -> None:
    event = desk.play("logs")
    lines = [line for answer in event.answers for line in answer.logs]
    messages = [line.message for line in lines if line.message != "three"]  # INFO passes where the root level lets it
    assert messages == ["one", "two https://edge.example/control/***", "four"]
    assert lines[0].fields == {"url": "https://edge.example/control/***"}
    assert lines[1].level == "WARNING"
    assert [len(answer.logs) for answer in event.answers][:2] == [1, 1]


def test_an_event_keeps_a_hundred_lines(desk: Desk) -> None:
    event = desk.play("many_logs")
    assert [len(answer.logs) for answer in event.answers] == [60, 40]
    assert event.logs[98] == "line 98"
    assert event.logs[99] == "31 more lines of this event were dropped (limit 100)"


def test_a_revealed_secret_is_journalled_by_name_and_version(desk: Desk) -> None:
    event = desk.play("secret")
    assert event.answers[0].journal[0].result == {"name": "API_KEY", "version": 1}
    assert event.last.state is not None
    assert event.last.state.data["count"] == len("value-of-the-key")
    assert "value-of-the-key" not in repr(event.answers)


@pytest.mark.parametrize(
    ("name", "kind", "part"),
    [
        ("unknown_call", "KeyError", "no live call is named 'nobody'; there: 'caller'"),
        ("exits", "SystemExit", "3"),
        ("too_many", "LimitExceeded", "the limit is 50"),
        ("big_state", "LimitExceeded", "the limit is 20480"),
        ("nobody_listens", "not_found", "no handler listens to timer of 'nobody_listens'"),
    ],
)
def test_failures_are_named(desk: Desk, name: str, kind: str, part: str) -> None:
    event = desk.play(name)
    assert error_of(event)[0] == kind
    assert part in error_of(event)[1]
    assert event.commands == []


def test_a_failed_command_raises_in_the_replay(desk: Desk) -> None:
    kind, message = error_of(desk.play("one_command", {"timer.set": StepError("timeout", "2 s")}))
    assert (kind, message) == ("CommandFailed", "timer.set: timeout: 2 s")


def test_an_exact_target_beats_none(desk: Desk) -> None:
    for target, commands in (("consult", ["timer.set exact"]), ("other", ["timer.set any-other"])):
        event = desk.loop.run(play(desk.run, invocation("call.connected", target)))
        assert event.commands == commands


@pytest.mark.parametrize(
    ("verb", "status", "content"),
    [("none", 204, b""), ("bytes", 200, b"\x00\xff"), ("list", 200, '[1,"é",null]'.encode()), ("text", 200, b'"ok"'),
     ("teapot", 418, b'{"a":1}')],
)  # fmt: skip
def test_replies(desk: Desk, verb: str, status: int, content: bytes) -> None:
    asked = invocation("http.request", None, {"method": "POST", "path": "/", "verb": verb})
    reply = desk.loop.run(play(desk.run, asked)).last.reply
    assert reply is not None
    assert (reply.status, reply.content()) == (status, content)


@pytest.mark.parametrize(("verb", "kind"), [("large", "LimitExceeded"), ("header", "DecodeError")])
def test_replies_that_cannot_travel_fail(desk: Desk, verb: str, kind: str) -> None:
    asked = invocation("http.request", None, {"method": "POST", "path": "/", "verb": verb})
    assert error_of(desk.loop.run(play(desk.run, asked)))[0] == kind


def test_many_sessions_at_once_keep_apart(desk: Desk) -> None:
    crowd = 200 if desk.endpoint is None else 20  # there boto3, the endpoint and the host share one interpreter

    async def all_at_once() -> list[Played]:
        asked = [invocation("timer", "counts", {"timer": "counts"}, session=f"s_{n}") for n in range(crowd)]
        return list(await asyncio.gather(*(play(desk.run, one) for one in asked)))

    for number, event in enumerate(desk.loop.run(all_at_once())):
        assert event.last.state is not None
        assert event.last.state.data == {"count": 1, "names": [f"s_{number}"]}
        assert event.commands == ["timer.set a"]


def test_answers_echo_what_fences_them(desk: Desk) -> None:
    asked = invocation("timer", "one_command", {"timer": "one_command"}, round_=3)
    value = desk.loop.run(desk.run(payload(asked)))
    assert (value["event_id"], value["round"], value["attempt"]) == ("s_1:7", 3, 1)
    assert value["schema"] == Answer.__dataclass_fields__["schema"].default


def test_a_worker_prints_what_is_printed_and_not_what_is_logged(desk: Desk) -> None:
    if isinstance(desk.host, InProcessHost):
        return  # prints to this process's own output

    async def printed() -> None:
        async with asyncio.timeout(5):
            while not any("hello from" in line for _, _, line in desk.printed):  # noqa: ASYNC110 (a pipe fills it)
                await asyncio.sleep(0.005)

    desk.printed.clear()
    desk.play("logs")
    desk.play("prints")
    desk.loop.run(printed())
    ours = [line for function, _, line in desk.printed if function == "Turns"]
    assert ours == ["hello from s_1:7 https://edge.example/control/***"]
