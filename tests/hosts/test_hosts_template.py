"""What of a template for AWS counts on this machine: code, layers that are built, variables that are plain text."""

import asyncio
from pathlib import Path

import pytest
from tests.hosts.test_hosts_release import ROOT

from cordboard.hosts.errors import TemplateError
from cordboard.hosts.template import FunctionSpec, read_template
from cordboard.hosts.workers import WorkerHost

APP = """\
import os
import shared
from cordboard.scenario import AppEvents, Scenario

scenario = Scenario("layered " + shared.WHERE + " " + os.environ.get("WHO", "-"))


@scenario.on(AppEvents.CallAlerting)
async def alerting(session, event):
    pass


handler = scenario.lambda_handler()
"""

TEMPLATE = """\
Globals:
  Function:
    CodeUri: code
    Handler: app.handler
    Layers: [!Ref Built]
    Environment: {Variables: {WHO: all, TABLE: !Ref Table, STORAGE: !Sub "dynamodb:${Table}", COUNT: 7}}
Resources:
  Built: {Type: "AWS::Serverless::LayerVersion", Properties: {ContentUri: layer}}
  NotBuilt: {Type: "AWS::Serverless::LayerVersion", Properties: {ContentUri: elsewhere}}
  Plain: {Type: "AWS::Serverless::Function"}
  Own:
    Type: AWS::Serverless::Function
    Metadata: {BuildMethod: makefile}
    Properties:
      Layers: [{Ref: NotBuilt}, "arn:aws:lambda:eu-west-1:123456789012:layer:x:1", !GetAtt Built.Arn]
      Environment: {Variables: {WHO: own, SECRET: "{{resolve:ssm:/x}}"}}
"""


@pytest.fixture
def template(tmp_path: Path) -> Path:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "app.py").write_text(APP)
    (tmp_path / "layer" / "python").mkdir(parents=True)
    (tmp_path / "layer" / "python" / "shared.py").write_text('WHERE = "layer"\n')
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    return tmp_path / "template.yaml"


def test_layers_and_variables_are_those_of_globals_and_of_the_function(template: Path) -> None:
    code, layer = template.parent / "code", template.parent / "layer" / "python"
    assert read_template(template) == (
        FunctionSpec("Plain", "app.handler", code, 3.0, layers=(layer,), variables={"WHO": "all", "COUNT": "7"}),
        FunctionSpec("Own", "app.handler", code, 3.0, layers=(layer,), variables={"WHO": "own", "COUNT": "7"}),
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[!Ref Built]", "Built", r"Resources\.Plain\.Properties\.Layers: is no list"),
        ("{Variables: {WHO: all,", "{Variables: [WHO], X: {", r"Globals\.Function\.Environment\.Variables: is no map"),
        ("Properties: {ContentUri: layer}", "Properties: 7", r"Resources\.Built\.Properties: is no mapping"),
    ],
)
def test_layers_and_variables_of_another_form_are_named(template: Path, old: str, new: str, message: str) -> None:
    template.write_text(TEMPLATE.replace(old, new))
    with pytest.raises(TemplateError, match=message):
        read_template(template)


def test_a_worker_imports_the_layer_behind_its_own_code(template: Path) -> None:
    async def scenarios() -> list[str]:
        host = WorkerHost(template)
        try:
            return [each.scenario for each in (await host.start()).functions.values()]
        finally:
            await host.close()

    assert asyncio.run(scenarios()) == ["layered layer all", "layered layer own"]
    (template.parent / "code" / "shared.py").write_text('WHERE = "code"\n')
    assert asyncio.run(scenarios()) == ["layered code all", "layered code own"]


def test_what_the_edge_says_of_its_stores_goes_before_what_the_template_says(template: Path) -> None:
    async def scenario() -> str:
        host = WorkerHost(template, environment={"WHO": "edge"})
        try:
            return (await host.start()).functions["Plain"].scenario
        finally:
            await host.close()

    template.write_text(TEMPLATE.partition("  Own:")[0])
    assert asyncio.run(scenario()) == "layered layer edge"


def test_variables_of_the_repositorys_template_are_known_on_aws_alone() -> None:
    assert [dict(spec.variables) for spec in read_template(ROOT / "template.yaml")] == [{}] * 4
