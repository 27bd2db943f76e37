"""Answers that come too late: to what was asked before the caller spoke, until it is over."""

import pytest

from cordboard.line.harness.answers import MAX_STALE, OPENING, Answers


def test_what_was_asked_before_the_caller_spoke_is_answered_too_late() -> None:
    answers = Answers()
    first = answers.next_id()
    answers.expect(first)
    assert not answers.too_late(first)
    answers.cut()
    second = answers.next_id()
    answers.expect(second)
    assert [answers.too_late(each) for each in (OPENING, first, second)] == [True, True, False]
    answers.hear_opening()
    assert not answers.too_late(OPENING)
    answers.end(first)
    assert not answers.too_late(first), "the id may be told again of something new"


@pytest.mark.parametrize(
    ("told", "key"),
    [
        ("ev_1", "ev_1"),
        ("ev_02", "ev_2"),
        ("2", "ev_2"),
        *((told, OPENING) for told in ("ev_3", "ev_0", "", None, "ev_²", "ev_" + "1" * 5000, "their-own")),
    ],
)
def test_only_events_of_ours_are_answered(told: str | None, key: str) -> None:
    answers = Answers()
    for _ in range(2):
        answers.next_id()
    assert answers.key(told) == key


def test_what_is_remembered_is_bounded() -> None:
    answers = Answers()
    for _ in range(3 * MAX_STALE):
        answers.expect(answers.next_id())
        answers.cut()
    assert sum(answers.too_late(f"ev_{number}") for number in range(3 * MAX_STALE + 1)) == MAX_STALE
