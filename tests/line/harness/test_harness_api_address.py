"""The address of the API that a program is told leads from its host to the stand-in."""

from __future__ import annotations

import pytest

from cordboard.line.harness.api_address import ApiAddress, check_public_url
from cordboard.line.server import LineServer
from cordboard.line.tables import ScriptError

from ..line_peer import Peer, calling
from .fake_agent import FakeAgent, Session, harnessing
from .harness_talk import run, talk


@pytest.mark.parametrize(
    ("hosts", "local", "url", "reachable"),
    [
        (["127.0.0.1"], "127.0.0.1", "http://127.0.0.1:8090", True),
        (["0.0.0.0"], "127.0.0.1", "http://127.0.0.1:8090", True),
        (["0.0.0.0"], "10.0.0.5", "http://10.0.0.5:8090", True),
        (["::"], "fd00::5", "http://[fd00::5]:8090", True),
        (["0.0.0.0", "::"], "fd00::5", "http://[fd00::5]:8090", True),
        (["10.0.0.5"], "127.0.0.1", "http://10.0.0.5:8090", True),
        (["10.0.0.5"], "192.168.0.5", "http://10.0.0.5:8090", True),
        (["127.0.0.1"], "::1", "http://127.0.0.1:8090", True),
        (["127.0.0.1"], "10.0.0.5", "http://10.0.0.5:8090", False),
    ],
)
def test_the_address_fits_where_the_program_is(hosts: list[str], local: str, url: str, reachable: bool) -> None:
    address = ApiAddress(hosts, 8090)
    assert (address.url(local), address.is_reachable(local)) == (url, reachable)
    given = ApiAddress(hosts, 8090, "https://line.example.org")
    assert (given.url(local), given.is_reachable(local)) == ("https://line.example.org", True)


@pytest.mark.parametrize(
    "url", ["", "line.example.org", "ftp://x", "http://", "http://u:p@x", "http://x:0", "http://x?a", "http://x/ y"]
)
def test_a_public_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ScriptError, match="--public-url"):
        check_public_url(url)
    assert check_public_url("https://x.example/line/") == "https://x.example/line"


async def told(server: LineServer, agent: FakeAgent) -> str:
    async with calling(server, host=server._host if server._host != "0.0.0.0" else "127.0.0.1") as peer:
        await peer.start()
        await peer.until("ack")
        started = await (await agent.sessions.get()).until(type="start")
        return str(started["api_base_url"])


def test_a_program_is_told_the_address_that_the_stand_in_listens_on() -> None:
    async def test() -> None:
        async with harnessing(host="127.0.0.2") as (server, agent):  # the program's connection leaves from 127.0.0.1
            assert await told(server, agent) == f"http://127.0.0.2:{server.port}"
        async with harnessing(host="0.0.0.0") as (server, agent):
            assert await told(server, agent) == f"http://127.0.0.1:{server.port}"
        async with harnessing(public_url="https://line.example.org") as (server, agent):
            assert await told(server, agent) == "https://line.example.org"

    run(test())


def test_a_program_that_cannot_reach_its_knowledge_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ApiAddress, "is_reachable", lambda address, local: False)

    async def test(server: LineServer, agent: FakeAgent, peer: Peer, session: Session) -> None:
        told = "agent: its program cannot reach the API at 127.0.0.1: give --host or --public-url"
        assert told in server.calls[0].warnings

    talk(test)
