"""What control says of the functions before it takes a call."""

import logging
from pathlib import Path

import pytest

from cordboard.config.load import load
from cordboard.contract.records import Description
from cordboard.contract.release import Release
from cordboard.edge.control.functions import warn_of_routes


def test_a_route_that_leads_nowhere_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "cordboard.toml"
    file.write_text('[[routes]]\nto = "+1*"\nscenario = "desk"\n[[routes]]\nto = "+2*"\nscenario = "nosuch"\n')
    with caplog.at_level(logging.WARNING):
        warn_of_routes(load(file, {}, {}), Release("r", {"Answering": Description("desk")}))
    assert [record.getMessage() for record in caplog.records] == [
        "no function of scenario 'nosuch', which a route names; scenarios there: desk"
    ]
