"""One round of one event as its handler sees it: numbered steps, the journal, and the moment the answer is fixed.

Follows DESIGN §4. A step is a command or a read; both are numbered `{seq}.{n}` by one counter and compared with the
journal of earlier rounds. The answer is fixed *synchronously* when the handler returns, raises or awaits an unknown
result; nothing that runs later, on whatever path, can add to it.
Leaves out: who runs the handler (`runner.py`) and what its members are called (`namespaces.py`, `objects.py`).
"""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn

from cordboard.contract.codec import JSON, DecodeError, decode, encode
from cordboard.contract.commands import COMMANDS, Command, fingerprint
from cordboard.contract.records import MAX_COMMANDS, MAX_JOURNAL_RESULT, Invocation, JournalEntry, StepError, size_of
from cordboard.storage import interface as storage_errors
from cordboard.storage.interface import StorageError

from .binding import Stores, bound_stores
from .errors import CommandFailed, LimitExceeded, NotRecorded, OutsideTurn, ReplayDiffers, command_failed

if TYPE_CHECKING:
    from .logs import TurnLog
    from .session import Objects

_HERE: Final = str(Path(__file__).parent)
_current: ContextVar["Turn | None"] = ContextVar("cordboard_turn", default=None)

WRITE_INSTEAD: Final = "take it in the handler's own task and await steps one by one: await a; await b"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the handler's part of a round ended; the first one stands."""

    status: Literal["done", "suspended", "failed"]
    value: object = None
    waiting: tuple[str, ...] = ()
    error: BaseException | None = None
    nondeterminism: str = ""


