"""Journals on disk: what a call writes, at the limit, on a full disk, and after SIGKILL of the control that wrote."""

import asyncio
import json
import os
import signal
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.replay.conftest import DESK

from cordboard.cli.main import main
from cordboard.contract.journal import JournalBegan, JournalUnheard, read_line
from cordboard.demo.stage import CALLER, Stage
from cordboard.edge import erasure
from cordboard.edge.control import journal as module
from cordboard.edge.control.calls import CallFiles
from cordboard.edge.data_dir import JOURNAL, DataDir
from cordboard.line.script import parse
from cordboard.line.server import LineServer
from cordboard.phone.softphone import Softphone

BEGAN = JournalBegan("s_1", "desk", "r1", "2026-11-01T10:00:00.000Z", "https://edge.test/control/***")
FACTS = {"scenario": "desk", "from": "+1555", "to": "+1800", "started_at": BEGAN.started_at}
PATIENCE = 20.0
"""Seconds until a test gives up."""


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    data = DataDir(tmp_path / "var")
    data.make()
    return data


@pytest.fixture
def files(data: DataDir) -> CallFiles:
    files = CallFiles(data, "life-1")
    files.began("s_1", FACTS)
    return files


def kinds(data: DataDir) -> list[str]:
    return [read_line(line).kind for line in (data.calls / "s_1" / JOURNAL).read_bytes().splitlines()]


def test_lines_are_there_at_once_and_private(data: DataDir, files: CallFiles) -> None:
    files.journal("s_1", BEGAN)
    files.journal("s_1", JournalUnheard("call.tone", "caller"))
    path = data.calls / "s_1" / JOURNAL
    assert kinds(data) == ["began", "unheard"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    files.close()


def test_a_journal_at_its_limit_says_so_and_grows_no_more(
    data: DataDir, files: CallFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_JOURNAL", 300)
    files.journal("s_1", BEGAN)
    for number in range(20):
        files.journal("s_1", JournalUnheard("call.tone", f"leg-{number}"))
    assert kinds(data)[-1] == "full"
    assert kinds(data).count("full") == 1
    assert (data.calls / "s_1" / JOURNAL).stat().st_size <= 300
    files.close()


def test_a_full_disk_costs_the_rest_of_the_journal_and_is_said_once(
    data: DataDir, files: CallFiles, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    files.journal("s_1", BEGAN)
    whole = os.write
    with monkeypatch.context() as patch:
        patch.setattr("os.write", lambda handle, content: whole(handle, content[:7]))
        files.journal("s_1", JournalUnheard("call.tone", "caller"))
    files.journal("s_1", JournalUnheard("call.tone", "consult"))
    files.close()
    assert caplog.text.count("journal.jsonl took 7 of") == 1
    assert (data.calls / "s_1" / JOURNAL).read_bytes().endswith(b'\n{"type"')


@pytest.mark.parametrize("session", ["../s_1", "s_2"])
def test_a_session_without_a_folder_has_no_journal(
    session: str, data: DataDir, files: CallFiles, caplog: pytest.LogCaptureFixture
) -> None:
    files.journal(session, BEGAN)
    assert f"files of call {session} are incomplete" in caplog.text
    assert not list(data.root.rglob(JOURNAL))
    files.close()


@pytest.mark.parametrize("erase", [erasure.erase_timeline, erasure.erase_transcript, erasure.erase_content])
def test_a_journal_goes_with_the_timeline_and_with_the_transcript(
    erase: Callable[[DataDir, str, datetime], None], data: DataDir, files: CallFiles
) -> None:
    files.journal("s_1", BEGAN)
    files.close()
    erase(data, "s_1", datetime.now(UTC))
    assert not (data.calls / "s_1" / JOURNAL).exists()


# --- real processes


class DeskStage(Stage):
    """The stand-in runs in the test; its agent says nothing."""

    line: LineServer

    async def _start_line(self) -> None:
        self.line = LineServer(parse("[agents.agent-1]\n", self.out), "127.0.0.1", self._line_port)
        await self.line.start()

    def _text(self) -> str:
        return super()._text().replace("[edge]", '[edge]\nlease = "2s"')

    @property
    def control(self) -> int:
        """Process id."""
        edge = next(process for name, process in self._children if name == "edge")
        for pid in _descendants(edge.pid):
            if b"cordboard.edge.control" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                return pid
        raise AssertionError("there is no control")

    def journal(self) -> bytes:
        """Of the only call, so far."""
        found = list((self.data / "calls").glob(f"*/{JOURNAL}"))
        return found[0].read_bytes() if found else b""

    async def until(self, what: bytes, times: int = 1) -> None:
        """Until that stands in the journal so many times."""
        async with asyncio.timeout(PATIENCE):
            while self.journal().count(what) < times:  # noqa: ASYNC110 - a file tells nobody
                await asyncio.sleep(0.02)


def _descendants(pid: int) -> list[int]:
    children = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return children + [each for child in children for each in _descendants(child)]


def _ask(url: str, path: str, body: dict[str, str]) -> int:
    parts = urlsplit(url)
    assert parts.hostname is not None
    connection = HTTPConnection(parts.hostname, parts.port, timeout=PATIENCE)
    try:
        connection.request("POST", parts.path + path, json.dumps(body), {"Content-Type": "application/json"})
        return connection.getresponse().status
    finally:
        connection.close()


async def killed_call(out: Path) -> str:
    """A call whose control is killed in its middle; the token of its control URL."""
    async with Softphone(user=CALLER) as phone:
        stage = DeskStage(out, DESK, phone.address, "desk")
        async with stage:
            call = await phone.call(stage.target)
            await call.wait_answered(PATIENCE)
            await stage.until(b'"kind":"answer"', 3)  # the agent has acked, and the call's first event is over
            [record] = stage.line.calls
            url = str(record.metadata["url"])
            assert await asyncio.to_thread(_ask, url, "/opening_hours", {"day": "monday"}) == 200
            assert await asyncio.to_thread(_ask, url, "", {"action": "bad"}) == 400
            await call.send_digits("5")
            await stage.until(b'"type":"timer"')
            await stage.until(b'"kind":"answer"', 6)
            os.kill(stage.control, signal.SIGKILL)
            await call.wait_ended(PATIENCE)
        await stage.line.close()
    return url.rpartition("/")[2]


def test_a_journal_survives_sigkill_of_control_and_replays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cordboard.cli.replay.stay_closed", lambda: None)  # this process does not end with a replay
    token = asyncio.run(killed_call(tmp_path))
    [path] = tmp_path.rglob(JOURNAL)
    content = path.read_bytes()
    assert token.encode() not in content
    assert b"demo-key" not in content
    assert b'"type":"secret.reveal"' in content
    assert main(["--config", str(tmp_path / "cordboard.toml"), "replay", path.parent.name]) == 0
    said = capsys.readouterr().out.split()
    assert said[0] == "1"
    assert int(said[2]) >= 4
    assert said[4] == "0"
