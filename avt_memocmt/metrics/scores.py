"""Scores of a classifier, all computed from one table of counts.

scikit-learn, which the tests compare with, knows no failed rows and scores one table at a time; the
bootstrap scores thousands.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from avt_memocmt.emotions import EMOTIONS, NUM_EMOTIONS

FAILED = -1
"""Predicted "class" of a row that could not be predicted: an error whatever the truth is."""

MAIN_SCORES = ("accuracy", "weighted_f1", "macro_f1", "macro_precision", "uar")
"""The keys of `scores`."""


def scores(truth: ArrayLike, predicted: ArrayLike) -> dict[str, float]:
    """Accuracy, weighted F1, macro F1, macro precision and UAR.

    UAR (unweighted average recall), macro F1 and macro precision average over the classes present
    in `truth`; predicting another class is an error. The precision of a class that is never
    predicted is 0.

    Args:
        truth: class indices, not empty.
        predicted: the same, or `FAILED`.
    """
    counts = outcome_counts(truth, predicted, table_size(truth, predicted))
    return {name: float(value) for name, value in scores_of_counts(counts).items()}


def outcome_counts(
    truth: ArrayLike, predicted: ArrayLike, classes: int = NUM_EMOTIONS
) -> NDArray[np.int64]:
    """Counts [classes, classes + 1] of (truth, prediction); the last column counts failed rows."""
    rows, columns = (np.asarray(part, np.int64) for part in (truth, predicted))
    cells = rows * (classes + 1) + np.where(columns == FAILED, classes, columns)
    return np.bincount(cells, minlength=classes * (classes + 1)).reshape(classes, classes + 1)


def table_size(*classes: ArrayLike) -> int:
    """Classes that a table of counts needs: those that occur, and at least the seven.

    A class that does not occur changes no score.
    """
    return max(NUM_EMOTIONS, *(int(np.asarray(part).max()) + 1 for part in classes))


def scores_of_counts(counts: NDArray[np.generic]) -> dict[str, NDArray[np.float64]]:
    """The scores of many tables at once.

    Args:
        counts: [..., classes, classes + 1] as of `outcome_counts`, none of them empty.

    Returns:
        Per name of `MAIN_SCORES` an array [...].
    """
    support, precision, recall, f1 = _per_class(counts)
    present = support > 0
    classes = present.sum(axis=-1)
    rows = support.sum(axis=-1)
    return {
        "accuracy": _hits(counts).sum(axis=-1) / rows,
        "weighted_f1": (support * f1).sum(axis=-1) / rows,
        "macro_f1": (f1 * present).sum(axis=-1) / classes,
        "macro_precision": (precision * present).sum(axis=-1) / classes,
        "uar": (recall * present).sum(axis=-1) / classes,
    }


def per_class(
    truth: ArrayLike, predicted: ArrayLike, labels: Sequence[str] = EMOTIONS
) -> dict[str, dict[str, float]]:
    """Under "recall" and "f1" the value of each class that occurs in `truth`, by its label."""
    support, _, *values = _per_class(outcome_counts(truth, predicted, len(labels)))
    present = np.flatnonzero(support).tolist()
    return {
        name: {labels[i]: float(found[i]) for i in present}
        for name, found in zip(("recall", "f1"), values, strict=True)
    }


def class_scores_of_counts(counts: NDArray[np.generic]) -> dict[str, NDArray[np.float64]]:
    """Recall and F1 of each emotion in many tables at once; 0 where a table lacks it.

    Args:
        counts: [..., 7, 8] as of `outcome_counts`.

    Returns:
        An array [...] under "recall of joy", "f1 of joy" and so on.
    """
    _, _, recall, f1 = _per_class(counts)
    return {
        f"{name} of {emotion}": values[..., place]
        for name, values in (("recall", recall), ("f1", f1))
        for place, emotion in enumerate(EMOTIONS)
    }


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation (n - 1), which a single value does not have."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return float(np.mean(values)), deviation


def _hits(counts: NDArray[np.generic]) -> NDArray[np.float64]:
    return np.diagonal(counts, axis1=-2, axis2=-1).astype(np.float64)


def _per_class(
    counts: NDArray[np.generic],
) -> tuple[NDArray[np.float64], ...]:
    """Support, precision, recall and F1 by class; F1 = 2 hits / (support + predictions)."""
    hits = _hits(counts)
    support = counts.sum(axis=-1).astype(np.float64)
    predictions = counts[..., : counts.shape[-2]].sum(axis=-2)
    precision = hits / np.maximum(predictions, 1)
    recall = hits / np.maximum(support, 1)
    f1 = 2 * hits / np.maximum(support + predictions, 1)
    return support, precision, recall, f1
