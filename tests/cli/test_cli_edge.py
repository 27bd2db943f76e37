"""`cordboard edge` and `cordboard dev` as users start them: real processes, the seed's functions, the stand-in."""

import asyncio
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cordboard.cli.dev_keys import put_keys
from cordboard.edge.data_dir import DataDir
from cordboard.phone.softphone import Softphone

from ..line.harness.real_agent import agent_python

PATIENCE = 30.0
"""Seconds until a test gives up; every wait ends as soon as its event is there."""
REPOSITORY = Path(__file__).parents[2]


def _free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in held]
    for one in held:
        one.close()
    return ports


def _group(leader: int) -> list[int]:
    """Living processes of a process group."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[2]) == leader and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


class Command:
    """`cordboard …` in a process group of its own, as a terminal would run it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[str] | None = None

    def start(self, *words: str) -> "subprocess.Popen[str]":
        self.errors = (self.folder / "stderr").open("w")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cordboard.cli.main", *words],
            cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.errors, text=True,
            process_group=0, env={**os.environ, "NO_COLOR": "1", **self.own_ports()},
        )  # fmt: skip
        return self.process

    def own_ports(self) -> dict[str, str]:
        metrics, admin = (f"127.0.0.1:{port}" for port in _free_ports(2))
        return {"CORDBOARD_HTTP__METRICS__LISTEN": metrics, "CORDBOARD_HTTP__ADMIN__LISTEN": admin}

    def log(self) -> str:
        return (self.folder / "stderr").read_text()

    def lines_until(self, part: str) -> list[str]:
        assert self.process is not None
        assert self.process.stdout is not None
        lines = []
        for line in self.process.stdout:
            lines.append(line.rstrip("\n"))
            if part in line:
                return lines
        raise AssertionError(f"no {part!r} in {lines}; {self.log()}")

    def close(self) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        self.errors.close()
        give_up = time.monotonic() + PATIENCE
        while _group(process.pid):
            assert time.monotonic() < give_up, "a process is left"
            time.sleep(0.02)


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    shutil.copytree(REPOSITORY / "functions", tmp_path / "functions", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "template.yaml", tmp_path)
    command = Command(tmp_path)
    yield command
    command.close()


async def _listen_to_agent(sip: int) -> None:
    async with Softphone() as phone:
        call = await phone.call(f"sip:+18005550100@127.0.0.1:{sip}")
        await call.wait_answered(PATIENCE)
        await call.hears_voice(within=PATIENCE)
        call.hangup()
        await call.wait_ended(PATIENCE)


async def _is_rejected(sip: int, code: int) -> None:
    async with Softphone() as phone:
        call = await phone.call(f"sip:+18005550100@127.0.0.1:{sip}")
        await call.wait_ended(PATIENCE)
        assert call.final_code == code


def test_dev_takes_a_call_reloads_and_ends_with_ctrl_c(command: Command) -> None:
    sip, port, line = _free_ports(3)
    process = command.start("dev", "--sip", str(sip), "--port", str(port), "--line-port", str(line))
    welcome = command.lines_until("reloading")
    assert welcome[0] == f"ready sip:127.0.0.1:{sip} http://127.0.0.1:{port}"
    assert "CARTESIA_API_KEY was missing" in command.log()
    asyncio.run(_listen_to_agent(sip))
    events = command.lines_until("call.ended")
    assert any("call.alerting:caller" in line for line in events)
    handler = command.folder / "functions" / "call_alerting" / "app.py"
    code = handler.read_text()
    assert "        call.answer()\n" in code
    handler.write_text(code.replace("        call.answer()\n", "        call.reject(486)\n        return\n"))
    give_up = time.monotonic() + PATIENCE
    while "takes new calls" not in command.log():
        assert time.monotonic() < give_up, command.log()
        time.sleep(0.05)
    asyncio.run(_is_rejected(sip, 486))  # the next call is answered by the changed handler
    os.killpg(process.pid, signal.SIGINT)  # as a terminal's Ctrl-C: the whole group
    assert process.wait(10.0) == 0
    command.close()  # nothing of the group is left
    assert "Traceback" not in command.log()


def test_dev_talks_to_an_agent_program_of_ones_own(command: Command) -> None:
    """A real cartesia-line program; the keys lead to it, where they led to the scripted agent before."""
    sip, port, line = _free_ports(3)
    data = DataDir(command.folder / "var")
    data.make()
    put_keys(data, None)
    program = REPOSITORY / "samples" / "agents" / "front_desk" / "main.py"
    words = ("--agent", str(program), "--agent-python", str(agent_python()), "--voice", "tones")
    process = command.start("dev", "--sip", str(sip), "--port", str(port), "--line-port", str(line), *words)
    assert any(each.startswith("agent  front_desk: ") for each in command.lines_until("reloading"))
    assert "key CARTESIA_AGENT_ID was 'demo-transfer': set to 'front_desk'" in command.log()
    give_up = time.monotonic() + PATIENCE
    while "agent: healthy" not in command.log():
        assert time.monotonic() < give_up, command.log()
        time.sleep(0.05)
    asyncio.run(_listen_to_agent(sip))
    command.lines_until("call.ended")
    assert "call 1 [front_desk] → turn_started" in command.log()
    process.send_signal(signal.SIGINT)
    assert process.wait(15.0) == 0


