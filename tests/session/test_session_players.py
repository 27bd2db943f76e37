"""Who is heard when players come and go: the newest command wins, and what was heard before comes back."""

from typing import Any

import pytest

from cordboard.contract import link
from cordboard.session import effects

from .session_bench import Answer, Bench, Handler, Round, with_agent

SOUNDS = {"music": {"kind": "url", "content": "hold.wav"}, "text": {"kind": "text", "content": "one moment"}}


def acts(*commands: tuple[str, str, dict[str, Any]]) -> Handler:
    def handler(made: Round) -> Answer:
        for type_, target, args in commands:
            made.command(type_, target, **args)
        return made.done()

    return handler


def create(name: str) -> tuple[str, str, dict[str, Any]]:
    return "player.create", name, {"sound": SOUNDS["music"]}


def send(source: str, sink: str = "caller") -> tuple[str, str, dict[str, Any]]:
    return "media.send", f"{source}+{sink}", {"source": source, "sink": sink}


def unsend(source: str, sink: str = "caller") -> tuple[str, str, dict[str, Any]]:
    return "media.stop", f"{source}+{sink}", {"source": source, "sink": sink}


def say(name: str = "say") -> tuple[str, str, dict[str, Any]]:
    return "call.say", "caller", {"sound": SOUNDS["text"], "name": name}


def stop(name: str) -> tuple[str, str, dict[str, Any]]:
    return "player.stop", name, {}


class Desk:
    """A call with an agent, whose handler does what a test says, digit by digit; sounds get ready when told."""

    def __init__(self) -> None:
        self.plan: list[Handler] = []
        self.bench = Bench(call_alerting=with_agent, call_tone=lambda made: self.plan.pop(0)(made), command_failed=None)
        self.bench.caller.call()
        self.told = len(self.bench.plane.got)

    def do(self, *commands: tuple[str, str, dict[str, Any]]) -> None:
        self.plan.append(acts(*commands))
        self.bench.plane.tell(link.LegDigit(f"{self.bench.sid}/caller", "1", "", False))

    def ready(self, *numbers: int) -> None:
        """The sounds that were asked for with these commands, in this order."""
        asked = [each for each in self.bench.effects if isinstance(each, effects.PreparePrompt)]
        for number in numbers:
            self.bench.engine.prompt_ready(asked[number].request, "/prompt", self.bench.now)
            self.bench.pump()

    def unit(self, name: str) -> str:
        session = self.bench.engine._sessions[self.bench.sid]
        player = session.players.get(name)
        assert player is not None
        return player.unit

    def ended(self, unit: str, how: Any = "stopped", reason: str = "") -> None:
        self.bench.plane.tell(link.PlayerSaid(unit, how, 0.0, reason))

    @property
    def heard(self) -> list[str]:
        """What the plane was told since the last time."""
        found: list[str] = []
        for message in self.bench.plane.got[self.told :]:
            match message:
                case link.Route(source, sink):
                    found.append(f"{name(source)} to {name(sink)}")
                case link.Unroute(source, sink):
                    found.append(f"{name(source)} not to {name(sink)}")
                case link.PlayOver(player, leg):
                    found.append(f"{name(player)} over {name(leg)}")
                case link.PlayerClose(player, reason):
                    found.append(f"{name(player)} ends: {reason}")
        self.told = len(self.bench.plane.got)
        return found


def name(unit: str) -> str:
    return unit.partition("/")[2].partition("~")[0]


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize("how", ["finished", "failed", "stopped"])
def test_the_agent_is_heard_again_when_a_routed_player_ends(desk: Desk, how: str) -> None:
    desk.do(create("music"), send("music"))
    desk.ready(0)
    assert desk.heard == ["music to caller"]
    desk.ended(desk.unit("music"), how)
    assert desk.heard == ["agent to caller"]
    [note] = desk.bench.noted("the former source is back")
    assert note.data == {"leg": "caller", "source": "agent"}


