"""DESIGN §4: one mailbox, one turn in flight, rounds that are atomic, fenced, journalled, tried again or given up."""

from typing import Any

import pytest

from cordboard.contract import link
from cordboard.contract.records import MAX_COMMANDS, MAX_INVOCATIONS, MAX_ROUNDS
from cordboard.session.session import MAX_MAILBOX

from .session_bench import Answer, Bench, Round, answered, with_agent


def digit(bench: Bench, key: str) -> None:
    bench.plane.tell(link.LegDigit(f"{bench.sid}/caller", key))


def quiet(made: Round) -> Answer:
    return made.done()


def connected(**handlers: Any) -> Bench:
    bench = Bench(**{"call_alerting": answered, **handlers})
    bench.caller.call()
    return bench


def policies(bench: Bench) -> list[tuple[str, str]]:
    """(error, policy) of every event that failed."""
    entries = (entry.data for entry in bench.kept.timeline if entry.kind == "round")
    return [(data["error"], data["policy"]) for data in entries if "policy" in data]


def test_events_wait_in_the_order_they_happened_and_one_turn_is_in_flight() -> None:
    bench = connected(call_tone=None)
    bench.hold.add("call.tone")
    for key in "123":
        digit(bench, key)
    told: list[str] = []
    while bench.held:
        assert len(bench.held) == 1
        made = bench.held.pop()
        told.append(made.data["tone"])
        bench.answer(made, made.done())
    assert told == ["1", "2", "3"]
    seqs = [made.event["seq"] for made in bench.rounds]
    assert seqs == sorted(seqs)
    assert len(set(seqs)) == len(seqs)


def test_an_event_that_no_function_listens_to_costs_no_invocation_and_stands_in_the_timeline() -> None:
    bench = connected()
    digit(bench, "5")
    assert [made.type for made in bench.rounds] == ["call.alerting"]
    assert "call.tone:caller" in bench.told("event")


def test_a_log_only_event_is_logged_and_not_delivered() -> None:
    bench = Bench(call_alerting=answered, call_tone=None)
    bench.log_only = ("call.tone",)
    bench.retake()
    bench.caller.call()
    digit(bench, "5")
    assert bench.of("call.tone") == []
    assert "call.tone" in bench.told("log")


def test_an_exact_target_beats_none() -> None:
    bench = connected(call_connected=None, call_connected__caller=None)
    assert [made.target for made in bench.of("call.connected")] == ["caller"]


def test_a_suspended_event_is_invoked_again_with_the_journal_of_what_became_of_its_commands() -> None:
    bench = Bench(call_alerting=with_agent)
    bench.caller.call()
    first, second, third = bench.of("call.alerting")
    assert first.journal == []
    assert [(step["type"], step["status"]) for step in second.journal] == [
        ("call.answer", "done"),
        ("agent.create", "done"),
    ]
    assert second.outcome()["result"]["web_socket_id"] == "ws-1"
    assert [step["status"] for step in third.journal] == ["done"] * 4
    assert first.event == second.event == third.event
    assert first.payload["now"] == third.payload["now"]
    assert first.payload["objects"] == third.payload["objects"], "objects are as they were at the start of the event"


def test_a_command_that_a_replay_repeats_is_not_executed_again() -> None:
    def handler(made: Round) -> Answer:
        create = {"api_key": {"secret": "KEY"}, "agent_id": "a1", "version": "2025-04-16"}
        if made.round == 0:
            return made.wait(made.command("agent.create", "agent", **create))
        made.journal.clear()  # numbers from 0 again, as a runner that forgot what was sent
        made.command("agent.create", "agent", **create)
        return made.done()

    bench = Bench(call_alerting=handler)
    bench.caller.call()
    assert len(bench.plane.all(link.AgentOpen)) == 1
    assert policies(bench) == []


def test_a_replay_that_differs_fails_the_event_and_names_both_commands() -> None:
    def handler(made: Round) -> Answer:
        if made.round == 0:
            return made.wait(made.command("call.answer", "caller"))
        made.journal.clear()
        made.command("call.hangup", "caller")
        made.commands[0]["line"] = "app.py:7"
        return made.done()

    bench = Bench(call_alerting=handler)
    bench.caller.call()
    (entry,) = bench.noted("call.alerting failed")
    assert "step 2.0 was call.answer" in str(entry.data["message"]) or "was call.answer at" in str(
        entry.data["message"]
    )
    assert "now it is call.hangup at app.py:7" in str(entry.data["message"])


def failed(made: Round, *_: str) -> dict[str, Any]:
    return made.fail()


def too_many(made: Round, *_: str) -> dict[str, Any]:
    for number in range(MAX_COMMANDS):
        made.command("timer.set", f"t{number}", seconds=1.0)
    return made.done()


