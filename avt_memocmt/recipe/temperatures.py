"""Fits the temperatures of a trained model, one per set of modalities, on held-back samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor
from torch.nn import functional as F

from avt_memocmt.config import MODALITIES
from avt_memocmt.data.labelled_dialogues import LabelledDialogue
from avt_memocmt.models.avt_memocmt import AvtMemoCmt
from avt_memocmt.models.confidence import temperature_scale
from avt_memocmt.models.predict import predict_dialogues
from avt_memocmt.recipe.cross_validation import LeftOut
from avt_memocmt.recipe.fusion import HeldBack

PAIRED = (("audio", "visual"), ("audio", "text"), ("visual", "text"), MODALITIES)
"""Sets that only synthetic pairs have."""
LARGEST = 10.0
"""Temperatures are looked for between 1 / LARGEST and LARGEST."""


def fit_temperature(logits: Tensor, truth: NDArray[np.int64]) -> float:
    """The temperature with the least negative log likelihood (Guo et al. 2017, section 4.2).

    Args:
        logits: [n, 7].
        truth: [n] indices into `EMOTIONS`.
    """
    return fit_growing_temperature(logits, truth, torch.zeros(len(logits)))[0]


def fit_growing_temperature(
    logits: Tensor, truth: NDArray[np.int64], novelty: Tensor
) -> tuple[float, float]:
    """The temperature a * (1 + novelty) ** b with the least negative log likelihood.

    Args:
        logits: [n, 7].
        truth: [n] indices into `EMOTIONS`.
        novelty: [n].

    Returns:
        The temperature at novelty 0, a, and the exponent b, which is not below 0.
    """
    target = torch.from_numpy(truth)

    def loss(found: NDArray[np.float64]) -> float:
        temperature = np.exp(found[0]) * temperature_scale(novelty.double(), found[1])
        return float(F.cross_entropy(logits.double() / temperature[:, None], target))

    bound = np.log(LARGEST)
    least, exponent = minimize(loss, (0.0, 0.0), bounds=((-bound, bound), (0.0, None))).x
    return float(np.exp(least)), float(exponent)


def fit_temperatures(model: AvtMemoCmt, validation: HeldBack, speech: Sequence[LeftOut]) -> None:
    """Fit `AvtMemoCmt.temperatures`: of every set of modalities and of each modality's own logits.

    Single modalities are fitted on real people: MELD's dialogues, the speech of every corpus, FER+
    faces. Sets of several are fitted on synthetic pairs of one emotion. The temperature of sound
    alone grows with novelty. It is fitted on the clips that the trainings of its branch left out,
    because the validation part has few speakers and no corpus that was not trained on. The decision
    on sound alone learns from the branch; its temperature keeps the ratio to the branch's that it
    has on the validation part.

    Args:
        model: its temperatures are not fitted yet.
        validation: from `held_back`, the parts that chose the epoch.
        speech: predictions of the branch of sound on clips that it was not trained on.
    """
    decision, alone = {}, {}
    for name in MODALITIES:
        found = predict_dialogues(model, validation[name], model.widths)
        truth = _truth(validation[name])
        decision[name] = fit_temperature(found.logits, truth)
        alone[name] = fit_temperature(found.unimodal_logits[name], truth)
    truth = np.array([clip.emotion for part in speech for clip in part.clips])
    logits = torch.cat([part.logits for part in speech])
    novelty = torch.cat([part.novelty for part in speech])
    known, exponent = fit_growing_temperature(logits, truth, novelty)
    decision["audio"] *= known / alone["audio"]
    alone["audio"] = known
    for kept in PAIRED:
        pairs = [pair.only(kept) for pair in validation["pairs"]]
        logits = predict_dialogues(model, pairs, model.widths).logits
        decision["+".join(kept)] = fit_temperature(logits, _truth(pairs))
    model.temperatures.set_fitted(decision, alone, {"audio": exponent})


def _truth(dialogues: Sequence[LabelledDialogue]) -> NDArray[np.int64]:
    return np.concatenate([dialogue.emotions for dialogue in dialogues])
