"""The namespaces that act: VoxEngine, Cartesia, ApplicationStorage, Logger. Bound to the turn by a ContextVar."""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn

from cordboard.contract import commands
from cordboard.contract.codec import JSON
from cordboard.contract.records import ObjectRecord
from cordboard.storage.interface import ApplicationStorage as Backend
from cordboard.storage.interface import StorageItem, StorageUnavailable

from . import vocabulary
from .errors import KeyNotFound, not_supported
from .later import missing_member
from .logs import taking
from .objects import AgentsClient, Call, Command, Headers, MediaUnit, Player, RealtimeTTSPlayer, check_name, emit
from .secret import Secret, redact
from .turn import Turn, logger


class _VoxEngine:
    """What acts on the whole session (VoxEngine's namespace, in snake_case)."""

    def send_media_between(self, a: MediaUnit, b: MediaUnit) -> Command[None]:
        """Let two units hear each other; each leg has one source, the newest wins."""
        return self._pair("VoxEngine.send_media_between()", "media.bridge", a, b)

    def stop_media_between(self, a: MediaUnit, b: MediaUnit) -> Command[None]:
        """Take the cord out; what is queued is discarded. Idempotent."""
        return self._pair("VoxEngine.stop_media_between()", "media.unbridge", a, b)

    def call_pstn(
        self,
        number: str,
        callerid: str,
        *,
        name: str,
        timeout: float = 60.0,
        trunk: str | None = None,
        follow_diversion: bool = False,
        headers: Headers | None = None,
    ) -> Call:
        """Dial a number. Returns at once; the outcome is Connected or Failed of `name`. `timeout` in seconds."""
        args = commands.CallDial(number, callerid, "", timeout, trunk, follow_diversion, headers or {})
        return self._dial("VoxEngine.call_pstn()", name, args, "pstn")

    def call_sip(
        self,
        to: str,
        *,
        name: str,
        callerid: str | None = None,
        display_name: str | None = None,
        timeout: float = 60.0,
        trunk: str | None = None,
        headers: Headers | None = None,
    ) -> Call:
        """Dial a sip: URI; else as `call_pstn`."""
        args = commands.CallDial(to, callerid or "", display_name or "", timeout, trunk, False, headers or {})
        return self._dial("VoxEngine.call_sip()", name, args, "sip")

    def call_user(self, username: str, *, name: str, callerid: str | None = None, timeout: float = 60.0) -> Call:
        """Not built yet: raises NotSupported."""
        self._missing("VoxEngine.call_user()", "call.dial")

    def transfer(
        self,
        call: Call,
        to: str,
        *,
        mode: Literal["blind", "warm", "attended"] = "blind",
        callerid: str | None = None,
        name: str = "consult",
        announce: str | None = None,
        accept: str | None = "1",
        decline: str = "2",
        timeout: float = 30.0,
        hold_music: str | None = None,
        on_failure: Literal["return", "hangup"] = "return",
    ) -> Command[None]:
        """Not built yet: raises NotSupported."""
        self._missing("VoxEngine.transfer()", "call.transfer")

    def create_url_player(self, url: str, *, name: str, loop: bool = False, on_pause: bool = False) -> Player:
        """A player of a WAV file: an http(s) URL (at most 10 MB), or a path below the edge's [media] prompts.

        Looped and sent to a call it is hold music. Its outcome is an event of PlayerEvents with `target=name`.
        """
        args = commands.PlayerCreate(commands.Sound("url", url), loop, on_pause)
        return self._player("VoxEngine.create_url_player()", name, args)

    def create_tts_player(
        self, text: str, *, name: str, voice: str | None = None, loop: bool = False, on_pause: bool = False
    ) -> Player:
        """A player of a text (at most 1,500 characters), spoken by the edge's [speech]; else as `create_url_player`."""
        args = commands.PlayerCreate(commands.Sound("text", text, voice), loop, on_pause)
        return self._player("VoxEngine.create_tts_player()", name, args)

    def create_tone_script_player(
        self, script: str, *, name: str, loop: bool = False, on_pause: bool = False
    ) -> Player:
        """A player of tones, as `440@-19,480@-19;10(2/4/1+2)`; else as `create_url_player`."""
        args = commands.PlayerCreate(commands.Sound("tones", script), loop, on_pause)
        return self._player("VoxEngine.create_tone_script_player()", name, args)

    def set_timeout(self, name: str, *, seconds: float) -> Command[None]:
        """Raise AppEvents.Timer with target=name after `seconds` (0.02 to 14,400); the same name starts anew."""
        what = "VoxEngine.set_timeout()"
        return emit(Turn.require(what), what, "timer.set", check_name(what, name), commands.TimerSet(seconds))

    def clear_timeout(self, name: str) -> Command[None]:
        """Forget a timer. Idempotent."""
        what = "VoxEngine.clear_timeout()"
        return emit(Turn.require(what), what, "timer.clear", check_name(what, name), commands.TimerClear())

    def terminate(self) -> Command[None]:
        """End the session: hang-ups after playout are waited for, then every leg ends once."""
        what = "VoxEngine.terminate()"
        return emit(Turn.require(what), what, "session.terminate", None, commands.SessionTerminate())

    def _pair(self, what: str, type_: str, a: MediaUnit, b: MediaUnit) -> Command[None]:
        turn = Turn.require(what)
        for unit in (a, b):  # a kept call, and none at all, are the two mistakes that happen
            if not isinstance(unit, MediaUnit):
                raise TypeError(f"{what} takes two units (Call, AgentsClient, Player), not {unit!r}")
            unit.check(what)
        return emit(turn, what, type_, f"{a.name}+{b.name}", commands.MediaPair(a.name, b.name))

    def _dial(self, what: str, name: str, args: commands.CallDial, client_type: str) -> Call:
        turn = Turn.require(what)
        turn.emit(what, "call.dial", check_name(what, name), args)
        record = ObjectRecord(
            name, "call", name, "PROGRESSING", args.to, args.callerid, args.display_name, False, client_type
        )
        call = turn.objects.calls[name] = Call(turn, record)
        return call

    def _player(self, what: str, name: str, args: commands.PlayerCreate) -> Player:
        turn = Turn.require(what)
        turn.emit(what, "player.create", check_name(what, name), args)
        return turn.objects.made_player(name)

    def _missing(self, what: str, type_: str) -> NoReturn:
        Turn.require(what)
        raise not_supported(what, type_)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            return missing_member("VoxEngine", type(self), name)


