"""The simulated edge: a control engine and its planes, wired by links, functions in this process, storage in memory.

What the shells do in a real edge (sockets, processes, files, HTTP servers) is done here in a few lines each; the
engines, parsers and codecs are the same. A part may die: `kill_plane`, `hang_plane`, `restart_control`.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from cordboard.config.model import Config
from cordboard.contract.call_record import CallEnded, DialogRecord, TimelineEntry
from cordboard.contract.journal import write_line
from cordboard.session import effects
from cordboard.session.engine import ControlEngine
from cordboard.sip.dialog import DialogState
from cordboard.sip.parser import MessageError
from cordboard.sip.parser import parse as parse_sip
from cordboard.storage.interface import SecretNotFound
from cordboard.storage.memory import MemorySecrets

from .agent_service import AgentService
from .agent_wires import VERSIONS, WireName, with_version
from .faults import Fault, Faults
from .functions import Functions
from .network import Address, Network
from .observed import HttpReply, SimulatedSession
from .plane_host import PlaneHost
from .prompts import Prompts
from .rounds import Rounds
from .world import Alarm, World

LINK = 0.0001
"""Seconds that a line takes between control and a plane: a Unix socket."""
PROMPT = 0.02
"""Seconds until a prompt is ready: one that stands in the cache."""
RESTART = 0.5
"""Seconds until a plane that died is there again."""
FORMER_LIFE = 2.0
"""Seconds beyond the lease after which no plane writes for a former life."""
PUBLIC_URL = "https://edge.test"


class SimulatedEdge:
    """Control, its planes and its functions."""

    def __init__(
        self,
        world: World,
        network: Network,
        config: Config,
        functions: Functions,
        secrets: MemorySecrets,
        service: AgentService,
        *,
        host: str,
        prompts: Prompts,
        faults: Faults,
        planes: int = 1,
        elided: bool = False,
    ) -> None:
        """`elided`: no sound is expected where nobody speaks, so idle planes may tick in bundles."""
        self.elided = elided
        self.world = world
        self.network = network
        self.config = config
        self.functions = functions
        self.service = service
        self.prompts = prompts
        self.wire: WireName | None = None
        """Every agent is opened on this wire, whatever version its handler asks for."""
        self.faults = faults
        faults.told = self._went_wrong
        self.host = host
        self.files: dict[str, bytearray] = {}
        """Raw recordings by path."""
        self.disk_full = False
        """Recordings cannot be written."""
        self.sessions: dict[str, SimulatedSession] = {}
        """Every session there ever was."""
        self.replies: dict[str, HttpReply] = {}
        """Request → its answer."""
        self.log: list[effects.Log] = []
        """The edge's own log."""
        self.dialogs: dict[str, DialogRecord] = {}
        """Dialogs on disk."""
        self.legs: dict[str, tuple[str, str]] = {}
        """Call-ID → (session, name of the leg) of calls that the edge made or answered."""
        self.retained: dict[str, int] = {}
        """Release → sessions that hold it."""
        self.rounds = Rounds(self)
        """Invocations of functions."""
        self._secrets = secrets
        self._ports = config.sip.rtp.ports.first
        self._requests = 0
        self.life = 0
        self._inviting = ""
        self._plane_lives = 0
        self.control: ControlEngine | None = None
        self._alarm = Alarm(world, self._on_timer)
        self.planes = [self._new_plane(index) for index in range(planes)]
        self.start_control()

    # --- lives

    def start_control(self) -> None:
        """A control begins its life."""
        self.life += 1
        world = self.world
        self.control = ControlEngine(
            config=self.config,
            release=self.functions.release,
            resolve_secret=self._resolve,
            rng=world.rng(f"control {self.life}"),
            now=world.now,
            started_at=datetime.fromtimestamp(world.wall(world.now), UTC),
            life=f"life-{self.life}",
            control_keys=[b"k" * 32],
            public_url=PUBLIC_URL,
            media_host=lambda peer: self.host,
            advertise=lambda peer: self.host,
        )
        self.network.bind((self.host, self.config.sip.udp.port), self._sip)
        records, self.dialogs = list(self.dialogs.values()), {}
        self.control.restore(records, world.now)
        self._drain()
        for plane in self.planes:
            self._connect(plane)
        life = self.life
        world.after(self.config.edge.lease + FORMER_LIFE, lambda: self._end_former_lives(life), transit=False)

    def _end_former_lives(self, life: int) -> None:
        """Calls that an earlier control left without a record and without a dialog get theirs, as the shell does."""
        wall = datetime.fromtimestamp(self.world.wall(self.world.now), UTC).isoformat()
        for session in self.sessions.values():
            if life == self.life and session.life < life and not session.ended:
                began = str(session.facts["started_at"])
                session.ended.append(CallEnded(session.id, "", "control.lost", "edge", began, wall, 0.0))
                session.ended_at = self.world.now

    def kill_control(self) -> None:
        """Control's process ends."""
        self.control = None
        self._alarm.set(None)
        self.network.unbind((self.host, self.config.sip.udp.port))
        for plane in self.planes:
            if plane.alive:
                plane.link_closed()

    def restart_control(self, after: float = 1.0) -> None:
        """Control dies, and the next is there after some seconds."""
        self.kill_control()
        self.world.after(after, self.start_control, transit=False)

    def kill_plane(self, index: int) -> None:
        """A plane's process dies; the supervisor starts another."""
        plane = self.planes[index]
        plane.kill()
        self.world.after(LINK, lambda: self._plane_lost(plane))
        self.world.after(RESTART, lambda: self._replace(plane), transit=False)

    def hang_plane(self, index: int) -> None:
        """A plane stops doing anything; only its lease tells."""
        self.planes[index].hangs = True

    def shutdown(self) -> None:
        """The edge is asked to stop."""
        assert self.control is not None
        self.control.shutdown(self.world.now)
        self._drain()

    def _new_plane(self, index: int) -> PlaneHost:
        self._plane_lives += 1
        return PlaneHost(self, index, self._plane_lives)

    def _connect(self, plane: PlaneHost) -> None:
        if plane.alive and self.control is not None:
            plane.link_opened()
            self.control.plane_connected(plane.index, self.world.now)
            self._drain()

    def _plane_lost(self, plane: PlaneHost) -> None:
        if self.control is not None:
            self.control.plane_lost(plane.index, "connection reset", self.world.now)
            self._drain()

    def _replace(self, plane: PlaneHost) -> None:
        if self.planes[plane.index] is plane:
            self.planes[plane.index] = self._new_plane(plane.index)
            self._connect(self.planes[plane.index])

    def free_port(self) -> int:
        """An RTP port that no plane has had."""
        port = self._ports
        self._ports += 2
        return port

    # --- in

    def _sip(self, data: bytes, source: Address) -> None:
        if self.control is None:
            return
        if data.startswith(b"INVITE"):
            try:
                self._inviting = parse_sip(data).call_id
            except MessageError:
                self._inviting = ""
        self.control.receive_datagram(data, source, self.world.now)
        self._drain()
        self._inviting = ""

    def from_plane(self, plane: PlaneHost, line: bytes) -> None:
        """A plane wrote a line."""
        self.world.after(LINK, lambda: self._link(plane, line))

    def _link(self, plane: PlaneHost, line: bytes) -> None:
        if self.control is None or self.planes[plane.index] is not plane or not plane.alive:
            return
        self.world.record(f"link from {plane.index}", line)
        self.control.receive_link(plane.index, line, self.world.now)
        self._drain()

    def start_session(self, scenario: str, custom_data: Mapping[str, Any]) -> str:
        """A session without a call, as the API starts it; its id. Raises StartRefused."""
        assert self.control is not None
        try:
            return str(self.control.operate(lambda asked: asked.start(scenario, custom_data), self.world.now)["id"])
        finally:
            self._drain()

    def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> str:
        """A request to /control/ + path; its answer will stand in `replies` under the name returned."""
        assert self.control is not None
        self._requests += 1
        name = f"http-{self._requests}"
        self.control.receive_http(name, method, path, headers, body, self.world.now)
        self._drain()
        return name

    def _on_timer(self) -> None:
        if self.control is not None:
            self.control.on_timer(self.world.now)
            self._drain()

    def _resolve(self, name: str) -> tuple[str, str]:
        try:
            found = self._secrets.resolve(name)
        except SecretNotFound as error:
            raise KeyError(str(error)) from None
        return found.value, str(found.version)

    # --- out

    def _drain(self) -> None:
        control = self.control
        if control is None:
            return
        while (effect := control.next_effect()) is not None:
            self._perform(effect)
        self._alarm.set(control.next_timer())

    def _perform(self, effect: effects.Effect) -> None:
        world = self.world
        match effect:
            case effects.SendSip(data, address):
                self.network.send(data, (self.host, self.config.sip.udp.port), address, transit=True)
            case effects.SendPlane(index, line):
                plane = self.planes[index]
                sent = line if self.wire is None else with_version(line, VERSIONS[self.wire])
                world.after(LINK, lambda: plane.receive_link(sent))
            case effects.KillPlane(index, pid):
                plane = self.planes[index]
                if plane.pid == pid:
                    plane.kill()
                    world.after(RESTART, lambda: self._replace(plane), transit=False)
            case effects.Invoke():
                self.rounds.invoke(effect)
            case effects.Fetch():
                self._fetch(effect)
            case effects.PreparePrompt():
                world.after(PROMPT, lambda: self._prepare(effect))
            case effects.ReplyHttp(request, status, body, headers):
                assert request not in self.replies, f"{request} was answered twice"
                self.replies[request] = HttpReply(status, body, headers)
                world.record(f"http {status}", body)
            case effects.KeepDialog(key, record):
                self._keep(key, record)
            case effects.DropDialog(key):
                self.dialogs.pop(key, None)
            case effects.WriteTimeline(session, entry):
                self.sessions[session].timeline.append(entry)
                world.record("timeline", repr(entry).encode())
            case effects.WriteJournal(session, journalled):
                self.sessions[session].journal += write_line(journalled)
            case effects.WriteTranscript(session, entry, text):
                self.sessions[session].utterances.append(entry)
                self.sessions[session].transcript.append(text)
            case effects.SessionBegan(session, facts):
                plane_index = int(facts["plane"])
                self.sessions[session] = SimulatedSession(
                    session,
                    facts,
                    self._inviting,
                    plane_index,
                    state=self._initial_state(facts),
                    began=world.now,
                    life=self.life,
                )
                if self._inviting:
                    self.legs[self._inviting] = (session, "caller")
            case effects.SessionEnded(record):
                self.sessions[record.session].ended.append(record)
                self.sessions[record.session].ended_at = world.now
                world.record("ended", repr(record).encode())
            case effects.RetainRelease(release):
                self.retained[release] = self.retained.get(release, 0) + 1
            case effects.ReleaseDone(release):
                self.retained[release] -= 1
            case effects.Log():
                self.log.append(effect)

    def _went_wrong(self, fault: Fault) -> None:
        session = self.sessions.get(fault.session)
        if session is not None:
            at = round(self.world.now - session.began, 4)
            data = {"event": fault.event, "nth": fault.nth}
            session.timeline.append(TimelineEntry(at, "fault", fault.kind, data))

    def _fetch(self, effect: effects.Fetch) -> None:
        """The only requests that the engine makes go to the agents' service."""
        life = self.control

        def answered(status: int, body: bytes) -> None:
            if life is not None and self.control is life:
                life.fetched(effect.token, status, body, self.world.now)
                self._drain()

        self.service.mint(effect.headers.get("Authorization", ""), answered)

    def _initial_state(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        functions = self.functions.release.functions.values()
        return next((dict(each.state) for each in functions if each.scenario == facts["scenario"] and each.state), {})

    def _keep(self, key: str, record: DialogRecord) -> None:
        self.dialogs[key] = record
        if "invite" in record.dialog:  # a call that came in and is not answered
            call_id = parse_sip(str(record.dialog["invite"]).encode()).call_id
        else:
            call_id = DialogState.from_json(str(record.dialog["state"])).call_id
        self.legs[call_id] = (record.session, record.leg)

    def _prepare(self, effect: effects.PreparePrompt) -> None:
        if self.control is None:
            return
        try:
            path = self.prompts.prepare(effect.sounds)
        except ValueError as error:
            self.control.prompt_failed(effect.request, str(error), self.world.now)
        else:
            self.control.prompt_ready(effect.request, path, self.world.now)
        self._drain()

    def tell(self, report: Callable[[ControlEngine], None]) -> None:
        """Report something to control, if it lives, and perform what it asks for then."""
        if self.control is not None:
            report(self.control)
            self._drain()
