"""Entry of `cordboard`: parses the command line, dispatches to a verb, turns its failure into an exit code.

Options stand before or after the verb. A verb's module is imported when it is used, so that the help comes at once.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from cordboard.cli.errors import GOOD, INTERRUPTED, USAGE, CliError
from cordboard.cli.options import add_global

FAMILIES: Final = {
    "init": ("cordboard.cli.init", "a project to begin with: functions, template, configuration, tests"),
    "edge": ("cordboard.cli.edge", "run the edge: SIP, media, functions; one foreground process tree"),
    "dev": ("cordboard.cli.dev", "the edge for development: with Cartesia's stand-in, reload on change"),
    "line": ("cordboard.line.main", "Cartesia's stand-in on its own"),
    "phone": ("cordboard.phone.main", "a softphone: call, answer"),
    "calls": ("cordboard.cli.calls", "calls: ls, start, show, transcript, log, timeline, recording, hangup, rm"),
    "tokens": ("cordboard.cli.tokens", "tokens of the admin API: create, ls, revoke"),
    "keys": ("cordboard.cli.keys", "keys and secrets of scenarios: put, get, ls, rm"),
    "cartesia": ("cordboard.cli.cartesia", "agents and calls at Cartesia: agents, connect, calls, transcript, …"),
    "functions": ("cordboard.cli.functions", "functions of the template: list, check, invoke"),
    "conform": ("cordboard.cli.conform", "play an edge's worst days to functions, or to any program: a table"),
    "replay": ("cordboard.cli.replay", "recorded calls asked again of today's functions: what they would command now"),
    "config": ("cordboard.cli.config", "the configuration: check, show"),
    "demo": ("cordboard.cli.demo", "three real calls on this machine"),
}
"""Verb → (module with `add_arguments` and `main(args) -> int`, its line in the help)."""


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code (errors.py)."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(words)
    except CliError as error:
        sys.stderr.write(f"cordboard: {error.message}\n{error.hint}\n")
        return error.code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (`| head`) has enough, which is no fault; nothing more may be written, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return GOOD


def _dispatch(words: list[str]) -> int:
    at = _verb_at(words)
    top = _top_parser()
    known = top.parse_args(words[:at])
    if known.version:
        from importlib.metadata import version

        sys.stdout.write(f"cordboard {version('cordboard')}\n")
        return GOOD
    if at == len(words):
        top.print_help(sys.stderr)
        return USAGE
    verb, rest = words[at], words[at + 1 :]
    if verb not in FAMILIES:
        raise CliError(USAGE, f"there is no verb {verb!r}", f"verbs: {', '.join(FAMILIES)}")
    args = _verb_parser(verb).parse_args(rest if verb != "phone" else [verb, *rest], known)
    return int(import_module(FAMILIES[verb][0]).main(args))


def _verb_at(words: Sequence[str]) -> int:
    """Index of the first word that is neither an option nor an option's value."""
    at = 0
    while at < len(words) and words[at].startswith("-"):
        at += 2 if words[at] == "--config" else 1
    return min(at, len(words))


def _verb_parser(verb: str) -> argparse.ArgumentParser:
    module, line = FAMILIES[verb]
    add_arguments = import_module(module).add_arguments
    if verb == "phone":  # declares its verb itself
        parser = argparse.ArgumentParser(prog="cordboard")
        add_arguments(parser.add_subparsers())
        return parser
    parser = argparse.ArgumentParser(prog=f"cordboard {verb}", description=line)
    add_global(parser)
    add_arguments(parser)
    return parser


def _top_parser() -> argparse.ArgumentParser:
    verbs = "\n".join(f"  {name:<10} {line}" for name, (_, line) in FAMILIES.items())
    parser = argparse.ArgumentParser(
        prog="cordboard",
        description="A self-hosted host of per-call scenarios for voice agents.",
        epilog=f"verbs:\n{verbs}\n\n`cordboard VERB --help` says more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="cordboard [options] VERB …",
    )
    add_global(parser, first=True)
    parser.add_argument("--version", action="store_true", help="print the version")
    return parser


if __name__ == "__main__":
    sys.exit(main())
