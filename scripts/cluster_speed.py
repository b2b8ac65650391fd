"""What a cluster costs: `extract` by processes of this machine and by Dask workers, in turn.

    python scripts/cluster_speed.py shared/data/grid [--workers 2] [--shards 4] [--rounds 3]

The clips of the folder are repeated until the shards are full. Both ways are started and warmed up
before the clock runs. It prints the median over the rounds of the seconds that passed and of
processor time for a clip (workers, scheduler and this process together), the throughput of the
cluster as a share of the other's by both, and the bytes of a stored row. The two stores must be the
same.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import dask
import psutil
from distributed import LocalCluster

from avt_memocmt.cluster.pool import connected
from avt_memocmt.cluster.scheduler import QUIET
from avt_memocmt.config_file import load_config
from avt_memocmt.data.feature_store import FeatureStore
from avt_memocmt.data.index import UNLABELLED, UtteranceRecord
from avt_memocmt.extraction.plan import SHARD_SIZE, ExtractionPlan
from avt_memocmt.extraction.run import Extraction
from avt_memocmt.media.discovery import find_media
from avt_memocmt.models.checkpoint import CONFIG_FILE
from avt_memocmt.pretrained import CHECKPOINTS
from avt_memocmt.workers import worker_pool

WORDS = "bin blue at f two now"
EMBEDDED = CHECKPOINTS / "embedded"


@dataclass(frozen=True)
class Cost:
    """Of one clip, seconds."""

    passed: float
    processor: float


def make_plan(media: Path, shards: int, size: int) -> ExtractionPlan:
    """Shards of repeated clips, every clip a dialogue of one turn."""
    paths = islice(cycle(find_media(media)), shards * size)
    records = [
        UtteranceRecord("speed", number, 0, None, WORDS, UNLABELLED, str(path.resolve()))
        for number, path in enumerate(paths)
    ]
    clips = ExtractionPlan.of(records).clips
    return ExtractionPlan(tuple(tuple(clips[i : i + size]) for i in range(0, len(clips), size)))


def processor_time() -> float:
    """Seconds of this process and of all that it started and that still run."""
    me = psutil.Process()
    return sum(sum(each.cpu_times()[:2]) for each in (me, *me.children(recursive=True)))


@contextmanager
def local_dask(workers: int, folder: Path) -> Iterator[Executor]:
    """As many Dask workers, each a process of its own."""
    with (
        dask.config.set(QUIET),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            memory_limit=None,
            dashboard_address=":0",
            local_directory=str(folder),
        ) as cluster,
        connected(cluster.scheduler_address, [folder]) as pool,
    ):
        yield pool


def measure(
    way: Callable[[], AbstractContextManager[Executor]], plan: ExtractionPlan, folder: Path
) -> Cost:
    """Extract the plan once, after one clip in each shard to warm up."""
    config = load_config(EMBEDDED / CONFIG_FILE)
    warm = ExtractionPlan(tuple(shard[:1] for shard in plan.shards))
    shutil.rmtree(folder, ignore_errors=True)
    with way() as pool, tempfile.TemporaryDirectory() as other:
        Extraction(warm, config, EMBEDDED, Path(other)).run_in(pool)
        began, spent = time.perf_counter(), processor_time()
        failures = Extraction(plan, config, EMBEDDED, folder).run_in(pool)
        passed, spent = time.perf_counter() - began, processor_time() - spent
    if failures:
        raise SystemExit(f"{failures[0].path}: {failures[0].reason}")
    return Cost(passed / len(plan.clips), spent / len(plan.clips))


def show(costs: Mapping[str, Sequence[Cost]], stored: FeatureStore) -> None:
    """Print what came out."""
    medians = {
        name: Cost(*(statistics.median(getattr(c, f) for c in rounds) for f in vars(rounds[0])))
        for name, rounds in costs.items()
    }
    for name, cost in medians.items():
        print(f"{name}: {cost.passed:.3f} s passed, {cost.processor:.3f} s of processor per clip")
    pool, dask = medians.values()
    print(f"throughput of the cluster: {pool.passed / dask.passed:.3f} by the clock, ", end="")
    print(f"{pool.processor / dask.processor:.3f} by processor time")
    size = sum(path.stat().st_size for path in stored.shards())
    print(f"{size / len(stored.keys()):.0f} bytes a row")


def main() -> None:
    """Measure both ways in turn."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("media", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--shard-size", type=int, default=SHARD_SIZE)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    plan = make_plan(options.media, options.shards, options.shard_size)
    with tempfile.TemporaryDirectory() as work:
        folders = {name: Path(work) / name for name in ("pool", "cluster")}
        costs: dict[str, list[Cost]] = {name: [] for name in folders}
        for _ in range(options.rounds):
            costs["pool"].append(
                measure(lambda: worker_pool(options.workers), plan, folders["pool"])
            )
            costs["cluster"].append(
                measure(lambda: local_dask(options.workers, Path(work)), plan, folders["cluster"])
            )
        files = [sorted(p.read_bytes() for p in folder.iterdir()) for folder in folders.values()]
        if files[0] != files[1]:
            raise SystemExit("the two stores differ")
        show(costs, FeatureStore.open(folders["pool"]))


if __name__ == "__main__":
    main()
