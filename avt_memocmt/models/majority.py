"""The rule that any network must beat: always the most frequent class of the train split."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from avt_memocmt.data.dialogue_batch import DialogueBatch
from avt_memocmt.emotions import NUM_EMOTIONS
from avt_memocmt.models.prediction import DialogueNetwork, Prediction


class Majority(DialogueNetwork):
    """Answers every turn with the shares of the classes in some labels.

    Args:
        emotions: int64 [n], indices into `EMOTIONS`; negative ones are left out.
    """

    modalities = ()

    def __init__(self, emotions: NDArray[np.int64]) -> None:
        super().__init__()
        counts = np.bincount(emotions[emotions >= 0], minlength=NUM_EMOTIONS)
        shares = torch.from_numpy(counts / counts.sum()).float()
        self.logits = nn.Parameter(shares.log(), requires_grad=False)

    def forward(self, batch: DialogueBatch) -> Prediction:
        """The same logits for every turn."""
        return Prediction(self.logits.expand(*batch.turn_mask.shape, NUM_EMOTIONS))
