"""What a turn costs: one and two rounds of functions/, by each host, warm and cold.

    .venv/bin/python -m bench.turns [--events N]

Prints milliseconds, p50 and p99 of the pooled events of three runs; hosts take turns in each run, so that a noisy
machine is noisy for all. Warm: one event after the other, each host with its functions ready. Cold: from nothing to
the first answer, which is a process with its imports, in this process an import. No storage of AWS, no network.
"""

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.hosts.invoke_endpoint import Endpoint
from tests.scenario.rounds import AGENT, CALLER, invocation, payload, play

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
RESULTS = {"agent.create": {"web_socket_id": "socket-1", "name": "agent"}}


@dataclass
class Samples:
    """Seconds, pooled over the runs."""

    warm: dict[str, list[float]] = field(default_factory=dict)
    """By kind of event."""
    cold: list[float] = field(default_factory=list)

    def line(self, seconds: list[float]) -> str:
        """p50 and p99 in milliseconds."""
        cuts = statistics.quantiles(seconds, n=100, method="inclusive")
        return f"{1000 * cuts[49]:8.2f} {1000 * cuts[98]:8.2f}"


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


async def warm(stage: Stage, samples: dict[str, Samples], count: int) -> None:
    """One run of every host, one after the other."""
    for kind, found in samples.items():
        async with stage.host(kind) as host:
            release = (await host.start()).id
            await events(host, release, WARM_UP, {})
            await events(host, release, count, found.warm)


async def cold_worker(stage: Stage) -> float:
    """Seconds from nothing to the first answer of an awslambdaric worker."""
    function, invoked = EVENTS["http.request, one round"]
    spec = next(each for each in read_template(TEMPLATE) if each.name == function)
    idle = asyncio.Event()
    began = time.perf_counter()
    worker = WorkerProcess(spec, stage.variables, lambda *_: None, lambda _: idle.set())
    worker.start()
    await idle.wait()
    await worker.invoke("cold-1", json.dumps(payload(invoked)).encode(), TIMEOUT)
    taken = time.perf_counter() - began
    await worker.close()
    return taken


async def cold_in_process(stage: Stage) -> float:
    """Seconds from nothing to the first answer, functions imported anew."""
    async with stage.host("in process") as host:
        began = time.perf_counter()
        release = (await host.start()).id
        function, invoked = EVENTS["http.request, one round"]
        await host.invoke(release, function, payload(invoked), timeout=TIMEOUT)
        return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--events", type=int, default=300, help="of each kind, host and run (default: 300)")
    args = parser.parse_args()
    os.environ.setdefault("AWS_ACCESS_KEY_ID", "bench")
    os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "bench")
    samples = {kind: Samples() for kind in ("in process", "worker", "Invoke endpoint")}
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Path(folder))
        for number in range(RUNS):
            sys.stderr.write(f"run {number + 1} of {RUNS}\n")
            asyncio.run(warm(stage, samples, args.events))
        samples["in process"].cold = [asyncio.run(cold_in_process(stage)) for _ in range(COLD)]
        samples["worker"].cold = [asyncio.run(cold_worker(stage)) for _ in range(COLD)]
    sys.stdout.write(f"{'ms':44}{'p50':>8} {'p99':>8}\n")
    for kind in EVENTS:
        for host, found in samples.items():
            sys.stdout.write(f"{kind + ', ' + host:44}{found.line(found.warm[kind])}\n")
    for host, found in samples.items():
        if found.cold:
            sys.stdout.write(f"{'cold start and one round, ' + host:44}{1000 * statistics.median(found.cold):8.0f}\n")


if __name__ == "__main__":
    main()
