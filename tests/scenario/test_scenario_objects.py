"""Members of objects and namespaces: the command each one emits, or the NotSupported it raises."""

import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from tests.scenario.rounds import AGENT, CALLER, CONTROL_URL, Played, invocation, played

from cordboard.contract.records import ObjectRecord
from cordboard.scenario import (
    AgentsClient,
    AppEvents,
    Call,
    Cartesia,
    ControlUrl,
    NotSupported,
    OutsideTurn,
    RealtimeTTSPlayer,
    Scenario,
    Secret,
    Session,
    VoxEngine,
    events,
)

MUSIC = ObjectRecord("music", "player", "p-1", "PLAYING")
TTS = ObjectRecord("tts", "realtime_player", "p-2", "READY")
RECORDING = ObjectRecord("recording", "recording", "r-1", "ACTIVE")
ENDED = ObjectRecord("old", "call", "leg-0", "TERMINATED")
CLOSED = ObjectRecord("closed", "agent", "ws-0", "CLOSED")
Act = Callable[[Session[None]], object]


def act(what: Act, results: dict[str, Any] | None = None) -> Played:
    """Play one event whose handler does `what`."""
    scenario = Scenario("s")

    @scenario.on(AppEvents.Timer)
    async def on_timer(session: Session[None], event: events.Timer) -> None:
        made = what(session)
        if hasattr(made, "__await__"):
            await made

    asked = invocation("timer", "t", {"timer": "t"}, objects=(CALLER, AGENT, RECORDING, MUSIC, TTS, ENDED, CLOSED))
    return played(scenario, asked, results)


def caller(session: Session[None]) -> Call:
    return session.calls["caller"]


def agent(session: Session[None]) -> AgentsClient:
    return session.agents["agent"]


def tts(session: Session[None]) -> RealtimeTTSPlayer:
    player = session.players["tts"]
    assert isinstance(player, RealtimeTTSPlayer)
    return player


