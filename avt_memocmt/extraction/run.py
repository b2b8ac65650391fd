"""From a plan to a feature store: finished shards are kept, failures recorded beside them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from avt_memocmt.cluster.pool import Cluster
from avt_memocmt.config import Config
from avt_memocmt.data.feature_store import FeatureStore
from avt_memocmt.errors import AvtError
from avt_memocmt.extraction.failures import Failure, read_failures, write_failures
from avt_memocmt.extraction.plan import ExtractionPlan
from avt_memocmt.extraction.shards import (
    Extractor,
    missing_shards,
    shards_by_clip,
    shards_on_cluster,
)
from avt_memocmt.files import remove_partial_files, write_atomically
from avt_memocmt.workers import worker_pool

SOURCE_FILE = "source.json"
Progress = Callable[[int, int], None]
"""Called with the number of utterances done, earlier runs included, and the number in all."""


@dataclass(frozen=True)
class Extraction:
    """What to extract, how, and where to.

    Attributes:
        plan: the utterances in their shards.
        config: encoders, preprocessing and modalities.
        checkpoint: folder of the encoders that this project trained, or None.
        folder: folder of the store.
    """

    plan: ExtractionPlan
    config: Config
    checkpoint: Path | None
    folder: Path

    def run(
        self,
        workers: int = 1,
        retry_failed: bool = False,
        progress: Progress = lambda done, total: None,
    ) -> list[Failure]:
        """Extract what the store lacks; any number of interruptions gives the same store.

        Args:
            workers: number of processes; it does not change the store.
            retry_failed: make shards with failed clips again.
            progress: see `Progress`.

        Returns:
            All clips of the plan that could not be extracted, in earlier runs too.

        Raises:
            AvtError: the store was made by another extractor or from another source, weights are
                missing, a worker was ended from outside, or the disk is full.
        """
        with worker_pool(workers) as pool:
            return self.run_in(pool, retry_failed, progress)

    def run_in(
        self,
        pool: Executor,
        retry_failed: bool = False,
        progress: Progress = lambda done, total: None,
    ) -> list[Failure]:
        """`run` in an existing pool, which decides how many threads its workers have.

        Raises:
            AvtError: as of `run`; also, with a cluster, where workers were ended by a clip.
        """
        self._require_source()
        extractor = Extractor.of(self.config, self.checkpoint)
        manifest = pool.submit(extractor.manifest).result()
        manifest = manifest.model_copy(update={"labels": self.plan.labels})
        store = FeatureStore.create(self.folder, manifest)
        remove_partial_files(self.folder)
        write_atomically(self.folder / SOURCE_FILE, self._source())
        if retry_failed:
            self._drop_failed(store)
        failures = self._complete(store, pool, extractor, progress)
        remove_partial_files(self.folder)  # of workers that were killed meanwhile
        return failures

    def _source(self) -> bytes:
        """The content of `SOURCE_FILE`, which ties a store to the source of the plan."""
        source = {"utterances": len(self.plan.clips), "sha256": self.plan.fingerprint()}
        return f"{json.dumps(source, indent=2)}\n".encode()

    def _require_source(self) -> None:
        path = self.folder / SOURCE_FILE
        if path.is_file() and path.read_bytes() != self._source():
            raise AvtError(
                f"{self.folder} was extracted from another source, or the source's utterances, "
                "paths or --split have changed since; give another folder with --out."
            )

    def _drop_failed(self, store: FeatureStore) -> None:
        failed = {failure.key for failure in read_failures(self.folder)}
        for number, shard in enumerate(self.plan.shards):
            if any(clip.record.key in failed for clip in shard):
                store.shard_path(number).unlink(missing_ok=True)

    def _complete(
        self, store: FeatureStore, pool: Executor, extractor: Extractor, progress: Progress
    ) -> list[Failure]:
        """Write the missing shards."""
        order = {clip.record.key: position for position, clip in enumerate(self.plan.clips)}
        shards = missing_shards(self.plan, store)
        missing = {clip.record.key for shard in shards.values() for clip in shard}
        failures = [f for f in read_failures(self.folder) if f.key not in missing]
        done = len(order) - len(missing)

        def advance(count: int) -> None:
            nonlocal done
            done += count
            progress(done, len(order))

        def record(numbers: Iterable[int]) -> None:
            failures.sort(key=lambda failure: order[failure.key])
            write_failures(self.folder, failures, numbers)

        advance(0)
        record(set(range(len(self.plan.shards))) - shards.keys())
        if isinstance(pool, Cluster):
            finished = shards_on_cluster(extractor, store, shards, pool, advance)
        else:
            finished = shards_by_clip(extractor, store, shards, pool, advance)
        for number, found in finished:
            if found:
                failures += found
                record([number])
        return failures
