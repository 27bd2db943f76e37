"""A card number and a PIN through every process: the handler has them, nothing on disk does, not even the sound."""

import asyncio
import json
from pathlib import Path

import numpy as np

from cordboard.demo.stage import CALLER, Stage
from cordboard.media.analysis import dominant_tone
from cordboard.media.samples import Samples, level_dbfs
from cordboard.media.tones import sine
from cordboard.media.wav import read_wav, write_pcm16
from cordboard.phone.softphone import Softphone

HERE = Path(__file__).parent
RATE = 8000
CONSENT, CARD_PROMPT, PIN_PROMPT, END, VOICE = 700.0, 1000.0, 1500.0, 1900.0, 440.0
CARD, PIN = "4929123456781234", "7698057698"  # the PIN comes by INFO, where a key that RTP told just before counts once


class PaymentStage(Stage):
    """No agent; prompts are tones, and recordings are announced by one."""

    async def _start_line(self) -> None:
        folder = self.out / "prompts"
        folder.mkdir()
        for name, hz in (("consent", CONSENT), ("card", CARD_PROMPT), ("pin", PIN_PROMPT), ("end", END)):
            write_pcm16(folder / f"{name}.wav", sine(hz, 0.6, RATE), RATE)

    def _text(self) -> str:
        return super()._text() + '[recording]\nannounce = "prompts/consent.wav"\n'


async def story(out: Path) -> Path:
    async with Softphone(user=CALLER) as phone:
        stage = PaymentStage(out, HERE / "gather" / "template.yaml", phone.address, "payment")
        async with stage:
            call = await phone.call(stage.target)
            call.play(sine(VOICE, 30.0, RATE))
            await call.hears_tone(CONSENT, within=10)
            await call.hears_tone(CARD_PROMPT, within=10)
            await call.send_digits(CARD)
            await call.hears_tone(PIN_PROMPT, within=10)
            for key in PIN:
                call.send_info("application/dtmf-relay", f"Signal={key}\r\nDuration=160\r\n".encode())
            await call.hears_tone(END, within=10)
            await call.wait_ended(10)
            assert call.ended_by == "them"
    [folder] = list((stage.data / "calls").iterdir())
    return folder


def windows(sound: Samples) -> list[int]:
    """Each tenth of a second: its tone in Hz to the ten, 0 for silence, -1 for what is neither."""
    found = []
    for start in range(0, sound.size - RATE // 10, RATE // 10):
        window = sound[start : start + RATE // 10]
        tone = dominant_tone(window, RATE)
        found.append(0 if not window.any() else int(round(tone.hz, -1)) if tone.share > 0.8 else -1)
    return found


def check(folder: Path) -> None:
    timeline = json.loads((folder / "timeline.json").read_text())["entries"]
    told = {entry["what"]: entry.get("data", {}) for entry in timeline}
    assert told["call.gathered:card"]["digits"] == told["call.gathered:pin"]["digits"] == "***"
    assert told["call.gathered:card"]["reason"] == told["call.gathered:pin"]["reason"] == "complete"
    assert "paid" in told
    assert told["recording paused"]["reason"] == "secret gather"
    begin, end = told["recording paused"]["position"], told["recording goes on"]["position"]
    sound = read_wav(folder / "recording.wav").samples
    assert sound.shape[1] == 2
    millisecond = RATE // 1000  # the timeline's resolution
    silent = sound[round(begin * RATE) + millisecond : round(end * RATE) - millisecond]
    assert silent.size > 2 * 4 * RATE
    assert not silent.any()
    left, right = (windows(np.ascontiguousarray(sound[:, side])) for side in (0, 1))
    assert round(VOICE, -1) in left[round(end * 10) + 1 :]
    assert round(END, -1) in right[round(end * 10) + 1 :]
    for hz in (CONSENT, CARD_PROMPT, PIN_PROMPT):  # the announcement is not recorded, the prompts are a secret's
        assert round(hz, -1) not in right
    assert level_dbfs(np.ascontiguousarray(sound[:, 1])) > -40


def test_nothing_that_is_written_holds_the_digits(tmp_path: Path) -> None:
    check(asyncio.run(story(tmp_path)))
    searched = [path for path in tmp_path.rglob("*") if path.is_file()]
    names = {path.name for path in searched}
    assert {"timeline.jsonl", "timeline.json", "journal.jsonl", "record.json", "edge.log"} <= names
    assert any(name.endswith(".sqlite") for name in names)
    for path in searched:
        content = path.read_bytes()
        assert CARD.encode() not in content, path
        assert PIN.encode() not in content, path
        assert b"Signal=" not in content, path
