"""The index: one record per utterance of a corpus, whatever form the corpus has."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.errors import AvtError
from avt_memocmt.files import write_atomically
from avt_memocmt.printable import path_text

SPLITS = ("train", "dev", "test")
UNLABELLED = -1
"""Emotion or sentiment of an utterance whose label is not known."""
SENTIMENT_COLUMN = ("sentiment", pa.int8())
"""Of an index or a shard of a feature store, where at least one utterance has such a label."""


class UtteranceKey(NamedTuple):
    """What names one utterance; MELD's ids restart in every split."""

    split: str
    dialogue_id: int
    utterance_id: int

    def __str__(self) -> str:
        return f"{self.split} dia{self.dialogue_id}_utt{self.utterance_id}"


@dataclass(frozen=True)
class UtteranceRecord:
    """One utterance of a corpus.

    Attributes:
        split: "train", "dev", "test", or another name.
        dialogue_id: what the turns of one dialogue share within a split.
        utterance_id: order within the dialogue; ids may have gaps.
        speaker: or None.
        text: cleaned words, "" where none are known.
        emotion: index into the labels of the index, or `UNLABELLED`.
        path: absolute path of the media file, or None where there is none to be read.
        start: seconds into the media where the utterance begins.
        end: seconds where it ends, or None for the end of the media.
        flags: names of known faults ("missing", "undecodable", "too_short", ...).
        sentiment: index into `SENTIMENTS`, or `UNLABELLED`.
    """

    split: str
    dialogue_id: int
    utterance_id: int
    speaker: str | None
    text: str
    emotion: int
    path: str | None = None
    start: float = 0.0
    end: float | None = None
    flags: tuple[str, ...] = ()
    sentiment: int = UNLABELLED

    @property
    def key(self) -> UtteranceKey:
        """(split, dialogue_id, utterance_id)."""
        return UtteranceKey(self.split, self.dialogue_id, self.utterance_id)


UTTERANCE_COLUMNS = {
    "split": pa.string(),
    "dialogue_id": pa.int64(),
    "utterance_id": pa.int64(),
    "speaker": pa.string(),
    "text": pa.string(),
    "emotion": pa.int8(),
}
"""Columns of an index that a feature store has too, and their types."""
_SCHEMA = pa.schema(
    [
        *UTTERANCE_COLUMNS.items(),
        ("path", pa.string()),
        ("start", pa.float64()),
        ("end", pa.float64()),
        ("flags", pa.list_(pa.string())),
    ]
)


_LABELS = b"labels"
"""In the metadata of an index whose classes are not `EMOTIONS`: their names, as a JSON list."""


def write_index(
    records: Iterable[UtteranceRecord], path: Path, labels: tuple[str, ...] = EMOTIONS
) -> None:
    """Write an index as Parquet, whole or not at all.

    Args:
        records: the utterances.
        path: of the file.
        labels: names of the classes that their emotions count.

    Raises:
        AvtError: the folder cannot be written, or a path is not Unicode, as an index needs it.
    """
    rows = [{**asdict(record), "flags": list(record.flags)} for record in records]
    labelled = any(row["sentiment"] != UNLABELLED for row in rows)
    schema = _SCHEMA.append(pa.field(*SENTIMENT_COLUMN)) if labelled else _SCHEMA
    if labels != EMOTIONS:
        schema = schema.with_metadata({_LABELS: json.dumps(labels)})
    for path_of_row in {row["path"] for row in rows if row["path"]}:
        if path_text(path_of_row) != path_of_row:
            raise AvtError(
                f"the name {path_text(path_of_row)} is not UTF-8, so an index cannot hold it; "
                "rename the file or its folder."
            )
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema), buffer)
    write_atomically(path, buffer.getvalue())


def index_labels(path: Path) -> tuple[str, ...]:
    """Names of the classes of an index.

    Raises:
        AvtError: as of `read_index`.
    """
    try:
        found = (pq.read_schema(path).metadata or {}).get(_LABELS)
        return EMOTIONS if found is None else tuple(map(str, json.loads(found)))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise AvtError(
            f"cannot read the index {path}; make it with avt-memocmt prepare."
        ) from error


def read_index(path: Path, labels: tuple[str, ...] = EMOTIONS) -> list[UtteranceRecord]:
    """Read an index that `write_index` wrote.

    Args:
        path: of the file.
        labels: names of the classes that the caller knows.

    Raises:
        AvtError: the file is missing, damaged, no index, or has other labels.
    """
    own = index_labels(path)
    if own != labels:
        raise AvtError(
            f"{path} has the labels {', '.join(own)}, and this is for {', '.join(labels)} alone; "
            "extract, train and evaluate-features take other labels."
        )
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise AvtError(
            f"cannot read the index {path}; make it with avt-memocmt prepare."
        ) from error
    missing = set(_SCHEMA.names) - set(table.column_names)
    if missing:
        raise AvtError(
            f"{path} is no index: it lacks the column {', '.join(sorted(missing))}; make it with "
            "avt-memocmt prepare."
        )
    names = [n for n in (*_SCHEMA.names, SENTIMENT_COLUMN[0]) if n in table.column_names]
    rows = table.select(names).to_pylist()
    return [UtteranceRecord(**{**row, "flags": tuple(row["flags"] or ())}) for row in rows]


def group_dialogues(records: Iterable[UtteranceRecord]) -> list[list[UtteranceRecord]]:
    """Dialogues in the order of their first record, each in the order of its utterance ids."""
    found: dict[tuple[str, int], list[UtteranceRecord]] = {}
    for record in records:
        found.setdefault((record.split, record.dialogue_id), []).append(record)
    return [sorted(turns, key=lambda turn: turn.utterance_id) for turns in found.values()]