COMMANDS: list[tuple[Act, str, str | None, dict[str, Any]]] = [
    (lambda s: caller(s).ring(), "call.ring", "caller", {"headers": {}}),
    (lambda s: caller(s).start_early_media(headers={"X-A": "b"}), "call.early_media", "caller",
     {"headers": {"X-A": "b"}}),
    (lambda s: caller(s).answer(), "call.answer", "caller", {"headers": {}}),
    (lambda s: caller(s).reject(486), "call.reject", "caller", {"code": 486, "headers": {}}),
    (lambda s: caller(s).hangup(after="playout"), "call.hangup", "caller", {"after": "playout", "headers": {}}),
    (lambda s: caller(s).record(stereo=True), "call.record", "caller",
     {"name": "recording", "hd_audio": False, "stereo": True}),
    (lambda s: caller(s).send_digits("12#"), "call.send_digits", "caller", {"digits": "12#"}),
    (lambda s: caller(s).handle_tones(False), "call.handle_tones", "caller", {"on": False}),
    (lambda s: s.recordings["recording"].stop(), "record.stop", "recording", {}),
    (lambda s: s.recordings["recording"].pause(reason="card"), "record.pause", "recording", {"reason": "card"}),
    (lambda s: s.recordings["recording"].resume(), "record.resume", "recording", {}),
    (lambda s: caller(s).gather("pin", max_digits=4, prompt="Your PIN.", repeat=1, secret=True), "call.gather",
     "caller",
     {"name": "pin", "max_digits": 4, "finish_on": "#", "timeout": 5.0, "prompt": ["Your PIN."], "repeat": 1,
      "secret": True}),
    (lambda s: caller(s).gather("menu", prompt=["a.wav", "Or stay."]), "call.gather", "caller",
     {"name": "menu", "max_digits": 1, "finish_on": "#", "timeout": 5.0, "prompt": ["a.wav", "Or stay."], "repeat": 0,
      "secret": False}),
    (lambda s: caller(s).send_media_to(agent(s), tag="t"), "media.send", "caller+agent",
     {"source": "caller", "sink": "agent", "tag": "t"}),
    (lambda s: agent(s).stop_media_to(caller(s)), "media.stop", "agent+caller", {"source": "agent", "sink": "caller"}),
    (lambda s: VoxEngine.send_media_between(caller(s), agent(s)), "media.bridge", "caller+agent",
     {"a": "caller", "b": "agent"}),
    (lambda s: VoxEngine.stop_media_between(caller(s), agent(s)), "media.unbridge", "caller+agent",
     {"a": "caller", "b": "agent"}),
    (lambda s: agent(s).start(metadata={"url": s.access_secure_url}), "agent.start", "agent",
     {"metadata": {"url": CONTROL_URL}, "config": {}, "agent": {}}),
    (lambda s: agent(s).custom({"a": [1]}), "agent.custom", "agent", {"metadata": {"a": [1]}}),
    (lambda s: agent(s).dtmf("5"), "agent.dtmf", "agent", {"digits": "5"}),
    (lambda s: agent(s).clear_media_buffer(), "agent.clear", "agent", {}),
    (lambda s: agent(s).close(), "agent.close", "agent", {}),
    (lambda s: VoxEngine.call_pstn("+1800", "+1555", name="consult", follow_diversion=True), "call.dial", "consult",
     {"to": "+1800", "callerid": "+1555", "display_name": "", "timeout": 60.0, "follow_diversion": True,
      "headers": {}}),
    (lambda s: VoxEngine.call_sip("sip:a@b", name="desk", trunk="main", timeout=20), "call.dial", "desk",
     {"to": "sip:a@b", "callerid": "", "display_name": "", "timeout": 20, "trunk": "main", "follow_diversion": False,
      "headers": {}}),
    (lambda s: caller(s).say("Hello.", voice="en-gb"), "call.say", "caller",
     {"sound": {"kind": "text", "content": "Hello.", "voice": "en-gb"}, "name": "say", "loop": False}),
    (lambda s: caller(s).start_playback("hold.wav", loop=True), "call.play", "caller",
     {"sound": {"kind": "url", "content": "hold.wav"}, "name": "playback", "loop": True}),
    (lambda s: caller(s).play_progress_tone("RU"), "call.play", "caller",
     {"sound": {"kind": "tones", "content": "425@-19;*(1/4/1)"}, "name": "tone", "loop": True}),
    (lambda s: VoxEngine.create_url_player("https://a/b.wav", name="music", on_pause=True), "player.create", "music",
     {"sound": {"kind": "url", "content": "https://a/b.wav"}, "loop": False, "on_pause": True}),
    (lambda s: VoxEngine.create_tts_player("Hi.", name="hi"), "player.create", "hi",
     {"sound": {"kind": "text", "content": "Hi."}, "loop": False, "on_pause": False}),
    (lambda s: VoxEngine.create_tone_script_player("440@-19;1(*/0/1)", name="beep"), "player.create", "beep",
     {"sound": {"kind": "tones", "content": "440@-19;1(*/0/1)"}, "loop": False, "on_pause": False}),
    (lambda s: Cartesia.create_realtime_tts_player("Hi.", api_key=s.secret("KEY")), "player.create_realtime", "tts",
     {"text": "Hi.", "api_key": {"secret": "KEY"}, "request": {}, "privacy": False}),
    (lambda s: s.players["music"].stop(), "player.stop", "music", {}),
    (lambda s: s.players["music"].pause(), "player.pause", "music", {}),
    (lambda s: s.players["music"].resume(), "player.resume", "music", {}),
    (lambda s: s.players["music"].add_marker(-1.5), "player.add_marker", "music", {"offset": -1.5}),
    (lambda s: s.players["music"].send_media_to(caller(s)), "media.send", "music+caller",
     {"source": "music", "sink": "caller"}),
    (lambda s: tts(s).generation_request({"transcript": "more"}).id, "player.generate", "tts",
     {"request": {"transcript": "more"}}),
    (lambda s: tts(s).cancel_context_request("c1"), "player.cancel_context", "tts", {"context_id": "c1"}),
    (lambda s: tts(s).clear_buffer(), "player.clear", "tts", {}),
    (lambda s: VoxEngine.set_timeout("nag", seconds=5), "timer.set", "nag", {"seconds": 5}),
    (lambda s: VoxEngine.clear_timeout("nag"), "timer.clear", "nag", {}),
    (lambda s: VoxEngine.terminate(), "session.terminate", None, {}),
    (lambda s: s.control_url(verbs=["end_call"], to=["+1*"], uses=1, expires_in=60),
     "control_url.mint", None, {"verbs": ["end_call"], "to": ["+1*"], "uses": 1, "expires_in": 60}),
    (lambda s: s.control_url(), "control_url.mint", None, {}),
    (lambda s: Cartesia.create_agents_client(api_key=s.secret("KEY"), agent_id="a", cartesia_version="v"),
     "agent.create", "agent",
     {"api_key": {"secret": "KEY"}, "agent_id": "a", "version": "v", "privacy": False}),
]  # fmt: skip


