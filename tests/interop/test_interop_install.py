"""`install` says what is missing and fails in CI alone; a test whose peer is missing is skipped, in CI it fails."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from . import peers

pytestmark = pytest.mark.interop

TOOLS = ("bash", "cat", "dirname", "echo", "grep", "id", "xargs")
"""What the script needs; a machine with these alone has no apt-get."""


def install(folder: Path, listed: str, ci: str) -> subprocess.CompletedProcess[str]:
    """Runs a copy of the script where `.ci/peers` lists what a test wants, on a machine without apt-get."""
    (folder / ".ci").mkdir()
    (folder / ".ci" / "peers").write_text(listed)
    (folder / "bin").mkdir()
    for tool in TOOLS:
        path = shutil.which(tool)
        assert path, tool
        (folder / "bin" / tool).symlink_to(path)
    (folder / "tests" / "interop").mkdir(parents=True)
    script = shutil.copy(Path(__file__).with_name("install"), folder / "tests" / "interop")
    environment = {"PATH": str(folder / "bin"), "CI": ci}
    return subprocess.run(["bash", script], env=environment, capture_output=True, text=True, timeout=20, check=False)


@pytest.mark.parametrize(("ci", "code"), [("", 0), ("true", 1)])
def test_what_is_missing_is_named_with_its_package(tmp_path: Path, ci: str, code: int) -> None:
    done = install(tmp_path, "sipp\n# a comment\nbaresip\n", ci)
    assert done.returncode == code
    assert done.stdout == ""
    assert done.stderr == "interop: missing sipp baresip; install the Debian packages: sip-tester baresip\n"


def test_nothing_is_said_when_all_are_there(tmp_path: Path) -> None:
    done = install(tmp_path, "bash\n", "true")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(("ci", "program", "outcome"), [
    ("", "sipp", pytest.skip.Exception),
    ("true", "sipp", pytest.fail.Exception),
    ("true", "unheard-of", pytest.skip.Exception),
])  # fmt: skip
def test_a_missing_peer_skips_and_in_ci_fails(
    monkeypatch: pytest.MonkeyPatch, ci: str, program: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setitem(os.environ, "CI", ci)
    with pytest.raises(outcome, match=program):
        peers.require(program)
