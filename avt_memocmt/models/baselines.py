"""Plain networks that AVT-MemoCMT is compared with; each classifies a turn by itself."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avt_memocmt.config import MODALITIES, ModelConfig, TokenShape
from avt_memocmt.data.dialogue_batch import DialogueBatch
from avt_memocmt.emotions import NUM_EMOTIONS
from avt_memocmt.models.attention import Attention
from avt_memocmt.models.heads import StatisticsPooling, among_present, classifier, in_columns
from avt_memocmt.models.prediction import DialogueNetwork, Prediction
from avt_memocmt.models.projections import NamedTokenProjection, make_projection, with_state_token

HIDDEN = 128
"""Width of the classifier's inner layer in Audio-Text MemoCMT."""


class TextOnly(DialogueNetwork):
    """Mean over the utterance's text tokens, dropout, linear.

    An utterance without text is classified by a learned vector in place of the mean.

    Args:
        shapes: of the tokens of each modality, of which the text's is used.
        config: the dropout.
        classes: how many there are to tell apart.
    """

    modalities = needed = ("text",)

    def __init__(
        self, shapes: dict[str, TokenShape], config: ModelConfig, classes: int = NUM_EMOTIONS
    ) -> None:
        super().__init__()
        width = shapes["text"].width
        self.absent = nn.Parameter(torch.randn(width) * 0.02)
        self.head = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(width, classes))

    def forward(self, batch: DialogueBatch) -> Prediction:
        """Classify every turn."""
        text = batch.modalities["text"].flatten_turns()
        tokens, mask = with_state_token(text.values, text.mask, self.absent.expand(2, -1))
        mean = pool_tokens(tokens, only_if_absent(mask), "mean")
        return Prediction(self.head(mean).view(*batch.turn_mask.shape, -1))


