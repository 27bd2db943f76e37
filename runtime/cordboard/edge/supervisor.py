"""The foreground parent of the edge's processes: starts them, starts the dead again, ends them in order (DESIGN §6).

Safe as PID 1: it reaps whatever ends, orphans included. Each child holds one end of a life line as its standard input.
The first SIGTERM or SIGINT ends control, which says BYE to all calls, then the rest; a second one kills.
A child that reports its life and then stays silent is hung: it is killed, and started again like the dead.
Leaves out draining, and any knowledge of what its children do.
"""

import json
import logging
import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cordboard.edge.lifeline import MAX_REPORT, socket_pair

STOP_CONTROL: Final = 8.0  # seconds for BYE to all calls; with STOP_REST below the 10 s of DESIGN §6
STOP_REST: Final = 1.5  # seconds for planes and finisher to close their files
BACKOFF_FIRST: Final = 0.1  # seconds before the first restart; a plane's return is waited for by callers
BACKOFF_LAST: Final = 5.0  # seconds; a child that cannot live must not take a core
STEADY: Final = 30.0  # seconds after which a child counts as having lived well
BOUNCE: Final = 0.2  # seconds in which a repeated signal is the same one: `timeout` and some shells send it twice
FIRST_READY: Final = 30.0  # seconds for the first start; functions take one or two to import
HUNG: Final = 15.0  # seconds without a report of life: beyond the lease of 10 s, when its calls are given up anyway
LATE: Final = 1.0  # seconds that a look may be late; after more the supervisor itself stood still, and nobody is judged

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Child:
    """A process to keep alive."""

    name: str
    """Unique; stands in the log."""
    argv: tuple[str, ...]
    """Command line; never a secret."""
    first_to_end: bool = False
    """Ended before the others: control, which still needs the planes to say good-bye."""
    reports_ready: bool = False
    """Reports `ready` on its life line."""
    reports_alive: bool = False
    """Reports `alive` on its life line each second."""


class _Running:
    def __init__(self, child: Child) -> None:
        self.child = child
        self.process: subprocess.Popen[bytes] | None = None
        self.line: socket.socket | None = None
        self.received = b""
        self.began = 0.0
        self.backoff = BACKOFF_FIRST
        self.start_at: float | None = 0.0
        self.hung_at: float | None = None


