"""Kinds of turns: each by a dialogue small enough to sort by eye."""

from __future__ import annotations

import numpy as np

from avt_memocmt.data.dialogue_batch import TurnFeatures, speaker_changes
from avt_memocmt.data.index import UNLABELLED, UtteranceKey
from avt_memocmt.data.labelled_dialogues import LabelledDialogue
from avt_memocmt.emotions import EMOTIONS, SENTIMENTS
from avt_memocmt.evaluation.turn_groups import own_last_emotions, turn_groups
from avt_memocmt.features.text_encoder import TextInput

TURNS = (
    ("A", "oh great", "anger", "negative"),
    ("B", "what do you mean by that", "neutral", "neutral"),
    ("A", "nothing", None, "neutral"),
    ("A", "I said that it is nothing and I mean what I say", "joy", "positive"),
    ("B", "you are angry", "neutral", "neutral"),
)


def make_dialogue(turns=TURNS, number: int = 0) -> LabelledDialogue:
    speakers, words, emotions, sentiments = zip(*turns, strict=True)
    changes = speaker_changes(speakers)
    return LabelledDialogue(
        tuple(UtteranceKey("dev", number, place) for place in range(len(turns))),
        tuple(
            TurnFeatures({}, change, TextInput(said), speaker)
            for said, speaker, change in zip(words, speakers, changes, strict=True)
        ),
        np.array([UNLABELLED if e is None else EMOTIONS.index(e) for e in emotions]),
        sentiments=np.array([SENTIMENTS.index(s) for s in sentiments]),
    )


def judged(*emotions: tuple[str, float]) -> np.ndarray:
    """Probabilities with the given one of the emotion named and the rest spread evenly."""
    found = np.array([[(1 - chance) / 6] * 7 for _, chance in emotions])
    for row, (emotion, chance) in zip(found, emotions, strict=True):
        row[EMOTIONS.index(emotion)] = chance
    return found


# Of the four labelled turns: 0, 1, 3 and 4.
WORDS = judged(("joy", 0.9), ("neutral", 0.9), ("joy", 0.5), ("surprise", 0.85))
EXPECTED = {
    "1 to 3 words": [1, 0, 0, 1],
    "4 to 9 words": [0, 1, 0, 0],
    "more than 9 words": [0, 0, 1, 0],
    "words surely neutral": [0, 1, 0, 0],
    "words surely an emotion": [1, 0, 0, 1],
    "words unsure": [0, 0, 1, 0],
    "speaker changes": [0, 1, 0, 1],
    "speaker goes on": [0, 0, 1, 0],
    "emotion shifts": [0, 0, 0, 0],  # that of A's turn before the last is not known
    "emotion stays": [0, 0, 0, 1],
    "sentiment against the words": [1, 0, 0, 1],
    "sentiment as the words": [0, 1, 1, 0],
    "main speakers": [1, 1, 1, 1],
    "other speakers": [0, 0, 0, 0],
    "first turn": [1, 0, 0, 0],
    "later turns": [0, 1, 1, 1],
}


def test_every_turn_is_of_the_kinds_that_it_shows() -> None:
    found = turn_groups([make_dialogue()], WORDS)
    assert {name: kind.astype(int).tolist() for name, kind in found.items()} == EXPECTED


def test_a_shift_is_against_the_own_last_turn_of_the_same_dialogue() -> None:
    turns = [("A", "a", "joy", "positive"), ("B", "b", "anger", "negative")]
    dialogues = [make_dialogue([*turns, *reversed(turns)]), make_dialogue(turns, 1)]
    found = turn_groups(dialogues, judged(*[("joy", 0.5)] * 6))
    assert found["emotion stays"].astype(int).tolist() == [0, 0, 1, 1, 0, 0]
    assert not found["emotion shifts"].any()
    swapped = make_dialogue([turns[0], ("A", "b", "anger", "negative")])
    found = turn_groups([swapped], judged(*[("joy", 0.5)] * 2))
    assert found["emotion shifts"].astype(int).tolist() == [0, 1]


def test_a_turn_without_a_name_has_no_own_last_turn() -> None:
    turns = [(None, "a", "joy", "positive"), (None, "b", "anger", "negative")]
    assert own_last_emotions(make_dialogue(turns)).tolist() == [UNLABELLED, UNLABELLED]


def test_six_speakers_are_the_main_ones() -> None:
    turns = [(name, "a", "joy", "positive") for name in "ABCDEFABCDEFG"]
    found = turn_groups([make_dialogue(turns)], judged(*[("joy", 0.5)] * 13))
    assert np.flatnonzero(found["other speakers"]).tolist() == [12]
    assert found["main speakers"].sum() == 12
