"""What decisions say: how much time each emotion fills, and where face and words disagree."""

from __future__ import annotations

from collections.abc import Sequence

from avt_memocmt.emotions import EMOTIONS, UNCERTAIN
from avt_memocmt.inference.results import UtterancePrediction


def time_shares(utterances: Sequence[UtterancePrediction]) -> list[tuple[str, float]]:
    """Each emotion's share of the time of the utterances, as `emotion_shares`."""
    return emotion_shares([(spoken.emotion, spoken.end - spoken.start) for spoken in utterances])


def emotion_shares(stretches: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """Each emotion's share of the time (of the stretches where all are moments), largest first.

    Args:
        stretches: emotion, or "uncertain", and seconds of each.

    Returns:
        Emotion and share, 0 to 1; none of those that never occur.
    """
    if sum(seconds for _, seconds in stretches) <= 0:
        stretches = [(emotion, 1.0) for emotion, _ in stretches]
    total = sum(seconds for _, seconds in stretches)
    shares = dict.fromkeys((*EMOTIONS, UNCERTAIN), 0.0)
    for emotion, seconds in stretches:
        shares[emotion] += seconds / total
    ranked = sorted(shares.items(), key=lambda item: item[1], reverse=True)
    return [(name, share) for name, share in ranked if share > 0]


def count_disagreements(utterances: Sequence[UtterancePrediction]) -> int:
    """How many utterances have a face and words that name different emotions."""
    return sum(1 for utterance in utterances if disagreement(utterance))


def disagreement(utterance: UtterancePrediction) -> str | None:
    """One sentence where face and words name different emotions, else None."""
    face, words = utterance.modalities.get("visual"), utterance.modalities.get("text")
    if not face or not words or face.probabilities is None or words.probabilities is None:
        return None
    seen, said = alone(face.probabilities), alone(words.probabilities)
    return None if seen[0] == said[0] else f"Face ({seen[0]}) and words ({said[0]}) disagree."


def alone(probabilities: tuple[float, ...]) -> tuple[str, float]:
    """The likeliest emotion of one modality on its own, and its probability."""
    best = max(probabilities)
    return EMOTIONS[probabilities.index(best)], best
