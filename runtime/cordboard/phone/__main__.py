"""`python -m cordboard.phone call|answer …`: the phone without the rest of the command line."""

import argparse
import sys

from cordboard.phone.main import add_arguments


def run() -> int:
    """Parses the process's arguments and runs the phone."""
    parser = argparse.ArgumentParser(prog="cordboard")
    add_arguments(parser.add_subparsers(required=True))
    args = parser.parse_args(["phone", *sys.argv[1:]])
    code: int = args.run(args)
    return code


if __name__ == "__main__":
    sys.exit(run())
