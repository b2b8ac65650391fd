"""From tokens to one vector, and from a vector to the logits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from avt_memocmt.config import MODALITIES
from avt_memocmt.data.dialogue_batch import ModalityBatch
from avt_memocmt.emotions import NUM_EMOTIONS


class StatisticsPooling(nn.Module):
    """Attentive statistics pooling (Okabe et al. 2018): weighted mean and deviation over tokens."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Linear(dim, dim // 4), nn.Tanh(), nn.Linear(dim // 4, 1))
        self.project = nn.Linear(2 * dim, dim)
        self.recorded: Tensor | None = None
        self.recording = False

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """[batch, tokens, dim] and bool [batch, tokens] with one True a row -> [batch, dim]."""
        scores = self.score(tokens).squeeze(2).masked_fill(~mask, float("-inf"))
        weights = scores.softmax(dim=1)[:, :, None]
        if self.recording:
            self.recorded = weights[:, :, 0]
        mean = (weights * tokens).sum(dim=1)
        variance = (weights * (tokens - mean[:, None]) ** 2).sum(dim=1)
        pooled: Tensor = self.project(torch.cat([mean, (variance + 1e-5).sqrt()], dim=1))
        return pooled


class TrainingStatistics(nn.Module):
    """A module that standardises its inputs by their mean and deviation on the training data.

    Args:
        width: numbers in one input.

    Attributes:
        mean, deviation: float [width], saved with the weights.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))

    def set_statistics(self, mean: Tensor, deviation: Tensor) -> None:
        """Set mean and deviation (above 0), float [width]."""
        self.mean.copy_(mean)
        self.deviation.copy_(deviation)


class LayerStatistics(TrainingStatistics):
    """Mean and deviation over time of every hidden layer of an encoder, then one hidden layer.

    Statistics pooling (Snyder et al. 2018, section 2.1) of the layers before they are projected. On
    few speakers it generalises better than pooling with learned weights.

    Args:
        width: numbers in one token.
        dim: the model's width.
        dropout: before and after the projection to that width, while training.
    """

    def __init__(self, width: int, dim: int, dropout: tuple[float, float]) -> None:
        super().__init__(2 * width)
        before, after = dropout
        self.project = nn.Sequential(
            nn.Dropout(before), nn.Linear(2 * width, dim), nn.GELU(), nn.Dropout(after)
        )

    def standard(self, part: ModalityBatch) -> Tensor:
        """Standardised statistics [batch, 2 * width]; 0 without tokens.

        Args:
            part: from `SpeakerBaseline`, whose tokens' mean is already the speaker's own.
        """
        mean, deviation = statistics(part.values, part.mask).chunk(2, dim=1)
        own = deviation - part.baseline[:, mean.shape[1] :]
        found = self.standardised(torch.cat([mean, own], dim=1))
        return found * part.mask.any(dim=1, keepdim=True)

    def forward(self, standard: Tensor) -> Tensor:
        """Standardised statistics [batch, 2 * width] -> [batch, dim]."""
        pooled: Tensor = self.project(standard)
        return pooled

    def standardised(self, found: Tensor) -> Tensor:
        """Standardise what `statistics` returned, [..., 2 * width]."""
        return (found - self.mean) / self.deviation


def statistics(values: Tensor, mask: Tensor) -> Tensor:
    """Mean and standard deviation over the tokens of a row.

    Args:
        values: [batch, tokens, width]; anything, even NaN, where masked.
        mask: bool [batch, tokens].

    Returns:
        [batch, 2 * width]; 0 and 0.001 in rows without tokens.
    """
    keep = mask[:, :, None]
    values = torch.where(keep, values, torch.zeros_like(values))
    count = mask.sum(dim=1, keepdim=True).clamp(min=1)
    mean = values.sum(dim=1) / count
    square = torch.where(keep, values - mean[:, None], torch.zeros_like(values)).square()
    # The slope of the root is infinite at 0, which is the variance of a clip of one token.
    return torch.cat([mean, (square.sum(dim=1) / count + 1e-6).sqrt()], dim=1)


class SpeakerBaseline(nn.Module):
    """Judges an utterance against what its speaker's other utterances have in common.

    Their difference from all speakers is subtracted, the less of it the fewer utterances it comes
    from: an estimate that is shrunk towards the mean of all (James and Stein 1961).

    Args:
        width: numbers in one token.

    Attributes:
        mean: float [2 * width], statistics of all speakers, saved with the weights.
    """

    TURNS = 2.0
    """Utterances after which half of the difference is subtracted."""

    mean: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(2 * width))

    def set_everyone(self, statistics: Tensor) -> None:
        """Set the mean of all speakers, from the statistics [n, 2 * width] of their utterances."""
        self.mean.copy_(statistics.mean(dim=0))

    def forward(self, part: ModalityBatch) -> ModalityBatch:
        """The tokens less the speaker's part of them, which takes the place of the baseline."""
        own = self.own(part.baseline, part.baseline_count)
        shift = own[:, None, : part.values.shape[2]]
        return replace(part, values=part.values - shift, baseline=own)

    def own(self, baseline: Tensor, count: Tensor) -> Tensor:
        """What a speaker differs by from all, [batch, 2 * width], shrunk by the counts [batch]."""
        return (count / (count + self.TURNS))[:, None] * (baseline - self.mean)


