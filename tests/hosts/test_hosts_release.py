"""Templates, releases and their lifetimes, namespaces of functions in process."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.scenario.rounds import invocation, payload

from cordboard.contract.records import Description, EventRoute
from cordboard.contract.release import Release, RouteConflict
from cordboard.hosts.errors import FunctionError, FunctionRaised, NoSuchFunction, ReleaseError, TemplateError
from cordboard.hosts.host import SnapshotHost
from cordboard.hosts.in_process import InProcessHost
from cordboard.hosts.template import read_template
from cordboard.hosts.workers import WorkerHost
from cordboard.scenario import Stores

ROOT = Path(__file__).parents[2]
SHARED = 'from cordboard.scenario import Scenario\nscenario = Scenario("s")\n'
FUNCTION = """from cordboard.scenario import AppEvents, VoxEngine
from shared import scenario
import words
from words import text

@scenario.on(AppEvents.Timer, target="{target}")
async def on_timer(session, event):
    from shared import scenario as again
    assert again is scenario
    VoxEngine.set_timeout(words.text.NAME, seconds=1)

handler = scenario.lambda_handler()
"""


def write(folder: Path, name: str = "one", *, targets: tuple[str, str] = ("a", "b")) -> Path:
    code = folder / "functions"
    (code / "words").mkdir(parents=True, exist_ok=True)
    (code / "words" / "__init__.py").write_text("")
    (code / "words" / "text.py").write_text(f'NAME = "{name}"\n')
    (code / "shared.py").write_text(SHARED)
    for module, target in zip("fg", targets, strict=True):
        (code / f"{module}.py").write_text(FUNCTION.format(target=target))
    template = folder / "template.yaml"
    template.write_text(
        "Globals: {Function: {CodeUri: functions/}}\nResources:\n"
        "  F: {Type: 'AWS::Serverless::Function', Properties: {Handler: f.handler}}\n"
        "  G: {Type: 'AWS::Serverless::Function', Properties: {Handler: g.handler}}\n"
    )
    return template


def host_of(kind: str, template: Path) -> SnapshotHost:
    return InProcessHost(template, stores=Stores()) if kind == "in_process" else WorkerHost(template)


both = pytest.mark.parametrize("kind", ["in_process", "workers"])


@pytest.fixture(autouse=True)
def no_modules_left() -> Iterator[None]:
    before = (set(sys.modules), list(sys.meta_path))
    yield
    assert not [name for name in set(sys.modules) - before[0] if name.startswith("_cordboard_")]
    assert list(sys.meta_path) == before[1]


async def commands(host: SnapshotHost, release: str, function: str = "F", target: str = "a") -> list[str]:
    asked = payload(invocation("timer", target, {"timer": target}))
    answer = await host.invoke(release, function, asked, timeout=5)
    return [command["target"] for command in answer["commands"]]


def test_the_repositorys_template_names_its_functions() -> None:
    specs = read_template(ROOT / "template.yaml")
    assert [(spec.name, spec.handler, spec.timeout) for spec in specs] == [
        ("CallAlerting", "call_alerting.app.handler", 10.0),
        ("HttpRequest", "http_request.app.handler", 10.0),
        ("WebsocketClose", "websocket_close.app.handler", 10.0),
        ("Webhook", "webhook.app.handler", 40.0),
    ]
    assert {spec.code for spec in specs} == {ROOT / "functions"}


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a: [", "is no YAML"),
        ("[1]", "the template: is no mapping"),
        ("Resources: {}", "Resources has no AWS::Serverless::Function"),
        ("Resources: {F: {Type: 'AWS::Serverless::Function'}}", r"Resources\.F\.Properties\.Handler: is missing"),
        ("HANDLER", r"Properties\.CodeUri: is missing"),
        ("HANDLER, CodeUri: !Ref X", "CodeUri: !Ref cannot be resolved"),
        ("HANDLER, CodeUri: nowhere", "is no folder"),
        ("HANDLER, CodeUri: .", r"Handler: .*no_such\.py is not there"),
        ("HANDLER, CodeUri: ., Handler: 7", "Handler: is no text"),
        ("HANDLER, CodeUri: ., Handler: a/b.c", "is not module.function"),
        ("HANDLER, CodeUri: ., Handler: there.handler, Timeout: 0", "Timeout: 0 is not above 0"),
        ("HANDLER, CodeUri: ., Handler: there.handler, Timeout: true", "Timeout: True"),
    ],
)
def test_a_template_that_cannot_be_used_names_file_and_key(tmp_path: Path, text: str, part: str) -> None:
    (tmp_path / "there.py").write_text("")
    inner = text.removeprefix("HANDLER").removeprefix(", ")
    if text.startswith("HANDLER"):
        given = inner if "Handler:" in inner else ", ".join(filter(None, ["Handler: no_such.handler", inner]))
        text = f"Resources: {{F: {{Type: 'AWS::Serverless::Function', Properties: {{{given}}}}}}}"
    template = tmp_path / "template.yaml"
    template.write_text(text)
    with pytest.raises(TemplateError, match=part) as caught:
        read_template(template)
    assert str(template) in str(caught.value)


def test_a_template_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="No such file"):
        read_template(tmp_path / "template.yaml")


def test_routes_policies_and_doubles_of_a_release() -> None:
    one = Description(
        "s", (EventRoute("timer"), EventRoute("timer", "x", on_error="fallback")), ("agent.ack",), "ignore"
    )
    other = Description("s", (EventRoute("timer", "y"),), ("agent.clear",))
    release = Release("r", {"One": one, "Other": other, "Else": Description("t", (EventRoute("timer"),))})
    assert [release.route("s", "timer", t) for t in (None, "x", "y", "z")] == [
        ("One", one.events[0]), ("One", one.events[1]), ("Other", other.events[0]), ("One", one.events[0]),
    ]  # fmt: skip
    assert release.route("u", "timer", None) is None
    assert release.log_only("s") == {"agent.ack", "agent.clear"}
    policies = [release.policy("s", "timer", t) for t in ("x", None, "y")] + [release.policy("t", "call.tone", None)]
    assert policies == ["fallback", "ignore", None, None]
    assert release.scenarios() == {"s", "t"}
    with pytest.raises(RouteConflict, match="'One' and 'Twin' both listen to timer of None in scenario 's'"):
        Release("r", {"One": one, "Twin": Description("s", (EventRoute("timer"),))})


@both
def test_each_function_answers_for_its_own_handlers_alone(tmp_path: Path, kind: str) -> None:
    async def story() -> None:
        host = host_of(kind, write(tmp_path))
        release = await host.start()
        try:
            assert [[e.target for e in d.events] for d in release.functions.values()] == [["a"], ["b"]]
            assert await commands(host, release.id) == ["one"]
        finally:
            await host.close()

    asyncio.run(story())


@both
def test_two_functions_for_one_event_are_refused_and_both_named(tmp_path: Path, kind: str) -> None:
    async def story() -> None:
        host = host_of(kind, write(tmp_path, targets=("a", "a")))
        with pytest.raises(ReleaseError, match="'F' and 'G' both listen to timer of 'a'"):
            await host.start()
        with pytest.raises(RuntimeError, match="not started"):
            _ = host.current
        await host.close()

    asyncio.run(story())


@both
@pytest.mark.parametrize(
    ("code", "part"),
    [
        ("import nothing_of_this_name\n", "nothing_of_this_name"),
        ("handler = 1 / 0\n", "division by zero"),
        ("def handler(event, context):\n    return 7\n", "scenario.lambda_handler()"),
        ("", "handler"),
    ],
)
def test_code_that_cannot_be_loaded_names_its_function(tmp_path: Path, kind: str, code: str, part: str) -> None:
    async def story() -> None:
        template = write(tmp_path)
        (tmp_path / "functions" / "g.py").write_text(code)
        host = host_of(kind, template)
        with pytest.raises(FunctionError, match=r"^G: ") as caught:
            await host.start()
        assert part in str(caught.value)
        await host.close()

    asyncio.run(story())


@both
def test_a_session_keeps_its_release_while_new_code_is_loaded(tmp_path: Path, kind: str) -> None:
    async def story() -> None:
        template = write(tmp_path, "one")
        host = host_of(kind, template)
        first = (await host.start()).id
        host.retain(first)
        try:
            assert (await host.reload()).id == first
            write(tmp_path, "two")
            assert await commands(host, first) == ["one"]
            second = (await host.reload()).id
            assert second != first
            assert host.current.id == second
            assert (await commands(host, first), await commands(host, second)) == (["one"], ["two"])
            (tmp_path / "functions" / "f.py").write_text("broken(")
            with pytest.raises(FunctionRaised, match=r"SyntaxError|invalid syntax|never closed"):
                await host.reload()
            assert host.current.id == second
            host.done(first)
            with pytest.raises(NoSuchFunction):
                await commands(host, first)
            with pytest.raises(NoSuchFunction):
                host.retain(first)
            assert await commands(host, second) == ["two"]
            with pytest.raises(RuntimeError, match="without retain"):
                host.done(second)
        finally:
            await host.close()

    asyncio.run(story())


@both
def test_code_that_comes_back_while_it_is_held_is_the_same_release(tmp_path: Path, kind: str) -> None:
    async def story() -> None:
        host = host_of(kind, write(tmp_path, "one"))
        first = (await host.start()).id
        host.retain(first)
        write(tmp_path, "two")
        await host.reload()
        write(tmp_path, "one")
        assert (await host.reload()).id == first
        host.done(first)
        assert await commands(host, first) == ["one"]
        await host.close()

    asyncio.run(story())


def test_in_process_a_round_has_its_limit_too(tmp_path: Path) -> None:
    async def story() -> Any:
        host = InProcessHost(Path(__file__).parent / "template.yaml", stores=Stores())
        release = await host.start()
        try:
            asked = payload(invocation("timer", "slow", {"timer": "slow"}))
            with pytest.raises(FunctionError, match=r"no answer within 0\.05 s"):
                await host.invoke(release.id, "Turns", asked, timeout=0.05)
            with pytest.raises(FunctionRaised, match=r"event.id: missing"):
                await host.invoke(release.id, "Turns", {"session": asked["session"], "event": {}}, timeout=1)
        finally:
            await host.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(story())
