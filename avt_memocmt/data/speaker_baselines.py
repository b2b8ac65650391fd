"""What each speaker is like at other times, against which an utterance is judged.

A voice that is always high, or a mouth that always droops, says little about one moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.features.base import Tokens

Statistics = NDArray[np.float32]
MODALITIES_OF_A_PERSON = ("audio", "visual")
"""Those in which people differ at rest; what somebody says is not judged against other words."""


@dataclass(frozen=True)
class Baseline:
    """The mean over some utterances of one speaker, in one modality.

    Attributes:
        statistics: float32 [2 * width], of what `token_statistics` returned for each.
        count: how many utterances.
    """

    statistics: Statistics
    count: int


def token_statistics(tokens: Tokens) -> Statistics:
    """Mean and standard deviation of the tokens of an utterance over time, [2 * width]."""
    values = tokens.values.astype(np.float32, copy=False)
    mean = values.mean(axis=0)
    return np.concatenate([mean, np.sqrt(values.var(axis=0) + 1e-6)])


def utterance_statistics(tokens: Mapping[str, Tokens]) -> dict[str, Statistics]:
    """`token_statistics` of sound and face; measurements with names have none."""
    return {
        modality: token_statistics(tokens[modality])
        for modality in MODALITIES_OF_A_PERSON
        if modality in tokens and len(tokens[modality]) and tokens[modality].values.shape[1] > 1
    }


def random_others(
    group: NDArray[np.int64], own: int, count: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    """So many random members of a group besides one; all others where there are fewer.

    From the same randomness, a larger count adds to what a smaller one draws.
    """
    others: NDArray[np.int64] = generator.permutation(group[group != own])
    return others[:count]


class SpeakerBaselines:
    """Running means of each speaker and modality, in memory that grows with the speakers alone."""

    def __init__(self) -> None:
        self._sums: dict[str, dict[str, tuple[NDArray[np.float64], int]]] = {}

    def add(self, speaker: str | None, tokens: Mapping[str, Tokens]) -> None:
        """Count an utterance in; one of an unknown speaker is not kept.

        Args:
            speaker: who speaks; None or "" where unknown.
            tokens: by modality.
        """
        if not speaker:
            return
        sums = self._sums.setdefault(speaker, {})
        for modality, statistics in utterance_statistics(tokens).items():
            total, count = sums.get(modality, (np.zeros(len(statistics)), 0))
            sums[modality] = (total + statistics, count + 1)

    def of(
        self, speaker: str | None, without: Mapping[str, Tokens] | None = None
    ) -> dict[str, Baseline]:
        """The baselines of a speaker by modality, as far as there are any.

        Args:
            speaker: who speaks; None or "" where unknown.
            without: an utterance that was counted in, which is left out.
        """
        left_out = utterance_statistics(without or {})
        found = {}
        for modality, (total, count) in self._sums.get(speaker or "", {}).items():
            if modality in left_out:
                total, count = total - left_out[modality], count - 1
            if count:
                found[modality] = Baseline((total / count).astype(np.float32), count)
        return found
