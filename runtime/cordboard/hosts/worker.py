"""What runs in a worker's process: AWS's own Runtime API client, and a watch that ends it with the edge.

Standard input is the lifeline: the edge holds the other end, and whatever ends the edge closes it.
Run as `python -m cordboard.hosts.worker MODULE.FUNCTION`; awslambdaric reads the handler from the command line.
"""

import os
import runpy
import threading


def _end_with_the_edge(lifeline: int) -> None:
    while os.read(lifeline, 1):
        pass
    os._exit(0)


def main() -> None:
    """Detach standard input, watch it, and hand over to awslambdaric."""
    lifeline = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    threading.Thread(target=_end_with_the_edge, args=(lifeline,), daemon=True, name="lifeline").start()
    runpy.run_module("awslambdaric", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
