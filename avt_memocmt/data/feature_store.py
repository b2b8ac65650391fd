"""The feature store: Parquet shards of encoder tokens, and a manifest that says what made them.

One row per utterance. Shards appear by atomic rename, so every file in the folder is whole. The
writer decides which shard holds which utterance, so that an interrupted run can go on.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from avt_memocmt.config import Labels, Modality, TokenShape
from avt_memocmt.data.index import (
    SENTIMENT_COLUMN,
    UNLABELLED,
    UTTERANCE_COLUMNS,
    UtteranceKey,
)
from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.errors import AvtError
from avt_memocmt.features.base import Tokens
from avt_memocmt.files import writable_folder, write_atomically

MANIFEST_FILE = "manifest.json"
FORMAT = 1
"""Version of the layout of a store."""


class StoreManifest(BaseModel):
    """What the tokens of a store are and what made them.

    Attributes:
        format: version of the layout.
        package_version: of the program that wrote it.
        labels: names that the emotion column counts.
        modalities: shape of the stored tokens; a modality that is not here is in no row.
        extractor: per modality what made its tokens: weights' name and SHA-256 or revision, rate,
            or the file they were imported from.
        preprocessing: the settings that shaped the input of the encoders.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = FORMAT
    package_version: str
    labels: Labels = EMOTIONS
    modalities: dict[Modality, TokenShape]
    extractor: dict[Modality, dict[str, Any]]
    preprocessing: dict[str, Any] = {}


@dataclass(frozen=True)
class FeatureRow:
    """The stored features of one utterance.

    Attributes:
        key: (split, dialogue_id, utterance_id).
        speaker: or None.
        text: the words, "" where there are none.
        emotion: index into the labels of the manifest, or `index.UNLABELLED`.
        duration: seconds of the utterance.
        tokens: per modality that is present; float16 on disk.
        warnings: what the extraction met ("no_face", "silent_audio", ...).
        sentiment: index into `SENTIMENTS`, or `index.UNLABELLED`.
    """

    key: UtteranceKey
    speaker: str | None
    text: str
    emotion: int
    duration: float
    tokens: dict[str, Tokens] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    sentiment: int = UNLABELLED


