"""The plane's sockets and files: port pairs, agents' connections, raw recordings."""

import asyncio
import os
import socket
import stat
from pathlib import Path

import pytest

from cordboard.edge.media import agents as agents_module
from cordboard.edge.media.agents import AgentConnections
from cordboard.edge.media.ports import NoPortsLeft, PortPairs, share_of
from cordboard.edge.media.raw_files import RawFiles

Source = tuple[str, int]


def _even_range(pairs: int) -> range:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        first = min(int(one.getsockname()[1]), 60_000) & ~1
    return range(first, first + 2 * pairs, 2)


@pytest.mark.parametrize(
    ("planes", "shares"), [(1, [[10, 12, 14, 16]]), (2, [[10, 14], [12, 16]]), (3, [[10, 16], [12], [14]])]
)
def test_planes_share_the_ports_and_none_has_another_s(planes: int, shares: list[list[int]]) -> None:
    assert [list(share_of(10, 17, index, planes)) for index in range(planes)] == shares


def test_an_odd_last_port_has_its_pair() -> None:
    assert list(share_of(10, 13, 0, 1)) == [10, 12]
    assert list(share_of(10, 12, 0, 1)) == [10]


def test_datagrams_go_both_ways_with_their_port() -> None:
    async def run() -> None:
        heard: asyncio.Queue[tuple[str, int, bytes, Source]] = asyncio.Queue()
        pairs = PortPairs(
            asyncio.get_running_loop(),
            "127.0.0.1",
            _even_range(400),
            lambda port, data, source: heard.put_nowait(("rtp", port, data, source)),
            lambda port, data, source: heard.put_nowait(("rtcp", port, data, source)),
        )
        port = pairs.open()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
            phone.bind(("127.0.0.1", 0))
            phone.settimeout(10)
            me = phone.getsockname()
            for number in range(10):  # more than one wake takes
                phone.sendto(bytes([number]), ("127.0.0.1", port))
            assert [await heard.get() for _ in range(10)] == [("rtp", port, bytes([n]), me) for n in range(10)]
            phone.sendto(b"report", ("127.0.0.1", port + 1))
            assert await heard.get() == ("rtcp", port, b"report", me)
            for local in (port, port + 1):
                pairs.send(local, b"answer", me)
                assert phone.recvfrom(100) == (b"answer", ("127.0.0.1", local))
        pairs.send(port, b"x", ("256.0.0.1", 9))
        pairs.send(port + 2, b"x", me)
        assert pairs.send_errors == 2
        pairs.close(port)
        pairs.close(port)
        pairs.close_all()

    asyncio.run(run())


def test_a_taken_port_is_passed_over_and_the_end_is_said() -> None:
    async def run() -> None:
        ports = _even_range(3)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.1", ports[0] + 1))
            pairs = PortPairs(asyncio.get_running_loop(), "127.0.0.1", ports, lambda *_: None, lambda *_: None)
            assert [pairs.open(), pairs.open()] == [ports[1], ports[2]]
            with pytest.raises(NoPortsLeft):
                pairs.open()
            pairs.close(ports[1])
            assert pairs.open() == ports[1]
            pairs.close_all()

    asyncio.run(run())


class Sink:
    """Reports of agents' connections, in order."""

    def __init__(self) -> None:
        self.reports: asyncio.Queue[tuple[str, str, object]] = asyncio.Queue()

    def agent_connected(self, agent: str) -> None:
        self.reports.put_nowait(("connected", agent, None))

    def agent_data(self, agent: str, data: bytes) -> None:
        self.reports.put_nowait(("data", agent, data))

    def agent_eof(self, agent: str) -> None:
        self.reports.put_nowait(("eof", agent, None))

    def agent_lost(self, agent: str, reason: str) -> None:
        self.reports.put_nowait(("lost", agent, reason))


