"""The edge under test: the demo's stage of real processes, with the stand-in for Cartesia's service in the test's loop,
where its records of each call can be read."""

import asyncio
import http.client
import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from cordboard.contract.call_record import CallEnded
from cordboard.contract.codec import decode
from cordboard.demo.stage import NUMBER, Stage
from cordboard.demo.verdict import timeline
from cordboard.line.records import CallRecord
from cordboard.line.script import load
from cordboard.line.server import LineServer

from .peers import HOST, PATIENCE, ROOT, free_ports

AGENTS = Path(__file__).with_name("agents.toml")


class EdgeStage(Stage):
    """An edge whose trunk leads to `consult_port`, where each test puts the callee that it needs."""

    def __init__(self, out: Path) -> None:
        self.consult_port = free_ports()
        super().__init__(out, ROOT / "template.yaml", (HOST, self.consult_port))
        self.line = LineServer(load(AGENTS), HOST, self._line_port)
        self.number = NUMBER
        self.address = HOST, self._sip
        self.sipp_target = f"{NUMBER}@{HOST}:{self._sip}"
        self._edge: asyncio.subprocess.Process | None = None
        self._agent = ""
        self._seen: set[int] = set()
        self._known: set[str] = set()
        self._line_calls = 0

    async def agent(self, name: str) -> None:
        """Chooses the agent of the calls to come."""
        if name != self._agent:
            await self.put_key("CARTESIA_AGENT_ID", name)
            self._agent = name

    async def line_call(self, number: int = -1) -> CallRecord:
        """The stand-in's record of its newest call, once its socket is gone."""
        record = self.line.calls[number]
        self._line_calls = record.number
        async with asyncio.timeout(PATIENCE):
            await record.finished.wait()
        return record

    async def line_connected(self) -> CallRecord:
        """The stand-in's record of the call that has just come, once its agent has acked."""
        before = self._line_calls
        try:
            async with asyncio.timeout(PATIENCE):
                while not (found := self._fresh_line_call(before)):  # noqa: ASYNC110 - a record tells nobody
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"the agent did not ack:\n{self.edge_log[-4000:]}") from None
        self._line_calls = found.number
        return found

    async def line_heard(self, record: CallRecord, digit: str) -> None:
        """Until that digit is the last that the agent got."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not digits(record).endswith(digit):  # noqa: ASYNC110 - a record tells nobody
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"the agent got {digits(record)!r}, not {digit!r} at its end") from None

    def _fresh_line_call(self, before: int) -> CallRecord | None:
        newest = self.line.calls[-1] if self.line.calls else None
        return newest if newest and newest.number > before and "ack" in newest.events("out") else None

    async def record(self) -> tuple[CallEnded, Path]:
        """The record of the call that has just ended, and its folder. Each call's is given once."""
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    for path in self.data.glob("calls/*/record.json"):
                        if path.parent.name not in self._known and (path.parent / "timeline.json").exists():
                            self._known.add(path.parent.name)
                            return decode(CallEnded, json.loads(path.read_bytes())), path.parent
                    await asyncio.sleep(0.05)  # a folder tells nobody what is new
        except TimeoutError:
            raise AssertionError(f"no call left a record:\n{self.edge_log[-4000:]}") from None

    async def alerted(self) -> None:
        """Until the call that has just come is in its handler's hands."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not self.new_calls():  # noqa: ASYNC110
                    await asyncio.sleep(0.05)  # a folder tells nobody what is new
        except TimeoutError:
            raise AssertionError(f"no call came:\n{self.edge_log[-4000:]}") from None

    def new_calls(self) -> list[Path]:
        """Folders of calls that no test has asked for."""
        return [path for path in self.data.glob("calls/*") if path.name not in self._known]

    def know_all(self) -> None:
        """Of the calls so far nobody wants the record."""
        self._known |= {path.name for path in self.new_calls()}

    @property
    def edge_log(self) -> str:
        """What the edge's processes printed."""
        return (self.out / "edge.log").read_text(errors="replace")

    def parts(self) -> dict[str, int]:
        """`control`, `media`, `finisher` → pid, as they live now."""
        assert self._edge is not None
        found: dict[str, int] = {}
        for pid in _children(self._edge.pid):
            for name in ("control", "media", "finisher"):
                if f"cordboard.edge.{name}" in _words(pid):
                    found[name] = pid
        self._seen |= set(found.values())
        return found

    def workers(self, function: str = "") -> list[int]:
        """Pids of the function workers, control's children: of one function, or of all."""
        found = []
        for pid in _descendants(self.parts()["control"]):
            words = _words(pid)
            if "cordboard.hosts.worker" in words and any(word.startswith(function) for word in words):
                found.append(pid)
        self._seen |= set(found)
        return found

    async def one_worker(self, function: str) -> int:
        """The only worker of a function; what it has more is ended first."""
        for pid in self.workers(function)[1:]:
            os.kill(pid, signal.SIGKILL)
        try:
            async with asyncio.timeout(PATIENCE):
                while len(found := self.workers(function)) != 1:  # noqa: ASYNC110 - no child of ours tells us nothing
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{function} has the workers {self.workers(function)}") from None
        return found[0]

    async def serving(self) -> None:
        """Until the edge takes calls again, all parts there."""
        try:
            async with asyncio.timeout(PATIENCE):
                while len(self.parts()) < 3 or not self._is_ready():  # noqa: ASYNC110 - a process tells nobody
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"the edge does not serve again:\n{self.edge_log[-4000:]}") from None

    async def kill(self) -> None:
        """Kills the supervisor."""
        assert self._edge is not None
        self.parts()
        self.workers()
        self._edge.kill()
        await self._edge.wait()

    async def gone(self) -> None:
        """Until no process of this edge is left."""
        try:
            async with asyncio.timeout(PATIENCE):
                while self.left_over():  # noqa: ASYNC110 - a process that is no child of ours tells us nothing
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"processes {self.left_over()} outlive their supervisor") from None

    def left_over(self) -> list[int]:
        """Processes of this edge that are still there."""
        return [pid for pid in self._seen if _words(pid)]

    async def _start_line(self) -> None:
        await self.line.start()

    async def _start(self, name: str, words: Sequence[str]) -> asyncio.subprocess.Process:
        self._edge = await super()._start(name, words)
        return self._edge

    async def _strike(self) -> None:
        if self._edge is not None and self._edge.returncode is None:
            for part in [*self.parts().values(), *self.workers()]:
                os.kill(part, signal.SIGCONT)  # whatever a failed test left stopped
        await super()._strike()
        await self.line.close()

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self._metrics, timeout=2.0)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


