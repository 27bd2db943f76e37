"""`cordboard functions`: what the template's functions say of themselves, what is wrong with them, what they answer."""

import argparse
import asyncio
import json

from cordboard.cli.errors import BAD, GOOD, CliError
from cordboard.cli.options import Verbs
from cordboard.cli.settings import config_path, read_config
from cordboard.cli.terminal import note, out, out_json, printable, table
from cordboard.config.model import Config
from cordboard.contract.codec import encode
from cordboard.contract.release import Release
from cordboard.edge.control.functions import FunctionsBroken, function_host
from cordboard.edge.data_dir import DataDir
from cordboard.hosts.errors import TemplateError
from cordboard.hosts.template import read_template


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    verbs = Verbs(parser, "list|check|invoke")
    verbs.add("list", "scenario, events and release of each function")
    verbs.add("check", "module state, doubled events, handlers and routes that nothing leads to; exit 1 for any")
    invoke = verbs.add("invoke", "one round of a function; prints its answer, executes nothing; exit 1 where it failed")
    invoke.add_argument("function", metavar="NAME", help="as in the template")
    invoke.add_argument("-e", "--event", required=True, metavar="FILE", help="event or invocation as JSON; - is stdin")


def main(args: argparse.Namespace) -> int:
    """Run one verb."""
    config = read_config(args)
    try:
        match args.action:
            case "list":
                return _list(config, as_json=args.json)
            case "check":
                return _check(config, str(config_path(args) or "cordboard.toml"), as_json=args.json)
            case _:
                return _invoke(config, args.function, args.event)
    except FunctionsBroken as error:
        raise CliError(BAD, str(error), correct_in(config)) from None


def correct_in(config: Config) -> str:
    """What to do about FunctionsBroken."""
    if config.functions.host == "lambda":
        return "functions.host is lambda: see [functions.lambda], AWS_REGION and credentials, and what is deployed"
    return f"correct it in {config.functions.template} or the code it names"


def _list(config: Config, *, as_json: bool) -> int:
    release = describe(config)
    if as_json:
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


def _check(config: Config, file: str, *, as_json: bool) -> int:
    from cordboard.cli.function_check import check_code, check_routes

    try:
        specs = read_template(config.functions.template)
        problems = check_code(specs)
    except (TemplateError, OSError) as error:
        raise FunctionsBroken(str(error)) from None
    except SyntaxError as error:
        raise FunctionsBroken(f"{error.filename}:{error.lineno}: {error.msg}") from None
    problems += check_routes(config, describe(config), file)  # doubled events are told by name
    for problem in problems:
        if as_json:
            out_json({"file": problem.file, "line": problem.line, "message": problem.message})
        else:
            out(printable(str(problem)))
    if not problems:
        note(f"{len(specs)} function{'' if len(specs) == 1 else 's'}, nothing to correct")
    return BAD if problems else GOOD


def _invoke(config: Config, function: str, event: str) -> int:
    from cordboard.cli.function_invoke import invoke, read_event

    answer = invoke(config, function, read_event(event), event)
    out(json.dumps(answer, indent=2, ensure_ascii=False))
    return BAD if answer.get("status") == "failed" else GOOD


def describe(config: Config) -> Release:
    """The release that an edge would start with. Raises FunctionsBroken."""
    return asyncio.run(_describe(config))


async def _describe(config: Config) -> Release:
    data = DataDir(config.edge.data_dir)
    data.make()
    async with function_host(config, data) as (_, release):
        return release