def oversized(made: Round, *_: str) -> dict[str, Any]:
    return made.done(logs=[{"level": "INFO", "message": "x" * 66_000}])


def big_state(made: Round, *_: str) -> dict[str, Any]:
    return made.done(state={"base_version": 0, "data": {"x": "y" * 21_000}})


def stale_state(made: Round, *_: str) -> dict[str, Any]:
    return made.done(state={"base_version": 7, "data": {}})


def wrong_hash(made: Round, *_: str) -> dict[str, Any]:
    made.commands[0]["hash"] = "0" * 16
    return made.done()


def foreign_id(made: Round, *_: str) -> dict[str, Any]:
    made.commands[0]["id"] = "99.0"
    return made.done()


def twice_the_same_id(made: Round, *_: str) -> dict[str, Any]:
    made.commands.append(dict(made.commands[0]))
    return made.done()


def waits_for_nothing(made: Round, *_: str) -> dict[str, Any]:
    return made.wait("3.77")


def unknown_field(made: Round, *_: str) -> dict[str, Any]:
    return made.done(extra=1)


def endless_number(made: Round, *_: str) -> dict[str, Any]:
    return made.done(state={"base_version": 0, "data": {"x": float("nan")}})


BAD_ROUNDS = [
    failed, too_many, oversized, big_state, stale_state, wrong_hash, foreign_id, twice_the_same_id, waits_for_nothing,
    unknown_field, endless_number,
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD_ROUNDS, ids=lambda bad: str(bad.__name__))
def test_a_bad_round_executes_none_of_its_commands_and_none_of_its_state(bad: Any) -> None:
    def tone(made: Round) -> Answer:
        if made.data["tone"] != "1":
            return made.done()
        made.command("call.hangup", "caller")
        answer: dict[str, Any] = bad(made)
        answer.setdefault("state", {"base_version": 0, "data": {"spoilt": True}})
        return answer

    bench = connected(call_tone=tone)
    digit(bench, "1")
    assert "call.hangup" not in bench.told("command")
    assert [policy for _, policy in policies(bench)] == ["ignore"]
    digit(bench, "2")
    assert bench.of("call.tone")[-1].payload["state"] == {"version": 0, "data": {}}


def test_rounds_before_a_failed_one_stand() -> None:
    def handler(made: Round) -> Answer:
        if made.round == 0:
            return made.wait(made.command("timer.set", "t", seconds=5.0))
        made.command("call.hangup", "caller")
        return made.fail()

    bench = connected(call_tone=handler, timer=None)
    digit(bench, "1")
    assert bench.told("command").count("timer.set") == 1
    bench.run(5)
    assert [made.target for made in bench.of("timer")] == ["t"]
    assert bench.kept.ended == []


@pytest.mark.parametrize("kind", ["timeout", "crashed", "lost"])
def test_a_round_without_an_answer_is_tried_once_more(kind: str) -> None:
    bench = connected(call_tone=None)
    bench.hold.add("call.tone")
    digit(bench, "1")
    bench.lose(bench.held[0], kind)
    assert [made.attempt for made in bench.held] == [1, 2]
    assert bench.held[0].event == bench.held[1].event
    bench.lose(bench.held[1], kind)
    assert len(bench.held) == 2
    assert policies(bench) == [(kind, "ignore")]


def test_a_throttled_round_is_tried_once_more_after_a_pause() -> None:
    bench = connected(call_tone=None)
    bench.hold.add("call.tone")
    digit(bench, "1")
    bench.lose(bench.held[0], "throttled")
    assert [made.attempt for made in bench.held] == [1]
    bench.run(0.31)
    assert [made.attempt for made in bench.held] == [1, 2]
    bench.lose(bench.held[1], "throttled")
    bench.run(5)
    assert len(bench.held) == 2
    assert policies(bench) == [("throttled", "ignore")]


@pytest.mark.parametrize("kind", ["raised", "too_large", "no_such_function"])
def test_what_would_only_happen_again_is_not_tried_again(kind: str) -> None:
    bench = connected(call_tone=None)
    bench.hold.add("call.tone")
    digit(bench, "1")
    bench.lose(bench.held[0], kind)
    assert len(bench.held) == 1
    assert policies(bench) == [(kind, "ignore")]


def test_a_host_that_says_nothing_at_all_does_not_hold_the_call_for_ever() -> None:
    bench = connected(call_tone=None)
    bench.plane.tell(link.Route("x", "y"))
    bench.hold.add("call.tone")
    digit(bench, "1")
    bench.run(60)
    assert [made.attempt for made in bench.held] == [1, 2]
    assert policies(bench) == [("timeout", "ignore")]


