"""Today's functions, asked offline: loaded, run and thrown away with the world out of their reach (`offline`)."""

import contextlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cordboard.contract.release import Release
from cordboard.hosts.errors import FunctionRaised
from cordboard.scenario import Stores
from cordboard.simulator.functions import Functions

from .offline import Offline, closed, offline


class OfflineFunctions:
    """The functions of one template, with a temporary folder of their own. Close it."""

    def __init__(self, template: Path, stores: Stores, *, code: Path | None = None) -> None:
        """As `Functions`; FunctionRaised also where code reaches out at its import."""
        self._stack = contextlib.ExitStack()
        self._folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="cordboard-replay-"))
        self._stack.enter_context(closed(self._folder))  # between the rounds, too: a handler may leave much behind
        refused: list[str] = []
        try:
            with offline(self._folder) as refused:
                self._functions = Functions(template, stores, code=code)
                self._stack.callback(self._functions.close)
        except Offline:
            pass
        except BaseException:
            self._stack.close()
            raise
        if refused:
            self._stack.close()
            raise FunctionRaised("import", refused[0])

    @property
    def release(self) -> Release:
        """What they listen to."""
        return self._functions.release

    def invoke(self, function: str, payload: Mapping[str, Any], timeout: float) -> dict[str, Any]:
        """The answer to one round. Raises FunctionError kinds, NotInVirtualTime; Offline for whatever reached out,
        also where the handler went on."""
        refused: list[str] = []
        try:
            with offline(self._folder) as refused:
                answer, _ = self._functions.invoke(function, payload, timeout, 0.0)
        finally:
            if refused:
                raise Offline(refused[0])
        return answer

    def close(self) -> None:
        """Forget the modules, and what they wrote."""
        self._stack.close()
