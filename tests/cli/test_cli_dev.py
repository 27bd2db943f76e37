"""What `cordboard dev` sets, and what it leaves as the user wrote it."""

import argparse
from pathlib import Path

import pytest

from cordboard.cli import dev
from cordboard.cli.dev_agent import check_options
from cordboard.cli.errors import CliError
from cordboard.config.load import load
from cordboard.config.numbers import dial_allowed, outbound_for, route_for
from cordboard.contract.records import Description
from cordboard.contract.release import Release
from cordboard.line import agent_options


def _args(**more: object) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    dev.add_arguments(parser)
    return argparse.Namespace(**{**vars(parser.parse_args([])), "verbose": False, "quiet": False, **more})


def _parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    dev.add_arguments(parser)
    return parser.parse_args(words)


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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--agent", "no.py"], "--agent: no.py: no such file"),
        (["--agent-url", "ftp://h"], "--agent-url: must be http"),
        (["--agent-url", "http://h:1", "--agent-id", "demo-end"], "agents.demo-end: is a program"),
        (["--ear", "ink"], "--ear: needs --agent"),
        (["--agent-url", "http://h:1", "--ear", "ear.txt"], "--ear ear.txt: must be"),
        (["--voice", "parrot"], "--voice"),
        (["--script", "no.toml"], "no.toml"),
        (["--no-line", "--agent", "main.py"], "--no-line"),
        (["--no-line", "--voice", "tones"], "--no-line"),
    ],
)
def test_options_of_the_stand_in_are_judged_before_anything_runs(words: list[str], said: str) -> None:
    with pytest.raises(CliError, match=said):
        check_options(_parsed(*words))


def test_options_of_an_agent_are_handed_on(here: Path) -> None:
    (here / "main.py").touch()
    args = _parsed("--agent", "main.py", "--voice", "tones", "--agent-id", "mine", "--agent-dtmf", "bare")
    assert check_options(args) == "mine"
    parser = argparse.ArgumentParser()
    agent_options.add_arguments(parser)
    again = parser.parse_args(agent_options.as_words(args))
    assert vars(again).items() <= vars(args).items()
    assert (again.agent, again.voice, again.agent_dtmf) == (Path("main.py"), "tones", "bare")


def test_a_configuration_by_which_no_call_reaches_the_agent_is_told(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dev, "describe", lambda _: Release("r", {"desk": Description("desk")}))
    path = here / "cordboard.toml"
    path.write_text('[agents.cartesia]\nbase_url = "wss://x.example"\n')
    dev._tell_of_lost_calls(_args(config=path), load(path, {}, {}))
    told = capsys.readouterr().err
    assert 'every incoming call is answered 404. To take them, write\n[[routes]]\nto = "*"\nscenario = "desk"' in told
    assert "no call reaches the stand-in at ws://127.0.0.1:8090" in told
    path.write_text('[[routes]]\nto = "*"\nscenario = "desk"\n[agents.cartesia]\nbase_url = "ws://localhost:8090"\n')
    dev._tell_of_lost_calls(_args(config=path), load(path, {}, {}))
    assert capsys.readouterr().err == ""


OUT = '[[trunks]]\nname = "a"\nuri = "{uri}"\n[[outbound]]\nto = "+1*"\ntrunk = "a"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (OUT.format(uri="sip:127.0.0.1:15064") + '[dial]\nallow = ["+1*"]\n',
         "dialled numbers +1* ring at sip:127.0.0.1:15064: cordboard phone answer --sip-port 15064"),
        (OUT.format(uri="sip:127.0.0.1") + '[dial]\nallow = ["+1*"]\n',
         "dialled numbers +1* ring at sip:127.0.0.1: cordboard phone answer --sip-port 5060"),
        (OUT.format(uri="sip:trunk.example") + '[dial]\nallow = ["+1*"]\n',
         "dialled numbers +1* ring at sip:trunk.example"),
        (OUT.format(uri="sip:127.0.0.1:15064"), "dialled numbers are refused: [dial] allows none"),
        ("", "dialled numbers are refused: there is no [[outbound]]"),
    ],
)  # fmt: skip
def test_the_welcome_says_where_dialled_numbers_ring(
    text: str, said: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "cordboard.toml").write_text(text)
    config = load(here / "cordboard.toml", {}, {})
    dev._welcome(_args(agent=None, agent_url=None), config, {"sip": "127.0.0.1:5060", "url": "http://127.0.0.1:8443"})
    assert said in capsys.readouterr().out.splitlines()