@pytest.mark.parametrize(("what", "type_", "target", "args"), COMMANDS, ids=[row[1] for row in COMMANDS])
def test_a_member_emits_its_command(what: Act, type_: str, target: str | None, args: dict[str, Any]) -> None:
    event = act(what, {"control_url.mint": {"url": "https://edge.example/control/n4rr0w"}})
    (command,) = event.answers[0].commands
    assert (command.type, command.target, command.args) == (type_, target, args)
    assert command.line.startswith("scenario/test_scenario_objects.py:")
    assert event.last.status == "done"


def test_a_narrow_control_url_prints_without_its_token_and_travels_whole() -> None:
    seen: list[str] = []
    scenario = Scenario("s")

    @scenario.on(AppEvents.Timer)
    async def on_timer(session: Session[None], event: events.Timer) -> None:
        url = await session.control_url(verbs=["end_call"])
        seen.append(f"{url}")
        agent(session).custom({"url": url + "/end_call"})

    asked = invocation("timer", "t", {"timer": "t"}, objects=(CALLER, AGENT))
    event = played(scenario, asked, {"control_url.mint": {"url": "https://edge.example/control/n4rr0w"}})
    assert seen == ["https://edge.example/control/***"]
    assert event.last.commands[0].args == {"metadata": {"url": "https://edge.example/control/n4rr0w/end_call"}}


MISSING: list[Act] = [
    lambda s: caller(s).send_message("x"),
    lambda s: caller(s).send_info("text/plain", "x"),
    lambda s: caller(s).hold(),
    lambda s: caller(s).unhold(),
    lambda s: VoxEngine.transfer(caller(s), "+1"),
    lambda s: VoxEngine.call_user("u", name="n"),
]


@pytest.mark.parametrize("what", MISSING)
def test_a_member_that_is_not_built_raises_when_called(what: Act) -> None:
    def call(session: Session[None]) -> None:
        with pytest.raises(NotSupported, match="not built in this release"):
            what(session)

    event = act(call)
    assert (event.last.status, event.commands) == ("done", [])


WRONG: list[tuple[Act, str]] = [
    (lambda s: caller(s).reject(200), "code"),
    (lambda s: caller(s).send_digits("x"), "digits"),
    (lambda s: caller(s).hangup(after="later"), "after"),  # type: ignore[arg-type]
    (lambda s: caller(s).gather("a b"), "name"),
    (lambda s: caller(s).gather("a", max_digits=0), "max_digits"),
    (lambda s: caller(s).gather("a", prompt=["Hello.", " "]), "prompt\\[1\\]"),
    (lambda s: caller(s).say(" "), "text"),
    (lambda s: caller(s).say("x" * 1501), "text"),
    (lambda s: caller(s).say("x", voice="-h"), "voice"),
    (lambda s: caller(s).start_playback("a\nb"), "url"),
    (lambda s: caller(s).play_progress_tone("FR"), "country"),  # type: ignore[arg-type]
    (lambda s: s.players["music"].add_marker(4000), "offset"),
    (lambda s: VoxEngine.create_tts_player("x", name="a+b"), "name"),
    (lambda s: VoxEngine.set_timeout("a", seconds=0), "seconds"),
    (lambda s: VoxEngine.set_timeout("a+b", seconds=1), "name"),
    (lambda s: VoxEngine.call_pstn("", "+1", name="n"), "to"),
    (lambda s: s.control_url(verbs=[]), "verbs"),
    (lambda s: s.control_url(uses=0), "uses"),
    (lambda s: agent(s).start(metadata={"url": f"{s.access_secure_url}/x"}), "join it with \\+"),
    (lambda s: agent(s).custom({"x": float("nan")}), "finite"),
    (lambda s: agent(s).custom({"x": object()}), "object"),  # type: ignore[dict-item]
]


