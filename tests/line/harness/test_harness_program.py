"""The agent program as a process: its environment, health, crashes, end; and the options of `cordboard line`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import select
import signal
import subprocess
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from cordboard.line.agent_options import agent_harness
from cordboard.line.harness import environment, program
from cordboard.line.harness.environment import EnvironmentFailed, place, prepare
from cordboard.line.harness.program import AgentProgram, AgentUrl, Watch, clean
from cordboard.line.main import add_arguments, main
from cordboard.line.script import parse
from cordboard.line.tables import ScriptError

LIMIT = 30.0

STATUS = """
import http.server, os, pathlib, sys, threading
folder = pathlib.Path(sys.argv[0]).parent
with (folder / "pids").open("a") as file:
    file.write(f"{os.getpid()}\\n")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        if (folder / "crash").exists():
            (folder / "crash").unlink()
            os._exit(7)
    def log_message(self, *words):
        pass
print("serves https://host.example/secret/path now", flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


QUICK = Watch(interval=0.05)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(program, "BACKOFF", (0.01, 0.02))
    (tmp_path / "main.py").write_text(STATUS)
    return tmp_path / "main.py"


def pids(path: Path) -> list[int]:
    return [int(word) for word in (path.parent / "pids").read_text().split()]


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def ends(pid: int) -> bool:
    """Whether a process is over, or soon is: a killed one may take a moment."""
    try:
        watch = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watch], [], [], LIMIT)[0])
    finally:
        os.close(watch)


