"""Decisions of a stream that get another speaker later."""

from __future__ import annotations

from dataclasses import replace

from avt_memocmt.config import MODALITIES
from avt_memocmt.emotions import NUM_EMOTIONS
from avt_memocmt.inference.found_speakers import MOST_OPEN, UNCERTAIN
from avt_memocmt.inference.recent_decisions import RecentDecisions
from avt_memocmt.inference.results import ModalityUse, StreamEvent, UtterancePrediction

NOTHING = {name: ModalityUse(False, 0.0) for name in MODALITIES}
EVENLY = (1 / NUM_EMOTIONS,) * NUM_EMOTIONS


def decision(number: int, speaker: str | None, *warnings: str) -> StreamEvent:
    start = 2.0 * number
    prediction = UtterancePrediction(
        start, start + 1.5, speaker, "", "none", EVENLY, NOTHING, warnings
    )
    return StreamEvent("final", number, prediction, start + 2.0)


def test_another_speaker_is_a_revision_with_the_same_emotion() -> None:
    decided = RecentDecisions()
    first, second = decided.add([decision(0, None, "no_face", UNCERTAIN), decision(1, "S1")])
    (event,) = decided.relabel(0.0, "S1", 6.0)
    assert (event.kind, event.number, event.at) == ("revised", 0, 6.0)
    assert event.prediction == replace(first.prediction, speaker="S1", warnings=("no_face",))
    (event,) = decided.relabel(2.0, None, 6.5)
    assert event.prediction == replace(second.prediction, speaker=None, warnings=(UNCERTAIN,))


def test_words_that_come_after_it_keep_the_new_speaker() -> None:
    decided = RecentDecisions()
    (first,) = decided.add([decision(0, "S2")])
    decided.relabel(0.0, "S1", 3.0)
    late = replace(first, kind="revised", prediction=replace(first.prediction, text="Hello."))
    (event,) = decided.add([late])
    assert (event.prediction.text, event.prediction.speaker) == ("Hello.", "S1")


def test_only_the_latest_are_remembered() -> None:
    decided = RecentDecisions()
    decided.add([decision(number, "S1") for number in range(MOST_OPEN + 1)])
    assert decided.relabel(0.0, "S2", 200.0) == []
    assert decided.relabel(2.0, "S2", 200.0) != []
