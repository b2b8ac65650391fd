"""Dialogues of token sequences, padded into tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from avt_memocmt.features.base import Tokens


@dataclass(frozen=True)
class ModalityBatch:
    """Padded tokens of one modality; leading dimensions are [batch, turns] or [batch].

    Attributes:
        values: float [..., tokens, layers * dim].
        spans: float [..., tokens, 2], seconds from the start of the utterance.
        mask: bool [..., tokens], True at real tokens; all False where the modality is absent.
    """

    values: Tensor
    spans: Tensor
    mask: Tensor

    def flatten_turns(self) -> ModalityBatch:
        """[batch, turns, tokens, ...] -> [batch * turns, tokens, ...]."""
        return ModalityBatch(
            self.values.flatten(0, 1), self.spans.flatten(0, 1), self.mask.flatten(0, 1)
        )


@dataclass(frozen=True)
class TurnFeatures:
    """Tokens of one turn by modality name; a modality that is not in it is absent."""

    tokens: dict[str, Tokens] = field(default_factory=dict)
    speaker_change: int = 0


@dataclass(frozen=True)
class DialogueBatch:
    """A batch of dialogues.

    Attributes:
        modalities: per modality name [batch, turns, tokens, ...].
        turn_mask: bool [batch, turns], True at real turns; padding comes last.
        speaker_change: int64 [batch, turns], see `temporal_transformer.SPEAKER_*`.
    """

    modalities: dict[str, ModalityBatch]
    turn_mask: Tensor
    speaker_change: Tensor


def collate(
    dialogues: Sequence[Sequence[TurnFeatures]], token_dims: dict[str, int]
) -> DialogueBatch:
    """Pad dialogues into one batch.

    Args:
        dialogues: turns in order, per dialogue.
        token_dims: width of a token of each modality, also of modalities absent from this batch.
    """
    size, turns = len(dialogues), max(len(dialogue) for dialogue in dialogues)
    turn_mask = torch.zeros(size, turns, dtype=torch.bool)
    change = torch.zeros(size, turns, dtype=torch.long)
    for row, dialogue in enumerate(dialogues):
        turn_mask[row, : len(dialogue)] = True
        change[row, : len(dialogue)] = torch.tensor([turn.speaker_change for turn in dialogue])
    modalities = {name: _pad(dialogues, name, dim, turns) for name, dim in token_dims.items()}
    return DialogueBatch(modalities, turn_mask, change)


def _pad(
    dialogues: Sequence[Sequence[TurnFeatures]], name: str, dim: int, turns: int
) -> ModalityBatch:
    """At least one token position is kept, so that no exported graph sees an empty dimension."""
    longest = max(
        (len(turn.tokens[name]) for d in dialogues for turn in d if name in turn.tokens), default=0
    )
    shape = (len(dialogues), turns, max(1, longest))
    values, spans = torch.zeros(*shape, dim), torch.zeros(*shape, 2)
    mask = torch.zeros(shape, dtype=torch.bool)
    for row, dialogue in enumerate(dialogues):
        for column, turn in enumerate(dialogue):
            found = turn.tokens.get(name)
            if found is not None and len(found):
                n = len(found)
                values[row, column, :n] = torch.from_numpy(found.values)
                spans[row, column, :n] = torch.from_numpy(found.spans)
                mask[row, column, :n] = True
    return ModalityBatch(values, spans, mask)
