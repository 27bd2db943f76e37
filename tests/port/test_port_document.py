"""docs/port-from-voxengine.md is complete and true: every member has a row, every name is there, every gap says so."""

import dataclasses
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from tests.scenario.rounds import ALERTING, CALLER, invocation, payload, played

import cordboard.scenario as api
from cordboard.cli import main as cli
from cordboard.config.load import load
from cordboard.edge.control.admin import Admin
from cordboard.scenario import AppEvents, NotSupported, Scenario, Session, VoxEngine, events
from cordboard.scenario.later import LATER, MODULES, snake_case

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "port-from-voxengine.md").read_text()
MEMBERS = [line for line in (Path(__file__).parent / "members.txt").read_text().splitlines() if line[0] != "#"]
NAMES = re.compile(r"`([^`]+)`")


def _rows(heading: str) -> list[list[str]]:
    """Cells of all tables below a heading, without their heads."""
    _, _, text = DOCUMENT.partition(f"\n## {heading}\n")
    found = []
    for line in text.split("\n## ")[0].splitlines():
        if line.startswith("| ") and not line.startswith(("| VoxEngine |", "| # |", "|---")):
            found.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return found


TABLE = {row[0]: row[1:] for row in _rows("Member by member")}
HERE = sorted({name for cells in TABLE.values() if cells[0].startswith("`") for name in NAMES.findall(cells[0])})
REFUSED = sorted(
    {name for cells in TABLE.values() if cells[0].startswith("NotSupported") for name in NAMES.findall(cells[0])}
)


def test_every_member_has_one_row_and_every_row_a_member() -> None:
    rows = [row[0] for row in _rows("Member by member")]
    assert sorted(rows) == sorted(MEMBERS)
    assert len(MEMBERS) == len(set(MEMBERS))
    counted = {kind: sum(member.startswith(f"{kind}.") for member in MEMBERS) for kind in ("Call", "CallEvents")}
    functions = [each for each in MEMBERS if each.startswith("VoxEngine.") and each[10].islower()]
    assert (counted, len(functions)) == ({"Call": 38, "CallEvents": 41}, 36), "as many as VoxEngine's declarations have"


def test_every_row_says_what_it_means() -> None:
    for member, (here, note) in TABLE.items():
        assert here.startswith(("`", "NotSupported: `", "Python: ")) or (here == "none" and note), member


def _parameter(name: str) -> bool:
    called, _, parameter = name.removesuffix(")").partition("(")
    return parameter in inspect.signature(_attribute(called)).parameters


def _attribute(name: str) -> Any:
    owner, *path = name.split(".")
    found: Any = getattr(api, owner)
    for part in path:
        found = inspect.getattr_static(type(found), part, None) or getattr(found, part)
    return found


def _field(name: str) -> bool:
    _, kind, field = name.split(".")
    found = getattr(events, kind)
    return field in {each.name for each in dataclasses.fields(found)} or callable(getattr(found, field, None))


def _verb(name: str) -> bool:
    _, family, action = name.split()
    parser = cli._verb_parser(family)
    return any(action in (each.choices or ()) for each in parser._actions if isinstance(each.choices, dict))


def _setting(name: str) -> bool:
    section, key = re.fullmatch(r"\[(\w+)\]\.(\w+)", name).groups()  # type: ignore[union-attr]
    return f"{section}.{key}" in load(None, {}, {}).settings


def _route(name: str) -> bool:
    method, path = name.split()
    nothing: Any = None
    routes: Any = Admin(nothing, nothing, nothing, nothing).app().routes
    return any(each.path == path and method in each.methods for each in routes)


def _is_there(name: str) -> bool:
    if name.startswith("cordboard "):
        return _verb(name)
    if name.startswith("["):
        return _setting(name)
    if name.startswith(("GET ", "POST ")):
        return _route(name)
    if name.startswith("session."):
        member = name.removeprefix("session.")
        return hasattr(Session, member) or f"self.{member}" in inspect.getsource(Session.__init__)
    if name.startswith("events."):
        return _field(name)
    return _parameter(name) if name.endswith(")") else _attribute(name) is not None


def test_every_name_that_is_here_is_there() -> None:
    assert [name for name in HERE if not _is_there(name)] == []
    assert set(HERE) & set(REFUSED) == set()


