"""Bootstrap over dialogues: intervals of the scores, and of the difference of two classifiers.

Turns of one dialogue are not independent, so whole dialogues are drawn with replacement (the
cluster bootstrap, Davison & Hinkley 1997). A draw needs no rows: the scores follow from the sum of
the drawn dialogues' tables of counts. No library does this: `scipy.stats.bootstrap` draws rows.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from avt_memocmt.metrics.scores import FAILED, outcome_counts, scores_of_counts, table_size

DRAWS = 1000
_PERCENTILES = (2.5, 97.5)
ScoreTables = Callable[[NDArray[np.float64]], dict[str, NDArray[np.float64]]]
"""Tables of counts [..., n, n + 1] -> by name the scores [...]."""


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
        truth: class indices, not empty.
        predicted: the same, or `metrics.FAILED`.
        groups: the dialogue of each row.
        samples: number of bootstrap replicates.
        seed: of the draws.
    """
    classes = table_size(truth, predicted)
    (drawn,) = _draws([_group_counts(truth, predicted, groups, classes)], samples, seed)
    found = scores_of_counts(_tables(drawn, classes))
    return {name: list(_interval(values)) for name, values in found.items()}


def mean_interval(
    values: ArrayLike, groups: Sequence[Hashable], samples: int = DRAWS, seed: int = 0
) -> tuple[float, float]:
    """95 % percentile interval of the mean of some values, one a row.

    Arguments as of `bootstrap_intervals`.
    """
    rows: dict[Hashable, list[float]] = {}
    for value, group in zip(np.asarray(values, np.float64).tolist(), groups, strict=True):
        rows.setdefault(group, []).append(value)
    table = np.array([(sum(own), len(own)) for own in rows.values()], np.float64)
    (drawn,) = _draws([table], samples, seed)
    return _interval(drawn[:, 0] / drawn[:, 1])


@dataclass(frozen=True)
class MeanDifference:
    """Weighted means of two sets, and how sure their difference is.

    Attributes:
        first: mean of the first set.
        second: mean of the second set.
        interval_95: percentile interval of `difference` over draws of the rows of each set.
    """

    first: float
    second: float
    interval_95: tuple[float, float]

    @property
    def difference(self) -> float:
        """The second mean minus the first."""
        return self.second - self.first


def mean_differences(
    first: tuple[NDArray[np.float64], NDArray[np.float64]],
    second: tuple[NDArray[np.float64], NDArray[np.float64]],
    samples: int = DRAWS,
    seed: int = 0,
) -> list[MeanDifference]:
    """Weighted means of each column of `second` minus those of `first`, two separate sets of rows.

    A draw without any weight in a set, which a set of one row and others of none can have, is left
    out.

    Args:
        first: values [n, columns] and their weights [n, columns].
        second: the same of the other set.
        samples: number of bootstrap replicates.
        seed: of the draws of the first set; those of the second have the next one.
    """
    tables = [np.hstack([values * weights, weights]) for values, weights in (first, second)]
    whole = [_means(table.sum(axis=0)) for table in tables]
    drawn = [_means(_draws([table], samples, seed + n)[0]) for n, table in enumerate(tables)]
    gains = drawn[1] - drawn[0]
    return [
        MeanDifference(float(one), float(other), _interval(gain[np.isfinite(gain)]))
        for one, other, gain in zip(*whole, gains.T, strict=True)
    ]


def _means(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums of weighted values, then of weights, [..., 2 * columns] -> means [..., columns]."""
    values, weights = np.split(sums, 2, axis=-1)
    with np.errstate(invalid="ignore"):
        return values / weights


def paired_differences(
    truth: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    groups: Sequence[Hashable],
    samples: int = DRAWS,
    seed: int = 0,
    score: ScoreTables = scores_of_counts,
) -> dict[str, Difference]:
    """Each score of `first` minus that of `second`, both on the same draws of dialogues.

    Args:
        truth, groups, samples, seed: as of `bootstrap_intervals`.
        first: predictions of these rows, [n], or those of several runs, [runs, n], whose scores are
            averaged.
        second: the same, of as many runs or of others.
        score: what is computed of the tables of counts.
    """
    runs = [np.atleast_2d(np.asarray(predicted)) for predicted in (first, second)]
    rows = np.concatenate(runs)
    classes = table_size(truth, *rows)
    tables = [_group_counts(truth, row, groups, classes) for row in rows]
    in_draws = [score(_tables(sums, classes)) for sums in _draws(tables, samples, seed)]
    in_all = [score(outcome_counts(truth, row, classes).astype(np.float64)) for row in rows]

    def gain(scored: Sequence[dict[str, NDArray[np.float64]]], name: str) -> NDArray[np.float64]:
        values = np.stack([one[name] for one in scored])
        return values[: len(runs[0])].mean(axis=0) - values[len(runs[0]) :].mean(axis=0)

    found = {}
    for name in in_all[0]:
        gains = gain(in_draws, name)
        share = float((gains <= 0).mean())
        found[name] = Difference(float(gain(in_all, name)), _interval(gains), share)
    return found


def _group_counts(
    truth: ArrayLike, predicted: ArrayLike, groups: Sequence[Hashable], classes: int
) -> NDArray[np.float64]:
    """`outcome_counts` of each group, flat, in the order of their names; float for a fast product.

    Returns:
        [groups, classes * (classes + 1)].
    """
    _, owner = np.unique([str(group) for group in groups], return_inverse=True)
    rows, columns = np.asarray(truth), np.asarray(predicted)
    cells = rows * (classes + 1) + np.where(columns == FAILED, classes, columns)
    table = np.zeros((owner.max() + 1, classes * (classes + 1)))
    np.add.at(table, (owner, cells), 1.0)
    return table


def _draws(
    tables: Sequence[NDArray[np.float64]], samples: int, seed: int
) -> list[NDArray[np.float64]]:
    """Per table [groups, cells] its sums [samples, cells] over the same draws of groups."""
    generator = np.random.default_rng(seed)
    count = len(tables[0])
    drawn = [np.empty((samples, table.shape[1])) for table in tables]
    for draw in range(samples):
        times = np.bincount(generator.integers(count, size=count), minlength=count).astype(float)
        for sums, table in zip(drawn, tables, strict=True):
            sums[draw] = times @ table
    return drawn


def _tables(sums: NDArray[np.float64], classes: int) -> NDArray[np.float64]:
    """Sums [samples, n (n + 1)] -> tables of counts [samples, n, n + 1]."""
    return sums.reshape(-1, classes, classes + 1)


def _interval(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.percentile(values, _PERCENTILES)
    return float(low), float(high)
