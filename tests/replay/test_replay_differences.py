"""What a changed line of the functions brings about in the diff, and what it must not."""

from pathlib import Path

import pytest

from cordboard.hosts.errors import FunctionRaised
from cordboard.replay.differences import to_text
from cordboard.replay.recorded import read_journal

from .conftest import found, replayed


def test_the_unchanged_code_differs_in_nothing(journal: Path, tmp_path: Path) -> None:
    report = replayed(journal, tmp_path)
    assert report.differences == []
    types = {event.told.event.type for event in read_journal(journal).events}
    assert types >= {"call.alerting", "http.request", "call.gathered", "timer", "call.tone", "call.disconnected"}


def test_a_routing_line_is_named_with_both_commands_and_lines(journal: Path, tmp_path: Path) -> None:
    report = replayed(journal, tmp_path, ('SALES = "+18005550222"', 'SALES = "+18005550333"'),
                      ('SUPPORT = "+18005550111"', 'SUPPORT = "+18005550333"'))  # fmt: skip
    [difference] = report.differences
    assert (difference.type, difference.what) == ("http.request", "command")
    assert difference.recorded["args"]["to"] in ("+18005550111", "+18005550222")
    assert difference.today["args"]["to"] == "+18005550333"
    assert difference.today["line"] == difference.recorded["line"]
    assert difference.today["line"].startswith("functions/desk.py:")
    head, then, today = to_text(difference)
    assert "http.request" in head
    assert "call.dial consult" in then
    assert "+18005550333" in today


CHANGES: list[tuple[str, str, list[tuple[str, str]]]] = [
    ("        VoxEngine.set_timeout(f\"again-{session.state.timers}\", seconds=1.0)", "        pass",
     [("timer", "command")] * 2),
    ("        await agent.start(metadata", "        agent.start(metadata", [("call.alerting", "command")]),
    ('await session.calls["caller"].gather', 'session.calls["caller"].gather', [("http.request", "waiting")]),
    ("    session.state.timers += 1\n", "    session.state.timers += 2\n",
     [("timer", "command"), ("timer", "command"), ("timer", "state")]),
    ("status=202, headers", "status=200, headers", [("http.request", "reply")]),
    ('raise LookupError("unknown")', 'raise KeyError("unknown")', [("http.request", "failure")]),
    ('raise LookupError("unknown")', "pass", [("http.request", "failure")]),
    ('.get(f"hours:{day}")', '.get(f"open:{day}")', [("http.request", "read")]),
    ("    await ApplicationStorage.put(f\"call:{session.id}\", session.access_secure_url + \"/survey\", ttl=60)\n", "",
     [("call.alerting", "read")]),
    ("@scenario.on(AppEvents.Timer)", "@scenario.on(AppEvents.Terminating)",
     [*[("timer", "listened")] * 3, ("session.terminating", "listens")]),
    ("@scenario.on(CallEvents.ToneReceived)", '@scenario.on(CallEvents.ToneReceived, on_error="terminate")',
     [("call.tone", "policy")]),
    ("async def timer(", "@scenario.on(AppEvents.Started)\nasync def timer(", [("session.started", "listens")]),
    ("    timers: int = 0\n", "    timers: int = 0\n    added: str = 'new'\n", []),
    ("    return item.value if item else", "    print(item)\n    return item.value if item else", []),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "differences"), CHANGES)
def test_a_change_is_found_where_it_matters(
    old: str, new: str, differences: list[tuple[str, str]], journal: Path, tmp_path: Path
) -> None:
    assert found(replayed(journal, tmp_path, (old, new))) == differences


def test_outside_effects_are_taken_from_the_journal_and_a_new_one_is_not_performed(
    journal: Path, tmp_path: Path
) -> None:
    mark = tmp_path / "performed"
    touch = f"        open({str(mark)!r}, 'w').close()\n"
    same = replayed(journal, tmp_path / "same", ("        outside.append(key)\n", touch))
    assert same.differences == []
    assert not mark.exists()
    new = replayed(journal, tmp_path / "new", ("        outside.append(key)\n", touch), ('once("book"', 'once("other"'))
    assert found(new)[0] == ("call.alerting", "read")
    assert "session.once('other')" in new.differences[0].today
    assert not mark.exists()


def test_a_handler_reaches_nothing_outside(journal: Path, tmp_path: Path) -> None:
    reach = "        urllib.request.urlopen('http://127.0.0.1:9')\n"
    code = f"    import urllib.request\n    try:\n{reach}    except Exception:\n        pass\n"
    old = "    session.state.timers += 1\n"
    report = replayed(journal, tmp_path, (old, code + old))
    assert found(report) == [("timer", "failure")] * 3
    assert "Offline: socket." in report.differences[0].today


def test_an_event_with_masked_digits_is_called_not_replayable(journal: Path, tmp_path: Path) -> None:
    report = replayed(journal, tmp_path, ('event.digits.startswith("4")', 'not event.digits.startswith("4")'))
    assert ("call.gathered", "masked") in found(report)
    assert not report.differs
    assert "masked event.digits" in to_text(report.differences[0])[0]


def test_state_is_the_recorded_one_unless_today_s_is_asked_for(journal: Path, tmp_path: Path) -> None:
    change = ("    call.answer()\n", "    call.answer()\n    session.state.dice.append(-1)\n")
    assert found(replayed(journal, tmp_path / "recorded", change)) == [("call.alerting", "state")]
    followed = replayed(journal, tmp_path / "followed", change, follow=True)
    assert found(followed)[0] == ("call.alerting", "state")
    assert found(followed).count(("timer", "state")) == 3


def test_an_argument_that_cordboard_did_not_have_then_counts_as_its_default(journal: Path, tmp_path: Path) -> None:
    content = journal.read_bytes()
    assert content.count(b'"display_name":"","timeout":60.0,') == 1
    older = tmp_path / "older.jsonl"
    older.write_bytes(content.replace(b'"display_name":"","timeout":60.0,', b""))
    assert replayed(older, tmp_path).differences == []


def test_people_see_the_arguments_that_differ(journal: Path, tmp_path: Path) -> None:
    report = replayed(journal, tmp_path, ('"+15550001111", name=', '"+15550002222", name='))
    _, then, today = to_text(report.differences[0])
    assert then.startswith("    then  call.dial consult (callerid='+15550001111')  at functions/desk.py:")
    assert today.startswith("    today call.dial consult (callerid='+15550002222')  at functions/desk.py:")


def test_what_handlers_print_is_no_result(journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = "    session.state.timers += 1\n"
    assert replayed(journal, tmp_path, (old, f"    print('from a handler')\n{old}")).differences == []
    assert capsys.readouterr().out == ""


def test_code_that_reaches_out_when_it_is_imported_is_not_loaded(journal: Path, tmp_path: Path) -> None:
    reach = "import socket\n\nsocket.create_connection(('127.0.0.1', 9))\n"
    with pytest.raises(FunctionRaised, match="in a replay"):
        replayed(journal, tmp_path, ('SUPPORT = "+18005550111"\n', f'{reach}SUPPORT = "+18005550111"\n'))
