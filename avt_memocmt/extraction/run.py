"""From a plan to a feature store: finished shards are kept, failures recorded beside them."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path

from avt_memocmt.config import Config
from avt_memocmt.data.feature_store import FeatureRow, FeatureStore
from avt_memocmt.errors import AvtError, failure_reason
from avt_memocmt.extraction.clip import ClipSpec, extract_clip, store_manifest
from avt_memocmt.extraction.failures import Failure, read_failures, write_failures
from avt_memocmt.extraction.plan import ExtractionPlan
from avt_memocmt.files import remove_partial_files, write_atomically
from avt_memocmt.workers import worker_pool

SOURCE_FILE = "source.json"
SHARDS_IN_FLIGHT = 2
"""Shards with rows in memory: while one is completed, the next keeps the workers busy."""

Progress = Callable[[int, int], None]
"""Called with the number of utterances done, earlier runs included, and the number in all."""

Pending = Future[FeatureRow | Failure]


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

    def run_in(self, pool: Executor, retry_failed: bool, progress: Progress) -> list[Failure]:
        """`run` in an existing pool, which decides how many threads its workers have."""
        self._require_source()
        manifest = pool.submit(store_manifest, self.config, self.checkpoint).result()
        store = FeatureStore.create(self.folder, manifest)
        remove_partial_files(self.folder)
        write_atomically(self.folder / SOURCE_FILE, self._source())
        if retry_failed:
            self._drop_failed(store)
        return self._complete(store, pool, progress)

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

    def _complete(self, store: FeatureStore, pool: Executor, progress: Progress) -> list[Failure]:
        """Write the missing shards."""
        order = {clip.record.key: position for position, clip in enumerate(self.plan.clips)}
        numbers = range(len(self.plan.shards))
        todo = [number for number in numbers if not store.shard_path(number).is_file()]
        missing = {clip.record.key for number in todo for clip in self.plan.shards[number]}
        failures = [f for f in read_failures(self.folder) if f.key not in missing]
        done = len(order) - len(missing)
        progress(done, len(order))
        for number, pending in self._submitted(store, pool, todo):
            rows: list[FeatureRow] = []
            for future in pending:
                found = future.result()
                if isinstance(found, Failure):
                    failures.append(found)
                else:
                    rows.append(found)
                done += 1
                progress(done, len(order))
            # Before the shard: a shard that is there must not hide what is missing from it.
            failures.sort(key=lambda failure: order[failure.key])
            write_failures(self.folder, failures)
            store.write_shard(number, rows)
        return failures

    def _submitted(
        self, store: FeatureStore, pool: Executor, todo: Iterable[int]
    ) -> Iterator[tuple[int, list[Pending]]]:
        """Yield the pending rows of each shard in order; the next shard is submitted already."""
        waiting: deque[tuple[int, list[Pending]]] = deque()
        for number in todo:
            pending = [
                pool.submit(attempt, clip, self.config, self.checkpoint, store)
                for clip in self.plan.shards[number]
            ]
            waiting.append((number, pending))
            if len(waiting) == SHARDS_IN_FLIGHT:
                yield waiting.popleft()
        yield from waiting


def attempt(
    clip: ClipSpec, config: Config, checkpoint: Path | None, store: FeatureStore
) -> FeatureRow | Failure:
    """`extract_clip` with its row checked for the store, and exceptions turned into failures."""
    try:
        row = extract_clip(clip, config, checkpoint)
        store.check(row)
        return row
    except Exception as error:  # one odd file must not end a run over thousands
        return Failure(clip.record.key, clip.record.path or "", failure_reason(error))
