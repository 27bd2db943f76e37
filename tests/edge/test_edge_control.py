"""Control's shells one by one: HTTP, turns, SIP's socket, links to planes, reload, own addresses."""

import asyncio
import dataclasses
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from cordboard.config.error import ConfigError
from cordboard.config.load import load
from cordboard.contract.records import Description, EventRoute
from cordboard.contract.release import Release
from cordboard.edge.control import http as http_module
from cordboard.edge.control import reload
from cordboard.edge.control.functions import with_timeout
from cordboard.edge.control.http import ControlUrl, HttpServer, bind_tcp, health_app, public_app
from cordboard.edge.control.planes import PlaneLinks
from cordboard.edge.control.sip_socket import SipSocket
from cordboard.edge.control.turns import Turns
from cordboard.edge.link import Link, bind_unix, socket_path
from cordboard.edge.settle import own_address, settle
from cordboard.session.effects import Invoke

PATIENCE = 10.0


class Engine:
    """Answers requests by their path and keeps what it saw."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.gone: asyncio.Queue[str] = asyncio.Queue()
        self.came: asyncio.Queue[str] = asyncio.Queue()
        self.url = ControlUrl(self)

    def receive_http(self, request: str, method: str, path: str, headers: Mapping[str, str], body: bytes) -> None:
        self.seen.append((method, path, dict(headers), body))
        self.came.put_nowait(request)
        if path != "silence":
            self.url.reply(request, 200, path.encode(), {"Content-Type": "text/plain"})
            self.url.reply(request, 500, b"twice", {})

    def http_gone(self, request: str) -> None:
        self.gone.put_nowait(request)


@asynccontextmanager
async def _serving(app: Any) -> AsyncIterator[int]:
    listener = bind_tcp("127.0.0.1", 0)
    server = HttpServer(app, listener)
    await server.start()
    try:
        yield listener.getsockname()[1]
    finally:
        await server.close()


async def _talk(port: int, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    answer = await asyncio.wait_for(reader.read(), PATIENCE)
    writer.close()
    await writer.wait_closed()
    return answer


def _request(method: str, path: str, body: bytes = b"", extra: str = "") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_every_method_below_control_reaches_the_engine(method: str) -> None:
    async def run() -> None:
        engine = Engine()
        async with _serving(public_app(engine.url)) as port:
            answer = await _talk(port, _request(method, "/control/tok/verb/x?q=1", b'{"a": 1}', "X-Request-Id: 7\r\n"))
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"cache-control: no-store" in answer.lower()
        assert b"server:" not in answer.lower()
        ((seen_method, path, headers, body),) = engine.seen
        assert (seen_method, path, body, headers["x-request-id"]) == (method, "tok/verb/x", b'{"a": 1}', "7")

    asyncio.run(run())


@pytest.mark.parametrize("path", ["/", "/livez", "/v1/sessions", "/controls/x", "/console"])
def test_nothing_else_is_public(path: str) -> None:
    async def run() -> None:
        engine = Engine()
        async with _serving(public_app(engine.url)) as port:
            assert (await _talk(port, _request("GET", path))).startswith(b"HTTP/1.1 404")
        assert engine.seen == []

    asyncio.run(run())


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_is_bounded_before_the_engine_sees_it(chunked: bool) -> None:
    async def run() -> None:
        engine = Engine()
        body = b"x" * 70_000
        request = _request("POST", "/control/t", body)
        if chunked:
            head = "POST /control/t HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
            request = head.encode() + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        async with _serving(public_app(engine.url)) as port:
            assert (await _talk(port, request)).startswith(b"HTTP/1.1 413")
        assert engine.seen == []

    asyncio.run(run())


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "BODY_TIMEOUT", 0.05)

    async def run() -> None:
        engine = Engine()
        async with _serving(public_app(engine.url)) as port:
            head = b"POST /control/t HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 10\r\n\r\nhalf"
            assert (await _talk(port, head)).startswith(b"HTTP/1.1 408")

    asyncio.run(run())


def test_a_client_that_goes_away_is_told_and_forgotten() -> None:
    async def run() -> None:
        engine = Engine()
        async with _serving(public_app(engine.url)) as port:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(_request("GET", "/control/silence"))
            token = await asyncio.wait_for(engine.came.get(), PATIENCE)
            writer.close()
            await writer.wait_closed()
            assert await asyncio.wait_for(engine.gone.get(), PATIENCE) == token
            engine.url.reply(token, 200, b"too late", {})

    asyncio.run(run())


def test_a_request_without_an_answer_ends_with_504(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "ANSWER_TIMEOUT", 0.05)

    async def run() -> None:
        engine = Engine()
        async with _serving(public_app(engine.url)) as port:
            assert (await _talk(port, _request("GET", "/control/silence"))).startswith(b"HTTP/1.1 504")
        assert engine.gone.qsize() == 1

    asyncio.run(run())


@pytest.mark.parametrize(("reasons", "status"), [([], b"200"), (["draining", "no plane"], b"503")])
def test_readyz_names_the_reasons(reasons: list[str], status: bytes) -> None:
    async def run() -> None:
        async with _serving(health_app(lambda: reasons, lambda: (b"calls 1\n", "text/plain; version=1"))) as port:
            answer = await _talk(port, _request("GET", "/readyz"))
            assert (await _talk(port, _request("GET", "/livez"))).endswith(b"ok\n")
        assert answer.startswith(b"HTTP/1.1 " + status)
        assert all(reason.encode() in answer for reason in reasons)

    asyncio.run(run())


# --- turns


class FunctionTimeout(Exception):
    """Named as the host's."""


