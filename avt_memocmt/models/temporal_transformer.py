"""The Temporal Transformer: each turn in the context of the dialogue's other turns."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from avt_memocmt.config import ModelConfig
from avt_memocmt.models.attention import Attention
from avt_memocmt.models.cross_modal_transformer import FeedForward


class TemporalLayer(nn.Module):
    """Self-attention over turns with a learned bias per head and turn distance; pre-norm."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.farthest = config.temporal_window - 1
        self.norm = nn.LayerNorm(config.dim)
        self.attention = Attention(config.dim, config.heads)
        self.distance_bias = nn.Parameter(torch.zeros(config.heads, 2 * self.farthest + 1))
        self.forward_norm = nn.LayerNorm(config.dim)
        self.feed_forward = FeedForward(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, turns: Tensor, allowed: Tensor, distance: Tensor) -> Tensor:
        """One layer.

        Args:
            turns: [batch, turns, dim].
            allowed: bool [batch, 1, turns, turns], True where a query may attend to a key.
            distance: int64 [turns, turns], place of the key minus place of the query.

        Returns:
            [batch, turns, dim].
        """
        clamped = distance.clamp(-self.farthest, self.farthest)
        bias = self.distance_bias[:, clamped + self.farthest]
        normed = self.norm(turns)
        turns = turns + self.dropout(self.attention(normed, normed, allowed, bias))
        out: Tensor = turns + self.dropout(self.feed_forward(self.forward_norm(turns)))
        return out


class TemporalTransformer(nn.Module):
    """Let the turns of a dialogue attend to one another.

    Turn order enters as a learned bias for each distance between turns (Shaw et al. 2018; Raffel et
    al. 2020, section 2.1), so that a dialogue of any length can be read through a window. In each
    layer a turn sees at most `temporal_window` turns on one side, itself included; in causal mode
    only past ones.

    Args:
        config: width, number of layers and heads, inner width of the feed-forward blocks, window,
            causal mode, dropout.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.window = config.temporal_window
        self.causal = config.causal
        self.speaker_change = nn.Embedding(3, config.dim)
        self.layers = nn.ModuleList(TemporalLayer(config) for _ in range(config.temporal_layers))
        self.norm = nn.LayerNorm(config.dim)

    def forward(self, turns: Tensor, turn_mask: Tensor, speaker_change: Tensor) -> Tensor:
        """Put each turn into the context of its dialogue.

        Args:
            turns: [batch, turns, dim], utterance vectors in order.
            turn_mask: bool [batch, turns], True at real turns (padding last).
            speaker_change: int64 [batch, turns], one of `dialogue_batch.SPEAKER_*`.

        Returns:
            [batch, turns, dim].
        """
        order = torch.arange(turns.shape[1], device=turns.device)
        distance = order[None, :] - order[:, None]
        near = distance.abs() < self.window
        if self.causal:
            near = near & (distance <= 0)
        itself = distance == 0
        allowed = (near[None] & turn_mask[:, None, :]) | itself[None]
        turns = turns + self.speaker_change(speaker_change)
        for layer in self.layers:
            turns = layer(turns, allowed[:, None], distance)
        out: Tensor = self.norm(turns)
        return out