def test_players_come_back_one_by_one(desk: Desk) -> None:
    desk.do(create("one"), send("one"), create("two"), send("two"))
    desk.ready(0, 1)
    assert desk.heard == ["two to caller"], "one of which both are on their way is newer"
    desk.do(send("one"))
    units = [desk.unit(each) for each in ("one", "two")]
    assert desk.heard == ["one to caller"]
    desk.ended(units[0])
    assert desk.heard == ["two to caller"]
    desk.ended(units[1])
    assert desk.heard == ["agent to caller"]


def test_a_player_that_ended_beneath_does_not_come_back(desk: Desk) -> None:
    desk.do(create("one"), send("one"))
    desk.ready(0)
    desk.do(create("two"), send("two"))
    desk.ready(1)
    units = [desk.unit(each) for each in ("one", "two")]
    desk.ended(units[0])
    assert desk.heard == ["one to caller", "two to caller"]
    desk.ended(units[1])
    assert desk.heard == ["agent to caller"]


def test_music_that_is_unrouted_gives_back_the_agent(desk: Desk) -> None:
    desk.do(create("music"), send("music"))
    desk.ready(0)
    desk.do(unsend("music"))
    assert desk.heard == ["music to caller", "music not to caller", "agent to caller"]


def test_an_agent_that_is_unrouted_or_gone_beneath_music_stays_away(desk: Desk) -> None:
    desk.do(create("music"), send("music"))
    desk.ready(0)
    desk.do(unsend("agent"))
    assert desk.heard == ["music to caller", "agent not to caller"]
    desk.ended(desk.unit("music"))
    assert desk.heard == []

    gone = Desk()
    gone.do(create("music"), send("music"))
    gone.ready(0)
    gone.bench.plane.gone(f"{gone.bench.sid}/agent", 1000, "", "agent")
    gone.bench.pump()
    gone.ended(gone.unit("music"))
    assert gone.heard == ["music to caller"]


def test_a_source_that_is_routed_over_music_is_heard_for_good(desk: Desk) -> None:
    desk.do(create("music"), send("music"))
    desk.ready(0)
    desk.do(send("agent"))
    unit = desk.unit("music")
    assert desk.heard == ["music to caller", "agent to caller"]
    desk.ended(unit)
    assert desk.heard == []


def test_music_that_goes_to_another_call_gives_back_the_agent(desk: Desk) -> None:
    desk.do(("call.dial", "consult", {"to": "+15550009", "callerid": "+15550001111"}))
    desk.bench.run(1)
    desk.do(create("music"), send("music"))
    desk.ready(0)
    desk.do(send("music", "consult"))
    assert desk.heard == ["music to caller", "music to consult", "agent to caller"]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_music_and_a_text_over_it_whichever_is_ready_first(desk: Desk, order: tuple[int, int]) -> None:
    desk.do(create("music"), send("music"), say())
    desk.ready(*order)
    heard = desk.heard
    desk.ended(desk.unit("say"), "finished")
    if order == (0, 1):  # the plane knows what was heard before
        assert heard == ["music to caller", "say over caller"]
        assert desk.heard == []
    else:
        assert heard == ["say over caller"]
        assert desk.heard == ["music to caller"]
    desk.ended(desk.unit("music"))
    assert desk.heard == ["agent to caller"]


def test_music_that_ends_beneath_a_text_gives_back_the_agent_after_it(desk: Desk) -> None:
    desk.do(create("music"), send("music"), say())
    desk.ready(0, 1)
    desk.ended(desk.unit("music"))
    assert desk.heard == ["music to caller", "say over caller"]
    desk.ended(desk.unit("say"), "finished")
    assert desk.heard == ["agent to caller"]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_music_that_comes_after_a_text_ends_it(desk: Desk, order: tuple[int, int]) -> None:
    desk.do(say(), create("music"), send("music"))
    desk.ready(*order)
    assert desk.heard[-1] == "music to caller"
    desk.ended(desk.unit("music"))
    assert desk.heard == ["agent to caller"]


def test_a_call_that_is_being_hung_up_after_playout_gets_nothing_back(desk: Desk) -> None:
    desk.do(create("music"), send("music"))
    desk.ready(0)
    unit = desk.unit("music")
    desk.do(("call.hangup", "caller", {"after": "playout"}))
    assert desk.heard == ["music to caller"]
    desk.ended(unit, "finished")
    assert desk.heard == []
