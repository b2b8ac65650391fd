"""Dialogues of token sequences, padded into tensors."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from avt_memocmt.data.speaker_baselines import Baseline
from avt_memocmt.features.base import Tokens
from avt_memocmt.features.text_encoder import TextInput

SPEAKER_UNKNOWN, SPEAKER_SAME, SPEAKER_CHANGED = 0, 1, 2
"""Whether a turn's speaker is that of the turn before it."""
NO_WORDS = TextInput("")


@dataclass(frozen=True)
class ModalityBatch:
    """Padded tokens of one modality; leading dimensions are [batch, turns] or [batch].

    Attributes:
        values: float [..., tokens, layers * dim].
        spans: float [..., tokens, 2], seconds from the start of the utterance.
        mask: bool [..., tokens], True at real tokens; all False where the modality is absent.
        baseline: float [..., 2 * layers * dim], the speaker's own, see `Baseline`; 0 where unknown.
        baseline_count: float [...], utterances that it is the mean of; 0 where unknown.
    """

    values: Tensor
    spans: Tensor
    mask: Tensor
    baseline: Tensor
    baseline_count: Tensor

    @classmethod
    def of_tokens(cls, values: Tensor, spans: Tensor, mask: Tensor) -> ModalityBatch:
        """Tokens of speakers whose baselines are unknown."""
        leading, width = mask.shape[:-1], values.shape[-1]
        none = values.new_zeros((*leading, 2 * width))
        return cls(values, spans, mask, none, values.new_zeros(leading))

    def map(self, call: Callable[[Tensor], Tensor]) -> ModalityBatch:
        """Apply `call` to every tensor."""
        return ModalityBatch(*(call(getattr(self, part.name)) for part in fields(self)))

    def flatten_turns(self) -> ModalityBatch:
        """[batch, turns, tokens, ...] -> [batch * turns, tokens, ...]."""
        return self.map(lambda part: part.flatten(0, 1))

    def rows(self, index: Tensor, least: int = 1) -> ModalityBatch:
        """Select rows of a flattened batch, padded no further than they need.

        Args:
            index: int64 [n], the rows.
            least: token positions that are kept in any case, where there are so many.
        """
        chosen = self.map(lambda part: part[index])
        used = chosen.mask.any(dim=0).nonzero()
        longest = max(least, int(used.max()) + 1 if len(used) else 1)
        return replace(
            chosen,
            values=chosen.values[:, :longest],
            spans=chosen.spans[:, :longest],
            mask=chosen.mask[:, :longest],
        )

    def to(self, device: torch.device) -> ModalityBatch:
        """Copy the tensors to another device."""
        return self.map(lambda part: part.to(device))


@dataclass(frozen=True)
class TurnFeatures:
    """What a network is given of one turn.

    Attributes:
        tokens: by modality name; a modality that is not in it is absent.
        speaker_change: one of the `SPEAKER_*` constants.
        words: for a network that encodes them itself.
        speaker: who speaks; None where unknown.
        baselines: by modality name, the speaker's own where known.
    """

    tokens: dict[str, Tokens] = field(default_factory=dict)
    speaker_change: int = SPEAKER_UNKNOWN
    words: TextInput = NO_WORDS
    speaker: str | None = None
    baselines: dict[str, Baseline] = field(default_factory=dict)

    def only(self, modalities: Collection[str]) -> TurnFeatures:
        """The same turn with the tokens of these modalities alone."""
        return replace(self, tokens={m: t for m, t in self.tokens.items() if m in modalities})


@dataclass(frozen=True)
class DialogueBatch:
    """A batch of dialogues.

    Attributes:
        modalities: per modality name [batch, turns, tokens, ...].
        turn_mask: bool [batch, turns], True at real turns; padding comes last.
        speaker_change: int64 [batch, turns], one of the `SPEAKER_*` constants.
        speakers: int64 [batch, turns], the number of the turn's speaker within its dialogue; -1
            where unknown, and at padding.
        words: per dialogue those of its real turns; empty where no network reads them.
        targets: float [batch, turns, 7], the distributions to learn, for a network that adds losses
            of its own; zeros at turns without a label. None outside training.
    """

    modalities: dict[str, ModalityBatch]
    turn_mask: Tensor
    speaker_change: Tensor
    speakers: Tensor
    words: tuple[tuple[TextInput, ...], ...] = ()
    targets: Tensor | None = None

    def with_targets(self, targets: Tensor) -> DialogueBatch:
        """The batch with the distributions to learn, [turns, classes], of its real turns."""
        padded = targets.new_zeros(*self.turn_mask.shape, targets.shape[1])
        padded[self.turn_mask] = targets
        return replace(self, targets=padded)

    def to(self, device: torch.device) -> DialogueBatch:
        """Copy the tensors to another device."""
        return DialogueBatch(
            {name: part.to(device) for name, part in self.modalities.items()},
            self.turn_mask.to(device),
            self.speaker_change.to(device),
            self.speakers.to(device),
            self.words,
            None if self.targets is None else self.targets.to(device),
        )


def speaker_changes(speakers: Sequence[str | None]) -> list[int]:
    """For each turn of a dialogue whether its speaker is that of the turn before (`SPEAKER_*`)."""
    changes = [SPEAKER_UNKNOWN]
    for before, now in pairwise(speakers):
        if before is None or now is None:
            changes.append(SPEAKER_UNKNOWN)
        else:
            changes.append(SPEAKER_SAME if before == now else SPEAKER_CHANGED)
    return changes[: len(speakers)]


def speaker_numbers(speakers: Sequence[str | None]) -> list[int]:
    """Number the speakers of a dialogue's turns from 0 in the order they appear; -1 = unknown."""
    named = {name: number for number, name in enumerate(dict.fromkeys(filter(None, speakers)))}
    return [named[name] if name else -1 for name in speakers]


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
    speakers = torch.full((size, turns), -1)
    for row, dialogue in enumerate(dialogues):
        turn_mask[row, : len(dialogue)] = True
        numbers = speaker_numbers([turn.speaker for turn in dialogue])
        speakers[row, : len(dialogue)] = torch.tensor(numbers)
        change[row, : len(dialogue)] = torch.tensor([turn.speaker_change for turn in dialogue])
    modalities = {name: _pad(dialogues, name, dim, turns) for name, dim in token_dims.items()}
    words = tuple(tuple(turn.words for turn in dialogue) for dialogue in dialogues)
    return DialogueBatch(modalities, turn_mask, change, speakers, words)


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
    baseline = np.zeros((*shape[:2], 2 * dim), np.float32)
    count = np.zeros(shape[:2], np.float32)
    for row, dialogue in enumerate(dialogues):
        for column, turn in enumerate(dialogue):
            found, own = turn.tokens.get(name), turn.baselines.get(name)
            if own is not None:
                baseline[row, column], count[row, column] = own.statistics, own.count
            if found is not None:
                place = (row, column, slice(len(found)))
                given = found.values.astype(np.float32, copy=False)
                mask[place] = ~np.isnan(given).any(axis=1)
                values[place] = np.where(mask[place][:, None], given, 0.0)
                spans[place] = found.spans
    return ModalityBatch(*map(torch.from_numpy, (values, spans, mask, baseline, count)))
