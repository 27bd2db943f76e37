"""baresip as a peer: one instance in a folder of its own, steered through its control socket.

Control is JSON in netstrings over TCP (module ctrl_tcp); events of calls come on the same connection. It says what
stands in a WAV file from the moment a call is up, and writes what it hears (module sndfile), packet after packet: time
in which nothing comes is not in its recording.
"""

import asyncio
import contextlib
import json
import re
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from cordboard.media.samples import Samples

from .peers import HOST, PATIENCE, RATE, end, free_ports, read_sound, require, udp_port_bound, write_wav

MODULES = Path("/usr/lib/baresip/modules")
"""Where Debian's package puts them."""

START_LIMIT = 10.0
"""Seconds until it must listen."""

REPLY_LIMIT = 3.0
"""Seconds a command may take."""

_CONFIG = """\
net_interface {host}
poll_method epoll
sip_listen {host}:{sip}
call_local_timeout 60
call_max_calls 4
audio_player aufile,null
audio_source aufile,{wav}
audio_alert aufile,/dev/null
ausrc_srate {rate}
auplay_srate {rate}
ausrc_channels 1
auplay_channels 1
audio_txmode poll
audio_level no
ausrc_format s16
auplay_format s16
auenc_format s16
audec_format s16
rtp_ports {rtp}-{rtp_last}
rtcp_mux no
jitter_buffer_delay 1-5
rtp_stats yes
module_path {modules}
module g711.so
module aufile.so
module sndfile.so
module uuid.so
module_tmp account.so
module_app contact.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen {host}:{control}
snd_path {recordings}
"""


class Baresip:
    """One running baresip. Use as `async with Baresip(folder, sound) as peer:`."""

    def __init__(
        self,
        folder: Path,
        sound: Samples,
        *,
        user: str = "ba",
        codec: str = "PCMU",
        answer: Literal["auto", "manual"] = "auto",
        sip_port: int | None = None,
    ) -> None:
        """`folder` must exist; `sound` is what it says in every call, from its start."""
        self._program = require("baresip")
        first = free_ports()
        self.sip_port = sip_port or first
        self.user = user
        self.uri = f"sip:{user}@{HOST}:{self.sip_port}"
        self._control = first + 2
        self._folder = folder / f"baresip-{user}"
        self._recordings = self._folder / "rec"
        self._recordings.mkdir(parents=True)
        values = {
            "host": HOST,
            "sip": self.sip_port,
            "wav": write_wav(self._folder / "says.wav", sound),
            "rate": RATE,
            "rtp": first + 4,
            "rtp_last": first + 9,
            "modules": MODULES,
            "control": self._control,
            "recordings": self._recordings,
        }
        account = f"<{self.uri}>;regint=0;answermode={answer};audio_codecs={codec}/{RATE}/1\n"
        (self._folder / "config").write_text(_CONFIG.format(**values))
        (self._folder / "accounts").write_text(account)
        (self._folder / "contacts").write_text("")
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._replies: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._changed = asyncio.Event()
        self.events: list[tuple[float, dict[str, Any]]] = []
        """Every event with its time in the loop."""

    async def __aenter__(self) -> Self:
        assert not udp_port_bound(self.sip_port), f"UDP port {self.sip_port} is taken"
        with (self._folder / "log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                self._program, "-f", str(self._folder), "-v",
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        try:
            await self._connect()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    @property
    def log(self) -> str:
        """What it printed, without the line of its running clock."""
        text = (self._folder / "log").read_text(errors="replace").replace("\r", "\n")
        return "\n".join(line for line in text.splitlines() if line and "(bit/s)" not in line)

    async def command(self, command: str, params: str = "") -> str:
        """Gives a command (`dial`, `accept`, `hangup`, `sndcode`, `hold`, `resume`); what it answered."""
        assert self._writer is not None
        message = json.dumps({"command": command, "params": params, "token": command}).encode()
        self._writer.write(b"%d:%s," % (len(message), message))
        async with asyncio.timeout(REPLY_LIMIT):
            while (reply := await self._replies.get()).get("token") != command:
                pass
        assert reply["ok"], f"{command} {params}: {reply}"
        return str(reply.get("data", ""))

    async def event(self, kind: str, *, since: int = 0, within: float = PATIENCE) -> tuple[float, dict[str, Any]]:
        """Time and content of the first event of that type from number `since` on, now or later."""
        try:
            async with asyncio.timeout(within):
                while True:
                    for at, event in self.events[since:]:
                        if event.get("type") == kind:
                            return at, event
                    await self._changed.wait()
        except TimeoutError:
            seen = ", ".join(str(event.get("type")) for _, event in self.events)
            raise AssertionError(f"no {kind} at {self.user} within {within} s; there were: {seen}") from None

    async def hears_digits(self, digits: str, *, within: float = PATIENCE) -> None:
        """Until that many digits came; they must be these."""
        try:
            async with asyncio.timeout(within):
                while len(self.digits) < len(digits):
                    await self._changed.wait()
        except TimeoutError:
            pass
        assert self.digits == digits, self.log

    @property
    def digits(self) -> str:
        """Every digit that it took, by RFC 4733 or INFO, each once."""
        return "".join(str(event["param"]) for _, event in self.events if event.get("type") == "CALL_DTMF_START")

    def heard(self) -> Samples:
        """What came, all calls and stretches between holds one after another."""
        files = sorted(self._recordings.glob("dump-*-dec.wav"))
        assert files, self.log
        return np.concatenate([read_sound(path) for path in files])

    @property
    def packets_received(self) -> int:
        """RTP packets that came in all calls, as it counts them at the end of each. After a hold of its own it still
        takes packets, but no longer hands them to its recorder."""
        return sum(int(count) for count in re.findall(r"(?m)^packets:\s+\d+\s+(\d+)", self.log))

    async def _connect(self) -> None:
        assert self._process is not None
        try:
            async with asyncio.timeout(START_LIMIT):
                while True:
                    if self._process.returncode is not None:
                        raise AssertionError(f"baresip ended at its start:\n{self.log}")
                    try:
                        reader, self._writer = await asyncio.open_connection(HOST, self._control)
                    except ConnectionRefusedError:
                        await asyncio.sleep(0.05)  # a port tells nobody that it listens
                        continue
                    break
                while not udp_port_bound(self.sip_port):  # noqa: ASYNC110 - a port tells nobody that it is bound
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"baresip was not ready in {START_LIMIT:g} s:\n{self.log}") from None
        self._reader = asyncio.create_task(self._read(reader))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                size = int((await reader.readuntil(b":"))[:-1])
                message = json.loads((await reader.readexactly(size + 1))[:-1])
                if message.get("response"):
                    self._replies.put_nowait(message)
                    continue
                self.events.append((loop.time(), message))
                self._changed.set()
                self._changed = asyncio.Event()
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return

    async def _end(self) -> None:
        if self._process is not None:
            await end(self._process)
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(ConnectionError):
                await self._writer.wait_closed()
        if self._reader is not None:
            await self._reader
