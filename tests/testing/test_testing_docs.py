"""Every example of docs/testing.md runs, in the project that `cordboard init` makes."""

import re
from pathlib import Path

from tests.testing.project import run_pytest

from cordboard.cli.init import SAMPLES, make
from cordboard.simulator.faults import KINDS

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"


def test_its_examples_pass_in_a_new_project(tmp_path: Path) -> None:
    make(tmp_path / "desk", SAMPLES["line-agent"])
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    assert len(blocks) >= 6
    for number, block in enumerate(blocks):
        assert "def test_" in block, "every example can be run"
        (tmp_path / "desk" / "tests" / f"test_page_{number}.py").write_text(block, "utf-8")
    told = run_pytest(tmp_path / "desk", "-q", "-n", "0", "-k", "page")
    assert re.search(r"^\d+ passed", told, re.M), told


def test_it_names_every_fault() -> None:
    text = PAGE.read_text("utf-8")
    assert [kind for kind, rate in KINDS.items() if f"`{kind}`" not in text or rate not in text] == []
