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


class SpeakerBaselines:
    """Running means of each speaker and modality, in memory that grows with the speakers alone."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str], tuple[NDArray[np.float64], int]] = {}

    def add(self, speaker: str | None, tokens: Mapping[str, Tokens]) -> None:
        """Count an utterance in; one of an unknown speaker is not kept.

        Args:
            speaker: who speaks.
            tokens: by modality; measurements with names have no baseline.
        """
        if speaker is None:
            return
        for modality, found in tokens.items():
            if not len(found) or found.values.shape[1] == 1:
                continue
            statistics = token_statistics(found).astype(np.float64)
            total, count = self._sums.get((speaker, modality), (np.zeros_like(statistics), 0))
            self._sums[speaker, modality] = (total + statistics, count + 1)

    def of(
        self, speaker: str | None, without: Mapping[str, Tokens] | None = None
    ) -> dict[str, Baseline]:
        """The baselines of a speaker by modality, as far as there are any.

        Args:
            speaker: who speaks.
            without: an utterance that was counted in, which is left out.
        """
        found = {}
        for (name, modality), (total, count) in self._sums.items():
            if name != speaker:
                continue
            if without and modality in without:
                total, count = total - token_statistics(without[modality]), count - 1
            if count:
                found[modality] = Baseline((total / count).astype(np.float32), count)
        return found
