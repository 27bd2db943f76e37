"""`cordboard edge`: one foreground process tree, safe as PID 1."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cordboard.cli.errors import BAD, USAGE, CliError
from cordboard.cli.settings import config_path, config_problem, read_config
from cordboard.cli.terminal import out, out_json
from cordboard.config.error import ConfigError
from cordboard.config.model import Config, Endpoint
from cordboard.edge import log as edge_log
from cordboard.edge.data_dir import EdgeRuns
from cordboard.edge.processes import children, run
from cordboard.edge.settle import settle
from cordboard.edge.supervisor import Child


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--planes", metavar="N", help="media processes, or auto")
    parser.add_argument("--host", metavar="ADDRESS", help="address to bind for SIP, RTP and the control URL")
    parser.add_argument("--log-format", choices=("text", "json"))


def main(args: argparse.Namespace) -> int:
    """Run until a signal."""
    overrides: dict[str, object] = {"edge.planes": _planes(args.planes), "log.format": args.log_format}
    if args.verbose or args.quiet:
        overrides["log.level"] = "debug" if args.verbose else "warning"
    if args.host is not None:
        config = read_config(args)
        overrides["sip.udp"] = str(Endpoint(args.host, config.sip.udp.port))
        overrides["sip.rtp.bind"] = args.host
        overrides["http.public.listen"] = str(Endpoint(args.host, config.http.public.listen.port))
    config = settled(read_config(args, overrides))
    edge_log.set_up("edge", config.log.format, config.log.level)
    return run_edge(config, children(config, config_path(args), overrides), args.json, _say_ready)


def run_edge(
    config: Config, processes: Sequence[Child], as_json: bool, welcome: Callable[[Mapping[str, Any]], None]
) -> int:
    """Run a settled configuration's processes until a signal; tells what is ready once. Raises CliError."""
    try:
        return run(config, processes, (lambda what: out_json({"ready": what})) if as_json else welcome)
    except EdgeRuns as error:
        raise CliError(BAD, str(error.strerror), "stop it first, or give this one another edge.data_dir") from None
    except OSError as error:
        raise CliError(USAGE, f"{config.edge.data_dir}: {error}", "set edge.data_dir to a folder you own") from None


def _say_ready(what: Mapping[str, Any]) -> None:
    out(f"ready sip:{what['sip']} {what['url']}")


def settled(config: Config) -> Config:
    """The configuration an edge runs with. Raises CliError."""
    try:
        return settle(config)
    except ConfigError as error:
        raise config_problem(error) from None


def _planes(text: str | None) -> object:
    return int(text) if text is not None and text.isdecimal() else text
