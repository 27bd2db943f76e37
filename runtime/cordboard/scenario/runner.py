"""Runs one round: invocation in, answer out. Every host and the simulator call this (DESIGN §4).

The handler runs in a task of its own. When its turn is sealed (it returned, raised, or awaits an unknown result) the
answer is built, and only then the task is cancelled; a handler that swallows its cancellation three times is left
behind, muted, and the answer asks for another worker.
Leaves out: time limits (the host's), a handler's own stray tasks in a shared loop (their steps raise OutsideTurn).
"""

import asyncio
import contextvars
import dataclasses
import traceback
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from cordboard.contract.codec import DecodeError, decode, encode
from cordboard.contract.records import (
    MAX_ANSWER,
    Answer,
    AnswerError,
    Invocation,
    JournalEntry,
    Reply,
    StateChange,
    size_of,
)

from . import events
from .binding import Stores
from .determinism import seeded
from .errors import BadRequest, LimitExceeded
from .logs import TurnLog, install
from .reply import reply_of
from .secret import redact
from .session import Objects, Session, load_state, state_to_json
from .turn import Outcome, Turn

Handler = Callable[[Any, Any], Awaitable[object]]

MAX_TRACEBACK: Final = 8 * 1024  # characters; the contract's limit for the timeline
MAX_MESSAGE: Final = 2_000  # characters of an error's text; a message may quote what a caller sent
CANCELLATIONS: Final = 3  # DESIGN §4: swallowed three times, the worker is replaced
GRACE: Final = 0.1  # seconds that clean-up (closing a client) may take after each; a round has 5 s

_left_behind: set[asyncio.Task[object]] = set()
"""Tasks that swallowed every cancellation; kept so that they are not collected while pending."""


async def run_round(
    handler: Handler | None, state_class: type | None, invocation: Invocation, stores: Stores | None
) -> Answer:
    """The answer to one round; `handler` None: not_found. Raises CancelledError alone, when the host gives up."""
    if handler is None:
        event = invocation.event
        return _failed(invocation, "not_found", f"no handler listens to {event.type} of {event.target!r}")
    install()
    loop = asyncio.get_running_loop()
    stop = _Stop(loop)
    turn = Turn(invocation, stores, stop)
    turn.objects = Objects(turn)
    turn.log = TurnLog(invocation.logged, turn.revealed)
    try:
        before = state_to_json(load_state(state_class, invocation))
        session: Session[Any] = Session(turn, turn.objects, load_state(state_class, invocation))
        event_ = events.build(invocation.event, turn.objects)
    except DecodeError as error:
        return _failed(invocation, "DecodeError", str(error))
    context = contextvars.copy_context()
    context.run(turn.enter)
    answers: list[Answer] = []
    stop.then(lambda: answers.append(_answer(turn, session, before)))
    task: asyncio.Task[object] = loop.create_task(
        _drive(handler, session, event_, turn), name=f"turn {invocation.event.id}", context=context
    )
    turn.task = task
    try:
        await stop.wait()
    finally:
        turn.seal(Outcome("failed", error=TimeoutError("the host ended the round")))
        stubborn = await _end(task, stop)
    if not stubborn:
        return answers[0]
    _left_behind.add(task)
    task.add_done_callback(_left_behind.discard)
    return dataclasses.replace(answers[0], replace_worker=True)