class Cartesia:
    """Agents of Cartesia: Line (cartesia_version 2025-04-16)."""

    AgentsEvents = vocabulary.AgentsEvents
    Events = vocabulary.MediaEvents

    @staticmethod
    def create_agents_client(
        *,
        api_key: str | Secret,
        agent_id: str,
        cartesia_version: str,
        name: str = "agent",
        base_url: str | None = None,
        privacy: bool = False,
    ) -> Command[AgentsClient]:
        """Open an agent's socket. Awaited: it is open, or CommandFailed; at most 5 s."""
        what, type_ = "Cartesia.create_agents_client()", "agent.create"
        turn = Turn.require(what)
        key = api_key.reference() if isinstance(api_key, Secret) else api_key
        args = commands.AgentCreate(key, agent_id, cartesia_version, base_url, privacy)
        id_ = turn.emit(what, type_, check_name(what, name), args)

        def opened(result: Any) -> AgentsClient:
            facts = result if isinstance(result, dict) else {}
            record = ObjectRecord(
                name, "agent", str(facts.get("id", name)), "OPEN", web_socket_id=str(facts.get("web_socket_id", ""))
            )
            agent = turn.objects.agents[name] = AgentsClient(turn, record)
            return agent

        return Command(turn, id_, what, type_, opened)

    @staticmethod
    def create_realtime_tts_player(
        text: str = "",
        *,
        api_key: str | Secret | None = None,
        generation_request_parameters: Mapping[str, JSON] | None = None,
        name: str = "tts",
        cartesia_version: str | None = None,
        base_url: str | None = None,
        privacy: bool = False,
    ) -> RealtimeTTSPlayer:
        """A player fed by Sonic's socket: `text` is its first request, `generation_request` asks for more.

        `generation_request_parameters` are fields of every request (`voice`, `model_id`, `language`,
        `max_buffer_delay_ms`, …); where [speech] is Sonic's its voice, model and language stand for those that are not
        named. Without `api_key` the key of [speech], else the secret CARTESIA_API_KEY. `privacy`: the texts stand in no
        timeline. AudioChunksPlaybackFinished tells of each context, PlaybackFinished that nothing else was asked for;
        it lives until `stop`, or Error, the end of its socket.
        """
        what = "Cartesia.create_realtime_tts_player()"
        turn = Turn.require(what)
        key = api_key.reference() if isinstance(api_key, Secret) else api_key
        request = generation_request_parameters or {}
        args = commands.RealtimePlayerCreate(text, key, request, cartesia_version, base_url, privacy)
        turn.emit(what, "player.create_realtime", check_name(what, name), args)
        record = ObjectRecord(name, "realtime_player", name, "PREPARING")
        player = turn.objects.players[name] = RealtimeTTSPlayer(turn, record)
        return player


