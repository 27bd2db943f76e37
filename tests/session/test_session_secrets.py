"""No secret value and no control token stands in anything that is written: the effects of a whole call are searched."""

import dataclasses
from typing import Any

import pytest

from cordboard.contract import link
from cordboard.contract.codec import encode
from cordboard.session import effects as out
from cordboard.session.timeline import MAX_ENTRIES, MAX_TEXT, Redactor

from .session_bench import API_KEY, Answer, Bench, Round, with_agent

LITERAL = "key-that-a-handler-typed-in"
WRITTEN = (out.WriteTimeline, out.WriteJournal, out.WriteTranscript, out.Log, out.KeepDialog, out.SessionBegan,
           out.SessionEnded)  # fmt: skip


def texts(effect: Any) -> str:
    return str({field.name: getattr(effect, field.name) for field in dataclasses.fields(effect)})


def whole_call(key: Any) -> Bench:
    def alerting(made: Round) -> Answer:
        if made.round == 0:
            made.command("call.answer", "caller")
            create = {"api_key": key, "agent_id": "a1", "version": "2025-04-16"}
            return made.wait(made.command("agent.create", "agent", **create))
        made.command("media.bridge", "caller+agent", a="caller", b="agent")
        url = made.payload["session"]["control_url"]
        return (
            made.wait(made.command("agent.start", "agent", metadata={"url": url, "deep": [{url: url}]}))
            if (made.round == 1)
            else made.done(logs=[{"level": "INFO", "message": f"url {url}", "fields": {"url": url, "key": LITERAL}}])
        )

    def tone(made: Round) -> Answer:
        secret = f"{made.payload['session']['control_url']} {API_KEY} {LITERAL}"
        if made.data["tone"] == "1":
            return made.fail("ValueError", secret)
        made.command("agent.custom", "agent", metadata={"x": secret})
        made.command("call.dial", "consult", to="+15550002", headers={"X-Url": secret})
        made.command("call.sing", secret[:60])
        return made.done()

    bench = Bench(
        session_started=None, call_alerting=alerting, call_tone=tone, http_request=None, agent_custom=None,
        command_failed=None,
    )  # fmt: skip
    bench.caller.call()
    url = bench.control_path
    bench.plane.tell(link.LegDigit(f"{bench.sid}/caller", "1"))
    bench.plane.tell(link.LegDigit(f"{bench.sid}/caller", "2"))
    said = {"echo": f"{url} {API_KEY} {LITERAL}", API_KEY: 1}
    bench.plane.tell(link.AgentSaid(f"{bench.sid}/agent", "agent.custom", said, bench.now))
    bench.plane.tell(link.PlaneNote(bench.sid, "agent", f"failed with {API_KEY}", said, bench.now))
    bench.plane.tell(link.TurnCut(f"{bench.sid}/agent", "t", f"your key is {API_KEY} {LITERAL}", bench.now))
    bench.http(f"{url}/verb/{url}", "POST", f'{{"key": "{API_KEY}"}}'.encode())
    bench.caller.hang_up()
    bench.callee.hang_up()
    bench.run(3)
    return bench


@pytest.mark.parametrize("key", [{"secret": "KEY"}, LITERAL])
def test_no_secret_stands_in_what_is_written(key: Any) -> None:
    bench = whole_call(key)
    token = bench.rounds[0].data["access_secure_url"].partition("/control/")[2]
    value = API_KEY if isinstance(key, dict) else LITERAL
    written = [effect for effect in bench.effects if isinstance(effect, WRITTEN)]
    assert {type(effect) for effect in written} == set(WRITTEN) - {out.Log}
    for effect in written:
        for secret in (value, token):
            assert secret not in texts(effect), type(effect).__name__
    assert any("***" in texts(effect) for effect in written)
    assert len(bench.kept.ended) == 1


