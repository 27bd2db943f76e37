"""`/metrics`: what is counted, and that nothing of a person, a leg's or an agent's name becomes a label."""

from collections.abc import Mapping

import pytest
from prometheus_client.parser import text_string_to_metric_families

from cordboard.config.model import Route
from cordboard.contract import link
from cordboard.contract.call_record import CallEnded, TimelineEntry
from cordboard.edge.control.metrics import Metrics, cause_label
from cordboard.session.effects import Invoke

ROUTES = (Route("+18005550100", None, "line-agent", None), Route("*", None, "other", None))
Samples = Mapping[tuple[str, tuple[tuple[str, str], ...]], float]


def _samples(metrics: Metrics) -> Samples:
    body, media_type = metrics.exposition()
    assert media_type.startswith("text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def _get(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((f"cordboard_{name}", tuple(sorted(labels.items()))))


def _record(session: str, cause: str, **figures: object) -> CallEnded:
    return CallEnded(session, "s", cause, "none", "", "", 1.0, "+14155550142", "+18005550100", figures=figures)


def test_live_is_asked_when_somebody_collects() -> None:
    live = [0]
    metrics = Metrics(ROUTES, lambda: live[0])
    assert _get(_samples(metrics), "calls_live") == 0
    live[0] = 3
    assert _get(_samples(metrics), "calls_live") == 3


def test_calls_and_lost_packets_are_counted_at_their_end() -> None:
    metrics = Metrics(ROUTES, lambda: 0)
    legs = {"caller": {"packets_lost": 4}, "consult": {"packets_lost": -2}, "older": {}}
    metrics.ended(_record("s_1", "caller.hangup", route="+18005550100", legs=legs))
    metrics.ended(_record("s_2", "caller.hangup", route="+18005550100"))
    metrics.ended(_record("s_3", "consult.failed", route="*", legs={"caller": {"packets_lost": 1}}))
    metrics.ended(_record("s_4", "control.lost"))
    samples = _samples(metrics)
    assert _get(samples, "calls_total", route="1", cause="caller.hangup") == 2
    assert _get(samples, "calls_total", route="2", cause="leg.failed") == 1
    assert _get(samples, "calls_total", route="none", cause="control.lost") == 1
    assert _get(samples, "rtp_lost_total") == 5


def test_rounds_are_timed_by_function_event_and_outcome() -> None:
    metrics = Metrics(ROUTES, lambda: 0)
    for number, answer in enumerate(({"status": "done"}, {"status": "failed"}, {"status": "+14155550142"}, {})):
        metrics.invoked(Invoke(f"t{number}", "r", "Greeter", {"event": {"type": "call.alerting"}}, 5.0), 10.0)
        metrics.answered(f"t{number}", answer, 10.3)
    metrics.invoked(Invoke("t9", "r", "Greeter", {"event": {"type": "timer"}}, 5.0), 10.0)
    metrics.round_over("t9", "timeout", 15.0)
    metrics.round_over("t9", "timeout", 15.0)
    samples = _samples(metrics)
    for event, outcome, count in (
        ("call.alerting", "done", 1),
        ("call.alerting", "failed", 1),
        ("call.alerting", "refused", 2),
        ("timer", "timeout", 1),
    ):
        assert _get(samples, "turn_seconds_count", function="Greeter", event=event, outcome=outcome) == count
    total = _get(samples, "turn_seconds_sum", function="Greeter", event="call.alerting", outcome="done")
    assert total == pytest.approx(0.3)


def _sip(at: float, what: str, **data: object) -> TimelineEntry:
    return TimelineEntry(at, "sip", what, data)


def test_the_first_answer_to_the_caller_is_timed() -> None:
    metrics = Metrics(ROUTES, lambda: 0)
    metrics.began("s_1")
    for at, what, leg in (
        (0.0, "← INVITE sip:x", "caller"),
        (0.1, "→ 180 Ringing (INVITE)", "caller"),
        (0.2, "→ 200 OK (INVITE)", "consult"),
        (0.4, "→ 200 OK (INVITE)", "caller"),
        (0.9, "→ 200 OK (INVITE)", "caller"),
    ):
        metrics.timeline("s_1", _sip(at, what, leg=leg))
    metrics.timeline("s_unknown", _sip(7.0, "→ 200 OK (INVITE)", leg="caller"))
    samples = _samples(metrics)
    assert (_get(samples, "invite_to_answer_seconds_count"), _get(samples, "invite_to_answer_seconds_sum")) == (1, 0.4)


def test_refused_diallings_are_counted_by_reason() -> None:
    metrics = Metrics(ROUTES, lambda: 0)
    for code in (403, 403, 503, 418):
        metrics.timeline("s_1", _sip(1.0, "not dialled: +1900 is not in [dial].allow", to="+1900", code=code))
    samples = _samples(metrics)
    found = {
        reason: _get(samples, "dial_refused_total", reason=reason) for reason in ("not_allowed", "no_capacity", "other")
    }
    assert found == {"not_allowed": 2, "no_capacity": 1, "other": 1}


def test_fallbacks_and_breakers_are_counted() -> None:
    metrics = Metrics(ROUTES, lambda: 0)
    for why in ("late", "late", "alone", "KeyError", "+14155550142"):
        metrics.timeline("s_1", TimelineEntry(1.0, "cause", "fallback", {"why": why, "leg": "caller"}))
    metrics.timeline("s_1", TimelineEntry(1.0, "round", "breaker opens", {"function": "app", "release": "r"}))
    for _ in range(3):
        failed = {"error": "breaker_open", "function": "app", "type": "call.tone"}
        metrics.timeline("s_1", TimelineEntry(1.0, "round", "call.tone failed in app: breaker_open", failed))
    samples = _samples(metrics)
    assert {why: _get(samples, "fallbacks_total", why=why) for why in ("late", "alone", "raised")} == {
        "late": 2,
        "alone": 1,
        "raised": 2,
    }
    assert _get(samples, "breaker_opened_total", function="app") == 1
    assert _get(samples, "breaker_refused_total", function="app") == 3
    assert not any("4155550142" in str(key) for key in samples)


def test_agents_and_ticks_are_read_from_the_planes_messages() -> None:
    metrics = Metrics(ROUTES, lambda: 0)

    def opening(session: str) -> str:
        confirm = f"{session}#0abc"
        unit = f"{session}/agent"
        metrics.to_plane(1, link.to_line(link.AgentOpen(unit, "wss://x", "agent_secret", "key", "v", confirm=confirm)))
        return confirm

    metrics.of_plane(1, link.to_line(link.Done(opening("s_1"))))
    metrics.of_plane(1, link.to_line(link.Done(opening("s_2"), ok=False, code="connect_failed", message="x")))
    metrics.of_plane(1, link.to_line(link.Done(opening("s_3"), ok=False, code="+1415 said no", message="x")))
    metrics.of_plane(1, link.to_line(link.Done("s_1#another")))
    opening("s_4")
    metrics.ended(_record("s_4", "caller.hangup"))
    opening("s_5")
    metrics.plane_lost(0)
    metrics.plane_lost(1)
    metrics.of_plane(1, link.to_line(link.Pong(7, late_ms=30.0)))
    metrics.of_plane(1, b'{"m":"Pong"')
    metrics.of_plane(1, b'{"m":"Pong","late_ms":"x"}')
    samples = _samples(metrics)
    results = ("open", "connect_failed", "other", "ended", "plane_lost")
    assert [_get(samples, "agent_connect_total", result=result) for result in results] == [1] * 5
    assert _get(samples, "tick_lateness_seconds_sum", plane="1") == pytest.approx(0.03)
    assert not any("key" in str(key) or "agent_secret" in str(key) for key in samples)


@pytest.mark.parametrize(
    ("cause", "label"),
    [
        ("caller.hangup", "caller.hangup"),
        ("limit.no_answer", "limit.no_answer"),
        ("call-14155550142.hangup", "leg.hangup"),
        ("fallback.hangup", "fallback.hangup"),
        ("agent.+14155550142", "agent.other"),
        ("", "leg.other"),
    ],
)
def test_a_cause_loses_every_name(cause: str, label: str) -> None:
    assert cause_label(cause) == label


def test_the_program_says_its_version() -> None:
    assert [
        value for (name, _), value in _samples(Metrics((), lambda: 0)).items() if name == "cordboard_build_info"
    ] == [1]
