"""Kinds of turns, in each of which two networks are compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.data.dialogue_batch import SPEAKER_CHANGED, SPEAKER_SAME
from avt_memocmt.data.index import UNLABELLED
from avt_memocmt.data.labelled_dialogues import LabelledDialogue, sentiments_of
from avt_memocmt.emotions import EMOTIONS, SENTIMENTS

FEW_WORDS, SOME_WORDS = 3, 9
"""Most words of a short turn, and of one of middle length."""
SURE = 0.8
"""Least probability of a decision that counts as sure."""
MAIN_SPEAKERS = 6
"""So many speakers, those with the most turns, are the main ones: MELD's six friends."""
FITTING_SENTIMENTS: dict[str, tuple[str, ...]] = {
    "neutral": ("neutral",),
    "surprise": ("negative", "positive"),
    "fear": ("negative",),
    "sadness": ("negative",),
    "joy": ("positive",),
    "disgust": ("negative",),
    "anger": ("negative",),
}
"""By emotion the sentiments with which MELD labels it; a surprise may be good or bad."""
Mask = NDArray[np.bool_]


def turn_groups(
    dialogues: Sequence[LabelledDialogue], words: NDArray[np.floating]
) -> dict[str, Mask]:
    """Which labelled turns are of which kind.

    The words are judged by a network that reads nothing else. A kind that is chosen by its answers
    holds more of its errors than others, which any second network corrects in part: compare the
    gain there with that of a second network on words alone.

    Args:
        dialogues: from `load_dialogues`; their tokens are not used.
        words: [n, 7], probabilities of that network on the labelled turns in order.

    Returns:
        By name bool [n]. A turn of which too little is known is in neither of two kinds.
    """
    turns = [turn for dialogue in dialogues for turn in dialogue.turns]
    emotions = np.concatenate([dialogue.emotions for dialogue in dialogues])
    length = np.array([len(turn.words.text.split()) for turn in turns])
    change = np.array([turn.speaker_change for turn in turns])
    first = np.concatenate([np.arange(len(d.turns)) == 0 for d in dialogues])
    speakers = Counter(turn.speaker for turn in turns if turn.speaker)
    main = {name for name, _ in speakers.most_common(MAIN_SPEAKERS)}
    before = np.concatenate([own_last_emotions(dialogue) for dialogue in dialogues])
    follows = (before != UNLABELLED) & (emotions != UNLABELLED)
    said = np.full(len(turns), UNLABELLED)
    said[emotions != UNLABELLED] = words.argmax(axis=1)
    sure = np.zeros(len(turns), np.bool_)
    sure[emotions != UNLABELLED] = words.max(axis=1) >= SURE
    sentiments = sentiments_of(dialogues)
    judged = (sentiments != UNLABELLED) & (said != UNLABELLED)
    fits = np.array([_fits(*pair) for pair in zip(said.tolist(), sentiments.tolist(), strict=True)])
    kinds = {
        f"1 to {FEW_WORDS} words": (length > 0) & (length <= FEW_WORDS),
        f"{FEW_WORDS + 1} to {SOME_WORDS} words": (length > FEW_WORDS) & (length <= SOME_WORDS),
        f"more than {SOME_WORDS} words": length > SOME_WORDS,
        "words surely neutral": sure & (said == EMOTIONS.index("neutral")),
        "words surely an emotion": sure & (said != EMOTIONS.index("neutral")),
        "words unsure": ~sure,
        "speaker changes": change == SPEAKER_CHANGED,
        "speaker goes on": change == SPEAKER_SAME,
        "emotion shifts": follows & (before != emotions),
        "emotion stays": follows & (before == emotions),
        "sentiment against the words": judged & ~fits,
        "sentiment as the words": judged & fits,
        "main speakers": np.array([turn.speaker in main for turn in turns]),
        "other speakers": np.array([bool(t.speaker) and t.speaker not in main for t in turns]),
        "first turn": first,
        "later turns": ~first,
    }
    return {name: kind[emotions != UNLABELLED] for name, kind in kinds.items()}


def own_last_emotions(dialogue: LabelledDialogue) -> NDArray[np.int64]:
    """int64 [turns]: the label of its speaker's turn before it, or `UNLABELLED` without any."""
    last: dict[str, int] = {}
    found = []
    for turn, emotion in zip(dialogue.turns, dialogue.emotions.tolist(), strict=True):
        found.append(last.get(turn.speaker or "", UNLABELLED))
        if turn.speaker:
            last[turn.speaker] = emotion
    return np.array(found, np.int64)


def _fits(emotion: int, sentiment: int) -> bool:
    """Whether MELD labels an emotion with a sentiment; False where one is `UNLABELLED`."""
    if UNLABELLED in (emotion, sentiment):
        return False
    return SENTIMENTS[sentiment] in FITTING_SENTIMENTS[EMOTIONS[emotion]]
