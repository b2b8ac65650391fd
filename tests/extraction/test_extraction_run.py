"""Extraction of a corpus: resuming, identical stores, quarantine, refusals, the command."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import pytest
import typer
from media_factory import speech_like, write_wav
from tiny_encoders import save_tiny_encoders

from avt_memocmt.commands.extract import extract
from avt_memocmt.commands.settings import resolve_config
from avt_memocmt.data.feature_store import FeatureStore
from avt_memocmt.data.index import UtteranceRecord, write_index
from avt_memocmt.errors import AvtError
from avt_memocmt.extraction.failures import FAILED_FILE, Failure, read_failures
from avt_memocmt.extraction.plan import SHARD_SIZE, ExtractionPlan
from avt_memocmt.extraction.run import Extraction

PAPER = Path(__file__).parents[2] / "config.yaml"
BROKEN = SHARD_SIZE + 3
"""Position of the clip that cannot be decoded: in the second of three shards."""
LINES = ("oh my god", "no you", "what is it", "we go")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_encoders(tmp_path_factory.mktemp("encoders"))


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[UtteranceRecord]:
    """Three shards of words, every fourth with sound, one with a broken file."""
    folder = tmp_path_factory.mktemp("media")
    sounds = [write_wav(folder / f"{n}.wav", speech_like(0.5 + 0.25 * n)) for n in range(4)]
    (folder / "broken.mp4").write_bytes(b"no moov atom" * 200)
    paths = [str(sounds[n // 4 % 4]) if n % 4 == 0 else None for n in range(3 * SHARD_SIZE)]
    paths[BROKEN] = str(folder / "broken.mp4")
    return [
        UtteranceRecord("train", n // 8, n % 8, "AB"[n % 2], LINES[n % 4], n % 7, path)
        for n, path in enumerate(paths)
    ]


def extraction(
    records: list[UtteranceRecord], tiny: Path, folder: Path, *overrides: str
) -> Extraction:
    overrides = ("model.modalities=[audio, text]", *overrides)
    config = resolve_config(PAPER, None, tiny, list(overrides))
    return Extraction(ExtractionPlan.of(records), config, None, folder)


def run(job: Extraction, pool: Executor, retry_failed: bool = False) -> list[Failure]:
    return job.run_in(pool, retry_failed, lambda done, total: None)


def contents(folder: Path) -> dict[str, str]:
    """SHA-256 of every file, hidden ones included."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.fixture
