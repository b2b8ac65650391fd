"""What becomes a turn: silence, empty utterances, words of every source, bounded state."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from avt_memocmt import EmotionRecognizer
from avt_memocmt.features.base import Tokens
from avt_memocmt.inference.results import ModalityUse, StreamEvent, UtterancePrediction
from avt_memocmt.inference.turn_policy import MOST_WAITING, TurnPolicy
from avt_memocmt.inference.utterances import Utterance
from avt_memocmt.media.types import SAMPLE_RATE, AudioChunk


class Dialogue:
    """Stands in for `DialogueReader`: a prediction tells which turns were read before it."""

    def __init__(self) -> None:
        self.turns: list[str] = []

    def prepare(self, utterance: Utterance, source: str, known_audio: Tokens | None = None) -> Any:
        return SimpleNamespace(utterance=utterance, source=source, tokens={"text": None})

    def decide(self, turn: Any) -> UtterancePrediction:
        self.turns = [*self.turns[-3:], turn.utterance.text]
        return self._prediction(turn.utterance, turn.source)

    def revise(self, turn: Any, text: str, turns_since: int) -> UtterancePrediction:
        return self._prediction(replace(turn.utterance, text=text), f"asr {turns_since} ago")

    def provisional(self, utterance: Utterance) -> UtterancePrediction:
        return self._prediction(utterance, "none")

    def _prediction(self, utterance: Utterance, source: str) -> UtterancePrediction:
        return UtterancePrediction(
            utterance.start,
            utterance.end,
            utterance.speaker,
            utterance.text,
            source,
            tuple(float(i) for i in range(7)),
            {m: ModalityUse(True, 0.3, tuple(float(i) for i in range(7))) for m in "avt"},
            (*utterance.warnings, *(f"after {text}" for text in self.turns[:-1])),
        )


def policy(has_audio: bool = True, listen: Any = None, **options: Any) -> TurnPolicy:
    def check(utterance: Utterance) -> Utterance:
        return replace(utterance, warnings=(*utterance.warnings, "checked"))

    return TurnPolicy(Dialogue, has_audio, check, listen, **options)  # type: ignore[arg-type]


def utterance(number: int, text: str = "", is_speech: bool = True, sound: bool = True) -> Utterance:
    samples = np.ones(8, np.float32) if sound else None
    return Utterance(number, number + 1.0, samples, (), text, is_speech=is_speech)


def silence(number: int) -> Utterance:
    return utterance(number, is_speech=False)


def run(turns: TurnPolicy, *utterances: Utterance) -> tuple[list[StreamEvent], list[StreamEvent]]:
    """Decisions that were certain at once, and those of the end."""
    found = [event for u in utterances for event in turns.take(u, u.end)]
    return found, turns.finish(99.0)


def test_silence_counts_only_where_nobody_speaks() -> None:
    stretches = [silence(number) for number in range(2 * MOST_WAITING)]
    at_once, at_end = run(policy(), *stretches)
    assert at_once == []
    assert [(e.number, e.prediction.start, e.at) for e in at_end] == [
        (number, number, number + 1.0) for number in range(len(stretches))
    ]
    at_once, at_end = run(policy(), *stretches, utterance(20), silence(21), utterance(22))
    assert at_end == []
    assert [(e.number, e.prediction.start) for e in at_once] == [(0, 20), (1, 22)]
    assert at_once[0].prediction.warnings == (), "speech begins a new dialogue"


def test_silence_of_a_media_without_sound_is_decided_at_once() -> None:
    faces: Any = ("a face",)
    seen = [replace(silence(number), samples=None, faces=faces) for number in range(2)]
    at_once, at_end = run(policy(has_audio=False), *seen)
    assert [e.number for e in at_once] == [0, 1]
    assert at_end == []


def test_empty_utterances_are_left_out() -> None:
    turns = policy()
    at_once, at_end = run(turns, utterance(0, sound=False), utterance(1), utterance(2, sound=False))
    assert [(e.number, e.prediction.start) for e in [*at_once, *at_end]] == [(0, 1)]
    assert turns.last_taken == 2.0


@pytest.mark.parametrize("wait_for_words", [False, True])
def test_nobody_listens_to_silence(wait_for_words: bool) -> None:
    listened: list[Utterance] = []
    turns = policy(listen=listened.append, wait_for_words=wait_for_words)
    _, at_end = run(turns, *(silence(number) for number in range(MOST_WAITING + 2)))
    assert [e.prediction.text_source for e in at_end] == ["none"] * (MOST_WAITING + 2)
    assert listened == []


@pytest.mark.parametrize(
    ("given", "heard", "expected"),
    [
        ("Why?", "no", ("Why?", "given", ("checked",))),
        ("", "no", ("no", "asr", ())),
        ("", "", ("", "none", ())),
        ("", None, ("", "none", ())),
    ],
)
def test_words_are_given_or_recognised_or_missing(
    given: str, heard: str | None, expected: tuple[str, str, tuple[str, ...]]
) -> None:
    listen = None if heard is None else lambda utterance: (heard, None)
    ((event,), _) = run(policy(listen=listen), utterance(0, given))
    found = event.prediction
    assert (found.text, found.text_source, found.warnings) == expected


def test_late_words_revise_and_given_ones_are_not_checked() -> None:
    turns = policy(listen=lambda u: (f"word {u.start}", None), wait_for_words=False)
    spoken = [utterance(0), utterance(1, "Why?"), utterance(2)]
    at_once, at_end = run(turns, *spoken)
    assert [e.prediction.text_source for e in at_once] == ["none", "given", "none"]
    assert all("checked" not in e.prediction.warnings for e in at_once)
    assert [(e.kind, e.number, e.prediction.text) for e in at_end] == [
        ("revised", 0, "word 0"),
        ("revised", 2, "word 2"),
    ]
    assert [e.prediction.text_source for e in at_end] == ["asr 2 ago", "asr 0 ago"]


def test_a_provisional_decision_does_not_see_the_silence_before_it() -> None:
    turns = policy()
    run_in = [silence(number) for number in range(MOST_WAITING + 2)]
    for stretch in run_in:
        turns.take(stretch, stretch.end)
    event = turns.provisional(utterance(9), 9.5)
    assert (event.kind, event.number, event.prediction.warnings) == ("provisional", 0, ())


def test_a_live_source_keeps_the_latest_decisions_on_silence_and_counts_the_rest() -> None:
    turns = policy(most_silent=3)
    _, at_end = run(turns, *(silence(number) for number in range(MOST_WAITING + 5)))
    assert [e.number for e in at_end] == list(range(2, MOST_WAITING + 5))
    assert turns.forgotten == 2
    turns.take(utterance(50), 51.0)
    assert turns.forgotten == 0


def traced(work: Callable[[int, int], None], middle: int, end: int) -> int:
    """Bytes that are held more after all work than after its first part, up to `middle`."""
    tracemalloc.start()
    try:
        work(0, middle)
        early, _ = tracemalloc.get_traced_memory()
        work(middle, end)
        late, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return late - early


@pytest.mark.parametrize(("most_silent", "kept"), [(None, 300), (30, 34)], ids=["file", "live"])
def test_an_hour_of_silence_takes_no_memory(most_silent: int | None, kept: int) -> None:
    turns = policy(most_silent=most_silent)

    def take(first: int, last: int) -> None:
        for number in range(first, last):
            sound = np.full(12 * SAMPLE_RATE, 0.01, np.float32)
            assert turns.take(replace(silence(number), samples=sound), 12.0 * number) == []

    # From the 10th minute to the 60th; the sound of one stretch of 12 s takes 768 kB.
    assert traced(take, 50, 300) < 700_000
    assert len(turns.finish(3600.0)) == kept


@pytest.mark.parametrize("level", [0.0, 0.01], ids=["digital silence", "hiss"])
def test_sound_in_which_nobody_speaks_is_not_kept(
    recognizer: EmotionRecognizer, level: float
) -> None:
    ten = np.random.default_rng(0).normal(0, level, 10 * SAMPLE_RATE).astype(np.float32)
    stream, turns = recognizer.new_stream(has_audio=True, has_video=False), policy()

    def push(first: int, last: int) -> None:
        for start in range(first, last, 10):
            for found in stream.push(AudioChunk(float(start), ten)):
                assert turns.take(found, found.end) == []

    # At most one stretch more than in the 2nd minute is under way in the 5th.
    assert traced(push, 120, 300) < 1_500_000
    assert len(turns.finish(300.0)) == (24 if level else 0)
