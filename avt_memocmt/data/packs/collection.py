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

MAX_VALUES = 1 << 22
"""Values of one modality of one utterance: 80 s of 50 tokens a second that are 1024 wide."""

MAX_TOTAL_VALUES = 1 << 30
"""Values of all utterances, which are in memory (2 GiB) until the store is written."""

MAX_UNKNOWN = 1 << 20
"""More utterances than this that the index lacks mean that the pack is of another corpus."""


@dataclass
class ImportReport:
    """What was found in the packs.

    Attributes:
        rows: utterances of the index in the splits that the packs cover; each has a row.
        present: rows with tokens, per modality.
        not_measured: named values that are NaN in those rows, per modality.
        missing: rows without tokens, because the packs do not have the utterance.
        unknown: utterances of the packs that are left out, because the index lacks them.
        disagreeing: labels of the packs that differ from the index; the index is followed.
    """

    rows: int = 0
    present: dict[Modality, int] = field(default_factory=dict)
    not_measured: dict[Modality, int] = field(default_factory=dict)
    missing: int = 0
    unknown: int = 0
    disagreeing: int = 0


class PackCollection:
    """Gathers the features of packs by utterance, and makes the rows of a store of them.

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
        self._found: dict[UtteranceKey, tuple[dict[Modality, NDArray[np.float16]], float]] = {}
        self._widths: dict[Modality, int] = {}
        self._size = 0

    def add(self, pack: Pack) -> None:
        """Add the utterances of one pack that the index has.

        Raises:
            AvtError: it does not fit the mapping (see `find_utterances`), a feature cannot be used
                (see `_values`), an utterance is there twice, none is in the index, or
                vectors differ in width from those before.
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
                found = _values(item.features[modality], source, what)
                if found is not None:
                    self._check(modality, found, what)
                    values[modality] = found
        record = self._records[item.key]
        self._found[item.key] = values, _duration(record, item.duration)
        if item.emotion is not None and record.emotion not in (UNLABELLED, item.emotion):
            self.report.disagreeing += 1

    def _check(self, modality: Modality, values: NDArray[np.float16], what: str) -> None:
        width = self._widths.setdefault(modality, values.shape[1])
        if width != values.shape[1]:
            raise AvtError(
                f"{what}: {values.shape[1]} values wide, but {width} before; give all utterances "
                "the same."
            )
        self._size += values.size
        if self._size > MAX_TOTAL_VALUES:
            raise AvtError(
                f"{what}: over {MAX_TOTAL_VALUES} values so far; import fewer files at once."
            )

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
        found, duration = self._found.get(record.key) or ({}, _duration(record, np.nan))
        row = FeatureRow(
            record.key,
            record.speaker,
            record.text,
            record.emotion,
            duration,
            sentiment=record.sentiment,
        )
        for modality, values in found.items():
            spans = self._spans(modality, len(values), duration)
            row.tokens[modality] = Tokens(values, spans)  # type: ignore[arg-type]
        return row

    def _spans(self, modality: Modality, count: int, duration: float) -> NDArray[np.float32]:
        """[tokens, 2] seconds: all of the utterance for named values, equal parts for others."""
        if self._mapping.modalities[modality].named:
            return np.tile(np.array([0.0, duration], dtype=np.float32), (count, 1))
        edges = np.linspace(0.0, duration, count + 1, dtype=np.float32)
        return np.stack([edges[:-1], edges[1:]], axis=1)


def _duration(record: UtteranceRecord, measured: float) -> float:
    """Seconds by the pack, else by the index, else nominal seconds of the words."""
    if 0 < measured < float("inf"):
        return measured
    if record.end is not None and record.end > record.start:
        return record.end - record.start
    return nominal_seconds(record.text)


def _values(features: Any, source: FeatureSource, what: str) -> NDArray[np.float16] | None:
    """Values [tokens, dim] of one modality of one utterance as the store holds them.

    Args:
        features: numbers [dim] or [tokens, dim] as a list, array or tensor.
        source: whether each value is a token of its own.
        what: file, utterance and modality, for messages.

    Returns:
        [names, 1] for named values, else [tokens, dim]; None where nothing was measured.

    Raises:
        AvtError: it is not numbers of that shape, too large, or holds a value that is not finite
            (a named value may be NaN) or does not fit into half precision.
    """
    values = np.atleast_2d(_array(features, what))
    if source.named:
        values = values.reshape(-1, 1)
        count = len(source.columns or ())
        if len(values) != count:
            raise AvtError(f"{what}: {len(values)} values, but the mapping names {count}.")
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


def _array(value: Any, what: str, dimensions: int = 2) -> NDArray[Any]:
    """Floats [dim] or [tokens, dim]; a list may hold another many times, so sizes are checked."""
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
    vectors: list[NDArray[Any]] = []
    for row in value:
        vectors.append(_array(row, what, dimensions=1))
        _check_size(len(vectors[0]) * len(value), what)
        if len(vectors[-1]) != len(vectors[0]):
            raise AvtError(
                f"{what}: its vectors have {len(vectors[0])} and {len(vectors[-1])} values; give "
                "all the same."
            )
    return np.stack(vectors)


def _check_size(size: int, what: str) -> None:
    if size > MAX_VALUES:
        raise AvtError(f"{what}: more than {MAX_VALUES} values; pool the features first.")
