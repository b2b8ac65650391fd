"""Predictions of whole dialogues, batched by their size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from avt_memocmt.config import Config
from avt_memocmt.data.dialogue_batch import collate
from avt_memocmt.data.labelled_dialogues import LabelledDialogue, token_budget_batches
from avt_memocmt.models.checkpoint import token_dims


@torch.no_grad()
def predict_dialogues(
    model: nn.Module, dialogues: Sequence[LabelledDialogue], config: Config
) -> list[NDArray[np.float32]]:
    """The probabilities of every turn.

    Args:
        model: from `build_model(config)`, in evaluation mode; the batches go to its device.
        dialogues: with the tokens of the modalities that the model hears.
        config: of the model; batches hold up to `training.token_budget` tokens, on which the
            answer does not depend.

    Returns:
        Per dialogue, in the order given, [turns, 7] in the order of `EMOTIONS`.
    """
    device = next(model.parameters()).device
    dims = token_dims(config)
    found: dict[int, NDArray[np.float32]] = {}
    for rows in token_budget_batches(dialogues, config.training.token_budget, None):
        batch = collate([dialogues[row].turns for row in rows], dims).to(device)
        probabilities = model(batch).logits.float().softmax(dim=2).cpu().numpy()
        for row, of_dialogue in zip(rows, probabilities, strict=True):
            found[row] = of_dialogue[: len(dialogues[row].turns)]
    return [found[row] for row in range(len(dialogues))]
