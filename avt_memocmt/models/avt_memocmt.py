"""AVT-MemoCMT: the one entry from encoder tokens to the emotion of every turn of a dialogue."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from avt_memocmt.config import ModelConfig
from avt_memocmt.data.dialogue_batch import DialogueBatch, ModalityBatch
from avt_memocmt.emotions import NUM_EMOTIONS
from avt_memocmt.models.cross_modal_transformer import MODALITIES, CrossModalTransformer
from avt_memocmt.models.encoders import TokenProjection
from avt_memocmt.models.temporal_transformer import TemporalTransformer


@dataclass(frozen=True)
class TokenShape:
    """What one token of an encoder holds: `layers` concatenated hidden states of width `dim`."""

    dim: int
    layers: int = 1


@dataclass(frozen=True)
class Fused:
    """One vector per utterance.

    Attributes:
        utterances: [batch, dim].
        weights: [batch, 3], share of each modality in that vector, in the order of `MODALITIES`;
            absent modalities have weight 0, a row sums to 1.
        opinions: per modality logits [batch, 7] from that modality's own tokens, before fusion.
    """

    utterances: Tensor
    weights: Tensor
    opinions: dict[str, Tensor]


@dataclass(frozen=True)
class Prediction:
    """The model's output for a batch of dialogues.

    Attributes:
        logits: [batch, turns, 7] in the order of `EMOTIONS`.
        weights: [batch, turns, 3], as in `Fused`.
        opinions: per modality [batch, turns, 7], logits of the unimodal auxiliary heads.
    """

    logits: Tensor
    weights: Tensor
    opinions: dict[str, Tensor]


class StatisticsPooling(nn.Module):
    """Attentive statistics pooling (Okabe et al. 2018): weighted mean and deviation over tokens."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Linear(dim, dim // 4), nn.Tanh(), nn.Linear(dim // 4, 1))
        self.project = nn.Linear(2 * dim, dim)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """[batch, tokens, dim] and bool [batch, tokens] with one True a row -> [batch, dim]."""
        scores = self.score(tokens).squeeze(2).masked_fill(~mask, float("-inf"))
        weights = scores.softmax(dim=1)[:, :, None]
        mean = (weights * tokens).sum(dim=1)
        variance = (weights * (tokens - mean[:, None]) ** 2).sum(dim=1)
        pooled: Tensor = self.project(torch.cat([mean, (variance + 1e-5).sqrt()], dim=1))
        return pooled


class AvtMemoCmt(nn.Module):
    """Projection, Cross-Modal Transformer, gated fusion, Temporal Transformer, classifier.

    Args:
        shapes: what the tokens of each modality hold, by the names in `MODALITIES`.
        config: widths, depths and the causal mode.
    """

    def __init__(self, shapes: dict[str, TokenShape], config: ModelConfig) -> None:
        super().__init__()
        c = config
        self.projections = nn.ModuleDict(
            {
                m: TokenProjection(shapes[m].dim, shapes[m].layers, c.dim, c.dropout)
                for m in MODALITIES
            }
        )
        self.opinion_pools = nn.ModuleDict({m: StatisticsPooling(c.dim) for m in MODALITIES})
        self.opinion_heads = nn.ModuleDict({m: _head(c.dim, c.dropout) for m in MODALITIES})
        self.cross_modal = CrossModalTransformer(
            c.dim, c.cross_modal_layers, c.heads, c.feed_forward, c.dropout
        )
        self.pools = nn.ModuleDict({m: StatisticsPooling(c.dim) for m in MODALITIES})
        self.gate = nn.Linear(len(MODALITIES) * c.dim, len(MODALITIES))
        self.temporal = TemporalTransformer(
            c.dim,
            c.temporal_layers,
            c.heads,
            c.feed_forward,
            c.temporal_window,
            c.causal,
            c.dropout,
        )
        self.head = _head(c.dim, c.dropout)

    def forward(self, batch: DialogueBatch) -> Prediction:
        """Classify every turn of a batch of dialogues.

        Raises:
            ValueError: a real turn has no modality at all.
        """
        size, turns = batch.turn_mask.shape
        flat = {m: batch.modalities[m].flatten_turns() for m in MODALITIES}
        silent = ~torch.stack([part.mask.any(dim=1) for part in flat.values()]).any(dim=0)
        if bool((silent.view(size, turns) & batch.turn_mask).any()):
            raise ValueError("every turn needs at least one of audio, visual and text")
        fused = self.fuse(flat)
        logits = self.classify(
            fused.utterances.view(size, turns, -1), batch.turn_mask, batch.speaker_change
        )
        opinions = {m: x.view(size, turns, -1) for m, x in fused.opinions.items()}
        return Prediction(logits, fused.weights.view(size, turns, -1), opinions)

    def fuse(self, parts: dict[str, ModalityBatch]) -> Fused:
        """Token level: one vector per utterance; the parts hold [batch, tokens, ...] tensors.

        A modality's share of that vector is pooled after the Cross-Modal Transformer and, as a
        residual, before it: what one modality shows alone need not pass through the others.
        """
        tokens, masks, own, opinions = {}, {}, {}, {}
        for m in MODALITIES:
            part = parts[m]
            tokens[m], masks[m] = self.projections[m](part.values, part.spans, part.mask)
            own[m] = self.opinion_pools[m](tokens[m], masks[m])
            opinions[m] = self.opinion_heads[m](own[m])
        crossed = self.cross_modal(tokens, masks)
        pooled = [own[m] + self.pools[m](crossed[m], masks[m]) for m in MODALITIES]
        present = torch.stack([parts[m].mask.any(dim=1) for m in MODALITIES], dim=1)
        scores = self.gate(torch.cat(pooled, dim=1)).masked_fill(~present, -1e4)
        weights = scores.softmax(dim=1)
        utterances = (weights[:, :, None] * torch.stack(pooled, dim=1)).sum(dim=1)
        return Fused(utterances, weights * present, opinions)

    def classify(self, utterances: Tensor, turn_mask: Tensor, speaker_change: Tensor) -> Tensor:
        """Dialogue level: [batch, turns, dim] -> logits [batch, turns, 7]."""
        logits: Tensor = self.head(self.temporal(utterances, turn_mask, speaker_change))
        return logits


def _head(dim: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(dim), nn.Dropout(dropout), nn.Linear(dim, NUM_EMOTIONS))
