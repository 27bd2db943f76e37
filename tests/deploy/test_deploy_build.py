"""template.yaml is valid, and what `sam build` makes of it is what Lambda needs and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.deploy.conftest import Sam
from tests.deploy.stack import REGION, ROOT

from cordboard.hosts.template import read_template

FUNCTIONS = ["CallAlerting", "HttpRequest", "WebsocketClose", "Webhook"]


@pytest.mark.parametrize("template", ["template.yaml", "infra/edge.yaml"])
def test_the_templates_are_valid(sam: Sam, template: str) -> None:
    assert "is a valid SAM Template" in sam("validate", "--lint", "--region", REGION, "--template", template)


def test_each_function_has_the_whole_code_and_the_layer(built: Path) -> None:
    specs = read_template(built)
    assert [spec.name for spec in specs] == FUNCTIONS
    wanted = {path.relative_to(ROOT / "functions") for path in (ROOT / "functions").rglob("*.py")}
    for spec in specs:
        assert spec.code == built.parent / spec.name
        assert {path.relative_to(spec.code) for path in spec.code.rglob("*") if path.is_file()} == wanted
        assert spec.layers == (built.parent / "CordboardLayer" / "python",)
        assert spec.variables == {}  # all of them are known on AWS alone


def test_the_layer_holds_what_handlers_import_and_needs_the_standard_library_alone(built: Path) -> None:
    layer = built.parent / "CordboardLayer" / "python"
    assert {path.name for path in (layer / "cordboard").iterdir()} == {
        "__init__.py",
        "py.typed",
        "contract",
        "scenario",
        "storage",
    }
    assert not list(layer.rglob("__pycache__"))
    code = (
        f"import sys; sys.path[:0] = [{str(layer)!r}, {str(built.parent / 'CallAlerting')!r}]\n"
        "from call_alerting.app import handler\n"
        "import cordboard.scenario\n"
        "print(cordboard.scenario.__file__, handler({'schema': 'cordboard.describe/1'}, None)['scenario'])\n"
    )
    alone = [sys.executable, "-I", "-S", "-B", "-c", code]
    done = subprocess.run(alone, capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout.split() == [str(layer / "cordboard" / "scenario" / "__init__.py"), "line-agent"], done.stderr
