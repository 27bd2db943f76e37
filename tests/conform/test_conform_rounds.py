"""When two answers to one invocation count as the same, and what becomes of commands in a play."""

from collections.abc import Sequence
from typing import Any

import pytest

from cordboard.conform.rounds import Outcome, Play, difference, divergence
from cordboard.conform.samples import Sample
from cordboard.contract.codec import encode
from cordboard.contract.commands import Command, fingerprint
from cordboard.contract.records import Answer, JournalEntry, LogLine, Reply, StateChange

SAMPLE = Sample("timer", "timer", "t", {"timer": "t"}, 5.0)


def command(number: int, name: str = "a", line: str = "") -> Command:
    args = {"seconds": 1.0}
    return Command(f"7.{number}", "timer.set", fingerprint("timer.set", name, args), name, args, line)


def read(number: int, result: object = None) -> JournalEntry:
    return JournalEntry(f"7.{number}", "once", fingerprint("once", None, {"key": "k"}), "done", result)


def answer(
    *commands: Command, reads: Sequence[JournalEntry] = (), status: Any = "done", round_: int = 0, **more: Any
) -> Answer:
    return Answer("s_conformance:7", round_, 1, status, commands=commands, journal=tuple(reads), **more)


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        (answer(command(0)), answer(command(0, line="app.py:9")), ""),
        (answer(logs=(LogLine("INFO", "1"),)), answer(logs=(LogLine("INFO", "2"),)), ""),
        (answer(command(0)), answer(command(0, "b")), 'one command was ["7.0", "timer.set", "a"'),
        (answer(command(0)), answer(), "commands were 1 and then 0"),
        (answer(state=StateChange(0, {"n": 1})), answer(), 'state was {"base_version": 0, "data": {"n": 1}}'),
        (answer(reply=Reply(200)), answer(reply=Reply(204)), 'reply was {"status": 200'),
        # a read from outside that gave the same
        (answer(command(1), reads=[read(0, 1)]), answer(command(1, "b"), reads=[read(0, 1)]), "one command was"),
        # one that gave another result: what follows may differ, what stands before may not
        (answer(command(1), reads=[read(0, 1)]), answer(command(1, "b"), reads=[read(0, 2)]), ""),
        (answer(command(0), reads=[read(1, 1)]), answer(command(0, "b"), reads=[read(1, 2)]), "one command was"),
        (answer(command(1), reads=[read(0, 1)]), answer(reads=[read(0, 2)], reply=Reply(204)), ""),
    ],
)  # fmt: skip
def test_what_a_repeated_invocation_may_change(one: Answer, other: Answer, found: str) -> None:
    told = difference(one, other)
    assert told.startswith(found)
    assert bool(told) == bool(found)


def test_plays_may_part_where_the_world_gave_another_answer() -> None:
    first = [answer(reads=[read(0, 1)]), answer(command(1))]
    assert divergence(first, [answer(reads=[read(0, 2)]), answer(command(1, "b"))]) == ""
    assert divergence(first, [answer(reads=[read(0, 1)]), answer(command(1, "b"))]).startswith("one command was")
    assert divergence(first, first[:1]) == "2 rounds, and then 1"


@pytest.mark.parametrize(
    ("outcome", "statuses"),
    [
        ("all done", ["done", "done", "done"]),
        ("awaited alone done", ["done", "pending", "done"]),
        ("failed", ["done", "done", "failed"]),
    ],
)
def test_what_becomes_of_commands(outcome: Outcome, statuses: list[str]) -> None:
    play = Play(SAMPLE, outcome=outcome, fails=1)
    rounds = [
        answer(command(0), command(1), status="suspended", waiting=("7.0",)),
        answer(command(2), status="suspended", waiting=("7.2",), round_=1),
    ]
    for each in rounds:
        raw = encode(each)
        assert isinstance(raw, dict)
        play.take(raw)
    invocation = play.invocation(attempt=2)
    assert [entry["status"] for entry in invocation["journal"]] == statuses
    assert (invocation["round"], invocation["attempt"], play.waits, play.over) == (2, 2, 2, False)
