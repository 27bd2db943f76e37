"""The script of the stand-in: which agents there are and what each says and does, as strictly checked TOML.

    [speech]                            # optional
    engine = "auto"                     # espeak-ng when installed, else tones; or "espeak-ng", or "tones"
    voice = "en"
    words_per_minute = 175

    [agents.demo]                       # reached at /agents/stream/demo and at /v1/agents/websocket/demo
    greeting = "Hello."                 # or {wav = "hello.wav"} or {tone = {hz = 660, seconds = 4}}; none: it waits
    barge_in = true                     # the caller's voice ends what is being said
    delivery = "speaking_pace"          # or "as_available": all at once; `start` may choose otherwise
    [[agents.demo.steps]]               # done in order, after the greeting was sent or interrupted
    wait = "speech"

A step has one of these keys:

    wait = "speech"                     # speech, speech_end, dtmf, custom, ack; what came since the last wait counts
    wait = {dtmf = "5"}                 # that digit
    wait = 1.5                          # seconds
    say = "One moment."                 # done when its audio was sent or interrupted
    wav = "file.wav"                    # relative to the script
    tone = {hz = 440, seconds = 2}
    tool = {url = "metadata.vox_session_control_url", body = {action = "end_call"}}    # HTTP POST of JSON
    tool_call = {name = "find_table", arguments = {seats = 2}, timeout = 5.0, expects_response = true}    # client tool
    dtmf = "5"
    custom = {stage = "checkout"}
    transfer_call = "+14155550123"      # or a sip: URI
    clear = true
    error = {message = "slow", status_code = 503}
    raw = "any text message"            # sent as it is: garbage, or events that do not exist yet
    drop = {code = 1011, reason = ""}   # or "abort": the TCP connection is reset
    end = "goodbye"                     # close 1000 "call ended by agent, reason: goodbye"; "" for no reason

Other keys of an agent: `chunk_ms`, `odd_chunks` (messages end inside a sample), `turn_events`, `threshold_dbfs`,
`idle_seconds` (default: the wire's own), `ack` (false: never), `ack_delay` in seconds, `refuse` (HTTP status of the
handshake). For the Managed wire alone: `start_seconds` (for the first message), `variables` (names that a session must
bring), `background_sound` (true forbids `as_available`).

On the Managed wire `custom` and `transfer_call` are left out, which is logged; on the Line wire `tool_call` is a
`custom` message `{tool, arguments, id}`, answered by a `custom` with that id and `result` or `error`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from cordboard.line.steps import MAX_SECONDS, Say, Sound, Step, parse_sound, parse_step
from cordboard.line.tables import ScriptError, Table

Engine = Literal["auto", "espeak-ng", "tones"]
Delivery = Literal["speaking_pace", "as_available"]

START_SECONDS = 10.0
"""Seconds for the first message on the Managed wire (reference cartesia-protocols §2.1)."""


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent of the script."""

    name: str
    greeting: Sound | None = None
    steps: tuple[Step, ...] = ()
    barge_in: bool = True
    delivery: Delivery = "speaking_pace"
    chunk_ms: int = 40
    odd_chunks: bool = False
    turn_events: bool = True
    threshold_dbfs: float = -40.0
    idle_seconds: float | None = None
    start_seconds: float = START_SECONDS
    variables: tuple[str, ...] = ()
    background_sound: bool = False
    ack: bool = True
    ack_delay: float = 0.0
    refuse: int = 0


@dataclass(frozen=True, slots=True)
class Script:
    """All agents, and how text becomes sound."""

    agents: Mapping[str, Agent] = field(default_factory=dict)
    engine: Engine = "auto"
    voice: str = "en"
    words_per_minute: int = 175

    def sounds(self) -> list[Sound]:
        """Every sound that the script may need, in its order."""
        found: list[Sound] = []
        for agent in self.agents.values():
            if agent.greeting is not None:
                found.append(agent.greeting)
            found += [step.sound for step in agent.steps if isinstance(step, Say)]
        return list(dict.fromkeys(found))


def load(path: Path) -> Script:
    """Read a script file; raise `ScriptError` (also for a file that cannot be read)."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ScriptError(f"{path}: {exc}") from exc
    return parse(text, path.parent)


def parse(text: str, folder: Path) -> Script:
    """Return the script in `text`; WAV files are looked for in `folder`. Raises `ScriptError`."""
    try:
        root = Table("", tomllib.loads(text))
    except tomllib.TOMLDecodeError as exc:
        raise ScriptError(f"not TOML: {exc}") from exc
    speech = Table("speech", root.rest.pop("speech", {}))
    engine = speech.choice("engine", "auto", get_args(Engine))
    voice = speech.take("voice", str, "en")
    if not voice or voice.startswith("-") or not voice.isprintable():
        raise speech.fault("voice", "must be the name of a voice")
    speed = int(speech.number("words_per_minute", 175, 80, 450))
    speech.done("engine, voice, words_per_minute")
    agents = Table("agents", root.rest.pop("agents", {}))
    root.done("agents, speech")
    if not agents.rest:
        raise ScriptError("agents: at least one agent is needed")
    found = {name: _agent(name, value, folder) for name, value in agents.rest.items()}
    return Script(found, engine, voice, speed)


def _agent(name: str, value: object, folder: Path) -> Agent:
    table = Table(f"agents.{name}", value)
    greeting = table.rest.pop("greeting", None)
    steps = table.take("steps", list, [])
    agent = Agent(
        name=name,
        greeting=None if greeting is None else parse_sound(table, "greeting", greeting, folder),
        steps=tuple(parse_step(f"{table.path}.steps[{at}]", step, folder) for at, step in enumerate(steps, 1)),
        barge_in=table.take("barge_in", bool, True),
        delivery=table.choice("delivery", "speaking_pace", get_args(Delivery)),
        chunk_ms=int(table.number("chunk_ms", 40, 20, 100)),
        odd_chunks=table.take("odd_chunks", bool, False),
        turn_events=table.take("turn_events", bool, True),
        threshold_dbfs=table.number("threshold_dbfs", -40.0, -90.0, 0.0),
        idle_seconds=table.number("idle_seconds", 0, 0.1, MAX_SECONDS) if "idle_seconds" in table.rest else None,
        start_seconds=table.number("start_seconds", START_SECONDS, 0.1, MAX_SECONDS),
        variables=_names(table, "variables"),
        background_sound=table.take("background_sound", bool, False),
        ack=table.take("ack", bool, True),
        ack_delay=table.number("ack_delay", 0.0, 0.0, MAX_SECONDS),
        refuse=table.take("refuse", int, 0),
    )
    if agent.refuse and not 400 <= agent.refuse <= 599:
        raise table.fault("refuse", "must be an HTTP status between 400 and 599")
    table.done(", ".join(key for key in Agent.__dataclass_fields__ if key != "name"))
    return agent


def _names(table: Table, key: str) -> tuple[str, ...]:
    names = table.take(key, list, [])
    if not all(isinstance(name, str) and name for name in names):
        raise table.fault(key, "must be a list of names")
    return tuple(names)
