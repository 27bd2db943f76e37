"""The transcript's entries: pairing of tools, what a cut turn holds, open ends, bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.line import transcript as module
from cordboard.line.transcript import Entry, Transcript


class Clock:
    """Seconds that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def made() -> tuple[Transcript, Clock, list[tuple[int, Entry]]]:
    told: list[tuple[int, Entry]] = []
    clock = Clock()
    return Transcript(clock, lambda at, entry: told.append((at, entry))), clock, told


def test_a_turn_of_each_is_told_when_it_is_over() -> None:
    transcript, clock, told = made()
    transcript.synthesized(0.05)
    transcript.synthesized(0.9)  # the second sentence of the same turn
    clock.now = 1.0
    transcript.speech_started()
    transcript.word("Hello")
    clock.now = 1.5
    transcript.word("there")
    assert told == []
    clock.now = 2.0
    transcript.speech_ended(interrupted=False)
    transcript.user_started()
    clock.now = 4.0
    transcript.user_silent(0.6)
    transcript.user_text("yes", 0.25)
    transcript.user_ended()
    assert [at for at, _ in told] == [0, 1]
    assert transcript.as_json() == [
        {
            "role": "assistant",
            "text": "Hello there",
            "start_timestamp": 1.0,
            "end_timestamp": 2.0,
            "text_chunks": [
                {"text": "Hello", "start_timestamp": 1.0},
                {"text": "there", "start_timestamp": 1.5},
            ],
            "end_reason": "tts_completed",
            "tts_ttfb": 0.05,
        },
        {
            "role": "user",
            "text": "yes",
            "start_timestamp": 2.0,
            "end_timestamp": 3.4,
            "vad_buffer_ms": 600,
            "stt_ttfb": 0.25,
        },
    ]


def test_a_caller_who_goes_on_has_one_turn() -> None:
    transcript, clock, told = made()
    transcript.user_started()
    transcript.user_silent(0.0)
    transcript.user_text("a table", 0.1)
    transcript.user_started()
    clock.now = 2.0
    transcript.user_text("for two", 0.1)
    transcript.user_ended()
    ((_, entry),) = told
    assert (entry.text, entry.end, entry.vad_buffer_ms) == ("a table for two", 2.0, None)


def test_an_end_in_mid_speech_and_mid_turn_is_told() -> None:
    transcript, _, told = made()
    transcript.speech_started()
    transcript.word("Hel")
    transcript.user_started()
    transcript.tool("find", {})
    transcript.close()
    agent, user = (entry for _, entry in told)
    assert (agent.text, agent.end_reason, user.end_reason) == ("Hel", "call_ended", "call_ended")
    assert agent.tool_calls == [{"id": None, "name": "find", "arguments": {}}]
    transcript.close()
    assert len(told) == 2


def test_a_tool_of_no_turn_is_not_lost() -> None:
    transcript, _, told = made()
    transcript.tool("find", {}, "x")
    transcript.close()
    ((_, entry),) = told
    assert (entry.role, entry.text, entry.tool_calls[0]["result"]) == ("assistant", "", "x")


def test_a_late_result_changes_the_turn_of_its_tool() -> None:
    transcript, _, told = made()
    transcript.tool("find", {"n": 1})
    transcript.speech_started()
    transcript.speech_ended(interrupted=True)
    transcript.tool("find", {"n": 1}, "late")
    assert [at for at, _ in told] == [0, 0]
    assert told[-1][1].tool_calls == [{"id": None, "name": "find", "arguments": {"n": 1}, "result": "late"}]


CALLS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 1)), max_size=12)


@given(CALLS, st.randoms(use_true_random=False))
def test_results_are_paired_by_name_arguments_and_order(calls: list[tuple[str, int]], rng: object) -> None:
    transcript, _, _ = made()
    for name, n in calls:
        transcript.tool(name, {"n": n})
    results = list(enumerate(calls))
    rng.shuffle(results)  # type: ignore[attr-defined]
    expected: dict[tuple[str, int], list[int]] = {}
    for number, (name, n) in results:
        transcript.tool(name, {"n": n}, number)
        expected.setdefault((name, n), []).append(number)
    transcript.close()
    tools = [tool for entry in transcript.entries for tool in entry.tool_calls]
    assert [(tool["name"], tool["arguments"]["n"]) for tool in tools] == calls
    for key, numbers in expected.items():
        assert [tool["result"] for tool in tools if (tool["name"], tool["arguments"]["n"]) == key] == numbers


def test_ids_pair_first_where_there_are_any() -> None:
    transcript, _, _ = made()
    transcript.tool("find", {}, id="1")
    transcript.tool("find", {}, id="2")
    transcript.tool("find", {}, "second", id="2")
    transcript.close()
    assert [tool.get("result") for tool in transcript.entries[0].tool_calls] == [None, "second"]


def test_everything_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ENTRIES", 2)
    monkeypatch.setattr(module, "MAX_CHUNKS", 2)
    monkeypatch.setattr(module, "MAX_TOOL_CALLS", 2)
    transcript, _, told = made()
    transcript.speech_started()
    for _ in range(5):
        transcript.word("x")
        transcript.tool("t", {})
    transcript.speech_ended(interrupted=False)
    assert (len(transcript.entries[0].chunks), len(transcript.entries[0].tool_calls)) == (2, 2)
    for number in range(5):
        transcript.log_metric("m", number)
        transcript.speech_started()
        transcript.word("lost")
        transcript.speech_ended(interrupted=False)
        transcript.user_started()
        transcript.user_ended()
    transcript.close()
    assert (len(transcript.entries), len(told)) == (2, 2)
    assert transcript.lost == 14
