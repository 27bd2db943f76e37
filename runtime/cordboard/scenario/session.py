"""What a handler may know of its call: `session`, its live objects and its state."""

import dataclasses
import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar, overload

from cordboard.contract.codec import DecodeError, check_json, decode
from cordboard.contract.commands import ControlUrlMint
from cordboard.contract.records import MAX_STATE, Invocation, ObjectRecord, size_of

from .errors import LimitExceeded
from .objects import AgentsClient, Call, Command, Player, RealtimeTTSPlayer, Recording
from .secret import ControlUrl, Secret
from .turn import Turn

S = TypeVar("S")
T = TypeVar("T")
V = TypeVar("V")


class Live(Mapping[str, V]):
    """Live objects by name; a name that is not there is a KeyError that lists the ones that are."""

    def __init__(self, kind: str, items: dict[str, V]) -> None:
        self._kind = kind
        self._items = items

    def __getitem__(self, name: str) -> V:
        if name not in self._items:
            have = ", ".join(map(repr, self._items)) or "none"
            raise KeyError(f"no live {self._kind} is named {name!r}; there: {have}")
        return self._items[name]

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def get(self, name: str, default: Any = None) -> Any:
        """The object, or `default`."""
        return self._items.get(name, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)


class Objects:
    """The objects of one turn, live ones at its start and those the handler makes in it."""

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.calls: dict[str, Call] = {}
        self.agents: dict[str, AgentsClient] = {}
        self.players: dict[str, Player] = {}
        self.recordings: dict[str, Recording] = {}
        for record in turn.invocation.objects:
            match record.kind:
                case "call" if record.state != "TERMINATED":
                    self.calls[record.name] = Call(turn, record)
                case "agent" if record.state != "CLOSED":
                    self.agents[record.name] = AgentsClient(turn, record)
                case "realtime_player":
                    self.players[record.name] = RealtimeTTSPlayer(turn, record)
                case "player":
                    self.players[record.name] = Player(turn, record)
                case "recording":
                    self.recordings[record.name] = Recording(turn, record.name)

    def call(self, name: str, state: str) -> Call:
        """The call of an event, live or not."""
        if name in self.calls:
            return self.calls[name]
        record = self._record(name, "call") or ObjectRecord(name, "call", name, state)
        return Call(self.turn, record)

    def agent(self, name: str) -> AgentsClient:
        """The agent of an event, live or not."""
        if name in self.agents:
            return self.agents[name]
        record = self._record(name, "agent") or ObjectRecord(name, "agent", name, "CLOSED")
        return AgentsClient(self.turn, record)

    def player(self, name: str) -> Player:
        """The player of an event, live or not."""
        return self.players.get(name) or Player(self.turn, ObjectRecord(name, "player", name, "ENDED"))

    def made_player(self, name: str) -> Player:
        """A player that the handler makes now."""
        player = self.players[name] = Player(self.turn, ObjectRecord(name, "player", name, "PREPARING"))
        return player

    def _record(self, name: str, kind: str) -> ObjectRecord | None:
        return next((o for o in self.turn.invocation.objects if (o.name, o.kind) == (name, kind)), None)


class Session(Generic[S]):
    """One run of a scenario, as one event sees it."""

    def __init__(self, turn: Turn, objects: Objects, state: S) -> None:
        info = turn.invocation.session
        self._turn = turn
        self.id = info.id
        self.scenario = info.scenario
        self.tenant = info.tenant
        self.custom_data: Mapping[str, Any] = info.custom_data
        self.now = datetime.fromisoformat(turn.invocation.now)
        """The same in all rounds of an event; use it instead of datetime.now()."""
        self.access_secure_url: str = ControlUrl(info.control_url)
        """The session's control URL; prints without its token, whole in a command's arguments."""
        self.state = state
        """The user's dataclass; saved once, with the last answer; at most 20 KB."""
        self.calls: Mapping[str, Call] = Live("call", objects.calls)
        self.agents: Mapping[str, AgentsClient] = Live("agent", objects.agents)
        self.players: Mapping[str, Player] = Live("player", objects.players)
        self.recordings: Mapping[str, Recording] = Live("recording", objects.recordings)

    def control_url(
        self,
        *,
        verbs: Sequence[str] | None = None,
        to: Sequence[str] | None = None,
        uses: int | None = None,
        expires_in: float | None = None,
    ) -> Command[ControlUrl]:
        """Mint a narrower control URL to hand to an agent; await it for the URL, which prints without its token.

        `verbs`: what may be asked for (the path's first segment, else `action` or `tool` of the body); `to`: patterns
        of destinations that a body may name; `uses`: requests, 1 to 1,000; `expires_in`: seconds, 1 to 14,400. A
        request outside of them is answered with 403, one beyond `uses` or `expires_in` with 404, by the edge alone.
        """
        what, type_ = "session.control_url()", "control_url.mint"
        args = ControlUrlMint(
            None if verbs is None else tuple(verbs), None if to is None else tuple(to), uses, expires_in
        )
        id_ = self._turn.emit(what, type_, None, args)
        return Command(self._turn, id_, what, type_, lambda result: ControlUrl(str(result["url"])))

    def secret(self, name: str) -> Secret:
        """A reference to a secret; the edge resolves it."""
        return Secret(name)

    @overload
    async def once(self, key: str, fn: Callable[[], Awaitable[T]]) -> T: ...
    @overload
    async def once(self, key: str, fn: Callable[[str], Awaitable[T]]) -> T: ...
    async def once(self, key: str, fn: Callable[..., Awaitable[T]]) -> T:
        """Run an outside effect once an event (at least once, if a round is lost) and journal its JSON result.

        `fn` may take one argument: an idempotency key, the same in every attempt of this event.
        An exception of `fn` is raised as CommandFailed `once_failed`, here and in a replay alike.
        """
        needed = inspect.signature(fn).parameters.values()
        # a parameter with a default is a captured value (`lambda day=day: …`), not a wish for the key
        takes_key = any(p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in needed)
        idempotency_key = f"{self._turn.invocation.event.id}:{key}"
        result: T = await self._turn.once(key, lambda: fn(idempotency_key) if takes_key else fn())
        return result


def check_state_class(kind: type) -> dict[str, Any]:
    """The default state as JSON. Raises TypeError that names the field which cannot be state."""
    if not dataclasses.is_dataclass(kind):
        raise TypeError(f"state={kind.__name__}: it must be a dataclass")
    for item in dataclasses.fields(kind):
        if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
            raise TypeError(f"state={kind.__name__}: field {item.name!r} has no default")
    try:
        data = state_to_json(kind())
        decode(kind, data)
    except (DecodeError, TypeError) as error:
        raise TypeError(f"state={kind.__name__}: {error}; fields hold JSON values") from error
    return data


def state_to_json(state: object) -> dict[str, Any]:
    """All fields, None included (a default may be another value). Raises DecodeError, LimitExceeded."""
    data = {} if state is None else check_json(_fields(state), "state")
    assert isinstance(data, dict)
    if (size := size_of(data)) > MAX_STATE:
        raise LimitExceeded(f"session.state has {size} bytes; the limit is {MAX_STATE}")
    return data


def _fields(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name.rstrip("_"): _fields(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: _fields(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_fields(item) for item in value]
    if isinstance(value, ControlUrl):
        return value.whole()
    return value


def load_state(kind: type | None, invocation: Invocation) -> Any:
    """The user's dataclass from the snapshot; its defaults before the first change. Raises DecodeError."""
    return None if kind is None else decode(kind, invocation.state.data, path="state")
