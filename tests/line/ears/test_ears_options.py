"""How an agent hears, as the command line says it."""

from __future__ import annotations

import argparse
import logging
import shutil
from pathlib import Path

import pytest

from cordboard.line.ears import options
from cordboard.line.ears.ink import InkEars
from cordboard.line.ears.ink_turns import InkTurnsEars
from cordboard.line.ears.options import KEY, open_ears, open_turns
from cordboard.line.ears.scripted import ScriptedEars
from cordboard.line.ears.sphinx import SphinxEars
from cordboard.line.ears.turns import energy
from cordboard.line.tables import ScriptError

GRAMMAR = Path(__file__).parents[3] / "samples" / "agents" / "front_desk" / "front_desk.jsgf"


def arguments(*words: str, agent: Path | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    options.add_arguments(parser.add_argument_group("ears"))
    parser.set_defaults(agent=agent)
    return parser.parse_args(words)


def test_each_kind_of_ear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "said.toml").write_text('utterances = ["hello"]')
    assert isinstance(open_ears(arguments("--ear", str(tmp_path / "said.toml"))), ScriptedEars)
    assert isinstance(open_ears(arguments("--ear", str(GRAMMAR))), SphinxEars)
    monkeypatch.setenv(KEY, "sk_car_secret")
    assert isinstance(open_ears(arguments("--ear", "ink")), InkEars)
    assert isinstance(open_ears(arguments("--ear", "ink-turns", "--ink-url", "ws://127.0.0.1:1")), InkTurnsEars)
    assert open_turns(arguments()) is energy


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--ear", "ink"), "needs an API key of Cartesia in CARTESIA_API_KEY"),
        (("--ear", "ink-turns"), "needs an API key of Cartesia in CARTESIA_API_KEY"),
        (("--ear", "ink-turns", "--vad", "silero"), "--vad silero: .*Ink itself finds the turns"),
        (("--ear", "said.wav"), r"said\.wav: must be FILE\.jsgf, FILE\.toml, ink or ink-turns"),
        (("--vad", "silero"), "needs --vad-model"),
        (("--vad-model", "x.onnx"), "needs --vad silero"),
    ],
)
def test_what_cannot_be_heard_by_is_named(
    words: tuple[str, ...], complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KEY, raising=False)
    with pytest.raises(ScriptError, match=complaint):
        open_ears(arguments(*words)), open_turns(arguments(*words))


def test_a_key_is_not_shown_by_a_bad_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "sk_car_secret")
    with pytest.raises(ScriptError, match="--ink-url") as caught:
        open_ears(arguments("--ear", "ink", "--ink-url", "https://h"))
    assert "secret" not in str(caught.value)


def test_the_only_grammar_beside_a_program_is_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    program = tmp_path / "main.py"
    assert open_ears(arguments(agent=program)) is None
    assert (
        'cannot hear speech; --ear says how it could, with FILE.jsgf and pip install "cordboard[ears]"' in caplog.text
    )
    shutil.copy(GRAMMAR, tmp_path / "one.jsgf")
    assert isinstance(open_ears(arguments(agent=program)), SphinxEars)
    assert f"hears by {tmp_path / 'one.jsgf'}" in caplog.text
    shutil.copy(GRAMMAR, tmp_path / "two.jsgf")
    assert open_ears(arguments(agent=program)) is None
    assert "2 grammars stand beside the program: choose by --ear" in caplog.text


def test_without_pocketsphinx_it_is_said_what_to_install(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "is_installed", lambda: False)
    shutil.copy(GRAMMAR, tmp_path / "one.jsgf")
    assert open_ears(arguments(agent=tmp_path / "main.py")) is None
    assert 'one.jsgf needs pocketsphinx: pip install "cordboard[ears]"' in caplog.text