class _ApplicationStorage:
    """Keys shared by all calls. Reads and writes are journalled: performed once an event, replayed from then on."""

    async def get(self, key: str) -> StorageItem | None:
        """The live item, or None. Raises StorageError kinds; IsSecret for a secret's name."""
        what = f"ApplicationStorage.get({key!r})"
        turn = Turn.require(what)
        result = await turn.read(
            what, "storage.get", None, {"key": key}, lambda: _json(_backend(turn).get(key)), names=key
        )
        return None if result is None else _item(result)

    async def require(self, key: str) -> str:
        """The value. Raises KeyNotFound, StorageError kinds."""
        item = await self.get(key)
        if item is None:
            raise KeyNotFound(f"ApplicationStorage has no live item {key!r}; store it with: cordboard keys put {key}")
        return item.value

    async def put(self, key: str, value: str, ttl: int) -> StorageItem:
        """Store for `ttl` seconds. Runs at once, outside of the atomic round. Raises StorageError kinds."""
        what = f"ApplicationStorage.put({key!r})"
        turn = Turn.require(what)
        args = {"key": key, "value": value, "ttl": ttl}
        result = await turn.read(
            what, "storage.put", None, args, lambda: _json(_backend(turn).put(key, value, ttl)), names=key
        )
        return _item(result)

    async def remove(self, key: str) -> None:
        """Forget the key. Runs at once, outside of the atomic round. Raises StorageError kinds."""
        what = f"ApplicationStorage.remove({key!r})"
        turn = Turn.require(what)
        await turn.read(what, "storage.remove", None, {"key": key}, lambda: _backend(turn).remove(key), names=key)

    async def keys(self, pattern: str | None = None, count: int = 1000) -> list[str]:
        """Live keys of a namespace (the text before the first colon), or of all. Raises StorageError kinds."""
        turn = Turn.require("ApplicationStorage.keys()")
        args = {"pattern": pattern, "count": count}
        result: list[str] = await turn.read(
            "ApplicationStorage.keys()", "storage.keys", None, args, lambda: _backend(turn).keys(pattern, count)
        )
        return list(result)


class _Logger:
    """VoxEngine's Logger; the standard library's logging does as well."""

    def write(self, message: str, **fields: JSON) -> None:
        """One INFO line with fields. A line of replayed code appears once; control URLs lose their token."""
        log = taking()
        if log is None:
            logger.log(logging.INFO, "%s %s", redact(str(message)), {k: redact(str(v)) for k, v in fields.items()})
        else:
            log.add("INFO", str(message), fields)


def _backend(turn: Turn) -> Backend:
    storage = turn.stores().storage
    if storage is None:
        raise StorageUnavailable("no ApplicationStorage is bound to this process")
    return storage


def _json(item: StorageItem | None) -> JSON:
    if item is None:
        return None
    return {
        "key": item.key,
        "value": item.value,
        "expire_at": None if item.expire_at is None else item.expire_at.isoformat(),
    }


def _item(result: Any) -> StorageItem:
    expire_at = result.get("expire_at")
    return StorageItem(result["key"], result["value"], None if expire_at is None else datetime.fromisoformat(expire_at))


VoxEngine: Final = _VoxEngine()
ApplicationStorage: Final = _ApplicationStorage()
Logger: Final = _Logger()
