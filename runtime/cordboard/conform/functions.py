"""All functions of a template, or one program, each with stores of its own that are thrown away."""

import asyncio
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from cordboard.contract.records import Description
from cordboard.contract.release import Release, RouteConflict
from cordboard.hosts.host import OnLog
from cordboard.hosts.template import FunctionSpec
from cordboard.hosts.worker_process import INIT_TIMEOUT, silent
from cordboard.storage.secrets import SecretStore
from cordboard.storage.sqlite import SqliteStorage

from .checks import Examination
from .judge import Row
from .program import Program
from .samples import Given, OwnEvent

AT_ONCE: Final = 2  # functions; each has one process that works and often one that starts
KEY_TTL: Final = 3_600  # seconds; no examination lasts as long


async def conform(
    specs: Sequence[FunctionSpec],
    *,
    given: Given | None = None,
    only: frozenset[str] = frozenset(),
    timeout: float | None = None,
    start_limit: float = INIT_TIMEOUT,
    on_log: OnLog = silent,
    on_function: Callable[[str, Sequence[Row]], None] = lambda name, rows: None,
) -> list[Row]:
    """Rows of every function. `timeout` (seconds of a round) replaces the functions' own.

    `on_function` is told the rows of each one when it is done. Raises StorageError for a key that no storage takes.
    """
    given = given or Given()
    described: dict[str, Description] = {}
    room = asyncio.Semaphore(AT_ONCE)

    async def examine(spec: FunctionSpec, environment: Mapping[str, str]) -> list[Row]:
        async with room:
            async with Program(spec, environment, on_log, timeout=timeout, start_limit=start_limit) as program:
                examination = Examination(program, only, given)
                found = await examination.run()
            if examination.description is not None:
                described[spec.name] = examination.description
            on_function(spec.name, found)
            return found

    with tempfile.TemporaryDirectory(prefix="cordboard-conform-") as folder:
        stores = [_stores(Path(folder, str(number)), given) for number in range(len(specs))]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(examine(*each)) for each in zip(specs, stores, strict=True)]
    rows = [row for task in tasks for row in task.result()]
    listens = [route for description in described.values() for route in description.events]
    rows += [_unheard(event) for event in given.events if not any(event.fits(route) for route in listens)]
    if len(specs) > 1 and (not only or "routes" in only):
        rows.append(_routes({spec.name: described[spec.name] for spec in specs if spec.name in described}))
    return rows


def _stores(folder: Path, given: Given) -> dict[str, str]:
    """Variables of a worker that name stores of its own, empty but for what is given."""
    folder.mkdir()
    paths = {name: folder / f"{name}.db" for name in ("storage", "secrets", "claims")}
    if given.keys:  # else the function's own process makes it, if it needs one
        with SqliteStorage(paths["storage"], time.time, is_secret=given.secrets.__contains__) as storage:
            for key, value in given.keys.items():
                storage.put(key, value, KEY_TTL)
    if given.secrets:
        with SecretStore(paths["secrets"]) as secrets:
            for name, value in given.secrets.items():
                secrets.put(name, value)
    return {f"CORDBOARD_{name.upper()}": f"sqlite:{path}" for name, path in paths.items()}


def _unheard(event: OwnEvent) -> Row:
    detail = f"{event.label}: no function listens to {event.type} of {event.target!r}"
    return Row("*", "answer", "failed", detail, "give an event that one of them describes")


def _routes(described: Mapping[str, Description]) -> Row:
    try:
        Release("conformance", described)
    except RouteConflict as error:
        return Row("*", "routes", "failed", str(error), "let one function listen to it, or give each a target")
    return Row("*", "routes", "ok", f"{len(described)} function{'' if len(described) == 1 else 's'}")
