"""The pool of worker processes: they end when this process ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from avt_memocmt.errors import AvtError

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


def _start_worker(run_networks: bool) -> None:
    """Fix the settings that results depend on, and let this process end with its parent."""
    if run_networks:
        import cv2
        import torch

        torch.set_num_threads(THREADS)
        torch.backends.cudnn.deterministic = True
        cv2.setNumThreads(THREADS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops the pool
    threading.Thread(target=end_with_parent, daemon=True).start()


def end_with_parent() -> None:
    """Exit when the parent is killed, which cannot stop its workers any more."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
