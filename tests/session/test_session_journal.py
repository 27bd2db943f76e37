"""A session's journal holds what a replay needs, and neither secrets nor what was gathered in secret."""

from typing import Any

import pytest

from cordboard.contract import link
from cordboard.contract.journal import (
    JournalAnswer,
    JournalBegan,
    JournalEvent,
    JournalFailed,
    JournalLine,
    JournalRound,
    JournalUnheard,
    read_line,
    write_line,
)
from cordboard.session import effects as out

from .session_bench import API_KEY, Answer, Bench, Round, with_agent
from .test_session_gather import Keys, gathering


def lines(bench: Bench) -> list[JournalLine]:
    """As they are read back from the file."""
    return [read_line(write_line(each.line)) for each in bench.effects if isinstance(each, out.WriteJournal)]


def written(bench: Bench) -> str:
    return "".join(str(write_line(each.line)) for each in bench.effects if isinstance(each, out.WriteJournal))


def kinds(bench: Bench) -> list[str]:
    return [each.kind for each in lines(bench)]


def test_rounds_answers_and_results_stand_in_their_order() -> None:
    bench = Bench(call_alerting=with_agent)
    bench.caller.call()
    found = lines(bench)
    assert kinds(bench)[:3] == ["began", "unheard", "event"]
    began, event = found[0], found[2]
    assert isinstance(began, JournalBegan)
    assert (began.session, began.scenario, began.release) == (bench.sid, "desk", "r1")
    assert began.control_url == "https://voice.example/control/***"
    assert isinstance(event, JournalEvent)
    assert event.event.type == "call.alerting"
    assert [each.name for each in event.objects] == ["caller"]
    assert (event.state_version, event.masked, event.deadline_ms) == (0, False, 5000)
    rounds = [each for each in found if isinstance(each, JournalRound)]
    assert [each.round for each in rounds] == [0, 1, 2]
    assert rounds[0].results == ()
    assert {each.id: each.status for each in rounds[1].results} == {"1.0": "done", "1.1": "done"}
    assert [each.type for each in rounds[2].results] == ["media.bridge", "agent.start"]
    answers = [each.answer for each in found if isinstance(each, JournalAnswer)]
    assert [each.type for each in answers[0].commands] == ["call.answer", "agent.create"]
    assert all(each.hash == "" for answer in answers for each in answer.commands)
    assert [kind for kind in kinds(bench) if kind != "unheard"] == ["began", "event", *["round", "answer"] * 3]


def test_a_lost_round_has_no_answer_and_a_failed_event_says_its_policy() -> None:
    bench = Bench(call_alerting=lambda made: made.fail("KeyError"), call_disconnected=None)
    bench.hold.add("call.alerting")
    bench.caller.call()
    bench.lose(bench.held[0], "crashed")
    bench.answer(bench.held[1], bench.held[1].fail("KeyError", "gone"))
    rounds = [each for each in lines(bench) if isinstance(each, JournalRound)]
    assert [(each.round, each.attempt) for each in rounds] == [(0, 1), (0, 2)]
    [failed] = [each for each in lines(bench) if isinstance(each, JournalFailed)]
    assert (failed.error, failed.policy, failed.chosen, failed.fallback) == ("KeyError", "refuse", None, None)
    assert kinds(bench).count("answer") == 1


def test_a_refused_answer_is_none() -> None:
    bench = Bench(call_alerting=lambda made: {**made.done(), "round": 7})
    bench.caller.call()
    assert "answer" not in kinds(bench)
    [failed] = [each for each in lines(bench) if isinstance(each, JournalFailed)]
    assert failed.error == "refused"


def test_an_event_that_never_left_is_not_told() -> None:
    bench = Bench(call_alerting=with_agent, agent_custom=None)
    bench.caller.call()
    before = kinds(bench)
    said = {"metadata": {"much": "x" * 300_000}}
    bench.plane.tell(link.AgentSaid(f"{bench.sid}/agent", "agent.custom", said, bench.now))
    assert bench.noted("failed in app: too_large")
    assert kinds(bench) == before


