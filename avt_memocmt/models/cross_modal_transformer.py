"""The Cross-Modal Transformer: token-level attention between sound, face and words.

Every layer has six directed attentions, two for each pair A-V, A-T and V-T (Tsai et al. 2019,
section 3.2, uses the same directed cross-modal attention between token sequences).
"""

from __future__ import annotations

from torch import Tensor, nn

from avt_memocmt.config import MODALITIES, ModelConfig
from avt_memocmt.models.attention import Attention

DIRECTIONS: tuple[tuple[str, str], ...] = tuple(
    (target, source) for target in MODALITIES for source in MODALITIES if source != target
)
"""(target, source) pairs: queries are the target's tokens, keys the source's."""


class FeedForward(nn.Sequential):
    """Linear, GELU, dropout, linear: the position-wise block of a transformer."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(
            nn.Linear(config.dim, config.feed_forward),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.feed_forward, config.dim),
        )


class CrossModalLayer(nn.Module):
    """Directed attentions, then a feed-forward block per modality; pre-norm residuals."""

    def __init__(self, modalities: tuple[str, ...], config: ModelConfig) -> None:
        super().__init__()
        self.directions = [pair for pair in DIRECTIONS if set(pair) <= set(modalities)]
        self.norms = nn.ModuleDict({m: nn.LayerNorm(config.dim) for m in modalities})
        self.attentions = nn.ModuleDict(
            {f"{t}_from_{s}": Attention(config.dim, config.heads) for t, s in self.directions}
        )
        self.forward_norms = nn.ModuleDict({m: nn.LayerNorm(config.dim) for m in modalities})
        self.feed_forwards = nn.ModuleDict({m: FeedForward(config) for m in modalities})
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, tokens: dict[str, Tensor], masks: dict[str, Tensor]) -> dict[str, Tensor]:
        """One layer; arguments as in `CrossModalTransformer.forward`."""
        normed = {m: norm(tokens[m]) for m, norm in self.norms.items()}
        out = dict(tokens)
        for target, source in self.directions:
            attention = self.attentions[f"{target}_from_{source}"]
            attended = attention(normed[target], normed[source], masks[source][:, None, None, :])
            out[target] = out[target] + self.dropout(attended)
        for m in out:
            out[m] = out[m] + self.dropout(self.feed_forwards[m](self.forward_norms[m](out[m])))
        return out


class CrossModalTransformer(nn.Module):
    """A stack of `CrossModalLayer` with a final layer norm per modality.

    Args:
        modalities: those it joins, of `MODALITIES`; a single one attends to nothing.
        config: width, number of layers and heads, inner width of the feed-forward blocks, dropout.
    """

    def __init__(self, modalities: tuple[str, ...], config: ModelConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            CrossModalLayer(modalities, config) for _ in range(config.cross_modal_layers)
        )
        self.norms = nn.ModuleDict({m: nn.LayerNorm(config.dim) for m in modalities})

    def forward(self, tokens: dict[str, Tensor], masks: dict[str, Tensor]) -> dict[str, Tensor]:
        """Let each modality's tokens attend to the other modalities' tokens.

        Args:
            tokens: per modality [batch, tokens, dim], the state token first.
            masks: per modality bool [batch, tokens], True where attendable, first column True.

        Returns:
            Per modality [batch, tokens, dim].
        """
        for layer in self.layers:
            tokens = layer(tokens, masks)
        return {m: norm(tokens[m]) for m, norm in self.norms.items()}
