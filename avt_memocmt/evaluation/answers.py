"""The answers of a network on utterances, some of which could not be predicted; its sentiments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.data.index import UNLABELLED
from avt_memocmt.metrics.scores import FAILED, scores

SENTIMENT_SCORES = ("accuracy", "weighted_f1", "uar")
"""Those of `metrics.scores` that are given of the sentiment."""


@dataclass(frozen=True)
class SentimentAnswers:
    """Truth and answer of the sentiment of every labelled utterance.

    Attributes:
        truth: int64 [n], indices into `SENTIMENTS`, or `UNLABELLED`.
        probabilities: float [n, 3]; NaN where the utterance could not be predicted.
    """

    truth: NDArray[np.int64]
    probabilities: NDArray[np.floating]

    def figures(self) -> dict[str, float | None]:
        """`n` and the scores over the utterances that have this label; None where none has it."""
        known = self.truth != UNLABELLED
        if not known.any():
            return {"n": 0, **dict.fromkeys(SENTIMENT_SCORES)}
        found = scores(self.truth[known], likeliest(self.probabilities[known]))
        return {"n": int(known.sum()), **{name: found[name] for name in SENTIMENT_SCORES}}

    def with_failed(self, truth: Sequence[int]) -> SentimentAnswers:
        """Append utterances that could not be read, by their true sentiment."""
        return SentimentAnswers(
            np.concatenate([self.truth, np.array(truth, np.int64)]),
            with_blank_rows(self.probabilities, len(truth)),
        )


def likeliest(probabilities: NDArray[np.floating]) -> NDArray[np.int64]:
    """int64 [n]: the most probable class of [n, classes], or `metrics.FAILED` in rows with NaN."""
    answered = np.isfinite(probabilities).all(axis=1)
    return np.where(answered, np.nan_to_num(probabilities).argmax(axis=1), FAILED)


def with_blank_rows(values: NDArray[np.floating], count: int) -> NDArray[np.floating]:
    """Append rows of NaN, which stand for what could not be predicted, to [n, classes]."""
    return np.concatenate([values, np.full((count, values.shape[1]), np.nan)])
