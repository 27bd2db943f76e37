"""`cordboard config`: what the edge would run with, and where each value comes from."""

import argparse
import json

from cordboard.cli.edge import settled
from cordboard.cli.errors import GOOD
from cordboard.cli.options import Verbs
from cordboard.cli.settings import config_path, read_config
from cordboard.cli.terminal import out, out_json, table
from cordboard.config.load import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    verbs = Verbs(parser, "check|show")
    verbs.add("check", "read it, and say what is wrong")
    verbs.add("show", "every value with its source; secrets as references")


def main(args: argparse.Namespace) -> int:
    """Run one verb."""
    config = read_config(args)
    if args.action == "check":
        settled(config)
        path = config_path(args)
        out_json({"good": True}) if args.json else out(f"{path or 'the default configuration'} is good")
        return GOOD
    settings = show(config)
    if args.json:
        for each in settings:
            out_json({"key": each.key, "value": each.value, "source": each.source})
    else:
        table(
            ("KEY", "VALUE", "SOURCE"),
            ((each.key, json.dumps(each.value, ensure_ascii=False, default=str), each.source) for each in settings),
        )
    return GOOD
