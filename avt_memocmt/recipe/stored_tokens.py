"""What the recipe computes once and keeps: encoder tokens in feature stores, and arrays."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.config import Modality, TokenShape
from avt_memocmt.data.feature_store import FeatureRow, FeatureStore, StoreManifest
from avt_memocmt.data.labelled_dialogues import LabelledDialogue
from avt_memocmt.features.base import Tokens
from avt_memocmt.files import write_atomically
from avt_memocmt.version import __version__

SHARD_SIZE = 256
"""Utterances of one shard: what a run that is stopped loses at most."""


def store_tokens(
    folder: Path,
    rows: Sequence[FeatureRow],
    modality: Modality,
    shape: TokenShape,
    made_by: Mapping[str, object],
    encode: Callable[[range], Sequence[Tokens]],
) -> FeatureStore:
    """Encode those utterances that a store of one modality lacks.

    Args:
        folder: of the store.
        rows: the utterances, without tokens.
        modality: of the tokens.
        shape: of a token.
        made_by: identity of the encoder; a store that another one made is refused.
        encode: positions in `rows` -> the tokens of each; an utterance without any lacks the
            modality.

    Raises:
        AvtError: the store cannot be written or was made by another encoder.
    """
    manifest = StoreManifest(
        package_version=__version__,
        modalities={modality: shape},
        extractor={modality: dict(made_by)},
    )
    store = FeatureStore.create(folder, manifest)
    for number, first in enumerate(range(0, len(rows), SHARD_SIZE)):
        if not store.shard_path(number).is_file():
            part = range(first, min(first + SHARD_SIZE, len(rows)))
            encoded = zip(part, encode(part), strict=True)
            shard = [replace(rows[i], tokens={modality: t} if len(t) else {}) for i, t in encoded]
            store.write_shard(number, shard)
    return store


def memory_mapped(
    clips: Sequence[LabelledDialogue], modality: str, folder: Path
) -> list[LabelledDialogue]:
    """Move the tokens of one modality from memory into a file that is read where needed.

    The variants of the training clips hold 10 GB, and training draws from all of them.

    Args:
        clips: dialogues of one turn, with stored tokens (float16).
        modality: whose tokens are moved.
        folder: of the file, which has no name and ends with the process.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        for clip in clips:
            if modality in clip.turns[0].tokens:
                file.write(clip.turns[0].tokens[modality].values.astype(np.float16).tobytes())
        file.flush()
        values: Any = np.memmap(file, np.float16, mode="r")
    moved, first = [], 0
    for clip in clips:
        tokens = clip.turns[0].tokens.get(modality)
        if tokens is not None:
            last = first + tokens.values.size
            mapped = replace(tokens, values=values[first:last].reshape(tokens.values.shape))
            clip, first = with_tokens(clip, modality, mapped), last
        moved.append(clip)
    return moved


def with_tokens(clip: LabelledDialogue, modality: str, tokens: Tokens) -> LabelledDialogue:
    """A dialogue of one turn with other tokens of one modality."""
    (turn,) = clip.turns
    return replace(clip, turns=(replace(turn, tokens={**turn.tokens, modality: tokens}),))


def stored_array(path: Path, compute: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    """Load an array from a .npy file, which is computed and written first where it is missing."""
    if not path.is_file():
        content = io.BytesIO()
        np.save(content, compute())
        write_atomically(path, content.getvalue())
    stored: NDArray[Any] = np.load(path, allow_pickle=False)
    return stored
