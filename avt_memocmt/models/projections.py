"""From encoder tokens or named measurements to tokens of the model's width."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from avt_memocmt.config import TokenShape
from avt_memocmt.models.heads import TrainingStatistics

POSITIONS_PER_SECOND = 50.0
"""Time unit of the sinusoids: one step is 20 ms, the spacing of HuBERT's and Whisper's tokens."""


class TokenProjection(nn.Module):
    """Project one modality's tokens to the model's width.

    The hidden states of several encoder layers are normalised, each is projected by weights of its
    own, and their sum is given a modality embedding and a sinusoidal encoding of its time. A mix by
    one weight a layer (ELMo, Peters et al. 2018, equation 1) is the case of equal projections; it
    was worse for Whisper's layers. One state token is put first: learned, always attendable, and
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
        self.project = nn.Linear(encoder_layers * encoder_dim, dim)
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
        tokens = self.norm(self.project(self._normalised(values)))
        tokens = tokens + time_encoding(spans.mean(dim=2), tokens.shape[2]) + self.modality
        tokens = torch.where(keep, self.dropout(tokens), torch.zeros_like(tokens))
        return with_state_token(tokens, mask, self.state + self.modality)

    def _normalised(self, values: Tensor) -> Tensor:
        parts = values.chunk(self.layers, dim=2)
        return torch.cat([norm(x) for norm, x in zip(self.norms, parts, strict=True)], dim=2)


class NamedTokenProjection(TrainingStatistics):
    """Turn the named measurements of one modality into tokens of the model's width.

    A token is its standardised value times the embedding of its name, plus a bias of its name (the
    feature tokenizer of Gorishniy et al. 2021, section 3.3), plus the modality embedding. There is
    no encoding of time: a measurement spans the utterance. A state token is put first, as in
    `TokenProjection`.

    Args:
        modality: whose measurements these are.
        names: of the measurements, in the order of the tokens.
        dim: the model's width.
        dropout: of the tokens while training.
    """

    def __init__(self, modality: str, names: tuple[str, ...], dim: int, dropout: float) -> None:
        super().__init__(len(names))
        self.modality_name = modality
        self.names = names
        self.scale = nn.Parameter(torch.randn(len(names), dim) * dim**-0.5)
        self.bias = nn.Parameter(torch.randn(len(names), dim) * dim**-0.5)
        self.modality = nn.Parameter(torch.randn(dim) * 0.02)
        self.state = nn.Parameter(torch.randn(2, dim) * 0.02)
        self.dropout = nn.Dropout(dropout)

    def forward(self, values: Tensor, spans: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Embed a batch of measurements.

        Args:
            values: [batch, names, 1], raw; anything, even NaN, where masked.
            spans: [batch, names, 2], not used.
            mask: bool [batch, names], True where measured.

        Returns:
            As `TokenProjection.forward`.
        """
        # A batch in which nobody has the modality holds one masked token instead of all names.
        count = values.shape[1]
        values = torch.where(mask, values.squeeze(2), self.mean[:count])
        standard = (values - self.mean[:count]) / self.deviation[:count]
        tokens = standard[:, :, None] * self.scale[:count] + self.bias[:count] + self.modality
        tokens = torch.where(mask[:, :, None], self.dropout(tokens), torch.zeros_like(tokens))
        return with_state_token(tokens, mask, self.state + self.modality)


def make_projection(
    modality: str, shape: TokenShape, dim: int, dropout: float
) -> TokenProjection | NamedTokenProjection:
    """Return the projection of tokens of this shape to the width `dim`."""
    if shape.names is not None:
        return NamedTokenProjection(modality, shape.names, dim, dropout)
    return TokenProjection(shape.dim, shape.layers, dim, dropout)


def with_state_token(tokens: Tensor, mask: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
    """Put a state token, which says whether the modality is present, before its tokens.

    Args:
        tokens: [batch, tokens, dim].
        mask: bool [batch, tokens].
        states: [2, dim], the token of an absent and of a present modality.

    Returns:
        [batch, 1 + tokens, dim], and its mask, whose first column is all True.
    """
    present = mask.any(dim=1)
    state = torch.where(present[:, None], states[1], states[0])
    first = torch.ones_like(present)[:, None]
    return torch.cat([state[:, None], tokens], dim=1), torch.cat([first, mask], dim=1)


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