class Turn:
    """The steps of one round. `task` is the handler's; only it may take steps."""

    objects: "Objects"
    log: "TurnLog"

    def __init__(self, invocation: Invocation, stores: Stores | None, on_stop: Callable[["Turn"], None]) -> None:
        self.invocation: Final = invocation
        self.commands: list[Command] = []
        self.reads: list[JournalEntry] = []
        self.revealed: list[str] = []
        """Values of secrets that the handler has in its hands; no text of the answer may hold them."""
        self.task: asyncio.Task[object] | None = None
        self.outcome: Outcome | None = None
        self._stores = stores
        self._on_stop = on_stop
        self._steps = 0
        self._commands = 0
        self._inside_once = False

    @staticmethod
    def current() -> "Turn | None":
        """The turn of the running context, whoever runs in it."""
        return _current.get()

    def enter(self) -> None:
        """Make this the current turn of the running context."""
        _current.set(self)

    @staticmethod
    def require(what: str) -> "Turn":
        """The current turn, if the handler's own task asks. Raises OutsideTurn."""
        turn = _current.get()
        if turn is None:
            raise OutsideTurn(
                f"{what} was used outside of a handler (at import, in a thread, or after its event): {WRITE_INSTEAD}"
            )
        turn.check(what)
        return turn

    def check(self, what: str) -> None:
        """Raises OutsideTurn unless the handler's own task runs, in this turn and outside `session.once`."""
        if _current.get() is not self:
            raise OutsideTurn(
                f"{what} belongs to another event: objects are not kept between events; "
                "read it from event or session (session.calls[name]) in this handler"
            )
        if not self.in_own_task():
            raise OutsideTurn(
                f"{what} was used in another task (gather, wait_for, create_task, TaskGroup) or thread: {WRITE_INSTEAD}"
            )
        if self._inside_once and self.outcome is None:
            raise OutsideTurn(f"{what} was used inside session.once: take it before or after")

    def in_own_task(self) -> bool:
        """True if the handler's task is the one that runs."""
        try:
            return asyncio.current_task() is self.task
        except RuntimeError:  # a thread: no loop runs here
            return False

    @property
    def muted(self) -> bool:
        """The answer is fixed."""
        return self.outcome is not None

    def seal(self, outcome: Outcome) -> None:
        """Fix the answer; whatever comes later is ignored."""
        if self.outcome is not None:
            return
        journal = self.invocation.journal
        if outcome.status != "failed" and self._steps < len(journal):
            missing = journal[self._steps]
            outcome = Outcome(
                "failed",
                nondeterminism=f"the replay took {self._steps} steps, but the journal holds {len(journal)}: "
                f"an earlier round went on with {_named(missing.type, missing.target, missing.line)}",
            )
        self.outcome = outcome
        # the handler may go on and append: keep what stood at this moment
        self.commands, self.reads = list(self.commands), list(self.reads)
        self._on_stop(self)

    # -- commands

    def emit(self, what: str, type_: str, target: str | None, args: object, *, line: str = "") -> str:
        """Emit a command and return its id; `line` where no frame of the handler's stands for it.

        Raises OutsideTurn, ValueError for arguments that do not fit.
        """
        from .secret import whole  # that module needs this one

        self.check(what)
        try:
            plain = whole(encode(args))
            decode(COMMANDS[type_], plain)
        except (DecodeError, TypeError, ValueError) as error:
            raise ValueError(f"{what}: {error}") from error
        if self.muted:
            return ""
        line = line or _line()
        step = self._step(type_, target, plain, line)
        self._commands += 1
        if self._commands > MAX_COMMANDS:
            raise LimitExceeded(f"{what} is command {self._commands} of this event; the limit is {MAX_COMMANDS}")
        if step.known is None:
            self.commands.append(Command(step.id, type_, step.hash, target, plain, line))
        return step.id

    def result(self, command_id: str) -> JournalEntry | None:
        """The journal's entry of a command whose result is known, else None."""
        for entry in self.invocation.journal:
            if entry.id == command_id and entry.status != "pending":
                return entry
        return None

    async def wait(self, what: str, command_id: str, type_: str) -> Any:
        """The result of a command; parks the handler for good where it is unknown. Raises CommandFailed kinds."""
        self.check(what)
        _refuse_wait_for(what)
        entry = self.result(command_id)
        if entry is None or self.muted:
            await self._park(Outcome("suspended", waiting=(command_id,)))
        assert entry is not None
        if entry.status == "failed":
            error = entry.error or StepError("unknown", "the edge gave no reason")
            raise command_failed(error.code, error.message, type_)
        return entry.result

    async def _park(self, outcome: Outcome) -> NoReturn:
        if self.muted:
            self._on_stop(self)  # it swallowed its cancellation and waits again
        self.seal(outcome)
        await asyncio.get_running_loop().create_future()
        raise AssertionError("a parked handler never goes on")

    # -- reads

    async def read(
        self,
        what: str,
        type_: str,
        target: str | None,
        args: Mapping[str, Any],
        perform: Callable[[], JSON],
        *,
        names: str | None = None,
    ) -> Any:
        """A journalled read or write outside of the call: performed once per event, its result replayed.

        `names`: what the journal says it was of, where no `target` does. Raises StorageError kinds, the same ones in a
        replay.
        """
        names = names if target is None else target
        self.check(what)
        if self.muted:
            await self._park(Outcome("failed"))
        line = _line()
        step = self._step(type_, target, args, line)
        if (known := step.known or self._recorded(step, what, type_, args, line)) is not None:
            return _replayed(known)
        try:
            result = perform()
            _check_size(result, what)
        except StorageError as error:
            failure = StepError(type(error).__name__, str(error))
            self._keep(step, type_, names, line, error=failure)
            raise
        self._keep(step, type_, names, line, result=result)
        return result

    async def once(self, key: str, perform: Callable[[], Awaitable[object]]) -> Any:
        """An outside effect, performed at least once and journalled by its JSON result. Raises CommandFailed."""
        self.check("session.once()")
        if self.muted:
            await self._park(Outcome("failed"))
        line = _line()
        step = self._step("once", None, {"key": key}, line)
        known = step.known or self._recorded(step, f"session.once({key!r})", "once", {"key": key}, line)
        if known is not None:
            return _replayed(known)
        self._inside_once = True
        try:
            result = decode(object, encode(await perform()), path=f"once({key!r})")
            _check_size(result, f"once({key!r})")
        except OutsideTurn:  # a mistake in the code, which no `except CommandFailed` may hide
            raise
        except Exception as error:
            failure = StepError("once_failed", f"{type(error).__name__}: {error}")
            self._keep(step, "once", None, line, error=failure)
            raise CommandFailed(failure.code, failure.message, "once") from error
        finally:
            self._inside_once = False
        self._keep(step, "once", None, line, result=result)
        return result

    async def reveal(self, name: str) -> str:
        """A secret's value; see `Secret.reveal`."""
        if self.muted:
            await self._park(Outcome("failed"))
        found: list[str] = []

        def resolve() -> JSON:
            secrets = self.stores().secrets
            if secrets is None:
                raise storage_errors.StorageUnavailable(f"no secret store is bound; {name!r} cannot be revealed here")
            value, version = secrets.resolve(name)
            found.append(value)
            self.revealed.append(value)
            return {"name": name, "version": version}

        noted = await self.read("secret.reveal()", "secret.reveal", name, {}, resolve)
        if self._stores is not None and self._stores.recorded is not None:
            return f"value of {name}"  # a journal holds names alone
        if not found:
            again = resolve()
            if again != noted:
                self._differs(f"secret {name!r} changed its version within one event")
        return found[0]

    def stores(self) -> Stores:
        """The stores of this turn. Raises StorageUnavailable."""
        return self._stores if self._stores is not None else bound_stores()

    # -- steps

    def _step(self, type_: str, target: str | None, args: Mapping[str, Any], line: str) -> "_Step":
        number, self._steps = self._steps, self._steps + 1
        id_ = f"{self.invocation.event.seq}.{number}"
        hash_ = fingerprint(type_, target, args)
        journal = self.invocation.journal
        if number >= len(journal):
            return _Step(id_, hash_, None)
        entry = journal[number]
        if entry.id != id_ or entry.hash != hash_:
            same = (entry.type, entry.target) == (type_, target)
            self._differs(
                f"step {id_} was {_named(entry.type, entry.target, entry.line)} and is now "
                f"{_named(type_, target, line)}{' with other arguments' if same else ''}; what may differ between "
                "rounds goes through session.now, session.once or ApplicationStorage"
            )
        return _Step(id_, hash_, entry)

    def _recorded(
        self, step: "_Step", what: str, type_: str, args: Mapping[str, Any], line: str
    ) -> JournalEntry | None:
        """In a replay the read of the recorded event, which a new one may not do without; else None."""
        source = None if self._stores is None else self._stores.recorded
        if source is None:
            return None
        entry = source.take(type_, step.hash, args)
        if entry is None:
            error = NotRecorded(f"{what} at {line}: the recorded event has no such step")
            self.seal(Outcome("failed", error=error))
            raise error
        self.reads.append(replace(entry, id=step.id, hash=step.hash, line=line))
        return entry

    def _differs(self, message: str) -> NoReturn:
        self.seal(Outcome("failed", nondeterminism=message))
        raise ReplayDiffers(message)

    def _keep(
        self,
        step: "_Step",
        type_: str,
        target: str | None,
        line: str,
        *,
        result: object = None,
        error: StepError | None = None,
    ) -> None:
        if not self.muted:
            status: Literal["done", "failed"] = "done" if error is None else "failed"
            self.reads.append(JournalEntry(step.id, type_, step.hash, status, result, error, target, line))


