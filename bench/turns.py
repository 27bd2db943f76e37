"""What a turn costs: one and two rounds of functions/, by each host, warm and cold.

    .venv/bin/python -m bench.turns [--events N]

Prints milliseconds, p50 and p99 of the pooled events of three runs, beside what the reference measured for the same
handlers (serverless §1.2, §3.4: uvicorn with httptools and uvloop, one run, another machine); hosts take turns in each
run, so that a noisy machine is noisy for all. Warm: one event after the other, each host with its functions ready.
Cold: from nothing to the end of the event, which is a process with its imports, in this process an import; behind the
Invoke endpoint three functions and their descriptions, too. No storage of AWS, no network.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tests.hosts.invoke_endpoint import Endpoint
from tests.scenario.rounds import AGENT, CALLER, invocation, play

from cordboard.contract.records import Invocation
from cordboard.hosts.aws_lambda import LambdaHost
from cordboard.hosts.host import FunctionHost
from cordboard.hosts.in_process import InProcessHost
from cordboard.hosts.template import read_template
from cordboard.hosts.worker_process import WorkerProcess
from cordboard.hosts.workers import WorkerHost
from cordboard.scenario import Stores
from cordboard.storage.secrets import SecretStore
from cordboard.storage.sqlite import SqliteStorage

TEMPLATE = Path(__file__).parent.parent / "template.yaml"
RUNS = 3
COLD = 5  # starts of each kind
HOSTS = ("in process", "worker", "Invoke endpoint")
WARM_UP = 20  # events
TIMEOUT = 5.0  # seconds

EVENTS: dict[str, tuple[str, Invocation]] = {
    "call.alerting, two rounds": ("CallAlerting", invocation()),
    "http.request, one round": (
        "HttpRequest",
        invocation(
            "http.request",
            None,
            {"method": "POST", "path": "/", "headers": {}, "content": '{"action": "end_call"}'},
            objects=(CALLER, AGENT),
        ),
    ),
    "websocket.close, one round": (
        "WebsocketClose",
        invocation(
            "websocket.close",
            "agent",
            {"code": 1000, "reason": "call ended by agent", "expected": False, "by": "agent"},
            objects=(CALLER, AGENT),
        ),
    ),
}
COLD_KINDS = ("http.request, one round", "call.alerting, two rounds")

REFERENCE = {
    ("call.alerting, two rounds", "worker"): (1.42, 2.26),
    ("http.request, one round", "worker"): (0.72, 1.27),
    ("websocket.close, one round", "worker"): (0.57, 1.00),
    ("http.request, one round", "in process"): (0.18, 0.41),
    ("http.request, one round", "Invoke endpoint"): (1.4, 2.0),
}
"""(kind of event, host) → p50 and p99 in milliseconds of reference serverless; its in-process and Invoke figures are of
one round of a bare handler."""
REFERENCE_COLD = 46.0
"""Milliseconds from spawn to a bare handler's first request for an event (serverless §1.2)."""

RESULTS = {"agent.create": {"web_socket_id": "socket-1", "name": "agent"}}


