"""From encoder tokens to the model's width: layer mixing, projection, modality and time."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

POSITIONS_PER_SECOND = 50.0
"""Time unit of the sinusoids: one step is 20 ms, the spacing of HuBERT's and Whisper's tokens."""


class TokenProjection(nn.Module):
    """Project one modality's tokens to the model's width.

    The hidden states of several encoder layers are normalised and mixed by learned weights (as in
    ELMo, Peters et al. 2018, equation 1), projected, and given a modality embedding and a
    sinusoidal encoding of their time. One state token is put first: learned, always attendable, and
    different for "present" and "absent". So no attention row is ever fully masked.

    Args:
        encoder_dim: width of one encoder layer.
        encoder_layers: how many layers each token holds, concatenated.
        dim: the model's width.
        dropout: of the projected tokens while training.
    """

    def __init__(self, encoder_dim: int, encoder_layers: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.layers = encoder_layers
        self.norms = nn.ModuleList(nn.LayerNorm(encoder_dim) for _ in range(encoder_layers))
        self.layer_weights = nn.Parameter(torch.zeros(encoder_layers))
        self.project = nn.Linear(encoder_dim, dim)
        self.norm = nn.LayerNorm(dim)
        self.modality = nn.Parameter(torch.randn(dim) * 0.02)
        self.state = nn.Parameter(torch.randn(2, dim) * 0.02)
        self.dropout = nn.Dropout(dropout)

    def forward(self, values: Tensor, spans: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Project a batch of token sequences.

        Args:
            values: [batch, tokens, layers * encoder_dim]; anything, even NaN, where masked.
            spans: [batch, tokens, 2], seconds from the start of the utterance.
            mask: bool [batch, tokens], True at real tokens.

        Returns:
            [batch, 1 + tokens, dim] with the state token first, and its bool mask, whose first
            column is all True.
        """
        keep = mask[:, :, None]
        values = torch.where(keep, values, torch.zeros_like(values))
        spans = torch.where(keep, spans, torch.zeros_like(spans))
        tokens = self.norm(self.project(self._mix(values)))
        tokens = tokens + time_encoding(spans.mean(dim=2), tokens.shape[2]) + self.modality
        tokens = torch.where(keep, self.dropout(tokens), torch.zeros_like(tokens))
        present = mask.any(dim=1)
        state = torch.where(present[:, None], self.state[1], self.state[0]) + self.modality
        first = torch.ones_like(present)[:, None]
        return torch.cat([state[:, None], tokens], dim=1), torch.cat([first, mask], dim=1)

    def _mix(self, values: Tensor) -> Tensor:
        if self.layers == 1:
            mixed: Tensor = self.norms[0](values)
            return mixed
        weights = self.layer_weights.softmax(dim=0)
        parts = values.chunk(self.layers, dim=2)
        return torch.stack(
            [w * norm(x) for w, norm, x in zip(weights, self.norms, parts, strict=True)]
        ).sum(dim=0)


def time_encoding(seconds: Tensor, dim: int) -> Tensor:
    """Sinusoids of a time (Vaswani et al. 2017, section 3.5, with real-valued positions).

    Args:
        seconds: [...], seconds.
        dim: even width of the encoding.

    Returns:
        [..., dim].
    """
    rates = torch.exp(
        torch.arange(0, dim, 2, device=seconds.device, dtype=torch.float32)
        * (-math.log(10_000.0) / dim)
    )
    angles = (seconds * POSITIONS_PER_SECOND)[..., None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
