"""What a scenario's test can say of players."""

from pathlib import Path

import numpy as np

from cordboard.media.wav import write_pcm16
from cordboard.testing import Edge

FUNCTION = """
from cordboard.scenario import AppEvents, CallEvents, Scenario, Session, VoxEngine, events

scenario = Scenario("desk")


@scenario.on(AppEvents.CallAlerting)
async def alerting(session: Session[None], event: events.CallAlerting) -> None:
    event.call.answer()
    VoxEngine.create_url_player("hold.wav", name="hold", loop=True).send_media_to(event.call)
    VoxEngine.set_timeout("news", seconds=2)


@scenario.on(AppEvents.Timer)
async def news(session: Session[None], event: events.Timer) -> None:
    session.calls["caller"].start_playback("https://news.example/latest.wav")


@scenario.on(CallEvents.PlaybackFinished)
async def over(session: Session[None], event: events.PlaybackFinished) -> None:
    event.call.say(event.error or "That was the news.")
    event.call.hangup(after="playout")


handler = scenario.lambda_handler()
"""
TEMPLATE = """
AWSTemplateFormatVersion: "2010-09-09"
Resources:
  Desk:
    Type: AWS::Serverless::Function
    Properties: {Handler: desk.handler, CodeUri: functions/, Timeout: 10}
"""


def desk(folder: Path) -> Edge:
    (folder / "functions").mkdir()
    (folder / "functions" / "desk.py").write_text(FUNCTION)
    (folder / "template.yaml").write_text(TEMPLATE)
    (folder / "cordboard.toml").write_text('[[routes]]\nto = "*"\nscenario = "desk"\n')
    (folder / "prompts").mkdir()
    write_pcm16(folder / "prompts" / "hold.wav", np.zeros(8000, np.int16), 8000)
    return Edge(folder / "template.yaml")


def test_a_test_says_what_a_caller_hears(tmp_path: Path) -> None:
    edge = desk(tmp_path)
    edge.sound("https://news.example/latest.wav", 2.0)
    caller = edge.call("+15551234567", to="+18005550100")
    edge.advance(0.5)
    assert caller.hears("hold.wav")
    assert not caller.hears("That was the news.")
    edge.advance(1)
    assert caller.hears("https://news.example/latest.wav")
    assert not caller.hears("hold.wav")
    edge.advance(5)
    assert caller.state == "ended"
    assert not caller.hears("hold.wav")
    news, bye = "https://news.example/latest.wav", "That was the news."
    assert list(caller.heard) == ["hold.wav", news, "hold.wav", bye], "the music is back until the good-bye is ready"
    edge.verify()
    edge.close()


def test_a_test_takes_a_sound_away(tmp_path: Path) -> None:
    edge = desk(tmp_path)
    edge.sound("https://news.example/latest.wav", error="404 Not Found")
    caller = edge.call("+15551234567", to="+18005550100")
    edge.advance(2.3)
    assert caller.hears("https://news.example/latest.wav: 404 Not Found")
    edge.advance(6)
    assert caller.state == "ended"
    edge.verify()
    edge.close()
