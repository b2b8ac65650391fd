"""The utterances of feature packs, gathered by the keys of an index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from avt_memocmt.config import Modality, TokenShape
from avt_memocmt.data.feature_store import FeatureRow
from avt_memocmt.data.index import UNLABELLED, UtteranceKey, UtteranceRecord, group_dialogues
from avt_memocmt.data.manifest import nominal_seconds
from avt_memocmt.data.packs.layouts import PackedUtterance, Turns, find_utterances
from avt_memocmt.data.packs.lookup import Pack, shown
from avt_memocmt.data.packs.mapping import FeatureSource, PackMapping
from avt_memocmt.data.packs.read import array_of_tensor
from avt_memocmt.errors import AvtError
from avt_memocmt.features.base import Tokens

MAX_VALUES = 1 << 30
"""Values of all utterances, which lie in memory (2 GiB) until the store is written."""

MAX_UNKNOWN = 1 << 20
"""Utterances that the index lacks, after which a pack is taken for another corpus."""


@dataclass
class ImportReport:
    """What was found in the packs.

    Attributes:
        rows: utterances of the index in the splits that the packs cover; each has a row.
        present: rows with tokens, per modality.
        not_measured: named values that are NaN in those rows, per modality.
        missing: rows that the packs lack; they have no tokens.
        unknown: utterances of the packs that the index lacks; they are left out.
        disagreeing: labels of the packs that differ from the index, whose labels stand.
    """

    rows: int = 0
    present: dict[Modality, int] = field(default_factory=dict)
    not_measured: dict[Modality, int] = field(default_factory=dict)
    missing: int = 0
    unknown: int = 0
    disagreeing: int = 0


@dataclass(frozen=True)
class _Imported:
    values: dict[Modality, NDArray[np.float16]]
    duration: float | None


class PackCollection:
    """The values of all packs by utterance, while they are read.

    Args:
        mapping: how the packs are laid out.
        records: the index.
    """

    def __init__(self, mapping: PackMapping, records: Sequence[UtteranceRecord]) -> None:
        self.report = ImportReport()
        self._mapping = mapping
        self._records = {record.key: record for record in records}
        self._turns: Turns = {
            (turns[0].split, turns[0].dialogue_id): [turn.utterance_id for turn in turns]
            for turns in group_dialogues(records)
        }
        self._found: dict[UtteranceKey, _Imported] = {}
        self._widths: dict[Modality, int] = {}
        self._size = 0

    def add(self, pack: Pack) -> None:
        """Take the utterances of one pack that the index has.

        Raises:
            AvtError: it is unfit (see `pack_layouts` and `pack_features`), repeats an utterance,
                has none of the index, or its vectors differ in width from the ones before.
        """
        unknown: UtteranceKey | None = None
        matched = False
        for item in find_utterances(pack, self._mapping, self._turns):
            if item.key in self._records:
                matched = True
                self._take(pack, item)
            else:
                unknown = unknown or item.key
                self.report.unknown += 1
                if self.report.unknown > MAX_UNKNOWN:
                    raise AvtError(
                        f"{pack.path}: over {MAX_UNKNOWN} utterances are not in the index; give "
                        "the index of the same corpus."
                    )
        if not matched:
            example = f" (the first is {unknown})" if unknown else ""
            raise AvtError(
                f"{pack.path}: none of its utterances{example} is in the index; give the index of "
                "the same corpus, or correct the mapping or --split."
            )

    def _take(self, pack: Pack, item: PackedUtterance) -> None:
        if item.key in self._found:
            raise AvtError(f"{pack.path} has {item.key} a second time; keep one of them.")
        values: dict[Modality, NDArray[np.float16]] = {}
        for modality, source in self._mapping.modalities.items():
            if modality in item.features:
                what = f"{pack.path}, {item.key}, {modality}"
                found = utterance_values(item.features[modality], source, what)
                if found is not None:
                    self._check(modality, found, what)
                    values[modality] = found
        self._found[item.key] = _Imported(values, item.duration)
        label = self._records[item.key].emotion
        if item.emotion is not None and label not in (UNLABELLED, item.emotion):
            self.report.disagreeing += 1

    def _check(self, modality: Modality, values: NDArray[np.float16], what: str) -> None:
        width = self._widths.setdefault(modality, values.shape[1])
        if width != values.shape[1]:
            raise AvtError(
                f"{what}: {values.shape[1]} values wide, but {width} before; give all utterances "
                "the same."
            )
        self._size += values.size
        if self._size > MAX_VALUES:
            raise AvtError(f"{what}: over {MAX_VALUES} values so far; import fewer files at once.")

    def shapes(self) -> dict[Modality, TokenShape]:
        """What the tokens of each modality are."""
        return {
            modality: TokenShape(
                dim=self._widths[modality], names=source.columns if source.named else None
            )
            for modality, source in self._mapping.modalities.items()
            if modality in self._widths
        }

    def rows(self) -> list[FeatureRow]:
        """A row for each utterance of the covered splits; counts them in the report."""
        splits = {key.split for key in self._found}
        rows = [self._row(record) for record in self._records.values() if record.split in splits]
        self.report.rows = len(rows)
        self.report.missing = len(rows) - len(self._found)
        for modality in self._widths:
            tokens = [row.tokens[modality] for row in rows if modality in row.tokens]
            self.report.present[modality] = len(tokens)
            self.report.not_measured[modality] = sum(
                int(np.isnan(item.values).sum()) for item in tokens
            )
        return rows

    def _row(self, record: UtteranceRecord) -> FeatureRow:
        found = self._found.get(record.key, _Imported({}, None))
        duration = _duration(record, found.duration)
        row = FeatureRow(record.key, record.speaker, record.text, record.emotion, duration)
        for modality, values in found.values.items():
            spans = self._spans(modality, len(values), duration)
            row.tokens[modality] = Tokens(values, spans)  # type: ignore[arg-type]
        return row

    def _spans(self, modality: Modality, count: int, duration: float) -> NDArray[np.float32]:
        """[tokens, 2] seconds: named values hold for all of the utterance, others divide it."""
        if self._mapping.modalities[modality].named:
            return np.tile(np.array([0.0, duration], dtype=np.float32), (count, 1))
        edges = np.linspace(0.0, duration, count + 1, dtype=np.float32)
        return np.stack([edges[:-1], edges[1:]], axis=1)


def _duration(record: UtteranceRecord, measured: float | None) -> float:
    """Seconds as the pack tells, else as the index does, else nominal for the words."""
    if measured is not None and 0 < measured < float("inf"):
        return measured
    if record.end is not None and record.end > record.start:
        return record.end - record.start
    return nominal_seconds(record.text)


MAX_VALUES = 1 << 22
"""Values of one modality of one utterance: 80 s of 50 tokens a second that are 1024 wide."""


def utterance_values(features: Any, source: FeatureSource, what: str) -> NDArray[np.float16] | None:
    """Values [tokens, dim] of one modality of one utterance as the store holds them.

    Args:
        features: numbers [dim] or [tokens, dim] as a list, array or tensor.
        source: whether each value is a token of its own.
        what: file, utterance and modality, for messages.

    Returns:
        [names, 1] for named values, else [tokens, dim]; None where nothing was measured.

    Raises:
        AvtError: it is no such thing, is too large, or holds a value that is not finite (NaN may
            stand for a named value); or half precision cannot tell its values from infinity, or any
            of them from 0.
    """
    values = _matrix(features, what)
    if source.named:
        values = values.reshape(-1, 1)
        if len(values) != len(source.columns or ()):
            raise AvtError(
                f"{what}: {len(values)} values, but the mapping names {len(source.columns or ())}."
            )
        if np.isnan(values).all():
            return None
    if not values.size:
        return None
    invalid = np.isinf(values) if source.named else ~np.isfinite(values)
    if invalid.any():
        raise AvtError(
            f"{what}: {invalid.sum()} of {values.size} values are not finite; repair the pack, or "
            "leave the utterance out of it where nothing was measured."
        )
    with np.errstate(over="ignore"):
        half = values.astype(np.float16)
    if np.isinf(half).any() or (values.any() and not half.any()):
        raise AvtError(
            f"{what}: values as {np.nanmax(np.abs(values)):g} do not fit into the store (half "
            "precision, 6e-8 to 65504); standardise the features."
        )
    return half


def _matrix(value: Any, what: str) -> NDArray[Any]:
    """float [tokens, dim] of a vector or a matrix."""
    array = _array(value, what, dimensions=2)
    return array if array.ndim == 2 else array.reshape(1, -1)


def _array(value: Any, what: str, dimensions: int) -> NDArray[Any]:
    """Sizes are checked before anything is copied: a list may hold another one many times."""
    if isinstance(value, torch.Tensor):
        value = array_of_tensor(value, what)
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biuf" or not 1 <= value.ndim <= dimensions:
            raise AvtError(f"{what}: an array {list(value.shape)} of {value.dtype} is no feature.")
        _check_size(value.size, what)
        with np.errstate(invalid="ignore"):  # damaged NaNs
            return value.astype(np.float64)
    if not isinstance(value, list | tuple):
        raise AvtError(f"{what}: {shown(value)} is no list or array of numbers.")
    _check_size(len(value), what)
    if all(isinstance(item, int | float | np.number) for item in value):
        return np.array(value, dtype=np.float64)
    if dimensions == 1:
        raise AvtError(f"{what}: a list holds more than numbers.")
    return _stack(value, what)


def _stack(rows: list[Any] | tuple[Any, ...], what: str) -> NDArray[np.float64]:
    vectors: list[NDArray[Any]] = []
    for row in rows:
        vectors.append(_array(row, what, dimensions=1))
        _check_size(len(vectors[0]) * len(rows), what)
        if len(vectors[-1]) != len(vectors[0]):
            raise AvtError(
                f"{what}: its vectors have {len(vectors[0])} and {len(vectors[-1])} values; give "
                "all the same."
            )
    return np.stack(vectors)


def _check_size(size: int, what: str) -> None:
    if size > MAX_VALUES:
        raise AvtError(f"{what}: more than {MAX_VALUES} values; pool the features first.")
