"""Losses of networks on dialogues, with soft targets and class weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from avt_memocmt.config import TrainingConfig
from avt_memocmt.data.dialogue_batch import DialogueBatch
from avt_memocmt.data.labelled_dialogues import LabelledDialogue
from avt_memocmt.emotions import NUM_EMOTIONS
from avt_memocmt.models.prediction import Prediction


def class_weights(emotions: NDArray[np.int64], exponent: float) -> Tensor:
    """Weight of each class: (its frequency)^-exponent, scaled so that the mean over turns is 1.

    Derived from the labels at hand, never from a printed list: MELD's own is in another order.

    Args:
        emotions: indices into `EMOTIONS`; negative ones are left out.
        exponent: 0 = all weights 1; 1 = every class has the same share in the loss.

    Returns:
        float32 [7]; 1 for a class that does not occur.
    """
    counts, shares = _class_shares(emotions)
    weights = shares**-exponent
    mean = float((weights * counts).sum() / counts.sum())
    return torch.from_numpy(np.where(counts > 0, weights / mean, 1.0)).float()


def correct_prior(head: nn.Sequential, emotions: NDArray[np.int64], strength: float) -> None:
    """Correct a classifier's last bias so that frequent classes are no longer preferred.

    Post-hoc logit adjustment (Menon et al. 2021, equation 9): logits - strength * log(frequency).
    A class that does not occur in the labels keeps its logit.

    Args:
        head: a classifier that ends in a linear layer of seven outputs.
        emotions: labels of the train split; negative ones are left out.
        strength: 0 = none, 1 = all.
    """
    _, shares = _class_shares(emotions)
    last = cast(nn.Linear, head[-1])
    with torch.no_grad():
        last.bias.sub_(strength * torch.from_numpy(np.log(shares)).to(last.bias))


def dialogue_loss(
    prediction: Prediction,
    batch: DialogueBatch,
    targets: Tensor,
    config: TrainingConfig,
    weights: Tensor | None = None,
) -> Tensor:
    """Cross entropy of the decision, of each modality's own decision, and the network's own losses.

    Args:
        prediction: of the network.
        batch: what it was given; a modality's own decision counts where it is present.
        targets: float [turns, 7], the distributions to learn of the batch's real turns; a turn
            with zeros does not count.
        config: label smoothing and the weights of what is added.
        weights: float [7], of the classes; None = all alike.
    """

    def cross_entropy(logits: Tensor, counts: Tensor) -> Tensor:
        if not bool(counts.any()):
            return logits.sum() * 0.0
        return soft_cross_entropy(logits[counts], targets[counts], config.label_smoothing, weights)

    labelled = targets.sum(dim=1) > 0
    total = cross_entropy(prediction.logits[batch.turn_mask], labelled)
    for name, logits in prediction.unimodal_logits.items():
        present = batch.modalities[name].mask.any(dim=2)[batch.turn_mask]
        own = cross_entropy(logits[batch.turn_mask], labelled & present)
        total = total + config.auxiliary_weight * own
    weight_of = config.network_losses.model_dump()
    for name, value in prediction.losses.items():
        total = total + weight_of[name] * value
    return total


def sentiment_loss(prediction: Prediction, batch: DialogueBatch, sentiments: Tensor) -> Tensor:
    """Mean cross entropy of the sentiment head over the turns that have that label.

    Args:
        prediction: of a network with the head.
        batch: what it was given.
        sentiments: int64 [turns], of the batch's real turns; negative where not known.
    """
    assert prediction.sentiment_logits is not None
    logits = prediction.sentiment_logits[batch.turn_mask].float()
    known = sentiments >= 0
    if not bool(known.any()):
        return logits.sum() * 0.0
    return F.cross_entropy(logits[known], sentiments[known])


def targets_of(dialogues: Sequence[LabelledDialogue]) -> Tensor:
    """float32 [turns, 7], the distributions to learn of all turns in order."""
    return torch.from_numpy(np.concatenate([dialogue.targets for dialogue in dialogues]))


def soft_cross_entropy(
    logits: Tensor, targets: Tensor, label_smoothing: float, weights: Tensor | None = None
) -> Tensor:
    """Mean cross entropy against distributions; with weights, the mean weighted by the targets'.

    Args:
        logits: [n, 7].
        targets: float [n, 7].
        label_smoothing: share of a target that is spread over all classes.
        weights: float [7], of the classes; None = all alike.
    """
    total = F.cross_entropy(
        logits.float(), targets, weights, reduction="sum", label_smoothing=label_smoothing
    )
    return total / (len(targets) if weights is None else (targets @ weights).sum())


def _class_shares(emotions: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How often each class occurs, [7], and its share of the labels, 1 where it does not occur."""
    counts = np.bincount(emotions[emotions >= 0], minlength=NUM_EMOTIONS).astype(np.float64)
    return counts, np.where(counts > 0, counts, counts.sum()) / counts.sum()
