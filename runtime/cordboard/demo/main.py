"""Runs the demo: sets the stage, plays the calls, keeps what they left, says how many checks passed."""

import argparse
import asyncio
import fcntl
import shutil
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from cordboard.phone.call import PhoneCall
from cordboard.phone.softphone import Softphone

from .agent import AGENT, agent_options, agent_python
from .checks import Checks
from .scenes import WORDS, Scene, record_of
from .show import show
from .speech import CallerSpeech, write_script
from .stage import CALLER, Stage, StageError
from .verdict import clear_to_silence, cleared, closed_with, judge, told, understood

MARK = ".cordboard-demo"
"""File that says a folder is a demo's to clear; locked while one runs."""

SCRIPT = Path(__file__).with_name("demo.toml")
"""How the stand-in plays its part."""

CALLS: dict[str, tuple[str, str]] = {
    "transfer": ("A caller interrupts the agent and is transferred", "consult.hangup"),
    "farewell": ("The caller says goodbye, the agent ends the call", "handler.terminate"),
    "lost": ("The agent's program dies in mid-turn", "agent.error"),
}
"""Name → (title, cause that the record must say)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="folder for sound and timelines")
    parser.add_argument("--only", choices=CALLS, action="append", help="play only this call (may be repeated)")


def main(args: argparse.Namespace) -> int:
    """0 when every check passed, 1 when one failed, 2 when the stage could not be set."""
    template = _template()
    if template is None:
        sys.stderr.write("demo: no template.yaml here or above\nrun it in a clone of Cordboard\n")
        return 2
    out = args.out.resolve()
    mark = out / MARK
    if out.exists() and any(out.iterdir()) and not mark.exists():
        sys.stderr.write(f"demo: {out} holds something that is not a demo's\nname an empty folder: --out DIR\n")
        return 2
    out.mkdir(parents=True, exist_ok=True)
    with mark.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.stderr.write(f"demo: another demo runs in {out}\nwait for it, or name another folder: --out DIR\n")
            return 2
        _clear(out)
        try:
            return asyncio.run(_run(out, template, args.only or list(CALLS)))
        except StageError as error:
            sys.stderr.write(f"demo: {error}\nlook into the log, mend what it says, and run it again\n")
            return 2


def _clear(out: Path) -> None:
    """Remove what an earlier demo left in its folder."""
    for path in out.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != MARK:
            path.unlink()


def _template() -> Path | None:
    here = Path.cwd()
    return next((p / "template.yaml" for p in (here, *here.parents) if (p / "template.yaml").exists()), None)


async def _run(out: Path, template: Path, names: list[str]) -> int:
    checks = Checks()
    root = template.parent
    python = await agent_python(root, _say)
    speech = await CallerSpeech.open()
    ear = None if speech.is_real else out / "ear.toml"
    if ear is not None:
        _say("espeak-ng or pocketsphinx is not installed: the caller makes tones, what they say is read from a script")
        write_script(ear, [[WORDS[name]] for name in names])
    line = agent_options(root, python, SCRIPT, ear)
    _say("starting the edge, the function workers, and a cartesia-line agent behind the stand-in for its service")
    async with (
        Softphone(user=CALLER) as caller,
        Softphone(user="consult") as consult,
        Stage(out, template, consult.address, line=line) as stage,
    ):
        await stage.put_key("CARTESIA_AGENT_ID", AGENT)
        scene = Scene(stage, checks, caller, consult, speech, lambda text: _say(f"  … {text}"))
        known: set[str] = set()
        for number, name in enumerate(names, 1):
            await _play(number, name, scene, stage, known)
    return _close(checks)


async def _play(number: int, name: str, scene: Scene, stage: Stage, known: set[str]) -> None:
    title, cause = CALLS[name]
    checks = scene.checks
    _say(f"\n{number}. {title}")
    plays: dict[str, Callable[[], Awaitable[PhoneCall | None]]] = {
        "transfer": scene.transfer,
        "farewell": scene.farewell,
        "lost": scene.lost,
    }
    call = await plays[name]()
    found = await record_of(stage, known)
    if found is None:
        checks.that("the call leaves its record and its recording", False)
        return
    folder, raw = found
    known.add(folder.name)
    heard = {"caller": call.rtp_samples_received} if call is not None else {}
    judge(checks, folder, raw, cause, heard)
    if name == "transfer" and call is not None:
        checks.that(
            "speech was still queued when the agent was interrupted", cleared(raw) > 0, f"{cleared(raw)} samples"
        )
        late = clear_to_silence(folder, call)
        if checks.that("the edge was told to clear", late is not None) and late is not None:
            _say(f"  … clear → last agent RTP at the phone: {late:.1f} ms")
    if name == "farewell":
        lost = sum(sum(e.get("discarded", {}).values()) for e in raw["ledger"] if e["source"].endswith("/agent"))
        checks.that("no sample of the farewell was lost", lost == 0, f"{lost} samples")
    if name == "lost":
        understood(checks, folder, WORDS[name])
        closed_with(checks, folder, 1011)
        told(checks, folder)
    _keep(folder, stage.out / f"{number}-{name}")
    show(folder)


def _keep(folder: Path, to: Path) -> None:
    to.mkdir()
    for name in ("recording.wav", "timeline.json", "transcript.txt", "record.json"):
        source = folder / name
        if source.exists():
            shutil.copy(source, to / name)


def _close(checks: Checks) -> int:
    if checks.failed:
        sys.stdout.write(f"\ndemo: {len(checks.failed)} of {checks.passed + len(checks.failed)} checks failed\n")
        return 1
    sys.stdout.write(f"\ndemo: {checks.passed} checks passed\n")
    return 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