def test_a_secret_s_value_travels_to_the_plane_alone() -> None:
    bench = whole_call({"secret": "KEY"})
    assert bench.plane.last(link.AgentOpen).api_key == API_KEY
    first = bench.of("call.alerting")
    assert all(API_KEY not in str(made.payload) for made in first)


def test_what_an_agent_with_privacy_says_is_left_out() -> None:
    def alerting(made: Round) -> Answer:
        if made.round:
            return made.done()
        made.command("call.answer", "caller")
        create = {"api_key": {"secret": "KEY"}, "agent_id": "a1", "version": "2025-04-16", "privacy": True}
        return made.wait(made.command("agent.create", "agent", **create))

    bench = Bench(call_alerting=alerting, agent_custom=None)
    bench.caller.call()
    bench.plane.tell(link.AgentSaid(f"{bench.sid}/agent", "agent.custom", {"metadata": "a diagnosis"}, bench.now))
    bench.plane.tell(link.TurnCut(f"{bench.sid}/agent", "t", "a diagnosis", bench.now))
    bench.caller.hang_up()
    bench.run(1)
    assert not any("diagnosis" in texts(effect) for effect in bench.effects if isinstance(effect, WRITTEN))


CREDENTIALS = [
    ("Authorization: Digest username=u, response=abc", "abc"),
    ("Proxy-Authorization: Digest response=abc", "abc"),
    ("WWW-Authenticate: Digest nonce=abc", "abc"),
    ("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:abc", "abc"),
]


@pytest.mark.parametrize(("line", "secret"), CREDENTIALS)
def test_credentials_and_media_keys_of_sip_messages_are_masked(line: str, secret: str) -> None:
    text = Redactor().text(f"INVITE sip:x SIP/2.0\r\n{line}\r\nTo: y\r\n")
    assert secret not in text
    assert "To: y" in text


def test_a_text_is_cut_after_it_was_redacted() -> None:
    secret = "s" * 40
    text = Redactor(secret).text("x" * (MAX_TEXT - 20) + secret)
    assert "sss" not in text
    assert len(text) <= MAX_TEXT + 1


def test_a_timeline_is_bounded_and_says_so() -> None:
    bench = Bench(call_alerting=with_agent)
    bench.caller.call()
    session = bench.engine._sessions[bench.sid]
    for number in range(MAX_ENTRIES + 10):
        session.note("log", str(number), {}, bench.now)
    bench.pump()
    assert len(bench.kept.timeline) == MAX_ENTRIES
    assert bench.kept.timeline[-1].what.startswith("timeline full")


def test_everything_kept_of_a_dialog_is_json() -> None:
    bench = Bench(call_alerting=with_agent)
    bench.caller.call()
    (record,) = bench.kept.dialogs.values()
    assert encode(record)


@pytest.mark.parametrize("refused", [False, True])
def test_what_a_failed_or_refused_answer_revealed_is_masked_in_all_that_is_written_of_it(refused: bool) -> None:
    def alerting(made: Round) -> Answer:
        read = {"id": f"{made.event['seq']}.0", "type": "secret.reveal", "hash": "h", "target": "KEY"}
        more: dict[str, Any] = {"journal": [read], "logs": [{"level": "INFO", "message": f"with {API_KEY}"}]}
        if refused:
            return {**made.done(**more), "event_id": f"not {API_KEY}"}
        return {**made.fail("RuntimeError", f"refused {API_KEY}", **more), "commands": []}

    bench = Bench(call_alerting=alerting)
    bench.caller.call()
    bench.run(3)
    assert bench.noted("call.alerting failed")
    assert not [effect for effect in bench.effects if isinstance(effect, WRITTEN) and API_KEY in texts(effect)]


def test_of_two_secrets_of_which_one_is_a_part_of_the_other_nothing_is_left() -> None:
    redactor = Redactor()
    redactor.add("secret")
    redactor.add("secret-and-more")
    assert redactor.text("a secret-and-more, a secret") == "a ***, a ***"