class _Stop:
    """Called by the turn when it is sealed, and again when a sealed handler waits again."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._first: Callable[[], None] | None = None
        self.again: asyncio.Future[None] = loop.create_future()

    def then(self, first: Callable[[], None]) -> None:
        """What to do at the very moment the turn is sealed."""
        self._first = first

    def __call__(self, turn: Turn) -> None:
        first, self._first = self._first, None
        if first is not None:
            first()
        if not self.again.done():
            self.again.set_result(None)

    async def wait(self) -> None:
        """Until it is called."""
        await asyncio.shield(self.again)

    def arm(self) -> asyncio.Future[None]:
        """A future for the next call."""
        self.again = self._loop.create_future()
        return self.again


async def _drive(handler: Handler, session: Session[Any], event: events.Event, turn: Turn) -> object:
    async def call() -> object:
        return await handler(session, event)

    try:
        value = await seeded(call(), turn.invocation.event.id)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # SystemExit of a handler must not end the edge; the answer says it
        turn.seal(Outcome("failed", error=error))
        if isinstance(error, asyncio.CancelledError):
            raise
        return None
    turn.seal(Outcome("done", value))
    return None


async def _end(task: asyncio.Task[object], stop: _Stop) -> bool:
    """Cancel what is left of the handler; True if it swallowed every cancellation."""
    for _ in range(CANCELLATIONS):
        if task.done():
            break
        again = stop.arm()
        task.cancel()
        both: set[asyncio.Future[Any]] = {task, again}
        await asyncio.wait(both, timeout=GRACE, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        if not task.cancelled():
            task.exception()  # retrieved: it came after the answer and changes nothing
        return False
    return True


def _answer(turn: Turn, session: Session[Any], before: dict[str, Any]) -> Answer:
    outcome, invocation = turn.outcome, turn.invocation
    assert outcome is not None
    logs = turn.log.lines()
    if outcome.nondeterminism:
        return _failed(invocation, "nondeterminism", outcome.nondeterminism, turn)
    if outcome.error is not None:
        return _raised(invocation, outcome.error, turn)
    common: dict[str, Any] = {
        "event_id": invocation.event.id, "round": invocation.round, "attempt": invocation.attempt,
        "commands": tuple(turn.commands), "journal": tuple(turn.reads), "logs": logs,
    }  # fmt: skip
    try:
        if outcome.status == "suspended":
            answer = Answer(status="suspended", waiting=outcome.waiting, **common)
        else:
            reply = _reply(invocation, outcome.value, turn.log)
            common["logs"] = turn.log.lines()
            answer = Answer(status="done", state=_state(invocation, session, before), reply=reply, **common)
        if (size := size_of(encode(answer))) > MAX_ANSWER:
            raise LimitExceeded(f"the answer has {size} bytes; the limit is {MAX_ANSWER}")
    except (LimitExceeded, TypeError, ValueError) as error:
        return _raised(invocation, error, turn)
    return answer


def _reply(invocation: Invocation, value: object, log: TurnLog) -> Reply | None:
    if invocation.event.type == "http.request":
        return reply_of(value)
    if value is not None:
        log.add("WARNING", f"the handler of {invocation.event.type} returned a value that nobody reads", {})
    return None


def _state(invocation: Invocation, session: Session[Any], before: dict[str, Any]) -> StateChange | None:
    after = state_to_json(session.state)
    return None if after == before else StateChange(invocation.state.version, after)


def _raised(invocation: Invocation, error: BaseException, turn: Turn) -> Answer:
    kind = "bad_request" if isinstance(error, BadRequest) else type(error).__name__
    # the runner's own frames tell the reader nothing
    lines = traceback.format_exception(error)
    return _failed(invocation, kind, _text(error), turn, "".join(lines))


def _text(error: BaseException) -> str:
    try:
        return str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    except Exception:  # noqa: BLE001 (a handler's own class may do anything)
        return "its text could not be made"


def _failed(invocation: Invocation, kind: str, message: str, turn: Turn | None = None, trace: str = "") -> Answer:
    """Its reads say what the handler knew when it failed. Where there is no room for all, those stay that name what
    no text of the event may hold; where even they have none, its logs and texts go before them."""
    revealed: Sequence[str] = () if turn is None else turn.revealed
    whole = Answer(
        invocation.event.id, invocation.round, invocation.attempt, "failed",
        error=AnswerError(kind, redact(message, revealed)[:MAX_MESSAGE], redact(trace, revealed)[-MAX_TRACEBACK:]),
        journal=() if turn is None else tuple(turn.reads),
        logs=() if turn is None else turn.log.lines(),
    )  # fmt: skip
    short = dataclasses.replace(whole, journal=_reveals(whole.journal))
    silent = dataclasses.replace(short, logs=())
    for answer in (whole, short, silent):
        if size_of(encode(answer)) <= MAX_ANSWER:
            return answer
    return dataclasses.replace(
        silent, error=AnswerError(kind, "it revealed more secrets than an answer can name"), journal=()
    )


def _reveals(reads: Iterable[JournalEntry]) -> tuple[JournalEntry, ...]:
    """One for each secret."""
    return tuple({read.target: read for read in reads if read.type == "secret.reveal"}.values())


def read_invocation(payload: Mapping[str, Any]) -> Invocation:
    """The typed invocation; unknown fields are a newer edge's. Raises DecodeError."""
    invocation = decode(Invocation, payload, unknown="ignore")
    if invocation.event.type not in events.BUILDERS:
        raise DecodeError("event.type", f"{invocation.event.type!r} is no event that a handler may have")
    return invocation
