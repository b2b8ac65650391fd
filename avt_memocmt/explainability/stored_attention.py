"""The attention of decisions on stored features, where the media are not at hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from avt_memocmt.config import MODALITIES, Config
from avt_memocmt.data.dialogue_batch import TurnFeatures, collate
from avt_memocmt.explainability.attention_visualization import (
    STATE,
    Axis,
    DecisionAttention,
    decision_attention,
    token_axis,
)
from avt_memocmt.features.text_encoder import encoded_words
from avt_memocmt.features.text_tokenizer import TextTokenizer
from avt_memocmt.models.attention import record_attention
from avt_memocmt.models.avt_memocmt import AvtMemoCmt
from avt_memocmt.models.checkpoint import token_shapes
from avt_memocmt.preprocessing.text_preprocess import clean_text, split_words


@torch.no_grad()
def stored_attention(
    model: AvtMemoCmt, config: Config, turn: TurnFeatures, tokenizer: TextTokenizer | None
) -> DecisionAttention:
    """What the tokens of one turn attended to; the dialogue takes no part in that.

    Args:
        model: in evaluation mode.
        config: of the model.
        turn: with at least one modality.
        tokenizer: of the encoder that made the text tokens, which tells the words from them; None:
            they are named by their times, as are tokens that are not those of its word pieces.
    """
    batch = collate([[turn]], {m: shape.width for m, shape in token_shapes(config).items()})
    with record_attention(model) as recorded:
        weights = model(batch).modality_weights[0, 0]
    present = [m for m in model.modalities if m in turn.tokens]
    gate = {m: float(weights[MODALITIES.index(m)]) for m in present}
    axes = {m: _axis(config, turn, m, tokenizer) for m in present}
    of_past = {name for name in recorded if name.startswith("temporal.")}
    return decision_attention({n: w for n, w in recorded.items() if n not in of_past}, axes, gate)


def _axis(
    config: Config, turn: TurnFeatures, modality: str, tokenizer: TextTokenizer | None
) -> Axis:
    """The tokens of a modality: named values by their names, words whole, others by their times."""
    names, spans = token_shapes(config)[modality].names, turn.tokens[modality].spans
    if names is not None:
        blank = np.full((1, 2), np.nan)
        return Axis((STATE, *names), np.vstack([blank, spans]), np.arange(len(names) + 1))
    words = None
    if modality == "text" and tokenizer is not None:
        words = _words_of_pieces(config, turn.words.text, len(spans), tokenizer)
    return token_axis(modality, spans, words)


def _words_of_pieces(
    config: Config, text: str, pieces: int, tokenizer: TextTokenizer
) -> tuple[Sequence[str], Sequence[int]] | None:
    """The words that were read, and the one of each word piece; None where these are others."""
    _, owners = tokenizer.pieces(encoded_words(text, config.text))
    if not 0 < pieces <= len(owners) or (pieces < len(owners) and pieces < config.text.max_tokens):
        return None
    kept = owners[-pieces:]
    words = split_words(clean_text(text, config.text.lowercase))[kept[0] : kept[-1] + 1]
    return words, [owner - kept[0] for owner in kept]
