"""The floors hold, and the check that says so can fail."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    command = [
        str(Path(sys.executable).parent / "lint-imports"),
        "--config",
        str(root / "pyproject.toml"),
        "--no-cache",
    ]
    environment = {"PYTHONPATH": str(root / "runtime"), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=120, check=False)


def copy_tree(to: Path) -> Path:
    shutil.copytree(ROOT / "runtime", to / "runtime", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", to)
    return to


def test_no_room_imports_a_higher_floor() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout


def test_a_forbidden_import_is_seen(tmp_path: Path) -> None:
    root = copy_tree(tmp_path)
    with (root / "runtime/cordboard/sip/timers.py").open("a", encoding="utf-8") as file:
        file.write("\nimport asyncio\n")
    with (root / "runtime/cordboard/media/rtp.py").open("a", encoding="utf-8") as file:
        file.write("\nimport cordboard.plane.leg\n")
    done = lint(root)
    assert done.returncode != 0
    assert "cordboard.sip is not allowed to import asyncio" in done.stdout
    assert "cordboard.media is not allowed to import cordboard.plane" in done.stdout
