"""The edge as real processes: it starts, takes a call, survives the death of each part, and leaves nothing behind."""

import asyncio
import http.client
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cordboard.edge.supervisor import HUNG
from cordboard.media.wav import read_wav
from cordboard.phone.softphone import Softphone

PATIENCE = 20.0
"""Seconds until a test gives up; every wait ends as soon as its event is there."""


LEASE = 2
"""Seconds, shorter than the default for the sake of the tests."""


class RunningEdge:
    """One edge with its ports and folder."""

    def __init__(self, folder: Path, hung_after: float) -> None:
        ports = _free_ports(6)
        self.sip, self.public, self.metrics, self.callee, self.admin = ports[:5]
        rtp = ports[5] & ~1
        self.data = folder / "var"
        config = folder / "cordboard.toml"
        config.write_text(
            f"""
            [edge]
            planes = 1
            lease = "{LEASE}s"
            [http.public]
            listen = "127.0.0.1:{self.public}"
            [http.admin]
            listen = "127.0.0.1:{self.admin}"
            [http.metrics]
            listen = "127.0.0.1:{self.metrics}"
            [sip]
            udp = "127.0.0.1:{self.sip}"
            rtp = {{bind = "127.0.0.1", ports = "{rtp}-{rtp + 199}"}}
            accept = "any"
            [log]
            format = "json"
            [[trunks]]
            name = "here"
            uri = "sip:localhost:{self.callee}"
            [[trunks]]
            name = "nowhere"
            uri = "sip:nobody.invalid"
            [dial]
            allow = ["+1415*"]
            [[routes]]
            to = "+18005550199"
            scenario = "dialler"
            [[routes]]
            to = "+18005550198"
            scenario = "ringer"
            [[routes]]
            to = "*"
            scenario = "line-agent"
            """
        )
        script = Path(__file__).with_name("edge_with_fixed_functions.py")
        self.errors = (folder / "stderr").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, str(script), str(config), str(hung_after)],
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )
        self.seen: set[int] = set()

    def ready(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.log()
        self.children()
        return dict(json.loads(line))

    def log(self) -> str:
        return Path(self.errors.name).read_text()

    def children(self) -> dict[str, int]:
        """Name → pid of the living children."""
        found = {}
        for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            for name in ("media", "finisher", "control"):
                if f"cordboard.edge.{name}" in words or any(f"{name}_with_fixed" in word for word in words):
                    found[name] = int(pid)
        self.seen |= set(found.values())
        return found

    def get(self, port: int, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        try:
            connection.request("GET" if body is None else "POST", path, body)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def is_ready(self) -> bool:
        try:
            return self.get(self.metrics, "/readyz")[0] == 200
        except OSError:
            return False

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_bytes()) for path in sorted(self.data.glob("calls/*/record.json"))]

    def timeline(self) -> list[dict[str, Any]]:
        """Entries of the only call, so far."""
        (path,) = self.data.glob("calls/*/timeline.jsonl")
        return [json.loads(line) for line in path.read_bytes().splitlines()]

    def until(self, condition: Callable[[], object]) -> None:
        give_up = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < give_up, self.log()
            time.sleep(0.02)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(10.0)

    def nothing_left(self) -> bool:
        return not any(_alive(pid) for pid in self.seen)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _free_ports(count: int) -> list[int]:
    held = []
    for _ in range(count):
        one = socket.socket()
        one.bind(("127.0.0.1", 0))
        held.append(one)
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return [min(port, 65_000) for port in ports]


@pytest.fixture
def hung_after() -> float:
    """Seconds of silence after which the supervisor kills control."""
    return HUNG


@pytest.fixture
def edge(tmp_path: Path, hung_after: float) -> Iterator[RunningEdge]:
    edge = RunningEdge(tmp_path, hung_after)
    yield edge
    if edge.process.poll() is None:
        edge.children()
        edge.process.kill()
    edge.process.communicate()
    edge.until(edge.nothing_left)
    edge.errors.close()


