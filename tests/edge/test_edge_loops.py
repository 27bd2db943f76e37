"""The loops around the engines: drains, timers, and an engine's mistake that must not stop the rest."""

import asyncio
import logging
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from cordboard.edge.control.calls import CallFiles
from cordboard.edge.control.dialogs import DialogFiles
from cordboard.edge.control.metrics import Metrics
from cordboard.edge.control.process import ControlProcess, Surroundings
from cordboard.edge.control.prompts import Prompts
from cordboard.edge.control.speech import EspeakNg
from cordboard.edge.data_dir import DataDir
from cordboard.edge.link import Link, bind_unix, socket_path
from cordboard.edge.media.plane import Plane
from cordboard.plane import effects as plane_effects
from cordboard.session import effects as session_effects

PATIENCE = 10.0


class PlaneEngine:
    """Echoes lines of the link; fails at every third tick."""

    def __init__(self, now: float) -> None:
        self.effects: deque[plane_effects.Effect] = deque([plane_effects.OpenPorts(2)])
        self.packets: list[plane_effects.Packet] = []
        self.ports: list[int] = []
        self.ticks = 0
        self.late: list[float] = []
        self.failed: list[str] = []
        self.refused = 0
        self.ticked = asyncio.Event()
        self.closed = asyncio.Event()
        self._at = now

    def link_opened(self, now: float) -> None:
        self.effects.append(plane_effects.SendLink(b"hello\n"))

    def link_closed(self, now: float) -> None:
        self.closed.set()

    def receive_link(self, line: bytes, now: float) -> None:
        if line == b"fail\n":
            raise RuntimeError("a mistake at one line")
        self.effects.append(plane_effects.SendLink(line))

    def ports_refused(self, count: int, now: float) -> None:
        self.refused = count

    def port_opened(self, port: int, now: float) -> None:
        self.ports.append(port)

    def rtp_in(self, port: int, data: bytes, source: plane_effects.Address, now: float) -> None:
        self.packets.append((port, data, source))

    def file_failed(self, recording: str, reason: str, now: float) -> None:
        self.failed.append(recording)

    def tick_late(self, seconds: float) -> None:
        self.late.append(seconds)

    def next_timer(self) -> float:
        return self._at

    def on_timer(self, now: float) -> None:
        self._at += 0.005
        self.ticks += 1
        self.ticked.set()
        if self.ticks % 3 == 0:
            raise RuntimeError("a mistake in one tick")

    def packets_to_send(self) -> list[plane_effects.Packet]:
        packets, self.packets = self.packets, []
        return packets

    def next_effect(self) -> plane_effects.Effect | None:
        return self.effects.popleft() if self.effects else None


async def _connect(folder: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_unix_connection(str(socket_path(folder, 0)))


def test_a_mistake_stops_neither_the_wheel_nor_the_link(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        engine = PlaneEngine(loop.time())
        plane = Plane(engine, socket_path=socket_path(tmp_path, 0), host="127.0.0.1", ports=range(30_000, 31_000, 2))  # type: ignore[arg-type]
        await plane.start()
        assert len(engine.ports) == 2
        reader, writer = await _connect(tmp_path)
        assert await reader.readline() == b"hello\n"
        writer.write(b"one\nfail\ntwo\n")
        assert [await reader.readline(), await reader.readline()] == [b"one\n", b"two\n"]
        while engine.ticks < 10:
            engine.ticked.clear()
            await asyncio.wait_for(engine.ticked.wait(), PATIENCE)
        assert min(engine.late) >= 0.0
        again, second = await _connect(tmp_path)  # a new control takes the link
        assert await again.readline() == b"hello\n"
        await asyncio.wait_for(engine.closed.wait(), PATIENCE)
        assert await reader.read() == b""
        assert plane.linked
        engine.effects.append(plane_effects.FileAppend("s/r", str(tmp_path / "none" / "r"), b"x"))
        second.write(b"three\n")
        assert await again.readline() == b"three\n"
        assert engine.failed == ["s/r"]
        await plane.close()
        ticks = engine.ticks
        for each in (writer, second):
            each.close()
        await asyncio.sleep(0)
        assert engine.ticks == ticks
        assert not socket_path(tmp_path, 0).exists()

    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    try:
        asyncio.run(run())
    finally:
        logging.getLogger("asyncio").setLevel(logging.NOTSET)
    assert "a mistake at one line" in caplog.text


class ControlEngine:
    """Its timer is due for ever and fails; it ends its last session when a plane is lost."""

    def __init__(self) -> None:
        self.effects: deque[session_effects.Effect] = deque()
        self.timers = 0
        self.live = 1
        self.draining = False
        self.ready = False

    def on_timer(self, now: float) -> None:
        self.timers += 1
        raise RuntimeError("a timer that stays due")

    def next_timer(self) -> float:
        return 0.0

    def plane_connected(self, index: int, now: float) -> None:
        self.ready = True
        self.effects.append(session_effects.KillPlane(index, 4711))
        self.effects.append(session_effects.Log("warning", "said by the engine", {"n": 1}))

    def plane_lost(self, index: int, reason: str, now: float) -> None:
        self.live = 0

    def shutdown(self, now: float) -> None:
        self.draining = True

    def next_effect(self) -> session_effects.Effect | None:
        return self.effects.popleft() if self.effects else None


def test_a_timer_that_fails_for_ever_takes_no_core(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = DataDir(tmp_path)
    data.make()

    async def run() -> None:
        killed: list[tuple[int, int, str]] = []
        engine: Any = ControlEngine()
        host: Any = None
        around = Surroundings(
            host,
            CallFiles(data, "l"),
            DialogFiles(data.dialogs),
            lambda *what: killed.append(what),
            Metrics([], lambda: 0),
            Prompts(tmp_path, EspeakNg("en"), data.prompts),
        )
        control = ControlProcess(engine, around)
        assert control.not_ready() == ["no plane"]
        ready = asyncio.create_task(control.until_ready(PATIENCE))
        await asyncio.sleep(0)
        control.plane_connected(0)
        assert await ready
        assert killed == [(0, 4711, "it missed its lease")]
        for _ in range(1000):  # turns of the loop, in which a timer without a pause would run each time
            await asyncio.sleep(0)
        assert 1 <= engine.timers <= 20
        ending = asyncio.create_task(control.shutdown())
        await asyncio.sleep(0)
        assert control.not_ready() == ["draining"]
        control.plane_lost(0, "over")
        await ending
        assert not await control.until(lambda: False, 0.0)

    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    try:
        asyncio.run(run())
    finally:
        logging.getLogger("asyncio").setLevel(logging.NOTSET)
    assert "said by the engine" in caplog.text


def test_the_newest_link_is_the_one_that_counts(tmp_path: Path) -> None:
    async def run() -> None:
        opened: asyncio.Queue[Link] = asyncio.Queue()
        server = await asyncio.get_running_loop().create_unix_server(
            lambda: Link(opened.put_nowait, lambda _: None, lambda *_: None), sock=bind_unix(socket_path(tmp_path, 0))
        )
        _, writer = await _connect(tmp_path)
        link = await opened.get()
        link.close("first reason")
        link.close("second reason")
        assert link.closing
        writer.close()
        server.close()

    asyncio.run(run())
