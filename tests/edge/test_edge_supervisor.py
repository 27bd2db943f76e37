"""The supervisor with small children of its own: starts, restarts, order of the end, nothing left behind."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cordboard.edge.control.process import GOOD_BYE
from cordboard.edge.supervisor import HUNG, STOP_CONTROL, STOP_REST

PATIENCE = 15.0
"""Seconds until a test gives up; every wait ends as soon as its event is there."""

PRELUDE = """
import json, os, select, signal, sys, time
def say(what): open(LOG, "a").write(what + "\\n")
def tell(kind, what): os.write(0, json.dumps({kind: what}).encode() + b"\\n")
def until_eof():
    while select.select([0], [], [])[0] and os.read(0, 100): pass
"""

GOOD = """
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, lambda *_: (say(f"term {NAME}"), sys.exit(0)))
say(f"start {NAME} {os.getpid()}")
tell("ready", {"sip": "here", "url": "there"})
until_eof()
say(f"eof {NAME}")
"""


class Family:
    """A supervisor process and what its children wrote."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.log.touch()
        self.process: subprocess.Popen[str] | None = None

    def start(
        self, patience: tuple[float, float] | None = None, *, hung_after: float = HUNG, **children: str
    ) -> "subprocess.Popen[str]":
        """`patience`: other seconds for control and for the rest to end; `hung_after`: seconds of silence."""
        specs = []
        for name, code in children.items():
            program = f"NAME = {name!r}\nLOG = {str(self.log)!r}\n{PRELUDE}\n{textwrap.dedent(code)}"
            argv = (sys.executable, "-c", program)
            first, alive = name.startswith("control"), name == "hung"
            roles = f"first_to_end={first}, reports_ready={first}, reports_alive={alive}"
            specs.append(f"Child({name!r}, {argv!r}, {roles})")
        main = (
            "import logging, sys\n"
            "from cordboard.edge import supervisor\n"
            "from cordboard.edge.supervisor import Child, Supervisor\n"
            f"supervisor.STOP_CONTROL, supervisor.STOP_REST = {patience or (STOP_CONTROL, STOP_REST)}\n"
            f"supervisor.HUNG = {hung_after}\n"
            "logging.basicConfig()\n"
            "ready = lambda what: print('ready', what['sip'], what['url'], flush=True)\n"
            f"sys.exit(Supervisor([{', '.join(specs)}], ready).run())\n"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", main], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        return self.process

    def lines(self, beginning: str) -> list[str]:
        return [line for line in self.log.read_text().splitlines() if line.startswith(beginning)]

    def wait_for(self, beginning: str, count: int = 1) -> list[str]:
        give_up = time.monotonic() + PATIENCE
        while len(found := self.lines(beginning)) < count:
            assert time.monotonic() < give_up, f"no {count} × {beginning!r} in {self.log.read_text()!r}"
            time.sleep(0.01)
        return found

    def pids(self) -> list[int]:
        return [int(line.split()[2]) for line in self.lines("start ")]

    def wait_gone(self) -> None:
        give_up = time.monotonic() + PATIENCE
        while any(_alive(pid) for pid in self.pids()):
            assert time.monotonic() < give_up, "a child is left"
            time.sleep(0.01)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Family]:
    family = Family(tmp_path)
    yield family
    if family.process is not None:
        if family.process.poll() is None:
            family.process.kill()
        family.process.communicate()
        family.wait_gone()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_ends_control_before_the_rest(family: Family, number: int) -> None:
    process = family.start(plane=GOOD, control=GOOD)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready here there\n"
    family.wait_for("start", 2)
    process.send_signal(number)
    assert process.wait(PATIENCE) == 0
    assert family.lines("term") == ["term control", "term plane"]
    assert process.stdout.read() == ""  # one line ready, whatever the children report


def test_a_dead_child_is_started_again_and_the_others_stay(family: Family) -> None:
    process = family.start(plane=GOOD, control=GOOD)
    assert process.stdout is not None
    process.stdout.readline()
    family.wait_for("start plane")
    for time_ in range(1, 3):
        os.kill(int(family.lines("start plane")[-1].split()[2]), signal.SIGKILL)
        family.wait_for("start plane", time_ + 1)
    os.kill(int(family.lines("start control")[-1].split()[2]), signal.SIGKILL)
    family.wait_for("start control", 2)
    assert len(family.lines("start plane")) == 3
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0


def test_the_children_end_when_the_supervisor_is_killed(family: Family) -> None:
    process = family.start(plane=GOOD, control=GOOD)
    family.wait_for("start", 2)
    process.kill()
    assert sorted(family.wait_for("eof", 2)) == ["eof control", "eof plane"]
    family.wait_gone()


STUBBORN = """
signal.signal(signal.SIGTERM, lambda *_: say(f"term {NAME}"))
say(f"start {NAME} {os.getpid()}")
tell("ready", {"sip": "here", "url": "there"})
while True: time.sleep(60)
"""


HUNG_ONCE = """
say(f"start {NAME} {os.getpid()}")
tell("alive", {})
if len(open(LOG).read().split("start hung")) > 2:
    while not select.select([0], [], [], 0.1)[0]:
        tell("alive", {})
else:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.kill(os.getpid(), signal.SIGSTOP)
"""


def test_a_child_that_hangs_is_killed_and_started_again_and_the_others_stay(family: Family) -> None:
    process = family.start(hung_after=0.6, plane=GOOD, control=GOOD, hung=HUNG_ONCE)
    family.wait_for("start hung", 2)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready here there\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0
    assert process.stderr is not None
    log = process.stderr.read()
    assert log.count("hung is killed: no report of life; it hangs (time 1 of this edge)") == 1
    assert (len(family.lines("start plane")), len(family.lines("start control"))) == (1, 1)


