"""The script's TOML: what it means, and errors that name the key and the agent."""

from __future__ import annotations

from pathlib import Path

import pytest

from cordboard.line import script
from cordboard.line.main import DEMO
from cordboard.line.script import load, parse
from cordboard.line.steps import STEPS, Abort, ClientTool, Close, Pause, Raw, Say, Send, Text, Tone, Tool, Wait, WavFile
from cordboard.line.tables import ScriptError
from cordboard.media.samples import Samples
from cordboard.media.tones import beep
from cordboard.media.wav import write_pcm16


def steps(text: str, folder: Path = Path()) -> tuple[object, ...]:
    blocks = "\n".join(f"[[agents.a.steps]]\n{line}" for line in text.splitlines() if line)
    return parse("[agents.a]\n" + blocks, folder).agents["a"].steps


def test_every_step_is_read(tmp_path: Path) -> None:
    sound: Samples = beep(8000)
    write_pcm16(tmp_path / "x.wav", sound, 8000)
    found = steps(
        """
wait = "speech"
wait = {dtmf = "5"}
wait = 2
say = "Hello"
wav = "x.wav"
tone = {hz = 440, seconds = 1.5}
tool = {url = "metadata.u", body = {action = "end_call"}}
tool_call = {name = "find_table", arguments = {seats = 2}}
tool_call = {name = "note", expects_response = false, timeout = 0.5}
dtmf = "#"
custom = {stage = "x"}
transfer_call = "+14155550123"
transfer_call = "sip:a@b"
clear = true
error = {message = "slow"}
raw = "garbage"
drop = {code = 1011, reason = "x"}
drop = "abort"
end = "goodbye"
end = ""
""",
        tmp_path,
    )
    assert found == (
        Wait("speech"),
        Wait("dtmf", "5"),
        Pause(2.0),
        Say(Text("Hello")),
        Say(WavFile(tmp_path / "x.wav")),
        Say(Tone(440.0, 1.5)),
        Tool("metadata.u", {"action": "end_call"}),
        ClientTool("find_table", {"seats": 2}, True, 5.0),
        ClientTool("note", {}, False, 0.5),
        Send({"event": "dtmf", "dtmf": "#"}),
        Send({"event": "custom", "metadata": {"stage": "x"}}),
        Send({"event": "transfer_call", "transfer": {"target_phone_number": "+14155550123"}}),
        Send(
            {
                "event": "transfer_call",
                "transfer": {"target_sip_uri": "sip:a@b"},
                "transfer_destination": {"type": "sip", "value": "sip:a@b"},
            }
        ),
        Send({"event": "clear"}),
        Send({"type": "error", "message": "slow"}),
        Raw("garbage"),
        Close(1011, "x"),
        Abort(),
        Close(1000, "call ended by agent, reason: goodbye"),
        Close(1000, "call ended by agent"),
    )


