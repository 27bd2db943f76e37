"""Whatever happens in whatever order: nothing raises, every session ends once, and nothing of it is left."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.contract import link
from cordboard.contract.commands import COMMANDS

from .session_bench import Answer, Bench, Round

LISTENS = [
    "session_started", "call_alerting", "call_connected", "call_failed", "call_disconnected", "call_tone",
    "call_ringing", "http_request", "timer", "command_failed", "websocket_close", "session_terminating",
    "media_replaced",
]  # fmt: skip

ARGUMENTS: dict[str, list[tuple[str | None, dict[str, Any]]]] = {
    "call.hangup": [("caller", {}), ("consult", {}), ("caller", {"after": "playout"})],
    "call.dial": [("consult", {"to": "+15550002", "timeout": 5.0}), ("other", {"to": "sip:x@192.0.2.99"})],
    "media.bridge": [("x", {"a": "caller", "b": "agent"}), ("x", {"a": "caller", "b": "consult"})],
    "media.unbridge": [("x", {"a": "caller", "b": "agent"})],
    "agent.create": [("agent", {"api_key": {"secret": "KEY"}, "agent_id": "a", "version": "2025-04-16"})],
    "agent.custom": [("agent", {"metadata": {}})],
    "timer.set": [("t", {"seconds": 3.0})],
    "call.send_digits": [("caller", {"digits": "1"})],
    "call.reject": [("caller", {"code": 486})],
    "session.terminate": [(None, {})],
}

COMMAND = st.sampled_from(sorted(COMMANDS)).flatmap(
    lambda type_: st.sampled_from(
        [(type_, *each) for each in ARGUMENTS.get(type_, [("caller", {}), ("agent", {}), ("nobody", {"x": 1})])]
    )
)
SCRIPT = st.tuples(
    st.lists(COMMAND, max_size=4), st.sampled_from(["done", "wait", "wait", "fail", "lost", "crashed", "late"])
)
STEPS = st.sampled_from(
    ["digit", "call", "hang up", "callee", "gone", "mute", "speak", "http", "1 s", "6 s", "plane", "dead", "replaced"]
)


@settings(max_examples=25, deadline=None)
@given(scripts=st.lists(SCRIPT, min_size=1, max_size=12), steps=st.lists(STEPS, max_size=12))
def test_every_session_ends_once(scripts: list[Any], steps: list[str]) -> None:
    turn = 0
    late: list[tuple[Round, str]] = []

    def handler(made: Round) -> Answer | None:
        nonlocal turn
        commands, outcome = scripts[turn % len(scripts)]
        turn += 1
        if made.type == "call.alerting" and made.round == 0:
            made.command("call.answer", "caller")
        ids = [made.command(type_, target, **args) for type_, target, args in commands]
        if outcome in ("lost", "crashed"):
            bench.engine.turn_failed(made.invoke.token, outcome, "", bench.now)
            return made.done()
        if outcome == "late":
            late.append((made, outcome))
            bench.engine.turn_failed(made.invoke.token, "timeout", "", bench.now)
            return made.done()
        if outcome == "fail":
            return made.fail()
        return made.wait(ids[-1]) if outcome == "wait" and ids else made.done()

    handlers: dict[str, Any] = dict.fromkeys(LISTENS, handler)
    bench = Bench('[limits]\nmax_duration = "60s"', **handlers)
    bench.callee.mode = "ring" if len(steps) % 2 else "answer"
    bench.caller.call()
    for step in steps:
        session = bench.sid
        match step:
            case "digit":
                bench.plane.tell(link.LegDigit(f"{session}/caller", "1"))
            case "call":
                bench.caller.call()
            case "hang up":
                bench.caller.hang_up()
            case "callee":
                bench.callee.hang_up()
            case "gone":
                bench.plane.gone(f"{session}/agent", 1006, "", "network")
                bench.pump()
            case "mute":
                bench.plane.mute |= {link.AgentOpen, link.LegMedia, link.SessionClose, link.AgentClose}
            case "speak":
                for kind in (link.LegPlayout, link.AgentOpen, link.LegMedia):
                    bench.plane.release(kind)
            case "http":
                bench.http(bench.control_path)
            case "1 s" | "6 s":
                bench.run(float(step[0]))
            case "plane":
                bench.engine.plane_lost(0, "fuzz", bench.now)
                bench.plane = bench.connect(0)
            case "dead":
                bench.caller.dead = True
            case _:
                bench.plane.tell(link.MediaNote("media.replaced", f"{session}/agent", f"{session}/caller", "x"))
        for made, _ in late:
            bench.answer(made, made.done())
        late.clear()
    bench.run(90)
    began = [type(effect).__name__ for effect in bench.effects].count("SessionBegan")
    assert len(bench.kept.ended) == len({ended.session for ended in bench.kept.ended}) == began
    assert bench.engine.live == 0
    assert bench.kept.dialogs == {}
    services = bench.engine._services
    assert (services.legs, services.traced, services.trunk_of) == ({}, {}, {})
    assert all(plane.sessions == set() for plane in services.planes.all())
    known = [type(effect).__name__ for effect in bench.effects]
    assert known.count("RetainRelease") == known.count("ReleaseDone")