def test_a_supervisor_that_stood_still_judges_nobody(family: Family) -> None:
    alive = """
    say(f"start {NAME} {os.getpid()}")
    while not select.select([0], [], [], 0.05)[0]:
        tell("alive", {})
    """
    process = family.start(hung_after=1.5, control=GOOD, hung=alive)
    (started,) = family.wait_for("start hung")
    hung = int(started.split()[2])
    family.wait_for("start control")
    for pid in (hung, process.pid):
        os.kill(pid, signal.SIGSTOP)
    time.sleep(3.0)  # the fault itself: both stand still for longer than a child may be silent
    os.kill(process.pid, signal.SIGCONT)
    os.kill(hung, signal.SIGCONT)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0
    assert process.stderr is not None
    assert "is killed" not in process.stderr.read()
    assert len(family.lines("start hung")) == 1


def test_the_second_signal_kills(family: Family) -> None:
    process = family.start(plane=STUBBORN, control=STUBBORN)
    family.wait_for("start", 2)
    process.send_signal(signal.SIGTERM)
    family.wait_for("term control")
    assert process.stderr is not None
    while process.poll() is None:
        process.send_signal(signal.SIGTERM)
        time.sleep(0.01)
    assert "second signal" in process.stderr.read()
    family.wait_gone()


def test_what_does_not_end_is_killed(family: Family) -> None:
    process = family.start((0.5, 0.3), plane=STUBBORN, control=STUBBORN)
    family.wait_for("start", 2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0
    assert family.lines("term") == ["term control", "term plane"]
    family.wait_gone()


def test_everything_is_gone_within_ten_seconds_by_design() -> None:
    assert GOOD_BYE < STOP_CONTROL
    assert STOP_CONTROL + STOP_REST < 10.0  # DESIGN §6


def test_a_child_that_cannot_start_ends_the_whole_with_its_code(family: Family) -> None:
    process = family.start(plane=GOOD, control='say("begin control"); sys.exit(2)')
    assert process.wait(PATIENCE) == 2
    family.log.write_text("\n".join(family.lines("start plane")))
    family.wait_gone()


def test_a_child_without_a_program_ends_the_whole(tmp_path: Path) -> None:
    main = (
        "import sys\nfrom cordboard.edge.supervisor import Child, Supervisor\n"
        f"sys.exit(Supervisor([Child('x', ('{tmp_path}/none',))], print).run())"
    )
    assert (
        subprocess.run([sys.executable, "-c", main], stderr=subprocess.PIPE, timeout=PATIENCE, check=False).returncode
        == 1
    )


KILLER = """
say(f"start {NAME} {os.getpid()}")
tell("ready", {"sip": "here", "url": "there"})
while True:
    lines = [line.split() for line in open(LOG) if line.startswith("start plane")]
    if lines: break
    time.sleep(0.01)
pid = int(lines[0][2])
tell("kill", {"name": "plane", "pid": os.getppid()})
tell("kill", {"name": "other", "pid": pid})
os.write(0, b"no json\\n")
tell("kill", {"name": "plane", "pid": pid, "reason": "lease"})
until_eof()
"""


def test_control_has_a_plane_killed_by_name_and_pid(family: Family) -> None:
    process = family.start(plane=GOOD, control=KILLER)
    pids = [int(line.split()[2]) for line in family.wait_for("start plane", 2)]
    assert not _alive(pids[0])
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0


ORPHANING = """
say(f"start {NAME} {os.getpid()}")
if os.fork() == 0:
    if os.fork() == 0:
        time.sleep(0.05)
        os._exit(0)
    os._exit(0)
os.wait()
tell("ready", {"sip": "here", "url": "there"})
until_eof()
"""


def test_orphans_are_reaped_as_pid_1_must(family: Family, tmp_path: Path) -> None:
    # As PID 1 would, the supervisor's process takes over its descendants' orphans (PR_SET_CHILD_SUBREAPER, prctl(2)).
    program = f"NAME='control'\nLOG={str(family.log)!r}\n{PRELUDE}\n{ORPHANING}"
    main = (
        "import ctypes, json, sys\n"
        "from cordboard.edge.supervisor import Child, Supervisor\n"
        "ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)\n"
        f"child = Child('control', {(sys.executable, '-c', program)!r}, first_to_end=True, reports_ready=True)\n"
        "sys.exit(Supervisor([child], lambda what: print('ready', flush=True)).run())\n"
    )
    family.process = subprocess.Popen(
        [sys.executable, "-c", main], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    family.wait_for("start control")
    give_up = time.monotonic() + PATIENCE
    children = Path(f"/proc/{family.process.pid}/task/{family.process.pid}/children")
    while children.read_text().split() != [family.lines("start")[0].split()[2]]:
        assert time.monotonic() < give_up, "a zombie stays"
        time.sleep(0.01)


FLOOD = """
say(f"start {NAME} {os.getpid()}")
tell("ready", {"sip": "here", "url": "there"})
try:
    while True: os.write(0, b"x" * 1000)
except OSError:
    say("cut off")
"""


def test_a_child_that_floods_its_life_line_is_cut_off(family: Family) -> None:
    process = family.start(plane=GOOD, control=FLOOD)
    family.wait_for("cut off", 2)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0


def test_a_report_is_one_line_of_json(tmp_path: Path) -> None:
    code = "from cordboard.edge.lifeline import report; report('ready', {'sip': 'x'})"
    done = subprocess.run([sys.executable, "-c", code], input=b"", capture_output=True, check=True)
    assert json.loads(done.stderr) == {"ready": {"sip": "x"}}