def test_an_agents_keys_and_defaults() -> None:
    found = parse(
        '[speech]\nengine = "tones"\n[agents.a]\n[agents.b]\ngreeting = {tone = {hz = 660, seconds = 4}}\n'
        'barge_in = false\ndelivery = "as_available"\nchunk_ms = 20\nidle_seconds = 5\nack = false\nack_delay = 1\n'
        'refuse = 429\nturn_events = false\nthreshold_dbfs = -30\nstart_seconds = 2\nvariables = ["name"]\n'
        "background_sound = true\n",
        Path(),
    )
    assert found.engine == "tones"
    a, b = found.agents["a"], found.agents["b"]
    assert (a.greeting, a.barge_in, a.delivery, a.idle_seconds, a.ack) == (None, True, "speaking_pace", None, True)
    assert (b.greeting, b.barge_in, b.delivery, b.idle_seconds, b.ack) == (
        Tone(660, 4),
        False,
        "as_available",
        5.0,
        False,
    )
    assert (b.chunk_ms, b.ack_delay, b.refuse, b.turn_events, b.threshold_dbfs) == (20, 1.0, 429, False, -30.0)
    assert (a.start_seconds, a.variables, a.background_sound) == (10.0, (), False)
    assert (b.start_seconds, b.variables, b.background_sound) == (2.0, ("name",), True)
    assert found.sounds() == [Tone(660, 4)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "agents: at least one"),
        ("x = [", "not TOML"),
        ("other = 1\n[agents.a]", "other: unknown key"),
        ("agents = 3", "agents: must be a table"),
        ("[agents]\na = 3", "agents.a: must be a table"),
        ('[speech]\nengine = "loud"\n[agents.a]', "speech.engine: must be one of auto"),
        ('[speech]\nvoice = "-x"\n[agents.a]', "speech.voice"),
        ("[speech]\nspeed = 1\n[agents.a]", "speech.speed: unknown key"),
        ("[agents.a]\ngreet = 1", "agents.a.greet: unknown key"),
        ("[agents.a]\ngreeting = 1", "agents.a.greeting: must be a text"),
        ('[agents.a]\ngreeting = ""', "agents.a.greeting: must be a text of 1 to 2000"),
        ("[agents.a]\ngreeting = {}", "agents.a.greeting: must be a text, {wav"),
        ('[agents.a]\ngreeting = {wav = "nowhere.wav"}', "agents.a.greeting.wav: no such file"),
        ("[agents.a]\ngreeting = {tone = {hz = 5, seconds = 1}}", "agents.a.greeting.tone.hz: must be between"),
        ("[agents.a]\ngreeting = {tone = {hz = 500}}", "agents.a.greeting.tone.seconds: must be between"),
        ("[agents.a]\ngreeting = {tone = {hz = 500, seconds = 1, x = 1}}", "agents.a.greeting.tone.x: unknown key"),
        ('[agents.a]\nbarge_in = "yes"', "agents.a.barge_in: must be of type bool"),
        ("[agents.a]\nchunk_ms = 200", "agents.a.chunk_ms: must be between 20 and 100"),
        ("[agents.a]\nidle_seconds = true", "agents.a.idle_seconds: must be of type float"),
        ('[agents.a]\ndelivery = "fast"', "agents.a.delivery: must be one of"),
        ("[agents.a]\nrefuse = 200", "agents.a.refuse: must be an HTTP status"),
        ("[agents.a]\nsteps = 1", "agents.a.steps: must be of type list"),
        ("[agents.a]\nsteps = [1]", "agents.a.steps[1]: must be a table"),
        ("[[agents.a.steps]]", "agents.a.steps[1]: must have exactly one key"),
        ('[[agents.a.steps]]\nsay = "x"\nwait = 1', "agents.a.steps[1]: must have exactly one key"),
        ("[[agents.a.steps]]\nwait = 1\n[[agents.a.steps]]\nshout = 1", "agents.a.steps[2].shout: unknown step"),
        ('[[agents.a.steps]]\nwait = "rain"', "agents.a.steps[1].wait: must be one of"),
        ("[[agents.a.steps]]\nwait = -1", "agents.a.steps[1].wait: must be between"),
        ("[[agents.a.steps]]\nwait = []", "agents.a.steps[1].wait: must be one of"),
        ('[[agents.a.steps]]\nwait = {dtmf = "A"}', "agents.a.steps[1].wait.dtmf: must be one of 0-9"),
        ('[[agents.a.steps]]\nwait = {dtmf = "1", x = 1}', "agents.a.steps[1].wait.x: unknown key"),
        ('[[agents.a.steps]]\ndtmf = "12"', "agents.a.steps[1].dtmf: must be one of 0-9"),
        ("[agents.a]\nvariables = [1]", "agents.a.variables: must be a list of names"),
        ("[[agents.a.steps]]\ntool_call = {}", "agents.a.steps[1].tool_call.name: must name"),
        ('[[agents.a.steps]]\ntool_call = {name = "x", timeout = -1}', "agents.a.steps[1].tool_call.timeout"),
        ('[[agents.a.steps]]\ntool_call = {name = "x", args = {}}', "agents.a.steps[1].tool_call.args: unknown key"),
        ("[[agents.a.steps]]\ntool_call = 3", "agents.a.steps[1].tool_call: must be a table"),
        ('[[agents.a.steps]]\ntool = {url = "ftp://x"}', "agents.a.steps[1].tool.url"),
        ('[[agents.a.steps]]\ntool = {url = "http://x", head = 1}', "agents.a.steps[1].tool.head: unknown key"),
        ('[[agents.a.steps]]\ntool = {url = "http://x", body = {x = nan}}', "agents.a.steps[1].tool.body: has no JSON"),
        ("[[agents.a.steps]]\ncustom = {t = 2026-01-01}", "agents.a.steps[1].custom: has no JSON form"),
        ('[[agents.a.steps]]\ntransfer_call = ""', "agents.a.steps[1].transfer_call: must be a phone number"),
        ("[[agents.a.steps]]\nclear = false", "agents.a.steps[1].clear: can only be true"),
        ('[[agents.a.steps]]\ndrop = "x"', "agents.a.steps[1].drop: must be"),
        ("[[agents.a.steps]]\ndrop = {code = 1006}", "agents.a.steps[1].drop.code: is no close code"),
        ("[[agents.a.steps]]\nend = '" + "x" * 120 + "'", "agents.a.steps[1].end: is longer"),
    ],
)
def test_errors_name_the_key(text: str, told: str) -> None:
    with pytest.raises(ScriptError) as caught:
        parse(text, Path())
    assert told in str(caught.value)


def test_an_unreadable_file_is_a_script_error(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match=r"nothing\.toml"):
        load(tmp_path / "nothing.toml")


def test_the_demo_script_has_its_three_agents() -> None:
    demo = load(DEMO)
    assert set(demo.agents) == {"demo-transfer", "demo-end", "demo-drop"}
    assert Tool("metadata.vox_session_control_url", {"action": "call_transfer"}) in demo.agents["demo-transfer"].steps
    assert Tool("metadata.vox_session_control_url", {"action": "end_call"}) in demo.agents["demo-end"].steps
    assert demo.agents["demo-drop"].steps[-1] == Abort()


def test_each_step_is_explained() -> None:
    assert script.__doc__ is not None
    for key in STEPS:
        assert f"    {key} = " in script.__doc__
