"""`cordboard functions`: what the template's functions say of themselves."""

import argparse
import asyncio

from cordboard.cli.errors import BAD, GOOD, CliError
from cordboard.cli.options import Verbs
from cordboard.cli.settings import read_config
from cordboard.cli.terminal import out_json, table
from cordboard.config.model import Config
from cordboard.contract.codec import encode
from cordboard.contract.release import Release
from cordboard.edge.control.functions import FunctionsBroken, function_host
from cordboard.edge.data_dir import DataDir


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    verbs = Verbs(parser, "list")
    verbs.add("list", "scenario, events and release of each function")


def main(args: argparse.Namespace) -> int:
    """Run one verb."""
    config = read_config(args)
    try:
        release = describe(config)
    except FunctionsBroken as error:
        raise CliError(BAD, str(error), f"correct it in {config.functions.template} or the code it names") from None
    if args.json:
        for name, description in release.functions.items():
            out_json({"function": name, "release": release.id, "description": encode(description)})
        return GOOD
    rows = []
    for name, description in release.functions.items():
        for route in description.events or ():
            event = f"{route.type}:{route.target}" if route.target else route.type
            rows.append((name, description.scenario, event, f"{route.timeout:g}s", release.id[:12]))
        for webhook in description.webhooks:
            rows.append((name, "-", f"webhook:{webhook.type}", f"{webhook.timeout:g}s", release.id[:12]))
    table(("FUNCTION", "SCENARIO", "EVENT", "TIMEOUT", "RELEASE"), rows)
    return GOOD


def describe(config: Config) -> Release:
    """The release that an edge would start with. Raises FunctionsBroken."""
    return asyncio.run(_describe(config))


async def _describe(config: Config) -> Release:
    data = DataDir(config.edge.data_dir)
    data.make()
    async with function_host(config, data) as (_, release):
        return release
