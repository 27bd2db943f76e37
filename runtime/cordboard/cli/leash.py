"""`python -m cordboard.cli.leash VERB …`: a verb of `cordboard` as a child of the supervisor.

It ends (by a SIGTERM to itself) when the life line does, and leaves Ctrl-C to the supervisor.
"""

import os
import signal
import sys
import threading

from cordboard.cli.main import main
from cordboard.edge.lifeline import ignore_interrupt


def _watch() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    ignore_interrupt()
    threading.Thread(target=_watch, name="life line", daemon=True).start()
    sys.exit(main(sys.argv[1:]))
