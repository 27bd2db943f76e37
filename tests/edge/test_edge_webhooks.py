"""Webhooks from end to end: the stand-in's sender or curl, the edge's route, a worker, a handler that writes a file."""

import asyncio
import contextlib
import json
import logging
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import Response

from cordboard.config.error import ConfigError
from cordboard.config.load import load
from cordboard.config.model import SecretRef
from cordboard.contract.records import MAX_REQUEST
from cordboard.edge.control import webhooks as route_room
from cordboard.edge.control.http import HttpServer, bind_tcp, public_app
from cordboard.edge.control.metrics import Metrics
from cordboard.edge.control.webhooks import cartesia_webhooks
from cordboard.edge.data_dir import DataDir
from cordboard.hosts.errors import ReleaseError
from cordboard.hosts.in_process import InProcessHost
from cordboard.hosts.workers import WorkerHost
from cordboard.line.webhooks.outbox import Outbox
from cordboard.line.webhooks.sender import Retry, Webhooks
from cordboard.scenario.webhook_gate import MAX_BODY
from cordboard.storage.secrets import SecretStore

SEED = Path(__file__).parent.parent / "data" / "cartesia_webhooks"
COMPLETED: dict[str, Any] = json.loads((SEED / "call_completed.json").read_bytes())
ANALYSIS: dict[str, Any] = json.loads((SEED / "post_call_analysis.json").read_bytes())
CALL: dict[str, Any] = COMPLETED["call"]

FUNCTION = """
import asyncio, json, os
from pathlib import Path
from cordboard.scenario import CartesiaWebhooks, webhook_events

webhooks = CartesiaWebhooks()
seen = Path(r"{seen}")


@webhooks.on("call_turn", timeout=5)
async def turn(event: webhook_events.CallTurn) -> None:
    tries = seen.with_suffix(".tries")
    with tries.open("a") as file:
        file.write(event.turn.text + "\\n")
    first = tries.read_text().split("\\n").count(event.turn.text) == 1
    if event.turn.text == "raise" and first:
        raise ValueError("the CRM is away")
    if event.turn.text == "die" and first:
        os._exit(9)
    if event.turn.text == "slow":
        await asyncio.sleep(0.5)
    await note(event)


@webhooks.on()
async def note(event: webhook_events.WebhookEvent) -> None:
    with seen.open("a") as file:
        file.write(json.dumps({{"type": event.type, "call": event.call_id, "body": "body" in event.raw}}) + "\\n")


handler = webhooks.lambda_handler()
"""
RESOURCE = "  {name}: {{Type: AWS::Serverless::Function, Properties: {{CodeUri: code, Handler: {module}.handler}}}}\n"


class Stage:
    """One edge's public listener with its functions, and what the handler wrote."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen = folder / "seen.jsonl"
        self.counted: Counter[tuple[str, str]] = Counter()
        self.url = ""
        (folder / "code").mkdir()
        (folder / "code" / "app.py").write_text(FUNCTION.format(seen=self.seen))
        self.functions("Hooks")
        self.configure('secrets = [{secret = "HOOK"}]')

    def functions(self, *names: str) -> None:
        resources = "".join(RESOURCE.format(name=name, module="app") for name in names)
        (self.folder / "template.yaml").write_text(f"Resources:\n{resources}")

    def configure(self, section: str) -> None:
        (self.folder / "cordboard.toml").write_text(f"[webhooks.cartesia]\n{section}\n" if section else "")

    @contextlib.asynccontextmanager
    async def open(
        self, host: WorkerHost | InProcessHost | None = None, **secrets: str
    ) -> AsyncIterator[httpx.AsyncClient]:
        config = load(self.folder / "cordboard.toml", {}, {})
        data = DataDir(self.folder / "var")
        data.make()
        async with contextlib.AsyncExitStack() as stack:
            store = stack.enter_context(SecretStore(data.secrets))
            for name, value in (secrets or {"HOOK": "right"}).items():
                store.put(name, value)
            host = host or WorkerHost(config.functions.template)
            stack.push_async_callback(host.close)
            await host.start()

            def count(type_: str, outcome: str) -> None:
                self.counted[type_, outcome] += 1

            route = await stack.enter_async_context(cartesia_webhooks(config, data, store, host, count))
            listener = bind_tcp("127.0.0.1", 0)
            server = HttpServer(public_app(Response(status_code=404), route), listener)
            stack.push_async_callback(server.close)
            await server.start()
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/webhooks/cartesia"
            yield await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=20))

    async def post(
        self, client: httpx.AsyncClient, event: object, secret: str = "right", **more: Any
    ) -> httpx.Response:
        headers = {"Content-Type": "application/json", "x-webhook-secret": secret}
        return await client.post(self.url, **{"json": event, "headers": headers, **more})

    def handled(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.seen.read_text().splitlines()] if self.seen.exists() else []

    async def until_handled(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.handled()) < count:  # noqa: ASYNC110 (another process writes the file)
                await asyncio.sleep(0.02)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


@contextlib.asynccontextmanager
async def line(url: str, timeout: float = 5.0) -> AsyncIterator[Webhooks]:
    """The stand-in's sender."""
    retry = Retry(first=0.05, most=0.2, age=60)
    webhooks = Webhooks(url, "right", Outbox(None), retry=retry, timeout=timeout)
    await webhooks.start()
    try:
        yield webhooks
    finally:
        await webhooks.close()


