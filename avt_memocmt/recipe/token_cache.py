"""Encoder tokens of the training corpora, computed once and read from disk afterwards."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.features.base import Tokens


@dataclass(frozen=True)
class TokenCache:
    """Token sequences of many utterances in one memory-mapped float16 array.

    Attributes:
        values: float16 [all tokens, dim].
        spans: float32 [all tokens, 2].
        offsets: int64 [utterances + 1]; utterance i owns the rows offsets[i] to offsets[i + 1].
    """

    values: NDArray[np.float16]
    spans: NDArray[np.float32]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def tokens(self, row: int) -> Tokens:
        """Tokens of one utterance, as float32."""
        part = slice(self.offsets[row], self.offsets[row + 1])
        return Tokens(self.values[part].astype(np.float32), self.spans[part])


def cached_tokens(path: Path, compute: Callable[[], Iterable[Tokens]]) -> TokenCache:
    """Read a cache, or compute and write it (atomically) first.

    Args:
        path: folder of the cache.
        compute: yields the tokens of every utterance in order.
    """
    if not path.is_dir():
        partial = path.with_name(path.name + ".part")
        partial.mkdir(parents=True, exist_ok=True)
        values, spans, lengths = [], [], [0]
        for tokens in compute():
            values.append(tokens.values.astype(np.float16))
            spans.append(tokens.spans)
            lengths.append(len(tokens))
        np.save(partial / "values.npy", np.concatenate(values))
        np.save(partial / "spans.npy", np.concatenate(spans))
        np.save(partial / "offsets.npy", np.cumsum(lengths))
        os.replace(partial, path)
    return TokenCache(
        np.load(path / "values.npy", mmap_mode="r", allow_pickle=False),
        np.load(path / "spans.npy", allow_pickle=False),
        np.load(path / "offsets.npy", allow_pickle=False),
    )