def pool() -> Iterator[Executor]:
    """A thread: the same work as in processes, without their start."""
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.fixture(scope="module")
def finished(
    records: list[UtteranceRecord], tiny: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A store that one worker process wrote without interruption."""
    folder = tmp_path_factory.mktemp("run") / "store"
    extraction(records, tiny, folder).run(workers=1)
    return folder


def test_the_store_holds_every_clip_but_the_broken_one(
    finished: Path, records: list[UtteranceRecord]
) -> None:
    rows = list(FeatureStore.open(finished).rows())
    assert [row.key for row in rows] == [r.key for r in records if r is not records[BROKEN]]
    assert [set(row.tokens) for row in rows[:2]] == [{"audio", "text"}, {"text"}]
    assert rows[0].tokens["audio"].values.dtype == "float16"
    (failure,) = read_failures(finished)
    assert failure.key == records[BROKEN].key
    assert "broken.mp4" in failure.reason


def test_a_failed_clip_is_tried_again_only_when_asked(
    records: list[UtteranceRecord], tiny: Path, tmp_path: Path, pool: Executor
) -> None:
    late = tmp_path / "late.wav"
    few = [UtteranceRecord("dev", n, 0, None, "oh no", 0) for n in range(2 * SHARD_SIZE)]
    few[-1] = UtteranceRecord("dev", 999, 0, None, "oh no", 0, str(late))
    job = extraction(few, tiny, tmp_path / "store")
    assert [failure.path for failure in run(job, pool)] == [str(late)]
    before = {p: p.stat().st_mtime_ns for p in FeatureStore.open(job.folder).shards()}
    write_wav(late, speech_like(0.5))
    assert len(run(job, pool)) == 1
    assert before == {p: p.stat().st_mtime_ns for p in before}
    assert run(job, pool, retry_failed=True) == []
    assert not (job.folder / FAILED_FILE).exists()
    first, second = before
    assert first.stat().st_mtime_ns == before[first]
    assert second.stat().st_mtime_ns != before[second]
    assert len(FeatureStore.open(job.folder).keys()) == len(few)


def test_another_configuration_or_source_is_refused(
    finished: Path, records: list[UtteranceRecord], tiny: Path, pool: Executor
) -> None:
    before = contents(finished)
    with pytest.raises(AvtError, match=r"preprocessing\.text\.max_tokens is 96 there and 8 here"):
        run(extraction(records, tiny, finished, "text.max_tokens=8"), pool)
    with pytest.raises(AvtError, match=r"another source.*another folder with --out"):
        run(extraction(records[1:], tiny, finished), pool)
    assert contents(finished) == before


def test_a_full_disk_is_one_sentence_and_the_run_can_go_on(
    records: list[UtteranceRecord], tiny: Path, tmp_path: Path, pool: Executor
) -> None:
    job = extraction(records[:SHARD_SIZE], tiny, tmp_path / "store")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(AvtError, match=r"cannot write .*part-00000\.parquet: File too large"):
            run(job, pool)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert set(contents(job.folder)) == {"manifest.json", "source.json"}
    run(job, pool)
    assert len(FeatureStore.open(job.folder).keys()) == SHARD_SIZE


def test_a_worker_that_is_killed_is_one_sentence(
    records: list[UtteranceRecord], tiny: Path, tmp_path: Path
) -> None:
    def kill(done: int, total: int) -> None:
        for worker in multiprocessing.active_children():
            worker.kill()

    job = extraction(records, tiny, tmp_path / "store")
    with pytest.raises(AvtError, match="worker process was ended from outside"):
        job.run(workers=1, progress=kill)


def start_command(index: Path, tiny: Path, out: Path) -> subprocess.Popen[bytes]:
    """The command with one worker, in a process group of its own."""
    code = (
        "from pathlib import Path; from avt_memocmt.commands.extract import extract;"
        f"extract(Path({str(index)!r}), Path({str(out)!r}), modalities='audio,text',"
        f"workers=1, config=Path({str(PAPER)!r}), encoders=Path({str(tiny)!r}))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code], start_new_session=True, stderr=subprocess.DEVNULL
    )


def wait_for_group(group: int) -> None:
    """Return when no process of a group is left."""
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError("a process of the killed command is still there")


def test_kills_at_random_moments_and_more_workers_give_the_same_store(
    finished: Path, records: list[UtteranceRecord], tiny: Path, tmp_path: Path
) -> None:
    index, out = tmp_path / "index.parquet", tmp_path / "store"
    write_index(records, index)
    for kill in (os.killpg, os.kill):
        (out / "source.json").unlink(missing_ok=True)  # every run writes it when it gets to work
        process = start_command(index, tiny, out)
        deadline = time.monotonic() + 240
        while not (out / "source.json").is_file():
            assert process.poll() is None, "the command ended before it got to work"
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(random.uniform(0.0, 1.5))
        kill(process.pid, signal.SIGKILL)
        process.wait(60)
        wait_for_group(process.pid)  # also of the command alone: its workers end with it
    with pytest.raises(typer.Exit) as stop:
        extract(index, out, modalities="audio,text", workers=2, config=PAPER, encoders=tiny)
    assert stop.value.exit_code == 1
    assert contents(out) == contents(finished)


def test_the_command_takes_a_checkpoint_lists_what_failed_and_returns_1(
    tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "media"
    folder.mkdir()
    write_wav(folder / "a.wav", speech_like(0.5))
    (folder / "b.mp4").write_bytes(b"junk" * 500)
    with pytest.raises(typer.Exit) as stop:
        extract(folder, tmp_path / "store", modalities="audio", checkpoint="embedded")
    assert stop.value.exit_code == 1
    errors = capsys.readouterr().err
    assert "1 of 2 utterances are in" in errors
    assert "failed: folder dia1_utt0" in errors
    (row,) = FeatureStore.open(tmp_path / "store").rows()
    assert row.tokens["audio"].values.shape == (25, 5 * 384)
    with pytest.raises(AvtError, match="leave out --preset and --encoders"):
        extract(folder, tmp_path / "store", checkpoint="embedded", encoders=tiny)
