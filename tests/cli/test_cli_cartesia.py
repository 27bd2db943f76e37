"""`cordboard cartesia` against the stand-in's own REST, over real sockets."""

import asyncio
import json
import wave
from pathlib import Path
from typing import Any

import pytest
from tests.line.line_peer import calling
from tests.line.platform.platform_peer import KEY, Stage, play

from cordboard.cli.main import main


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CARTESIA_API_KEY", KEY)
    monkeypatch.chdir(tmp_path)


class Shell:
    """Runs the command line against a stand-in."""

    def __init__(self, ready: Stage, capsys: pytest.CaptureFixture[str]) -> None:
        self._url = f"ws://127.0.0.1:{ready.server.port}"
        self._capsys = capsys

    async def run(self, *words: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(main, ["cartesia", *words, "--base-url", self._url])
        out, err = self._capsys.readouterr()
        return code, out, err

    async def rows(self, *words: str) -> list[dict[str, Any]]:
        code, out, err = await self.run(*words, "--json")
        assert code == 0, err
        return [json.loads(line) for line in out.splitlines()]


async def one_call(ready: Stage) -> str:
    async with calling(ready.server) as peer:
        await peer.start()
        await peer.until("turn_ended")
    return await ready.ended()


def test_a_call_is_listed_read_recorded_and_erased(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def test(ready: Stage) -> None:
        shell = Shell(ready, capsys)
        call = await one_call(ready)
        assert [row["id"] for row in await shell.rows("agents")] == ["a"]
        assert [row["id"] for row in await shell.rows("calls", "a")] == [call]
        (found,) = await shell.rows("call", call)
        assert found["status"] == "completed"
        said = [turn["text"] for turn in await shell.rows("transcript", call) if turn["role"] == "assistant"]
        assert said == ["Hello"]
        code, out, _ = await shell.run("transcript", call)
        assert code == 0
        assert "assistant: Hello" in out
        code, out, _ = await shell.run("calls", "a")
        assert out.splitlines()[0].split() == ["ID", "START_TIME", "STATUS", "END_REASON"]
        assert call in out
        assert (await shell.run("log", call))[0] == 0
        wav = tmp_path / "call.wav"
        code, _, err = await shell.run("recording", call, "-o", str(wav))
        assert code == 0, err
        with wave.open(str(wav)) as file:
            assert file.getnchannels() == 2
            assert file.getnframes() > 0
        assert (await shell.run("erase", call))[0] == 0
        (found,) = await shell.rows("call", call)
        assert found["redacted_at"]

    play(test, folder=tmp_path / "line")


def test_an_agent_is_connected_to_code_of_ones_own_and_disconnected(capsys: pytest.CaptureFixture[str]) -> None:
    async def test(ready: Stage) -> None:
        shell = Shell(ready, capsys)
        (agent,) = await shell.rows("connect", "a", "https://agent.example")
        assert agent["self_hosted_deployment_url"] == "agent.example"  # stored without its scheme
        assert len(await shell.rows("deployments", "a")) == 1
        (agent,) = await shell.rows("disconnect", "a")
        assert agent["self_hosted_deployment_url"] is None

    play(test)


def test_a_token_is_minted_and_numbers_that_nobody_dials_say_why(capsys: pytest.CaptureFixture[str]) -> None:
    async def test(ready: Stage) -> None:
        shell = Shell(ready, capsys)
        (token,) = await shell.rows("token", "--expires-in", "60")
        assert token["token"]
        code, out, err = await shell.run("dial", "a", "+14155550123", "--from-number-id", "ap_1", "--data", "order=9")
        assert code == 1
        assert "no telephony" in out
        assert "1 of 1 calls" in err

    play(test)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("call", "ac_none"), 4, "HTTP 404"),
        (("calls", "nobody"), 4, "HTTP 404"),
        (("connect", "a", "ftp://x"), 1, "self_hosted_deployment_url"),
        (("recording", "ac_none", "-o", "x.wav"), 4, "HTTP 404"),
        (("dial", "a", "+1", "--from-number-id", "ap", "--data", "nothing"), 2, "is not K=V"),
        (("token", "--expires-in", "99999"), 1, "expires_in"),
        (("call", "."), 2, "is no id"),
    ],
)
def test_what_cannot_be_done_says_why_and_what_to_do(
    words: tuple[str, ...], code: int, says: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    async def test(ready: Stage) -> None:
        got, _, err = await Shell(ready, capsys).run(*words)
        assert got == code, err
        assert says in err.splitlines()[0]
        assert len(err.splitlines()) == 2
        assert KEY not in err

    play(test)
    assert not list(tmp_path.glob("*x.wav*"))


def test_nobody_there_and_no_key_are_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["cartesia", "agents", "--base-url", "ws://127.0.0.1:9"]) == 1
    assert "base_url" in capsys.readouterr().err
    monkeypatch.delenv("CARTESIA_API_KEY")
    assert main(["cartesia", "agents"]) == 2
    assert "cordboard keys put --secret CARTESIA_API_KEY" in capsys.readouterr().err
