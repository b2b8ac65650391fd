"""Three workers on Slurm do what one process does, byte for byte, also when one is killed."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from media_factory import speech_like, write_wav
from scripted_predictor import ScriptedPredictor
from slurm_factory import SlurmCluster, slurm_cluster
from table_factory import small_reproduction
from tiny_encoders import save_tiny_encoders

from avt_memocmt.batch.inputs import Inputs
from avt_memocmt.batch.run import Batch
from avt_memocmt.cluster.pool import connected
from avt_memocmt.commands.settings import resolve_config
from avt_memocmt.data.feature_store import FeatureStore
from avt_memocmt.data.index import UtteranceRecord
from avt_memocmt.errors import AvtError
from avt_memocmt.extraction.failures import read_failures
from avt_memocmt.extraction.plan import SHARD_SIZE, ExtractionPlan
from avt_memocmt.extraction.run import Extraction

PAPER = Path(__file__).parents[2] / "config.yaml"
SHARDS = 4
LINES = ("oh my god", "no you", "what is it", "we go")


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    pytest.importorskip("dask_jobqueue", reason="the extra cluster is not installed")
    with slurm_cluster(tmp_path_factory.mktemp("slurm"), 3) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def extraction(tmp_path_factory: pytest.TempPathFactory) -> Extraction:
    """Words, some of them with sound; in every shard a file is broken."""
    folder = tmp_path_factory.mktemp("media")
    encoders = save_tiny_encoders(tmp_path_factory.mktemp("encoders"))
    sound = str(write_wav(folder / "talk.wav", speech_like(0.5)))
    broken = folder / "broken.mp4"
    broken.write_bytes(b"no moov atom" * 200)
    paths = [sound if n % 32 == 0 else None for n in range(SHARDS * SHARD_SIZE)]
    paths[3::SHARD_SIZE] = [str(broken)] * SHARDS
    records = [
        UtteranceRecord("train", n // 8, n % 8, "AB"[n % 2], LINES[n % 4], n % 7, path)
        for n, path in enumerate(paths)
    ]
    config = resolve_config(PAPER, None, encoders, ["model.modalities=[audio, text]"])
    return Extraction(ExtractionPlan.of(records), config, None, folder / "local")


def contents(folder: Path) -> dict[str, str]:
    """SHA-256 of every file, hidden ones included."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_a_killed_worker_changes_no_byte_of_the_store(
    slurm: SlurmCluster, extraction: Extraction
) -> None:
    extraction.run(workers=1)
    remote = Extraction(
        extraction.plan, extraction.config, None, extraction.folder.with_name("remote")
    )
    killed: list[int] = []

    def kill_one(done: int, total: int) -> None:
        """Kill a whole job once the first shard is there and others are at work."""
        if done and not killed:
            killed.append(slurm.jobs()[0])
            os.killpg(killed[0], signal.SIGKILL)

    with connected(slurm.scheduler, [remote.folder]) as cluster:
        failures = remote.run_in(cluster, progress=kill_one)
    assert killed
    assert len(failures) == SHARDS
    assert failures == read_failures(extraction.folder)
    assert contents(remote.folder) == contents(extraction.folder)
    before = {path: path.stat().st_mtime_ns for path in FeatureStore.open(remote.folder).shards()}
    missing = list(before)[2]
    missing.unlink()
    with connected(slurm.scheduler, [remote.folder]) as cluster:  # goes on where it was stopped
        remote.run_in(cluster)
    assert contents(remote.folder) == contents(extraction.folder)
    again = {path for path in before if path.stat().st_mtime_ns != before[path]}
    assert again == {missing}


def test_the_jobs_ask_slurm_for_what_was_said_and_lost_ones_are_replaced(
    slurm: SlurmCluster,
) -> None:
    script = next(slurm.folder.glob("*.job")).read_text()
    for line in ("-p short", "-t 00:10:00", "--mem=4G", "--cpus-per-task=1"):
        assert f"#SBATCH {line}\n" in script
    assert "--nthreads 1" in script
    assert "export DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED=False\n" in script
    deadline = time.monotonic() + 120
    while len(slurm.jobs()) < 4:  # three, and one for the job that was killed above
        assert time.monotonic() < deadline
        time.sleep(0.2)


def allow_no_deaths(scheduler: str) -> None:
    """Let the scheduler give up a task with the first worker that it ends."""
    from distributed import Client

    def change(dask_scheduler: Any) -> None:
        dask_scheduler.allowed_failures = 0

    with Client(scheduler_file=scheduler, set_as_default=False) as client:
        client.run_on_scheduler(change)


def test_a_batch_ends_with_every_result_and_names_what_kills_workers(
    slurm: SlurmCluster, tmp_path: Path
) -> None:
    media, out = tmp_path / "media", tmp_path / "out"
    for folder in (media, out):
        folder.mkdir()
    for name, told in {"a": "ok", "bad": "fail", "hostile": "die"}.items():
        (media / f"{name}.wav").write_text(told)
    allow_no_deaths(slurm.scheduler)
    with connected(slurm.scheduler, [out, media]) as cluster:
        work = Batch(Inputs([str(media)]), ScriptedPredictor(out), cluster)
        work.run()
    assert sorted(work.rows) == ["a.wav"]
    assert work.failures["bad.wav"] == "it says so."
    assert work.failures["hostile.wav"].startswith("one task ended 1 worker: the file is")
    assert (out / "log.txt").read_text().split().count("hostile.wav") == 2  # the last time alone
    assert not list(out.glob(".*.part"))
    assert not list(out.glob(".shared-*"))


def test_a_table_is_the_same_from_a_cluster(slurm: SlurmCluster, tmp_path: Path) -> None:
    rows = ("Proposed", "audio shuffled")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(1) as thread:  # as one process of the local pool
            small_reproduction(tmp_path, "here", rows).run(pool=thread)
    finally:
        torch.set_num_threads(threads)
    with connected(slurm.scheduler, [tmp_path / "there"]) as cluster:
        small_reproduction(tmp_path, "there", rows).run(pool=cluster)
    for name in ("results.csv", "results.md"):
        here, there = (tmp_path / where / "experiments" / name for where in ("here", "there"))
        assert here.read_bytes() == there.read_bytes()
        assert "audio shuffled" in here.read_text()


def test_a_worker_works_where_the_command_was_started_and_must_see_its_folders(
    slurm: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with connected(slurm.scheduler, [Path("results")]) as cluster:
        assert cluster.submit(os.getcwd).result(120) == str(tmp_path)
        assert cluster.submit(torch.get_num_threads).result(120) == 1

    def ask_one_with_another_folder() -> None:
        with connected(slurm.scheduler, [Path("results")]) as cluster:
            (probe,) = Path("results").iterdir()
            probe.unlink()  # as on a machine that has another folder of this name
            cluster.submit(os.getcwd).result(120)

    unseen = r"the worker tcp://\S+ does not see \S+/results/\.shared-\S+, which this machine"
    with pytest.raises(AvtError, match=unseen):
        ask_one_with_another_folder()


def test_a_worker_of_another_version_is_refused(
    slurm: SlurmCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("avt_memocmt.cluster.pool.__version__", "0.0.1")
    with (
        pytest.raises(AvtError, match=r"has version \S+ of avt-memocmt, and this is 0\.0\.1"),
        connected(slurm.scheduler) as cluster,
    ):
        cluster.submit(os.getcwd).result(120)