def turn(text: str, start: float = 1.0) -> dict[str, Any]:
    return {"role": "user", "text": text, "start_timestamp": start, "end_timestamp": start + 1}


def test_a_call_with_very_large_tool_results_ends_for_its_handler_too(stage: Stage) -> None:
    large = {"id": "t", "name": "find", "arguments": {}, "result": "x" * 900_000}
    transcript = [{**turn("a table"), "tool_calls": [large]}]

    async def story() -> None:
        async with stage.open(), line(stage.url) as webhooks:
            webhooks.ended({**CALL, "transcript": transcript})
            webhooks.analysis(CALL)
            await stage.until_handled(2)

    asyncio.run(story())
    assert [event["type"] for event in stage.handled()] == ["call_completed", "post_call_analysis"]


def test_all_five_types_arrive_once_in_order(stage: Stage) -> None:
    async def story() -> None:
        async with stage.open(), line(stage.url) as webhooks:
            webhooks.call_started(CALL)
            webhooks.turn(CALL["id"], "agent_1", turn("hello"))
            webhooks.ended(CALL)
            webhooks.analysis(CALL)
            webhooks.ended({**CALL, "id": "ac_2", "status": "failed", "error_message": "the agent's program died"})
            await stage.until_handled(5)

    asyncio.run(story())
    found = stage.handled()
    mine = [each["type"] for each in found if each["call"] == CALL["id"]]
    assert mine == ["call_started", "call_turn", "call_completed", "post_call_analysis"]
    assert [each["type"] for each in found if each["call"] == "ac_2"] == ["call_failed"]


