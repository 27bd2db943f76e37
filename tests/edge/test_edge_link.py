"""Framing and bounds of the link between control and planes."""

import asyncio
import random
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.contract.link import LINK_LINE
from cordboard.edge.link import LineFramer, LineTooLong, Link, SocketPathTooLong, bind_unix, socket_path


@given(
    st.lists(st.binary(max_size=50).map(lambda b: b.replace(b"\n", b" ") + b"\n"), max_size=20), st.integers(0, 2**32)
)
@settings(max_examples=60, deadline=None)
def test_lines_survive_any_cut(lines: list[bytes], seed: int) -> None:
    stream, rng, framer = b"".join(lines), random.Random(seed), LineFramer()
    found: list[bytes] = []
    while stream:
        size = rng.randint(1, 17)
        found += framer.receive(stream[:size])
        stream = stream[size:]
    assert found == lines


@pytest.mark.parametrize(("size", "fits"), [(10, True), (11, False)])
@pytest.mark.parametrize("piece", [1, 4, 100])
def test_a_line_may_have_exactly_the_limit(size: int, fits: bool, piece: int) -> None:
    line = b"x" * (size - 1) + b"\n"
    framer = LineFramer(limit=10)
    found: list[bytes] = []

    def feed() -> None:
        for at in range(0, len(line), piece):
            found.extend(framer.receive(line[at : at + piece]))

    if fits:
        feed()
        assert found == [line]
    else:
        with pytest.raises(LineTooLong):
            feed()


def test_bytes_without_a_newline_are_bounded() -> None:
    framer = LineFramer(limit=100)
    framer.receive(b"x" * 99)
    with pytest.raises(LineTooLong):
        framer.receive(b"x")


class Ends:
    """Both ends of one real link."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.lost: asyncio.Queue[str] = asyncio.Queue()
        self.opened: asyncio.Queue[Link] = asyncio.Queue()

    def link(self, max_unsent: int = 4 * 1024 * 1024) -> Link:
        return Link(
            self.opened.put_nowait, self.lines.append, lambda _, reason: self.lost.put_nowait(reason), max_unsent
        )


async def _connected(
    tmp_path: Path, plane: Ends
) -> tuple[asyncio.Server, asyncio.StreamReader, asyncio.StreamWriter, Link]:
    loop = asyncio.get_running_loop()
    path = socket_path(tmp_path, 0)
    server = await loop.create_unix_server(plane.link, sock=bind_unix(path))
    reader, writer = await asyncio.open_unix_connection(str(path))
    return server, reader, writer, await plane.opened.get()


def test_an_oversize_line_closes_the_link(tmp_path: Path) -> None:
    async def run() -> tuple[list[bytes], str]:
        plane = Ends()
        server, _, writer, _ = await _connected(tmp_path, plane)
        writer.write(b"first\n" + b"x" * (LINK_LINE + 1))
        reason = await plane.lost.get()
        writer.close()
        server.close()
        return plane.lines, reason

    lines, reason = asyncio.run(run())
    assert lines == [b"first\n"]
    assert str(LINK_LINE) in reason


def test_a_peer_that_does_not_read_loses_the_link(tmp_path: Path) -> None:
    async def run() -> str:
        plane = Ends()
        loop = asyncio.get_running_loop()
        path = socket_path(tmp_path, 3)
        server = await loop.create_unix_server(lambda: plane.link(max_unsent=100_000), sock=bind_unix(path))
        _, writer = await asyncio.open_unix_connection(str(path), limit=1)
        link = await plane.opened.get()
        line = b"y" * 65_535 + b"\n"
        for _ in range(200):  # far beyond the buffers of both sockets
            link.write(line)
        assert link.closing
        reason = await plane.lost.get()
        link.write(line)  # after the end nothing happens
        writer.close()
        server.close()
        return reason

    assert "unread" in asyncio.run(run())


def test_the_loss_of_a_link_is_told_once(tmp_path: Path) -> None:
    async def run() -> tuple[int, str]:
        plane = Ends()
        server, _, writer, link = await _connected(tmp_path, plane)
        writer.write(b"half a line")
        writer.close()
        reason = await plane.lost.get()
        link.close("too late")
        server.close()
        return plane.lost.qsize(), reason

    assert asyncio.run(run()) == (0, "closed by the peer")


def test_the_socket_is_the_owners_alone_and_replaces_an_old_one(tmp_path: Path) -> None:
    path = socket_path(tmp_path, 1)
    bind_unix(path).close()
    again = bind_unix(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again.close()


def test_a_path_that_is_too_long_is_said(tmp_path: Path) -> None:
    with pytest.raises(SocketPathTooLong, match=r"edge\.data_dir"):
        bind_unix(tmp_path / ("x" * 100) / "plane-0.sock")
