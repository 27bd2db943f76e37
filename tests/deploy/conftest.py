"""What the tests of the deployment share: the SAM CLI of `make sam`, and what it builds of template.yaml."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

ROOT = Path(__file__).parent.parent.parent
SAM = ROOT / "var" / "sam" / "bin" / "sam"
REGION: Final = "eu-west-1"

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
