"""Command-line options that choose the voice, for `cordboard line`."""

from __future__ import annotations

import argparse

from cordboard.line.script import Script
from cordboard.line.voices.choice import VOICES, choose
from cordboard.line.voices.sonic import BASE_URL
from cordboard.line.voices.voice import Voice


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    group = parser.add_argument_group("speech")
    group.add_argument(
        "--voice",
        default="",
        metavar="ENGINE",
        help=f"{VOICES}; sonic needs CARTESIA_API_KEY in the environment and --voice-name, piper its program and a "
        "voice's .onnx file (default: the script's engine, else espeak-ng, else tones)",
    )
    group.add_argument("--voice-name", default="", metavar="NAME", help="a voice of espeak-ng, or a Sonic voice's id")
    group.add_argument(
        "--sonic-url",
        default=BASE_URL,
        metavar="URL",
        help="where Sonic is (default: %(default)s)",
    )


def open_voice(args: argparse.Namespace, script: Script) -> Voice:
    """Return the voice that was chosen, not yet started; raises `VoiceUnavailable`."""
    return choose(script, args.voice, args.voice_name, args.sonic_url)