class Host:
    """Answers, fails or never ends, as the function's name says."""

    async def invoke(
        self, release_id: str, function: str, payload: Mapping[str, Any], *, timeout: float
    ) -> dict[str, Any]:
        if function == "late":
            raise FunctionTimeout("late: no answer within 5 s")
        if function == "broken":
            raise RuntimeError("a bug in the host")
        if function == "endless":
            await asyncio.Event().wait()
        return {"release": release_id, "timeout": timeout, **payload}


class Turned:
    def __init__(self) -> None:
        self.outcomes: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()

    def turn_answered(self, token: str, answer: Mapping[str, Any]) -> None:
        self.outcomes.put_nowait((token, answer))

    def turn_failed(self, token: str, kind: str, message: str) -> None:
        self.outcomes.put_nowait((token, kind, message))


def test_each_turn_has_one_outcome(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        turned = Turned()
        turns = Turns(Host(), turned)  # type: ignore[arg-type]
        expected = {
            "good": ("good", {"release": "r", "timeout": 5.0, "n": 1}),
            "late": ("late", "timeout", "late: no answer within 5 s"),
            "broken": ("broken", "crashed", "a bug in the host"),
        }
        for name in (*expected, "endless"):
            turns.invoke(Invoke(name, "r", name, {"n": 1}, 5.0))
        found = [await turned.outcomes.get() for _ in expected]
        assert {outcome[0]: outcome for outcome in found} == expected
        await turns.close()
        assert turned.outcomes.empty()

    asyncio.run(run())
    assert "a bug in the host" in caplog.text


def test_the_configured_timeout_is_that_of_handlers_without_one() -> None:
    events = (EventRoute("call.alerting", "caller"), EventRoute("call.connected", "caller", timeout=12.0))
    release = Release("r1", {"f": Description("s", events, on_error="ignore")})
    timed = with_timeout(release, 2.5)
    assert (timed.id, timed.functions["f"].scenario, timed.functions["f"].on_error) == ("r1", "s", "ignore")
    assert [route.timeout for route in timed.functions["f"].events] == [2.5, 12.0]
    found = timed.route("s", "call.alerting", "caller")
    assert found is not None
    assert found[1].timeout == 2.5


# --- SIP's socket


def test_sip_goes_to_addresses_and_names_and_counts_what_fails() -> None:
    async def run() -> None:
        heard: asyncio.Queue[tuple[bytes, tuple[str, int]]] = asyncio.Queue()
        unresolved: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
        sip = SipSocket(lambda data, source: heard.put_nowait((data, source)), unresolved.put_nowait)
        sip.send(b"before it is open", ("127.0.0.1", 9))
        await sip.open("127.0.0.1", 0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(("127.0.0.1", 0))
            peer.setblocking(False)
            loop = asyncio.get_running_loop()
            source = ("", 0)
            for host in ("127.0.0.1", "localhost", "localhost"):
                sip.send(host.encode(), (host, peer.getsockname()[1]))
                data, source = await asyncio.wait_for(loop.sock_recvfrom(peer, 100), PATIENCE)
                assert data == host.encode()
            peer.sendto(b"OPTIONS", source)
            assert await heard.get() == (b"OPTIONS", peer.getsockname())
        errors = sip.send_errors
        sip.send(b"x", ("127.0.0.1", 70_000))
        sip.send(b"x", ("::1", 5060))
        assert sip.send_errors == errors + 2
        sip.send(b"x", ("nobody.invalid", 5060))
        assert await asyncio.wait_for(unresolved.get(), PATIENCE) == ("nobody.invalid", 5060)
        for number in range(100):
            sip.send(b"x", (f"nobody-{number}.invalid", 5060))
        assert unresolved.empty()  # a sender in the middle of its work is not called back
        assert await asyncio.wait_for(unresolved.get(), PATIENCE)
        await sip.close()
        sip.send(b"after the end", ("127.0.0.1", 9))

    asyncio.run(run())


# --- links to planes


class Planes:
    def __init__(self) -> None:
        self.reports: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()

    def plane_connected(self, index: int) -> None:
        self.reports.put_nowait(("connected", index))

    def plane_lost(self, index: int, reason: str) -> None:
        self.reports.put_nowait(("lost", index))

    def receive_link(self, index: int, line: bytes) -> None:
        self.reports.put_nowait((index, line))


def test_control_meets_a_plane_again_after_its_death(tmp_path: Path) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        sink = Planes()
        links = PlaneLinks(tmp_path, 1, sink)
        links.start()
        links.write(0, b"nobody is there yet\n")
        for life in range(2):
            ends: asyncio.Queue[Link] = asyncio.Queue()
            lines: asyncio.Queue[bytes] = asyncio.Queue()
            server = await loop.create_unix_server(
                lambda ends=ends, lines=lines: Link(ends.put_nowait, lines.put_nowait, lambda *_: None),  # type: ignore[misc]
                sock=bind_unix(socket_path(tmp_path, 0)),
            )
            assert await asyncio.wait_for(sink.reports.get(), PATIENCE) == ("connected", 0)
            plane = await ends.get()
            links.write(0, b"to the plane\n")
            assert await lines.get() == b"to the plane\n"
            plane.write(b"to control\n")
            assert await sink.reports.get() == (0, b"to control\n")
            server.close()
            if life == 0:
                plane.close("dies")
                assert await sink.reports.get() == ("lost", 0)
        await links.close()
        assert sink.reports.empty()

    asyncio.run(run())


# --- reload


class ReloadingHost:
    def __init__(self) -> None:
        self.reloads: asyncio.Queue[int] = asyncio.Queue()
        self.broken = False

    async def reload(self) -> Release:
        self.reloads.put_nowait(1)
        if self.broken:
            raise SyntaxError("invalid syntax (app.py, line 3)")
        return Release("r2", {})


def test_a_changed_file_makes_a_release_and_a_broken_one_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reload, "POLL", 0.01)
    template = tmp_path / "template.yaml"
    template.write_text("a")
    code = tmp_path / "functions" / "x" / "app.py"
    code.parent.mkdir(parents=True)
    code.write_text("one")

    async def run() -> None:
        host = ReloadingHost()
        releases: asyncio.Queue[Release] = asyncio.Queue()
        watching = asyncio.create_task(reload.watch(template, host, releases.put_nowait))  # type: ignore[arg-type]
        number = 0
        while releases.empty():  # the first look may come after the first change
            number += 1
            code.write_text("x" * number)
            await asyncio.sleep(0.05)
        host.broken = True
        while not host.reloads.empty():
            host.reloads.get_nowait()
        (code.parent / "new.py").write_text("new")
        await asyncio.wait_for(host.reloads.get(), PATIENCE)
        while "not reloaded" not in caplog.text:  # noqa: ASYNC110 (a log line has no event)
            await asyncio.sleep(0)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    asyncio.run(run())
    assert "app.py, line 3" in caplog.text


# --- own addresses


@pytest.mark.parametrize(
    ("advertise", "bound", "peer", "own"),
    [
        ("192.0.2.10", "0.0.0.0", None, "192.0.2.10"),
        ("auto", "127.0.0.1", ("192.0.2.1", 5060), "127.0.0.1"),
        ("auto", "0.0.0.0", ("127.0.0.1", 5060), "127.0.0.1"),
        ("auto", "::1", None, "::1"),
        ("auto", "127.0.0.1", ("trunk.example", 5060), "127.0.0.1"),
    ],
)
def test_the_address_named_to_a_peer(advertise: str, bound: str, peer: tuple[str, int] | None, own: str) -> None:
    assert own_address(advertise, bound, peer) == own


def test_to_a_peer_by_name_it_is_the_one_named_to_the_world() -> None:
    assert own_address("auto", "0.0.0.0", ("trunk.example", 5060)) == own_address("auto", "0.0.0.0")


def test_without_a_route_it_is_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object) -> None:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr("socket.socket.connect", unreachable)
    assert own_address("auto", "0.0.0.0", ("trunk.example", 5060)) == "127.0.0.1"
    assert own_address("auto", "::", None) == "::1"


def test_what_is_open_is_settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    config = settle(load(None, {}, {"http.public.listen": "127.0.0.1:8443"}))
    assert (config.edge.planes, config.http.public.url) == (1, "http://127.0.0.1:8443")
    assert config.edge.data_dir == tmp_path / "var"
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(4)))
    assert settle(load(None, {}, {"http.public.url": "https://voice.example"})).edge.planes == 3
    assert dataclasses.is_dataclass(config)
    with pytest.raises(ConfigError, match=r"http\.public\.url"):
        settle(load(None, {}, {}))
