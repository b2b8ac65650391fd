"""Who does the files of a batch: processes of this machine, or the workers of a cluster."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future
from concurrent.futures import wait as wait_for_futures
from multiprocessing.connection import wait as wait_for_connections
from pathlib import Path
from typing import Any, Protocol

from avt_memocmt.batch.inputs import Input
from avt_memocmt.cluster.pool import Cluster
from avt_memocmt.files import remove_partial_files
from avt_memocmt.workers import DeadWorkerError, Worker

Process = Worker[Input, str | None]

Ended = tuple[Input, str | None]
"""A file, and why it failed where it did."""


class FilePredictor(Protocol):
    """What is done with each file, in worker processes, to which it is pickled; see `Predictor`."""

    @property
    def folder(self) -> Path:
        """For the results."""

    def __call__(self, item: Input) -> str | None:
        """Write the result of a file; return the reason where it fails."""

    def options(self) -> dict[str, Any]:
        """All that decides on a result beside its file."""

    def result_path(self, item: Input) -> Path:
        """Of the JSON with the prediction of a file."""


class FileWork(Protocol):
    """Files that are at work elsewhere."""

    def has_room(self) -> bool:
        """Whether another file may be started."""

    def start(self, item: Input) -> None:
        """Begin with a file; there must be room."""

    def unfinished(self) -> list[Input]:
        """The files that were started and have not ended."""

    def wait(self, seconds: float | None) -> list[Ended]:
        """The files that have ended since the last call, after so many seconds at the latest.

        Raises:
            AvtError: no file can be predicted.
        """

    def close(self) -> None:
        """Give up what is not done, and remove what it left unfinished."""


class LocalProcesses:
    """Processes of this machine, each with one file at a time.

    A file at which its process dies is tried once more when no other runs, because the memory of
    its neighbours may have been to blame; then it counts as failed.

    Args:
        predictor: what is done with each file.
        workers: number of processes.
    """

    def __init__(self, predictor: FilePredictor, workers: int) -> None:
        self._predictor, self._workers = predictor, workers
        self._to_try_alone: deque[Input] = deque()
        self._is_alone = False
        self._idle: list[Process] = []
        self._running: dict[Process, Input] = {}

    def has_room(self) -> bool:
        """See `FileWork`."""
        return not self._is_alone and len(self._running) < self._workers

    def start(self, item: Input) -> None:
        """See `FileWork`."""
        process = self._idle.pop() if self._idle else Worker(self._predictor)
        self._running[process] = item
        process.start(item)

    def unfinished(self) -> list[Input]:
        """See `FileWork`."""
        return [*self._running.values(), *self._to_try_alone]

    def wait(self, seconds: float | None) -> list[Ended]:
        """See `FileWork`."""
        if self._to_try_alone and not self._running:
            while self._idle:
                self._idle.pop().kill()  # each holds the memory of a recogniser
            self._is_alone = True
            self.start(self._to_try_alone.popleft())
        ready = wait_for_connections([p.connection for p in self._running], seconds)
        processes = [p for p in self._running if p.connection in ready]
        return [ended for process in processes if (ended := self._end(process)) is not None]

    def close(self) -> None:
        """See `FileWork`."""
        for process in self._idle:
            process.kill()
        for process, item in self._running.items():
            self._discard(process, item)

    def _end(self, process: Process) -> Ended | None:
        """What became of a file; None where it is tried again."""
        item = self._running[process]
        was_alone, self._is_alone = self._is_alone, False
        try:
            why = process.result()
        except DeadWorkerError as death:
            del self._running[process]
            self._discard(process, item)
            if not was_alone:
                self._to_try_alone.append(item)
                return None
            return item, _deadly(f"its process was ended twice ({death})")
        self._idle.append(process)
        del self._running[process]
        return item, why

    def _discard(self, process: Process, item: Input) -> None:
        """End a process that is at work, or has died, and remove what it left unfinished."""
        process.kill()
        remove_partial_files(self._predictor.result_path(item).parent, process.pid)


class ClusterTasks:
    """The workers of a cluster; where one dies, others try the file again.

    A file that ended as many workers as the scheduler allows is tried once more when no other is
    at work, because files that waited in the same worker count as well; then it counts as failed.

    Args:
        predictor: what is done with each file; its folder is one that all machines share.
        cluster: the workers.
    """

    def __init__(self, predictor: FilePredictor, cluster: Cluster) -> None:
        self._predictor, self._cluster = predictor, cluster
        self._to_try_alone: deque[Input] = deque()
        self._is_alone = False
        self._running: dict[Future[str | None], Input] = {}
        self._folders: set[Path] = set()

    def has_room(self) -> bool:
        """See `FileWork`."""
        return not self._is_alone and len(self._running) < self._cluster.ahead

    def start(self, item: Input) -> None:
        """See `FileWork`."""
        self._folders.add(self._predictor.result_path(item).parent)
        do: Callable[[Input], str | None] = self._predictor.__call__
        self._running[self._cluster.submit(do, item)] = item

    def unfinished(self) -> list[Input]:
        """See `FileWork`."""
        return [*self._running.values(), *self._to_try_alone]

    def wait(self, seconds: float | None) -> list[Ended]:
        """See `FileWork`."""
        if self._to_try_alone and not self._running:
            self._is_alone = True
            self.start(self._to_try_alone.popleft())
        done = wait_for_futures(self._running, seconds, FIRST_COMPLETED).done
        return [ended for task in done if (ended := self._end(task)) is not None]

    def close(self) -> None:
        """See `FileWork`; a worker cannot be stopped in the middle of a file, and finishes it."""
        for folder in self._folders if not self._running else ():
            remove_partial_files(folder)

    def _end(self, task: Future[str | None]) -> Ended | None:
        """What became of a file; None where it is tried again."""
        item = self._running.pop(task)
        was_alone, self._is_alone = self._is_alone, False
        try:
            return item, task.result()
        except DeadWorkerError as death:
            if was_alone:
                return item, _deadly(str(death))
        self._to_try_alone.append(item)
        return None


def _deadly(what: str) -> str:
    return (
        f"{what}: the file is damaged, or needs more memory than there is; convert it, or try it "
        "on a larger machine."
    )