def test_a_late_answer_is_dropped_and_noted() -> None:
    bench = connected(call_tone=None)
    bench.hold.add("call.tone")
    digit(bench, "1")
    zombie = bench.held[0]
    bench.lose(zombie, "timeout")
    zombie.command("call.hangup", "caller")
    bench.answer(zombie, zombie.done())
    assert "late answer dropped" in bench.told("round")
    assert "call.hangup" not in bench.told("command")
    bench.answer(bench.held[1], bench.held[1].done())
    bench.answer(bench.held[1], bench.held[1].done())
    assert bench.told("round").count("late answer dropped") == 2


@pytest.mark.parametrize(("name", "value"), [("event_id", "s_x:1"), ("round", 3), ("attempt", 2)])
def test_an_answer_that_echoes_another_event_round_or_attempt_is_refused(name: str, value: object) -> None:
    bench = connected(call_tone=lambda made: {**made.done(), name: value})
    digit(bench, "1")
    assert policies(bench) == [("refused", "ignore")]
    assert name in str(bench.noted("call.tone failed")[0].data["message"])


def test_a_parked_event_lives_thirty_seconds() -> None:
    """Seven sockets that never open, 5 s each: parked for 30 s in all, whatever each command may take."""

    def handler(made: Round) -> Answer:
        create = {"api_key": "a-key-in-the-clear", "agent_id": "a1", "version": "2025-04-16"}
        return made.wait(made.command("agent.create", f"agent{made.round}", **create))

    bench = connected(call_tone=handler)
    bench.plane.mute.add(link.AgentOpen)
    began = bench.now
    digit(bench, "1")
    bench.run(29.9)
    assert policies(bench) == []
    bench.run(5)
    assert policies(bench) == [("parked", "ignore")]
    (entry,) = bench.noted("call.tone failed")
    assert entry.at == pytest.approx(began - 100 + 30)


def test_the_state_has_a_version_and_arrives_with_the_next_event() -> None:
    def handler(made: Round) -> Answer:
        version = made.payload["state"]["version"]
        return made.done(state={"base_version": version, "data": {"digits": version + 1}})

    bench = connected(call_tone=handler)
    digit(bench, "1")
    digit(bench, "2")
    digit(bench, "3")
    states = [made.payload["state"] for made in bench.of("call.tone")]
    assert states == [
        {"version": 0, "data": {}},
        {"version": 1, "data": {"digits": 1}},
        {"version": 2, "data": {"digits": 2}},
    ]


def test_an_event_may_take_sixteen_rounds() -> None:
    bench = connected(call_tone=lambda made: made.wait(made.command("timer.set", "t", seconds=9.0)))
    digit(bench, "1")
    assert len(bench.of("call.tone")) == MAX_ROUNDS
    assert policies(bench) == [("refused", "ignore")]


def test_an_event_may_emit_fifty_commands_over_all_its_rounds() -> None:
    def handler(made: Round) -> Answer:
        ids = [made.command("timer.set", "t", seconds=9.0) for _ in range(MAX_COMMANDS // 2)]
        return made.wait(ids[-1])

    bench = connected(call_tone=handler)
    digit(bench, "1")
    assert len(bench.of("call.tone")) == 3
    assert bench.told("command").count("timer.set") == MAX_COMMANDS


def test_the_thousandth_invocation_is_the_last_and_ends_the_session() -> None:
    bench = connected(call_tone=None, session_terminating=None)
    for _ in range(MAX_INVOCATIONS):
        digit(bench, "1")
    bench.run(1)
    assert bench.record.cause == "limit.invocations"
    assert bench.record.fault == "function"
    assert bench.record.invocations == MAX_INVOCATIONS + 1, "session.terminating is told all the same"


def test_an_invocation_above_its_size_fails_the_event() -> None:
    def handler(made: Round) -> Answer:
        reads = [
            {
                "id": f"{made.event['seq']}.{len(made.journal) + n}",
                "type": "storage.get",
                "hash": "h",
                "result": "x" * 15_000,
            }
            for n in range(4)
        ]
        return made.wait(reads[0]["id"], journal=reads)

    bench = connected(call_tone=handler)
    digit(bench, "1")
    assert policies(bench) == [("too_large", "ignore")]
    assert len(bench.of("call.tone")) == 5


def test_a_flood_of_events_is_cut_but_no_leg_s_end_is_lost() -> None:
    bench = connected(call_tone=None, call_disconnected=None)
    bench.hold.add("call.tone")
    for _ in range(MAX_MAILBOX + 20):
        digit(bench, "1")
    bench.caller.hang_up()
    bench.hold.clear()
    bench.give(bench.held[0])
    bench.pump()
    assert len(bench.of("call.tone")) == MAX_MAILBOX + 1
    assert len(bench.of("call.disconnected")) == 1
    assert "mailbox full, event dropped" in bench.told("log")
