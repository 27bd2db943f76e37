"""`cordboard init`: a project to begin with: functions, template.yaml, cordboard.toml, tests (HANDLERS §2.1).

The samples are the repository's own functions and their tests; a wheel carries them. The configuration is made for a
trial on one machine: numbers that a scenario dials ring at a `cordboard phone answer`.
"""

import argparse
import json
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cordboard.cli.errors import GOOD, USAGE, CliError
from cordboard.cli.terminal import out, out_json

_PACKAGED: Final = Path(__file__).with_name("samples")
_ROOT: Final = _PACKAGED if _PACKAGED.exists() else Path(__file__).parents[3]
"""Where the samples' paths begin: in an installed wheel, in a source tree."""

PHONE_PORT: Final = 5062
"""Where dialled numbers ring, as under `cordboard dev`."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What a project begins with."""

    about: str
    """A line for people."""
    scenario: str
    """Its name."""
    home: str
    """Folder of its code."""
    code: tuple[str, ...]
    """Files and folders in it."""
    functions: tuple[tuple[str, str], ...]
    """(logical name, handler) of each function."""
    test: str
    """Its test."""
    dials: tuple[str, ...]
    """Numbers that its tests and its code dial."""
    takes_calls: bool = True
    """Whether numbers lead to it."""


SAMPLES: Final = {
    "line-agent": Sample(
        "an agent answers, may transfer the caller and end the call",
        "line-agent",
        "functions",
        ("line_agent.py", "call_alerting", "http_request", "websocket_close"),
        (
            ("CallAlerting", "call_alerting.app.handler"),
            ("HttpRequest", "http_request.app.handler"),
            ("WebsocketClose", "websocket_close.app.handler"),
        ),
        "tests/test_line_agent.py",
        ("+18339906144",),
    ),
    "outbound": Sample(
        "a session that the API starts: dials a number, and an agent speaks to who picks up",
        "reminder",
        "samples/functions",
        ("outbound",),
        (("Outbound", "outbound.app.handler"),),
        "tests/samples/test_reminder.py",
        ("+1555*",),
        takes_calls=False,
    ),
    "survey": Sample(
        "a menu by keys, a rating, or a person; no agent",
        "survey",
        "samples/functions",
        ("survey",),
        (("Survey", "survey.app.handler"),),
        "tests/samples/test_survey.py",
        ("+18339906144",),
    ),
    "managed-tools": Sample(
        "a Managed agent whose tools are functions",
        "managed-agent",
        "samples/functions",
        ("managed_tools",),
        (("ManagedTools", "managed_tools.app.handler"),),
        "tests/samples/test_managed_tools.py",
        (),
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("dir", nargs="?", type=Path, default=Path(), metavar="DIR", help="an empty folder or a new one")
    lines = "; ".join(f"{name}: {sample.about}" for name, sample in SAMPLES.items())
    parser.add_argument("--sample", choices=list(SAMPLES), default="line-agent", help=f"{lines} (default %(default)s)")


def main(args: argparse.Namespace) -> int:
    """Make the project and say what comes next."""
    folder: Path = args.dir
    sample = SAMPLES[args.sample]
    try:
        make(folder, sample)
    except OSError as error:
        raise CliError(
            USAGE, f"the project cannot be made: {error}", "name a new folder that may be written"
        ) from error
    commands = next_commands(folder, sample)
    if args.json:
        out_json({"dir": str(folder), "sample": args.sample, "scenario": sample.scenario, "next": commands})
        return GOOD
    out(f"{args.sample}: {sample.about}")
    out("next:")
    for command in commands:
        out(f"  {command}")
    return GOOD


def make(folder: Path, sample: Sample) -> None:
    """Write a project. Raises CliError for a folder that holds anything, OSError."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CliError(USAGE, f"{folder} is not empty", "name a new folder: nothing is overwritten")
    functions, tests = folder / "functions", folder / "tests"
    functions.mkdir(parents=True)
    tests.mkdir()
    for name in sample.code:
        source = _ROOT / sample.home / name
        if source.is_dir():
            shutil.copytree(source, functions / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, functions / name)
    test = _ROOT / sample.test
    shutil.copyfile(test, tests / test.name)
    (folder / "template.yaml").write_text(template(sample), "utf-8")
    (folder / "cordboard.toml").write_text(configuration(sample), "utf-8")
    (folder / ".gitignore").write_text("var/\n__pycache__/\n", "utf-8")


def template(sample: Sample) -> str:
    """Its template.yaml."""
    functions = "".join(
        f"  {name}:\n    Type: AWS::Serverless::Function\n    Properties: {{Handler: {handler}}}\n"
        for name, handler in sample.functions
    )
    return f"""# The functions of the scenario {sample.scenario}, and the only list of them.
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31

Globals: {{Function: {{Runtime: python3.13, CodeUri: functions/, Timeout: 10, AutoPublishAlias: live}}}}
Resources:
{functions}"""


def configuration(sample: Sample) -> str:
    """Its cordboard.toml."""
    routes = (
        f'[[routes]]  # who takes calls\nto = "*"\nscenario = "{sample.scenario}"\n\n' if sample.takes_calls else ""
    )
    dials = json.dumps(list(sample.dials))
    return f"""# A trial on one machine. `cordboard config show` has every setting.

{routes}[dial]  # what scenarios may dial; an empty list is nothing
allow = {dials}

[[trunks]]  # dialled numbers ring here: cordboard phone answer --sip-port {PHONE_PORT}
name = "this-machine"
uri = "sip:127.0.0.1:{PHONE_PORT}"
codecs = ["PCMU", "PCMA"]

[[outbound]]
to = "+*"
trunk = "this-machine"
"""


def next_commands(folder: Path, sample: Sample) -> list[str]:
    """What to type next."""
    there = [] if folder.resolve() == Path.cwd() else [f"cd {shlex.quote(str(folder))}"]
    call = (
        "cordboard phone call sip:anything@127.0.0.1:5060  # in a second terminal"
        if sample.takes_calls
        else f"cordboard calls start {sample.scenario} --data to=+15551230000 --data name=Mina  # in a second terminal"
    )
    commands = [
        *there,
        "python -m pytest  # whole calls in virtual time; pip install pytest brings it",
        "cordboard dev     # real calls on this machine",
        call,
    ]
    return commands[:3]
