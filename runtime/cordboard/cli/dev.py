"""`cordboard dev`: the edge on one machine with Cartesia's stand-in beside it, functions reloaded on change.

It only changes defaults: what cordboard.toml, the environment or a flag says stays. Where there is no cordboard.toml it
writes `dev.toml` into the data folder: every number reaches the template's scenario, and numbers that it dials reach a
`cordboard phone answer` on this machine. It leaves the browser page out.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from cordboard.cli.dev_agent import check_options, make_environment
from cordboard.cli.dev_keys import put_keys, tell_missing_keys
from cordboard.cli.edge import run_edge, settled
from cordboard.cli.errors import BAD, CliError
from cordboard.cli.functions import correct_in, describe
from cordboard.cli.settings import config_path, read_config
from cordboard.cli.terminal import coloured, note, out
from cordboard.config.model import Config, Endpoint
from cordboard.contract.release import Release
from cordboard.edge import log as edge_log
from cordboard.edge.atomic import private_directory, write_atomic
from cordboard.edge.control.functions import FunctionsBroken
from cordboard.edge.data_dir import DataDir
from cordboard.edge.processes import children
from cordboard.edge.settle import own_address
from cordboard.edge.supervisor import Child
from cordboard.line import agent_options
from cordboard.sip.uri import DEFAULT_PORT, SipUri, parse_uri

LINE_PORT: Final = 8090  # of the stand-in, as `cordboard line` has it
CONSULT_PORT: Final = 5062  # where dialled numbers ring without a cordboard.toml


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="address to bind (default %(default)s)")
    parser.add_argument("--sip", type=int, default=5060, metavar="PORT", help="SIP port (default %(default)s)")
    parser.add_argument("--port", type=int, default=8443, metavar="PORT", help="control URLs (default %(default)s)")
    parser.add_argument("--line-port", type=int, default=LINE_PORT, metavar="PORT", help="of the stand-in")
    parser.add_argument("--no-line", action="store_true", help="without Cartesia's stand-in")
    parser.add_argument("--script", type=Path, metavar="F", help="what the stand-in's agents do (TOML)")
    agent_options.add_arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Run until a signal."""
    agent = check_options(args)
    given = read_config(args)
    overrides = _overrides(args, given)
    config = read_config(args, overrides)
    data = DataDir(config.edge.data_dir)
    private_directory(data.root)
    path = config_path(args)
    if path is None:
        path = data.root / "dev.toml"
        write_atomic(path, _dev_toml(config, _scenario(config)).encode())
        args.config = path
        note(f"no cordboard.toml here; using {path}")
    config = settled(read_config(args, overrides))
    _tell_of_lost_calls(args, config)
    if config.storage.backend == "sqlite":
        if args.no_line:
            tell_missing_keys(data)
        else:
            put_keys(data, agent)
    make_environment(args)
    edge_log.set_up("edge", config.log.format, config.log.level)
    processes = children(config, path, overrides, reload=True)
    if not args.no_line:
        script = () if args.script is None else ("--script", str(args.script))
        where = ("--host", "127.0.0.1", "--port", str(args.line_port))
        processes.insert(0, _leashed("line", "line", *where, *script, *agent_options.as_words(args)))
    processes.append(_leashed("events", "--config", str(path), "calls", "timeline", "-f"))
    return run_edge(config, processes, args.json, lambda what: _welcome(args, config, what))


def _overrides(args: argparse.Namespace, given: Config) -> dict[str, object]:
    """What dev sets where nobody else has."""
    wanted: dict[str, object] = {
        "sip.udp": str(Endpoint(args.host, args.sip)),
        "sip.rtp.bind": args.host,
        "sip.accept": "any",
        "http.public.listen": str(Endpoint(args.host, args.port)),
        "http.public.url": f"http://{Endpoint(own_address('auto', args.host), args.port)}",
        "log.format": "text",
    }
    if not args.no_line:
        wanted["agents.cartesia.base_url"] = f"ws://127.0.0.1:{args.line_port}"
    wanted = {key: value for key, value in wanted.items() if given.settings[key].source == "default"}
    if args.verbose or args.quiet:
        wanted["log.level"] = "debug" if args.verbose else "warning"
    return wanted


def _tell_of_lost_calls(args: argparse.Namespace, config: Config) -> None:
    """What a configuration of one's own leaves out or leads elsewhere, so that no call reaches the agent."""
    if not config.routes:
        note(f"{config_path(args)} has no [[routes]]: every incoming call is answered 404. To take them, write")
        note(f'[[routes]]\nto = "*"\nscenario = "{_scenario(config)}"')
    given, here = config.agents.cartesia.base_url, f"ws://127.0.0.1:{args.line_port}"
    if not args.no_line and given.replace("//localhost:", "//127.0.0.1:") != here:
        note(f"agents.cartesia.base_url is {given}: no call reaches the stand-in at {here}")


def _scenario(config: Config) -> str:
    try:
        release: Release = describe(config)
    except FunctionsBroken as error:
        raise CliError(BAD, str(error), correct_in(config)) from None
    names = sorted(release.scenarios())
    if not names:
        raise CliError(BAD, f"{config.functions.template} has no function", "add one, or name another template")
    if len(names) > 1:
        note(f"scenarios {', '.join(names)}: calls go to {names[0]}; write [[routes]] into cordboard.toml to choose")
    return names[0]


def _dev_toml(config: Config, scenario: str) -> str:
    text = json.dumps  # JSON strings are TOML strings
    return f"""# Written by `cordboard dev`, anew at each start.
[edge]
data_dir = {text(str(config.edge.data_dir.absolute()))}
[functions]
template = {text(str(config.functions.template.absolute()))}
[[routes]]
to = "*"
scenario = {text(scenario)}
[[trunks]]
name = "this-machine"
uri = "sip:127.0.0.1:{CONSULT_PORT}"
codecs = ["PCMU", "PCMA"]
[[outbound]]
to = "+*"
trunk = "this-machine"
[dial]
allow = ["+*"]
"""


def _leashed(name: str, *words: str) -> Child:
    return Child(name, (sys.executable, "-m", "cordboard.cli.leash", *words))


def _welcome(args: argparse.Namespace, config: Config, what: Mapping[str, Any]) -> None:
    out(f"ready sip:{what['sip']} {what['url']}")
    out(f"call   {coloured('sip:anything@' + str(what['sip']), 'bold')}")
    out(f"       cordboard phone call sip:anything@{what['sip']}")
    if not args.no_line:
        out(f"agents {config.agents.cartesia.base_url} (the stand-in)")
    if (name := agent_options.agent_name(args)) is not None:
        out(f"agent  {name}: {args.agent or args.agent_url}; it answers once it is told to be healthy")
    for line in _dialled(config):
        out(line)
    out(f"reloading {config.functions.template} and its functions on change; one line per event follows")


def _dialled(config: Config) -> list[str]:
    """Where numbers ring that scenarios dial; for a trunk on this machine, also who answers there."""
    if not config.dial.allow or not config.outbound:
        lacking = "[dial] allows none" if config.outbound else "there is no [[outbound]]"
        return [f"dialled numbers are refused: {lacking}"]
    found = []
    for outbound in config.outbound:
        uri = config.trunk(outbound.trunk).uri
        assert uri is not None, "load refuses an [[outbound]] to a trunk that only calls in"
        line = f"dialled numbers {outbound.to} ring at {uri}"
        place = parse_uri(uri)
        if isinstance(place, SipUri) and place.host in ("127.0.0.1", "::1", "localhost"):
            line += f": cordboard phone answer --sip-port {place.port or DEFAULT_PORT}"
        found.append(line)
    return found
