"""A user's own project in a folder, and a pytest of its own in it."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def run_pytest(folder: Path, *words: str) -> str:
    """What it prints. No plugin is named: cordboard's is found by its entry point."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-W", "error", "-p", "no:cacheprovider", "--rootdir", str(folder), *words],
        cwd=folder,
        env={key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "CORDBOARD"))},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout + done.stderr
