"""One handler for each sentence about the turn; the timer's name says which."""

import asyncio
import logging
import random
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from cordboard.scenario import (
    AppEvents,
    ApplicationStorage,
    CallEvents,
    Command,
    CommandFailed,
    HttpReply,
    HttpResponse,
    Logger,
    Scenario,
    Session,
    VoxEngine,
    events,
)


@dataclass
class State:
    count: int = 0
    names: list[str] = field(default_factory=list)


scenario = Scenario("turns", state=State, on_error="ignore")
Turn = Session[State]
OnTimer = Callable[[Turn, events.Timer], Awaitable[None]]


def case(name: str) -> Callable[[OnTimer], OnTimer]:
    return scenario.on(AppEvents.Timer, target=name)


def tick(name: str) -> Command[None]:
    return VoxEngine.set_timeout(name, seconds=1)


@case("bare_except")
async def bare_except(session: Turn, event: events.Timer) -> None:
    tick("a")
    try:
        await tick("b")
    except:  # noqa: E722
        VoxEngine.terminate()
        session.state.count = 99


@case("base_exception")
async def base_exception(session: Turn, event: events.Timer) -> None:
    try:
        await tick("a")
    except BaseException:  # noqa: BLE001
        VoxEngine.terminate()
        return


@case("finally_block")
async def finally_block(session: Turn, event: events.Timer) -> None:
    try:
        await tick("a")
    finally:
        VoxEngine.terminate()


@case("task_group")
async def task_group(session: Turn, event: events.Timer) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(0.01))
        await tick("a")
    VoxEngine.terminate()


@case("time_limit")
async def time_limit(session: Turn, event: events.Timer) -> None:
    try:
        async with asyncio.timeout(0):
            await tick("a")
    except TimeoutError:
        VoxEngine.terminate()


@case("task_group_command")
async def task_group_command(session: Turn, event: events.Timer) -> None:
    async def child() -> None:
        VoxEngine.terminate()

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(child())
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None


@case("stray_task")
async def stray_task(session: Turn, event: events.Timer) -> None:
    async def later() -> None:
        await asyncio.sleep(0.02)
        VoxEngine.terminate()

    task = asyncio.create_task(later())
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    tick("a")


@case("thread")
async def thread(session: Turn, event: events.Timer) -> None:
    await asyncio.to_thread(VoxEngine.terminate)


@case("gather")
async def gather(session: Turn, event: events.Timer) -> None:
    await asyncio.gather(tick("a"), tick("b"))


@case("wait_for")
async def wait_for(session: Turn, event: events.Timer) -> None:
    await asyncio.wait_for(tick("a"), 1)


@case("storage_twice")
async def storage_twice(session: Turn, event: events.Timer) -> None:
    first = await ApplicationStorage.require("K")
    await tick("a")
    second = await ApplicationStorage.require("K")
    session.state.names = [first, second]


@case("storage_all")
async def storage_all(session: Turn, event: events.Timer) -> None:
    item = await ApplicationStorage.put("ns:x", "1", ttl=60)
    assert item.expire_at is not None
    keys = await ApplicationStorage.keys("ns")
    await tick("a")
    await ApplicationStorage.remove("ns:x")
    gone = await ApplicationStorage.get("ns:x")
    session.state.names = [*keys, repr(gone)]


@case("storage_error")
async def storage_error(session: Turn, event: events.Timer) -> None:
    try:
        await ApplicationStorage.get("API_KEY")
    except Exception as error:  # noqa: BLE001
        session.state.names.append(f"{type(error).__name__}: {error}")
    await tick("a")


@case("once")
async def once(session: Turn, event: events.Timer) -> None:
    async def effect(key: str) -> str:
        return f"{key}-{time.monotonic_ns()}"

    first = await session.once("crm", effect)
    await tick("a")
    second = await session.once("plain", lambda: asyncio.sleep(0, 7))
    session.state.names = [first, str(second)]


@case("once_fails")
async def once_fails(session: Turn, event: events.Timer) -> None:
    async def effect() -> None:
        raise ValueError(f"down at {time.monotonic_ns()}")

    try:
        await session.once("crm", effect)
    except CommandFailed as error:
        session.state.names.append(error.message)
    await tick("a")


