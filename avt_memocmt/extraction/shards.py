"""Two ways to make the shards that a store lacks, clip by clip or each as a whole.

Processes of one machine take clips and give rows back, so that even a plan of one shard keeps all
of them busy. Workers of a cluster take shards and write them where they are: only names, words and
failures travel.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from pathlib import Path

from avt_memocmt.cluster.pool import Cluster
from avt_memocmt.config import Config
from avt_memocmt.data.feature_store import FeatureRow, FeatureStore, StoreManifest
from avt_memocmt.errors import AvtError, failure_reason
from avt_memocmt.extraction.clip import ClipSpec, extract_clip, store_manifest
from avt_memocmt.extraction.failures import Failure, read_note, write_note
from avt_memocmt.extraction.plan import ExtractionPlan
from avt_memocmt.models.checkpoint import checkpoint_folder
from avt_memocmt.pretrained import CHECKPOINTS
from avt_memocmt.workers import DeadWorkerError

SHARDS_IN_FLIGHT = 2
"""Shards with rows in memory: while one is completed, the next keeps the workers busy."""

Done = tuple[int, list[Failure]]
"""Number of a shard that is written, and what is missing from it."""


@dataclass(frozen=True)
class Extractor:
    """What a worker needs to know to extract clips.

    Attributes:
        config: encoders, preprocessing and modalities.
        checkpoint: folder of the encoders that this project trained, or the name of a shipped one,
            which lies elsewhere on every machine; or None.
    """

    config: Config
    checkpoint: str | None

    @classmethod
    def of(cls, config: Config, checkpoint: Path | None) -> Extractor:
        """The extractor for a checkpoint folder of this machine."""
        if checkpoint is None:
            return cls(config, None)
        is_shipped = checkpoint.parent == CHECKPOINTS
        return cls(config, checkpoint.name if is_shipped else str(checkpoint))

    def manifest(self) -> StoreManifest:
        """See `store_manifest`."""
        return store_manifest(self.config, self._folder())

    def attempt(self, clip: ClipSpec, store: FeatureStore) -> FeatureRow | Failure:
        """A row that is checked for the store, or why there is none."""
        try:
            row = extract_clip(clip, self.config, self._folder())
            store.check(row)
            return row
        except Exception as error:  # one odd file must not end a run over thousands
            return Failure(clip.record.key, clip.record.path or "", failure_reason(error))

    def write_shard(
        self, store: FeatureStore, number: int, clips: Sequence[ClipSpec]
    ) -> list[Failure]:
        """Extract and write a whole shard; one that is there already stays.

        Raises:
            AvtError: this machine has other weights than the one that began the store, or the
                folder cannot be written.
        """
        path = store.shard_path(number)
        if not path.is_file():  # else by a worker that was lost before it could say so
            if self.manifest() != store.manifest:
                raise AvtError(
                    f"a worker has other weights than {store.folder} was begun with; give every "
                    "machine the same packages, checkpoints and encoders."
                )
            found = [self.attempt(clip, store) for clip in clips]
            _keep(store, number, found)
        return read_note(store.folder, number)

    def _folder(self) -> Path | None:
        return None if self.checkpoint is None else checkpoint_folder(self.checkpoint)


def shards_by_clip(
    extractor: Extractor,
    store: FeatureStore,
    shards: dict[int, Sequence[ClipSpec]],
    pool: Executor,
    done: Callable[[int], None],
) -> Iterator[Done]:
    """Make shards in order from the rows of a pool; the next is submitted already.

    Args:
        extractor: is given to every worker.
        store: for the shards.
        shards: the clips of each that is made.
        pool: processes of this machine.
        done: called with the number of clips that were done since the last call.
    """
    waiting: deque[tuple[int, list[Future[FeatureRow | Failure]]]] = deque()

    def finished() -> Done:
        number, pending = waiting.popleft()
        found = []
        for future in pending:
            found.append(future.result())
            done(1)
        _keep(store, number, found)
        return number, read_note(store.folder, number)

    for number, clips in shards.items():
        waiting.append((number, [pool.submit(extractor.attempt, clip, store) for clip in clips]))
        if len(waiting) == SHARDS_IN_FLIGHT:
            yield finished()
    while waiting:
        yield finished()


def shards_on_cluster(
    extractor: Extractor,
    store: FeatureStore,
    shards: dict[int, Sequence[ClipSpec]],
    cluster: Cluster,
    done: Callable[[int], None],
) -> Iterator[Done]:
    """Let workers make whole shards, in any order; arguments as of `shards_by_clip`.

    A shard that ended its workers is tried once more when no other is at work, because shards that
    waited in the same worker count as well.

    Raises:
        AvtError: at the end, if workers were ended by shards again.
    """
    deadly: dict[int, DeadWorkerError] = {}

    def finished(numbers: Sequence[int], at_once: int | None) -> Iterator[Done]:
        waiting, running = deque(numbers), dict[Future[list[Failure]], int]()
        while waiting or running:
            while waiting and len(running) < (at_once or cluster.ahead):
                number = waiting.popleft()
                task = cluster.submit(extractor.write_shard, store, number, shards[number])
                running[task] = number
            for task in wait(running, return_when=FIRST_COMPLETED).done:
                number = running.pop(task)
                try:
                    failures = task.result()
                except DeadWorkerError as death:
                    deadly[number] = death
                    continue
                deadly.pop(number, None)
                done(len(shards[number]))
                yield number, failures

    yield from finished(list(shards), None)
    yield from finished(list(deadly), 1)
    if deadly:
        named = "; ".join(f"{death}, {_span(shards[n])}" for n, death in deadly.items())
        raise AvtError(
            f"{named}: a file there is damaged, or needs more memory than a worker has. All others "
            "are done; take the file out, or give workers more memory, and run the command again."
        )


def missing_shards(plan: ExtractionPlan, store: FeatureStore) -> dict[int, Sequence[ClipSpec]]:
    """The clips of each shard of a plan that the store lacks."""
    there = {path.name for path in store.shards()}
    return {n: s for n, s in enumerate(plan.shards) if store.shard_path(n).name not in there}


def _keep(store: FeatureStore, number: int, found: Sequence[FeatureRow | Failure]) -> None:
    """Write a shard; before it, what is missing from it."""
    write_note(store.folder, number, [each for each in found if isinstance(each, Failure)])
    store.write_shard(number, [each for each in found if isinstance(each, FeatureRow)])


def _span(clips: Sequence[ClipSpec]) -> str:
    return f"{clips[0].record.key} to {clips[-1].record.key}"