async def _service(
    sink: Sink,
) -> tuple[asyncio.Server, int, "asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]]"]:
    clients: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    server = await asyncio.start_server(lambda r, w: clients.put_nowait((r, w)), "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1], clients


def test_bytes_pass_and_each_end_is_told() -> None:
    async def run() -> None:
        sink = Sink()
        server, port, clients = await _service(sink)
        agents = AgentConnections(asyncio.get_running_loop(), sink)
        agents.connect("s/agent", "127.0.0.1", port, secure=False)
        assert await sink.reports.get() == ("connected", "s/agent", None)
        reader, writer = await clients.get()
        agents.write("s/agent", b"hello")
        assert await reader.readexactly(5) == b"hello"
        writer.write(b"audio")
        assert await sink.reports.get() == ("data", "s/agent", b"audio")
        writer.write_eof()
        assert await sink.reports.get() == ("eof", "s/agent", None)
        agents.write("s/agent", b"last words")
        agents.write("s/agent", b"")
        assert await reader.read() == b"last words"
        assert (await sink.reports.get())[:2] == ("lost", "s/agent")
        agents.write("s/agent", b"nobody there")
        agents.disconnect("s/agent")
        writer.close()
        server.close()
        await agents.close()
        assert sink.reports.empty()

    asyncio.run(run())


def test_a_dropped_connection_is_not_reported() -> None:
    async def run() -> None:
        sink = Sink()
        server, port, clients = await _service(sink)
        agents = AgentConnections(asyncio.get_running_loop(), sink)
        agents.connect("a", "127.0.0.1", port, secure=False)
        await sink.reports.get()
        reader, writer = await clients.get()
        agents.disconnect("a")
        with pytest.raises(ConnectionResetError):
            raise reader.exception() or ConnectionResetError if await reader.read() == b"" else AssertionError
        writer.close()
        server.close()
        await agents.close()
        assert sink.reports.empty()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("host", "secure"), [("127.0.0.1", False), ("nobody.invalid", False), ("x" * 70 + ".invalid", False)]
)
def test_what_cannot_be_reached_is_lost_once(host: str, secure: bool) -> None:
    async def run() -> tuple[str, str, object]:
        sink = Sink()
        agents = AgentConnections(asyncio.get_running_loop(), sink)
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))  # bound and not listening: refused
            agents.connect("a", host, closed.getsockname()[1], secure=secure)
            report = await sink.reports.get()
        await agents.close()
        assert sink.reports.empty()
        return report

    kind, agent, reason = asyncio.run(run())
    assert (kind, agent) == ("lost", "a")
    assert "no connection to" in str(reason)


def test_tls_needs_a_certificate_that_is_trusted() -> None:
    async def run() -> tuple[str, str, object]:
        sink = Sink()
        server, port, clients = await _service(sink)
        agents = AgentConnections(asyncio.get_running_loop(), sink)
        agents.connect("a", "127.0.0.1", port, secure=True)
        _, writer = await clients.get()
        writer.write(b"this is no TLS at all")
        report = await sink.reports.get()
        writer.close()
        server.close()
        await agents.close()
        return report

    assert asyncio.run(run())[0] == "lost"


def test_an_agent_that_does_not_read_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agents_module, "MAX_UNSENT", 100_000)

    async def run() -> tuple[str, str, object]:
        sink = Sink()
        server, port, clients = await _service(sink)
        agents = AgentConnections(asyncio.get_running_loop(), sink)
        agents.connect("a", "127.0.0.1", port, secure=False)
        await sink.reports.get()
        _, writer = await clients.get()
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(500):
            agents.write("a", b"x" * 65_536)
        report = await sink.reports.get()
        writer.close()
        server.close()
        await agents.close()
        return report

    kind, _, reason = asyncio.run(run())
    assert kind == "lost"
    assert "unread" in str(reason)


def test_a_connection_on_its_way_can_be_dropped() -> None:
    async def run() -> None:
        sink = Sink()
        server, port, _ = await _service(sink)
        agents = AgentConnections(asyncio.get_running_loop(), sink)
        agents.connect("a", "127.0.0.1", port, secure=False)
        agents.disconnect("a")
        server.close()
        await agents.close()
        assert sink.reports.empty()

    asyncio.run(run())


def test_a_raw_file_is_made_once_and_only_grows(tmp_path: Path) -> None:
    files = RawFiles()
    path = tmp_path / "r.raw.wav"
    files.append("s/r", str(path), b"one ")
    files.append("s/r", str(path), b"two")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    files.close("s/r")
    files.close("s/r")
    assert path.read_bytes() == b"one two"
    with pytest.raises(FileExistsError):
        files.append("s/r", str(path), b"three")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="exists"):
        files.append("s/x", str(link), b"three")
    files.append("s/y", str(tmp_path / "y"), b"")
    files.close_all()


def test_a_failed_append_closes_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = RawFiles()
    path = tmp_path / "r"
    files.append("r", str(path), b"one")
    closed: list[int] = []
    real_close = os.close

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    def close(handle: int) -> None:
        closed.append(handle)
        real_close(handle)

    with monkeypatch.context() as patch:
        patch.setattr("os.write", full)
        patch.setattr("os.close", close)
        with pytest.raises(OSError, match="No space"):
            files.append("r", str(path), b"two")
    assert len(closed) == 1
    files.close_all()
