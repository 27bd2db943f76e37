"""What runs in a worker's process: AWS's own Runtime API client, and a watch that ends it with the edge.

Standard input is the lifeline: the edge holds the other end, and whatever ends the edge closes it.
Run as `python -m cordboard.hosts.worker MODULE.FUNCTION`; awslambdaric reads the handler from the command line.
Layers are searched after the function's folder, as on Lambda; what one brings of `cordboard` counts, not the edge's.
"""

import os
import runpy
import sys
import threading
from typing import Final

LAYERS_VARIABLE: Final = "CORDBOARD_LAYERS"
"""Folders of modules, behind one another as in PYTHONPATH."""


def _end_with_the_edge(lifeline: int) -> None:
    while os.read(lifeline, 1):
        pass
    os._exit(0)


def main() -> None:
    """Detach standard input, watch it, put layers into place, and hand over to awslambdaric."""
    lifeline = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    threading.Thread(target=_end_with_the_edge, args=(lifeline,), daemon=True, name="lifeline").start()
    if layers := os.environ.get(LAYERS_VARIABLE):
        sys.path[1:1] = layers.split(os.pathsep)
        for name in [name for name in sys.modules if name.partition(".")[0] == "cordboard"]:
            del sys.modules[name]  # loaded to come here
    runpy.run_module("awslambdaric", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
