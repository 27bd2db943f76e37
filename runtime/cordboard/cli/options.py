"""Options that every verb takes, wherever they stand on the command line (HANDLERS §2.1)."""

import argparse
from pathlib import Path


def add_global(parser: argparse.ArgumentParser, *, first: bool = False) -> None:
    """Declare them; only the `first` parser sets their defaults, so that later ones do not undo what was given."""
    default = None if first else argparse.SUPPRESS
    flag = False if first else argparse.SUPPRESS
    parser.add_argument("--config", type=Path, default=default, metavar="FILE", help="default: ./cordboard.toml")
    parser.add_argument("--json", action="store_true", default=flag, help="results as JSON")
    parser.add_argument("-q", "--quiet", action="store_true", default=flag, help="less on stderr")
    parser.add_argument("-v", "--verbose", action="store_true", default=flag, help="more on stderr")


class Verbs:
    """The actions of a family: `keys put`, `keys ls`, …; the chosen one is `args.action`."""

    def __init__(self, parser: argparse.ArgumentParser, names: str) -> None:
        self._verbs = parser.add_subparsers(dest="action", required=True, metavar=names)

    def add(self, name: str, line: str) -> argparse.ArgumentParser:
        """Another action with its line in the help."""
        parser = self._verbs.add_parser(name, help=line, description=line)
        add_global(parser)
        return parser