class ReliabilityGate(nn.Module):
    """How far each modality's own decision is to be trusted, from all of these decisions.

    It sees how sure each is, which of them agree, and how unlike the training data each modality
    is. Before it is trained it trusts all alike.

    Args:
        modalities: how many.
        dim: the model's width.
        classes: of a decision.
    """

    HIDDEN = 64
    NEW = 5.7
    """Novelty of which half is new: of RAVDESS actors who were not trained on, 5 % have more, and
    of the voices of corpora that were not trained on, fewer than 5 % have less."""
    STEEPNESS = 12.0
    """Power of 1 + novelty, whose medians differ by a factor of 1.5 between those two."""

    def __init__(self, modalities: int, dim: int, classes: int = NUM_EMOTIONS) -> None:
        super().__init__()
        self.classes = classes
        width = modalities * (classes + 3) + modalities * (modalities - 1) // 2
        self.hidden = nn.Sequential(nn.Linear(width, self.HIDDEN), nn.GELU())
        self.trust = nn.Linear(self.HIDDEN, modalities)
        nn.init.zeros_(self.trust.weight)
        nn.init.constant_(self.trust.bias, math.log(math.e - 1))  # softplus of it is 1
        self.project = nn.Linear(self.HIDDEN, dim)

    def forward(self, decisions: Tensor, novelty: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Judge the decisions on some utterances.

        Args:
            decisions: [batch, modalities, classes], log probabilities.
            novelty: [batch, modalities], 0 where absent.
            present: bool [batch, modalities].

        Returns:
            The exponent of each modality's probabilities in the pool, [batch, modalities], 0 where
            it is absent; and a vector of what was seen, [batch, dim].
        """
        chances = decisions.exp() * present[:, :, None]
        entropy = -(chances * decisions).sum(dim=2)
        count = present.shape[1]
        first, second = torch.triu_indices(count, count, offset=1, device=present.device)
        agreement = (chances[:, first] * chances[:, second]).sum(dim=2)
        new = torch.sigmoid(self.STEEPNESS * ((1 + novelty) / (1 + self.NEW)).log())
        seen = (chances.flatten(1), entropy, new, present.float(), agreement)
        hidden = self.hidden(torch.cat(seen, dim=1))
        return nn.functional.softplus(self.trust(hidden)) * present, self.project(hidden)

    @torch.no_grad()
    def set_trust(self, known: Sequence[float], new: Sequence[float]) -> None:
        """Trust each modality by its novelty alone, in place of what was learned.

        Between the two values, trust falls with the chance that the input is new.

        Args:
            known: exponent of each modality, above 0, where it is like the training data.
            new: the same where it is not.
        """
        first, count, linear = cast(nn.Linear, self.hidden[0]), len(known), 4.0
        at_known, at_new = (torch.tensor(values).expm1().log() for values in (known, new))
        units = range(self.HIDDEN - count, self.HIDDEN)
        self.trust.weight.zero_()
        self.project.weight[:, units.start :] = 0.0
        for modality, unit in enumerate(units):
            # So far above 0, GELU is the identity.
            first.weight[unit] = 0.0
            first.weight[unit, count * (self.classes + 1) + modality] = 1.0
            first.bias[unit] = linear
            slope = at_new[modality] - at_known[modality]
            self.trust.weight[modality, unit] = slope
            self.trust.bias[modality] = at_known[modality] - linear * slope


def zero_last_layer(head: nn.Sequential) -> None:
    """Let a classifier start with the logits 0."""
    last = cast(nn.Linear, head[-1])
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)


def classifier(dim: int, dropout: float, classes: int = NUM_EMOTIONS) -> nn.Sequential:
    """Layer norm, dropout, linear: [..., dim] -> logits [..., classes]."""
    return nn.Sequential(nn.LayerNorm(dim), nn.Dropout(dropout), nn.Linear(dim, classes))


def among_present(scores: Tensor, present: Tensor) -> Tensor:
    """Lower the scores [batch, modalities] of absent modalities, so that their softmax is 0.

    They stay finite: where no modality is present, all have the same share.
    """
    return scores.masked_fill(~present, -1e4)


def in_columns(columns: Tensor, modalities: tuple[str, ...]) -> Tensor:
    """Columns [batch, modalities] in the order of `MODALITIES`, [batch, 3]; zeros for others."""
    zeros = torch.zeros_like(columns[:, 0])
    by_name = dict(zip(modalities, columns.unbind(dim=1), strict=True))
    return torch.stack([by_name.get(m, zeros) for m in MODALITIES], dim=1)
