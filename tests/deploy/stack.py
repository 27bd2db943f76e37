"""The stack of template.yaml as moto makes it: the transform of SAM without what moto does not know."""

import io
import json
import os
import subprocess
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import boto3

ROOT: Final = Path(__file__).parent.parent.parent
SAM: Final = ROOT / "var" / "sam" / "bin" / "sam"
REGION: Final = "eu-west-1"
UNKNOWN_TO_MOTO: Final = (
    "AWS::Lambda::Version",
    "AWS::Lambda::Alias",
    "AWS::Lambda::Url",
    "AWS::Lambda::Permission",
    "AWS::CloudFormation::Stack",
    "AWS::S3::BucketPolicy",
)


def transformed(built: Path) -> dict[str, Any]:
    """What CloudFormation makes of a template of `sam build`."""
    command = [SAM.parent / "python", Path(__file__).with_name("transform.py"), built]
    environment = {"PATH": os.environ["PATH"], "AWS_DEFAULT_REGION": REGION}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    template: dict[str, Any] = json.loads(done.stdout)
    return template


def pruned(template: Mapping[str, Any]) -> dict[str, Any]:
    """Without the kinds that moto does not know, and what refers to them."""
    kept = {name: each for name, each in template["Resources"].items() if each["Type"] not in UNKNOWN_TO_MOTO}
    gone = template["Resources"].keys() - kept.keys()
    resources = {}
    for name, resource in kept.items():
        wanted = [each for each in resource.get("DependsOn", ()) if each not in gone]
        resources[name] = {**resource, "DependsOn": wanted} if wanted else _without(resource, "DependsOn")
    outputs = {
        name: output
        for name, output in template["Outputs"].items()
        if not any(f'"{each}{end}' in json.dumps(output) for each in gone for end in '".')
    }
    return {**template, "Resources": resources, "Outputs": outputs}


@dataclass(frozen=True, slots=True)
class Deployed:
    """What the stack says of itself."""

    outputs: Mapping[str, str]
    ids: Mapping[str, str]
    """Logical id → physical id."""
    variables: Mapping[str, Mapping[str, str]]
    """Of each function's environment, by its logical id."""


def deploy(whole: Mapping[str, Any], built: Path, **parameters: str) -> Deployed:
    """Create the stack of a transformed template with the built code, in whatever boto3 reaches."""
    template = pruned(whole)
    s3, functions = boto3.client("s3", REGION), boto3.client("lambda", REGION)
    stacks: Any = boto3.client("cloudformation", REGION)
    s3.create_bucket(Bucket="artefacts", CreateBucketConfiguration={"LocationConstraint": REGION})
    for folder in (path for path in built.parent.iterdir() if path.is_dir()):
        s3.put_object(Bucket="artefacts", Key=folder.name, Body=_zip(folder))
    given = [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()]
    everything = ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
    body = json.dumps(template)
    stacks.create_stack(StackName="cordboard", TemplateBody=body, Parameters=given, Capabilities=everything)
    (stack,) = stacks.describe_stacks(StackName="cordboard")["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    resources = stacks.describe_stack_resources(StackName="cordboard")["StackResources"]
    assert {each["LogicalResourceId"] for each in resources} == template["Resources"].keys()
    ids = {each["LogicalResourceId"]: each.get("PhysicalResourceId", "") for each in resources}
    variables = {}
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Lambda::Function":
            found = functions.get_function_configuration(FunctionName=ids[name])
            variables[name] = found["Environment"]["Variables"]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
    return Deployed(outputs, ids, variables)


def _without(resource: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in resource.items() if name != key}


def _zip(folder: Path) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.write(path, path.relative_to(folder))
    return packed.getvalue()