@pytest.mark.parametrize(("what", "part"), WRONG)
def test_arguments_that_do_not_fit_raise_where_they_stand(what: Act, part: str) -> None:
    def call(session: Session[None]) -> None:
        with pytest.raises(ValueError, match=part):
            what(session)

    assert act(call).commands == []


def test_objects_of_the_event_and_objects_it_makes() -> None:
    seen: list[object] = []

    def look(session: Session[None]) -> None:
        call = caller(session)
        seen.append((call.number(), call.callerid(), call.display_name(), call.incoming(), call.state(), call.id()))
        seen.append((call.client_type(), call.headers(), agent(session).web_socket_id(), sorted(session.calls)))
        seen.append((session.calls.get("old"), session.agents.get("closed"), "caller" in session.calls))
        dialled = VoxEngine.call_pstn("+1", "+2", name="consult")
        seen.append((session.calls["consult"] is dialled, dialled.state(), dialled.number(), dialled.incoming()))
        seen.append((caller(session).record(name="two").name, sorted(session.recordings)))
        with pytest.raises(KeyError, match="there: 'caller', 'consult'"):
            _ = session.calls["nobody"]
        with pytest.raises(TypeError, match="takes two units"):
            VoxEngine.send_media_between(call, None)  # type: ignore[arg-type]

    assert act(look).last.status == "done"
    assert seen == [
        ("+18005550100", "+15551234567", "Ann", True, "ALERTING", "leg-1"),
        ("sip", {}, "socket-1", ["caller"]),
        (None, None, True),
        (True, "PROGRESSING", "+1", False),
        ("two", ["recording", "two"]),
    ]


def test_an_awaited_agent_is_live_and_has_the_edges_ids() -> None:
    scenario = Scenario("s")

    @scenario.on(AppEvents.Timer)
    async def on_timer(session: Session[None], event: events.Timer) -> None:
        made = await Cartesia.create_agents_client(api_key="k", agent_id="a", cartesia_version="v", name="second")
        assert session.agents["second"] is made
        assert (made.id(), made.web_socket_id()) == ("ws-9", "socket-9")

    results = {"agent.create": {"id": "ws-9", "web_socket_id": "socket-9"}}
    assert played(scenario, invocation("timer", "t", {"timer": "t"}), results).last.status == "done"


def test_a_kept_object_is_refused_in_a_later_event() -> None:
    scenario = Scenario("s")
    kept: list[Any] = []

    @scenario.on(AppEvents.Timer)
    async def on_timer(session: Session[None], event: events.Timer) -> None:
        if not kept:
            kept.extend([session.calls["caller"], VoxEngine.set_timeout("a", seconds=1)])
            return
        for use in (kept[0].hangup, lambda: VoxEngine.send_media_between(session.calls["caller"], kept[0])):
            with pytest.raises(OutsideTurn, match="not kept between events"):
                use()
        assert kept[0].number() == "+18005550100"
        await kept[1]

    played(scenario, invocation("timer", "t", {"timer": "t"}, seq=1))
    last = played(scenario, invocation("timer", "t", {"timer": "t"}, seq=2)).last
    assert last.error is not None
    assert last.error.type == "OutsideTurn"


def test_a_control_url_prints_without_its_token_and_travels_whole() -> None:
    url = ControlUrl(CONTROL_URL)
    shown = "https://edge.example/control/***"
    assert (str(url), repr(url), f"{url}", f"{url:>5}", f"{url!r}") == (shown, repr(shown), shown, shown, repr(shown))
    assert json.loads(json.dumps(url)) == CONTROL_URL
    joined = url + "/verb"
    assert (str(joined), joined == CONTROL_URL + "/verb") == (shown + "/verb", True)
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(url)


def test_a_secret_has_no_text() -> None:
    secret = Secret("KEY")
    assert repr(secret) == "***"
    uses: list[Callable[[], object]] = [
        lambda: str(secret), lambda: f"{secret}", lambda: json.dumps(secret), lambda: pickle.dumps(secret),
    ]  # fmt: skip
    for use in uses:
        with pytest.raises(TypeError):
            use()
    with pytest.raises(ValueError, match="not empty"):
        Secret("")
