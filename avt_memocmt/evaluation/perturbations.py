"""Stored features made worse on purpose: what a network loses then, it had learned from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.data.dialogue_batch import TurnFeatures
from avt_memocmt.data.index import UtteranceKey
from avt_memocmt.data.labelled_dialogues import LabelledDialogue
from avt_memocmt.errors import AvtError
from avt_memocmt.features.base import Tokens

Place = tuple[int, int]
"""Position of a dialogue in the split, and of a turn in the dialogue."""


def shuffle_modality(
    dialogues: Sequence[LabelledDialogue], modality: str, seed: int
) -> list[LabelledDialogue]:
    """Give each turn one modality's tokens of another random turn of the split.

    The turns that have the modality pass it on along one random ring: none keeps its own, each is
    used once, and a turn without it stays without it. The words in `inputs` go with the text. This
    is permutation importance (Breiman 2001) at the level of a modality.

    Args:
        dialogues: a whole split.
        modality: "audio", "visual" or "text".
        seed: of the ring.

    Raises:
        AvtError: fewer than two turns have the modality.
    """
    places = _places(dialogues, modality)
    if len(places) < 2:
        raise AvtError(
            f"{len(places)} turns of the split have {modality} features, so there is nothing to "
            "shuffle; give a store with more of them."
        )
    order = np.random.default_rng(seed).permutation(len(places))
    giver = {places[to]: places[of] for to, of in zip(order, np.roll(order, 1), strict=True)}

    def tokens_at(place: Place) -> Tokens:
        dialogue, turn = giver[place]
        return dialogues[dialogue].turns[turn].tokens[modality]

    shuffled = _replaced(dialogues, modality, tokens_at)
    return _words_moved(shuffled, dialogues, giver) if modality == "text" else shuffled


def add_value_noise(
    dialogues: Sequence[LabelledDialogue],
    modality: str,
    deviation: float,
    seed: int,
    statistics: NDArray[np.floating],
) -> list[LabelledDialogue]:
    """Add Gaussian noise to the named values of one modality; NaN (not measured) stays NaN.

    Args:
        dialogues: of any split.
        modality: one whose tokens are named measurements, a value each.
        deviation: standard deviation of the noise, in units of that of each named value.
        seed: of the noise.
        statistics: [names], standard deviation of each named value on the train split.

    Raises:
        AvtError: a turn's tokens of that modality are no named values, or not as many as there are
            statistics.
    """
    generator = np.random.default_rng(seed)
    scale = deviation * np.asarray(statistics, dtype=np.float64)[:, None]

    def tokens_at(place: Place) -> Tokens:
        dialogue, turn = place
        clean = dialogues[dialogue].turns[turn].tokens[modality]
        if clean.values.shape != scale.shape:
            raise AvtError(
                f"{_key(dialogues[dialogue], turn)}: its {modality} tokens have the shape "
                f"{clean.values.shape}, {len(scale)} named values the shape {scale.shape}; value "
                "noise needs a store of named measurements."
            )
        noisy = clean.values + scale * generator.standard_normal(scale.shape)
        return Tokens(noisy.astype(np.float32), clean.spans)

    return _replaced(dialogues, modality, tokens_at)


def _places(dialogues: Sequence[LabelledDialogue], modality: str) -> list[Place]:
    return [
        (row, column)
        for row, dialogue in enumerate(dialogues)
        for column, turn in enumerate(dialogue.turns)
        if modality in turn.tokens
    ]


def _replaced(
    dialogues: Sequence[LabelledDialogue], modality: str, tokens_at: Callable[[Place], Tokens]
) -> list[LabelledDialogue]:
    """The dialogues with new tokens wherever the modality is present, in the order of the turns."""

    def changed(place: Place, turn: TurnFeatures) -> TurnFeatures:
        if modality not in turn.tokens:
            return turn
        return replace(turn, tokens={**turn.tokens, modality: tokens_at(place)})

    return [
        replace(
            dialogue,
            turns=tuple(changed((row, column), t) for column, t in enumerate(dialogue.turns)),
        )
        for row, dialogue in enumerate(dialogues)
    ]


def _words_moved(
    shuffled: Sequence[LabelledDialogue],
    original: Sequence[LabelledDialogue],
    giver: dict[Place, Place],
) -> list[LabelledDialogue]:
    """The inputs of the text encoder follow the tokens that stand for them."""
    moved = []
    for row, dialogue in enumerate(shuffled):
        sources = [giver.get((row, column), (row, column)) for column in range(len(dialogue.turns))]
        inputs = tuple(original[d].inputs[t] for d, t in sources)
        moved.append(replace(dialogue, inputs=inputs))
    return moved


def _key(dialogue: LabelledDialogue, turn: int) -> UtteranceKey:
    return UtteranceKey(dialogue.split, dialogue.dialogue_id, dialogue.utterance_ids[turn])
