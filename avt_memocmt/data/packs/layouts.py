"""Finding the utterances in what a feature pack holds, as its mapping says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from avt_memocmt.data.index import UtteranceKey
from avt_memocmt.data.packs.lookup import Pack, emotion_of, shown
from avt_memocmt.data.packs.mapping import (
    DialoguePack,
    Entry,
    FeatureSource,
    PackMapping,
    RowPack,
    UtterancePack,
)
from avt_memocmt.errors import AvtError

Turns = Mapping[tuple[str, int], Sequence[int]]
"""Utterance ids of an index in order, by (split, dialogue id)."""

MAX_CELLS = 1 << 27
"""Most numbers of one table in memory at once (1 GiB)."""

_LABELS = "labels"


@dataclass(frozen=True)
class PackedUtterance:
    """One utterance of a pack.

    Attributes:
        key: the utterance; the index may not have it.
        features: the features of each modality that is present, as the pack holds them.
        duration: seconds, NaN where the pack does not say.
        emotion: index into `EMOTIONS`, or None where the pack has no known label.
    """

    key: UtteranceKey
    features: dict[str, Any]
    duration: float
    emotion: int | None


def find_utterances(pack: Pack, mapping: PackMapping, turns: Turns) -> Iterator[PackedUtterance]:
    """Go through the utterances of a pack in its order.

    Args:
        pack: one file; its `split` is what the user gave, or None.
        mapping: the layout of the pack.
        turns: utterance ids of the index, for packs that do not name their turns or rows.

    Raises:
        AvtError: the mapping does not fit the pack, parts disagree in length with one another or
            with the index, or a key or number cannot be read.
    """
    if isinstance(mapping, DialoguePack):
        yield from _from_dialogues(pack, mapping, turns)
        return
    for part in _split_parts(pack, mapping):
        if isinstance(mapping, UtterancePack):
            yield from _from_names(part, mapping)
        else:
            yield from _from_rows(part, mapping, turns)


def _split_parts(pack: Pack, mapping: UtterancePack | RowPack) -> list[Pack]:
    """The parts of a pack that is divided by split; else the pack, its split from its name."""
    if mapping.splits:
        if pack.split is not None:
            raise AvtError(f"{pack.path} is divided by split; leave out --split.")
        return [Pack(pack.path, pack.part(e), split) for split, e in mapping.splits.items()]
    if pack.split is None:
        for split, pattern in mapping.files.items():
            if fnmatchcase(pack.path.name, pattern):
                return [Pack(pack.path, pack.contents, split)]
    return [pack]


def _from_dialogues(pack: Pack, mapping: DialoguePack, turns: Turns) -> Iterator[PackedUtterance]:
    if pack.split is not None and mapping.first_dialogue:
        raise AvtError(f"{pack.path} tells the split by its dialogue ids; leave out --split.")
    parts = _parts(pack, mapping)
    for dialogue in dict.fromkeys(key for part in parts.values() for key in part):
        split, number = _dialogue_key(pack, mapping, dialogue)
        name = f"dialogue {shown(dialogue)} ({split} dia{number})"
        columns = {
            what: pack.sequence(part[dialogue], f"{what} of {name}")
            for what, part in parts.items()
            if dialogue in part
        }
        if mapping.utterance_ids is None:
            count = len(next(iter(columns.values())))
            ids, place = turns.get((split, number), range(count)), "in the index"
        else:
            ids, place = _utterance_ids(pack, mapping.utterance_ids, dialogue), "utterance ids"
        for what, column in columns.items():
            pack.check_length(f"{what} of {name}, in turns,", len(column), len(ids), place)
        for turn, utterance in enumerate(ids):
            values = {what: column[turn] for what, column in columns.items()}
            yield _utterance(UtteranceKey(split, number, utterance), values)


def _dialogue_key(pack: Pack, mapping: DialoguePack, dialogue: Any) -> tuple[str, int]:
    """(split, dialogue id) of an id that runs through the splits."""
    number = pack.identifier(dialogue, "dialogue id")
    if not mapping.first_dialogue:
        return pack.known_split(), number
    starts = [(first, split) for split, first in mapping.first_dialogue.items() if first <= number]
    if not starts:
        raise AvtError(f"{pack.path}: dialogue {number} comes before all of first_dialogue.")
    first, split = max(starts)
    return split, number - first


def _utterance_ids(pack: Pack, entry: Entry, dialogue: Any) -> Sequence[int]:
    what = f"the list of utterance ids of dialogue {dialogue}"
    ids = pack.sequence(pack.table(entry).get(dialogue), what)
    return [pack.identifier(value, "utterance id") for value in ids]


def _from_names(pack: Pack, mapping: UtterancePack) -> Iterator[PackedUtterance]:
    parts = _parts(pack, mapping)
    for name in dict.fromkeys(key for part in parts.values() for key in part):
        values = {what: part[name] for what, part in parts.items() if name in part}
        yield _utterance(pack.key(name), values)


def _from_rows(pack: Pack, mapping: RowPack, turns: Turns) -> Iterator[PackedUtterance]:
    columns = {str(name): _features(pack, source) for name, source in mapping.modalities.items()}
    count = len(next(iter(columns.values())))
    keys = _row_keys(pack, mapping, turns, count)
    if mapping.labels is not None:
        columns[_LABELS] = pack.values(mapping.labels)
    present, duration = (
        np.full(count, default) if entry is None else pack.numbers(entry)
        for entry, default in ((mapping.present, 1.0), (mapping.duration, np.nan))
    )
    for column in (*columns.values(), present, duration):
        pack.check_length("a part, in rows,", len(column), count, "in another part")
    for row, key in enumerate(keys):
        values = {what: column[row] for what, column in columns.items() if present[row]}
        yield _utterance(key, values, float(duration[row]))


def _parts(pack: Pack, mapping: DialoguePack | UtterancePack) -> dict[str, dict[Any, Any]]:
    """The dictionaries of the modalities, and of the labels where there are some."""
    parts = {str(name): pack.table(source.entry) for name, source in mapping.modalities.items()}
    return parts if mapping.labels is None else {**parts, _LABELS: pack.table(mapping.labels)}


def _utterance(
    key: UtteranceKey, values: dict[str, Any], duration: float = np.nan
) -> PackedUtterance:
    emotion = emotion_of(values.pop(_LABELS, None))
    return PackedUtterance(key, values, duration, emotion)


def _features(pack: Pack, source: FeatureSource) -> Any:
    """[rows] vectors: a part as it is, or columns of numbers side by side."""
    if source.entry is not None:
        return pack.column(source.entry)
    names = pack.columns(source.columns or ())
    count = len(pack.values(names[0]))
    if len(names) * count > MAX_CELLS:
        raise AvtError(f"{pack.path}: {len(names)} columns of {count} rows; divide it by split.")
    for name in names:
        pack.check_length(f"part {name}, in rows,", len(pack.values(name)), count, "in another")
    return np.stack([pack.numbers(name) for name in names], axis=1)


def _row_keys(pack: Pack, mapping: RowPack, turns: Turns, count: int) -> list[UtteranceKey]:
    """The utterance of each row; by the order of the index where the pack does not name them."""
    if mapping.name is not None:
        return [pack.key(name) for name in _items(pack, mapping.name, count)]
    if mapping.dialogue is not None and mapping.utterance is not None:
        dialogues = _items(pack, mapping.dialogue, count)
        utterances = _items(pack, mapping.utterance, count)
        splits = [None] * count if mapping.split is None else _items(pack, mapping.split, count)
        return [pack.key(names) for names in zip(splits, dialogues, utterances, strict=True)]
    split = pack.known_split()
    keys = [
        UtteranceKey(split, dialogue, utterance)
        for (owner, dialogue), ids in turns.items()
        if owner == split
        for utterance in ids
    ]
    pack.check_length("a part, in rows,", count, len(keys), f"in the split {split} of the index")
    return keys


def _items(pack: Pack, entry: Entry, count: int) -> list[Any]:
    """A column as Python values."""
    values = pack.values(entry)
    pack.check_length(f"part {entry}, in rows,", len(values), count, "in another part")
    return list(values.tolist() if isinstance(values, np.ndarray) else values)