@dataclass(frozen=True, slots=True)
class _Step:
    id: str
    hash: str
    known: JournalEntry | None


def _replayed(entry: JournalEntry) -> Any:
    if entry.status == "done":
        return entry.result
    error = entry.error or StepError("unknown", "the journal gives no reason")
    if entry.type == "once":
        raise CommandFailed(error.code, error.message, "once")
    raise _storage_error(error)


def _storage_error(error: StepError) -> Exception:
    """The error that the first round raised, rebuilt from the journal; some take a name, not a message."""
    kind = getattr(storage_errors, error.code, None)
    if isinstance(kind, type) and issubclass(kind, StorageError):
        rebuilt = kind.__new__(kind, error.message)
        Exception.__init__(rebuilt, error.message)
        return rebuilt
    return StorageError(error.message)


def _check_size(result: object, what: str) -> None:
    size = size_of(result)
    if size > MAX_JOURNAL_RESULT:
        raise storage_errors.ValueTooLong(f"{what} gave {size} bytes; a step's result may have {MAX_JOURNAL_RESULT}")


def _named(type_: str, target: str | None, line: str) -> str:
    return f"{type_}{f' of {target!r}' if target else ''} at {line or 'an unknown line'}"


def _line() -> str:
    """`folder/file.py:12` of the nearest frame outside of this package."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    if frame is None:
        return ""
    return f"{'/'.join(Path(frame.f_code.co_filename).parts[-2:])}:{frame.f_lineno}"


def _refuse_wait_for(what: str) -> None:
    """Python 3.12 runs wait_for in the caller's task: only the stack tells."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code is asyncio.wait_for.__code__:
            raise OutsideTurn(f"{what} stands inside wait_for: each command has its own limit; {WRITE_INSTEAD}")
        frame = frame.f_back


logger: Final = logging.getLogger("cordboard.scenario")
"""Where lines go that no turn takes."""