def test_dev_without_the_stand_in_names_the_keys_that_are_missing(command: Command) -> None:
    sip, port = _free_ports(2)
    process = command.start("dev", "--no-line", "--sip", str(sip), "--port", str(port))
    command.lines_until("reloading")
    told = command.log()
    assert (
        "CARTESIA_API_KEY is missing, which the sample functions read: cordboard keys put CARTESIA_API_KEY --s" in told
    )
    assert all(f"cordboard keys put {name}\n" in told for name in ("CARTESIA_AGENT_ID", "PSTN_CALLER_ID"))
    process.send_signal(signal.SIGINT)
    assert process.wait(15.0) == 0


def test_edge_says_ready_once_as_json_and_ends_with_sigterm(command: Command) -> None:
    sip, port, rtp = _free_ports(3)
    (command.folder / "cordboard.toml").write_text(
        f"""
        [edge]
        planes = 1
        [http.public]
        listen = "127.0.0.1:{port}"
        [sip]
        udp = "127.0.0.1:{sip}"
        rtp = {{bind = "127.0.0.1", ports = "{min(rtp, 65_000) & ~1}-{(min(rtp, 65_000) & ~1) + 99}"}}
        """
    )
    process = command.start("edge", "--json", "--planes", "2", "--log-format", "text")
    ready = json.loads(command.lines_until("ready")[0])
    assert ready == {"ready": {"sip": f"127.0.0.1:{sip}", "url": f"http://127.0.0.1:{port}"}}
    assert sum("cordboard.edge.media" in _command_line(pid) for pid in _group(process.pid)) == 2
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("POST", "/control/nobody", b"{}", {"Content-Type": "application/json"})
    assert connection.getresponse().status == 404
    connection.close()
    process.send_signal(signal.SIGTERM)
    assert process.wait(10.0) == 0


def test_a_taken_port_is_named_with_its_key(command: Command) -> None:
    (public,) = _free_ports(1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        (command.folder / "cordboard.toml").write_text(
            f'[http.public]\nlisten = "127.0.0.1:{public}"\n[sip]\nudp = "127.0.0.1:{other.getsockname()[1]}"\n'
        )
        process = command.start("edge")
        assert process.wait(PATIENCE) == 2
    assert "sip.udp: 127.0.0.1:" in command.log()
    assert "set another sip.udp" in command.log()


@pytest.mark.parametrize(("value", "said"), [(None, "is not set"), ("short", "shorter than 32 bytes")])
def test_a_signing_key_that_cannot_be_used_is_named(
    command: Command, value: str | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    public, sip = _free_ports(2)
    (command.folder / "cordboard.toml").write_text(
        f'[http.public]\nlisten = "127.0.0.1:{public}"\nsigning_key = {{env = "SIGNING"}}\n'
        f'[sip]\nudp = "127.0.0.1:{sip}"\n'
    )
    if value is not None:
        monkeypatch.setenv("SIGNING", value)
    process = command.start("edge")
    assert process.wait(PATIENCE) == 2
    assert f"http.public.signing_key: {said}" in command.log() or f"'SIGNING' {said}" in command.log()
    assert value is None or value not in command.log().replace("shorter", "")


def test_a_broken_function_is_named(command: Command) -> None:
    (command.folder / "functions" / "http_request" / "app.py").write_text("def broken(:\n")
    public, sip = _free_ports(2)
    (command.folder / "cordboard.toml").write_text(
        f'[http.public]\nlisten = "127.0.0.1:{public}"\n[sip]\nudp = "127.0.0.1:{sip}"\n'
    )
    process = command.start("edge")
    assert process.wait(PATIENCE) == 1
    assert "HttpRequest" in command.log()
    listed = subprocess.run(
        [sys.executable, "-m", "cordboard.cli.main", "functions", "list"],
        cwd=command.folder, capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    assert listed.returncode == 1
    assert "HttpRequest" in listed.stderr
    assert "Traceback" not in listed.stderr


@pytest.mark.parametrize("host", ["in_process", "workers"])
def test_functions_list_shows_what_each_listens_to(command: Command, host: str) -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "cordboard.cli.main", "functions", "list", "--json"],
        cwd=command.folder, capture_output=True, text=True, check=True, timeout=PATIENCE,
        env={**os.environ, "CORDBOARD_FUNCTIONS__HOST": host},
    )  # fmt: skip
    found = {line["function"]: line for line in map(json.loads, listed.stdout.splitlines())}
    assert set(found) == {"CallAlerting", "HttpRequest", "WebsocketClose", "Webhook"}
    assert found["CallAlerting"]["description"]["scenario"] == "line-agent"


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except (FileNotFoundError, ProcessLookupError):
        return ""
