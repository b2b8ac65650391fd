"""Dialogues with their labels, joined from feature stores, and their division into batches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.config import Modality
from avt_memocmt.data.dialogue_batch import TurnFeatures, speaker_changes
from avt_memocmt.data.feature_store import FeatureRow, FeatureStore
from avt_memocmt.data.index import UtteranceKey
from avt_memocmt.errors import AvtError
from avt_memocmt.features.base import Tokens
from avt_memocmt.features.text_encoder import TextInput, contexts


@dataclass(frozen=True)
class LabelledDialogue:
    """One dialogue of a corpus; every tuple and array has one entry per turn.

    Attributes:
        split: "train", "dev", "test", or another name.
        dialogue_id: within the split.
        utterance_ids: in order, with the corpus's gaps.
        turns: stored tokens (float16) of the modalities asked for; those of named measurements
            keep NaN where nothing was measured.
        emotions: int64 [turns], indices into `EMOTIONS`, or `UNLABELLED`.
        inputs: words, with all earlier turns that have words as context.
        warnings: what was noticed while extracting.
    """

    split: str
    dialogue_id: int
    utterance_ids: tuple[int, ...]
    turns: tuple[TurnFeatures, ...]
    emotions: NDArray[np.int64]
    inputs: tuple[TextInput, ...]
    warnings: tuple[tuple[str, ...], ...]


def load_dialogues(
    stores: Sequence[FeatureStore], split: str, modalities: Sequence[str]
) -> list[LabelledDialogue]:
    """Read the dialogues of one split, in the order of their ids.

    The rows of the first store define the dialogues, their words and labels; the tokens of the
    other stores join them by utterance. Where one of those lacks an utterance, its modalities are
    absent there.

    Args:
        stores: at least one.
        split: "train", "dev", "test", or another name.
        modalities: whose tokens are read; each must be in exactly one of the stores.

    Raises:
        AvtError: a modality is in none or several of the stores, a store lacks the split or has
            none of its utterances, or a shard is damaged.
    """
    wanted = _modalities_of_stores(stores, modalities)
    rows = _rows_of_split(stores[0], split, wanted[0])
    tokens = {key: dict(row.tokens) for key, row in rows.items()}
    warnings = {key: list(row.warnings) for key, row in rows.items()}
    for store, names in zip(stores[1:], wanted[1:], strict=True):
        if not names:
            continue
        joined = _rows_of_split(store, split, names)
        if joined.keys().isdisjoint(rows):
            raise AvtError(
                f"{store.folder} and {stores[0].folder} share no utterance of the split {split}; "
                "give stores of the same corpus."
            )
        for key in joined.keys() & rows.keys():
            tokens[key].update(joined[key].tokens)
            warnings[key] += [w for w in joined[key].warnings if w not in warnings[key]]
    return [
        _dialogue([rows[key] for key in keys], tokens, warnings) for keys in _keys_by_dialogue(rows)
    ]


def token_budget_batches(
    dialogues: Sequence[LabelledDialogue],
    budget: int,
    generator: np.random.Generator | None,
    most_turns: int | None = None,
) -> list[list[int]]:
    """Divide dialogues into batches that hold at most so many tokens, padding included.

    Dialogues with as many turns and about as many tokens go together. A batch counts dialogues x
    turns of the longest one x tokens of the longest turn, summed over the modalities; words, those
    of the context included, count in place of text tokens that are not stored. A dialogue over the
    budget is a batch of its own.

    Args:
        dialogues: at least one.
        budget: tokens of one batch.
        generator: varies the batches and their order; None = always the same, shortest first.
        most_turns: of one batch, padding included; None = any number.

    Returns:
        Positions in `dialogues`, each in one batch.
    """
    turns = np.array([len(dialogue.turns) for dialogue in dialogues])
    longest = np.array([_longest_turn(dialogue) for dialogue in dialogues])
    widths = longest.sum(axis=1).astype(np.float64)
    if generator is not None:
        widths *= generator.uniform(0.8, 1.2, len(widths))
    batches: list[list[int]] = [[]]
    for row in np.lexsort((widths, turns)).tolist():
        grown = [*batches[-1], row]
        tokens = max(1, longest[grown].max(axis=0).sum())
        size = len(grown) * turns[grown].max()
        fits = size * tokens <= budget and (most_turns is None or size <= most_turns)
        if len(grown) == 1 or fits:
            batches[-1] = grown
        else:
            batches.append([row])
    if generator is not None:
        generator.shuffle(batches)
    return batches


def _modalities_of_stores(
    stores: Sequence[FeatureStore], modalities: Sequence[str]
) -> list[list[str]]:
    """For each store the modalities that are read from it."""
    for modality in modalities:
        holders = [str(s.folder) for s in stores if modality in s.manifest.modalities]
        if not holders:
            raise AvtError(
                f"no {modality} features in {', '.join(str(s.folder) for s in stores)}; give a "
                "store that has them too."
            )
        if len(holders) > 1:
            raise AvtError(
                f"{' and '.join(holders)} both hold {modality} features; give only one of them, or "
                "leave one store's out when making it."
            )
    return [[m for m in modalities if m in store.manifest.modalities] for store in stores]


def _rows_of_split(
    store: FeatureStore, split: str, modalities: Sequence[str]
) -> dict[UtteranceKey, FeatureRow]:
    rows = {row.key: row for row in store.rows(split, modalities)}
    if not rows:
        raise AvtError(
            f"{store.folder} has no utterance of the split {split}; extract or import that split "
            "into it."
        )
    return rows


def _keys_by_dialogue(keys: Iterable[UtteranceKey]) -> list[list[UtteranceKey]]:
    groups = groupby(sorted(keys), key=lambda key: (key.split, key.dialogue_id))
    return [list(group) for _, group in groups]


def _dialogue(
    rows: Sequence[FeatureRow],
    tokens: dict[UtteranceKey, dict[str, Tokens]],
    warnings: dict[UtteranceKey, list[str]],
) -> LabelledDialogue:
    changes = speaker_changes([row.speaker for row in rows])
    said = contexts((row.speaker, row.text) for row in rows)
    return LabelledDialogue(
        rows[0].key.split,
        rows[0].key.dialogue_id,
        tuple(row.key.utterance_id for row in rows),
        tuple(
            TurnFeatures(tokens[row.key], change) for row, change in zip(rows, changes, strict=True)
        ),
        np.array([row.emotion for row in rows], dtype=np.int64),
        tuple(
            TextInput(row.text, context, row.duration)
            for row, context in zip(rows, said, strict=True)
        ),
        tuple(tuple(warnings[row.key]) for row in rows),
    )


def _longest_turn(dialogue: LabelledDialogue) -> list[int]:
    """Tokens of the dialogue's longest turn, per modality."""
    counts = [
        {"text": _words(item)} | {m: len(tokens) for m, tokens in turn.tokens.items()}
        for turn, item in zip(dialogue.turns, dialogue.inputs, strict=True)
    ]
    return [max(count.get(modality, 0) for count in counts) for modality in get_args(Modality)]


def _words(item: TextInput) -> int:
    return sum(len(text.split()) for text in (item.text, *(turn.text for turn in item.context)))
