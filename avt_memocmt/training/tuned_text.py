"""A network whose text tokens come from an encoder that is trained along with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from avt_memocmt.config import TextConfig, TrainingConfig
from avt_memocmt.data.dialogue_batch import DialogueBatch, ModalityBatch
from avt_memocmt.features.base import length_mask
from avt_memocmt.features.extract_text_features import make_text_encoder
from avt_memocmt.features.text_encoder import TextEncoder, piece_spans
from avt_memocmt.models.prediction import Prediction

CHUNK = 32
"""Utterances encoded at once, of similar length: less padding, and less memory for gradients."""


def trainable_text_encoder(config: TextConfig, settings: TrainingConfig) -> TextEncoder:
    """The text encoder as it comes, with the frozen layers and the dropout of a training."""
    encoder = make_text_encoder(config)
    encoder.freeze(settings.frozen_layers)
    encoder.set_dropout(settings.encoder_dropout)
    return encoder


class WithTextEncoder(nn.Module):
    """Encodes the words of every turn, then runs the network on them and the stored tokens.

    Args:
        network: from `build_model`.
        encoder: trained along, but for the layers it froze.
    """

    def __init__(self, network: nn.Module, encoder: TextEncoder) -> None:
        super().__init__()
        self.network = network
        self.encoder = encoder

    def forward(self, batch: DialogueBatch) -> Prediction:
        """Classify every turn.

        Args:
            batch: dialogues with stored tokens of the other modalities, and the words; a turn
                without words has no text.
        """
        modalities = {**batch.modalities, "text": self._encode(batch)}
        prediction: Prediction = self.network(replace(batch, modalities=modalities))
        return prediction

    def _encode(self, batch: DialogueBatch) -> ModalityBatch:
        places = [
            (row, column)
            for row, dialogue in enumerate(batch.words)
            for column, item in enumerate(dialogue)
            if item.text
        ]
        items = [batch.words[row][column] for row, column in places]
        prepared = self.encoder.prepare(items)
        order = prepared.lengths.argsort().tolist()
        found: list[tuple[tuple[int, int], Tensor, Tensor]] = []
        for first in range(0, len(order), CHUNK):
            chosen = order[first : first + CHUNK]
            part = prepared.rows(chosen)
            tokens, _ = self.encoder(part)
            for i, item in enumerate(chosen):
                spans = torch.from_numpy(piece_spans(items[item], part.words[i]))
                found.append((places[item], tokens[i, : part.counts[i]], spans))
        return _scatter(found, batch.turn_mask, self.encoder.dim)


def _scatter(
    found: Sequence[tuple[tuple[int, int], Tensor, Tensor]], turn_mask: Tensor, dim: int
) -> ModalityBatch:
    """Put the tokens of single turns, by (dialogue, turn), into a padded batch."""
    device = turn_mask.device
    if not found:
        shape = (*turn_mask.shape, 1)
        empty = torch.zeros(*shape, dim, device=device), torch.zeros(*shape, 2, device=device)
        return ModalityBatch.of_tokens(*empty, torch.zeros(shape, dtype=torch.bool, device=device))
    places, tokens, times = zip(*found, strict=True)
    index = tuple(torch.tensor(places, device=device).T)
    lengths = torch.tensor([len(part) for part in tokens], device=device)
    values, spans = (pad_sequence(list(parts), batch_first=True) for parts in (tokens, times))
    mask = length_mask(lengths, values.shape[1])

    def placed(part: Tensor) -> Tensor:
        whole = torch.zeros(*turn_mask.shape, *part.shape[1:], dtype=part.dtype, device=device)
        return whole.index_put(index, part.to(device))

    return ModalityBatch.of_tokens(placed(values), placed(spans), placed(mask))
