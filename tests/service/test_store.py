"""Jobs in the database: SQLite, and a PostgreSQL server that the test starts."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from avt_memocmt.errors import AvtError
from avt_memocmt.service.database import open_database
from avt_memocmt.service.models import Job, Kind, State
from avt_memocmt.service.store import Finding, JobStore, new_job

FOUND = Finding(3.0, {"joy": 1.0})


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """URL of a database of a new cluster, which an unprivileged user runs."""
    programs = {name: _program(name) for name in ("initdb", "pg_ctl")}
    if missing := [name for name, path in programs.items() if path is None]:
        pytest.skip(f"PostgreSQL's {', '.join(missing)} is not installed (apt install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="avt-pg-"))  # another user cannot enter pytest's
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        user = {"user": "nobody", "cwd": "/"}
        shutil.chown(folder, "nobody")

    def run(name: str, *arguments: str) -> None:
        command = [str(programs[name]), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=120, **user)

    cluster = folder / "cluster"
    run("initdb", "-D", str(cluster), "-U", "avt", "--auth=trust", "--no-sync", "-E", "UTF8")
    # No port: it listens at a socket in its folder alone.
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
    run("pg_ctl", "-D", str(cluster), "-o", options, "-w", "-l", str(folder / "log"), "start")
    yield f"postgresql+psycopg://avt@/postgres?host={folder}"
    run("pg_ctl", "-D", str(cluster), "-m", "immediate", "-w", "stop")
    shutil.rmtree(folder)


def _program(name: str) -> str | None:
    """Where a program of PostgreSQL lies; Debian keeps them out of the search path."""
    found = shutil.which(name) or next(
        map(str, sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)), None
    )
    return found


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[JobStore]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'jobs.sqlite3'}"
    else:
        url = request.getfixturevalue("postgresql")
    store = JobStore(open_database(url))
    yield store
    for job_id in store.ids():
        store.delete(job_id)
    store.close()


def put_in(store: JobStore, name: str = "talk.mp4", most: int = 100) -> Job:
    job = new_job(name, {"speakers": "auto"}, media="media.mp4", kind="video", duration=3.1)
    assert store.add(job, most)
    return job


def known(store: JobStore, job: Job) -> Job:
    found = store.job(job.id)
    assert found is not None
    return found


def test_a_job_goes_through_its_states(store: JobStore) -> None:
    job = put_in(store)
    assert store.waiting() == 1
    task, claimed = store.claim(Kind) or pytest.fail("nothing waits")
    assert (claimed.id, claimed.state, task.kind) == (job.id, State.IN_PROGRESS, Kind.PREDICT)
    assert store.claim(Kind) is None
    done = store.complete(task, FOUND)
    assert done is not None
    assert (done.state, done.result, done.duration, done.emotions) == (
        State.COMPLETED,
        0,
        3.0,
        {"joy": 1.0},
    )
    assert (done.created or 0) <= (done.started or 0) <= (done.finished or 0)
    assert store.counts()[State.COMPLETED] == 1
    assert store.complete(task, FOUND) is None  # it was done already


def test_the_queue_is_bounded_and_in_order(store: JobStore) -> None:
    jobs = [put_in(store, str(number), most=3) for number in range(3)]
    assert not store.add(new_job("late", {}), 3)
    assert [store.claim(Kind)[1].id for _ in jobs] == [job.id for job in jobs]  # type: ignore[index]


def test_no_two_workers_get_the_same_task(store: JobStore) -> None:
    ids = {put_in(store, str(number)).id for number in range(20)}
    with ThreadPoolExecutor(8) as pool:
        claimed = [found for found in pool.map(lambda _: store.claim(Kind), range(40)) if found]
    assert sorted(job.id for _, job in claimed) == sorted(ids)


def test_what_was_interrupted_waits_again(store: JobStore) -> None:
    job = put_in(store)
    assert store.claim(Kind)
    store.put_back_interrupted()
    assert known(store, job).state == State.QUEUED
    assert store.claim(Kind)


def test_a_task_may_cost_one_worker(store: JobStore) -> None:
    job = put_in(store)
    for state in (State.QUEUED, State.FAILED):
        task, _ = store.claim(Kind) or pytest.fail("nothing waits")
        found = store.put_back(task, "the file ended the worker twice.")
        assert found is not None
        assert found.state == state
    assert known(store, job).error == "the file ended the worker twice."
    assert store.claim(Kind) is None


def test_a_correction_that_fails_keeps_the_result(store: JobStore) -> None:
    job = put_in(store)
    task, _ = store.claim(Kind) or pytest.fail("nothing waits")
    store.complete(task, FOUND)
    cues = [{"start": 0.0, "end": 1.0, "text": "Hi.", "speaker": None}]
    corrected = store.correct(job.id, cues, 10)
    assert corrected is not None
    assert (corrected.revision, corrected.result, corrected.state) == (1, 0, State.QUEUED)
    task, _ = store.claim(Kind) or pytest.fail("nothing waits")
    assert (task.cues, task.revision) == (cues, 1)
    failed = store.fail(task, "why")
    assert failed is not None
    assert (failed.state, failed.result, failed.error) == (State.COMPLETED, 0, "why")


def test_an_explanation_is_of_the_readable_result_and_comes_first(store: JobStore) -> None:
    job = put_in(store)
    task, _ = store.claim(Kind) or pytest.fail("nothing waits")
    store.complete(task, FOUND)
    cues = [{"start": 0.0, "end": 1.0, "text": "Hi.", "speaker": None}]
    store.correct(job.id, cues, 10)
    task, _ = store.claim(Kind) or pytest.fail("nothing waits")
    store.complete(task, FOUND)
    put_in(store, "another")
    asked = store.ask(known(store, job), Kind.EXPLAIN, utterance=0)
    assert store.ask(known(store, job), Kind.EXPLAIN, utterance=0).id == asked.id
    assert store.asked(known(store, job), Kind.EXPLAIN, utterance=1) is None
    first, _ = store.claim(Kind) or pytest.fail("nothing waits")
    assert (first.id, first.cues, first.revision) == (asked.id, cues, 1)
    assert known(store, job).state == State.COMPLETED


def test_explanations_are_claimed_apart_from_jobs_and_cancelled_one_by_one(store: JobStore) -> None:
    job = put_in(store)
    task, _ = store.claim(Kind) or pytest.fail("nothing waits")
    store.complete(task, FOUND)
    put_in(store, "another")
    first, second = (store.ask(known(store, job), Kind.EXPLAIN, utterance=i) for i in range(2))
    assert [store.explanations_before(task) for task in (first, second)] == [0, 1]
    predict, _ = store.claim((Kind.PREDICT, Kind.EXPORT)) or pytest.fail("no job waits")
    assert predict.kind == Kind.PREDICT
    claimed, _ = store.claim((Kind.EXPLAIN,)) or pytest.fail("no explanation waits")
    assert claimed.id == first.id
    assert store.explanations_before(second) == 1  # it is being made
    assert store.cancel_task(first).state == State.CANCELLED
    assert store.complete(claimed) is None
    assert store.explanations_before(second) == 0
    claimed, _ = store.claim((Kind.EXPLAIN,)) or pytest.fail("no explanation waits")
    store.complete(claimed)
    assert store.cancel_task(second).state == State.COMPLETED
    again = store.ask(known(store, job), Kind.EXPLAIN, utterance=0)
    assert (again.state, again.id == first.id) == (State.QUEUED, False)


def test_what_was_recognised_is_restored(store: JobStore) -> None:
    job = put_in(store)
    task, _ = store.claim(Kind) or pytest.fail("nothing waits")
    store.complete(task, FOUND)
    explained = store.ask(known(store, job), Kind.EXPLAIN, utterance=0)
    store.claim(Kind)
    store.complete(explained)
    cues = [{"start": 0.0, "end": 1.0, "text": "Hi.", "speaker": None}]
    store.correct(job.id, cues, 10)
    assert store.pending_cues(job.id) == cues
    task, _ = store.claim(Kind) or pytest.fail("nothing waits")
    store.complete(task, Finding(3.0, {"anger": 1.0}))
    assert store.pending_cues(job.id) is None
    store.rename_speakers(job.id, {"S1": "Anna"})
    restored = store.restore(job.id, {}, {"joy": 1.0})
    assert restored is not None
    assert (restored.result, restored.names, restored.emotions) == (0, {}, {"joy": 1.0})
    assert restored.revision == 3
    # What was asked of it is there again, and more is asked on the words that were recognised.
    asked = store.ask(known(store, job), Kind.EXPLAIN, utterance=0)
    assert (asked.id, asked.state, asked.cues) == (explained.id, State.COMPLETED, None)
    assert store.ask(known(store, job), Kind.EXPLAIN, utterance=1).cues is None


def test_cancelled_and_deleted_work_changes_nothing_more(store: JobStore) -> None:
    job = put_in(store)
    task, _ = store.claim(Kind) or pytest.fail("nothing waits")
    cancelled = store.cancel(job.id)
    assert cancelled is not None
    assert cancelled.state == State.CANCELLED
    assert store.complete(task, FOUND) is None
    assert known(store, job).state == State.CANCELLED
    store.delete(job.id)
    assert store.job(job.id) is None
    assert store.cancel(job.id) is None
    assert store.fail(task, "late") is None


def test_jobs_come_in_pages(store: JobStore) -> None:
    jobs = [put_in(store, name) for name in ("a.mp4", "B_100%.mp4", "b.mp4", "c.mp4")]
    page, following = store.jobs(None, "", 3, None)
    assert [job.name for job in page] == ["c.mp4", "b.mp4", "B_100%.mp4"]
    rest, end = store.jobs(None, "", 3, following)
    assert ([job.name for job in rest], end) == (["a.mp4"], None)
    assert [job.name for job in store.jobs(None, "b", 9, None)[0]] == ["b.mp4", "B_100%.mp4"]
    assert [job.name for job in store.jobs(None, "0%", 9, None)[0]] == ["B_100%.mp4"]
    store.cancel(jobs[0].id)
    assert [job.name for job in store.jobs("cancelled", "", 9, None)[0]] == ["a.mp4"]


def test_a_database_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(AvtError, match="no address of a database"):
        open_database("nonsense")
    with pytest.raises(AvtError, match="cannot be opened"):
        open_database(f"sqlite:///{tmp_path}/missing/jobs.sqlite3")
    with pytest.raises(AvtError) as refused:
        open_database("postgresql+psycopg://anna:secret@127.0.0.1:1/jobs")
    assert "secret" not in str(refused.value)
