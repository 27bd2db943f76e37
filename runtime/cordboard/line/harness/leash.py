"""Runs an agent program that must not outlive `cordboard line`: `python leash.py path/to/main.py`.

Executed by the program's own Python, so by path, and with the standard library alone. Standard input is a pipe from
`cordboard line`; its end is the end of the program, even when `cordboard line` was killed. The program itself runs as
`python path/to/main.py` would.
"""

import os
import runpy
import signal
import sys
import threading
from pathlib import Path

GRACE = 3.0
"""Seconds for the program to finish its calls after SIGTERM."""


def _watch() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(GRACE)
    os._exit(1)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for `cordboard line`
    threading.Thread(target=_watch, name="leash", daemon=True).start()
    program = sys.argv[1]
    sys.argv = sys.argv[1:]
    sys.path[0] = str(Path(program).parent)
    runpy.run_path(program, run_name="__main__")
