"""`cordboard init`: each sample as a project of its own, made by the built wheel, tested by a pytest of its own."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from cordboard.cli.init import SAMPLES
from cordboard.cli.main import main
from cordboard.config.load import load

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built wheel, unpacked: nothing of the source tree."""
    made, unpacked = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(made), str(ROOT)]
    subprocess.run(words, check=True, capture_output=True, timeout=120)
    [file] = made.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        archive.extractall(unpacked)
    return unpacked


def run(wheel: Path, folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    keep = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "CORDBOARD"))}
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**keep, "PYTHONPATH": str(wheel), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("sample", list(SAMPLES))
def test_a_sample_is_a_project_whose_tests_pass(wheel: Path, tmp_path: Path, sample: str) -> None:
    made = run(wheel, tmp_path, "-m", "cordboard.cli.main", "init", "desk", "--sample", sample)
    assert made.returncode == 0, made.stderr
    assert made.stdout.splitlines()[2] == "  cd desk"
    assert len(made.stdout.splitlines()) == 5
    project = tmp_path / "desk"
    names = sorted(path.name for path in project.iterdir())
    assert names == [".gitignore", "cordboard.toml", "functions", "template.yaml", "tests"]
    few = ["-k", "person"] if sample == "survey" else []  # the others are run in tests/samples
    words = ["-q", "-W", "error", "-p", "no:cacheprovider", "--rootdir", ".", *few]
    tested = run(wheel, project, "-m", "pytest", *words)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert " passed" in tested.stdout
    assert str(ROOT) not in tested.stdout


def test_the_wheel_is_asked_and_not_the_source_tree(wheel: Path, tmp_path: Path) -> None:
    where = run(wheel, tmp_path, "-c", "import cordboard.cli.init as init; print(init._ROOT)")
    assert where.stdout.strip() == str(wheel / "cordboard" / "cli" / "samples")


@pytest.mark.parametrize("sample", list(SAMPLES))
def test_its_configuration_is_one(tmp_path: Path, sample: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["-q", "init", ".", "--sample", sample]) == 0
    config = load(tmp_path / "cordboard.toml", {}, {})
    assert [route.scenario for route in config.routes] == [SAMPLES[sample].scenario][: SAMPLES[sample].takes_calls]
    assert config.dial.allow == SAMPLES[sample].dials


def test_in_the_folder_itself_the_next_commands_begin_with_the_tests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--json", "init"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["sample"], told["scenario"]) == ("line-agent", "line-agent")
    assert [command.split("  ")[0] for command in told["next"]] == [
        "python -m pytest",
        "cordboard dev",
        "cordboard phone call sip:anything@127.0.0.1:5060",
    ]


@pytest.mark.parametrize("what", ["file", "folder"])
def test_nothing_is_overwritten(tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    there = tmp_path / "desk"
    if what == "file":
        there.write_text("mine")
    else:
        there.mkdir()
        (there / "notes.txt").write_text("mine")
    assert main(["init", str(there)]) == 2
    error = capsys.readouterr().err.splitlines()
    assert error == [f"cordboard: {there} is not empty", "name a new folder: nothing is overwritten"]
    assert not (tmp_path / "desk" / "functions").exists()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["init", str(tmp_path / "file" / "desk")]) == 2
    assert "cannot be made" in capsys.readouterr().err
