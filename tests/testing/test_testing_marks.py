"""The mark: what it chooses, and what it says of what it cannot mean."""

import re
from pathlib import Path

from tests.testing.project import run_pytest, write

from cordboard.cli.init import SAMPLES, make

TEST = """
import pytest


@pytest.mark.cordboard(wire="managed", scenario="line-agent", template="other/template.yaml", lost_answers=1.0)
class TestChosen:
    def test_one_run_with_rates(self, edge):
        edge.keys(CARTESIA_API_KEY="k", CARTESIA_AGENT_ID="a")
        edge.advance(1)
        assert edge.call("+15551234567", to="+18005550100").state == "ended"
        assert {fault.kind for fault in edge.faults.log} == {"answer lost"}

    @pytest.mark.cordboard(lost_answers=0.0)
    def test_the_nearer_mark_counts(self, edge):
        edge.keys(CARTESIA_API_KEY="k", CARTESIA_AGENT_ID="a")
        caller = edge.call("+15551234567", to="+18005550100")
        assert caller.agent.wire == "managed"

    @pytest.mark.parametrize("word", ["a", "b"])
    @pytest.mark.cordboard(seeds=2, lost_answers=0.0, packet_loss=0.5)
    def test_methods_have_seeds_too(self, edge, word, capsys):
        print(word)
        assert capsys.readouterr().out == f"{word}\\n"


@pytest.mark.cordboard(seeds=2)
@pytest.mark.skip(reason="later")
def test_skipped(edge):
    raise AssertionError


@pytest.mark.cordboard(5)
def test_positional(edge): ...


@pytest.mark.cordboard(seeds=-1)
def test_negative(edge): ...


@pytest.mark.cordboard(seeds=1, lost_answer=0.5)
def test_misspelt(edge): ...


@pytest.mark.cordboard(scenario="nobody")
def test_nobody(edge):
    assert edge.call("+15551234567", to="+18005550100").code == 500
"""


def test_the_mark_chooses_the_edge_and_names_what_it_cannot_mean(tmp_path: Path) -> None:
    make(tmp_path / "desk", SAMPLES["survey"])
    make(tmp_path / "desk" / "other", SAMPLES["line-agent"])
    write(tmp_path / "desk", {"tests/test_survey.py": TEST})
    told = run_pytest(tmp_path / "desk", "-q", "-rA", "tests")
    assert "1 failed, 5 passed, 1 skipped, 2 errors" in told, told
    assert "cordboard takes names only" in told
    assert "seeds: -1 is no whole number from 0 to 10000" in told
    assert "there is no 'lost_answer'; there are agent_drops" in told
    assert re.search(r"SKIPPED.*later", told)
