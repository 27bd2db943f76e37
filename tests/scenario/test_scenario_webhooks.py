"""A function that takes webhooks, as Lambda and as the edge invoke it."""

import asyncio
import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, assert_type

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.contract.codec import DecodeError
from cordboard.contract.webhooks import WEBHOOKS, CallTurn, Unknown, WebhookEvent, read_webhook, webhook_key
from cordboard.scenario import CartesiaWebhooks, NoWebhookSecret, Stores, bind_storage, webhook_events
from cordboard.scenario.function_url import NotHttp
from cordboard.scenario.process_loop import close_runner
from cordboard.scenario.webhook_gate import LEASE_MARGIN, MAX_BODY, Rejected, WebhookGate, hand_over_once
from cordboard.storage.claims import MemoryClaims
from cordboard.storage.interface import StorageUnavailable
from cordboard.storage.memory import MemorySecrets

SEED = Path(__file__).parent.parent / "data" / "cartesia_webhooks"
COMPLETED: dict[str, Any] = json.loads((SEED / "call_completed.json").read_bytes())
ANALYSIS: dict[str, Any] = json.loads((SEED / "post_call_analysis.json").read_bytes())
COMMON = {
    "call_id": "ac_1",
    "agent_id": "agent_1",
    "webhook_id": "agent_webhook_1",
    "timestamp": "2026-01-01T00:00:00Z",
}


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stores(clock: Clock) -> Stores:
    secrets = MemorySecrets()
    secrets.put("CARTESIA_WEBHOOK_SECRET", "now")
    return Stores(None, secrets, MemoryClaims(clock))


@pytest.fixture
def seen() -> list[WebhookEvent]:
    return []


@pytest.fixture
def webhooks(seen: list[WebhookEvent]) -> CartesiaWebhooks:
    found = CartesiaWebhooks()

    @found.on("call_completed", timeout=0.2)
    async def completed(event: webhook_events.CallCompleted) -> None:
        if event.call.metadata.get("do") == "hang":
            await asyncio.get_running_loop().create_future()
        if event.call.metadata.get("do") == "leave":
            raise SystemExit(3)
        if event.call.metadata.get("do") == "raise" and len(seen) < 1:
            seen.append(event)
            raise ValueError("the CRM is away")
        seen.append(event)

    @found.on()
    async def others(event: WebhookEvent) -> None:
        seen.append(event)

    return found


def request(body: object, secret: str | None = "now", **more: Any) -> dict[str, Any]:
    """As a Function URL brings it (payload 2.0)."""
    headers = {"content-type": "application/json"} | ({} if secret is None else {"x-webhook-secret": secret})
    text = body if isinstance(body, str) else json.dumps(body)
    return {
        "version": "2.0",
        "requestContext": {"http": {"method": "POST", "path": "/"}},
        "headers": headers,
        "body": text,
        "isBase64Encoded": False,
        **more,
    }


def run(webhooks: CartesiaWebhooks, stores: Stores, payload: Mapping[str, Any]) -> dict[str, Any]:
    return asyncio.run(webhooks.run(payload, stores=stores))


def status(webhooks: CartesiaWebhooks, stores: Stores, payload: Mapping[str, Any]) -> int:
    return int(run(webhooks, stores, payload)["statusCode"])


def completed(**call: Any) -> dict[str, Any]:
    return {**COMPLETED, "call": {**COMPLETED["call"], **call}}


def test_the_documents_examples_arrive_as_their_classes(
    webhooks: CartesiaWebhooks, stores: Stores, seen: list[WebhookEvent]
) -> None:
    assert status(webhooks, stores, request(COMPLETED)) == 204
    assert status(webhooks, stores, request(ANALYSIS)) == 204
    call, analysis = seen
    assert isinstance(call, webhook_events.CallCompleted)
    assert (call.call.end_reason, call.call.telephony_params["connection_type"]) == ("client_hangup", "websocket")
    assert [(turn.role, turn.start_timestamp, turn.tts_ttfb) for turn in call.call.transcript] == [
        ("assistant", 0.41, 0.065),
        ("user", 3.5, None),
    ]
    assert call.raw == COMPLETED
    assert isinstance(analysis, webhook_events.PostCallAnalysis)
    assert analysis.analysis.summary.startswith("The caller requested")


