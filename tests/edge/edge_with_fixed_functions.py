"""The whole edge, its control replaced by `control_with_fixed_functions`."""

import dataclasses
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cordboard.config.load import load
from cordboard.edge import log, supervisor
from cordboard.edge.processes import children, run
from cordboard.edge.settle import settle


def _say(what: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(dict(what)) + "\n")
    sys.stdout.flush()


def main(config_file: str, hung_after: str) -> int:
    supervisor.HUNG = float(hung_after)  # type: ignore[misc]
    path = Path(config_file)
    config = settle(load(path, os.environ, {}))
    log.set_up("edge", config.log.format, config.log.level)
    processes = []
    for child in children(config, path, {}):
        if child.name == "control":
            script = Path(__file__).with_name("control_with_fixed_functions.py")
            child = dataclasses.replace(child, argv=(sys.executable, str(script), *child.argv[3:]))
        processes.append(child)
    return run(config, processes, _say)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