class FeatureStore:
    """A folder of shards under one manifest; made by `create` or `open`.

    The folder may be one of `store_folder` at a URL.
    """

    def __init__(self, folder: Path, manifest: StoreManifest) -> None:
        self.folder = folder
        self.manifest = manifest

    @classmethod
    def create(cls, folder: Path, manifest: StoreManifest) -> FeatureStore:
        """Start a store, or go on with one that has the same manifest.

        Raises:
            AvtError: the folder holds a store with another manifest (the differing keys are named)
                or cannot be written.
        """
        if (folder / MANIFEST_FILE).is_file():
            store = cls.open(folder)
            store._require(manifest)
            return store
        writable_folder(folder)
        text = manifest.model_dump_json(indent=2) + "\n"
        write_atomically(folder / MANIFEST_FILE, text.encode())
        return cls(folder, manifest)

    @classmethod
    def open(cls, folder: Path) -> FeatureStore:
        """Open a store for reading.

        Raises:
            AvtError: the folder is no feature store, or one of another version.
        """
        path = folder / MANIFEST_FILE
        try:
            manifest = StoreManifest.model_validate_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise AvtError(
                f"{folder} is no feature store (it has no {MANIFEST_FILE}); make one with "
                "avt-memocmt extract or import-pack."
            ) from error
        except (OSError, UnicodeDecodeError, ValidationError) as error:
            raise AvtError(f"{path} is damaged; extract the features again.") from error
        if manifest.format != FORMAT:
            raise AvtError(
                f"{folder} has the store format {manifest.format}, this version reads {FORMAT}; "
                "extract the features again."
            )
        return cls(folder, manifest)

    def encoder_sha256(self, modality: str) -> str | None:
        """SHA-256 of what the manifest says of a modality's encoder and its preprocessing.

        None where the tokens were imported: two files of one pack are not two encoders.
        """
        made = self.manifest.extractor.get(modality, {})  # type: ignore[call-overload]
        if "name" not in made:
            return None
        others = set(self.manifest.extractor) - {modality}
        settings = {k: v for k, v in self.manifest.preprocessing.items() if k not in others}
        content = json.dumps([made, settings], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def shard_path(self, number: int) -> Path:
        """Where shard `number` lies."""
        return self.folder / f"part-{number:05d}.parquet"

    def shards(self) -> list[Path]:
        """The finished shards in order."""
        return sorted(self.folder.glob("part-[0-9]*.parquet"))

    def write_shard(self, number: int, rows: Sequence[FeatureRow]) -> None:
        """Write one shard, whole or not at all; the same rows give the same bytes.

        Raises:
            AvtError: tokens do not have the manifest's shape or are not finite (the row is named),
                or the disk is full.
        """
        for row in rows:
            self.check(row)
        buffer = io.BytesIO()
        pq.write_table(self._table(rows), buffer, compression="zstd")
        write_atomically(self.shard_path(number), buffer.getvalue())

    def rows(
        self, split: str | None = None, modalities: Sequence[str] | None = None
    ) -> Iterator[FeatureRow]:
        """Read rows in the order of writing, one shard in memory at a time.

        Args:
            split: read the rows of this split alone.
            modalities: read the tokens of these modalities alone.

        Raises:
            AvtError: a shard is damaged.
        """
        names = [m for m in self.manifest.modalities if modalities is None or m in modalities]
        lists = [f"{name}_{part}" for name in names for part in ("values", "spans")]
        wanted = None if split is None else [("split", "==", split)]
        for path in self.shards():
            try:
                table = _read_shard(path, [*_PLAIN, *lists], wanted)
            except (OSError, pa.ArrowException) as error:
                raise AvtError(
                    f"{path} is damaged; delete it and run the extraction again."
                ) from error
            yield from self._read(table, names)

    def keys(self) -> set[UtteranceKey]:
        """The utterances that are stored."""
        return {row.key for row in self.rows(modalities=())}

    def check(self, row: FeatureRow) -> None:
        """Check that a row can be stored.

        Raises:
            AvtError: its tokens do not have the manifest's shape, or are not finite as float16.
        """
        for name, tokens in row.tokens.items():
            shape = self.manifest.modalities.get(name)  # type: ignore[call-overload]
            if shape is None:
                raise AvtError(f"{row.key} has {name} tokens, but the store's manifest has none.")
            width = tokens.values.shape[1]
            if width != shape.width:
                raise AvtError(
                    f"{row.key}: its {name} tokens are {width} wide, the store's {shape.width}."
                )
            if shape.names is None and not np.isfinite(_half(tokens.values)).all():
                raise AvtError(
                    f"{row.key}: its {name} tokens hold values that are not finite as float16."
                )
            if shape.names is not None and len(tokens) != len(shape.names):
                raise AvtError(
                    f"{row.key}: {len(tokens)} {name} values, but {len(shape.names)} names."
                )

    def _require(self, manifest: StoreManifest) -> None:
        """Refuse to go on with a store that was made otherwise than `manifest` says."""
        ours, theirs = (_flatten(m.model_dump(mode="json")) for m in (self.manifest, manifest))
        different = sorted(k for k in ours.keys() | theirs.keys() if ours.get(k) != theirs.get(k))
        if different:
            shown = "; ".join(
                f"{k} is {ours.get(k)!r} there and {theirs.get(k)!r} here" for k in different[:5]
            )
            raise AvtError(
                f"{self.folder} was made by another extractor: {shown}. Give another folder, or "
                "the configuration that made it."
            )

    def _table(self, rows: Sequence[FeatureRow]) -> pa.Table:
        columns: dict[str, Any] = {
            name: pa.array(
                [getattr(row.key if name in UtteranceKey._fields else row, name) for row in rows],
                kind,
            )
            for name, kind in _PLAIN.items()
        }
        if any(row.sentiment != UNLABELLED for row in rows):
            name, kind = SENTIMENT_COLUMN
            columns[name] = pa.array([row.sentiment for row in rows], kind)
        for name in self.manifest.modalities:
            found = [row.tokens.get(name) for row in rows]
            values = [None if t is None else _half(t.values).ravel() for t in found]
            spans = [None if t is None else t.spans.astype(np.float32).ravel() for t in found]
            columns[f"{name}_values"] = pa.array(values, pa.list_(pa.float16()))
            columns[f"{name}_spans"] = pa.array(spans, pa.list_(pa.float32()))
        return pa.table(columns)

    def _read(self, table: pa.Table, names: Sequence[str]) -> Iterator[FeatureRow]:
        plain = zip(*(table[name].to_pylist() for name in _PLAIN), strict=True)
        lists = {
            name: table[name].combine_chunks()
            for modality in names
            for name in (f"{modality}_values", f"{modality}_spans")
        }
        sentiments = [UNLABELLED] * len(table)
        if SENTIMENT_COLUMN[0] in table.column_names:
            sentiments = table[SENTIMENT_COLUMN[0]].to_pylist()
        for i, (*key, speaker, text, emotion, duration, warnings) in enumerate(plain):
            tokens = {}
            for name in names:
                values, spans = (lists[f"{name}_{part}"][i] for part in ("values", "spans"))
                if values.is_valid:
                    width = self.manifest.modalities[name].width  # type: ignore[index]
                    tokens[name] = Tokens(
                        values.values.to_numpy(zero_copy_only=False).reshape(-1, width),
                        spans.values.to_numpy(zero_copy_only=False).reshape(-1, 2),
                    )
            yield FeatureRow(
                UtteranceKey(*key),
                speaker,
                text,
                emotion,
                duration,
                tokens,
                tuple(warnings),
                sentiments[i],
            )


_PLAIN = {
    **UTTERANCE_COLUMNS,
    "duration": pa.float64(),
    "warnings": pa.list_(pa.string()),
}
"""Columns beside the tokens, and their types."""


def _read_shard(
    path: Any, columns: list[str], wanted: list[tuple[str, str, str]] | None
) -> pa.Table:
    """The columns of a shard, and the sentiment where it has that."""
    file, system = (path, None) if isinstance(path, Path) else (path.path, path.fs)
    names = pq.read_schema(file, filesystem=system).names
    found = [name for name in (SENTIMENT_COLUMN[0],) if name in names]
    return pq.read_table(file, columns=[*columns, *found], filters=wanted, filesystem=system)


def _half(values: NDArray[np.floating[Any]]) -> NDArray[np.float16]:
    with np.errstate(over="ignore"):
        return values.astype(np.float16)


def _flatten(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"a.b": 1}."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        is_nested = isinstance(value, dict)
        flat |= _flatten(value, f"{prefix}{key}.") if is_nested else {f"{prefix}{key}": value}
    return flat