class Supervisor:
    """Runs children until a signal, or until one cannot start at all."""

    def __init__(self, children: Sequence[Child], on_ready: Callable[[Mapping[str, Any]], None]) -> None:
        """`on_ready` is called once, with the first `ready` report."""
        self._running = [_Running(child) for child in children]
        self._on_ready = on_ready
        self._was_ready = False
        self._hangs = 0
        self._selector = selectors.DefaultSelector()
        self._stopping = False
        self._stopping_since = 0.0
        self._ending_rest = False
        self._deadline: float | None = None
        self._code = 0

    def run(self) -> int:
        """Exit code: 0 after a signal, else that of the child that could not start. Only in a main thread."""
        wake_read, wake_write = socket.socketpair()
        wake_read.setblocking(False)
        wake_write.setblocking(False)
        handlers = {number: signal.signal(number, lambda *_: None) for number in _SIGNALS}
        old_fd = signal.set_wakeup_fd(wake_write.fileno(), warn_on_full_buffer=False)
        self._selector.register(wake_read, selectors.EVENT_READ, None)
        self._deadline = time.monotonic() + FIRST_READY
        try:
            while not (self._stopping and all(each.process is None for each in self._running)):
                self._step()
        finally:
            for each in self._running:
                if each.process is not None:
                    each.process.kill()
                    each.process.wait()
                self._close_line(each)
            signal.set_wakeup_fd(old_fd)
            for number, handler in handlers.items():
                signal.signal(number, handler)
            self._selector.close()
            wake_read.close()
            wake_write.close()
        return self._code

    def _step(self) -> None:
        now = time.monotonic()
        for each in self._running:
            if each.start_at is not None and each.start_at <= now and not self._stopping:
                self._start(each, now)
        self._pass_deadline(now)
        moments = [each.start_at for each in self._running if each.start_at is not None and not self._stopping]
        moments += [self._deadline] if self._deadline is not None else []
        moments += [each.hung_at for each in self._running if each.hung_at is not None]
        wait = max(0.0, min(moments) - now) if moments else None
        for key, _ in self._selector.select(wait):
            if key.data is None:
                self._receive_signals(key.fileobj)
            else:
                self._receive_report(key.data)
        self._kill_hung(None if wait is None else now + wait)
        self._reap()
        if self._stopping and not self._ending_rest and not self._alive(first_to_end=True):
            self._end_rest()

    # --- children

    def _start(self, each: _Running, now: float) -> None:
        ours, theirs = socket_pair()
        try:
            each.process = subprocess.Popen(each.child.argv, stdin=theirs.fileno())  # noqa: S603 (our own command line)
        except OSError as error:
            ours.close()
            log.error("%s cannot be started: %s", each.child.name, error)
            self._give_up(1)
            each.start_at = None
            return
        finally:
            theirs.close()
        each.line, each.received = ours, b""
        each.began, each.start_at = now, None
        each.hung_at = now + FIRST_READY if each.child.reports_alive else None
        self._selector.register(ours, selectors.EVENT_READ, each)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for each in self._running:
                if each.process is not None and each.process.pid == pid:
                    each.process.returncode = os.waitstatus_to_exitcode(status)
                    self._ended(each, each.process.returncode)

    def _ended(self, each: _Running, code: int) -> None:
        now = time.monotonic()
        each.process, each.hung_at = None, None
        self._close_line(each)
        if self._stopping:
            return
        if not self._was_ready and code > 0:
            log.error("%s ended with code %d before the edge was ready", each.child.name, code)
            self._give_up(code)
            return
        if now - each.began >= STEADY:
            each.backoff = BACKOFF_FIRST
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"code {code}"
        log.error("%s ended with %s; next start in %.1f s", each.child.name, how, each.backoff)
        each.start_at = now + each.backoff
        each.backoff = min(BACKOFF_LAST, each.backoff * 2)

    def _close_line(self, each: _Running) -> None:
        if each.line is not None:
            self._selector.unregister(each.line)
            each.line.close()
            each.line = None

    def _receive_report(self, each: _Running) -> None:
        assert each.line is not None
        try:
            data = each.line.recv(MAX_REPORT)
        except OSError:
            data = b""
        if not data or len(each.received) > MAX_REPORT:
            self._close_line(each)  # the child gave up its standard input; SIGCHLD tells the rest
            return
        *lines, each.received = (each.received + data).split(b"\n")
        for line in lines:
            try:
                report = json.loads(line)
            except ValueError:
                log.error("%s sent a report that is no JSON", each.child.name)
                continue
            if "ready" in report and each.child.reports_ready:
                self._ready(each, report["ready"])
            if "alive" in report and each.hung_at is not None:
                each.hung_at = time.monotonic() + HUNG
            if "kill" in report:
                self._kill(report["kill"])

    def _ready(self, each: _Running, what: Mapping[str, Any]) -> None:
        if self._was_ready:
            log.warning("%s is ready again", each.child.name)
            return
        self._was_ready = True
        if not self._stopping:
            self._deadline = None
        self._on_ready(what)

    def _kill(self, what: Mapping[str, Any]) -> None:
        """A child past its lease; the pid must still be that child's."""
        for each in self._running:
            if each.child.name == what.get("name") and each.process and each.process.pid == what.get("pid"):
                log.error("%s is killed: %s", each.child.name, what.get("reason", ""))
                os.kill(each.process.pid, signal.SIGKILL)

    def _kill_hung(self, expected: float | None) -> None:
        """`expected`: when this look was due at the latest. While the edge ends, `_pass_deadline` kills instead."""
        now = time.monotonic()
        stood_still = expected is not None and now > expected + LATE
        for each in self._running:
            if each.hung_at is None or each.process is None or now < each.hung_at:
                continue
            if self._stopping:
                each.hung_at = None
            elif stood_still:
                each.hung_at = now + HUNG
            else:
                self._hangs += 1
                each.hung_at = None
                silence = "no report of life; it hangs"
                log.error("%s is killed: %s (time %d of this edge)", each.child.name, silence, self._hangs)
                os.kill(each.process.pid, signal.SIGKILL)  # a stopped process too dies of it

    # --- the end

    def _receive_signals(self, wake: Any) -> None:
        for number in wake.recv(256):
            if number in (signal.SIGTERM, signal.SIGINT):
                if not self._stopping:
                    self._stop()
                elif time.monotonic() - self._stopping_since >= BOUNCE:
                    log.warning("second signal: killing all")
                    self._signal(signal.SIGKILL, first_to_end=None)

    def _give_up(self, code: int) -> None:
        self._code = code
        self._stop()

    def _stop(self) -> None:
        self._stopping = True
        self._stopping_since = time.monotonic()
        self._deadline = self._stopping_since + STOP_CONTROL
        self._signal(signal.SIGTERM, first_to_end=True)

    def _end_rest(self) -> None:
        self._ending_rest = True
        self._deadline = time.monotonic() + STOP_REST
        self._signal(signal.SIGTERM, first_to_end=False)

    def _pass_deadline(self, now: float) -> None:
        if self._deadline is None or now < self._deadline:
            return
        if not self._stopping:
            log.error("the edge was not ready within %.0f s", FIRST_READY)
            self._give_up(1)
        elif self._ending_rest:
            self._deadline = None
            self._signal(signal.SIGKILL, first_to_end=None)
        else:
            self._signal(signal.SIGKILL, first_to_end=True)
            self._end_rest()

    def _alive(self, *, first_to_end: bool) -> bool:
        return any(e.process is not None for e in self._running if e.child.first_to_end is first_to_end)

    def _signal(self, number: int, *, first_to_end: bool | None) -> None:
        for each in self._running:
            if each.process is not None and first_to_end in (None, each.child.first_to_end):
                os.kill(each.process.pid, number)  # not yet reaped, so the pid is still its own


_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