def judge(record: CallEnded, folder: Path, cause: str) -> None:
    """What holds for every call: its cause, one end, a ledger that balances with nothing left queued."""
    assert record.cause == cause, [entry["what"] for entry in timeline(folder)][-20:]
    assert [entry["what"] for entry in timeline(folder)].count("call.ended") == 1
    assert record.ledger, "no sound was counted"
    for entry in record.ledger:
        assert entry.balanced(), entry
        assert not entry.queued, entry


def digits(record: CallRecord) -> str:
    """Digits that the agent got, in order."""
    got = (item.message for item in record.messages if item.direction == "in" and item.message.get("event") == "dtmf")
    return "".join(str(message["dtmf"]) for message in got)


def whats(folder: Path, kind: str) -> list[str]:
    """The timeline's entries of one kind, in order."""
    return [str(entry["what"]) for entry in timeline(folder) if entry["kind"] == kind]


def moment(folder: Path, kind: str, what: str) -> float:
    """When the first such entry was made, in monotonic seconds, which all processes of a machine share."""
    began = json.loads((folder / "facts.json").read_bytes())["monotonic"]
    return float(began + next(each["at"] for each in timeline(folder) if (each["kind"], each["what"]) == (kind, what)))


def _words(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    for child in _children(pid):
        found += [child, *_descendants(child)]
    return found
