"""Fits the temperatures of a trained model, one per set of modalities, on held-back samples."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

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
from avt_memocmt.recipe.fusion import HeldBack, Unheard, predict_unheard

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


def fit_unimodal_temperatures(
    model: AvtMemoCmt, validation: HeldBack, speech: Sequence[LeftOut]
) -> None:
    """Fit the temperature of each modality's own logits, on real people.

    Those are MELD's lines, the faces of every corpus, and the clips that the trainings of the
    branch of sound left out, because the validation part has few speakers and no corpus that was
    not trained on. The temperature of sound grows with novelty.

    Args:
        model: its branches are trained.
        validation: from `held_back`, the parts that chose the epoch.
        speech: clips that the branch of sound was not trained on.
    """
    for name in ("visual", "text"):
        found = predict_dialogues(model, validation[name], model.widths)
        temperature = fit_temperature(found.unimodal_logits[name], _truth(validation[name]))
        model.temperatures.set_unimodal(name, temperature)
    judged = [part.judged() for part in speech]
    known, exponent = fit_growing_temperature(
        torch.cat([logits for logits, _ in judged]),
        np.array([clip.emotion for part in speech for clip in part.clips]),
        torch.cat([novelty for _, novelty in judged]),
    )
    model.temperatures.set_unimodal("audio", known, exponent)


def fit_decision_temperatures(model: AvtMemoCmt, conversations: Sequence[Unheard]) -> None:
    """Fit the temperature of the decision for every set of several modalities.

    A modality that is alone decides by itself, and its own logits have their temperature.

    Args:
        model: trained.
        conversations: from `held_back_conversations`.
    """
    for size in range(2, len(MODALITIES) + 1):
        for kept in combinations(MODALITIES, size):
            complete = [part.having(kept) for part in conversations]
            if any(part.dialogues for part in complete):
                prediction, judged = predict_unheard(model, complete, kept)
                temperature = fit_temperature(prediction.logits, _truth(judged))
                model.temperatures.set_decision(kept, temperature)


def _truth(dialogues: Sequence[LabelledDialogue]) -> NDArray[np.int64]:
    return np.concatenate([dialogue.emotions for dialogue in dialogues])
