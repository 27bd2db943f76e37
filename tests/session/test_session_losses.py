"""What must not be lost when something goes wrong at a bad moment: a BYE, a record, a cause, a secret's secrecy."""

from typing import Any

import pytest

from cordboard.contract import link
from cordboard.session import effects as out
from cordboard.session.engine import ControlEngine
from cordboard.sip import events as sip
from cordboard.sip.offer import offer

from .session_bench import API_KEY, Answer, Bench, Round, answered, with_agent
from .session_peers import CALLER


def talking(*changes: str, **handlers: Any) -> Bench:
    bench = Bench(*changes, **{"call_alerting": with_agent, **handlers})
    bench.caller.call()
    return bench


def restarted(bench: Bench) -> ControlEngine:
    """The next control, with what the last one left on disk."""
    records = list(bench.kept.dialogs.values())
    bench.planes.clear()
    bench.engine = bench.new_engine()
    bench.engine.restore(records, bench.now)
    bench.pump()
    return bench.engine


def test_a_plane_that_closes_a_live_session_unasked_ends_it_with_a_bye() -> None:
    bench = talking()
    bench.plane.tell(link.SessionClosed(bench.sid))
    bench.run(3)
    assert len(bench.caller.all(sip.Ended)) == 1
    assert (bench.record.cause, bench.record.fault) == ("plane.lost", "edge")
    assert bench.engine.live == 0
    assert bench.kept.dialogs == {}


def test_a_plane_that_closes_a_session_between_bye_and_its_answer_costs_no_record() -> None:
    bench = talking()
    bench.caller.dead = True
    bench.engine.shutdown(bench.now)
    bench.pump()
    bench.plane.tell(link.SessionClosed(bench.sid))
    bench.run(10)
    assert bench.record.cause == "edge.shutdown"
    assert bench.engine.live == 0


def test_a_stop_writes_every_record_in_time_even_with_a_peer_and_a_plane_that_say_nothing() -> None:
    bench = talking(session_terminating=None)
    bench.caller.dead = True
    bench.plane.mute |= {link.SessionClose}
    bench.hold.add("session.terminating")
    bench.engine.shutdown(bench.now)
    bench.pump()
    bench.run(6.5)
    assert bench.record.cause == "edge.shutdown"


def test_a_control_that_was_stopped_does_not_kill_a_healthy_plane() -> None:
    bench = talking()
    bench.now += 30  # nothing was heard because nobody listened
    bench.engine.on_timer(bench.now)
    bench.pump()
    bench.run(5)
    assert not any(isinstance(effect, out.KillPlane) for effect in bench.effects)


def test_a_caller_that_still_rings_when_control_dies_is_refused_by_the_next_one() -> None:
    bench = Bench(call_alerting=None)
    bench.hold.add("call.alerting")
    bench.caller.call()
    assert bench.caller.all(sip.Failed) == []
    restarted(bench)
    assert bench.caller.last(sip.Failed).code == 503
    assert bench.record.cause == "control.lost"


