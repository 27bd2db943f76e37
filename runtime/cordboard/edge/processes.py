"""Which processes an edge is made of, and their command lines. No secret stands in one."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cordboard.config.model import Config
from cordboard.edge.data_dir import DataDir
from cordboard.edge.settle import plane_count
from cordboard.edge.supervisor import Child, Supervisor
from cordboard.edge.sweeper import to_argument


def children(
    config: Config, config_path: Path | None, overrides: Mapping[str, object], *, reload: bool = False
) -> list[Child]:
    """Control, planes and finisher of a settled configuration.

    Control reads the configuration itself, from the same file, environment and flags.
    """
    count = plane_count(config)
    data = DataDir(config.edge.data_dir)
    given = {key: value for key, value in overrides.items() if value is not None}
    logging = ("--log-format", config.log.format, "--log-level", config.log.level)
    control = [*_module("control"), "--overrides", json.dumps(given, default=str)]
    if config_path is not None:
        control += ["--config", str(config_path.absolute())]
    if reload:
        control.append("--reload")
    planes = [
        Child(f"plane-{index}", (*_module("media"), *_plane_arguments(config, data, index, count), *logging))
        for index in range(count)
    ]
    keeping = ("--data-dir", str(data.root), "--retention", to_argument(config.retention))
    sink = () if config.recording.sink is None else ("--sink", str(config.recording.sink))
    region = () if config.storage.aws.region is None else ("--region", config.storage.aws.region)
    finisher = Child("finisher", (*_module("finisher"), *keeping, *sink, *region, *logging))
    return [
        *planes,
        finisher,
        Child("control", tuple(control), first_to_end=True, reports_ready=True, reports_alive=True),
    ]


def run(
    config: Config,
    processes: Sequence[Child],
    on_ready: Callable[[Mapping[str, Any]], None],
) -> int:
    """Hold the data folder and run the processes until a signal; the exit code. Raises EdgeRuns, OSError."""
    data = DataDir(config.edge.data_dir)
    data.make()
    data.hold()  # to the end of this process
    return Supervisor(processes, on_ready).run()


def _plane_arguments(config: Config, data: DataDir, index: int, count: int) -> tuple[str, ...]:
    ports = config.sip.rtp.ports
    return (
        "--plane", str(index),
        "--planes", str(count),
        "--run-dir", str(data.run),
        "--bind", config.sip.rtp.bind,
        "--ports", str(ports.first), str(ports.last),
        "--connect-timeout", str(config.agents.cartesia.connect_timeout),
    )  # fmt: skip


def _module(name: str) -> tuple[str, ...]:
    return (sys.executable, "-m", f"cordboard.edge.{name}")
