"""`cordboard keys`: values by standard input alone, secrets never printed."""

import io
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cordboard.cli.main import main

VALUE = "sk-very-secret-4711"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    return tmp_path


def _type(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_a_key_goes_round(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _type(monkeypatch, "Grüße\n".encode())
    assert main(["keys", "put", "GREETING"]) == 0
    assert main(["keys", "get", "GREETING"]) == 0
    assert capsys.readouterr().out == "Grüße\n"
    assert main(["keys", "ls"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["GREETING", "key"]
    assert main(["keys", "rm", "GREETING"]) == 0
    assert main(["keys", "get", "GREETING"]) == 4


def test_a_key_with_a_time_to_live_says_when_it_goes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _type(monkeypatch, b"x")
    assert main(["keys", "put", "K", "--ttl", "30d"]) == 0
    capsys.readouterr()
    assert main(["keys", "ls", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["expires"].startswith("20")


def test_a_secret_is_named_and_never_shown(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for version in (1, 2):
        _type(monkeypatch, f"{VALUE}\n".encode())
        assert main(["keys", "put", "CARTESIA_API_KEY", "--secret"]) == 0
        assert f"version {version}" in capsys.readouterr().err
    codes = [main(["keys", "get", "CARTESIA_API_KEY"]), main(["keys", "ls"]), main(["keys", "ls", "--json"])]
    _type(monkeypatch, f"{VALUE}\n".encode())
    codes.append(main(["keys", "put", "CARTESIA_API_KEY"]))  # no shadow of a secret
    assert codes == [1, 0, 0, 1]
    captured = capsys.readouterr()
    assert "CARTESIA_API_KEY" in captured.out
    assert VALUE not in captured.out + captured.err
    assert (here / "var" / "secrets.sqlite").stat().st_mode & 0o777 == 0o600
    assert main(["keys", "rm", "CARTESIA_API_KEY"]) == 0
    assert main(["keys", "rm", "CARTESIA_API_KEY"]) == 4


def test_a_value_stands_in_no_command_line(here: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "cordboard.cli.main", "keys", "put", "K", "--secret"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(VALUE.encode())
    process.stdin.flush()
    words = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert VALUE.encode() not in words + out + err


@pytest.mark.parametrize(
    ("words", "data", "said"),
    [
        (["put", "K", "--ttl", "soon"], b"x", "--ttl 'soon'"),
        (["put", "K", "--ttl", "999d"], b"x", "7776000"),
        (["put", "K", "--secret", "--ttl", "1d"], b"x", "--ttl does not apply"),
        (["put", "K", "--secret"], b"", "empty"),
        (["put", "K"], b"\xff", "UTF-8"),
        (["put", "K"], b"x" * 70_000, "longer"),
        (["put", "K"], b"x" * 2_001, "2001"),
        (["put", "no spaces"], b"x", "no spaces"),
        (["put", "1X", "--secret"], b"x", "1X"),
    ],
)
def test_what_cannot_be_stored_is_said_in_two_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], data: bytes, said: str
) -> None:
    _type(monkeypatch, data)
    assert main(["keys", *words]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert len(captured.err.splitlines()) == 2


def test_an_exposed_file_of_secrets_is_refused(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _type(monkeypatch, b"x")
    assert main(["keys", "put", "K", "--secret"]) == 0
    (here / "var" / "secrets.sqlite").chmod(0o644)
    assert main(["keys", "ls"]) == 2
    assert "chmod 600" in capsys.readouterr().err


def test_a_key_past_its_time_is_gone(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _type(monkeypatch, b"x")
    assert main(["keys", "put", "K", "--ttl", "60s"]) == 0
    later = time.time() + 61
    monkeypatch.setattr("cordboard.cli.keys.time.time", lambda: later)
    assert main(["keys", "get", "K"]) == 4


def test_a_secret_takes_the_place_of_a_plain_value_of_its_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _type(monkeypatch, b"oldplain")
    assert main(["keys", "put", "TOKEN"]) == 0
    _type(monkeypatch, b"newsecret")
    assert main(["keys", "put", "--secret", "TOKEN"]) == 0
    capsys.readouterr()
    assert main(["keys", "ls"]) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()[1:]] == [["TOKEN", "secret"]]
    assert main(["keys", "rm", "TOKEN"]) == 0
    assert main(["keys", "get", "TOKEN"]) == 4


def test_an_empty_value_overwrites_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _type(monkeypatch, b"kept")
    assert main(["keys", "put", "K"]) == 0
    _type(monkeypatch, b"")
    assert main(["keys", "put", "K"]) == 2
    assert "is empty" in capsys.readouterr().err
    assert main(["keys", "get", "K"]) == 0
    assert capsys.readouterr().out == "kept\n"
