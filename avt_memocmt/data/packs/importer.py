"""From feature packs to a feature store."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from avt_memocmt.data.feature_store import FeatureRow, FeatureStore, StoreManifest
from avt_memocmt.data.index import UtteranceRecord
from avt_memocmt.data.packs.collection import ImportReport, PackCollection
from avt_memocmt.data.packs.lookup import Pack
from avt_memocmt.data.packs.mapping import PackMapping
from avt_memocmt.data.packs.read import read_pack
from avt_memocmt.errors import AvtError
from avt_memocmt.files import writable_folder
from avt_memocmt.pretrained import file_sha256
from avt_memocmt.version import __version__

ROWS_PER_SHARD = 2048
VALUES_PER_SHARD = 1 << 25
"""A shard ends at this many rows or values, whichever comes first."""


def import_packs(
    files: Sequence[Path],
    mapping: PackMapping,
    records: Sequence[UtteranceRecord],
    folder: Path,
    split: str | None = None,
    progress: Callable[[], None] = lambda: None,
) -> ImportReport:
    """Write a feature store with the tokens of feature packs and the words of an index.

    Every utterance of the index in a split that the packs cover has a row, in the index's order.

    Args:
        files: the packs.
        mapping: the layout of the packs.
        records: the index, which gives words, speakers and labels.
        folder: the store; must not exist, and appears whole or not at all.
        split: split of the packs, where neither their contents nor their names tell it.
        progress: called after each pack.

    Raises:
        AvtError: a pack cannot be read (see `read_pack`) or used (see `PackCollection.add`), or
            the store cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise AvtError(f"{folder} exists already; delete it, or give another folder.")
    collection = PackCollection(mapping, records)
    for path in files:
        collection.add(Pack(path, read_pack(path), split))
        progress()
    source = {
        "files": [{"name": path.name, "sha256": file_sha256(path)} for path in files],
        "mapping": mapping.model_dump(mode="json", exclude_defaults=True),
    }
    shapes = collection.shapes()
    manifest = StoreManifest(
        package_version=__version__,
        modalities=shapes,
        extractor=dict.fromkeys(shapes, source),
    )
    _write(folder, manifest, collection.rows())
    return collection.report


def _write(folder: Path, manifest: StoreManifest, rows: Sequence[FeatureRow]) -> None:
    """Write the store beside its place, then move it there."""
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    writable_folder(partial)
    try:
        store = FeatureStore.create(partial, manifest)
        for number, shard in enumerate(_shards(rows)):
            store.write_shard(number, shard)
        os.replace(partial, folder)
    except OSError as error:
        raise AvtError(f"cannot write {folder}: {error.strerror}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _shards(rows: Sequence[FeatureRow]) -> Iterator[list[FeatureRow]]:
    shard: list[FeatureRow] = []
    size = 0
    for row in rows:
        shard.append(row)
        size += sum(tokens.values.size for tokens in row.tokens.values())
        if len(shard) == ROWS_PER_SHARD or size >= VALUES_PER_SHARD:
            yield shard
            shard, size = [], 0
    if shard:
        yield shard
