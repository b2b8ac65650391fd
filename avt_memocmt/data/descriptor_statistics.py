"""Statistics of modalities whose tokens are named measurements."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.data.labelled_dialogues import LabelledDialogue
from avt_memocmt.errors import AvtError


def value_statistics(
    dialogues: Sequence[LabelledDialogue], modality: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each named value over the turns where it was measured.

    Args:
        dialogues: a train split.
        modality: one whose tokens are named values.

    Returns:
        Two arrays [names]; a value that never varies has deviation 1, one that was never measured
        mean 0.

    Raises:
        AvtError: no turn has the modality.
    """
    tables = [
        turn.tokens[modality].values[:, 0].astype(np.float64)
        for dialogue in dialogues
        for turn in dialogue.turns
        if modality in turn.tokens
    ]
    if not tables:
        raise AvtError(f"no turn of the train split has {modality} values; import them first.")
    values = np.ma.masked_invalid(np.stack(tables))
    mean, deviation = values.mean(axis=0).filled(0.0), values.std(axis=0).filled(0.0)
    return mean, np.where(deviation > 0, deviation, 1.0)
