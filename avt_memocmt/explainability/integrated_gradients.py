"""Integrated Gradients on words and sound, through the encoder and the whole network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from captum.attr import IntegratedGradients
from numpy.typing import NDArray
from torch import Tensor

from avt_memocmt.as_program import run_command
from avt_memocmt.explainability.evidence import Evidence
from avt_memocmt.explainability.forward_function import ForwardFunction

STEPS = 32
"""Points on the path from baseline to input (Gauss-Legendre)."""
BATCH = 8
"""Points of the path computed at once; more need more memory."""


@dataclass(frozen=True)
class Attribution:
    """How much each feature group of one modality speaks for one class.

    Attributes:
        method: name of the method that made it.
        baseline: description of the input that the method compares with.
        scores: of the feature groups, of `Evidence.shape`, in units of the logit where
            `completeness` is given; above 0 speaks for the class.
        completeness: sum of the scores minus the change of the logit from baseline to input: the
            error of the numerical integral. None for methods whose scores do not sum to it.
        change: the change of the logit from baseline to input; None for the same methods.
    """

    method: str
    baseline: str
    scores: NDArray[np.float64]
    completeness: float | None = None
    change: float | None = None


def integrated_gradients(
    function: ForwardFunction, evidence: Evidence, emotion: int
) -> Attribution:
    """Integrated Gradients (Sundararajan et al. 2017, equation 1) of a logit.

    The other modalities keep the tokens that the decision was made from.

    Args:
        function: the turn's forward function.
        evidence: what the encoder of one modality read of the same turn.
        emotion: index of the class that is explained.
    """
    others = function.values(without=evidence.modality)

    def logit(inputs: Tensor) -> Tensor:
        given = {**others, evidence.modality: evidence.tokens(inputs)}
        return function.logits(given)[:, emotion]

    found, delta = IntegratedGradients(logit).attribute(
        evidence.inputs,
        evidence.baseline,
        n_steps=STEPS,
        internal_batch_size=BATCH,
        return_convergence_delta=True,
    )
    with torch.no_grad():
        change = logit(evidence.inputs) - logit(evidence.baseline)
    return Attribution(
        "Integrated Gradients",
        evidence.baseline_name,
        evidence.scores(found.detach()),
        float(delta),
        float(change),
    )


if __name__ == "__main__":
    run_command("explain-by", "integrated-gradients")
