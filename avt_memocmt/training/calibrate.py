"""Temperatures of a finished model, one for each set of modalities, on the select parts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn import functional as F

from avt_memocmt.config import TemperatureConfig
from avt_memocmt.data.dialogue_batch import collate
from avt_memocmt.models.avt_memocmt import AvtMemoCmt
from avt_memocmt.models.cross_modal_transformer import MODALITIES
from avt_memocmt.training.fusion import evaluation_examples
from avt_memocmt.training.fusion_data import Example
from avt_memocmt.training.synthetic import Sources, without

PAIRED = (("audio", "visual"), ("audio", "text"), ("visual", "text"), MODALITIES)
"""Sets that only synthetic pairs have."""
LARGEST = 10.0
"""Temperatures are looked for between 1 / LARGEST and LARGEST."""
BATCH = 64


def fit_temperature(logits: Tensor, truth: NDArray[np.int64]) -> float:
    """The temperature with the least negative log likelihood (Guo et al. 2017, section 4.2).

    Args:
        logits: [n, 7].
        truth: [n] indices into `EMOTIONS`.
    """
    target = torch.from_numpy(truth)

    def loss(log_temperature: float) -> float:
        return float(F.cross_entropy(logits / np.exp(log_temperature), target))

    bound = np.log(LARGEST)
    return float(np.exp(minimize_scalar(loss, bounds=(-bound, bound), method="bounded").x))


def fit_temperatures(model: AvtMemoCmt, select: Sources) -> TemperatureConfig:
    """Temperatures of every set of modalities and of every modality's own decision.

    Single modalities are fitted where each has people in it: MELD's dialogues, the speech of every
    corpus, FER+ faces. Sets of several are fitted on synthetic pairs of one emotion.

    Args:
        model: without temperatures of its own.
        select: the parts that chose the epoch.
    """
    examples = evaluation_examples(select)
    decision, opinions = {}, {}
    for name in MODALITIES:
        truth, logits, own = _logits(model, examples[name])
        decision[name] = fit_temperature(logits, truth)
        opinions[name] = fit_temperature(own[name], truth)
    for kept in PAIRED:
        rows = [without(pair, kept) for pair in examples["pairs"]]
        truth, logits, _ = _logits(model, rows)
        decision["+".join(kept)] = fit_temperature(logits, truth)
    return TemperatureConfig.model_validate({"decision": decision, "alone": opinions})


@torch.no_grad()
def _logits(
    model: AvtMemoCmt, examples: Sequence[Example]
) -> tuple[NDArray[np.int64], Tensor, dict[str, Tensor]]:
    """Truth, logits and each modality's own logits of every turn."""
    logits, own = [], {m: list[Tensor]() for m in model.modalities}
    for first in range(0, len(examples), BATCH):
        part = examples[first : first + BATCH]
        batch = collate([example.turns for example in part], model.widths)
        found = model(batch)
        logits.append(found.logits[batch.turn_mask])
        for m, values in own.items():
            values.append(found.opinions[m][batch.turn_mask])
    truth = np.concatenate([example.labels.argmax(axis=1) for example in examples])
    return truth, torch.cat(logits), {m: torch.cat(values) for m, values in own.items()}
