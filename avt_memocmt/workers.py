"""Processes that work for this one and end with it."""

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
"""Threads of one worker: fixed, as the last bits of a sum depend on how it is divided."""


def default_workers() -> int:
    """Half the processors, so that as many threads of video decoding find room; one with a GPU."""
    import torch

    return 1 if torch.cuda.is_available() else max(1, (os.cpu_count() or 1) // 2)


@contextmanager
def worker_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of fresh processes; work that has not begun is dropped when the block ends.

    Raises:
        AvtError: a worker was ended from outside.
    """
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, _start_worker)
    try:
        yield pool
    except BrokenProcessPool as error:
        raise AvtError(
            "a worker process was ended from outside, most often for want of memory; what is "
            "finished is kept: run the command again, with fewer --workers."
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker() -> None:
    """Settle what a result could depend on, and tie this process to its parent."""
    import cv2
    import torch

    torch.set_num_threads(THREADS)
    torch.backends.cudnn.deterministic = True
    cv2.setNumThreads(THREADS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops the pool
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed parent cannot stop its workers, which would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
