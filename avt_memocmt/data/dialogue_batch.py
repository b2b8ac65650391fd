"""Dialogues of token sequences, padded into tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from avt_memocmt.features.base import Tokens

SPEAKER_UNKNOWN, SPEAKER_SAME, SPEAKER_CHANGED = 0, 1, 2
"""Whether a turn's speaker is that of the turn before it."""


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

    def rows(self, index: Tensor, least: int = 1) -> ModalityBatch:
        """Some rows of a flattened batch, padded no further than they need.

        Args:
            index: int64 [n], the rows.
            least: token positions that are kept in any case, where there are so many.
        """
        mask = self.mask[index]
        used = mask.any(dim=0).nonzero()
        longest = max(least, int(used.max()) + 1 if len(used) else 1)
        return ModalityBatch(
            self.values[index, :longest], self.spans[index, :longest], mask[:, :longest]
        )

    def to(self, device: torch.device) -> ModalityBatch:
        """The same tensors on another device."""
        return ModalityBatch(self.values.to(device), self.spans.to(device), self.mask.to(device))


@dataclass(frozen=True)
class TurnFeatures:
    """Tokens of one turn by modality name; a modality that is not in it is absent."""

    tokens: dict[str, Tokens] = field(default_factory=dict)
    speaker_change: int = SPEAKER_UNKNOWN


@dataclass(frozen=True)
class DialogueBatch:
    """A batch of dialogues.

    Attributes:
        modalities: per modality name [batch, turns, tokens, ...].
        turn_mask: bool [batch, turns], True at real turns; padding comes last.
        speaker_change: int64 [batch, turns], one of the `SPEAKER_*` constants.
    """

    modalities: dict[str, ModalityBatch]
    turn_mask: Tensor
    speaker_change: Tensor

    def to(self, device: torch.device) -> DialogueBatch:
        """The same batch on another device."""
        modalities = {name: part.to(device) for name, part in self.modalities.items()}
        return DialogueBatch(modalities, self.turn_mask.to(device), self.speaker_change.to(device))


def speaker_changes(speakers: Sequence[str | None]) -> list[int]:
    """For each turn of a dialogue whether its speaker is that of the turn before (`SPEAKER_*`)."""
    changes = [SPEAKER_UNKNOWN]
    for before, now in pairwise(speakers):
        if before is None or now is None:
            changes.append(SPEAKER_UNKNOWN)
        else:
            changes.append(SPEAKER_SAME if before == now else SPEAKER_CHANGED)
    return changes[: len(speakers)]


def collate(
    dialogues: Sequence[Sequence[TurnFeatures]], token_dims: dict[str, int]
) -> DialogueBatch:
    """Pad dialogues into one batch.

    A token that holds NaN (a named value that was not measured) is masked, like padding.

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
    values, spans = np.zeros((*shape, dim), np.float32), np.zeros((*shape, 2), np.float32)
    mask = np.zeros(shape, np.bool_)
    for row, dialogue in enumerate(dialogues):
        for column, turn in enumerate(dialogue):
            found = turn.tokens.get(name)
            if found is not None:
                place = (row, column, slice(len(found)))
                mask[place] = ~np.isnan(found.values).any(axis=1)
                values[place] = np.where(mask[place][:, None], found.values, 0.0)
                spans[place] = found.spans
    return ModalityBatch(torch.from_numpy(values), torch.from_numpy(spans), torch.from_numpy(mask))
