"""Whether an explanation tells what the network does: curves, randomised weights, small changes.

A method that does not beat a random order of the same feature groups has explained nothing, however
plausible its picture.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import nn

from avt_memocmt.explainability.evidence import Evidence
from avt_memocmt.explainability.forward_function import ForwardFunction
from avt_memocmt.models.avt_memocmt import AvtMemoCmt

SHARES = np.linspace(0.0, 1.0, 11)
"""Shares of the feature groups that are taken away or put back."""
RANDOM_ORDERS = 10
NOISE, NOISY_INPUTS = 0.02, 3
"""Of the noise in `stability`: its standard deviation, as a multiple of that of the input, and how
often it is drawn.
"""
BATCH = 16
"""Variants of the evidence that are computed at once."""
STAGES = (
    "head",
    "unimodal_heads",
    "temporal",
    "gate",
    "pools",
    "cross_modal",
    "layer_statistics",
    "unimodal_pools",
    "projections",
)
"""Parts of the network from the decision down, in the order in which they are randomised."""
CLASSIFIERS = "unimodal_heads"
"""The last of the stages that classify: a modality that is alone is judged by its own head."""

Array = NDArray[np.float64]
Method = Callable[[ForwardFunction, Evidence], Array]
"""Gives the feature groups of the evidence their scores, for the class that is explained."""


@dataclass(frozen=True)
class Curves:
    """The probability of the explained class as feature groups are taken away and put back.

    Attributes:
        deletion: [shares], the groups with the highest scores taken away first.
        insertion: [shares], the same groups put back first into the baseline.
        random_deletion: [shares], mean over random orders.
        random_insertion: [shares], mean over the same orders.
    """

    deletion: Array
    insertion: Array
    random_deletion: Array
    random_insertion: Array

    @property
    def deletion_gain(self) -> float:
        """Mean distance under the random curve; above 0: better than chance."""
        return float((self.random_deletion - self.deletion).mean())

    @property
    def insertion_gain(self) -> float:
        """Mean distance above the random curve; above 0: better than chance."""
        return float((self.insertion - self.random_insertion).mean())


def curves(function: ForwardFunction, evidence: Evidence, scores: Array, emotion: int) -> Curves:
    """Deletion and insertion (Petsiuk et al. 2018, section 3.2) against random orders.

    Args:
        function: the turn's forward function.
        evidence: of the explained modality; the others stay as they are.
        scores: of its feature groups.
        emotion: index of the explained class.
    """
    generator, groups = np.random.default_rng(0), evidence.feature_groups
    ranked = np.argsort(-scores.ravel(), kind="stable")
    orders = [ranked, *(generator.permutation(groups) for _ in range(RANDOM_ORDERS))]
    ranks = torch.from_numpy(np.argsort(np.stack(orders), axis=1))
    counts = torch.from_numpy(np.rint(SHARES * groups))
    gone = ranks[:, None, :] < counts[None, :, None]
    found = [
        _probabilities(function, evidence, kept.flatten(0, 1), emotion).reshape(len(orders), -1)
        for kept in (~gone, gone)
    ]
    (deletion, random_deletion), (insertion, random_insertion) = (
        (table[0], table[1:].mean(axis=0)) for table in found
    )
    return Curves(deletion, insertion, random_deletion, random_insertion)


def randomised_similarity(
    function: ForwardFunction, evidence: Evidence, method: Method
) -> dict[str, float]:
    """How alike the explanation stays when the network forgets what it learned.

    Cascading randomisation (Adebayo et al. 2018, section 3.1): the weights of the stages are
    shuffled within each tensor, from the classifier down. An explanation of the network must
    change; one that stays the same explains the input alone.

    Args:
        function: the turn's forward function.
        evidence: of the explained modality.
        method: that explains.

    Returns:
        By the last stage that was shuffled, Spearman's correlation of the absolute scores with
        those of the network as it is; 0 where one of the two is constant.
    """
    original = np.abs(method(function, evidence)).ravel()
    model = copy.deepcopy(function.model)
    generator = torch.Generator().manual_seed(0)
    found = {}
    for stage in STAGES:
        _shuffle(model, stage, generator)
        shuffled = ForwardFunction(model, function.turn)
        found[stage] = _correlation(original, np.abs(method(shuffled, evidence)).ravel())
    return found


def stability(function: ForwardFunction, evidence: Evidence, method: Method) -> float:
    """How alike the explanation stays under changes of the input that are too small to matter.

    Args:
        function: the turn's forward function.
        evidence: of the explained modality; its inputs are put back afterwards.
        method: that explains.

    Returns:
        Spearman's correlation of the scores with those of the input as it is, mean over
        `NOISY_INPUTS`.
    """
    original = method(function, evidence).ravel()
    generator = torch.Generator().manual_seed(0)
    inputs = evidence.inputs
    found = []
    try:
        for _ in range(NOISY_INPUTS):
            change = torch.randn(inputs.shape, generator=generator) * NOISE * inputs.std()
            evidence.inputs = inputs + change
            found.append(_correlation(original, method(function, evidence).ravel()))
    finally:
        evidence.inputs = inputs
    return float(np.mean(found))


def _probabilities(
    function: ForwardFunction, evidence: Evidence, kept: torch.Tensor, emotion: int
) -> Array:
    others = function.values(without=evidence.modality)
    found = []
    with torch.no_grad():
        for variants in torch.split(kept.float(), BATCH):
            tokens = evidence.tokens(evidence.blended(variants))
            logits = function.logits({**others, evidence.modality: tokens})
            found.append(logits.softmax(dim=1)[:, emotion])
    return torch.cat(found).double().numpy()


def _shuffle(model: AvtMemoCmt, stage: str, generator: torch.Generator) -> None:
    module: nn.Module = getattr(model, stage)
    with torch.no_grad():
        for weights in module.parameters():
            flat = weights.flatten()
            weights.copy_(flat[torch.randperm(len(flat), generator=generator)].view_as(weights))


def _correlation(one: Array, other: Array) -> float:
    if len(one) < 2 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(spearmanr(one, other).statistic)