@pytest.mark.parametrize("what", ["raise", "die"])
def test_a_handler_that_fails_gets_its_event_again_and_only_then(
    stage: Stage, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with stage.open(), line(stage.url) as webhooks:
            webhooks.turn("ac_1", "agent_1", turn(what))
            webhooks.turn("ac_1", "agent_1", turn("after it", 2.0))
            await stage.until_handled(2)

    asyncio.run(story())
    assert len(stage.handled()) == 2
    assert stage.seen.with_suffix(".tries").read_text().split() == [what, what, "after", "it"]
    assert stage.counted["call_turn", "failed"] == 1
    assert stage.counted["call_turn", "handled"] == 2
    assert ("the CRM is away" if what == "raise" else "the worker ended with code 9") in caplog.text


def test_a_sender_that_is_too_impatient_does_not_have_its_event_handled_twice(stage: Stage) -> None:
    async def story() -> None:
        async with stage.open(), line(stage.url, timeout=0.2) as webhooks:
            webhooks.turn("ac_1", "agent_1", turn("slow"))
            webhooks.turn("ac_1", "agent_1", turn("after it", 2.0))
            await stage.until_handled(2)

    asyncio.run(story())
    assert stage.seen.with_suffix(".tries").read_text().split() == ["slow", "after", "it"]
    assert len(stage.handled()) == 2
    assert stage.counted["call_turn", "busy"] >= 1


def test_the_documents_curl_and_examples_are_taken_once_each(stage: Stage) -> None:
    script = (SEED / "curl.sh").read_text()

    async def story() -> list[str]:
        async with stage.open(HOOK="YOUR_WEBHOOK_SECRET") as client:
            command = script.replace("https://your-server.example/webhooks/cartesia", stage.url)
            assert command != script
            done = []
            for _ in range(2):
                curl = await asyncio.create_subprocess_shell(
                    command.replace("curl -sS", "curl -sS -w '%{http_code}'"), stdout=asyncio.subprocess.PIPE
                )
                done.append((await curl.communicate())[0].decode())
            for name in ("call_completed.json", "post_call_analysis.json") * 2:
                content = (SEED / name).read_bytes()
                headers = {"Content-Type": "application/json", "x-webhook-secret": "YOUR_WEBHOOK_SECRET"}
                answer = await client.post(stage.url, content=content, headers=headers)
                done.append(str(answer.status_code) + answer.text)
            return done

    assert asyncio.run(story()) == ["204"] * 6
    assert [(each["type"], each["call"]) for each in stage.handled()] == [
        ("call_completed", "ac_test_123"),
        ("call_completed", COMPLETED["call_id"]),
        ("post_call_analysis", ANALYSIS["call_id"]),
    ]


def test_a_hundred_deliveries_at_once_are_one_event(stage: Stage) -> None:
    async def story() -> Counter[int]:
        async with stage.open() as client:
            answers = await asyncio.gather(*(stage.post(client, COMPLETED) for _ in range(100)))
            assert {answer.headers.get("retry-after") for answer in answers if answer.status_code == 503} <= {"2"}
            return Counter(answer.status_code for answer in answers)

    found = asyncio.run(story())
    assert set(found) <= {204, 503}
    assert len(stage.handled()) == 1


def test_what_is_handled_is_known_to_the_next_life(stage: Stage) -> None:
    async def story() -> None:
        for _ in range(2):
            async with stage.open() as client:
                assert (await stage.post(client, COMPLETED)).status_code == 204

    asyncio.run(story())
    assert len(stage.handled()) == 1
    assert stage.counted == {("call_completed", "handled"): 1, ("call_completed", "duplicate"): 1}


def test_what_is_not_taken_says_why_and_never_the_secret(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    json_ = {"Content-Type": "application/json"}
    text = {"x-webhook-secret": "right-secret", "Content-Type": "text/plain"}
    right = {**json_, "x-webhook-secret": "right-secret"}
    details: list[str] = []
    cases: list[tuple[dict[str, Any], int, str]] = [
        ({"headers": json_, "json": COMPLETED}, 401, "unauthorized"),
        ({"headers": {**json_, "x-webhook-secret": "right-secreT"}, "json": COMPLETED}, 401, "unauthorized"),
        ({"headers": [*right.items(), ("x-webhook-secret", "other")], "json": COMPLETED}, 401, "unauthorized"),
        ({"headers": text, "content": b"{}"}, 415, "unsupported_media_type"),
        ({"headers": right, "content": b"x" * (MAX_BODY + 1)}, 413, "too_large"),
        ({"headers": right, "content": b"{"}, 400, "invalid"),
        ({"headers": right, "json": {**COMPLETED, "call_id": None}}, 400, "invalid"),
        ({"headers": right, "content": json.dumps({**COMPLETED, "type": "\ud800"})}, 400, "invalid"),
        ({"headers": right, "content": json.dumps({**COMPLETED, "more": ["\ud83d"]})}, 400, "invalid"),
    ]  # fmt: skip

    async def story() -> None:
        async with stage.open(HOOK="right-secret") as client:
            for more, status, code in cases:
                answer = await client.post(stage.url, **more)
                assert (answer.status_code, answer.json()["code"]) == (status, code)
                assert answer.headers["content-type"] == "application/problem+json"
                if status == 400:
                    details.append(answer.json()["detail"])
            assert (await client.get(stage.url, headers=right)).status_code == 405

    asyncio.run(story())
    assert details[0].startswith("the body is no JSON")
    assert details[1:] == [
        "call_id: missing",
        "type: holds half a surrogate pair",
        "more[0]: holds half a surrogate pair",
    ]
    assert stage.handled() == []
    assert stage.counted["unread", "unauthorized"] == 3
    assert "right-secret" not in caplog.text


def test_during_a_rotation_both_secrets_are_right(stage: Stage) -> None:
    stage.configure('secrets = [{secret = "HOOK"}, {secret = "NEXT"}]')

    async def story() -> list[int]:
        async with stage.open(HOOK="old", NEXT="new") as client:
            return [(await stage.post(client, ANALYSIS, secret)).status_code for secret in ("old", "new", "older")]

    assert asyncio.run(story()) == [204, 204, 401]
    assert len(stage.handled()) == 1


def test_without_its_section_there_is_no_route(stage: Stage) -> None:
    stage.configure("")

    async def story() -> int:
        async with stage.open() as client:
            return (await stage.post(client, COMPLETED)).status_code

    assert asyncio.run(story()) == 404


def test_a_long_call_travels_without_the_deprecated_body(stage: Stage) -> None:
    turns = [{"role": "user", "text": "x" * 1000}] * (MAX_REQUEST // 1000 - 20)
    long = {**COMPLETED, "body": turns, "call": {**CALL, "transcript": turns}}
    longer = {**COMPLETED, "call_id": "ac_2", "call": {**CALL, "transcript": turns * 2}}

    async def story() -> None:
        async with stage.open() as client:
            assert (await stage.post(client, long)).status_code == 204
            assert (await stage.post(client, longer)).status_code == 413

    asyncio.run(story())
    assert [each["body"] for each in stage.handled()] == [False]


def test_more_events_than_hands_are_told_to_come_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route_room, "MAX_AT_ONCE", 1)

    async def story() -> None:
        async with stage.open() as client:
            event = {**COMPLETED, "type": "call_turn", "turn": turn("slow")}
            first = asyncio.create_task(stage.post(client, event))
            tries = stage.seen.with_suffix(".tries")
            async with asyncio.timeout(20):
                while not tries.exists():  # noqa: ASYNC110 (another process makes it)
                    await asyncio.sleep(0.01)
            assert (await stage.post(client, ANALYSIS)).status_code == 503
            assert (await first).status_code == 204
            assert (await stage.post(client, ANALYSIS)).status_code == 204

    asyncio.run(story())


def test_the_handler_is_the_same_in_process(stage: Stage) -> None:
    async def story() -> int:
        async with stage.open(InProcessHost(stage.folder / "template.yaml")) as client:
            return (await stage.post(client, COMPLETED)).status_code

    assert asyncio.run(story()) == 204
    assert len(stage.handled()) == 1


def test_two_functions_for_one_type_are_both_named(stage: Stage) -> None:
    stage.functions("Hooks", "MoreHooks")

    async def story() -> None:
        async with stage.open():
            pass

    with pytest.raises(ReleaseError, match="functions 'Hooks' and 'MoreHooks' both take the webhook 'call_turn'"):
        asyncio.run(story())


@pytest.mark.parametrize("value", ["sé", " right", "two\nlines"])
def test_a_secret_that_no_header_can_carry_is_refused(stage: Stage, value: str) -> None:
    async def story() -> None:
        async with stage.open(HOOK=value):
            pass

    with pytest.raises(ConfigError, match=r"webhooks\.cartesia\.secrets: a webhook secret is printable ASCII"):
        asyncio.run(story())


def test_control_does_not_start_without_the_secrets_value(stage: Stage) -> None:
    with (stage.folder / "cordboard.toml").open("a") as file:
        file.write('[http.public]\nlisten = "127.0.0.1:18443"\n[sip]\naccept = "any"\n')
    control = subprocess.run(
        [sys.executable, "-m", "cordboard.edge.control", "--config", str(stage.folder / "cordboard.toml")],
        stdin=subprocess.PIPE, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert control.returncode == 2, control.stderr
    assert "webhooks.cartesia.secrets[0]: secret 'HOOK' is not there" in control.stderr
    assert "cordboard keys put HOOK --secret" in control.stderr


def test_configuration(tmp_path: Path) -> None:
    file = tmp_path / "cordboard.toml"

    def read(text: str) -> tuple[SecretRef, ...]:
        file.write_text(text)
        return load(file, {}, {}).webhooks.cartesia.secrets

    assert read("") == ()
    assert read('[webhooks.cartesia]\nsecrets = [{secret = "A"}, {env = "B"}]') == (
        SecretRef("secret", "A"),
        SecretRef("env", "B"),
    )
    for section, part in (
        ("[webhooks.cartesia]", "webhooks.cartesia.secrets: is missing"),
        ("[webhooks.cartesia]\nsecrets = []", "webhooks.cartesia.secrets: one secret, or two"),
        ('[webhooks.cartesia]\nsecrets = ["plain"]', "secrets are given by reference only"),
        ('[webhooks.cartesia]\nsecrets = [{secret = "A"}, {secret = "A"}]', "twice"),
        ('[webhooks.cartesia]\nsecret = {secret = "A"}', "webhooks.cartesia"),
    ):
        with pytest.raises(ConfigError) as error:
            read(section)
        assert part in str(error.value)


def test_metrics_have_labels_of_a_bounded_set() -> None:
    metrics = Metrics([], lambda: 0)
    for type_ in ("call_completed", "x" * 1000, "unread"):
        metrics.webhook(type_, "handled")
    text = metrics.exposition()[0].decode()
    assert 'cordboard_webhooks_total{outcome="handled",type="call_completed"} 1.0' in text
    assert 'cordboard_webhooks_total{outcome="handled",type="other"} 1.0' in text
    assert "xxx" not in text
