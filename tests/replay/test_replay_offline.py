"""What a replayed handler reaches for outside of its call is not performed, and is a difference that names it."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cordboard.hosts.errors import FunctionRaised
from cordboard.replay.functions import OfflineFunctions
from cordboard.replay.offline import Offline, offline
from cordboard.scenario import Stores

from .conftest import DESK, found, replayed

OLD = "    session.state.timers += 1\n"
THREAD = "_thread.start_new_thread" if sys.version_info < (3, 13) else "_thread.start_joinable_thread"
REACHES = [
    ("open({mark!r}, 'w').close()", "open"),
    ("os.open({mark!r}, os.O_CREAT | os.O_WRONLY)", "open"),
    ("os.open('mark', os.O_CREAT | os.O_WRONLY, dir_fd=os.open({folder!r}, os.O_RDONLY))", "open"),
    ("pathlib.Path({mark!r}).touch()", "os.utime"),
    ("os.mkdir({mark!r})", "os.mkdir"),
    ("os.remove({kept!r})", "os.remove"),
    ("os.rename({kept!r}, {mark!r})", "os.rename"),
    ("os.truncate({kept!r}, 0)", "os.truncate"),
    ("os.symlink({kept!r}, {mark!r})", "os.symlink"),
    ("os.link({kept!r}, {mark!r})", "os.link"),
    ("os.rename(tempfile.mkstemp()[1], {mark!r})", "os.rename"),
    ("sqlite3.connect({mark!r})", "sqlite3.connect"),
    ("threading.Thread(target=print).start()", THREAD),
    ("subprocess.run(['touch', {mark!r}])", "subprocess.Popen"),
    ("os.system('touch ' + {mark!r})", "os.system"),
    ("os.fork() or os._exit(0)", "os.fork"),
    ("os.forkpty()[0] or os._exit(0)", "os.forkpty"),
    ("os.posix_spawn('/bin/touch', ['touch', {mark!r}], {{}})", "os.posix_spawn"),
    ("os.execv('/bin/touch', ['touch', {mark!r}])", "os.exec"),
    ("os.kill(os.getpid(), 0)", "os.kill"),
    ("socket.create_connection(('127.0.0.1', 9))", "socket.getaddrinfo"),
    ("with socket.socket() as s: s.connect(('127.0.0.1', 9))", "socket.connect"),
    ("with socket.socket() as s: s.connect_ex(('127.0.0.1', 9))", "socket.connect"),
    ("with socket.socket() as s: s.bind(('127.0.0.1', 9))", "socket.bind"),
    ("with socket.socket(type=socket.SOCK_DGRAM) as s: s.sendto(b'x', ('127.0.0.1', 9))", "socket.sendto"),
    ("with socket.socket(type=socket.SOCK_DGRAM) as s: s.sendmsg([b'x'], [], 0, ('127.0.0.1', 9))", "socket.sendmsg"),
]
NEEDS = "os, pathlib, socket, sqlite3, subprocess, tempfile, threading"


@pytest.mark.parametrize("caught", [False, True])
@pytest.mark.parametrize(("reach", "event"), REACHES, ids=[each for each, _ in REACHES])
def test_it_is_refused_and_named_also_where_the_handler_goes_on(
    reach: str, event: str, caught: bool, journal: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    kept.write_text("kept")
    code = reach.format(mark=str(tmp_path / "mark"), kept=str(kept), folder=str(tmp_path))
    body = f"        import {NEEDS}\n        {code}\n"
    ends = "    except BaseException:\n        pass\n" if caught else "    finally:\n        pass\n"
    report = replayed(journal, tmp_path / "changed", (OLD, f"    try:\n{body}{ends}{OLD}"))
    assert found(report) == [("timer", "failure")] * 3
    assert report.differences[0].today.startswith(f"Offline: {event} in a replay: ")
    assert kept.read_text() == "kept"
    assert not (tmp_path / "mark").exists()


def test_what_is_temporary_may_be_written_and_is_gone_afterwards(journal: Path, tmp_path: Path) -> None:
    told = tmp_path / "told"
    told.write_text("")
    code = (
        "    import os, sqlite3, tempfile\n"
        "    with tempfile.TemporaryDirectory() as folder, open(os.devnull, 'w') as nowhere:\n"
        "        os.mkdir(folder + '/deep')\n"
        "        with open(folder + '/deep/a', 'w') as file:\n"
        "            file.write('x')\n"
        "        os.rename(folder + '/deep/a', folder + '/b')\n"
        "        sqlite3.connect(folder + '/c').execute('CREATE TABLE x (y)').connection.close()\n"
        "    handle, name = tempfile.mkstemp()\n"
        "    os.write(handle, b'left behind')\n"
        "    print(name)\n"
    )
    before = set(Path(os.environ.get("TMPDIR", "/tmp")).glob("cordboard-replay-*"))
    report = replayed(journal, tmp_path / "changed", (OLD, code + OLD))
    assert report.differences == []
    assert set(Path(os.environ.get("TMPDIR", "/tmp")).glob("cordboard-replay-*")) <= before


def test_a_refusal_that_an_import_swallows_is_named(tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text(
        "Resources:\n  A:\n    Type: AWS::Serverless::Function\n    Properties:\n      CodeUri: .\n"
        "      Handler: app.handler\n      Runtime: python3.12\n"
    )
    (tmp_path / "app.py").write_text(
        "from cordboard.scenario import AppEvents, Scenario\n"
        "try:\n    open('mark', 'w')\nexcept BaseException:\n    pass\n"
        "scenario = Scenario('a')\n@scenario.on(AppEvents.Timer)\nasync def timer(session, event):\n    pass\n"
        "handler = scenario.lambda_handler()\n"
    )
    with pytest.raises(FunctionRaised, match="open in a replay"):
        OfflineFunctions(tmp_path / "template.yaml", Stores())
    assert not (tmp_path / "__pycache__").exists()


@pytest.mark.parametrize("code", ["import boto3", "import httpx; httpx.Client().close()", "import numpy"])
def test_what_handlers_import_may_be_imported(code: str, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    program = (
        f"from cordboard.replay.offline import offline\nwith offline('own') as refused:\n    {code}\nassert not refused"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_thread_that_was_there_before_is_refused_too(tmp_path: Path) -> None:
    go, said = threading.Event(), list[Offline]()

    def reach() -> None:
        go.wait()
        try:
            (tmp_path / "mark").touch()
        except Offline as error:
            said.append(error)

    thread = threading.Thread(target=reach)
    thread.start()
    with offline(str(tmp_path / "own")) as refused:
        go.set()
        thread.join()
    assert [type(each) for each in said] == [Offline]
    assert len(refused) == 1
    assert not (tmp_path / "mark").exists()


def test_between_the_rounds_it_is_closed_too(tmp_path: Path) -> None:
    functions = OfflineFunctions(DESK, Stores())
    with pytest.raises(Offline, match="open in a replay"):
        (tmp_path / "mark").open("w")
    functions.close()
    (tmp_path / "mark").open("w").close()


def test_it_stays_so_to_the_end_of_the_process(tmp_path: Path) -> None:
    code = "from cordboard.replay.offline import stay_closed\nstay_closed()\nopen('mark', 'w')\n"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "Offline: open in a replay" in done.stderr
    assert not (tmp_path / "mark").exists()
