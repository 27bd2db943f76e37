"""What a configuration holds once it is read: one frozen dataclass per section of cordboard.toml (HANDLERS.md 2.2).

Leaves out the sections and keys that are not built yet; `not_yet` lists them. Durations are seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal

from cordboard.config.aws import AwsStorage, LambdaFunctions
from cordboard.config.kept import Privacy, Recording, Retention


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address to bind or to name: `host:port`, IPv6 in brackets."""

    host: str
    """An IP address or host name, without brackets."""
    port: int
    """1 to 65535."""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Where a secret stands. Configuration never holds the secret itself."""

    kind: Literal["secret", "env", "file"]
    """The store of secrets, an environment variable, or a file."""
    name: str
    """Name of the secret or variable, or the path of the file."""


@dataclass(frozen=True, slots=True)
class Edge:
    """[edge]"""

    planes: int | Literal["auto"]
    """Media processes; auto: one less than the cores, at least one."""
    data_dir: Path
    """Folder of journals, recordings and SQLite files."""
    lease: float
    """Seconds without a heartbeat after which control and a plane hold each other for dead."""


@dataclass(frozen=True, slots=True)
class PublicHttp:
    """[http.public]: reachable by carriers and agents."""

    listen: Endpoint
    """Where control URLs are served."""
    url: str | None
    """What control URLs are made of, without a slash at the end; None: only the development edge starts."""
    signing_key: SecretRef | None
    """Key of the control URLs; None: `data_dir/control.key`."""
    former_signing_keys: tuple[SecretRef, ...]
    """Keys that signed URLs which are still about; they verify and mint nothing."""
    request_key: SecretRef | None
    """Key with which every control request must be signed (X-Control-Signature); None: the URL alone is enough."""


@dataclass(frozen=True, slots=True)
class AdminHttp:
    """[http.admin]: the API."""

    listen: Endpoint
    """Where /v1 is served; always with a token."""


@dataclass(frozen=True, slots=True)
class MetricsHttp:
    """[http.metrics]"""

    listen: Endpoint
    """Where /livez, /readyz and /metrics are served."""


@dataclass(frozen=True, slots=True)
class Http:
    """[http]"""

    public: PublicHttp
    """[http.public]"""
    admin: AdminHttp
    """[http.admin]"""
    metrics: MetricsHttp
    """[http.metrics]"""


@dataclass(frozen=True, slots=True)
class PortRange:
    """UDP ports from `first` to `last`, both included."""

    first: int
    """Even, as RTP ports are (RFC 3550 section 11)."""
    last: int
    """At least first + 1, so that one RTP and RTCP pair fits."""


@dataclass(frozen=True, slots=True)
class Rtp:
    """sip.rtp"""

    bind: str
    """IP address that the planes bind."""
    ports: PortRange
    """Shared out among the planes."""


@dataclass(frozen=True, slots=True)
class Sip:
    """[sip]"""

    udp: Endpoint
    """Where SIP over UDP is served."""
    advertise: str
    """`auto` (the address of the route to the peer) or the public IP address."""
    rtp: Rtp
    """Media addresses."""
    accept: Literal["trunks", "any"]
    """Whose calls are taken: trunks by their address, or (development only) anyone's."""


@dataclass(frozen=True, slots=True)
class Trunk:
    """[[trunks]]"""

    name: str
    """Unique; routes and [[outbound]] refer to it."""
    uri: str | None
    """Where its calls are sent, as `sip:host[:port]`; None: it only calls in."""
    identify: tuple[IPv4Network | IPv6Network, ...]
    """Addresses its calls come from; empty: it is only called."""
    codecs: tuple[str, ...]
    """Names of RFC 3551, best first."""
    max_calls: int | None
    """Calls at once; None: only [limits] counts."""


@dataclass(frozen=True, slots=True)
class Route:
    """[[routes]]: the first that matches takes the call."""

    to: str
    """Pattern of the number called."""
    trunk: str | None
    """Only calls of this trunk; None: of any."""
    scenario: str
    """Name of the scenario that starts."""
    max_calls: int | None
    """Calls at once; None: only [limits] counts."""


@dataclass(frozen=True, slots=True)
class Outbound:
    """[[outbound]]: the first that matches carries the call."""

    to: str
    """Pattern of the number dialled."""
    trunk: str
    """Name of the trunk."""


@dataclass(frozen=True, slots=True)
class Dial:
    """[dial]: what scenarios may dial. `deny` wins; an empty `allow` refuses everything."""

    allow: tuple[str, ...]
    """Patterns of numbers and sip: URIs."""
    deny: tuple[str, ...]
    """Patterns of numbers and sip: URIs."""
    max_per_call: int
    """Legs a session may dial."""