class Stage:
    """Stores with what the functions read, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.variables = {
            "CORDBOARD_STORAGE": f"sqlite:{folder / 'storage.db'}",
            "CORDBOARD_SECRETS": f"sqlite:{folder / 'secrets.db'}",
        }
        secrets = SecretStore(folder / "secrets.db")
        storage = SqliteStorage(folder / "storage.db", time.time, is_secret=secrets.is_secret)
        for key in ("CARTESIA_AGENT_ID", "PSTN_CALLER_ID"):
            storage.put(key, "+15550001111", None)
        self.stores = Stores(storage, secrets)

    @contextlib.asynccontextmanager
    async def host(self, kind: str) -> AsyncIterator[FunctionHost]:
        """One that is not started yet."""
        async with contextlib.AsyncExitStack() as stack:
            host: FunctionHost
            if kind == "in process":
                host = InProcessHost(TEMPLATE, stores=self.stores)
            elif kind == "worker":
                host = WorkerHost(TEMPLATE, environment=self.variables)
            else:
                endpoint = Endpoint(WorkerHost(TEMPLATE, environment=self.variables))
                url = await endpoint.start()
                stack.push_async_callback(endpoint.close)
                names = tuple(function for function, _ in EVENTS.values())
                host = LambdaHost(lambda: names, region="eu-west-1", endpoint_url=url)
            stack.push_async_callback(host.close)
            yield host


async def events(host: FunctionHost, release: str, count: int, into: dict[str, list[float]]) -> None:
    """Drive `count` events of each kind through all their rounds."""
    for kind, (function, invoked) in EVENTS.items():
        taken = into.setdefault(kind, [])

        async def run(request: dict[str, Any], function: str = function) -> dict[str, Any]:
            return await host.invoke(release, function, request, timeout=TIMEOUT)

        for _ in range(count):
            began = time.perf_counter()
            played = await play(run, invoked, RESULTS)
            taken.append(time.perf_counter() - began)
            assert played.last.status == "done", played.last.error
            assert len(played.answers) == (2 if "two" in kind else 1)


async def warm(stage: Stage, times: dict[str, dict[str, list[float]]], count: int) -> None:
    """One run of every host, one after the other."""
    for kind, found in times.items():
        async with stage.host(kind) as host:
            release = (await host.start()).id
            await events(host, release, WARM_UP, {})
            await events(host, release, count, found)


async def cold_worker(stage: Stage, kind: str) -> float:
    """Seconds from nothing to an event's end in an awslambdaric worker."""
    function, invoked = EVENTS[kind]
    spec = next(each for each in read_template(TEMPLATE) if each.name == function)
    idle = asyncio.Event()
    numbers = itertools.count()
    began = time.perf_counter()
    worker = WorkerProcess(spec, stage.variables, lambda *_: None, lambda _: idle.set())
    worker.start()

    async def run(request: dict[str, Any]) -> dict[str, Any]:
        await idle.wait()
        idle.clear()
        body = json.dumps(request).encode()
        answer: dict[str, Any] = json.loads(await worker.invoke(f"cold-{next(numbers)}", body, TIMEOUT))
        return answer

    await play(run, invoked, RESULTS)
    taken = time.perf_counter() - began
    await worker.close()
    return taken


async def cold_host(stage: Stage, host_kind: str, kind: str) -> float:
    """Seconds from nothing to an event's end: functions imported anew, or three of them behind an Invoke endpoint."""
    began = time.perf_counter()
    async with stage.host(host_kind) as host:
        release = (await host.start()).id
        function, invoked = EVENTS[kind]

        async def run(request: dict[str, Any]) -> dict[str, Any]:
            return await host.invoke(release, function, request, timeout=TIMEOUT)

        await play(run, invoked, RESULTS)
        return time.perf_counter() - began


def cold(stage: Stage, host_kind: str, kind: str) -> list[float]:
    """Seconds of some cold starts."""
    if host_kind == "worker":
        return [asyncio.run(cold_worker(stage, kind)) for _ in range(COLD)]
    return [asyncio.run(cold_host(stage, host_kind, kind)) for _ in range(COLD)]


def line(name: str, seconds: list[float], reference: str) -> str:
    """A row: p50 and p99 in milliseconds, and the reference's."""
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return f"{name:46}{1000 * cuts[49]:9.2f} {1000 * cuts[98]:9.2f}   {reference}\n"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--events", type=int, default=300, help="of each kind, host and run (default: 300)")
    args = parser.parse_args()
    os.environ.setdefault("AWS_ACCESS_KEY_ID", "bench")
    os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "bench")
    warm_times: dict[str, dict[str, list[float]]] = {kind: {} for kind in HOSTS}
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Path(folder))
        for number in range(RUNS):
            sys.stderr.write(f"run {number + 1} of {RUNS}\n")
            asyncio.run(warm(stage, warm_times, args.events))
        cold_times = {(kind, host): cold(stage, host, kind) for kind in COLD_KINDS for host in HOSTS}
    sys.stdout.write(f"{'ms':46}{'p50':>9} {'p99':>9}   reference p50 / p99\n")
    for kind in EVENTS:
        for host in HOSTS:
            told = REFERENCE.get((kind, host))
            reference = "" if told is None else f"{told[0]:.2f} / {told[1]:.2f}"
            sys.stdout.write(line(f"{kind}, {host}", warm_times[host][kind], reference))
    for (kind, host), seconds in cold_times.items():
        reference = f"{REFERENCE_COLD:.0f}, bare handler, spawn alone" if host == "worker" else ""
        sys.stdout.write(line(f"cold: {kind}, {host}", seconds, reference))


if __name__ == "__main__":
    main()
