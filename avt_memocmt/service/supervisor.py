"""Gives the tasks of the queue to workers, watches them, and says what becomes of them."""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Collection

from avt_memocmt.errors import AvtError
from avt_memocmt.service.child import Child, ChildEndedError, Message
from avt_memocmt.service.events import Events
from avt_memocmt.service.job_files import PREDICTION, JobFiles
from avt_memocmt.service.job_json import job_json, read_json
from avt_memocmt.service.metrics import ServiceMetrics
from avt_memocmt.service.models import Job, Kind, Task
from avt_memocmt.service.running import Running
from avt_memocmt.service.settings import ServiceSettings
from avt_memocmt.service.store import Finding, JobStore
from avt_memocmt.service.worker import run_worker

_log = logging.getLogger(__name__)

LEAST_TIME, TIMES_DURATION = 300.0, 20.0
"""Seconds that any job may take, and how many more for each second of its media."""
EXPLAINS, WORKS = (Kind.EXPLAIN,), (Kind.PREDICT, Kind.EXPORT)
"""What the process for explanations does, and what the workers do."""
SPARE = 120.0
"""Seconds for which the process for explanations waits for another one."""
_IDLE = 5.0  # seconds between two looks into the queue, where nobody says that there is work


class Supervisor:
    """One thread and one worker process for each job that is worked on at a time.

    Explanations have a process of their own, which lives while they are asked for: somebody waits
    for them before the page, and neither they nor jobs wait for each other.

    Args:
        settings: of the service.
        store: of the jobs.
        files: of the jobs.
        events: told of every change.
        metrics: told what was done.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        store: JobStore,
        files: JobFiles,
        events: Events,
        metrics: ServiceMetrics,
    ) -> None:
        self._store, self._files, self._events = store, files, events
        self._metrics = metrics
        self._changed = threading.Condition()
        self._running: dict[int, Running] = {}  # by the id of the task
        self._stopping = False
        threads = max(1, (os.cpu_count() or 1) // settings.workers)
        self._workers = [
            Child(run_worker, (threads,), settings.max_memory) for _ in range(settings.workers)
        ]
        self._explainer = Child(run_worker, (threads,), settings.max_memory)
        self._threads = [
            threading.Thread(target=self._work, args=(worker,), name="worker", daemon=True)
            for worker in self._workers
        ]
        self._threads.append(
            threading.Thread(target=self._work_at_explanations, name="explainer", daemon=True)
        )

    def start(self) -> None:
        """Start the workers; what an earlier service was at waits again."""
        self._store.put_back_interrupted()
        self._files.sweep(self._store.ids())
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the workers; what they were at waits for the next service."""
        with self._changed:
            self._stopping = True
            for running in self._running.values():
                running.stop.set()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        for worker in (*self._workers, self._explainer):
            worker.stop()
        self._store.put_back_interrupted()

    def wake(self) -> None:
        """Say that there is work."""
        with self._changed:
            self._changed.notify_all()

    def running(self, job_id: str) -> Running | None:
        """The prediction of a job that is under way."""
        found = [r for r in self._now() if r.job.id == job_id and r.task.kind == Kind.PREDICT]
        return found[0] if found else None

    def running_task(self, task: Task) -> Running | None:
        """A task that is under way."""
        with self._changed:
            return self._running.get(task.id)

    def stop_job(self, job_id: str) -> None:
        """End what is done on a job, and wait until it has ended."""
        self._stop(lambda running: running.job.id == job_id)

    def stop_task(self, task: Task) -> None:
        """End what is done on a task, and wait until it has ended."""
        self._stop(lambda running: running.task.id == task.id)

    def _stop(self, is_meant: Callable[[Running], bool]) -> None:
        with self._changed:
            while found := [r for r in self._running.values() if is_meant(r)]:
                for running in found:
                    running.stop.set()
                self._changed.wait()

    def worker_pids(self) -> list[int]:
        """Numbers of the workers' processes."""
        return [worker.pid for worker in self._workers if worker.pid is not None]

    def _now(self) -> list[Running]:
        with self._changed:
            return list(self._running.values())

    def _work(self, worker: Child) -> None:
        worker.start()
        while not self._stopping:
            if not self._work_once(worker, WORKS):
                self._wait()

    def _work_at_explanations(self) -> None:
        used = time.monotonic()
        while not self._stopping:
            if self._work_once(self._explainer, EXPLAINS):
                used = time.monotonic()
                continue
            if time.monotonic() - used > SPARE:
                self._explainer.stop()
            self._wait()

    def _wait(self) -> None:
        with self._changed:
            if not self._stopping:
                self._changed.wait(_IDLE)

    def _work_once(self, worker: Child, kinds: Collection[Kind]) -> bool:
        """Do the next task; False where nothing waits."""
        try:
            claimed = self._store.claim(kinds)
            if claimed is not None:
                self._work_on(worker, Running(*claimed))
            return claimed is not None
        except Exception:  # such as a database that is away: this thread must not end
            _log.exception("the queue cannot be worked on; trying again")
            return False

    def _work_on(self, worker: Child, running: Running) -> None:
        with self._changed:
            self._running[running.task.id] = running
        try:
            self._do(worker, running)
        finally:
            if running.folder is not None:
                shutil.rmtree(running.folder, ignore_errors=True)
            with self._changed:
                del self._running[running.task.id]
                self._changed.notify_all()

    def _do(self, worker: Child, running: Running) -> None:
        task = running.task
        self._tell(running, running.job)
        try:
            found = self._done(worker, running)
        except ChildEndedError as error:
            reason = f"the file ended the worker twice, so it is given up: {error}"
            found = self._store.put_back(task, reason)
        except AvtError as error:
            found = self._store.fail(task, str(error))
        except Exception as error:  # what a worker says may be anything: a file may have taken it
            _log.exception("a task failed")
            worker.stop()
            found = self._store.fail(task, f"unexpected {type(error).__name__}; see the log.")
        if found is not None:
            self._tell(running, found)

    def _done(self, worker: Child, running: Running) -> Job | None:
        """Let a worker do a task; the job then, None where it was stopped or deleted meanwhile.

        Raises:
            AvtError: it cannot be done.
        """
        task = running.task
        answer = self._answer(worker, self._message(running), running)
        if answer is None:
            return None  # whoever stopped it says what becomes of it
        if task.kind != Kind.PREDICT:
            return self._store.complete(task)
        finding = Finding(float(answer["duration"]), dict(answer["emotions"]))
        found = self._store.complete(task, finding)
        if found is not None:
            self._files.remove_older_results(found)
            self._metrics.count(finding.duration, time.monotonic() - running.since)
        return found

    def _message(self, running: Running) -> Message:
        """What a worker is told; see `worker`.

        Raises:
            AvtError: the media is gone.
        """
        task, job = running.task, running.job
        media = self._files.media(job)
        running.folder = self._files.partial(job)
        transcript = self._files.transcript(job)
        message: Message = {
            "kind": task.kind,
            "name": job.name,
            "media": str(media),
            "has_audio": job.has_audio,
            "transcript": None if transcript is None else str(transcript),
            "cues": task.cues,
            "options": job.options,
            "folder": str(running.folder),
            "result": str(self._files.result(job, task.revision)),
        }
        if task.kind == Kind.EXPLAIN:
            assert task.utterance is not None
            shown = read_json(self._files.result(job) / PREDICTION)
            message |= {
                "result": str(self._files.explanation(job, task.utterance)),
                "utterance": task.utterance,
                "expected": shown["utterances"][task.utterance],
            }
        if task.kind == Kind.EXPORT:
            assert task.name is not None
            message |= {
                "result": str(self._files.export(job, task.revision, task.name)),
                "format": task.name,
                "names": job.names,
            }
        return message

    def _answer(self, worker: Child, message: Message, running: Running) -> Message | None:
        """What the worker says in the end; None where it was stopped.

        Raises:
            AvtError: it failed.
        """
        deadline = time.monotonic() + LEAST_TIME + TIMES_DURATION * (running.job.duration or 0.0)
        worker.send(message)
        while True:
            if running.stop.is_set():
                worker.stop()
                return None
            said = worker.receive(deadline)
            if said is None:
                continue
            if "done" in said:
                return said["done"]
            if "failed" in said:
                raise AvtError(said["failed"])
            running.advance(said)
            self._tell(running, running.job)

    def _tell(self, running: Running, job: Job) -> None:
        if running.task.kind == Kind.EXPLAIN:
            self._events.publish_explanation(running.task, running.progress)
        elif running.task.kind == Kind.PREDICT:
            self._events.publish("job", job_json(job, running))
