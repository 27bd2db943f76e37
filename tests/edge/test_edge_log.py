"""The edge's log: what callers send stays within its line."""

import json
import logging

import pytest

from cordboard.edge import log as edge_log

FORGED = "x\n00:00:00 control error: all is lost\x1b[2J\r\x85\u2028\u202e\x7f\x00"


@pytest.fixture(autouse=True)
def root(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    monkeypatch.setattr(logging.getLogger(), "level", logging.WARNING)


def test_text_has_one_line_for_an_entry_whatever_a_caller_sends(capsys: pytest.CaptureFixture[str]) -> None:
    edge_log.set_up("control", "text", "info")
    logger = logging.getLogger("test.edge.log")
    edge_log.write(logger, "warning", f"dropped a call from {FORGED}", {"to": FORGED, FORGED: 1, "name": "Jürgen 李"})
    (line,) = capsys.readouterr().err.splitlines()
    assert line.isprintable()
    assert "to=x\\n00:00:00 control error: all is lost\\x1b[2J\\r" in line
    assert line.endswith("name=Jürgen 李")


def test_json_has_one_line_for_an_entry(capsys: pytest.CaptureFixture[str]) -> None:
    edge_log.set_up("control", "json", "info")
    edge_log.write(logging.getLogger("test.edge.log"), "warning", "dropped", {"to": FORGED})
    (line,) = capsys.readouterr().err.split("\n")[:-1]
    assert json.loads(line)["to"] == FORGED
    assert "\x1b" not in line


def test_a_traceback_keeps_its_lines_and_nothing_of_a_caller_runs_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    edge_log.set_up("control", "text", "info")
    try:
        raise ValueError(FORGED)
    except ValueError:
        logging.getLogger("test.edge.log").exception("a mistake")
    first, *text = capsys.readouterr().err.splitlines()
    assert first.endswith("error: a mistake")
    assert text[0] == "  | Traceback (most recent call last):"
    assert all(line.startswith("  | ") and line.isprintable() for line in text)
