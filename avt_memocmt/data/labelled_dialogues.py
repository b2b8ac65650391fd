"""Dialogues with their labels, joined from feature stores, and their division into batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.config import Modality
from avt_memocmt.data.dialogue_batch import TurnFeatures, speaker_changes
from avt_memocmt.data.feature_store import FeatureRow, FeatureStore
from avt_memocmt.data.index import UNLABELLED, UtteranceKey
from avt_memocmt.emotions import EMOTIONS, NUM_EMOTIONS
from avt_memocmt.errors import AvtError
from avt_memocmt.features.text_encoder import TextInput, contexts


@dataclass(frozen=True)
class LabelledDialogue:
    """One dialogue of a corpus; every tuple and array has one entry per turn.

    Attributes:
        keys: split, dialogue and utterance of each turn, in order, with the corpus's gaps.
        turns: stored tokens (float16) of the modalities asked for, where those of named
            measurements keep NaN where nothing was measured; and the words, with all earlier turns
            that have words as context.
        emotions: int64 [turns], indices into `labels`, or `UNLABELLED`.
        soft_targets: float32 [turns, classes], the distributions to learn where they are not those
            of the labels.
        sentiments: int64 [turns], indices into `SENTIMENTS`, or `UNLABELLED`; None where no turn
            has one.
        labels: names of the classes.
    """

    keys: tuple[UtteranceKey, ...]
    turns: tuple[TurnFeatures, ...]
    emotions: NDArray[np.int64]
    soft_targets: NDArray[np.float32] | None = None
    sentiments: NDArray[np.int64] | None = None
    labels: tuple[str, ...] = EMOTIONS

    @property
    def targets(self) -> NDArray[np.float32]:
        """float32 [turns, classes], the distributions to learn; zeros at turns without a label."""
        if self.soft_targets is not None:
            return self.soft_targets
        return one_hot(self.emotions, len(self.labels))

    def select(self, positions: Sequence[int]) -> LabelledDialogue:
        """The dialogue with the turns at these positions alone; their words keep their context."""
        kept = list(positions)
        soft = self.soft_targets
        return LabelledDialogue(
            tuple(self.keys[i] for i in kept),
            tuple(self.turns[i] for i in kept),
            self.emotions[kept],
            None if soft is None else soft[kept],
            None if self.sentiments is None else self.sentiments[kept],
            self.labels,
        )

    def only(self, modalities: Collection[str]) -> LabelledDialogue:
        """The dialogue with the tokens of these modalities alone."""
        return replace(self, turns=tuple(turn.only(modalities) for turn in self.turns))

    def single_turns(self) -> list[LabelledDialogue]:
        """Each turn as a dialogue of its own."""
        return [self.select([i]) for i in range(len(self.turns))]

    def with_context(self, turns: int) -> LabelledDialogue:
        """The dialogue with at most so many past turns in the context of each turn's words."""
        limited = []
        for turn in self.turns:
            context = turn.words.context
            words = replace(turn.words, context=context[max(0, len(context) - turns) :])
            limited.append(replace(turn, words=words))
        return replace(self, turns=tuple(limited))


def only_turns(
    dialogues: Iterable[LabelledDialogue], wanted: Callable[[TurnFeatures], bool]
) -> list[LabelledDialogue]:
    """The dialogues with those turns alone that are wanted; without any, a dialogue is left out."""
    kept = (
        dialogue.select([place for place, turn in enumerate(dialogue.turns) if wanted(turn)])
        for dialogue in dialogues
    )
    return [dialogue for dialogue in kept if dialogue.turns]


