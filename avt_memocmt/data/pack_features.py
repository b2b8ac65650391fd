"""From what a pack holds for one utterance to checked half-precision values."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from avt_memocmt.data.feature_packs import array_of_tensor
from avt_memocmt.data.pack_mapping import FeatureSource
from avt_memocmt.data.pack_parts import shown
from avt_memocmt.errors import AvtError

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