@dataclass(frozen=True, slots=True)
class Functions:
    """[functions]"""

    host: Literal["in_process", "workers", "lambda"]
    """Where functions run."""
    template: Path
    """The SAM template that lists them."""
    timeout: float
    """Seconds of one round of a handler that sets no timeout of its own."""
    spare: int
    """Warm workers kept beside the busy ones, per function."""
    max_workers: int
    """Worker processes of one function, busy ones included; further rounds wait."""
    aws_lambda: LambdaFunctions
    """[functions.lambda]"""


@dataclass(frozen=True, slots=True)
class CartesiaAgents:
    """[agents.cartesia]"""

    base_url: str
    """ws:// or wss://, without a slash at the end."""
    connect_timeout: float
    """Seconds until the socket must be open."""
    access_token: bool
    """Open the Line socket with a token that the API key buys for each call; false: with the key itself."""


@dataclass(frozen=True, slots=True)
class Agents:
    """[agents]"""

    cartesia: CartesiaAgents
    """[agents.cartesia]"""


@dataclass(frozen=True, slots=True)
class Speech:
    """[speech]: who speaks the texts of say, create_tts_player and prompts."""

    engine: Literal["espeak-ng", "sonic"]
    """espeak-ng: the program of that name, on this machine; sonic: Cartesia's service."""
    voice: str
    """A voice of the engine; a handler may name another."""
    model: str
    """sonic: model_id."""
    language: str
    """sonic: of the texts; empty: as the model has it."""
    api_key: SecretRef | None
    """sonic: the key."""


@dataclass(frozen=True, slots=True)
class Media:
    """[media]"""

    prompts: Path
    """Folder of the sound files that scenarios may play."""


@dataclass(frozen=True, slots=True)
class CartesiaReceiver:
    """[webhooks.cartesia]"""

    secrets: tuple[SecretRef, ...]
    """What x-webhook-secret may say: one, or two during a rotation; none: webhooks are not taken."""


@dataclass(frozen=True, slots=True)
class Webhooks:
    """[webhooks]"""

    cartesia: CartesiaReceiver
    """[webhooks.cartesia]"""


@dataclass(frozen=True, slots=True)
class Storage:
    """[storage]"""

    backend: Literal["sqlite", "aws"]
    """Where ApplicationStorage and secrets live: files in data_dir, or DynamoDB and Parameter Store."""
    aws: AwsStorage
    """[storage.aws]"""


@dataclass(frozen=True, slots=True)
class Limits:
    """[limits]"""

    max_calls: int
    """Calls at once: sessions, however many legs each has."""
    max_duration: float
    """Seconds a session may last."""
    no_answer: float
    """Seconds a call may ring."""
    idle_session: float
    """Seconds a session without legs and agents lives."""


@dataclass(frozen=True, slots=True)
class Log:
    """[log]"""

    format: Literal["text", "json"]
    """One line of text, or one JSON object, per entry."""
    level: Literal["debug", "info", "warning", "error"]
    """The least that is written."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One value with its origin, as `config show` prints it."""

    key: str
    """Dotted path, with a number for tables in an array: `routes[0].to`."""
    value: object
    """As it was written; secrets are references here too."""
    source: str
    """`default`, `flag`, `env NAME`, or `file:line`."""


@dataclass(frozen=True, slots=True)
class Config:
    """All of it."""

    edge: Edge
    """[edge]"""
    http: Http
    """[http]"""
    sip: Sip
    """[sip]"""
    trunks: tuple[Trunk, ...]
    """[[trunks]]"""
    routes: tuple[Route, ...]
    """[[routes]]"""
    outbound: tuple[Outbound, ...]
    """[[outbound]]"""
    dial: Dial
    """[dial]"""
    functions: Functions
    """[functions]"""
    agents: Agents
    """[agents]"""
    speech: Speech
    """[speech]"""
    media: Media
    """[media]"""
    webhooks: Webhooks
    """[webhooks]"""
    storage: Storage
    """[storage]"""
    recording: Recording
    """[recording]"""
    retention: Retention
    """[retention]"""
    privacy: Privacy
    """[privacy]"""
    limits: Limits
    """[limits]"""
    log: Log
    """[log]"""
    settings: Mapping[str, Setting] = field(compare=False, repr=False)
    """Every value by its key."""

    @property
    def transcribes(self) -> bool:
        """Whether anything of what is said is written down."""
        return self.privacy.transcripts and self.retention.transcripts != 0.0

    @property
    def journals(self) -> bool:
        """Whether journals are written: one that nothing keeps beyond the call is not."""
        return self.privacy.journal and self.retention.timelines != 0.0

    def trunk(self, name: str) -> Trunk:
        """The trunk of that name. Raises KeyError; `load` has checked the names in routes and [[outbound]]."""
        for trunk in self.trunks:
            if trunk.name == name:
                return trunk
        raise KeyError(name)
