"""Where a turn's words stand in its audio, by how its service delivers them; moments in seconds, samples at 8 kHz."""

import pytest
from tests.plane.plane_stage import Service, Stage

from cordboard.contract import link
from cordboard.contract.transcript import Mark
from cordboard.plane.spoken import MAX_MARKS, MAX_TEXT, Spoken

RATE = 8000
WORDS = ["one ", "two ", "three ", "four ", "five ", "six "]
"""Half a second each."""


def places(spoken: Spoken) -> list[float]:
    """Seconds of each mark."""
    return [round(mark.sample / RATE, 3) for mark in spoken.marks()]


def opened() -> Spoken:
    spoken = Spoken()
    spoken.begin(is_open=True)
    return spoken


def test_audio_at_speaking_pace_a_little_ahead_of_the_words() -> None:
    spoken = opened()
    for step in range(30):  # 0.1 s each, 0.2 s ahead
        spoken.audio(RATE // 10 if step else 3 * RATE // 10, RATE, 10 + step / 10)
        if step % 5 == 0:
            spoken.delta(WORDS[step // 5], 10 + step / 10)
    assert places(spoken) == [0, 0.5, 1.0, 1.5, 2.0, 2.5]
    assert [mark.chars for mark in spoken.marks()] == [0, 4, 8, 14, 19, 24]
    assert spoken.text == "".join(WORDS)


def test_audio_all_at_once_and_words_as_they_would_be_spoken() -> None:
    spoken = opened()
    spoken.audio(3 * RATE, RATE, 10.0)
    for index, word in enumerate(WORDS):
        spoken.delta(word, 10 + index / 2)
    assert places(spoken) == [0, 0.5, 1.0, 1.5, 2.0, 2.5]


def test_the_sentences_of_a_burst_may_come_one_after_the_other() -> None:
    spoken = opened()
    spoken.audio(RATE, RATE, 10.0)
    spoken.delta("one ", 10.0)
    for at in (10.1, 10.2, 10.4):
        spoken.audio(4 * RATE, RATE, at)
    for index, word in enumerate(WORDS[1:], 1):
        spoken.delta(word, 10 + index / 2)
    assert places(spoken) == [0, 0.5, 1.0, 1.5, 2.0, 2.5]


def test_a_turn_cut_while_its_sentences_still_come_keeps_its_first_words() -> None:
    spoken = opened()
    for index, word in enumerate(WORDS[:4]):
        spoken.audio(4 * RATE, RATE, 10 + index / 4)
        spoken.delta(word, 10 + index / 4)
    assert places(spoken) == [0, 0.25, 0.5, 0.75]


@pytest.mark.parametrize("pace", [2, 4, 1000])
def test_audio_and_words_interleaved_and_faster_than_speech(pace: int) -> None:
    spoken = opened()
    for index, word in enumerate(WORDS):
        at = 10 + index / 2 / pace
        spoken.delta(word, at)
        spoken.audio(RATE // 2, RATE, at)
    assert places(spoken) == [0, 0.5, 1.0, 1.5, 2.0, 2.5]


def test_a_pause_in_the_turn_moves_no_word() -> None:
    spoken = opened()
    spoken.audio(RATE, RATE, 10.0)
    spoken.delta("one ", 10.0)
    spoken.delta("two ", 10.5)
    spoken.audio(RATE, RATE, 15.0)  # the program thought for four seconds
    spoken.delta("three ", 15.0)
    spoken.delta("four ", 15.5)
    assert places(spoken) == [0, 0.5, 1.0, 1.5]


@pytest.mark.parametrize("text_first", [True, False])
def test_words_in_a_lump_are_nowhere(text_first: bool) -> None:
    spoken = opened()
    if not text_first:
        spoken.audio(3 * RATE, RATE, 10.0)
    for word in WORDS:
        spoken.delta(word, 10.001)
    spoken.audio(3 * RATE, RATE, 10.01)
    assert spoken.marks() == ()
    assert spoken.text == "".join(WORDS)


def test_one_piece_or_no_audio_tells_nothing() -> None:
    spoken = opened()
    spoken.audio(RATE, RATE, 10.0)
    spoken.delta("all of it at once", 10.0)
    assert spoken.marks() == ()
    silent = opened()
    for index, word in enumerate(WORDS):
        silent.delta(word, 10 + index)
    assert silent.marks() == ()


def test_another_turn_begins_anew() -> None:
    spoken = opened()
    spoken.audio(RATE, RATE, 10.0)
    spoken.delta("one ", 10.0)
    spoken.begin(is_open=True)
    spoken.audio(RATE, RATE, 20.0)
    spoken.delta("two ", 20.0)
    spoken.delta("three ", 20.5)
    assert spoken.marks() == (Mark(0, 0), Mark(4, RATE // 2))
    assert spoken.text == "two three "


def test_a_flood_of_text_is_bounded() -> None:
    spoken = opened()
    spoken.audio(RATE, RATE, 10.0)
    for index in range(2 * MAX_TEXT):
        spoken.delta("x", 10 + index / 50)
        spoken.audio(160, RATE, 10 + index / 50)
    assert spoken.text == "x" * MAX_TEXT
    assert len(spoken.marks()) == MAX_MARKS


# --- through an engine


def begin(service: Service, turn: str = "t1") -> None:
    service.event("turn_started", turn_started={"id": turn, "role": "assistant"})


def tell(stage: Stage, service: Service, words: list[str]) -> None:
    """A word each half second, at the moment of its sound."""
    for word in words:
        service.event("turn_output_text_delta", turn_output_text_delta={"text": word})
        stage.drain()
        stage.run(0.5)


def end(stage: Stage, service: Service, text: str, *, cut: bool) -> link.AgentSaid:
    turn = {"id": "t1", "role": "assistant", "text": text, "was_interrupted": cut}
    service.event("turn_ended", turn_ended=turn)
    stage.drain()
    (said,) = [each for each in stage.told(link.AgentSaid) if each.type == "agent.turn_ended"]
    return said


@pytest.mark.parametrize("form", ["mulaw_8000", "pcm_16000"])
@pytest.mark.parametrize("late", [0.0, 0.7])
def test_a_turn_that_is_cleared_is_told_with_its_marks_and_what_was_sent(form: str, late: float) -> None:
    stage = Stage()
    stage.leg()
    service = stage.agent(heard_by="" if late else "s/caller", input_format=form)
    rate, width = (16_000, 2) if form == "pcm_16000" else (8000, 1)
    begin(service)
    service.speak(bytes(3 * rate * width))
    stage.drain()
    if late:  # the agent speaks before anybody is routed to it: what waits is heard from its begin
        stage.run(late)
        stage.tell(link.Route("s/agent", "s/caller"))
    tell(stage, service, WORDS[:3])
    service.event("clear")
    said = end(stage, service, "one two three", cut=True)
    assert (said.told, said.interrupted) == ("one two three ", True)
    assert [mark.sample / rate - late for mark in said.marks] == pytest.approx([0, 0.5, 1.0], abs=0.03)
    turn = stage.closed().ledger[0].turns[0]
    assert turn["sent"] / rate == pytest.approx(1.5, abs=0.04)
    assert turn["gaps"] == [[turn["sent"], turn["cleared"]]]


def test_a_turn_that_its_service_never_ends_is_told_with_the_next_one_or_at_the_close() -> None:
    stage = Stage()
    service = stage.agent(heard_by=stage.leg())
    for turn in ("t1", "t2"):
        begin(service, turn)
        service.speak(bytes(8000))
        tell(stage, service, WORDS[:2])
    service.close()
    stage.drain()
    assert [(cut.turn, cut.text, len(cut.marks)) for cut in stage.told(link.TurnCut)] == [
        ("t1", "one two ", 2),
        ("t2", "one two ", 2),
    ]
