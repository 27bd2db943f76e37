"""Which words were heard: texts and marks laid over ledgers, and the lines that a transcript is made of."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.contract.call_record import LedgerEntry
from cordboard.contract.transcript import Mark, TranscriptEntry
from cordboard.media.chain import PCMU_8000
from cordboard.plane.cord import Cord
from cordboard.plane.ledger import MAX_GAPS
from cordboard.session.heard import Heard, heard_of, sounds, tells_all
from cordboard.session.transcript import Transcript, line_of

RATE = 8000
TOLD = "one two three four five six "
"""Half a second a word."""
MARKS = tuple(Mark(at, index * RATE // 2) for index, at in enumerate((0, 4, 8, 14, 19, 24)))


def entry(received: float, sent: float, gaps: list[list[int]] | None = None, turn: str = "t1") -> LedgerEntry:
    """A cord of one turn, in seconds; without `gaps` the rest at its end was dropped."""
    came, left = round(received * RATE), round(sent * RATE)
    dropped = gaps if gaps is not None else [[left, came - left]] if came > left else []
    turns = ({"id": turn, "received": came, "sent": left, "cleared": came - left, "gaps": dropped},)
    return LedgerEntry("s/agent", "s/caller", RATE, came, left, came - left, turns=turns)


def heard(*cords: LedgerEntry, text: str = TOLD, told: str = TOLD, marks: Any = MARKS, cut: bool = True) -> Heard:
    return heard_of(text, told, marks, sounds(cords)["s/agent", "t1"], interrupted=cut)


@pytest.mark.parametrize(
    ("sent", "words"), [(0.0, 0), (0.02, 1), (0.5, 1), (0.52, 2), (1.48, 3), (1.52, 4), (2.52, 6), (2.9, 6)]
)
def test_the_words_whose_sound_had_begun_are_heard(sent: float, words: int) -> None:
    every = TOLD.split()
    assert heard(entry(3, sent)) == Heard(" ".join(every[:words]), " ".join(every[words:]), False)


def test_what_the_service_planned_and_never_told_was_not_heard() -> None:
    found = heard(entry(3, 1.6), text=TOLD + "seven eight")
    assert found == Heard("one two three four", "five six seven eight", False)
    found = heard(entry(3.2, 3.2), text=TOLD + "seven eight")
    assert found == Heard("one two three four five six", "seven eight", False)


def test_a_turn_heard_out_is_heard_whole_however_its_words_came() -> None:
    assert heard(entry(3, 3), cut=False, marks=()) == Heard(TOLD.strip(), "", False)


def test_the_end_of_the_text_may_come_with_the_end_of_the_turn() -> None:
    found = heard(entry(4, 3.3), text=TOLD + "seven eight", cut=False)  # the caller hung up 0.7 s before its end
    assert found == Heard("one two three four five six seven", "eight", False)


def test_a_sum_with_other_spaces_is_the_same_text() -> None:
    assert heard(entry(3, 1.1), text="one two  three four\nfive six") == Heard("one two three", "four five six", False)


def test_a_text_that_differs_from_what_was_told_stands_beside_it() -> None:
    transcript = Transcript(0.0)
    transcript.turn_started("s/agent", "t1", 1.0)
    transcript.turn_ended(
        "s/agent", "agent", "t1", text="Eins zwei.", told=TOLD, marks=MARKS, cut=True, at=3.0
    )  # fmt: skip
    (line,) = transcript.entries([entry(3, 1.1)], {"caller"})
    assert (line.text, line.heard, line.unheard) == ("Eins zwei.", "one two three", "four five six")


@pytest.mark.parametrize(("sent", "words"), [(0.0, 0), (0.01, 1), (1.5, 3), (3.0, 6)])
def test_without_marks_the_words_are_in_proportion_and_said_to_be(sent: float, words: int) -> None:
    every = TOLD.split()
    found = heard(entry(3, sent), marks=())
    assert found == Heard(" ".join(every[:words]), " ".join(every[words:]), True)


def test_words_in_a_gap_were_not_heard_and_those_behind_it_were() -> None:
    hold = [[RATE // 2, RATE]]
    assert heard(entry(3, 2, hold), cut=False) == Heard("one … four five six", "", False)


def test_a_turn_over_two_cords_is_one() -> None:
    first = entry(1.5, 1.0)  # unbridged after one second
    second = entry(1.5, 1.2)
    assert heard(first, second) == Heard("one two … four five six", "", False)


def test_gaps_beyond_counting_make_an_estimate() -> None:
    assert heard(entry(3, 1.6, [[0, 5]])) == Heard("one two three four", "five six", True)


def test_a_turn_that_the_ledger_does_not_list_is_not_known() -> None:
    assert tells_all([entry(3, 1)], "s/agent")
    assert not tells_all([LedgerEntry("s/agent", "s/caller", RATE, 10, 10)], "s/agent")


@given(st.lists(st.tuples(st.sampled_from(["push", "pull", "clear", "drop", "flood"]), st.integers(1, 400))))
def test_the_gaps_of_a_cord_say_exactly_which_samples_left(steps: list[tuple[str, int]]) -> None:
    cord = Cord("s/agent", "", PCMU_8000)
    cord.connect("s/caller", PCMU_8000)
    given_, left, waiting = 0, [], []
    for what, size in steps:
        match what:
            case "push" | "flood":
                numbers = list(range(given_, given_ + size))
                given_ += size
                if what == "push":
                    cord.push(bytes(size), 0.0, "t1")
                    waiting += numbers
                else:
                    cord.refuse(bytes(size), "t1", "unbridged")
            case "pull":
                if cord.pull(0.0) is not None:
                    left += waiting[:160]
                    del waiting[:160]
            case "clear":
                cord.clear()
                waiting.clear()
            case _:
                cord.drop_due("hold")
                del waiting[:160]
    cord.discard("ended")
    found = sounds([cord.entry()]).get(("s/agent", "t1"))
    if found is None:
        assert given_ == 0
    elif len([what for what, _ in steps if what not in ("push", "pull")]) < MAX_GAPS:
        assert found.exact
        assert [number for begin, end in found.runs for number in range(begin, end)] == left


# --- lines


def test_a_transcript_says_what_was_heard_and_is_in_order() -> None:
    transcript = Transcript(100.0)
    transcript.turn_started("s/agent", "t1", 101.0)
    transcript.spoke("caller", 1.44, 104.0)
    transcript.turn_ended("s/agent", "agent", "t1", text=TOLD, told=TOLD, marks=MARKS, cut=True, at=106.0)
    transcript.turn_ended("s/agent", "agent", "t2", text="Only written", cut=False, at=107.0)
    transcript.spoke("consult", 0.5, 109.0)
    entries = transcript.entries([entry(3, 1.1)], {"caller"})
    assert entries[0] == TranscriptEntry(
        1.0, 6.0, "agent", "agent", TOLD, "one two three", "four five six", 1.1, 3.0, True, False, "t1"
    )
    assert [line_of(each).strip() for each in entries] == [
        "1.00  agent: one two three — interrupted [four five six] (1.1 s of 3.0 s heard)",
        "4.00  caller: [speaks 1.4 s]",
        "7.00  agent: [Only written] (0.0 s of 0.0 s heard)",
        "9.00  consult: [speaks 0.5 s]",
    ]
    assert [each.role for each in entries] == ["agent", "caller", "agent", "callee"]


def test_an_estimate_and_a_lost_ledger_say_so() -> None:
    transcript = Transcript(0.0)
    transcript.turn_ended("s/agent", "agent", "t1", text=TOLD, cut=False, at=1.0)
    (line,) = transcript.entries([entry(3, 1.5)], ())
    assert line_of(line).strip() == "1.00  agent: one two three [four five six] (1.5 s of 3.0 s heard, estimated)"
    (line,) = transcript.entries([], ())
    assert (line.heard, line.heard_seconds) == (None, None)
    assert "(what was heard is not known)" in line_of(line)


def test_what_the_service_understood_takes_the_place_of_its_sound() -> None:
    transcript = Transcript(0.0)
    transcript.spoke("caller", 0.5, 1.0)  # before it
    transcript.user_started("s/agent", 3.4)
    transcript.spoke("caller", 1.0, 3.0)
    transcript.spoke("caller", 0.5, 4.5)
    transcript.spoke("consult", 0.5, 4.5)  # another phone
    transcript.user_ended("s/agent", "caller", "a table for two", 5.2)
    transcript.user_started("s/agent", 8.0)
    transcript.user_ended("s/agent", "caller", "", 8.5)  # not understood
    entries = transcript.entries([], {"caller"})
    assert [(each.at, each.end, each.name, each.text, each.seconds) for each in entries] == [
        (1.0, 1.5, "caller", "", 0.5),
        (3.0, 5.2, "caller", "a table for two", 1.5),
        (4.5, 5.0, "consult", "", 0.5),
    ]
