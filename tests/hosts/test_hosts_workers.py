"""Worker processes: what a dying, hanging or lying function does to a round, and that nothing outlives the host."""

import asyncio
import os
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.scenario.rounds import invocation, payload

from cordboard.hosts.errors import (
    AnswerTooLarge,
    FunctionCrashed,
    FunctionError,
    FunctionRaised,
    FunctionTimeout,
    NoSuchFunction,
    RequestTooLarge,
)
from cordboard.hosts.runtime_api import MAX_BODY, RESPONSE_TOO_LARGE, Fault, Response, RuntimeApi
from cordboard.hosts.snapshot import sweep_snapshots, take_snapshot
from cordboard.hosts.template import FunctionSpec
from cordboard.hosts.worker_process import worker_environment
from cordboard.hosts.workers import STARTS_AT_ONCE, WorkerHost

TEMPLATE = Path(__file__).parent / "template.yaml"
Lines = list[tuple[str, str, str]]


@asynccontextmanager
async def workers(template: Path = TEMPLATE, lines: Lines | None = None) -> AsyncIterator[WorkerHost]:
    host = WorkerHost(
        template,
        environment={"CORDBOARD_STORAGE": ""},
        on_log=lambda *line: None if lines is None else lines.append(line),
    )
    try:
        await host.start()
        yield host
    finally:
        pids = host.pids()
        await host.close()
        assert not any(alive(pid) for pid in pids)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def ask(host: WorkerHost, what: str, timeout: float = 5) -> dict[str, Any]:
    return await host.invoke(host.current.id, "Broken", payload(invocation(session=what)), timeout=timeout)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (another process changes it)
            await asyncio.sleep(0.005)


