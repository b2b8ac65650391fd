"""Encoder tokens of the recipe's corpora, computed once and kept in feature stores."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from avt_memocmt.config import Modality, TokenShape
from avt_memocmt.data.feature_store import FeatureRow, FeatureStore, StoreManifest
from avt_memocmt.data.labelled_dialogues import LabelledDialogue
from avt_memocmt.features.base import Tokens
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
    dialogues: Sequence[LabelledDialogue], modality: str, folder: Path
) -> list[LabelledDialogue]:
    """Move the tokens of one modality from memory into a file that is read where needed.

    The variants of the training clips hold 10 GB, and training draws from all of them.

    Args:
        dialogues: with stored tokens (float16).
        modality: whose tokens are moved.
        folder: of the file, which has no name and goes with the process.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        for dialogue in dialogues:
            for turn in dialogue.turns:
                if modality in turn.tokens:
                    file.write(turn.tokens[modality].values.astype(np.float16).tobytes())
        file.flush()
        values: Any = np.memmap(file, np.float16, mode="r")
    moved, first = [], 0
    for dialogue in dialogues:
        turns = []
        for turn in dialogue.turns:
            if modality in turn.tokens:
                tokens = turn.tokens[modality]
                last = first + tokens.values.size
                mapped = replace(tokens, values=values[first:last].reshape(tokens.values.shape))
                turn, first = replace(turn, tokens={**turn.tokens, modality: mapped}), last
            turns.append(turn)
        moved.append(replace(dialogue, turns=tuple(turns)))
    return moved
