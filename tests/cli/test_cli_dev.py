"""What `cordboard dev` sets, and what it leaves as the user wrote it."""

import argparse
import time
from pathlib import Path

import pytest

from cordboard.cli import dev
from cordboard.cli.errors import CliError
from cordboard.config.load import load
from cordboard.config.numbers import dial_allowed, outbound_for, route_for
from cordboard.contract.records import Description
from cordboard.contract.release import Release
from cordboard.edge.data_dir import DataDir
from cordboard.storage.secrets import SecretStore
from cordboard.storage.sqlite import SqliteStorage


def _args(**more: object) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    dev.add_arguments(parser)
    return argparse.Namespace(**{**vars(parser.parse_args([])), "verbose": False, "quiet": False, **more})


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_defaults_become_local_ones() -> None:
    given = load(None, {}, {})
    config = load(None, {}, dev._overrides(_args(), given))
    assert (str(config.sip.udp), config.sip.accept, config.sip.rtp.bind) == ("127.0.0.1:5060", "any", "127.0.0.1")
    assert config.agents.cartesia.base_url == "ws://127.0.0.1:8090"
    assert config.http.public.url == "http://127.0.0.1:8443"
    assert config.log.format == "text"


def test_what_the_user_wrote_stays(here: Path) -> None:
    path = here / "cordboard.toml"
    path.write_text(
        '[sip]\nudp = "127.0.0.1:5099"\naccept = "trunks"\n[agents.cartesia]\nbase_url = "wss://x.example"\n'
    )
    given = load(path, {"CORDBOARD_LOG__FORMAT": "json"}, {})
    assert (
        not {"sip.udp", "sip.accept", "agents.cartesia.base_url", "log.format"} & dev._overrides(_args(), given).keys()
    )


def test_without_the_stand_in_the_service_is_the_real_one() -> None:
    overrides = dev._overrides(_args(no_line=True), load(None, {}, {}))
    assert "agents.cartesia.base_url" not in overrides


def test_the_written_configuration_routes_all_calls_and_dials_this_machine_alone(here: Path) -> None:
    config = load(None, {}, {})
    path = here / "dev.toml"
    path.write_text(dev._dev_toml(config, 'a "quoted" name'.replace('"', "").replace(" ", "-")))
    written = load(path, {}, {})
    route = route_for(written, "+18005550100", None)
    assert route is not None
    assert route.scenario == "a-quoted-name"
    assert route_for(written, "anything", None) is not None
    trunk = outbound_for(written, "+14155550100")
    assert trunk is not None
    assert trunk.uri == "sip:127.0.0.1:5062"
    assert dial_allowed(written, "+14155550100")
    assert not dial_allowed(written, "sip:someone@example.com")
    assert not dial_allowed(written, "911")
    assert written.edge.data_dir == here / "var"
    assert written.functions.template == here / "template.yaml"


def test_missing_keys_are_set_aloud_and_present_ones_kept(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = DataDir(here / "var")
    data.make()
    with SqliteStorage(data.storage, time.time) as storage:
        storage.put("CARTESIA_AGENT_ID", "agent_mine", None)
    dev._put_defaults(data, no_line=True)
    assert not data.secrets.exists()
    for _ in range(2):
        dev._put_defaults(data, no_line=False)
    told = capsys.readouterr().err
    assert [name in told for name in ("CARTESIA_API_KEY", "PSTN_CALLER_ID", "CARTESIA_AGENT_ID")] == [True, True, False]
    assert told.count("was missing") == 2
    with SqliteStorage(data.storage, time.time) as storage, SecretStore(data.secrets) as secrets:
        item = storage.get("CARTESIA_AGENT_ID")
        assert item is not None
        assert item.value == "agent_mine"
        assert secrets.resolve("CARTESIA_API_KEY").version == 1


@pytest.mark.parametrize(
    ("names", "chosen", "said"), [(["one"], "one", ""), (["two", "one"], "one", "write [[routes]]"), ([], None, "")]
)
def test_the_scenario_that_takes_all_calls(
    names: list[str],
    chosen: str | None,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    release = Release("r", {name: Description(name) for name in names})
    monkeypatch.setattr(dev, "describe", lambda _: release)
    if chosen is None:
        with pytest.raises(CliError, match="no function"):
            dev._scenario(load(None, {}, {}))
    else:
        assert dev._scenario(load(None, {}, {})) == chosen
        assert said in capsys.readouterr().err
