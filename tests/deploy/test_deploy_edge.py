"""What infra/ hands to an edge is a configuration that it takes, and the image gets all that its build asks for."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.deploy.stack import ROOT

from cordboard.config.aws import AwsStorage, S3Sink
from cordboard.config.load import load

CONTAINER = ROOT / "infra" / "container"
PARAMETERS = {
    "Url": "https://voice.example",
    "Address": "203.0.113.7",
    "Trunk": "sip:198.51.100.20",
    "TrunkNetwork": "198.51.100.0/24",
    "Number": "+18005550100",
    "Dial": "+18339906144",
    "AWS::Region": "eu-west-1",
    "FunctionNames": "/cordboard/prod/functions/line-agent",
    "Stage": "prod",
    "Table": "cordboard-prod",
    "Bucket": "acme-recordings",
}


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's tags as what they hold."""


def _content(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    match node:
        case yaml.ScalarNode():
            return loader.construct_scalar(node)
        case yaml.SequenceNode():
            return loader.construct_sequence(node, deep=True)
    return None


yaml.add_multi_constructor("!", _content, Loader=Loader)


def toml_of_the_task() -> str:
    template = yaml.load((ROOT / "infra" / "edge.yaml").read_text(), Loader=Loader)  # a SafeLoader
    (container,) = template["Resources"]["Task"]["Properties"]["ContainerDefinitions"]
    (text,) = [each["Value"] for each in container["Environment"] if each["Name"] == "CORDBOARD_TOML"]
    for name, value in PARAMETERS.items():
        text = text.replace(f"${{{name}}}", value)
    assert "${" not in text
    return str(text)


def test_the_tasks_configuration_is_what_the_stack_made(tmp_path: Path) -> None:
    (tmp_path / "cordboard.toml").write_text(toml_of_the_task())
    config = load(tmp_path / "cordboard.toml", {}, {})
    assert (config.functions.host, config.storage.backend) == ("lambda", "aws")
    assert config.functions.aws_lambda.parameter == PARAMETERS["FunctionNames"]
    assert config.storage.aws == AwsStorage("/cordboard/prod", "cordboard-prod", "eu-west-1")
    assert config.recording.sink == S3Sink("acme-recordings", "recordings")
    assert (config.sip.advertise, str(config.http.metrics.listen)) == ("203.0.113.7", "0.0.0.0:9090")
    assert [str(network) for network in config.trunks[0].identify] == ["198.51.100.0/24"]


def test_the_pods_configuration_is_one(tmp_path: Path) -> None:
    (found,) = [
        each
        for each in yaml.safe_load_all((ROOT / "infra" / "kubernetes" / "edge.yaml").read_text())
        if each["kind"] == "ConfigMap"
    ]
    (tmp_path / "cordboard.toml").write_text(found["data"]["cordboard.toml"])
    config = load(tmp_path / "cordboard.toml", {}, {})
    assert config.edge.data_dir == Path("/var/lib/cordboard")
    assert config.http.public.listen.port == 8443


@pytest.mark.parametrize("given", [True, False])
def test_the_containers_first_process_writes_the_configuration_and_is_cordboard(tmp_path: Path, given: bool) -> None:
    bin_ = Path(sys.executable).parent
    environment = {"PATH": f"{bin_}:{os.environ['PATH']}", "CORDBOARD_HOME": str(tmp_path), "NO_COLOR": "1"}
    if given:
        environment["CORDBOARD_TOML"] = toml_of_the_task()
    command = [str(CONTAINER / "start"), "config", "show"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert ("https://voice.example" in done.stdout) is given
    if given:
        assert (tmp_path / "cordboard.toml").stat().st_mode & 0o777 == 0o600


def test_the_wheel_builds_from_what_the_image_is_given(tmp_path: Path) -> None:
    """As infra/container/Dockerfile copies it, of what .dockerignore lets through."""
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copies = [line.split()[1:] for line in (CONTAINER / "Dockerfile").read_text().splitlines() if line[:5] == "COPY "]
    for *names, to in (words for words in copies if not words[0].startswith("--")):
        for name in names:
            assert name in let_through or any(name.startswith(f"{each}/") for each in let_through)
            target = tmp_path / to / ("" if (ROOT / name).is_dir() else Path(name).name)
            if to.startswith("/"):  # into the image itself
                assert (ROOT / name).exists()
            elif (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, target)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path / "dist")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert [path.suffix for path in (tmp_path / "dist").iterdir()] == [".whl"]
