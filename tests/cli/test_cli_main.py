"""The command line as a whole: help, exit codes, two-line errors, configuration, no needless imports."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cordboard.cli.main import FAMILIES, main
from cordboard.cli.terminal import coloured


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert [verb for verb in FAMILIES if f"  {verb} " not in text] == []


def test_no_verb_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "verbs:" in captured.err


def test_an_unknown_verb_names_the_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["edgy"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "cordboard: there is no verb 'edgy'"
    assert "edge" in lines[1]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("cordboard 0.")


@pytest.mark.parametrize("verb", [verb for verb in FAMILIES if verb != "demo"])
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    assert ended.value.code == 0
    assert f"cordboard {verb}" in capsys.readouterr().out


def test_the_help_imports_no_engine() -> None:
    code = (
        "import sys\nfrom cordboard.cli.main import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "sys.stderr.write(','.join(sorted(m for m in sys.modules if m in"
        " ('asyncio', 'numpy', 'uvicorn', 'starlette', 'cordboard.session', 'sqlite3'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""


@pytest.mark.parametrize("verb", [["config", "check"], ["config", "show"], ["edge"], ["calls", "ls"], ["keys", "ls"]])
def test_an_unknown_key_is_named_with_a_hint(here: Path, capsys: pytest.CaptureFixture[str], verb: list[str]) -> None:
    (here / "cordboard.toml").write_text('[edge]\n\n[sip]\nupd = "127.0.0.1:5060"\n')
    assert main(verb) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    first, second = captured.err.splitlines()
    assert first == "cordboard: cordboard.toml:4: sip.upd: is not known"
    assert second == "did you mean sip.udp?"


def test_a_config_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", "none.toml", "config", "check"]) == 2
    assert main(["config", "check", "--config", "none.toml"]) == 2
    assert capsys.readouterr().err.count("none.toml") == 2


def test_the_public_url_is_required_beyond_this_machine(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "cordboard.toml").write_text('[http.public]\nlisten = "0.0.0.0:8443"\n')
    assert main(["config", "check"]) == 2
    assert "http.public.url" in capsys.readouterr().err
    (here / "cordboard.toml").write_text('[http.public]\nlisten = "127.0.0.1:8443"\n')
    assert main(["config", "check"]) == 0
    assert "is good" in capsys.readouterr().out


def test_config_show_names_the_source(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "cordboard.toml").write_text('[sip]\nudp = "127.0.0.1:5070"\n')
    monkeypatch.setenv("CORDBOARD_EDGE__PLANES", "3")
    assert main(["config", "show", "--json"]) == 0
    found = {line["key"]: line for line in map(json.loads, capsys.readouterr().out.splitlines())}
    assert found["sip.udp"]["source"] == "cordboard.toml:2"
    assert found["edge.planes"] == {"key": "edge.planes", "value": "3", "source": "env CORDBOARD_EDGE__PLANES"}
    assert found["log.format"]["source"] == "default"


def test_a_reader_that_has_enough_is_no_error(here: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "cordboard.cli.main", "config", "show"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait(20) in (0, 1)
    process.stderr.close()


def test_colours_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert coloured("x", "red") == "\x1b[31mx\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert coloured("x", "red") == "x"
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setattr("sys.stdout.isatty", lambda: False, raising=False)
    assert coloured("x", "red") == "x"
