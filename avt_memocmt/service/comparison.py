"""What differs between the utterances of two sets of results, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.emotions import EMOTIONS, UNCERTAIN
from avt_memocmt.metrics.intervals import mean_differences

_NAMES = (*EMOTIONS, UNCERTAIN)


def compare(first: Sequence[dict[str, Any]], second: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Shares of time of each emotion and the mean confidence, with differences (b minus a).

    Args:
        first: utterances of a set, as JSON; at least one.
        second: those of the other.

    Returns:
        As `ComparisonAnswer` describes; "uncertain" is among the emotions where it occurs.
    """
    differences = mean_differences(_table(first), _table(second))
    found = {
        name: {
            "a": round(means.first, 4),
            "b": round(means.second, 4),
            "difference": round(means.difference, 4),
            "interval": [round(bound, 4) for bound in means.interval_95],
        }
        for name, means in zip((*_NAMES, "confidence"), differences, strict=True)
    }
    confidence = found.pop("confidence")
    if not found[UNCERTAIN]["a"] and not found[UNCERTAIN]["b"]:
        del found[UNCERTAIN]
    return {
        "n": {"a": len(first), "b": len(second)},
        "emotions": found,
        "confidence": confidence,
    }


def _table(
    utterances: Sequence[dict[str, Any]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Values [n, 9] and their weights [n, 9]: seconds for emotions, 1 for the confidence."""
    seconds = np.array([item["end"] - item["start"] for item in utterances], np.float64)
    if seconds.sum() <= 0:
        seconds[:] = 1.0  # moments: pictures
    is_emotion = np.array([[item["emotion"] == name for name in _NAMES] for item in utterances])
    confidence = np.array([item["confidence"] for item in utterances], np.float64)
    values = np.column_stack([is_emotion, confidence])
    weights = np.column_stack([np.tile(seconds[:, None], len(_NAMES)), np.ones(len(seconds))])
    return values, weights
