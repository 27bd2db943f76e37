"""What infra/ hands to an edge is a configuration that it takes, and the image gets all that its build asks for."""

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from moto import mock_aws
from tests.deploy.stack import REGION, ROOT

from cordboard.config.aws import AwsStorage, S3Sink
from cordboard.config.load import load

CONTAINER = ROOT / "infra" / "container"
PARAMETERS = {
    "Stage": "prod",
    "Image": "registry.example/cordboard:1",
    "Url": "https://voice.example",
    "Certificate": "arn:aws:acm:eu-west-1:123456789012:certificate/c",
    "Trunk": "sip:198.51.100.20",
    "TrunkNetwork": "198.51.100.0/24",
    "Number": "+18005550100",
    "Dial": "+18339906144",
    "FunctionNames": "/cordboard/prod/functions/line-agent",
    "Table": "cordboard-prod",
    "Bucket": "acme-recordings",
    "LogDays": "7",
}
UNKNOWN_TO_MOTO = ("Https", "Capacity", "Capacities")  # TLS listeners, capacity providers


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms as its long ones."""


def _long(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    value: Any = None
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    if suffix == "Ref":
        return {"Ref": value}
    return {f"Fn::{suffix}": value.split(".", 1) if suffix == "GetAtt" else value}


yaml.add_multi_constructor("!", _long, Loader=Loader)


@dataclass(frozen=True, slots=True)
class Stack:
    """infra/edge.yaml as moto makes it."""

    address: str
    container: dict[str, Any]
    """Of the task's definition."""
    user_data: str
    """What an instance runs when it boots."""

    @property
    def toml(self) -> str:
        """The edge's configuration."""
        (text,) = [each["value"] for each in self.container["environment"] if each["name"] == "CORDBOARD_TOML"]
        return str(text)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    template = yaml.load((ROOT / "infra" / "edge.yaml").read_text(), Loader=Loader)
    for name in UNKNOWN_TO_MOTO:
        del template["Resources"][name]
    service = template["Resources"]["Service"]
    del service["DependsOn"], service["Properties"]["CapacityProviderStrategy"]
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        yield _create(template)


def _create(template: dict[str, Any]) -> Stack:
    ec2: Any = boto3.client("ec2", REGION)
    stacks: Any = boto3.client("cloudformation", REGION)
    ecs: Any = boto3.client("ecs", REGION)
    allowed = {"Effect": "Allow", "Action": "ssm:GetParametersByPath", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    network = {
        "Vpc": ec2.describe_vpcs()["Vpcs"][0]["VpcId"],
        "Subnets": ",".join(each["SubnetId"] for each in ec2.describe_subnets()["Subnets"]),
        "Policy": boto3.client("iam").create_policy(PolicyName="p", PolicyDocument=policy)["Policy"]["Arn"],
    }
    given = [{"ParameterKey": name, "ParameterValue": value} for name, value in (PARAMETERS | network).items()]
    stacks.create_stack(StackName="edge", TemplateBody=json.dumps(template), Parameters=given)
    (made,) = stacks.describe_stacks(StackName="edge")["Stacks"]
    assert made["StackStatus"] == "CREATE_COMPLETE"
    outputs = {each["OutputKey"]: each["OutputValue"] for each in made["Outputs"]}
    (task,) = ecs.list_task_definitions()["taskDefinitionArns"]
    (container,) = ecs.describe_task_definition(taskDefinition=task)["taskDefinition"]["containerDefinitions"]
    (launch,) = ec2.describe_launch_templates()["LaunchTemplates"]
    versions = ec2.describe_launch_template_versions(LaunchTemplateId=launch["LaunchTemplateId"])
    data = versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]["UserData"]
    return Stack(outputs["Address"], container, base64.b64decode(data).decode())


def test_the_tasks_configuration_is_what_the_stack_made(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "cordboard.toml").write_text(stack.toml)
    config = load(tmp_path / "cordboard.toml", {}, {})
    assert (config.functions.host, config.storage.backend) == ("lambda", "aws")
    assert config.functions.aws_lambda.parameter == PARAMETERS["FunctionNames"]
    assert config.storage.aws == AwsStorage("/cordboard/prod", "cordboard-prod", "eu-west-1")
    assert config.recording.sink == S3Sink("acme-recordings", "recordings")
    assert (config.sip.advertise, str(config.http.metrics.listen)) == (stack.address, "0.0.0.0:9090")
    assert [str(network) for network in config.trunks[0].identify] == ["198.51.100.0/24"]


def test_an_instance_joins_the_cluster_and_takes_the_address(stack: Stack) -> None:
    checked = subprocess.run(["bash", "-n"], input=stack.user_data, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "\nECS_CLUSTER=cordboard-prod\n" in stack.user_data
    assert "\nEND\n" in stack.user_data  # the end of the text for the agent, at the line's begin
    assert f"--region {REGION} --allocation-id eipalloc-" in stack.user_data


def test_scripts_in_templates_are_python(stack: Stack) -> None:
    pods = list(yaml.safe_load_all((ROOT / "infra" / "kubernetes" / "edge.yaml").read_text()))
    (pod,) = [each["spec"]["template"]["spec"] for each in pods if each["kind"] == "StatefulSet"]
    wait = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    for command in (stack.container["healthCheck"]["command"][1:], wait):
        assert command[:2] == ["python3", "-c"]
        compile(command[2], "script", "exec")


def test_the_pods_configuration_is_one(tmp_path: Path) -> None:
    (found,) = [
        each
        for each in yaml.safe_load_all((ROOT / "infra" / "kubernetes" / "edge.yaml").read_text())
        if each["kind"] == "ConfigMap"
    ]
    (tmp_path / "cordboard.toml").write_text(found["data"]["cordboard.toml"])
    config = load(tmp_path / "cordboard.toml", {}, {})
    assert config.edge.data_dir == Path("/var/lib/cordboard/data")
    assert config.http.public.listen.port == 8443


@pytest.mark.parametrize("given", [True, False])
def test_the_containers_first_process_writes_the_configuration_and_is_cordboard(
    stack: Stack, tmp_path: Path, given: bool
) -> None:
    bin_ = Path(sys.executable).parent
    environment = {"PATH": f"{bin_}:{os.environ['PATH']}", "CORDBOARD_HOME": str(tmp_path), "NO_COLOR": "1"}
    if given:
        environment["CORDBOARD_TOML"] = stack.toml
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
