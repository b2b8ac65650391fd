"""Worsens stored features on purpose, to measure how much a network relies on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.data.dialogue_batch import TurnFeatures
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
    used once, and a turn without it stays without it. The words go with the text. This is
    permutation importance (Breiman 2001) at the level of a modality.

    Args:
        dialogues: a whole split.
        modality: "audio", "visual" or "text".
        seed: of the ring.

    Raises:
        AvtError: fewer than two turns have the modality.
    """
    places = [
        (row, column)
        for row, dialogue in enumerate(dialogues)
        for column, turn in enumerate(dialogue.turns)
        if modality in turn.tokens
    ]
    if len(places) < 2:
        raise AvtError(
            f"{len(places)} turns of the split have {modality} features, so there is nothing to "
            "shuffle; give a store with more of them."
        )
    order = np.random.default_rng(seed).permutation(len(places))
    giver = {places[to]: places[of] for to, of in zip(order, np.roll(order, 1), strict=True)}

    def moved(place: Place, turn: TurnFeatures) -> TurnFeatures:
        dialogue, position = giver[place]
        given = dialogues[dialogue].turns[position]
        tokens = {**turn.tokens, modality: given.tokens[modality]}
        return replace(turn, tokens=tokens, words=given.words if modality == "text" else turn.words)

    return _changed(dialogues, modality, moved)


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

    def noisy(place: Place, turn: TurnFeatures) -> TurnFeatures:
        clean = turn.tokens[modality]
        if clean.values.shape != scale.shape:
            raise AvtError(
                f"{dialogues[place[0]].keys[place[1]]}: its {modality} tokens have the shape "
                f"{clean.values.shape}, {len(scale)} named values the shape {scale.shape}; value "
                "noise needs a store of named measurements."
            )
        values = clean.values + scale * generator.standard_normal(scale.shape)
        changed = Tokens(values.astype(np.float32), clean.spans)
        return replace(turn, tokens={**turn.tokens, modality: changed})

    return _changed(dialogues, modality, noisy)


def _changed(
    dialogues: Sequence[LabelledDialogue],
    modality: str,
    change: Callable[[Place, TurnFeatures], TurnFeatures],
) -> list[LabelledDialogue]:
    """The dialogues with every turn changed that has the modality, in the order of the turns."""
    return [
        replace(
            dialogue,
            turns=tuple(
                change((row, column), turn) if modality in turn.tokens else turn
                for column, turn in enumerate(dialogue.turns)
            ),
        )
        for row, dialogue in enumerate(dialogues)
    ]