def run(story: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(_story(story))


async def _story(story: Callable[[], Awaitable[None]]) -> None:
    await story()
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize(
    ("what", "kind", "part"),
    [
        ("exit", FunctionCrashed, "ended with code 3"),
        ("raise", FunctionRaised, "ValueError: outside of the contract"),
        ("large", AnswerTooLarge, "the limit is 65536"),
        ("larger", AnswerTooLarge, "cut off at 6292480 bytes"),
        ("text", FunctionRaised, "no JSON object"),
    ],
)
def test_a_lost_round_is_named_and_the_next_one_runs(what: str, kind: type[FunctionError], part: str) -> None:
    async def story() -> None:
        async with workers() as host:
            with pytest.raises(kind, match=part) as caught:
                await ask(host, what)
            assert caught.value.function == "Broken"
            assert (await ask(host, "pid"))["pid"] in host.pids()

    run(story)


def test_a_late_worker_is_killed() -> None:
    async def story() -> None:
        async with workers() as host:
            before = set(host.pids())
            with pytest.raises(FunctionTimeout, match=r"no answer within 0\.2 s"):
                await ask(host, "hang", timeout=0.2)
            await until(lambda: any(not alive(pid) for pid in before))
            assert (await ask(host, "pid"))["pid"]

    run(story)


def test_a_caller_that_gives_up_leaves_no_worker_busy() -> None:
    async def story() -> None:
        lines: Lines = []
        async with workers(lines=lines) as host:
            before = set(host.pids())
            task = asyncio.create_task(ask(host, "hang"))
            await until(lambda: any(line[2] == "asked to hang" for line in lines))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await until(lambda: any(not alive(pid) for pid in before))

    run(story)


def test_a_worker_killed_from_outside_fails_its_event_at_once_and_idle_ones_eat_none() -> None:
    async def story() -> None:
        lines: Lines = []
        async with workers(lines=lines) as host:
            task = asyncio.create_task(ask(host, "hang"))
            await until(lambda: any(line[2] == "asked to hang" for line in lines))
            killed = host.pids()
            for pid in killed:
                os.kill(pid, signal.SIGKILL)
            with pytest.raises(FunctionCrashed, match="ended with code -9"):
                await task
            await until(lambda: not set(killed) & set(host.pids()))  # an event for a dying one may be lost, and says so
            assert (await ask(host, "pid"))["pid"] in host.pids()

    run(story)


def test_what_a_function_prints_is_attributed_to_its_round() -> None:
    async def story() -> None:
        lines: Lines = []
        async with workers(lines=lines) as host:
            await ask(host, "pid")
            await until(lambda: any(line[2] == "asked to pid" for line in lines))
            (function, request_id, _), *_ = [line for line in lines if line[2] == "asked to pid"]
            assert function == "Broken"
            assert request_id.startswith(f"{host.current.id}-")
            with pytest.raises(FunctionRaised):
                await ask(host, "raise")
            await until(lambda: any("[ERROR] ValueError: outside of the contract" in line[2] for line in lines))

    run(story)


def test_a_worker_sees_little_of_the_edges_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUNK_PASSWORD", "do not tell")

    async def story() -> None:
        async with workers() as host:
            seen = await ask(host, "environment")
            assert "TRUNK_PASSWORD" not in seen
            assert "AWS_EXECUTION_ENV" not in seen
            assert seen["AWS_LAMBDA_FUNCTION_NAME"] == "Broken"
            assert "CORDBOARD_STORAGE" in seen

    run(story)
    spec = FunctionSpec("F", "m.f", Path("/code"), 3.0)
    assert worker_environment(spec, "127.0.0.1:1", {"A": "1"}, {"PATH": "/bin", "X": "2"})["PATH"] == "/bin"


def test_sizes_and_names_are_checked_before_a_function_is_asked() -> None:
    async def story() -> None:
        async with workers() as host:
            with pytest.raises(RequestTooLarge, match="262144"):
                await host.invoke(host.current.id, "Turns", {"x": "y" * 262_144}, timeout=1)
            with pytest.raises(NoSuchFunction):
                await host.invoke(host.current.id, "Nobody", {}, timeout=1)
            with pytest.raises(NoSuchFunction):
                await host.invoke("gone", "Turns", {}, timeout=1)

    run(story)


@pytest.mark.parametrize("most", [1, 10])
def test_as_many_rounds_wait_at_once_as_there_may_be_workers(most: int) -> None:
    async def story() -> None:
        lines: Lines = []
        host = WorkerHost(
            TEMPLATE,
            environment={"CORDBOARD_STORAGE": ""},
            max_workers=most,
            on_log=lambda *line: lines.append(line),
        )
        try:
            await host.start()
            tasks = [asyncio.create_task(ask(host, "hang", timeout=30)) for _ in range(most)]
            await until(lambda: sum(line[2] == "asked to hang" for line in lines) == most)
            with pytest.raises(FunctionTimeout, match="no worker became free"):
                await ask(host, "pid", timeout=0.05)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            await host.close()

    run(story)


@pytest.mark.parametrize(("spare", "most"), [(0, 4), (5, 4)])
def test_workers_kept_warm_are_among_those_allowed(spare: int, most: int) -> None:
    with pytest.raises(ValueError, match=f"1 to {most}"):
        WorkerHost(TEMPLATE, spare=spare, max_workers=most)


def test_many_events_share_few_workers() -> None:
    async def story() -> None:
        async with workers() as host:
            before = len(host.pids())
            tasks = [asyncio.create_task(ask(host, "pid")) for _ in range(100)]
            await asyncio.sleep(0)
            assert len(host.pids()) <= before + STARTS_AT_ONCE
            answers = await asyncio.gather(*tasks)
            assert len({answer["pid"] for answer in answers}) <= 8

    run(story)


def test_workers_end_with_the_edge_however_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from cordboard.hosts.workers import WorkerHost\n"
        "async def main():\n"
        "    host = WorkerHost(Path(sys.argv[1]))\n"
        "    await host.start()\n"
        "    print(*host.pids(), flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )

    async def story() -> None:
        edge = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            code,
            str(TEMPLATE),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
        assert edge.stdout is not None
        pids = [int(word) for word in (await edge.stdout.readline()).split()]
        assert pids
        assert all(alive(pid) for pid in pids)
        edge.kill()
        await edge.wait()
        await until(lambda: not any(alive(pid) for pid in pids))

    run(story)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (left,) = tmp_path.glob("cordboard-release-*")
    sweep_snapshots()
    assert left.exists()  # too young to be judged
    os.utime(left, (0, 0))
    live = take_snapshot(TEMPLATE)
    os.utime(live.root, (0, 0))
    sweep_snapshots()
    assert [path for path in tmp_path.iterdir() if path.name.startswith("cordboard-")] == [live.root]
    live.remove()


# -- the Runtime API itself


class Client:
    """A Runtime API client that a test can cut off."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, text: str) -> None:
        self.writer.write(text.encode())
        await self.writer.drain()

    async def receive(self) -> tuple[int, bytes]:
        head = await self.reader.readuntil(b"\r\n\r\n")
        size = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length"))
        return int(head.split()[1]), await self.reader.readexactly(size)


@asynccontextmanager
async def api() -> AsyncIterator[tuple[RuntimeApi, list[Response], list[Fault], Callable[[], Awaitable[Client]]]]:
    responses: list[Response] = []
    faults: list[Fault] = []
    served = RuntimeApi(lambda: None, responses.append, faults.append)
    host, port = (await served.start()).split(":")
    opened: list[Client] = []

    async def connect() -> Client:
        opened.append(Client(*await asyncio.open_connection(host, int(port))))
        return opened[-1]

    try:
        yield served, responses, faults, connect
    finally:
        await served.close()
        for client in opened:
            client.writer.close()


NEXT = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n"


def post(what: str, body: str, extra: str = "") -> str:
    return f"POST /2018-06-01/runtime/{what} HTTP/1.1\r\nContent-Length: {len(body)}\r\n{extra}\r\n{body}"


def test_a_parked_request_of_a_dead_worker_eats_no_event() -> None:
    async def story() -> None:
        async with api() as (served, _, _, connect):
            first = await connect()
            await first.send(NEXT)
            await until(lambda: served.ready)
            first.writer.close()
            await until(lambda: not served.ready)
            assert not served.dispatch("r1", "F", b"{}", 5)
            second = await connect()
            await second.send(NEXT)
            await until(lambda: served.ready)
            assert served.dispatch("r1", "F", b'{"a":1}', 5)
            assert await second.receive() == (200, b'{"a":1}')

    run(story)


def test_answers_of_all_forms_are_read_and_late_ones_refused() -> None:
    async def story() -> None:
        async with api() as (served, responses, faults, connect):
            client = await connect()
            forms = (
                post("invocation/r/response", "{}"),
                post("invocation/r/response", "{}", "Expect: 100-continue\r\n"),
                "POST /2018-06-01/runtime/invocation/r/response HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
                "1\r\n{\r\n1;x=y\r\n}\r\n0\r\n\r\n",
            )
            for form in forms:
                await client.send(NEXT)
                await until(lambda: served.ready)
                served.dispatch("r", "F", b"{}", 5)
                assert (await client.receive())[0] == 200
                for part in (form[:40], form[40:]):
                    await client.send(part)
                if "Expect" in form:
                    assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
                assert (await client.receive())[0] == 202
            assert responses == [Response(b"{}")] * 3
            await client.send(post("invocation/r/response", "{}"))
            assert (await client.receive())[0] == 400
            await client.send(post("init/error", '{"errorType":"E","errorMessage":"m"}'))
            assert (await client.receive())[0] == 202
            assert faults == [Fault("", "E", "m")]
            await client.send("GET /else HTTP/1.1\r\n\r\n")
            assert (await client.receive())[0] == 404

    run(story)


@pytest.mark.parametrize(
    "text",
    ["\r\n\r\n", "GET\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
     "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
     "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "x" * 1_200_000],
)  # fmt: skip
def test_what_is_no_request_is_refused_and_the_connection_closed(text: str) -> None:
    async def story() -> None:
        async with api() as (_, _, _, connect):
            client = await connect()
            await client.send(text)
            assert (await client.receive())[0] == 400
            assert await client.reader.read() == b""

    run(story)


@pytest.mark.parametrize(
    "body", ["Content-Length: 9999999999\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n6000000\r\n"]
)
def test_an_answer_beyond_what_lambda_takes_is_cut_off_and_its_event_fails_at_once(body: str) -> None:
    async def story() -> None:
        async with api() as (served, responses, faults, connect):
            client = await connect()
            await client.send(NEXT)
            await until(lambda: served.ready)
            served.dispatch("r", "F", b"{}", 5)
            assert (await client.receive())[0] == 200
            other = await connect()
            await other.send(f"POST /2018-06-01/runtime/init/error HTTP/1.1\r\n{body}")
            assert (await other.receive())[0] == 413
            assert faults == []  # it is not the answer
            await client.send(f"POST /2018-06-01/runtime/invocation/r/response HTTP/1.1\r\n{body}")
            assert (await client.receive())[0] == 413
            assert await client.reader.read() == b""
            assert faults == [Fault("r", RESPONSE_TOO_LARGE, f"the answer was cut off at {MAX_BODY} bytes")]
            assert (responses, served.in_flight) == ([], "")

    run(story)


def test_answers_leave_without_waiting_for_acknowledgements() -> None:
    async def story() -> None:
        async with api() as (served, _, _, connect):
            client = await connect()
            await client.send(NEXT)
            await until(lambda: served.ready)
            assert served._parked is not None
            assert served._parked._transport is not None
            accepted = served._parked._transport.get_extra_info("socket")
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    run(story)
