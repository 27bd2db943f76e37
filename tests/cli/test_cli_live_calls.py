"""`cordboard calls start` and `hangup` against a real listener, and `cordboard tokens`."""

import asyncio
import json
import time
from pathlib import Path

import pytest
from tests.edge.admin_stage import START, Stage

from cordboard.cli.main import main
from cordboard.edge.atomic import write_json
from cordboard.edge.tokens import TokenStore

Caught = pytest.CaptureFixture[str]


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.chdir(tmp_path)
    made = Stage(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("CORDBOARD_TOKEN", made.token()["Authorization"].removeprefix("Bearer "))
    return made


def call(stage: Stage, *words: str) -> int:
    """Run the words while the API serves."""
    found: list[int] = []

    async def story(stage: Stage) -> None:
        found.append(await asyncio.to_thread(main, ["calls", *words, "--url", f"http://127.0.0.1:{stage.port}"]))

    stage.run(story)
    return found[0]


def test_start_prints_the_id_and_carries_the_data(stage: Stage, tmp_path: Path, capsys: Caught) -> None:
    (tmp_path / "more.json").write_text('{"to": "+1", "deep": {"a": [1, true]}}')
    assert call(stage, "start", "desk", "--data", "@more.json", "--data", "to=+1555=x", "--data", "empty=") == 0
    assert capsys.readouterr().out == f"{stage.bench.sid}\n"
    (started,) = stage.bench.of("session.started")
    assert started.data["custom_data"] == {"to": "+1555=x", "deep": {"a": [1, True]}, "empty": ""}


def test_start_as_json_tells_the_control_url(stage: Stage, capsys: Caught) -> None:
    assert call(stage, "start", "desk", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["id"], found["state"]) == (stage.bench.sid, "live")
    assert found["control_url"].startswith("https://voice.example/control/")


@pytest.mark.parametrize(("fault", "code"), [("none", 0), ("callee", 1)])
def test_wait_tells_the_cause_and_whose_fault(stage: Stage, capsys: Caught, fault: str, code: int) -> None:
    found: list[int] = []

    async def story(stage: Stage) -> None:
        words = ["calls", "start", "desk", "--wait", "--url", f"http://127.0.0.1:{stage.port}"]
        waiting = asyncio.create_task(asyncio.to_thread(main, words))
        while not stage.bench.rounds:  # noqa: ASYNC110 (the bench tells nobody)
            await asyncio.sleep(0.01)
        id_ = stage.bench.sid
        stage.operate(lambda operations: operations.end(id_))
        stage.bench.run(1)
        (stage.data.calls / id_).mkdir()
        write_json(
            stage.data.calls / id_ / "record.json",
            {"session": id_, "cause": "callee.\x1bfailed", "fault": fault, "duration": 1.5},
        )
        found.append(await waiting)

    stage.run(story)
    assert found == [code]
    assert capsys.readouterr().out == f"{stage.bench.sid}  callee.�failed  1.5 s\n"


def test_the_same_key_starts_once(stage: Stage, capsys: Caught) -> None:
    async def story(stage: Stage) -> None:
        words = ["calls", "start", "desk", "--idempotency-key", "k", "--url", f"http://127.0.0.1:{stage.port}"]
        for _ in range(2):
            assert await asyncio.to_thread(main, words) == 0

    stage.run(story)
    first, second = capsys.readouterr().out.split()
    assert first == second
    assert len(stage.bench.of("session.started")) == 1


def test_hangup_takes_a_prefix_that_no_other_call_has(stage: Stage, capsys: Caught) -> None:
    async def story(stage: Stage) -> None:
        ids = [(await stage.start()).json()["id"] for _ in range(2)]
        url = f"http://127.0.0.1:{stage.port}"
        codes = [await asyncio.to_thread(main, ["calls", "hangup", word, "--url", url])
                 for word in ("s_", "s_nobody", "", ids[0][:9], ids[1], "s_" + "0" * 24)]  # fmt: skip
        assert codes == [2, 4, 2, 0, 0, 4]
        assert [record.cause for record in stage.bench.kept.ended] == ["operator.terminate"] * 2

    stage.run(story)
    assert "2 live calls begin with 's_'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--data", "to"), "--data 'to' has no name"),
        (("--data", "=x"), "--data '=x' has no name"),
        (("--data", "@missing.json"), "--data @missing.json: No such file"),
        (("--data", "@list.json"), "holds no JSON object"),
        (("--data", "@bad.json"), "is no JSON"),
    ],
)
def test_data_that_cannot_be_read(
    stage: Stage, tmp_path: Path, capsys: Caught, words: tuple[str, ...], said: str
) -> None:
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "bad.json").write_text("{")
    assert call(stage, "start", "desk", *words) == 2
    assert said in capsys.readouterr().err
    assert stage.bench.rounds == []