def test_the_edge_hands_over_what_it_has_verified(webhooks: CartesiaWebhooks, seen: list[WebhookEvent]) -> None:
    nothing = Stores()  # neither secret nor claims: the edge has judged both
    answer = run(webhooks, nothing, {"schema": "cordboard.webhook/1", "event": COMPLETED})
    assert answer == {"schema": "cordboard.webhook_answer/1", "status": "done"}
    assert [event.call_id for event in seen] == [COMPLETED["call_id"]]
    raising = {"schema": "cordboard.webhook/1", "event": completed(metadata={"do": "leave"})}
    error = run(webhooks, nothing, raising)["error"]
    assert (error["type"], error["message"]) == ("SystemExit", "3")
    assert "raise SystemExit(3)" in error["traceback"]


def test_it_describes_itself(webhooks: CartesiaWebhooks) -> None:
    found = run(webhooks, Stores(), {"schema": "cordboard.describe/1"})
    assert found["webhooks"] == [{"type": "call_completed", "timeout": 0.2}, {"type": "*", "timeout": 30.0}]
    assert (found["scenario"], found["events"]) == ("", [])


def test_duplicates_are_answered_and_not_handed_over(
    webhooks: CartesiaWebhooks, stores: Stores, seen: list[WebhookEvent]
) -> None:
    again = {**COMPLETED, "timestamp": "2026-04-16T01:09:50Z", "attempt": 2}
    assert [status(webhooks, stores, request(each)) for each in (COMPLETED, COMPLETED, again)] == [204] * 3
    assert len(seen) == 1


@pytest.mark.parametrize("what", ["raise", "hang", "leave"])
def test_an_event_whose_handler_failed_is_handed_over_again(
    webhooks: CartesiaWebhooks, stores: Stores, seen: list[WebhookEvent], what: str
) -> None:
    assert status(webhooks, stores, request(completed(metadata={"do": what}))) == 500
    assert status(webhooks, stores, request(completed(metadata={"do": "raise" if what == "raise" else ""}))) == 204
    assert status(webhooks, stores, request(COMPLETED)) == 204
    assert len(seen) == (2 if what == "raise" else 1)


def test_a_delivery_that_meets_the_first_in_its_handlers_hands_comes_again(stores: Stores, clock: Clock) -> None:
    event = read_webhook(COMPLETED)
    assert stores.claims is not None
    claims = stores.claims

    async def story() -> list[str]:
        entered, leave = asyncio.Event(), asyncio.Event()

        async def handle() -> bool:
            entered.set()
            await leave.wait()
            return True

        first = asyncio.create_task(hand_over_once(event, claims, 1.0, handle))
        await entered.wait()
        meanwhile = await hand_over_once(event, claims, 1.0, handle)
        leave.set()
        return [meanwhile, await first, await hand_over_once(event, claims, 1.0, handle)]

    assert asyncio.run(story()) == ["busy", "handled", "duplicate"]


def test_an_event_whose_process_died_is_free_after_its_lease(stores: Stores, clock: Clock) -> None:
    event = read_webhook(COMPLETED)
    assert stores.claims is not None
    stores.claims.take(webhook_key(event), 1.0 + LEASE_MARGIN)

    async def handle() -> bool:
        return True

    assert asyncio.run(hand_over_once(event, stores.claims, 1.0, handle)) == "busy"
    clock.now += 1.0 + LEASE_MARGIN
    assert asyncio.run(hand_over_once(event, stores.claims, 1.0, handle)) == "handled"


def test_a_handing_over_that_is_cancelled_frees_its_event(stores: Stores) -> None:
    event = read_webhook(COMPLETED)
    assert stores.claims is not None
    claims = stores.claims

    async def story() -> None:
        entered = asyncio.Event()

        async def handle() -> bool:
            entered.set()
            return bool(await asyncio.get_running_loop().create_future())

        task = asyncio.create_task(hand_over_once(event, claims, 1.0, handle))
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(story())
    assert claims.take(webhook_key(event), 1.0) not in ("busy", "done")


