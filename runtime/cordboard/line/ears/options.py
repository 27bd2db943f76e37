"""The options of `cordboard line` that say how an agent hears, and what becomes of them."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

from cordboard.line.ears import silero
from cordboard.line.ears.ear import Ears
from cordboard.line.ears.ink import InkEars
from cordboard.line.ears.ink_socket import INK_URL
from cordboard.line.ears.ink_turns import InkTurnsEars
from cordboard.line.ears.scripted import load_script
from cordboard.line.ears.sphinx import INSTALL, SphinxEars, is_installed
from cordboard.line.ears.turns import Turns, energy
from cordboard.line.tables import ScriptError

KEY = "CARTESIA_API_KEY"
"""Environment variable with the key for Ink: an option would show it to every user of the machine."""

log = logging.getLogger("cordboard.line")


def add_arguments(group: argparse._ArgumentGroup) -> None:
    """Declare them."""
    group.add_argument(
        "--ear",
        metavar="FILE|ink|ink-turns",
        help="how it hears: FILE.jsgf, a grammar for pocketsphinx; FILE.toml, what the caller says, turn by turn;"
        f" ink or ink-turns, Cartesia's service with the key in {KEY}, the turns found here or there"
        " (default: the only *.jsgf beside the program, with pocketsphinx)",
    )
    group.add_argument("--ink-url", default=INK_URL, metavar="URL", help="where Ink is (default: %(default)s)")
    group.add_argument(
        "--vad", choices=("energy", "silero"), default="energy", help="finds the caller's turns (default: %(default)s)"
    )
    group.add_argument("--vad-model", type=Path, metavar="FILE", help="silero_vad.onnx of the package silero-vad")


def open_ears(args: argparse.Namespace) -> Ears | None:
    """Return the ears that were asked for, or those that fit the program; raise `ScriptError`."""
    match args.ear:
        case None:
            return _beside(args.agent)
        case "ink":
            return InkEars(_key(args.ear), args.ink_url)
        case "ink-turns" if args.vad != "energy":
            raise ScriptError(f"--vad {args.vad}: with --ear ink-turns, Ink itself finds the turns")
        case "ink-turns":
            return InkTurnsEars(_key(args.ear), args.ink_url)
    path = Path(args.ear)
    match path.suffix:
        case ".jsgf":
            return SphinxEars(path)
        case ".toml":
            return load_script(path)
    raise ScriptError(f"--ear {args.ear}: must be FILE.jsgf, FILE.toml, ink or ink-turns")


def open_turns(args: argparse.Namespace) -> Turns:
    """Return the maker of turn detectors that was asked for; raise `ScriptError`."""
    if args.vad == "silero":
        if args.vad_model is None:
            raise ScriptError("--vad silero: needs --vad-model FILE, silero_vad.onnx of the package silero-vad")
        return silero.load(args.vad_model)
    if args.vad_model is not None:
        raise ScriptError("--vad-model: needs --vad silero")
    return energy


def _key(ear: str) -> str:
    key = os.environ.get(KEY, "").strip()
    if not key:
        raise ScriptError(f"--ear {ear}: needs an API key of Cartesia in {KEY}")
    return key


def _beside(program: Path | None) -> Ears | None:
    """The grammar that stands beside the program."""
    grammars = [] if program is None else sorted(program.absolute().parent.glob("*.jsgf"))
    if len(grammars) == 1 and is_installed():
        log.info("agent: hears by %s", grammars[0])
        return SphinxEars(grammars[0])
    if len(grammars) == 1:
        log.warning("agent: cannot hear speech, %s needs pocketsphinx: %s", grammars[0].name, INSTALL)
    elif grammars:
        log.warning("agent: cannot hear speech, %d grammars stand beside the program: choose by --ear", len(grammars))
    else:
        log.warning("agent: cannot hear speech; --ear says how it could, with FILE.jsgf and %s", INSTALL)
    return None