def test_refusals_have_their_exit_codes(stage: Stage, capsys: Caught, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(stage: Stage) -> None:
        async def start(*words: str) -> int:
            return await asyncio.to_thread(main, ["calls", "start", *words, "--url", f"http://127.0.0.1:{stage.port}"])

        assert await start("nobody") == 2
        assert "scenarios there: desk" in capsys.readouterr().err
        stage.bench.engine.plane_lost(0, "reset", stage.bench.now)
        assert await start("desk") == 1
        assert "the edge refuses: no media plane is ready" in capsys.readouterr().err
        monkeypatch.setenv("CORDBOARD_TOKEN", stage.token("read")["Authorization"].removeprefix("Bearer "))
        assert await start("desk") == 2
        assert "needs the scope start" in capsys.readouterr().err
        monkeypatch.setenv("CORDBOARD_TOKEN", "cbt_nonsense")
        assert await start("desk") == 2
        told = capsys.readouterr().err
        assert "CORDBOARD_TOKEN: no token, or one that is unknown" in told
        assert "nonsense" not in told

    stage.run(story)


def test_without_an_edge_or_a_token(stage: Stage, capsys: Caught, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["calls", "start", "desk", "--url", "http://127.0.0.1:1"]) == 3
    assert "no edge answers at http://127.0.0.1:1" in capsys.readouterr().err
    monkeypatch.setenv("CORDBOARD_URL", "http://127.0.0.1:2")
    assert main(["calls", "hangup", "s_x"]) == 3
    assert "http://127.0.0.1:2" in capsys.readouterr().err
    monkeypatch.delenv("CORDBOARD_URL")
    monkeypatch.setenv("CORDBOARD_HTTP__ADMIN__LISTEN", "127.0.0.1:3")
    assert main(["calls", "hangup", "s_x"]) == 3
    assert "http://127.0.0.1:3" in capsys.readouterr().err
    assert main(["calls", "hangup", "s_x", "--url", "nonsense"]) in (2, 3)
    monkeypatch.delenv("CORDBOARD_TOKEN")
    assert main(["calls", "start", "desk"]) == 2
    assert "cordboard tokens create" in capsys.readouterr().err


def test_tokens_are_made_listed_and_revoked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Caught) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    assert main(["tokens", "create", "--scope", "start", "--scope", "read", "--scope", "read"]) == 0
    whole = capsys.readouterr().out.strip()
    assert main(["tokens", "create", "--scope", "control", "--expires", "never", "--json"]) == 0
    other = json.loads(capsys.readouterr().out)
    assert (other["scopes"], other["expires"]) == (["control"], None)
    with TokenStore(tmp_path / "var" / "tokens.sqlite") as tokens:
        found = tokens.check(whole, time.time())
        assert found is not None
        assert found.scopes == ("start", "read")
        assert found.expires == pytest.approx(found.created + 90 * 86_400)
    assert whole.rpartition("_")[2].encode() not in (tmp_path / "var" / "tokens.sqlite").read_bytes()
    assert (tmp_path / "var" / "tokens.sqlite").stat().st_mode & 0o777 == 0o600
    assert main(["tokens", "ls"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [[found.id, "start,read"], [other["token"][4:12], "control"]]
    assert lines[2].endswith("never")
    assert main(["tokens", "revoke", found.id]) == 0
    assert main(["tokens", "revoke", found.id]) == 4
    capsys.readouterr()
    assert main(["tokens", "ls", "--json"]) == 0
    [left] = map(json.loads, capsys.readouterr().out.splitlines())
    assert (left["id"], left["expires"]) == (other["token"][4:12], None)


def test_bad_tokens_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Caught) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["tokens", "create", "--scope", "read", "--expires", "soon"]) == 2
    assert "--expires 'soon' is no duration" in capsys.readouterr().err
    monkeypatch.setattr("cordboard.edge.tokens.MAX_TOKENS", 1)
    assert main(["tokens", "create", "--scope", "read"]) == 0
    assert main(["tokens", "create", "--scope", "read"]) == 1
    with pytest.raises(SystemExit):
        main(["tokens", "create", "--scope", "everything"])
    with pytest.raises(SystemExit):
        main(["tokens", "create"])
    (tmp_path / "var" / "tokens.sqlite").write_bytes(b"no database at all, but long enough to look at" * 100)
    assert main(["tokens", "ls"]) == 2


def test_the_body_that_start_sends_is_what_the_api_documents(stage: Stage) -> None:
    assert set(START) == {"scenario", "custom_data"}
    assert call(stage, "start", str(START["scenario"]), "--data", "to=+1555") == 0
    assert stage.bench.of("session.started")[0].data["custom_data"] == START["custom_data"]
