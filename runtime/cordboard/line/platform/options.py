"""The options of `cordboard line` that concern the platform around its calls."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cordboard.line.platform.gate import PREFIX
from cordboard.line.platform.service import Options, duration

DATA_DIR: Final = Path("var")
"""Where virtual environments and waiting webhooks stand when no `--data-dir` is given; calls are then in memory."""

MAX_KEY: Final = 4096
"""Characters of an API key's file."""


class OptionInvalid(Exception):
    """An option's value is wrong; the text names the option."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    group = parser.add_argument_group("the platform: REST for agents and calls, on the same port")
    group.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="keeps calls, recordings, tokens and agents over a restart; without it they are in memory and nothing is"
        f" recorded, while virtual environments (agents/ of it) and waiting webhooks stand in {DATA_DIR}",
    )
    group.add_argument(
        "--retain",
        metavar="TIME",
        help="redact calls so long after their end: 90m, 12h, 30d (default: never)",
    )
    group.add_argument("--api-key-file", type=Path, metavar="FILE", help="holds the only API key that is taken")
    group.add_argument(
        "--outbound",
        metavar="URL",
        help="an outbound call is asked for by a POST to this address, whose owner dials and opens the agent's socket",
    )
    group.add_argument(
        "--knowledge", type=Path, metavar="DIR", help="text files (.txt, .md) that agent programs may ask"
    )


def open_options(args: argparse.Namespace) -> Options:
    """What the options ask for; raises OptionInvalid."""
    try:
        retain = None if args.retain is None else duration(args.retain)
    except ValueError as exc:
        raise OptionInvalid(f"--retain: {exc}") from None
    if args.outbound is not None:
        _check_url(args.outbound)
    if args.knowledge is not None and not args.knowledge.is_dir():
        raise OptionInvalid(f"--knowledge: {args.knowledge}: is not a folder")
    key = None if args.api_key_file is None else _key(args.api_key_file)
    return Options(args.data_dir, key, retain, args.outbound, args.knowledge)


def _key(path: Path) -> str:
    try:
        with path.open(encoding="ascii") as file:
            key = file.read(MAX_KEY + 1).strip()
    except OSError as exc:
        raise OptionInvalid(f"--api-key-file: {path}: {exc.strerror}") from None
    except UnicodeDecodeError:
        raise OptionInvalid(f"--api-key-file: {path}: is not ASCII") from None
    if not key or len(key) > MAX_KEY or not key.isprintable() or key.startswith(PREFIX):
        raise OptionInvalid(
            f"--api-key-file: {path}: must hold one line of 1 to {MAX_KEY} characters, not beginning with {PREFIX}"
        )
    return key


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and parts.username is None
    except ValueError:
        good = False
    if not good:
        raise OptionInvalid("--outbound: is not http://host… or https://host… without credentials")
