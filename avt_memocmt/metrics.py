"""Scores of a classifier over the seven emotions, with intervals over dialogues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, f1_score

from avt_memocmt.emotions import EMOTIONS, NUM_EMOTIONS

FAILED = NUM_EMOTIONS
"""Predicted "class" of a row that could not be predicted: an error whatever the truth is."""


def scores(truth: Sequence[int], predicted: Sequence[int]) -> dict[str, float]:
    """Accuracy, weighted F1, macro F1 and UAR.

    UAR (unweighted average recall) and macro F1 average over the classes present in `truth`;
    predicting another class is an error.

    Args:
        truth: indices into `EMOTIONS`, not empty.
        predicted: the same, or `FAILED`.
    """
    true, guess = np.asarray(truth), np.asarray(predicted)
    present = np.unique(true)
    return {
        "accuracy": float((true == guess).mean()),
        "weighted_f1": _f1(true, guess, present, "weighted"),
        "macro_f1": _f1(true, guess, present, "macro"),
        "uar": float(np.mean([(guess[true == label] == label).mean() for label in present])),
    }


def recall_per_class(truth: Sequence[int], predicted: Sequence[int]) -> dict[str, float]:
    """Recall of each class that occurs in `truth`."""
    true, guess = np.asarray(truth), np.asarray(predicted)
    return {
        EMOTIONS[label]: float((guess[true == label] == label).mean()) for label in np.unique(true)
    }


def confusion(truth: Sequence[int], predicted: Sequence[int]) -> list[list[int]]:
    """Counts [7, 7]: rows are the truth, columns the prediction; failed rows are left out."""
    pairs = [(t, p) for t, p in zip(truth, predicted, strict=True) if p != FAILED]
    if not pairs:
        return [[0] * NUM_EMOTIONS for _ in range(NUM_EMOTIONS)]
    true, guess = zip(*pairs, strict=True)
    counts: list[list[int]] = confusion_matrix(true, guess, labels=range(NUM_EMOTIONS)).tolist()
    return counts


def bootstrap_intervals(
    truth: Sequence[int],
    predicted: Sequence[int],
    groups: Sequence[Any],
    samples: int = 1000,
    seed: int = 0,
) -> dict[str, list[float]]:
    """95 % percentile intervals of `scores`, drawing whole groups (dialogues) with replacement.

    Args:
        groups: the dialogue of each row; turns of one dialogue are not independent.
        samples: bootstrap replicates.
        seed: of the draws.
    """
    true, guess = np.asarray(truth), np.asarray(predicted)
    _, owner = np.unique(np.asarray([str(group) for group in groups]), return_inverse=True)
    members = [np.flatnonzero(owner == group) for group in range(owner.max() + 1)]
    generator = np.random.default_rng(seed)
    drawn: list[dict[str, float]] = []
    for _ in range(samples):
        rows = np.concatenate(
            [members[i] for i in generator.integers(len(members), size=len(members))]
        )
        drawn.append(scores(true[rows], guess[rows]))
    return {
        name: [float(q) for q in np.percentile([draw[name] for draw in drawn], [2.5, 97.5])]
        for name in drawn[0]
    }


def _f1(
    true: NDArray[np.int64], guess: NDArray[np.int64], present: NDArray[np.int64], average: str
) -> float:
    return float(f1_score(true, guess, labels=present, average=average, zero_division=0.0))
