"""Temperatures of a finished model, one for each set of modalities, on what it did not learn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from torch import Tensor
from torch.nn import functional as F

from avt_memocmt.config import MODALITIES, TemperatureConfig
from avt_memocmt.data.dialogue_batch import collate
from avt_memocmt.models.avt_memocmt import AvtMemoCmt
from avt_memocmt.models.confidence import grown
from avt_memocmt.recipe.cross_validation import LeftOut
from avt_memocmt.recipe.examples import Example
from avt_memocmt.recipe.fusion import evaluation_examples
from avt_memocmt.recipe.synthetic_pairs import Sources, without

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


def fit_growing_temperature(
    logits: Tensor, truth: NDArray[np.int64], novelty: Tensor
) -> tuple[float, float]:
    """The temperature a * (1 + novelty) ** b with the least negative log likelihood.

    Args:
        logits: [n, 7].
        truth: [n] indices into `EMOTIONS`.
        novelty: [n].

    Returns:
        The temperature without novelty, a, and its growth b, which is not below 0.
    """
    target = torch.from_numpy(truth)

    def loss(found: NDArray[np.float64]) -> float:
        temperature = np.exp(found[0]) * grown(novelty.double(), found[1])
        return float(F.cross_entropy(logits.double() / temperature[:, None], target))

    bound = np.log(LARGEST)
    least, growth = minimize(loss, (0.0, 0.0), bounds=((-bound, bound), (0.0, None))).x
    return float(np.exp(least)), float(growth)


def fit_temperatures(
    model: AvtMemoCmt, select: Sources, speech: Sequence[LeftOut]
) -> TemperatureConfig:
    """Temperatures of every set of modalities and of every modality's own decision.

    Single modalities are fitted where each has people in it: MELD's dialogues, the speech of every
    corpus, FER+ faces. Sets of several are fitted on synthetic pairs of one emotion. Sound alone
    gets a temperature that grows with novelty: few speakers choose the epoch, and none of them is
    of a corpus that was not trained on, so it is fitted on what trainings of its branch left out.
    The decision on sound alone, which is taught what the branch says, keeps the ratio to it that it
    has on the select part.

    Args:
        model: without temperatures of its own.
        select: the parts that chose the epoch.
        speech: what the branch of sound said of clips that it was not trained on.
    """
    examples = evaluation_examples(select)
    decision, unimodal_logits = {}, {}
    for name in MODALITIES:
        truth, logits, own = _logits(model, examples[name])
        decision[name] = fit_temperature(logits, truth)
        unimodal_logits[name] = fit_temperature(own[name], truth)
    truth = np.array([clip.emotion for part in speech for clip in part.clips])
    said = torch.cat([part.logits for part in speech])
    novelty = torch.cat([part.novelty for part in speech])
    known, growth = fit_growing_temperature(said, truth, novelty)
    decision["audio"] *= known / unimodal_logits["audio"]
    unimodal_logits["audio"] = known
    for kept in PAIRED:
        rows = [without(pair, kept) for pair in examples["pairs"]]
        truth, logits, _ = _logits(model, rows)
        decision["+".join(kept)] = fit_temperature(logits, truth)
    return TemperatureConfig.model_validate(
        {"decision": decision, "alone": unimodal_logits, "growth": {"audio": growth}}
    )


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
            values.append(found.unimodal_logits[m][batch.turn_mask])
    truth = np.concatenate([example.labels.argmax(axis=1) for example in examples])
    return truth, torch.cat(logits), {m: torch.cat(values) for m, values in own.items()}
