"""The keys that `cordboard dev` makes up, those that it leaves alone, and what it says of them."""

import time
from pathlib import Path

import pytest

from cordboard.cli.dev_keys import put_keys, tell_missing_keys
from cordboard.edge.data_dir import DataDir
from cordboard.storage.secrets import SecretStore
from cordboard.storage.sqlite import SqliteStorage

AGENT = "CARTESIA_AGENT_ID"


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    data = DataDir(tmp_path / "var")
    data.make()
    return data


def stored(data: DataDir, name: str) -> object:
    with SqliteStorage(data.storage, time.time) as storage:
        item = storage.get(name)
        return None if item is None else item.value


def put(data: DataDir, name: str, value: str) -> None:
    with SqliteStorage(data.storage, time.time) as storage:
        storage.put(name, value, None)


def test_missing_keys_are_set_aloud_and_present_ones_kept(data: DataDir, capsys: pytest.CaptureFixture[str]) -> None:
    put(data, AGENT, "agent_mine")
    for _ in range(2):
        put_keys(data, None)
    told = capsys.readouterr().err
    assert [name in told for name in ("CARTESIA_API_KEY", "PSTN_CALLER_ID", AGENT)] == [True, True, False]
    assert told.count("was missing") == 2
    assert stored(data, AGENT) == "agent_mine"
    with SecretStore(data.secrets) as secrets:
        assert secrets.resolve("CARTESIA_API_KEY").version == 1


def test_the_agent_of_ones_own_answers_and_later_the_scripted_one_again(
    data: DataDir, capsys: pytest.CaptureFixture[str]
) -> None:
    found = []
    for agent in (None, "front_desk", "front_desk", "other", None):
        put_keys(data, agent)
        found.append(stored(data, AGENT))
    assert found == ["demo-transfer", "front_desk", "front_desk", "other", "demo-transfer"]
    assert capsys.readouterr().err.count(f"key {AGENT} was") == 4


def test_a_key_of_the_users_gives_way_to_an_agent_that_is_named_alone(
    data: DataDir, capsys: pytest.CaptureFixture[str]
) -> None:
    put(data, AGENT, "agent_mine")
    put_keys(data, "front_desk")
    assert stored(data, AGENT) == "front_desk"
    assert f"key {AGENT} was 'agent_mine': set to 'front_desk'" in capsys.readouterr().err
    put(data, AGENT, "agent_mine")
    put_keys(data, None)
    assert stored(data, AGENT) == "agent_mine"


def test_an_agent_id_that_is_a_secret_stays(data: DataDir, capsys: pytest.CaptureFixture[str]) -> None:
    with SecretStore(data.secrets) as secrets:
        secrets.put(AGENT, "agent_hidden")
    put_keys(data, "front_desk")
    told = capsys.readouterr().err
    assert f"{AGENT} is a secret and stays as it is" in told
    assert "agent_hidden" not in told
    assert stored(data, AGENT) is None


def test_keys_that_are_missing_are_named_with_the_command(data: DataDir, capsys: pytest.CaptureFixture[str]) -> None:
    put(data, "PSTN_CALLER_ID", "+1")
    tell_missing_keys(data)
    assert capsys.readouterr().err.splitlines() == [
        "CARTESIA_API_KEY is missing, which the sample functions read: cordboard keys put CARTESIA_API_KEY --secret",
        f"{AGENT} is missing, which the sample functions read: cordboard keys put {AGENT}",
    ]
    put_keys(data, None)
    capsys.readouterr()
    tell_missing_keys(data)
    assert capsys.readouterr().err == ""
