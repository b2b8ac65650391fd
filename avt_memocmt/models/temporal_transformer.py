"""The Temporal Transformer: each turn in the context of the dialogue's other turns."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from avt_memocmt.models.attention import Attention
from avt_memocmt.models.cross_modal_transformer import FeedForward


class TemporalLayer(nn.Module):
    """Self-attention over turns with a learned bias per head and turn distance; pre-norm."""

    def __init__(
        self, dim: int, heads: int, feed_forward: int, window: int, dropout: float
    ) -> None:
        super().__init__()
        self.window = window
        self.norm = nn.LayerNorm(dim)
        self.attention = Attention(dim, heads)
        self.distance_bias = nn.Parameter(torch.zeros(heads, 2 * window - 1))
        self.forward_norm = nn.LayerNorm(dim)
        self.feed_forward = FeedForward(dim, feed_forward, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, turns: Tensor, allowed: Tensor, distance: Tensor) -> Tensor:
        """[batch, turns, dim] -> the same; `distance` [turns, turns] is key minus query."""
        limit = self.window - 1
        bias = self.distance_bias[:, distance.clamp(-limit, limit) + limit]
        asked = self.norm(turns)
        turns = turns + self.dropout(self.attention(asked, asked, allowed, bias))
        out: Tensor = turns + self.dropout(self.feed_forward(self.forward_norm(turns)))
        return out


class TemporalTransformer(nn.Module):
    """Contextualise utterance vectors over the turns of a dialogue.

    Turn order enters as a learned bias for each distance between turns (Shaw et al. 2018; Raffel et
    al. 2020, section 2.1), so that a dialogue of any length can be read through a window. A turn
    sees at most `window` turns on one side, itself included; in causal mode only past ones.

    Args:
        dim: width of an utterance vector.
        layers: number of layers.
        heads: attention heads.
        feed_forward: inner width of the feed-forward blocks.
        window: reach of one layer in turns.
        causal: past turns only.
        dropout: probability while training.
    """

    def __init__(
        self,
        dim: int,
        layers: int,
        heads: int,
        feed_forward: int,
        window: int,
        causal: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.window = window
        self.causal = causal
        self.speaker_change = nn.Embedding(3, dim)
        self.layers = nn.ModuleList(
            TemporalLayer(dim, heads, feed_forward, window, dropout) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(dim)

    def forward(self, turns: Tensor, turn_mask: Tensor, speaker_change: Tensor) -> Tensor:
        """Contextualise each turn.

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