@case("command_in_once")
async def command_in_once(session: Turn, event: events.Timer) -> None:
    async def effect() -> None:
        VoxEngine.terminate()

    await session.once("crm", effect)


@case("three_commands_then_raise")
async def three_commands_then_raise(session: Turn, event: events.Timer) -> None:
    tick("a")
    await tick("b")
    tick("c")
    tick("d")
    tick("e")
    session.state.count = 5
    raise ValueError(f"see {session.access_secure_url[:]}")


@case("differs")
async def differs(session: Turn, event: events.Timer) -> None:
    try:
        tick(f"t{time.monotonic_ns()}")
        await tick("b")
    except BaseException:  # noqa: BLE001
        VoxEngine.terminate()


@case("one_command")
async def one_command(session: Turn, event: events.Timer) -> None:
    await tick("a")


@case("swallows")
async def swallows(session: Turn, event: events.Timer) -> None:
    for _ in range(4):
        try:
            await tick("a")
            return
        except BaseException:  # noqa: BLE001
            VoxEngine.terminate()


@case("seeded")
async def seeded(session: Turn, event: events.Timer) -> None:
    before = f"r{random.getrandbits(64)}-{uuid.uuid4()}"
    await tick(before)
    await asyncio.sleep(0)
    tick(f"r{random.getrandbits(64)}-{uuid.uuid4()}")


@case("now")
async def now(session: Turn, event: events.Timer) -> None:
    tick(f"t{session.now.timestamp():.3f}".replace(".", "-"))
    await tick("b")


@case("logs")
async def logs(session: Turn, event: events.Timer) -> None:
    Logger.write("one", url=session.access_secure_url)
    await tick("a")
    logging.getLogger("crm").warning("two %s", session.access_secure_url[:])
    await tick("b")
    logging.getLogger("crm").info("three")
    Logger.write("four")


@case("many_logs")
async def many_logs(session: Turn, event: events.Timer) -> None:
    for number in range(60):
        Logger.write(f"line {number}")
    await tick("a")
    for number in range(60, 130):
        Logger.write(f"line {number}")


@case("prints")
async def prints(session: Turn, event: events.Timer) -> None:
    sys.stdout.write(f"hello from {event.id} {session.access_secure_url}\n")


@case("secret")
async def secret(session: Turn, event: events.Timer) -> None:
    value = await session.secret("API_KEY").reveal()
    await tick("a")
    session.state.count = len(value)


@case("unknown_call")
async def unknown_call(session: Turn, event: events.Timer) -> None:
    session.calls["nobody"].hangup()


@case("exits")
async def exits(session: Turn, event: events.Timer) -> None:
    raise SystemExit(3)


@case("too_many")
async def too_many(session: Turn, event: events.Timer) -> None:
    for number in range(51):
        tick(f"t{number}")


@case("big_state")
async def big_state(session: Turn, event: events.Timer) -> None:
    session.state.names = ["x" * 21_000]


@case("slow")
async def slow(session: Turn, event: events.Timer) -> None:
    tick("a")
    await asyncio.sleep(60)


@case("counts")
async def counts(session: Turn, event: events.Timer) -> None:
    session.state.count += 1
    await tick("a")
    session.state.names.append(session.id)


@scenario.on(AppEvents.HttpRequest)
async def http_request(session: Turn, event: events.HttpRequest) -> HttpReply:
    match event.verb:
        case "bytes":
            return b"\x00\xff"
        case "none":
            return None
        case "list":
            return [1, "é", None]
        case "text":
            return "ok"
        case "teapot":
            return HttpResponse({"a": 1}, status=418, headers={"X-A": "b"})
        case "large":
            return "x" * 70_000
        case "header":
            return HttpResponse(None, headers={"X-A": "b\r\nc: d"})
        case _:
            return event.json().get("action")


@scenario.on(CallEvents.Connected)
async def any_call(session: Turn, event: events.CallEvent) -> None:
    tick(f"any-{event.call.name}")


@scenario.on(CallEvents.Connected, target="consult")
async def that_call(session: Turn, event: events.CallEvent) -> None:
    tick("exact")


handler = scenario.lambda_handler()