def one_hot(emotions: NDArray[np.int64], classes: int = NUM_EMOTIONS) -> NDArray[np.float32]:
    """Labels [n] -> float32 [n, classes] with a one at each label; zeros where there is none."""
    return (emotions[:, None] == np.arange(classes)).astype(np.float32)


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
            none of its utterances, the stores have different labels, or a shard is damaged.
    """
    labels = labels_of(stores)
    wanted = _modalities_of_stores(stores, modalities)
    rows = _rows_of_split(stores[0], split, wanted[0])
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
            rows[key].tokens.update(joined[key].tokens)
    by_dialogue = groupby(sorted(rows), key=lambda key: key.dialogue_id)
    return [dialogue_of_rows([rows[key] for key in keys], labels) for _, keys in by_dialogue]


def labels_of(stores: Sequence[FeatureStore]) -> tuple[str, ...]:
    """Names of the classes of some stores.

    Raises:
        AvtError: they are not the same in all.
    """
    first = stores[0].manifest.labels
    for store in stores[1:]:
        if store.manifest.labels != first:
            raise AvtError(
                f"{stores[0].folder} has the labels {', '.join(first)}, and {store.folder} "
                f"{', '.join(store.manifest.labels)}; give stores with the same labels."
            )
    return first


def dialogue_of_rows(
    rows: Sequence[FeatureRow], labels: tuple[str, ...] = EMOTIONS
) -> LabelledDialogue:
    """One dialogue from the rows of its turns, in order."""
    changes = speaker_changes([row.speaker for row in rows])
    said = contexts((row.speaker, row.text) for row in rows)
    turns = tuple(
        TurnFeatures(row.tokens, change, TextInput(row.text, context, row.duration), row.speaker)
        for row, change, context in zip(rows, changes, said, strict=True)
    )
    emotions = np.array([row.emotion for row in rows], dtype=np.int64)
    sentiments = np.array([row.sentiment for row in rows], dtype=np.int64)
    known = sentiments if (sentiments != UNLABELLED).any() else None
    keys = tuple(row.key for row in rows)
    return LabelledDialogue(keys, turns, emotions, sentiments=known, labels=labels)


def sentiments_of(dialogues: Iterable[LabelledDialogue]) -> NDArray[np.int64]:
    """int64 [turns], the sentiment of all turns in order, or `UNLABELLED`."""
    return np.concatenate(
        [
            np.full(len(d.turns), UNLABELLED) if d.sentiments is None else d.sentiments
            for d in dialogues
        ]
    )


def similar_length_batches(
    dialogues: Sequence[LabelledDialogue],
    generator: np.random.Generator | None = None,
    *,
    most_tokens: float = math.inf,
    most_turns: float = math.inf,
    most_dialogues: float = math.inf,
) -> list[list[int]]:
    """Divide dialogues into batches of limited size, so that little is spent on padding.

    Dialogues with as many turns and about as many tokens go together. A batch counts dialogues x
    turns of the longest one x tokens of the longest turn, summed over the modalities; words, those
    of the context included, count in place of text tokens that are not stored. A dialogue over a
    limit is a batch of its own.

    Args:
        dialogues: at least one.
        generator: varies the batches and their order; None = always the same, shortest first.
        most_tokens: of one batch, padding included.
        most_turns: of one batch, padding included.
        most_dialogues: of one batch.

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
        fits = size * tokens <= most_tokens and size <= most_turns and len(grown) <= most_dialogues
        if len(grown) == 1 or fits:
            batches[-1] = grown
        else:
            batches.append([row])
    if generator is not None:
        generator.shuffle(batches)
    return batches


def random_batches(
    dialogues: Sequence[LabelledDialogue], size: int, generator: np.random.Generator
) -> Iterator[list[LabelledDialogue]]:
    """`similar_length_batches` of at most `size` dialogues, in random order."""
    for rows in similar_length_batches(dialogues, generator, most_dialogues=size):
        yield [dialogues[row] for row in rows]


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


def _longest_turn(dialogue: LabelledDialogue) -> list[int]:
    """Tokens of the dialogue's longest turn, per modality."""
    counts = [
        {"text": _word_count(turn.words)} | {m: len(tokens) for m, tokens in turn.tokens.items()}
        for turn in dialogue.turns
    ]
    return [max(count.get(modality, 0) for count in counts) for modality in get_args(Modality)]


def _word_count(words: TextInput) -> int:
    """Words of an utterance and of its context."""
    return sum(len(text.split()) for text in (words.text, *(turn.text for turn in words.context)))
