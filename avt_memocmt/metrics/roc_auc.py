"""The area under the ROC curve, one class against the rest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def macro_roc_auc(truth: NDArray[np.int64], probabilities: NDArray[np.floating]) -> float | None:
    """Mean area under the ROC curve over the classes present in `truth`, each against the rest.

    The area of a class is the chance that one of its rows gets a higher probability of it than
    another row, ties counting half (Hanley and McNeil 1982). A row that could not be predicted is
    ranked wrong in every class: last in its own, first in the others.

    Args:
        truth: int64 [n], class indices.
        probabilities: float [n, classes]; NaN in rows that could not be predicted.

    Returns:
        None where all rows are of one class, so that there is no rest.
    """
    present = np.unique(truth)
    if len(present) < 2:
        return None
    failed = ~np.isfinite(probabilities).all(axis=1)
    areas = []
    for label in present:
        own = truth == label
        worst = np.where(own, -np.inf, np.inf)
        areas.append(_area(own, np.where(failed, worst, probabilities[:, label])))
    return float(np.mean(areas))


def _area(own: NDArray[np.bool_], scores: NDArray[np.floating]) -> float:
    """Area under the curve of rows that are, or are not, of a class, [n], by their scores, [n]."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    rows = int(own.sum())
    return float((ranks[own].sum() - rows * (rows + 1) / 2) / (rows * (len(own) - rows)))
