"""The same functions answer every recorded call in the same way, to the byte."""

from pathlib import Path

import pytest

from .conftest import DESK, SEED, reports, story

CROWDS = [(DESK, 0, False), (DESK, 1, True), (SEED, 2, False), (SEED, 3, True)]


@pytest.mark.parametrize(("template", "seed", "deaths"), CROWDS)
def test_the_same_functions_differ_in_nothing(template: Path, seed: int, deaths: bool, tmp_path: Path) -> None:
    journals = story(template, seed, callers=8, deaths=deaths)
    found = reports(template, journals, tmp_path)
    assert [each for report in found for each in report.differences if each.differs] == []
    assert sum(report.events for report in found) > 2 * len(found)