def test_an_event_that_nobody_hears_is_told_once() -> None:
    bench = Bench(call_alerting=with_agent)
    bench.caller.call()
    for _ in range(3):
        for name in ("book", "cancel"):
            said: dict[str, Any] = {"id": "c1", "name": name, "arguments": {}}
            bench.plane.tell(link.AgentSaid(f"{bench.sid}/agent", "agent.tool_call", said, bench.now))
    unheard = [each for each in lines(bench) if isinstance(each, JournalUnheard)]
    assert [(each.target, each.tool) for each in unheard if each.type == "agent.tool_call"] == [
        ("agent", "book"),
        ("agent", "cancel"),
    ]


@pytest.mark.parametrize("digits", ["123", "4711", "4111111111111111"])
def test_digits_of_a_secret_gather_are_masked_wherever_a_handler_puts_them(digits: str) -> None:
    def keep(made: Round) -> Answer:
        given = made.data["digits"]
        made.command("agent.custom", "agent", metadata={"pin": given, "text": f"pin {given}!", given: int(given)})
        read: dict[str, Any] = {"id": f"{made.event['seq']}.1", "type": "once", "hash": "ab" * 8, "result": given}
        return made.done(state={"base_version": 0, "data": {"pin": given, "number": int(given)}}, journal=[read])

    bench = gathering(max_digits=len(digits), secret=True)
    bench.handlers["call.gathered", None] = keep
    Keys(bench).press(digits)
    assert bench.of("call.gathered")[0].data["digits"] == digits
    [event] = [each for each in lines(bench) if isinstance(each, JournalEvent) and each.event.type == "call.gathered"]
    assert event.masked
    answers = [each.answer for each in lines(bench) if isinstance(each, JournalAnswer)]
    [answer] = [each for each in answers if each.event_id == event.event.id]
    assert answer.state is not None
    assert answer.state.data == {"pin": "***", "number": "***"}
    assert answer.commands[0].args == {"metadata": {"pin": "***", "text": "pin ***!", "***": "***"}}
    assert (answer.journal[0].result, answer.journal[0].hash) == ("***", "")
    assert digits not in str(answer)


def test_a_private_player_s_texts_are_masked_in_the_round_that_makes_it() -> None:
    def alerting(made: Round) -> Answer:
        made.command("call.answer", "caller")
        made.command("player.create_realtime", "voice", text="a diagnosis", api_key={"secret": "KEY"}, privacy=True)
        made.command("player.generate", "voice", request={"transcript": "a diagnosis"})
        return made.done()

    bench = Bench(call_alerting=alerting)
    bench.caller.call()
    assert "player.generate" in written(bench)
    assert "diagnosis" not in written(bench)


def test_a_private_agent_s_words_are_left_out_and_the_event_says_so() -> None:
    def alerting(made: Round) -> Answer:
        if made.round:
            return made.done()
        made.command("call.answer", "caller")
        create = {"api_key": {"secret": "KEY"}, "agent_id": "a1", "version": "2025-04-16", "privacy": True}
        return made.wait(made.command("agent.create", "agent", **create))

    bench = Bench(call_alerting=alerting, agent_turn_ended=None, agent_custom=None)
    bench.caller.call()
    for type_ in ("agent.turn_ended", "agent.custom"):
        bench.plane.tell(link.AgentSaid(f"{bench.sid}/agent", type_, {"text": "a diagnosis"}, bench.now))
    events = [each for each in lines(bench) if isinstance(each, JournalEvent)]
    assert [(each.event.type, each.masked) for each in events[1:]] == [
        ("agent.turn_ended", True),
        ("agent.custom", True),
    ]
    assert "diagnosis" not in written(bench)


def test_a_key_that_a_handler_typed_is_masked_before_it_is_used() -> None:
    def alerting(made: Round) -> Answer:
        made.command("call.answer", "caller")
        made.command("agent.create", "agent", api_key="typed-in-key", agent_id="a1", version="2025-04-16")
        return made.done()

    bench = Bench(call_alerting=alerting)
    bench.caller.call()
    assert "agent.create" in written(bench)
    assert "typed-in-key" not in written(bench)
    assert API_KEY not in written(bench)


@pytest.mark.parametrize("off", ["[privacy]\njournal = false", '[retention]\ntimelines = "0"'])
def test_where_journals_are_off_nothing_is_written(off: str) -> None:
    bench = Bench(off, call_alerting=with_agent)
    bench.caller.call()
    assert bench.of("call.alerting")
    assert kinds(bench) == []
