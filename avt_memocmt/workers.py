"""Worker processes, alone or as a pool: they end when this process ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Generic, TypeVar

from avt_memocmt.errors import AvtError

Task = TypeVar("Task")
Result = TypeVar("Result")

THREADS = 1
"""Threads of one worker. A fixed number, because the last bits of a sum depend on it."""


def default_workers() -> int:
    """Half the processors, which leaves the other half to video decoding; one with a GPU."""
    import torch

    return 1 if torch.cuda.is_available() else max(1, (os.cpu_count() or 1) // 2)


@contextmanager
def worker_pool(workers: int, *, run_networks: bool = True) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of fresh processes; work that has not begun is dropped when the block ends.

    Args:
        workers: number of processes.
        run_networks: whether they run networks; if not, they start without loading torch.

    Raises:
        AvtError: a worker was ended from outside.
    """
    # Forking a process that runs threads (FFmpeg, torch) may lock up; fresh ones do not.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, _start_worker, (run_networks,))
    try:
        yield pool
    except BrokenProcessPool as error:
        raise AvtError(
            "a worker process was ended from outside, most often for lack of memory; run the "
            "command again, with fewer --workers."
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class DeadWorkerError(Exception):
    """A worker process ended before its task was done; the text says how: "SIGKILL", "status 3"."""


class Worker(Generic[Task, Result]):
    """A process of its own that does one task after another and may be ended in the middle of one.

    `ProcessPoolExecutor` breaks as a whole where one process dies, does not say at which task that
    was, and cannot end a running task before Python 3.14.

    Attributes:
        connection: something can be read from it (`multiprocessing.connection.wait`) as soon as
            the result is there or the process has ended.
        pid: number of the process.

    Args:
        do: what is done with each task, in the other process; it is pickled. Where it runs
            networks, it begins with `fix_threads`.
    """

    def __init__(self, do: Callable[[Task], Result]) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, do), daemon=True)
        with _deaf_to_ctrl_c():
            self._process.start()
        self.pid = self._process.pid
        theirs.close()

    def start(self, task: Task) -> None:
        """Begin with a task; the one before must be done."""
        with suppress(ConnectionError):  # the process is gone, which `result` tells
            self.connection.send(task)

    def result(self) -> Result:
        """Wait for the result of the task.

        Raises:
            AvtError: `do` raised it.
            DeadWorkerError: the process ended, so that this worker can do no more.
        """
        try:
            found = self.connection.recv()
        except (EOFError, ConnectionError) as error:
            self._process.join()
            raise DeadWorkerError(_how_it_ended(self._process.exitcode or 0)) from error
        if isinstance(found, AvtError):
            raise found
        return found

    def kill(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.join()
        self.connection.close()


def _serve(connection: Connection, do: Callable[[Task], Result]) -> None:
    _start_worker(run_networks=False)
    with suppress(EOFError):  # the parent needs it no more
        while True:
            task = connection.recv()
            try:
                connection.send(do(task))
            except AvtError as error:
                connection.send(error)


def _how_it_ended(status: int) -> str:
    return f"status {status}" if status >= 0 else signal.Signals(-status).name


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Let processes that are started in the block never hear Ctrl-C, not even while they start."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # its start, with the first process, would unblock them
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker(run_networks: bool) -> None:
    """Let this process end with its parent, and never by Ctrl-C."""
    if run_networks:
        fix_threads()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops the pool
    threading.Thread(target=end_with_parent, daemon=True).start()


def fix_threads() -> None:
    """Fix, in a worker process, what results of networks depend on to the last bit."""
    import cv2
    import torch

    torch.set_num_threads(THREADS)
    torch.backends.cudnn.deterministic = True
    cv2.setNumThreads(THREADS)


def end_with_parent() -> None:
    """Exit when the parent is killed, which cannot stop its workers any more."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
