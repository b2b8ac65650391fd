"""Which utterances are extracted, in which order, and in which shards."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from avt_memocmt.data.index import (
    UNLABELLED,
    UtteranceKey,
    UtteranceRecord,
    group_dialogues,
    index_labels,
    read_index,
)
from avt_memocmt.data.manifest import read_manifest
from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.errors import AvtError
from avt_memocmt.extraction.clip import ClipSpec
from avt_memocmt.features.text_encoder import ContextTurn, contexts
from avt_memocmt.media.discovery import find_media

SHARD_SIZE = 64
"""Utterances of one shard, failed ones included."""


def source_labels(source: Path) -> tuple[str, ...]:
    """Names of the classes of an index; of a manifest or folder those of `EMOTIONS`.

    Raises:
        AvtError: the index cannot be read.
    """
    return index_labels(source) if source.suffix.lower() == ".parquet" else EMOTIONS


def read_source(
    source: Path, split: str | None = None, labels: tuple[str, ...] = EMOTIONS
) -> list[UtteranceRecord]:
    """The utterances of an index (.parquet), a manifest (.csv) or a folder of media.

    The rows of a manifest form the split "manifest", with dialogues and turns numbered in order.
    The files of a folder form the split "folder", each a dialogue of one turn, in order of path.

    Args:
        source: the file or folder.
        split: keep only this split.
        labels: names of the classes that the caller knows.

    Raises:
        AvtError: the source cannot be read, or has other labels or no such split.
    """
    if source.is_dir():
        records = _folder_records(source)
    elif source.suffix.lower() == ".parquet":
        records = read_index(source, labels)
    elif source.suffix.lower() in (".csv", ".tsv"):
        records = _manifest_records(source)
    else:
        raise AvtError(
            f"{source} is no index (.parquet), manifest (.csv) or folder of media; make an index "
            "with avt-memocmt prepare."
        )
    found = [record for record in records if split in (None, record.split)]
    if not found:
        splits = ", ".join(sorted({record.split for record in records})) or "none"
        raise AvtError(f"{source} has no utterances of {split or 'any split'}; splits: {splits}.")
    return found


@dataclass(frozen=True)
class ExtractionPlan:
    """The fixed division of a source into shards of clips, in the order of the source.

    Attributes:
        shards: the clips.
        labels: names of the classes that their emotions count.
    """

    shards: tuple[tuple[ClipSpec, ...], ...]
    labels: tuple[str, ...] = EMOTIONS

    @classmethod
    def of(
        cls, records: Sequence[UtteranceRecord], labels: tuple[str, ...] = EMOTIONS
    ) -> ExtractionPlan:
        """Divide records into shards in their order, each with the turns said before it.

        Raises:
            AvtError: two records are the same utterance.
        """
        context: dict[UtteranceKey, tuple[ContextTurn, ...]] = {}
        for turns in group_dialogues(records):
            before = contexts((turn.speaker, turn.text) for turn in turns)
            context.update(zip((turn.key for turn in turns), before, strict=True))
        if len(context) < len(records):
            keys = [record.key for record in records]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise AvtError(f"{twice} is there twice; give every utterance an id of its own.")
        clips = [ClipSpec(record, context[record.key]) for record in records]
        first = range(0, len(clips), SHARD_SIZE)
        return cls(tuple(tuple(clips[i : i + SHARD_SIZE]) for i in first), labels)

    @property
    def clips(self) -> list[ClipSpec]:
        """All clips in order."""
        return [clip for shard in self.shards for clip in shard]

    def fingerprint(self) -> str:
        """SHA-256 of the records and of their division into shards."""
        rows = [[_described(clip.record) for clip in shard] for shard in self.shards]
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _described(record: UtteranceRecord) -> dict[str, Any]:
    """The fields of a record but its sentiment: stores that were made before it stay valid."""
    return {name: value for name, value in asdict(record).items() if name != "sentiment"}


def _manifest_records(path: Path) -> list[UtteranceRecord]:
    return [
        UtteranceRecord(
            split="manifest",
            dialogue_id=number,
            utterance_id=position,
            speaker=row.speaker,
            text=row.text,
            emotion=row.emotion,
            path=None if row.path is None else str(row.path.resolve()),
            start=row.start,
            end=row.end,
            sentiment=row.sentiment,
        )
        for number, rows in enumerate(read_manifest(path))
        for position, row in enumerate(rows)
    ]


def _folder_records(folder: Path) -> list[UtteranceRecord]:
    return [
        UtteranceRecord("folder", number, 0, None, "", UNLABELLED, path=str(path.resolve()))
        for number, path in enumerate(find_media(folder))
    ]
