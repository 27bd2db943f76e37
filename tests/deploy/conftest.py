"""What the tests of the deployment share: the SAM CLI of `make sam`, and what it builds of template.yaml."""

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws
from tests.deploy.stack import REGION, ROOT, SAM, Deployed, deploy, transformed

Sam = Callable[..., str]


@pytest.fixture(scope="session")
def sam(tmp_path_factory: pytest.TempPathFactory) -> Sam:
    """Runs a verb of the SAM CLI in the repository; what it prints. It asks nobody and keeps nothing in the home."""
    assert SAM.exists(), "the SAM CLI is not there: make sam"
    home = tmp_path_factory.mktemp("sam")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "SAM_CLI_TELEMETRY": "0",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }

    def run(*words: str) -> str:
        done = subprocess.run([SAM, *words], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def built(sam: Sam, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """template.yaml as `sam build` leaves it, with the artefacts beside it."""
    folder = tmp_path_factory.mktemp("built")
    sam("build", "--build-dir", str(folder), "--cache-dir", str(folder / "cache"))
    return folder / "template.yaml"


@pytest.fixture(scope="session")
def template(built: Path) -> Mapping[str, Any]:
    """What CloudFormation makes of it."""
    return transformed(built)


@pytest.fixture(scope="module")
def deployed(template: Mapping[str, Any], built: Path) -> Iterator[Deployed]:
    """The stack of the stage `prod`, and AWS as moto doubles it around the test."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": REGION,
        }.items():
            patch.setenv(name, value)
        patch.delenv("AWS_DEFAULT_REGION", raising=False)
        with mock_aws(config={"lambda": {"use_docker": False}}):
            yield deploy(template, built, Stage="prod", RecordingDays="90", LogDays="7")
