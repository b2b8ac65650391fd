"""Who follows whom in a conversation, and with which emotion."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

from avt_memocmt.inference.results import MediaPrediction

MOST_SPEAKERS = 8
"""As many rows and columns as a page can show side by side."""


@dataclass(frozen=True)
class Reply:
    """How one speaker follows another.

    Attributes:
        count: of replies.
        emotion: the commonest of them; the earliest where several are as common.
        times: how often it occurs.
    """

    count: int
    emotion: str
    times: int


@dataclass(frozen=True)
class Replies:
    """Who follows whom.

    Attributes:
        speakers: ids, in the order of appearance; rows and columns.
        cells: by who spoke before and who speaks next; a pair that never occurs is missing.
        left_out: how many speakers have no row.
    """

    speakers: tuple[str, ...]
    cells: dict[tuple[str, str], Reply]
    left_out: int


def replies(prediction: MediaPrediction) -> Replies | None:
    """Count the replies: utterances right after one of another speaker, both known.

    Only the `MOST_SPEAKERS` who speak most are shown.

    Returns:
        None where nobody follows anybody.
    """
    by_time = sorted(prediction.speakers, key=lambda who: who.seconds, reverse=True)
    most = {who.id for who in by_time[:MOST_SPEAKERS]}
    emotions: dict[tuple[str, str], Counter[str]] = {}
    for before, spoken in pairwise(prediction.utterances):
        first, then = before.speaker, spoken.speaker
        if first in most and then in most and first != then:
            emotions.setdefault((first, then), Counter())[spoken.emotion] += 1
    if not emotions:
        return None
    cells = {
        pair: Reply(counts.total(), *counts.most_common(1)[0]) for pair, counts in emotions.items()
    }
    shown = tuple(who.id for who in prediction.speakers if who.id in most)
    return Replies(shown, cells, len(prediction.speakers) - len(shown))
