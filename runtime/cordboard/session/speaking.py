"""A session's realtime players: Sonic's socket on the plane, generation requests as they come (voxengine §4.4).

Requests are taken before the socket is open, and held by the plane; a leg hears its source until then. A context that
fails is told by player.chunks_finished with its error and costs itself alone; the end of the socket is player.failed.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cordboard.agents import sonic
from cordboard.contract import link
from cordboard.contract.commands import (
    Command,
    PlayerCancel,
    PlayerGenerate,
    PlayerSimple,
    RealtimePlayerCreate,
    SecretReference,
)

from .player import Player
from .steps import Step

if TYPE_CHECKING:
    from .session import Session


class Speaking:
    """What realtime players are asked to say."""

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._private: set[str] = set()
        """Names of players whose texts stand nowhere."""

    def create(self, step: Step, args: RealtimePlayerCreate, now: float) -> None:
        """player.create_realtime. Done when it is accepted; the socket's fate is an event."""
        session, players = self._session, self._session.players
        name = step.command.target or ""
        if players.get(name) is not None:
            step.fail("refused", f"a player named {name!r} is live; give this one another name")
            return
        if not players.may_make(step, name):
            return
        key = session.agents.key(self._key_of(args), step)
        if key is None:
            return
        session.redactor.add(key)
        player = players.make(name, loop=False)
        player.request = {**self._defaults(), **args.request}
        player.realtime, player.state = True, "LOADING"
        self._note_privacy(name, args.privacy)

        def opened(done: link.Done, at: float) -> None:
            if done.ok and player.live:
                players.opened(player, at)

        session.send_plane(
            link.SpeechOpen(
                player=player.unit,
                base_url=args.base_url or session.services.config.agents.cartesia.base_url,
                api_key=key,
                version=args.version or sonic.VERSION,
                confirm=session.confirm(opened),
            )
        )
        if args.text:

            def asked(done: link.Done, at: float) -> None:
                if not done.ok and player.live:
                    players.fail(player, done.message, at)

            request = {**player.request, "transcript": args.text, "continue": False}
            session.send_plane(link.SpeechRequest(player.unit, request, session.confirm(asked)))
        step.done({"name": name, "id": player.unit})

    def generate(self, step: Step, args: PlayerGenerate, now: float) -> None:
        """player.generate. Done with the context's id when the request is written, or held until the socket is open."""
        player = self._realtime(step)
        if player is None:
            return

        def asked(done: link.Done, at: float) -> None:
            if done.ok:
                step.done({"context_id": done.result.get("context_id", "")})
            else:
                step.fail(done.code, done.message)

        request = {**player.request, **args.request}
        self._session.send_plane(link.SpeechRequest(player.unit, request, self._session.confirm(asked)))

    def cancel(self, step: Step, args: PlayerCancel, now: float) -> None:
        """player.cancel_context."""
        player = self._realtime(step)
        if player is not None:
            token = self._session.settling(step)
            self._session.send_plane(link.SpeechCancel(player.unit, args.context_id, token))

    def clear(self, step: Step, args: PlayerSimple, now: float) -> None:
        """player.clear."""
        player = self._realtime(step)
        if player is not None:
            self._session.send_plane(link.SpeechClear(player.unit, self._session.settling(step)))

    def shown(self, command: Command, args: dict[str, Any]) -> dict[str, Any]:
        """A command's arguments as the timeline may have them: without the texts of a private player."""
        if command.type == "player.create_realtime" and args.get("privacy"):
            return {**args, "text": "private"}
        if command.type == "player.generate" and command.target in self._private:
            return {"request": "private"}
        return args

    # --- parts

    def _note_privacy(self, name: str, private: bool) -> None:
        if private:
            self._private.add(name)
        else:
            self._private.discard(name)

    def _key_of(self, args: RealtimePlayerCreate) -> SecretReference | str:
        """The key of the command, else that of [speech]."""
        if args.api_key is not None:
            return args.api_key
        reference = self._session.services.config.speech.api_key
        if reference is not None and reference.kind == "secret":
            return SecretReference(reference.name)
        return SecretReference("CARTESIA_API_KEY")

    def _defaults(self) -> Mapping[str, Any]:
        """Voice, model and language of [speech], where Sonic speaks there."""
        speech = self._session.services.config.speech
        if speech.engine != "sonic":
            return {}
        found: dict[str, Any] = {"model_id": speech.model, "voice": {"mode": "id", "id": speech.voice}}
        return {**found, "language": speech.language} if speech.language else found

    def _realtime(self, step: Step) -> Player | None:
        player = self._session.players.get(step.command.target or "")
        if player is None:
            step.fail("object_ended", f"player {step.command.target!r} is over")
        elif not player.realtime:
            step.fail("refused", f"player {player.name!r} is no realtime player: it takes no requests")
        else:
            return player
        return None