def run(test: Coroutine[Any, Any, None]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(LIMIT):
            await test
        assert not asyncio.all_tasks() - {asyncio.current_task()}

    asyncio.run(limited())


async def until(starts: int, agent: AgentProgram) -> None:
    while agent.starts < starts or not agent.url:  # noqa: ASYNC110 - the test's limit ends this
        await asyncio.sleep(0.01)


def test_a_program_is_started_healthy_logged_and_ended(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        agent = AgentProgram(path, python=Path(sys.executable), watch=QUICK)
        await agent.start()
        try:
            assert agent.url.startswith("http://127.0.0.1:")
            assert runs(pids(path)[0])
        finally:
            await agent.close()
        assert agent.url == ""

    with caplog.at_level(logging.INFO, "cordboard.line"):
        run(test())
    assert "agent | serves https://host.example/… now" in caplog.messages
    assert "secret" not in caplog.text
    assert all(ends(pid) for pid in pids(path))


def test_a_crashed_program_is_started_again(path: Path) -> None:
    async def test() -> None:
        agent = AgentProgram(path, python=Path(sys.executable), watch=QUICK)
        await agent.start()
        try:
            (path.parent / "crash").touch()
            await until(2, agent)
        finally:
            await agent.close()

    run(test())
    assert len(pids(path)) == 2
    assert all(ends(pid) for pid in pids(path))


def test_a_hung_program_is_killed_and_started_again(path: Path) -> None:
    watch = Watch(interval=0.05, timeout=0.2, strikes=3, stop=0.2)

    async def test() -> None:
        agent = AgentProgram(path, python=Path(sys.executable), watch=watch)
        await agent.start()
        try:
            os.kill(pids(path)[0], signal.SIGSTOP)
            await until(2, agent)
        finally:
            await agent.close()

    run(test())
    assert all(ends(pid) for pid in pids(path))


def test_closing_while_a_hung_program_is_ended_leaves_nothing(path: Path) -> None:
    async def test() -> None:
        agent = AgentProgram(path, python=Path(sys.executable), watch=Watch(0.05, 0.2, 1, stop=0.3))
        await agent.start()
        os.kill(pids(path)[0], signal.SIGSTOP)
        while agent.url:  # noqa: ASYNC110 - the test's limit ends this
            await asyncio.sleep(0.01)
        await agent.close()  # it was asked to end, and cannot hear it

    run(test())
    assert len(pids(path)) == 1
    assert all(ends(pid) for pid in pids(path))


def test_a_program_that_ends_at_once_lets_the_stand_in_start(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.write_text("raise SystemExit(3)")

    async def test() -> None:
        agent = AgentProgram(path, python=Path(sys.executable), watch=QUICK)
        await agent.start()
        assert agent.url == ""
        await agent.close()

    run(test())
    assert "ended with 3" in caplog.text


def test_a_program_ends_with_the_pipe_of_a_killed_stand_in(path: Path) -> None:
    environment = {**os.environ, "PORT": str(program._free_port())}
    with subprocess.Popen(
        [sys.executable, str(program.LEASH), str(path)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert "serves" in process.stdout.readline()
        process.stdin.close()
        assert process.wait(LIMIT) == -signal.SIGKILL  # with all that it started


def test_a_missing_program_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments("--agent", str(tmp_path / "no.py"), "--port", "0")) == 1
    assert "no.py: no such agent program" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "logged"),
    [
        ("plain", "plain"),
        ("\x1b[31mred\x1b[0m\r\n", "red"),
        ("POST http://10.0.0.1:80/c/TOKEN?x=1 done", "POST http://10.0.0.1:80/… done"),
        ("{'url': 'https://h/c/TOKEN'}", "{'url': 'https://h/…'}"),
        ("x" * 9000, "x" * 2000),
        ("Received start message: {'metadata': {'key': 'SECRET'}}", "Received start message: …"),
    ],
)
def test_printed_lines_are_cleaned(line: str, logged: str) -> None:
    assert clean(line) == logged


@pytest.mark.parametrize("url", ["x", "ftp://h", "http://", "http://h/path", "http://h?q=1", "http://h:port"])
def test_a_bad_url_of_an_agent_is_refused(url: str) -> None:
    with pytest.raises(ScriptError, match="--agent-url"):
        agent_harness(arguments("--agent-url", url), parse("[agents.x]\n", Path()), Path())


def test_a_url_that_does_not_answer_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    run(AgentUrl(f"http://127.0.0.1:{program._free_port()}/").start())
    assert "nothing answers" in caplog.text


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(words)


def test_the_agents_id_is_its_folder_or_what_was_given() -> None:
    script = parse("[agents.told]\nbarge_in = false\n[agents.busy]\ngreeting = 'Hi'\n", Path())
    given = arguments("--agent", "x/front_desk/main.py", "--agent-dtmf", "bare")
    assert agent_harness(given, script, Path())["front_desk"].dtmf_turns is False
    assert list(agent_harness(arguments("--agent-url", "http://h:1"), script, Path())) == ["agent"]
    assert list(agent_harness(arguments("--agent-url", "http://h:1", "--agent-id", "told"), script, Path())) == ["told"]
    assert agent_harness(arguments(), script, Path()) == {}
    with pytest.raises(ScriptError, match=r"agents\.busy"):
        agent_harness(arguments("--agent-url", "http://h:1", "--agent-id", "busy"), script, Path())
    with pytest.raises(ScriptError, match="--ear"):
        agent_harness(arguments("--ear", "x.toml"), script, Path())


def test_each_requirements_file_has_a_place_of_its_own(tmp_path: Path) -> None:
    one, two = tmp_path / "one.txt", tmp_path / "two.txt"
    one.write_text("a==1\n")
    two.write_text("a==2\n")
    assert place(tmp_path, one) != place(tmp_path, two)
    two.write_text("a==1\n")
    assert place(tmp_path, one) == place(tmp_path, two)


def test_an_environment_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[tuple[str, ...]] = []

    async def note(*command: str) -> None:
        commands.append(command[1:])
        (place(tmp_path, lock)).mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(environment, "_run", note)
    lock = tmp_path / "lock.txt"
    lock.write_text("a==1 --hash=sha256:00\n")

    async def test() -> None:
        first, second = await asyncio.gather(prepare(tmp_path, lock), prepare(tmp_path, lock))
        assert first == second == place(tmp_path, lock) / "bin" / "python"

    monkeypatch.setattr(environment, "LOCK_RETRY", 0.01)
    run(test())
    assert [command[:3] for command in commands] == [("-m", "venv", "--clear"), ("-m", "pip", "install")]
    assert "--require-hashes" in commands[1]


def test_an_environment_that_cannot_be_made_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(EnvironmentFailed, match="No module named"):
        asyncio.run(environment._run(sys.executable, "-m", "no_such_module"))
    (tmp_path / "main.py").touch()
    words = ["--agent", str(tmp_path / "main.py"), "--agent-requirements", str(tmp_path / "no.txt"), "--port", "0"]
    assert main(arguments(*words, "--data-dir", str(tmp_path))) == 1
    assert "no.txt" in capsys.readouterr().err


def test_the_stand_in_ends_its_program_by_a_signal(path: Path) -> None:
    command = (
        "import argparse, sys; from cordboard.line.main import add_arguments, main; p = argparse.ArgumentParser(); "
        "add_arguments(p); sys.exit(main(p.parse_args()))"
    )
    words = ["--agent", str(path), "--agent-python", sys.executable, "--port", "0"]
    with subprocess.Popen([sys.executable, "-c", command, *words], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            lines = iter(process.stderr.readline, "")
            assert any("listening on" in line and path.parent.name in line for line in lines)
            process.send_signal(signal.SIGTERM)
            assert process.wait(LIMIT) == 0
        finally:
            process.kill()
    assert len(pids(path)) == 1
    assert ends(pids(path)[0])


def test_a_program_ends_with_a_killed_stand_in(path: Path) -> None:
    command = (
        "import asyncio, pathlib, sys; from cordboard.line.harness.program import AgentProgram; "
        "a = AgentProgram(pathlib.Path(sys.argv[1]), python=pathlib.Path(sys.executable)); "
        "l = asyncio.new_event_loop(); l.run_until_complete(a.start()); print(a.url, flush=True); l.run_forever()"
    )
    with subprocess.Popen([sys.executable, "-c", command, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("http://")
        watch = os.pidfd_open(pids(path)[0])
        try:
            process.kill()
            ready, _, _ = select.select([watch], [], [], LIMIT)
            assert ready, "the program lives on"
        finally:
            os.close(watch)