@pytest.mark.parametrize("name", ["Call.anser", "events.CallAlerting.caller", "cordboard calls dial", "[limits].rest",
                                  "POST /v1/calls", "session.user", "Call.record(loud)"])  # fmt: skip
def test_the_check_finds_a_name_that_is_not(name: str) -> None:
    try:
        there = _is_there(name)
    except AttributeError:
        there = False
    assert not there


ARGUMENTS: dict[str, Any] = {
    "Call.send_message": ("text",), "Call.send_info": ("a/b", "c"), "VoxEngine.transfer": (None, "+1"),
}  # fmt: skip


def _call(name: str, session: Session[None]) -> None:
    owner, member = name.split(".")
    of: Any = session.calls["caller"] if owner == "Call" else getattr(api, owner)
    if name == "VoxEngine.call_user":
        VoxEngine.call_user("somebody", name="x")
    getattr(of, member)(*ARGUMENTS.get(name, ()))


def test_what_is_said_to_be_not_supported_raises_that() -> None:
    scenario = Scenario("port")
    told: dict[str, str] = {}

    @scenario.on(AppEvents.CallAlerting)
    async def alerting(session: Session[None], event: events.CallAlerting) -> None:
        for name in REFUSED:
            with pytest.raises(NotSupported) as refused:
                _call(name, session)
            told[name] = refused.value.message

    last = played(scenario, invocation("call.alerting", "caller", ALERTING, objects=(CALLER,))).last
    assert last.status == "done", last.error
    assert sorted(told) == REFUSED
    for name, message in told.items():
        assert name in message
        assert "not built in this release" in message


def test_what_is_later_stands_in_the_document() -> None:
    assert {f"{owner}.{member}" for owner, members in LATER.items() for member in members} <= set(REFUSED)
    assert set(MODULES) <= {name.partition(".")[0] for name in REFUSED}


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("callPSTN", "call_pstn"), ("createURLPlayer", "create_url_player"), ("createWebSocket", "create_web_socket"),
     ("terminat", "terminate")],
)  # fmt: skip
def test_a_name_in_voxengine_s_spelling_tells_the_one_to_write(wrong: str, right: str) -> None:
    with pytest.raises(AttributeError, match=f"VoxEngine has no '{wrong}'; it is {right} here"):
        getattr(VoxEngine, wrong)


def test_a_name_of_nobody_tells_where_to_look() -> None:
    with pytest.raises(AttributeError, match=r"docs/port-from-voxengine\.md"):
        getattr(VoxEngine, "xyzzy")  # noqa: B009 (mypy knows the names)
    with pytest.raises(AttributeError, match="no attribute 'Xyzzy'"):
        getattr(api, "Xyzzy")  # noqa: B009


def test_names_are_spelled_by_one_rule() -> None:
    spelled = {name: snake_case(name) for name in ("callSIP", "createRealtimeTTSPlayer", "displayName", "id")}
    assert list(spelled.values()) == ["call_sip", "create_realtime_tts_player", "display_name", "id"]


def test_each_must_names_tests_that_are_there() -> None:
    rows = _rows("What a scenario host must have")
    assert [int(row[0]) for row in rows] == [*range(1, 12), 13, 14, 15, 16, 21]
    for row in [*rows, *([row[0], row[2]] for row in _rows("The three examples") if row[0] != "example")]:
        for path, _, test in (each.partition("::") for each in NAMES.findall(row[-1]) if each.startswith("tests/")):
            assert (ROOT / path).exists(), path
            assert f"def {test}(" in (ROOT / path).read_text() if test else True, test


def test_row_13_the_example_asks_once() -> None:
    [code] = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    made: dict[str, Any] = {}
    exec(compile(code, "docs/port-from-voxengine.md", "exec"), made)  # what readers copy
    asked: list[str] = []

    def fetch(url: str) -> str:
        asked.append(url)
        return "{}"

    made["fetch"] = fetch
    wanted = payload(invocation("session.started", None, {"access_secure_url": "https://e/control/t"}, objects=()))
    handler = made["scenario"].lambda_handler()
    first = handler(wanted, None)
    assert first["status"] == "done", first.get("error")
    assert asked == ["https://crm.example/customers/7"]
    [entry] = first["journal"]
    again = handler({**wanted, "journal": [entry], "round": 1}, None)
    assert (again["status"], again.get("journal", [])) == ("done", [])
    assert len(asked) == 1, "a replayed round asks nobody"
