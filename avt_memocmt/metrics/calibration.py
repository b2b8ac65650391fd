"""How far stated confidence is from the share that is right."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BINS = 15


def calibration_error(
    truth: NDArray[np.int64], probabilities: NDArray[np.floating], bins: int = BINS
) -> float:
    """Expected calibration error of the top label, in bins of equal mass.

    The rows are sorted by the probability of their predicted class, the confidence, and cut into
    bins with the same number of rows; then

        ECE = sum over bins b of  n_b / n * |share right in b - mean confidence in b|.

    Bins of equal mass are those of Nguyen & O'Connor (2015) and Kumar et al. (2019): bins of equal
    width leave most bins of a confident classifier nearly empty. The absolute difference is that of
    Guo et al. (2017). Rows of one confidence stay in one bin, so the order of the rows does not
    matter. No library has it: scikit-learn has no such error, torchmetrics bins of equal width.

    Args:
        truth: [n] indices into `EMOTIONS`, n > 0.
        probabilities: [n, 7].
        bins: at most; ties and small n make fewer.
    """
    probabilities = np.asarray(probabilities, np.float64)
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    count = len(confidence)
    edges = np.sort(confidence)[np.arange(1, bins) * count // bins]
    owner = np.searchsorted(np.unique(edges), confidence, side="right")
    gaps = np.bincount(owner, weights=right - confidence)
    return float(np.abs(gaps).sum() / count)