@pytest.mark.parametrize(
    ("payload", "code", "part"),
    [
        (request(COMPLETED, secret=None), 401, "x-webhook-secret"),
        (request(COMPLETED, secret=""), 401, "x-webhook-secret"),
        (request(COMPLETED, secret="no"), 401, "x-webhook-secret"),
        (request(COMPLETED, secret="now,now"), 401, "x-webhook-secret"),
        (request(COMPLETED, secret="nöw"), 401, "x-webhook-secret"),
        (request(COMPLETED, requestContext={"http": {"method": "GET"}}), 405, "POST"),
        (request(COMPLETED, headers={"X-Webhook-Secret": "now"}), 415, "application/json"),
        (request("{"), 400, "no JSON"),
        (request("[" * 100_000), 400, "no JSON"),
        (request("[]"), 400, "expected an object"),
        (request({**COMPLETED, "type": 7}), 400, "type: "),
        (request({name: value for name, value in COMPLETED.items() if name != "call_id"}), 400, "call_id: missing"),
        (request({name: value for name, value in COMPLETED.items() if name != "call"}), 400, "call: missing"),
        (request(completed(transcript=[{"role": "user", "text": 1}])), 400, "call.transcript[0].text: "),
        (request({**COMPLETED, "call_id": "\ud800"}), 400, "call_id: holds half a surrogate pair"),
        (request(completed(transcript=[{"role": "user", "text": "\udfff"}])), 400, "transcript[0].text: holds half"),
        (request({**COMPLETED, "more": {"\ud800": 1}}), 400, "more.\ud800: holds half a surrogate pair"),
        (request({**COMPLETED, "more": "x" * MAX_BODY}), 413, str(MAX_BODY)),
    ],
)  # fmt: skip
def test_what_is_not_taken_says_why(
    webhooks: CartesiaWebhooks, stores: Stores, seen: list[WebhookEvent], payload: dict[str, Any], code: int, part: str
) -> None:
    answer = run(webhooks, stores, payload)
    assert answer["statusCode"] == code
    assert part in json.loads(answer["body"])["detail"]
    assert answer["headers"]["Content-Type"] == "application/problem+json"
    assert "now" not in answer["body"]
    assert seen == []


def test_a_body_may_be_base64(webhooks: CartesiaWebhooks, stores: Stores, seen: list[WebhookEvent]) -> None:
    encoded = base64.b64encode(json.dumps(COMPLETED).encode()).decode()
    assert status(webhooks, stores, request(encoded, isBase64Encoded=True)) == 204
    assert len(seen) == 1
    with pytest.raises(NotHttp, match="decoded"):
        status(webhooks, stores, request("%%%", isBase64Encoded=True))


@pytest.mark.parametrize(
    "payload", [{}, {"version": "1.0", "httpMethod": "POST"}, {"version": "2.0", "requestContext": 1}]
)
def test_other_invocations_are_refused(webhooks: CartesiaWebhooks, stores: Stores, payload: dict[str, Any]) -> None:
    with pytest.raises(NotHttp):
        status(webhooks, stores, payload)


def test_during_a_rotation_both_secrets_are_right(webhooks: CartesiaWebhooks, stores: Stores, seen: list[Any]) -> None:
    assert isinstance(stores.secrets, MemorySecrets)
    stores.secrets.put("CARTESIA_WEBHOOK_SECRET_NEXT", "next")
    assert [status(webhooks, stores, request(ANALYSIS, secret)) for secret in ("now", "next", "old")] == [204, 204, 401]
    assert len(seen) == 1


def test_without_a_secret_nothing_is_taken(webhooks: CartesiaWebhooks, stores: Stores, seen: list[Any]) -> None:
    with pytest.raises(NoWebhookSecret, match="set CARTESIA_WEBHOOK_SECRET"):
        status(webhooks, Stores(None, None, stores.claims), request(COMPLETED, secret=""))
    with pytest.raises(StorageUnavailable, match="CORDBOARD_CLAIMS"):
        status(webhooks, Stores(None, stores.secrets, None), request(COMPLETED))
    assert seen == []


