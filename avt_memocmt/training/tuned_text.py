"""A network whose text tokens come from an encoder that is trained along with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from avt_memocmt.data.dialogue_batch import DialogueBatch, ModalityBatch
from avt_memocmt.features.text_encoder import TextEncoder, piece_spans
from avt_memocmt.models.prediction import Prediction

CHUNK = 32
"""Utterances encoded at once, of similar length: less padding, and less memory for gradients."""


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
    longest = max((len(tokens) for _, tokens, _ in found), default=1)
    shape = (*turn_mask.shape, max(1, longest))
    device = turn_mask.device
    dtype = found[0][1].dtype if found else torch.float32
    values = torch.zeros(*shape, dim, device=device, dtype=dtype)
    spans = torch.zeros(*shape, 2, device=device)
    mask = torch.zeros(shape, dtype=torch.bool, device=device)
    if found:
        at = [(r, c, t) for (r, c), tokens, _ in found for t in range(len(tokens))]
        rows, columns, positions = torch.tensor(at, device=device).reshape(-1, 3).unbind(1)
        values = values.index_put(
            (rows, columns, positions), torch.cat([tokens for _, tokens, _ in found])
        )
        spans[rows, columns, positions] = torch.cat([times for *_, times in found]).to(device)
        mask[rows, columns, positions] = True
    return ModalityBatch(values, spans, mask)
