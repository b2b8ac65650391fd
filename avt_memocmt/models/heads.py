"""From tokens to one vector, and from a vector to the logits."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from avt_memocmt.emotions import NUM_EMOTIONS
from avt_memocmt.models.cross_modal_transformer import MODALITIES


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


def classifier(dim: int, dropout: float) -> nn.Sequential:
    """Layer norm, dropout, linear: [..., dim] -> logits [..., 7]."""
    return nn.Sequential(nn.LayerNorm(dim), nn.Dropout(dropout), nn.Linear(dim, NUM_EMOTIONS))


def among_present(scores: Tensor, present: Tensor) -> Tensor:
    """Scores [batch, modalities] whose softmax gives absent modalities nothing.

    Where none is present all share alike: no row is without a finite score.
    """
    return scores.masked_fill(~present, -1e4)


def in_columns(shares: Tensor, modalities: tuple[str, ...]) -> Tensor:
    """Shares [batch, modalities] of some modalities -> [batch, 3] in the order of `MODALITIES`."""
    unheard = torch.zeros_like(shares[:, 0])
    columns = dict(zip(modalities, shares.unbind(dim=1), strict=True))
    return torch.stack([columns.get(m, unheard) for m in MODALITIES], dim=1)
