"""The baselines of the speakers of a whole set of utterances."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.data.baseline_scope import BaselineScope, require_speakers
from avt_memocmt.data.labelled_dialogues import LabelledDialogue
from avt_memocmt.data.speaker_baselines import (
    Baseline,
    SpeakerBaselines,
    Statistics,
    random_others,
    utterance_statistics,
)

Described = tuple[str | None, Mapping[str, Statistics]]
"""The speaker of an utterance, and its `utterance_statistics`."""


def with_baselines(
    dialogues: Sequence[LabelledDialogue], scope: BaselineScope
) -> list[LabelledDialogue]:
    """The dialogues with the baselines of their speakers; no label is looked at.

    An utterance is never in its own baseline; one of an unknown speaker has none.

    Args:
        dialogues: the whole set, in which a name always means the same speaker.
        scope: which utterances of the speaker count.

    Raises:
        AvtError: as of `require_speakers`.
    """
    if scope == "off":
        return [_with(dialogue, [{}] * len(dialogue.turns)) for dialogue in dialogues]
    if scope == "past":
        return [_with(dialogue, _of_past(dialogue)) for dialogue in dialogues]
    turns = [turn for dialogue in dialogues for turn in dialogue.turns]
    require_speakers(scope, (turn.speaker for turn in turns))
    found = iter(of_others([(t.speaker, utterance_statistics(t.tokens)) for t in turns], scope))
    return [_with(dialogue, [next(found) for _ in dialogue.turns]) for dialogue in dialogues]


def of_others(
    utterances: Sequence[Described], scope: Literal["all"] | int
) -> list[dict[str, Baseline]]:
    """The baselines of each utterance by modality, from other utterances of its speaker.

    Args:
        utterances: the whole set.
        scope: "all", or how many of those that have the modality; all where there are fewer.
    """
    places: dict[tuple[str, str], list[int]] = {}
    for place, (speaker, statistics) in enumerate(utterances):
        for modality in statistics if speaker else ():
            places.setdefault((speaker or "", modality), []).append(place)
    found: list[dict[str, Baseline]] = [{} for _ in utterances]
    for (speaker, modality), own in places.items():
        rows = np.stack([utterances[place][1][modality] for place in own])
        count = len(own) - 1 if scope == "all" else min(scope, len(own) - 1)
        if count == 0:
            continue
        # Seeded by the name, so that other speakers in the set change nothing.
        seed = zlib.crc32(f"{modality} {speaker}".encode())
        means = _mean_of_others(rows, count, np.random.default_rng(seed))
        for place, mean in zip(own, means, strict=True):
            found[place][modality] = Baseline(mean, count)
    return found


def _mean_of_others(
    rows: NDArray[np.float32], count: int, generator: np.random.Generator
) -> NDArray[np.float32]:
    """For each of the rows [n, width] the mean of `count` others, [n, width]."""
    most = len(rows) - 1
    if count == most:
        total = rows.sum(axis=0, dtype=np.float64)
        return np.stack([((total - row) / most).astype(np.float32) for row in rows])
    everyone = np.arange(len(rows))
    drawn = (random_others(everyone, place, count, generator) for place in everyone.tolist())
    return np.stack([rows[others].mean(axis=0) for others in drawn])


def _of_past(dialogue: LabelledDialogue) -> list[dict[str, Baseline]]:
    """The baselines of each turn from the earlier ones."""
    past, found = SpeakerBaselines(), []
    for turn in dialogue.turns:
        found.append(past.of(turn.speaker))
        past.add(turn.speaker, turn.tokens)
    return found


def _with(dialogue: LabelledDialogue, baselines: Sequence[dict[str, Baseline]]) -> LabelledDialogue:
    turns = zip(dialogue.turns, baselines, strict=True)
    return replace(dialogue, turns=tuple(replace(turn, baselines=own) for turn, own in turns))
