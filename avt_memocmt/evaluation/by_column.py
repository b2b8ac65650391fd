"""The figures of the utterances that share a value of a manifest's column, and how they differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.metrics.scores import scores

LEAST_ROWS = 20
"""Rows of a value that enters the gap: fewer say too little about it."""


def figures_by_value(
    values: Sequence[str], truth: NDArray[np.int64], predicted: NDArray[np.int64]
) -> dict[str, Any]:
    """Compare the values of one column.

    Args:
        values: of each utterance; one whose value is "" is left out.
        truth: int64 [n], indices into `EMOTIONS`.
        predicted: int64 [n], the same, or `metrics.FAILED`.

    Returns:
        Under "values" by value its `n`, `accuracy` and `uar`; under "gap" the largest minus the
        smallest accuracy among the values of at least `LEAST_ROWS` rows, None below two of them.
    """
    column = np.array(values)
    found: dict[str, dict[str, float]] = {}
    for value in sorted(set(values) - {""}):
        own = column == value
        measured = scores(truth[own], predicted[own])
        found[value] = {
            "n": int(own.sum()),
            "accuracy": measured["accuracy"],
            "uar": measured["uar"],
        }
    enough = [each["accuracy"] for each in found.values() if each["n"] >= LEAST_ROWS]
    gap = max(enough) - min(enough) if len(enough) > 1 else None
    return {"values": found, "gap": gap}