def test_a_dialog_on_disk_follows_the_peer_to_its_new_address() -> None:
    bench = Bench(call_alerting=answered)
    bench.caller.call()
    before = dict(bench.kept.dialogs)
    state = bench.caller.agent.dialog(bench.caller.leg)
    assert state is not None
    moved = "sip:moved@192.0.2.77:5070"
    body = offer(bench.caller.local)
    lines = [
        f"INVITE {state.remote_target} SIP/2.0",
        f"Via: SIP/2.0/UDP {CALLER[0]}:{CALLER[1]};branch=z9hG4bKmoved;rport",
        f"From: {state.local_uri};tag={state.local_tag}",
        f"To: {state.remote_uri};tag={state.remote_tag}",
        f"Call-ID: {state.call_id}",
        f"CSeq: {state.local_cseq + 1} INVITE",
        f"Contact: <{moved}>",
        "Max-Forwards: 70",
        "Content-Type: application/sdp",
        f"Content-Length: {len(body)}",
    ]
    bench.caller.raw("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    assert bench.kept.dialogs.keys() == before.keys()
    assert [moved in str(record.dialog["state"]) for record in bench.kept.dialogs.values()] == [True]


def test_a_trunk_given_by_name_is_dialled_and_a_name_that_is_not_found_fails_at_once() -> None:
    def dials(made: Round) -> Answer:
        made.command("call.dial", "consult", to="+15550002")
        return made.done()

    bench = talking(
        'uri = "sip:192.0.2.50:5060" → uri = "sip:trunk.example:5070"', agent_ack=dials, call_failed__consult=None
    )
    bench.plane.tell(link.AgentSaid(f"{bench.sid}/agent", "agent.ack", {}, bench.now))
    sent = [e for e in bench.effects if isinstance(e, out.SendSip) and e.data.startswith(b"INVITE ")]
    assert [each.address for each in sent] == [("trunk.example", 5070)]
    bench.engine.send_failed(("trunk.example", 5070), bench.now)
    bench.pump()
    assert bench.of("call.failed")[-1].payload["event"]["data"]["code"] == 503


def test_a_secret_that_a_handler_revealed_stands_nowhere() -> None:
    def reveals(made: Round) -> Answer:
        made.command("agent.custom", "agent", metadata={"token": API_KEY})
        read = {"id": f"{made.event['seq']}.1", "type": "secret.reveal", "hash": "h", "target": "KEY"}
        return made.done(journal=[read], logs=[{"level": "INFO", "message": f"the key is {API_KEY}"}])

    bench = Bench(call_alerting=reveals)
    bench.caller.call()
    assert bench.noted("the key is ***")
    assert API_KEY not in repr(bench.kept.timeline)


def test_a_caller_that_hangs_up_while_the_agent_connects_is_the_cause() -> None:
    def connects(made: Round) -> Answer:
        if made.payload["round"]:
            return made.fail("CommandFailed", "call_ended")
        made.command("call.answer", "caller")
        return made.wait(made.command("agent.create", "agent", api_key="k", agent_id="a", version="2025-04-16"))

    bench = Bench(call_alerting=connects)
    bench.plane.mute.add(link.AgentOpen)
    bench.caller.call()
    bench.caller.hang_up()
    bench.run(1)
    assert (bench.record.cause, bench.record.fault) == ("caller.hangup", "none")


def test_a_leg_is_recorded_once_at_a_time() -> None:
    def records(made: Round) -> Answer:
        made.command("call.answer", "caller")
        made.command("call.record", "caller", name="one")
        made.command("call.record", "caller", name="two")
        return made.done()

    bench = Bench(call_alerting=records, command_failed=None)
    bench.caller.call()
    failed = bench.of("command.failed")[-1].payload["event"]["data"]
    assert (failed["command"], failed["code"]) == ("call.record", "refused")
    bench.caller.hang_up()
    bench.run(1)
    assert bench.record.recordings == ("one.wav",)


def test_an_agent_that_was_closed_and_awaited_leaves_its_name_free() -> None:
    def again(made: Round) -> Answer:
        close = made.command("agent.close", "agent")
        if not made.payload["round"]:
            return made.wait(close)
        made.command("agent.create", "agent", api_key="k", agent_id="b", version="2025-04-16")
        return made.done()

    bench = talking(call_tone=again)
    bench.plane.tell(link.LegDigit(f"{bench.sid}/caller", "1"))
    assert [message.agent_id for message in bench.plane.all(link.AgentOpen)] == ["a1", "b"]


def test_the_record_of_a_lost_plane_does_not_wait_for_a_ledger_that_died_with_it() -> None:
    bench = talking()
    bench.engine.plane_lost(0, "gone", bench.now)
    bench.pump()
    assert bench.record.cause == "plane.lost"


def test_a_silent_peer_that_leaves_our_question_unanswered_is_hung_up_in_eight_seconds() -> None:
    bench = talking()
    bench.caller.dead = True
    bench.plane.tell(link.LegSilent(f"{bench.sid}/caller"))
    bench.run(7.9)
    assert bench.kept.ended == []
    bench.run(8.2)  # and its BYE is not answered either
    assert (bench.record.cause, bench.record.fault) == ("media.lost", "trunk")


FAILURES = {"ValueError": ("tool_failed", "the tool failed"), "timeout": ("timeout", "the tool took too long")}


@pytest.mark.parametrize("kind", FAILURES)
def test_an_agent_does_not_wait_for_a_client_tool_that_failed(kind: str) -> None:
    bench = talking(agent_tool_call=lambda made: made.fail(kind))
    call = {"id": "tc_1", "name": "find_table", "parameters": {}, "expects_response": True}
    bench.plane.tell(link.AgentSaid(f"{bench.sid}/agent", "agent.tool_call", call, bench.now))
    (sent,) = bench.plane.all(link.AgentToolResult)
    assert (sent.id, sent.is_error, sent.error_type, sent.result) == ("tc_1", True, *FAILURES[kind])


@pytest.mark.parametrize("kind", FAILURES)
@pytest.mark.parametrize("id_", ["c1", 7, None, "x" * 300])
def test_an_agent_does_not_wait_for_a_tool_that_it_called_by_a_custom_message(kind: str, id_: object) -> None:
    bench = talking(agent_custom=lambda made: made.fail(kind))
    metadata = {"tool": "find_table", "arguments": {}, "id": id_}
    bench.plane.tell(link.AgentSaid(f"{bench.sid}/agent", "agent.custom", {"metadata": metadata}, bench.now))
    (sent,) = bench.plane.all(link.AgentSend)
    error_type, text = FAILURES[kind]
    told = {"id": id_} if id_ in ("c1", 7) else {}
    assert sent.metadata == {"tool": "find_table", "error": text, "error_type": error_type, **told}


def test_a_custom_message_that_calls_no_tool_is_not_answered_when_its_handler_fails() -> None:
    bench = talking(agent_custom=lambda made: made.fail("ValueError"))
    bench.plane.tell(link.AgentSaid(f"{bench.sid}/agent", "agent.custom", {"metadata": {"a": 1}}, bench.now))
    assert bench.plane.all(link.AgentSend) == []


def test_what_a_private_agent_says_reaches_its_handler_and_not_the_timeline() -> None:
    def private(made: Round) -> Answer:
        made.command("call.answer", "caller")
        args = {"api_key": "k", "agent_id": "a", "version": "2025-04-16", "privacy": True}
        made.command("agent.create", "agent", **args)
        return made.done()

    bench = Bench(call_alerting=private, agent_custom=None)
    bench.caller.call()
    message = link.AgentSaid(f"{bench.sid}/agent", "agent.custom", {"metadata": {"iban": "DE02"}}, bench.now)
    bench.plane.tell(message)
    assert bench.of("agent.custom")[-1].payload["event"]["data"] == {"data": {"metadata": {"iban": "DE02"}}}
    assert "DE02" not in repr(bench.kept.timeline)
