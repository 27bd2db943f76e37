"""Events that end or block a worker's process, or break the contract."""

import json
import os
import sys
import time
from typing import Any

from cordboard.scenario import Scenario

scenario = Scenario("broken")
_entry = scenario.lambda_handler()


def handler(event: dict[str, Any], context: object) -> Any:
    """Descriptions as usual; else what the session's id says."""
    if "session" not in event:
        return _entry(event, context)
    what = event["session"]["id"]
    sys.stdout.write(f"asked to {what}\n")
    if what == "exit":
        os._exit(3)
    if what == "hang":
        time.sleep(60)
    if what == "raise":
        raise ValueError("outside of the contract")
    if what == "large":
        return {"text": "x" * 70_000}
    if what == "larger":
        return {"text": "x" * 7_000_000}
    if what == "environment":
        return dict(os.environ)
    if what == "pid":
        return {"pid": os.getpid()}
    return json.dumps(what)


handler.function = scenario  # type: ignore[attr-defined]