@pytest.fixture
def on_lambda(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
    bind_storage(None)
    yield monkeypatch
    bind_storage(None)
    close_runner()


def test_on_lambda_it_does_not_start_without_secret_or_claims(
    on_lambda: pytest.MonkeyPatch, webhooks: CartesiaWebhooks
) -> None:
    with pytest.raises(NoWebhookSecret, match="no webhook secret: set CARTESIA_WEBHOOK_SECRET"):
        webhooks.lambda_handler()
    on_lambda.setenv("CARTESIA_WEBHOOK_SECRET", "now")
    with pytest.raises(StorageUnavailable, match="CORDBOARD_CLAIMS is not set"):
        webhooks.lambda_handler()
    on_lambda.setenv("CARTESIA_WEBHOOK_SECRET", " now")
    with pytest.raises(NoWebhookSecret, match="without spaces"):
        webhooks.lambda_handler()


def test_on_lambda_its_handler_takes_requests(
    on_lambda: pytest.MonkeyPatch, tmp_path: Path, webhooks: CartesiaWebhooks, seen: list[WebhookEvent]
) -> None:
    on_lambda.setenv("CARTESIA_WEBHOOK_SECRET", "now")
    on_lambda.setenv("CARTESIA_WEBHOOK_SECRET_NEXT", "next")
    on_lambda.setenv("CORDBOARD_CLAIMS", f"sqlite:{tmp_path / 'claims.sqlite'}")
    handler = webhooks.lambda_handler()
    assert [handler(request(COMPLETED, secret), None)["statusCode"] for secret in ("now", "next", "no")] == [
        204,
        204,
        401,
    ]
    assert len(seen) == 1


@pytest.mark.parametrize("secrets", [[], ["a", "b", "c"], [""], ["a\n"], ["sé"], ["a", " b"]])
def test_secrets_that_no_header_can_carry_are_refused(secrets: list[str]) -> None:
    with pytest.raises(NoWebhookSecret):
        WebhookGate(secrets)


@given(st.binary(max_size=40))
def test_no_other_bytes_open_the_gate(given: bytes) -> None:
    gate = WebhookGate(["now", "the next one"])
    if given not in (b"now", b"the next one"):
        with pytest.raises(Rejected):
            gate.check(given)


def test_mistakes_are_named_at_import() -> None:
    webhooks = CartesiaWebhooks()
    with pytest.raises(ValueError, match="'call_end' is no webhook of Cartesia; there are call_started"):
        webhooks.on("call_end")  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="write async def"):
        webhooks.on("call_turn")(lambda event: None)  # type: ignore[arg-type, return-value]
    with pytest.raises(ValueError, match="timeout=0"):
        webhooks.on(timeout=0)

    @webhooks.on("call_turn")
    async def turn(event: CallTurn) -> None:
        assert_type(event.turn.role, str)

    with pytest.raises(ValueError, match="two handlers take the webhook 'call_turn'"):
        webhooks.on("call_turn")(turn)


def turn(**fields: Any) -> dict[str, Any]:
    return {"type": "call_turn", **COMMON, "turn": {"role": "user", "text": "hi", **fields}}


def test_equal_events_have_equal_keys_and_others_have_not() -> None:
    different = [
        COMPLETED,
        ANALYSIS,
        {**COMPLETED, "type": "call_failed"},
        {**COMPLETED, "type": "call_started"},
        {**COMPLETED, "call_id": "ac_2"},
        turn(start_timestamp=1.0),
        turn(start_timestamp=2.5),
        turn(start_timestamp=1.0, role="assistant"),
        turn(),
        {"type": "number_ported", **COMMON},
        {"type": "number_ported", **COMMON, "request_id": "r1"},
        {"type": "number_ported", **COMMON, "request_id": "r2"},
    ]
    keys = [webhook_key(read_webhook(each)) for each in different]
    assert len(set(keys)) == len(different)
    later = {"timestamp": "2027-01-01T00:00:00Z"}
    assert webhook_key(read_webhook({**COMPLETED, **later})) == keys[0]
    assert webhook_key(read_webhook({**turn(start_timestamp=1.0), **later})) == keys[5]


def test_unknown_types_and_fields_are_kept_and_null_is_nothing() -> None:
    event = read_webhook({"type": "number_ported", **COMMON, "number": {"id": 1}, "call": None})
    assert isinstance(event, Unknown)
    assert event.raw["number"] == {"id": 1}
    call = read_webhook(completed(end_time=None, metadata=None, sentiment="good"))
    assert isinstance(call, webhook_events.CallCompleted)
    assert (call.call.end_time, call.call.metadata, call.raw["call"]["sentiment"]) == (None, {}, "good")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(WEBHOOKS)), st.sampled_from(["call", "turn", "analysis", "type", "call_id"]), JSON)
def test_whatever_stands_in_a_field_is_read_or_refused_by_name(type_: str, name: str, value: Any) -> None:
    try:
        event = read_webhook({"type": type_, **COMMON, name: value})
    except DecodeError:
        return
    assert len(webhook_key(event)) == 64