async def _call(edge: RunningEdge, during: Callable[[], None], ended_by: str = "us") -> int:
    """One call; how many RTP samples the phone got. `during` runs while it is up."""
    async with Softphone() as phone:
        call = await phone.call(f"sip:+18005550100@127.0.0.1:{edge.sip}")
        await call.wait_answered(PATIENCE)
        tone = (8000 * np.sin(np.arange(8000) * 2 * np.pi * 440 / 8000)).astype(np.int16)
        await call.play(tone)
        await asyncio.to_thread(during)
        if ended_by == "us":
            call.hangup()
        await call.wait_ended(PATIENCE)
        assert call.ended_by == ended_by
        return 0


@contextmanager
def _silent_caller(edge: RunningEdge) -> Iterator[None]:
    """A call that is up and whose peer answers nothing from then on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(PATIENCE)
        one.bind(("127.0.0.1", 0))
        own = f"127.0.0.1:{one.getsockname()[1]}"

        def send(method: str, tag: str, body: str) -> None:
            lines = (
                f"{method} sip:+18005550100@127.0.0.1:{edge.sip} SIP/2.0",
                f"Via: SIP/2.0/UDP {own};branch=z9hG4bK{method}",
                f"From: <sip:silent@{own}>;tag=silent",
                f"To: <sip:+18005550100@127.0.0.1:{edge.sip}>{tag}",
                "Call-ID: silent",
                f"CSeq: 1 {method}",
                f"Contact: <sip:silent@{own}>",
                "Max-Forwards: 70",
                "Content-Type: application/sdp",
                f"Content-Length: {len(body)}",
            )
            one.sendto(("\r\n".join(lines) + "\r\n\r\n" + body).encode(), ("127.0.0.1", edge.sip))

        sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"
        send("INVITE", "", sdp)
        answer = ""
        while not answer.startswith("SIP/2.0 200"):
            answer = one.recv(4096).decode()
        to = next(line for line in answer.split("\r\n") if line.startswith("To:"))
        send("ACK", to[to.index(";tag=") :], "")
        edge.until(lambda: any("ACK" in entry["what"] for entry in edge.timeline()))
        yield


def test_it_starts_says_ready_and_leaves_nothing(edge: RunningEdge) -> None:
    assert edge.ready() == {"sip": f"127.0.0.1:{edge.sip}", "url": f"http://127.0.0.1:{edge.public}"}
    assert set(edge.children()) == {"media", "finisher", "control"}
    assert edge.get(edge.metrics, "/livez")[0] == 200
    assert edge.is_ready()
    for path in ("/control/x", "/control/", "/control/a/b/c", "/control/%00"):
        status, body = edge.get(edge.public, path)
        assert (status, json.loads(body)["code"]) == (404, "not_found")
    assert edge.get(edge.public, "/livez")[0] == 404
    assert edge.get(edge.public, "/control/x", b"x" * 65_537)[0] == 413
    assert edge.get(edge.public, "/control/x", b"x" * 65_536)[0] == 404
    for each, mode in ((edge.data, 0o700), (edge.data / "run", 0o700), (edge.data / "control.key", 0o600)):
        assert stat.S_IMODE(each.stat().st_mode) == mode
    assert edge.stop() == 0
    assert edge.nothing_left()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", edge.sip))
    assert "Traceback" not in edge.log()


def test_a_call_leaves_its_files(edge: RunningEdge) -> None:
    edge.ready()
    asyncio.run(_call(edge, lambda: None))
    edge.until(edge.records)
    record = edge.records()[0]
    assert record["cause"] == "caller.hangup"
    folder = edge.data / "calls" / record["session"]
    edge.until(lambda: (folder / "recording.wav").exists())
    wav = read_wav(folder / "recording.wav")
    assert (wav.rate, wav.channels) == (8000, 2)
    spectrum = np.abs(np.fft.rfft(wav.samples[:, 0].astype(float)))
    assert abs(int(np.argmax(spectrum)) * wav.rate / len(wav.samples) - 440) <= 5
    edge.until(lambda: not (folder / "recording.raw.wav").exists())
    timeline = json.loads((folder / "timeline.json").read_bytes())
    assert timeline["record"] == record
    assert [json.loads(line) for line in (folder / "timeline.jsonl").read_bytes().splitlines()] == timeline["entries"]
    assert timeline["entries"]
    assert not list((edge.data / "dialogs").iterdir())
    status, body = edge.get(edge.metrics, "/metrics")
    assert status == 200
    for line in (
        "cordboard_calls_live 0.0",
        'cordboard_calls_total{cause="caller.hangup",route="3"} 1.0',
        'cordboard_turn_seconds_count{event="call.alerting",function="answering",outcome="done"} 1.0',
        "cordboard_invite_to_answer_seconds_count 1.0",
        f'cordboard_build_info{{version="{version("cordboard")}"}} 1.0',
    ):
        assert line in body.decode().splitlines()
    assert b'cordboard_tick_lateness_seconds_bucket{le="+Inf",plane="0"}' in body
    assert not any(private in body for private in (b"+1800", b"alice", record["session"].encode()))
    assert edge.get(edge.public, "/metrics")[0] == 404
    assert edge.stop() == 0
    assert "Traceback" not in edge.log()


def test_sigterm_says_bye_to_all(edge: RunningEdge) -> None:
    edge.ready()
    asyncio.run(_call(edge, lambda: edge.process.send_signal(signal.SIGTERM), "them"))
    assert edge.process.wait(10.0) == 0
    assert [record["cause"] for record in edge.records()] == ["edge.shutdown"]
    assert edge.nothing_left()


def test_sigterm_writes_the_record_of_a_call_whose_peer_answers_nothing(edge: RunningEdge) -> None:
    edge.ready()
    with _silent_caller(edge):
        assert edge.stop() == 0  # within ten seconds
    (record,) = edge.records()
    assert (record["cause"], record["to"]) == ("edge.shutdown", "+18005550100")
    assert (edge.data / "calls" / record["session"] / "timeline.json").exists()
    assert edge.nothing_left()
    assert "had not ended" not in edge.log()


def test_control_that_stood_still_beyond_the_lease_ends_its_call_and_keeps_its_plane(edge: RunningEdge) -> None:
    edge.ready()
    before = edge.children()

    def stand_still() -> None:
        edge.until(lambda: any(edge.data.glob("calls/*/*.raw.wav")))
        os.kill(before["control"], signal.SIGSTOP)
        time.sleep(2 * LEASE)  # the fault itself
        os.kill(before["control"], signal.SIGCONT)

    asyncio.run(_call(edge, stand_still, "them"))
    edge.until(edge.records)
    (record,) = edge.records()
    assert record["fault"] == "edge"
    folder = edge.data / "calls" / record["session"]
    edge.until(lambda: (folder / "recording.wav").exists())
    assert len(read_wav(folder / "recording.wav").samples) > 0
    edge.until(lambda: not (folder / "recording.raw.wav").exists())
    assert not list((edge.data / "dialogs").iterdir())
    asyncio.run(_call(edge, lambda: None))
    assert edge.children() == before
    assert edge.stop() == 0
    assert "is killed" not in edge.log()


@pytest.mark.parametrize("hung_after", [3.0])
def test_control_that_hangs_is_killed_and_the_next_one_ends_its_call(edge: RunningEdge, hung_after: float) -> None:
    edge.ready()
    before = edge.children()
    asyncio.run(_call(edge, lambda: os.kill(before["control"], signal.SIGSTOP), "them"))
    edge.until(edge.records)
    assert edge.records()[0]["cause"] == "control.lost"
    assert "control is killed: no report of life; it hangs (time 1 of this edge)" in edge.log()
    edge.until(edge.is_ready)
    after = edge.children()
    assert {name for name in before if after.get(name) != before[name]} == {"control"}
    asyncio.run(_call(edge, lambda: None))
    assert edge.stop() == 0


def test_a_trunk_is_dialled_by_name_and_one_whose_name_is_not_found_fails_at_once(edge: RunningEdge) -> None:
    edge.ready()

    async def run() -> None:
        async with Softphone() as phone, Softphone(sip_port=edge.callee, user="callee") as callee:
            call = await phone.call(f"sip:+18005550199@127.0.0.1:{edge.sip}")
            await call.wait_answered(PATIENCE)
            rung = await callee.incoming(PATIENCE)
            rung.answer()
            await rung.wait_answered(PATIENCE)
            await asyncio.to_thread(edge.until, lambda: any("call.failed" in e["what"] for e in edge.timeline()))
            call.hangup()
            await rung.wait_ended(PATIENCE)

    asyncio.run(run())
    edge.until(edge.records)
    (record,) = edge.records()
    legs = {leg["name"]: (leg["answered"], leg["code"]) for leg in record["legs"]}
    assert legs == {"caller": (True, 200), "found": (True, 200), "lost": (False, 503)}
    assert edge.stop() == 0


@pytest.mark.parametrize("part", ["media", "finisher", "control"])
def test_a_killed_part_comes_back(edge: RunningEdge, part: str) -> None:
    edge.ready()
    before = edge.children()
    os.kill(before[part], signal.SIGKILL)
    edge.until(lambda: edge.children().get(part, before[part]) != before[part])
    edge.until(edge.is_ready)
    after = edge.children()
    assert {name for name in before if after.get(name) != before[name]} == {part}
    asyncio.run(_call(edge, lambda: None))
    assert edge.stop() == 0
    assert edge.nothing_left()


def test_a_plane_that_dies_ends_its_calls_with_a_bye(edge: RunningEdge) -> None:
    edge.ready()
    asyncio.run(_call(edge, lambda: os.kill(edge.children()["media"], signal.SIGKILL), "them"))
    edge.until(edge.records)
    assert edge.records()[0]["cause"] == "plane.lost"
    assert edge.stop() == 0


def test_control_that_dies_ends_its_calls_in_its_next_life(edge: RunningEdge) -> None:
    edge.ready()
    asyncio.run(_call(edge, lambda: os.kill(edge.children()["control"], signal.SIGKILL), "them"))
    edge.until(edge.records)
    record = edge.records()[0]
    assert (record["cause"], record["fault"], record["to"]) == ("control.lost", "edge", "+18005550100")
    folder = edge.data / "calls" / record["session"]
    edge.until(lambda: (folder / "recording.wav").exists())
    assert len(read_wav(folder / "recording.wav").samples) > 0
    edge.until(edge.is_ready)
    assert edge.stop() == 0


def test_a_caller_who_still_hears_ringing_is_refused_by_the_next_control(edge: RunningEdge) -> None:
    edge.ready()

    async def run() -> None:
        async with Softphone() as phone:
            call = await phone.call(f"sip:+18005550198@127.0.0.1:{edge.sip}")
            await call.wait_ringing(PATIENCE)
            os.kill(edge.children()["control"], signal.SIGKILL)
            await call.wait_ended(PATIENCE)
            assert call.final_code == 503

    asyncio.run(run())
    edge.until(edge.records)
    assert edge.records()[0]["cause"] == "control.lost"
    assert edge.stop() == 0


def test_all_children_end_with_the_supervisor(edge: RunningEdge) -> None:
    edge.ready()
    asyncio.run(_call(edge, edge.process.kill, "them"))
    edge.until(edge.nothing_left)


def test_a_second_edge_with_the_same_folder_is_refused(edge: RunningEdge, tmp_path: Path) -> None:
    edge.ready()
    script = Path(__file__).with_name("edge_with_fixed_functions.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "cordboard.toml"), "15"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode != 0
    assert "an edge runs with" in done.stderr
    assert edge.is_ready()
