"""Bootstrap over dialogues: intervals of the scores, and of the difference of two classifiers.

Turns of one dialogue are not independent, so whole dialogues are drawn with replacement (the
cluster bootstrap, Davison & Hinkley 1997). A draw needs no rows: the scores follow from the sum of
the drawn dialogues' tables of counts.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from avt_memocmt.emotions import NUM_EMOTIONS
from avt_memocmt.metrics.scores import outcome_counts, scores_of_counts

DRAWS = 1000
_PERCENTILES = (2.5, 97.5)
_CELLS = NUM_EMOTIONS * (NUM_EMOTIONS + 1)


@dataclass(frozen=True)
class Difference:
    """One score of a first classifier minus that of a second one on the same rows.

    Attributes:
        difference: on all rows.
        interval_95: percentile interval of the difference over draws of dialogues.
        share_not_better: share of draws in which it is 0 or less.
    """

    difference: float
    interval_95: tuple[float, float]
    share_not_better: float


def bootstrap_intervals(
    truth: ArrayLike,
    predicted: ArrayLike,
    groups: Sequence[Hashable],
    samples: int = DRAWS,
    seed: int = 0,
) -> dict[str, list[float]]:
    """95 % percentile intervals of `metrics.scores` over draws of whole groups (dialogues).

    Args:
        truth: indices into `EMOTIONS`, not empty.
        predicted: the same, or `metrics.FAILED`.
        groups: the dialogue of each row.
        samples: bootstrap replicates.
        seed: of the draws.
    """
    drawn = scores_of_counts(_draws([_group_counts(truth, predicted, groups)], samples, seed)[0])
    return {name: list(_interval(values)) for name, values in drawn.items()}


def mean_interval(
    values: ArrayLike, groups: Sequence[Hashable], samples: int = DRAWS, seed: int = 0
) -> tuple[float, float]:
    """95 % percentile interval of a mean over draws of whole groups (dialogues).

    Args:
        values: one a row, not empty.
        groups: the dialogue of each row.
        samples: bootstrap replicates.
        seed: of the draws.
    """
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    owner = np.array([numbers[group] for group in groups])
    sums = np.bincount(owner, weights=np.asarray(values, np.float64))
    sizes = np.bincount(owner)
    count = len(sizes)
    drawn = np.random.default_rng(seed).integers(count, size=(samples, count))
    return _interval(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1))


def paired_differences(
    truth: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    groups: Sequence[Hashable],
    samples: int = DRAWS,
    seed: int = 0,
) -> dict[str, Difference]:
    """Each score of `first` minus that of `second`, both on the same draws of dialogues.

    Args:
        truth: indices into `EMOTIONS`, not empty.
        first: predictions, or `metrics.FAILED`.
        second: predictions of the same rows.
        groups: the dialogue of each row.
        samples: bootstrap replicates.
        seed: of the draws.
    """
    tables = [_group_counts(truth, predicted, groups) for predicted in (first, second)]
    drawn_first, drawn_second = (scores_of_counts(d) for d in _draws(tables, samples, seed))
    whole_first, whole_second = (
        scores_of_counts(outcome_counts(truth, p)) for p in (first, second)
    )
    found = {}
    for name in whole_first:
        gains = drawn_first[name] - drawn_second[name]
        found[name] = Difference(
            float(whole_first[name] - whole_second[name]),
            _interval(gains),
            float((gains <= 0).mean()),
        )
    return found


def _group_counts(
    truth: ArrayLike, predicted: ArrayLike, groups: Sequence[Hashable]
) -> NDArray[np.float64]:
    """[groups, 7 * 8], groups in the order of their names; float, so that BLAS adds them up."""
    _, owner = np.unique([str(group) for group in groups], return_inverse=True)
    cells = np.asarray(truth) * (NUM_EMOTIONS + 1) + np.asarray(predicted)
    table = np.zeros((owner.max() + 1, _CELLS))
    np.add.at(table, (owner, cells), 1.0)
    return table


def _draws(
    tables: Sequence[NDArray[np.float64]], samples: int, seed: int
) -> list[NDArray[np.float64]]:
    """Per table the counts [samples, 7, 8] of the same draws of groups."""
    generator = np.random.default_rng(seed)
    count = len(tables[0])
    drawn = np.empty((len(tables), samples, _CELLS))
    for draw in range(samples):
        times = np.bincount(generator.integers(count, size=count), minlength=count).astype(float)
        for position, table in enumerate(tables):
            drawn[position, draw] = times @ table
    return list(drawn.reshape(len(tables), samples, NUM_EMOTIONS, NUM_EMOTIONS + 1))


def _interval(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.percentile(values, _PERCENTILES)
    return float(low), float(high)