class RawTokens(nn.Module):
    """Encoder tokens as they are, or resized by a linear layer if their width is another."""

    def __init__(self, width: int, dim: int) -> None:
        super().__init__()
        self.resize = nn.Identity() if width == dim else nn.Linear(width, dim)
        self.absent = nn.Parameter(torch.randn(dim) * 0.02)

    def forward(self, values: Tensor, spans: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """As `TokenProjection.forward`; the times in `spans` are not used."""
        tokens = self.resize(torch.where(mask[:, :, None], values, torch.zeros_like(values)))
        return with_state_token(tokens, mask, self.absent.expand(2, -1))


class CrossAttention(nn.Module):
    """One modality's tokens attend to another's; linear, layer norm, dropout."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = Attention(dim, heads)
        self.after = nn.Sequential(nn.Linear(dim, dim), nn.LayerNorm(dim), nn.Dropout(dropout))

    def forward(self, queries: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
        """[batch, q, dim], [batch, k, dim], bool [batch, k] -> [batch, q, dim]."""
        fused: Tensor = self.after(self.attention(queries, keys, mask[:, None, None, :]))
        return fused


class AudioTextMemoCmt(DialogueNetwork):
    """MemoCMT (Khan et al. 2025, Sci. Rep. 15:5473) on the tokens of sound and words.

    The audio tokens attend to the text tokens and the text tokens to the audio tokens, each
    followed by a linear layer and layer norm. The results are concatenated along the tokens, pooled
    ("cls" takes the first one; "mean", "max" and "min" go over all), and classified by a linear
    layer of width 128, leaky ReLU, dropout and a linear layer.

    Where it departs from the paper: masks keep padding out of the attentions and the pooling, so
    that batches can hold utterances of any length; an absent modality is one learned token; tokens
    whose width is not `config.dim` (768 in the paper) pass a linear layer; attention weights are
    not dropped out. With one utterance and both modalities it computes the paper's network.

    Args:
        shapes: what the tokens of audio and text hold.
        config: width, heads, pooling and dropout.
        classes: how many there are to tell apart.
    """

    modalities = needed = ("audio", "text")

    def __init__(
        self, shapes: dict[str, TokenShape], config: ModelConfig, classes: int = NUM_EMOTIONS
    ) -> None:
        super().__init__()
        self.pooling = config.pooling
        self.inputs = nn.ModuleDict({m: raw_tokens(m, shapes[m], config) for m in self.modalities})
        self.audio_from_text = CrossAttention(config.dim, config.heads, config.dropout)
        self.text_from_audio = CrossAttention(config.dim, config.heads, config.dropout)
        self.head = nn.Sequential(
            nn.Dropout(config.dropout),
            nn.Linear(config.dim, HIDDEN),
            nn.LeakyReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(HIDDEN, classes),
        )

    def forward(self, batch: DialogueBatch) -> Prediction:
        """Classify every turn."""
        (audio, heard), (text, read) = (self._tokens(batch, m) for m in self.modalities)
        fused = [
            self.audio_from_text(audio, text, read),
            self.text_from_audio(text, audio, heard),
        ]
        mask = torch.cat([heard, read], dim=1)
        logits = self.head(pool_tokens(torch.cat(fused, dim=1), mask, self.pooling))
        return Prediction(logits.view(*batch.turn_mask.shape, -1))

    def _tokens(self, batch: DialogueBatch, modality: str) -> tuple[Tensor, Tensor]:
        """Tokens [turns, 1 + tokens, dim] of one modality and their mask."""
        part = batch.modalities[modality].flatten_turns()
        tokens, mask = self.inputs[modality](part.values, part.spans, part.mask)
        return tokens, only_if_absent(mask)


class LateFusion(DialogueNetwork):
    """Each modality decides alone; the decisions are averaged by learned weights.

    One learned weight per modality weighs the probabilities of the present ones (the sum rule of
    Kittler et al. 1998, weighted); the modalities share nothing else.

    Args:
        shapes: what the tokens of each modality hold, by the names in `config.modalities`.
        config: modalities, width and dropout.
        classes: how many there are to tell apart.
    """

    def __init__(
        self, shapes: dict[str, TokenShape], config: ModelConfig, classes: int = NUM_EMOTIONS
    ) -> None:
        super().__init__()
        self.modalities = tuple(m for m in MODALITIES if m in config.modalities)
        dim, dropout = config.dim, config.dropout
        self.projections = nn.ModuleDict(
            {m: make_projection(m, shapes[m], dim, dropout) for m in self.modalities}
        )
        self.pools = nn.ModuleDict({m: StatisticsPooling(dim) for m in self.modalities})
        self.heads = nn.ModuleDict({m: classifier(dim, dropout, classes) for m in self.modalities})
        self.scores = nn.Parameter(torch.zeros(len(self.modalities)))

    def forward(self, batch: DialogueBatch) -> Prediction:
        """Classify every turn; the logits are logarithms of the averaged probabilities."""
        own: dict[str, Tensor] = {}
        parts = {m: batch.modalities[m].flatten_turns() for m in self.modalities}
        for m, part in parts.items():
            tokens, mask = self.projections[m](part.values, part.spans, part.mask)
            own[m] = self.heads[m](self.pools[m](tokens, mask))
        present = torch.stack([part.mask.any(dim=1) for part in parts.values()], dim=1)
        scores = among_present(self.scores.expand(len(present), -1), present).log_softmax(dim=1)
        decisions = torch.stack([own[m].log_softmax(dim=1) for m in self.modalities], dim=1)
        logits = (scores[:, :, None] + decisions).logsumexp(dim=1)
        weights = in_columns(scores.exp() * present, self.modalities)
        shape = (*batch.turn_mask.shape, -1)
        unimodal_logits = {m: x.view(shape) for m, x in own.items()}
        return Prediction(logits.view(shape), weights.view(shape), unimodal_logits)


def only_if_absent(mask: Tensor) -> Tensor:
    """Mask the state token, which comes first, where there are others: bool [batch, tokens]."""
    others = mask[:, 1:]
    return torch.cat([~others.any(dim=1, keepdim=True), others], dim=1)


def pool_tokens(tokens: Tensor, mask: Tensor, how: Literal["cls", "mean", "max", "min"]) -> Tensor:
    """Pool the tokens where `mask` is True into one vector.

    Args:
        tokens: [batch, tokens, dim].
        mask: bool [batch, tokens], with one True a row.
        how: "cls" takes the first token; the others go over all tokens.

    Returns:
        [batch, dim].
    """
    keep = mask[:, :, None]
    if how == "max":
        return tokens.masked_fill(~keep, float("-inf")).amax(dim=1)
    if how == "min":
        return tokens.masked_fill(~keep, float("inf")).amin(dim=1)
    if how == "mean":
        return tokens.masked_fill(~keep, 0.0).sum(dim=1) / keep.sum(dim=1)
    rows = torch.arange(len(tokens), device=tokens.device)
    return tokens[rows, mask.int().argmax(dim=1)]


def raw_tokens(
    modality: str, shape: TokenShape, config: ModelConfig
) -> RawTokens | NamedTokenProjection:
    """Tokens as they are, but for their width; named measurements as the proposed network's."""
    if shape.names is not None:
        return NamedTokenProjection(modality, shape.names, config.dim, config.dropout)
    return RawTokens(shape.width, config.dim)


class Majority(DialogueNetwork):
    """Predicts for every turn the shares of the classes in some labels.

    Args:
        emotions: int64 [n], class indices; negative ones are left out.
        classes: how many there are to tell apart.
    """

    modalities = ()

    def __init__(self, emotions: NDArray[np.int64], classes: int = NUM_EMOTIONS) -> None:
        super().__init__()
        counts = np.bincount(emotions[emotions >= 0], minlength=classes)
        shares = torch.from_numpy(counts / counts.sum()).float()
        self.logits = nn.Parameter(shares.log(), requires_grad=False)

    def forward(self, batch: DialogueBatch) -> Prediction:
        """The same logits for every turn."""
        return Prediction(self.logits.expand(*batch.turn_mask.shape, -1))
