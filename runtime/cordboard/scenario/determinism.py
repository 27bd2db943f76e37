"""`random` and `uuid.uuid4` seeded per event, for the handler's own steps alone.

The handler's coroutine is driven step by step; around each step (code between two suspensions, never interleaved) the
hidden generator of `random` has the event's own state, and `uuid` draws from the event's own bytes. Afterwards the
former state is back, so that turns of one process do not disturb each other or the process.
Leaves out: `secrets`, `os.urandom` and `random.SystemRandom`, which stay unpredictable (use session.once for them);
numpy; other threads that draw from `random` at the same moment; tasks that the handler starts.
"""

import os
import random
import types
import uuid
from collections.abc import Coroutine, Generator
from contextvars import ContextVar
from typing import Any, Final

_uuid_bytes: ContextVar[random.Random | None] = ContextVar("cordboard_uuid_bytes", default=None)


class _Os:
    """Stands for `os` inside the uuid module during a step."""

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def urandom(self, size: int) -> bytes:
        source = _uuid_bytes.get()
        return os.urandom(size) if source is None else source.randbytes(size)


_seeded_os: Final = _Os()


@types.coroutine
def seeded(coroutine: Coroutine[Any, Any, object], seed: str) -> Generator[Any, Any, object]:
    """Drive `coroutine` to its end with `random` and `uuid` seeded by `seed`; gives its result."""
    state = random.Random(seed).getstate()
    _uuid_bytes.set(random.Random(f"{seed}/uuid"))
    value: Any = None
    error: BaseException | None = None
    while True:
        outer_state, outer_os = random.getstate(), vars(uuid)["os"]
        random.setstate(state)
        vars(uuid)["os"] = _seeded_os
        try:
            waited = coroutine.send(value) if error is None else coroutine.throw(error)
        except StopIteration as stop:
            result: object = stop.value
            return result
        finally:
            state = random.getstate()
            random.setstate(outer_state)
            vars(uuid)["os"] = outer_os
        value = error = None
        try:
            value = yield waited
        except BaseException as thrown:  # noqa: BLE001 (a cancellation belongs to the handler)
            error = thrown
